// Cooperative matrices: S = L·R + S in f16 factors and f32 sums. L has MATRIX_M × MATRIX_K elements, R has
// MATRIX_K × MATRIX_N, S has MATRIX_M × MATRIX_N; each number is 8 or 16. naga's WGSL has square types alone, so the
// library gives these types the shapes that the constants say (src/gpu/matrices.rs).
const MATRIX_M: u32 = 16u;
const MATRIX_N: u32 = 16u;
const MATRIX_K: u32 = 16u;
const LANES: u32 = 32u; // most lanes of a subgroup; with fewer, surplus subgroups repeat the last one's work
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;
