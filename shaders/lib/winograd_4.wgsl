// F(4×4, 3×3), a quarter of the products. The interpolation points 0, ±1/√2, ±√2, ∞ lose one bit; the usual
// points 0, ±1, ±2, ∞ lose three.
//        1   0   −5/2   0   1   0             1     0     0             1   1     1    1    1  0
//        0   √2   2   −1/√2 −1  0            2/3  √2/3   1/3            0  1/√2 −1/√2  √2  −√2 0
//   Bᵀ = 0  −√2   2    1/√2 −1  0       G =  2/3 −√2/3   1/3      Aᵀ =  0  1/2   1/2   2    2  0
//        0 −1/√2 −1/2   √2   1  0            1/6  √2/6   1/3            0 1/√8 −1/√8  √8  −√8  1
//        0  1/√2 −1/2  −√2   1  0            1/6 −√2/6   1/3
//        0   1    0   −5/2   0  1             0     0     1
const TILE: u32 = 4u;
const HALF: f32 = 0.70710678118654752; // 1/√2

// Bᵀ times a column
fn transform_input(d: Edge) -> Edge {
    let a = HALF * (2.0 * d[1] - d[3]);
    let b = 2.0 * d[2] - d[4];
    let e = HALF * (2.0 * d[3] - d[1]);
    let f = d[4] - 0.5 * d[2];
    return Edge(d[0] - 2.5 * d[2] + d[4], b + a, b - a, f + e, f - e, d[1] - 2.5 * d[3] + d[5]);
}

// Aᵀ times a column
fn transform_output(m: Edge) -> Side {
    let a = m[1] + m[2];
    let b = HALF * (m[1] - m[2]);
    let e = m[3] + m[4];
    let f = HALF * (m[3] - m[4]);
    return Side(m[0] + a + e, b + 2.0 * f, 0.5 * a + 2.0 * e, 0.5 * b + 4.0 * f + m[5]);
}

// G times a column
fn transform_weights(g: array<element, 3>) -> Edge {
    let a = (2.0 * g[0] + g[2]) / 3.0;
    let b = 2.0 * HALF / 3.0 * g[1];
    let e = g[0] / 6.0 + g[2] / 3.0;
    let f = HALF / 3.0 * g[1];
    return Edge(g[0], a + b, a - b, e + f, e - f, g[2]);
}
