// winograd_2: F(2×2, 3×3), four ninths of the products, for small pictures. Interpolation points 0, ±1, ∞.
//        1  0 −1  0             1    0    0             1  1  1  0
//   Bᵀ = 0  1  1  0       G =  1/2  1/2  1/2      Aᵀ =  0  1 −1 −1
//        0 −1  1  0            1/2 −1/2  1/2
//        0  1  0 −1             0    0    1
#import lib/border.wgsl
#import lib/epilogue.wgsl
#import lib/index.wgsl
#import lib/load.wgsl
#import lib/winograd.wgsl
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
fn transform_weights(g: array<vec4<f32>, 3>) -> Edge {
    let a = 0.5 * (g[0] + g[2]);
    let b = 0.5 * g[1];
    return Edge(g[0], a + b, a - b, g[2]);
}

// Column `k` of `rows`. Written out, because an array that a long loop indexes is kept in memory.
fn column_of(rows: ptr<function, array<Edge, EDGE>>, k: u32) -> Edge {
    return Edge((*rows)[0][k], (*rows)[1][k], (*rows)[2][k], (*rows)[3][k]);
}

fn side_column_of(rows: ptr<function, array<Side, EDGE>>, k: u32) -> Edge {
    return Edge((*rows)[0][k], (*rows)[1][k], (*rows)[2][k], (*rows)[3][k]);
}

// Four neighbouring outputs in a row of a quad.
fn four_of(row: Side, f: u32) -> vec4<f32> {
    return vec4<f32>(row[0][2u * f], row[1][2u * f], row[0][2u * f + 1u], row[1][2u * f + 1u]);
}
