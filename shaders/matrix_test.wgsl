// matrix_test: known answers of cooperative matrices, before kernels use them (src/gpu/matrix_test.rs). Workgroup g
// computes y[g] = repeats · Σ_k left[(k + g) mod DEPTH]ᵀ · right[k]. Elements are small integers, so every sum is exact in f32
// and nothing but the exact result is right. As in conv2d_matrix.wgsl, factors are staged in rows that are padded, and a
// subgroup holds 2 × 4 sums over all loops.
// left: f32[DEPTH,TILE_M]   right: f32[DEPTH,TILE_N]   y: f32[G,TILE_M,TILE_N]
// dispatch [G]
enable f16;
enable wgpu_cooperative_matrix;
#import lib/matrix.wgsl
const DOWN: u32 = 2u; // subgroups along the rows; there are 2 along the columns
const SUBGROUPS: u32 = DOWN * 2u;
const THREADS: u32 = SUBGROUPS * LANES;
const AREA: u32 = MATRIX_M * MATRIX_N;
const TILE_M: u32 = DOWN * 2u * MATRIX_M;
const TILE_N: u32 = 2u * 4u * MATRIX_N;
const TILE_K: u32 = 32u;
const ROW_M: u32 = TILE_M + 8u;
const ROW_N: u32 = TILE_N + 8u;
const DEPTH: u32 = 128u;

struct Params {
    repeats: u32,
}

var<uniform> params: Params;
var<storage, read> left: array<f32>;
var<storage, read> right: array<f32>;
var<storage, read_write> y: array<f32>;

var<workgroup> tile_left: array<f16, TILE_K * ROW_M>;
var<workgroup> tile_right: array<f16, TILE_K * ROW_N>;
var<workgroup> made: array<f32, SUBGROUPS * AREA>; // one matrix per subgroup, on its way to y

@compute @workgroup_size(THREADS)
fn multiply(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup_id: u32,
) {
    let subgroup = min(subgroup_id, SUBGROUPS - 1u);
    let from_m = subgroup / 2u * 2u * MATRIX_M;
    let from_n = subgroup % 2u * 4u * MATRIX_N;
    var s00: Sum;
    var s01: Sum;
    var s02: Sum;
    var s03: Sum;
    var s10: Sum;
    var s11: Sum;
    var s12: Sum;
    var s13: Sum;
    for (var repeat = 0u; repeat < params.repeats; repeat++) {
        for (var first = 0u; first < DEPTH; first += TILE_K) {
            for (var e = thread; e < TILE_K * TILE_M; e += THREADS) {
                let k = (first + e / TILE_M + workgroup.x) % DEPTH;
                tile_left[e / TILE_M * ROW_M + e % TILE_M] = f16(left[k * TILE_M + e % TILE_M]);
            }
            for (var e = thread; e < TILE_K * TILE_N; e += THREADS) {
                let k = first + e / TILE_N;
                tile_right[e / TILE_N * ROW_N + e % TILE_N] = f16(right[k * TILE_N + e % TILE_N]);
            }
            workgroupBarrier();
            for (var kk = 0u; kk < TILE_K; kk += MATRIX_K) {
                let l0 = coopLoad<Left>(&tile_left[kk * ROW_M + from_m], ROW_M);
                let l1 = coopLoad<Left>(&tile_left[kk * ROW_M + from_m + MATRIX_M], ROW_M);
                let r0 = coopLoadT<Right>(&tile_right[kk * ROW_N + from_n], ROW_N);
                let r1 = coopLoadT<Right>(&tile_right[kk * ROW_N + from_n + MATRIX_N], ROW_N);
                let r2 = coopLoadT<Right>(&tile_right[kk * ROW_N + from_n + 2u * MATRIX_N], ROW_N);
                let r3 = coopLoadT<Right>(&tile_right[kk * ROW_N + from_n + 3u * MATRIX_N], ROW_N);
                s00 = coopMultiplyAdd(l0, r0, s00);
                s01 = coopMultiplyAdd(l0, r1, s01);
                s02 = coopMultiplyAdd(l0, r2, s02);
                s03 = coopMultiplyAdd(l0, r3, s03);
                s10 = coopMultiplyAdd(l1, r0, s10);
                s11 = coopMultiplyAdd(l1, r1, s11);
                s12 = coopMultiplyAdd(l1, r2, s12);
                s13 = coopMultiplyAdd(l1, r3, s13);
            }
            workgroupBarrier();
        }
    }
    let mine = subgroup * AREA;
    coopStoreT(s00, &made[mine], MATRIX_N);
    write_matrix(workgroup.x, thread, 0u, 0u);
    coopStoreT(s01, &made[mine], MATRIX_N);
    write_matrix(workgroup.x, thread, 0u, 1u);
    coopStoreT(s02, &made[mine], MATRIX_N);
    write_matrix(workgroup.x, thread, 0u, 2u);
    coopStoreT(s03, &made[mine], MATRIX_N);
    write_matrix(workgroup.x, thread, 0u, 3u);
    coopStoreT(s10, &made[mine], MATRIX_N);
    write_matrix(workgroup.x, thread, 1u, 0u);
    coopStoreT(s11, &made[mine], MATRIX_N);
    write_matrix(workgroup.x, thread, 1u, 1u);
    coopStoreT(s12, &made[mine], MATRIX_N);
    write_matrix(workgroup.x, thread, 1u, 2u);
    coopStoreT(s13, &made[mine], MATRIX_N);
    write_matrix(workgroup.x, thread, 1u, 3u);
}

// Writes matrix (down, across) of every subgroup to y. Barriers guard `made` on both sides.
fn write_matrix(group: u32, thread: u32, down: u32, across: u32) {
    workgroupBarrier();
    for (var e = thread; e < SUBGROUPS * AREA; e += THREADS) {
        let subgroup = e / AREA;
        let m = (subgroup / 2u * 2u + down) * MATRIX_M + e % AREA / MATRIX_N;
        let n = (subgroup % 2u * 4u + across) * MATRIX_N + e % MATRIX_N;
        y[(group * TILE_M + m) * TILE_N + n] = made[e];
    }
    workgroupBarrier();
}
