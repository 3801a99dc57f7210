// F(2×2, 3×3), four ninths of the products, for small pictures. Interpolation points 0, ±1, ∞.
//        1  0 −1  0             1    0    0             1  1  1  0
//   Bᵀ = 0  1  1  0       G =  1/2  1/2  1/2      Aᵀ =  0  1 −1 −1
//        0 −1  1  0            1/2 −1/2  1/2
//        0  1  0 −1             0    0    1
const TILE: u32 = 2u;

// Bᵀ times a column
fn transform_input(d: Edge) -> Edge {
    return Edge(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]);
}

// Aᵀ times a column
fn transform_output(m: Edge) -> Side {
    return Side(m[0] + m[1] + m[2], m[1] - m[2] - m[3]);
}

// G times a column
fn transform_weights(g: array<element, 3>) -> Edge {
    let a = 0.5 * (g[0] + g[2]);
    let b = 0.5 * g[1];
    return Edge(g[0], a + b, a - b, g[2]);
}
