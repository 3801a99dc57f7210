// winograd_4: F(4×4, 3×3), a quarter of the products. The interpolation points 0, ±1/√2, ±√2, ∞ lose one bit; the usual
// points 0, ±1, ±2, ∞ lose three.
//        1   0   −5/2   0   1   0             1     0     0             1   1     1    1    1  0
//        0   √2   2   −1/√2 −1  0            2/3  √2/3   1/3            0  1/√2 −1/√2  √2  −√2 0
//   Bᵀ = 0  −√2   2    1/√2 −1  0       G =  2/3 −√2/3   1/3      Aᵀ =  0  1/2   1/2   2    2  0
//        0 −1/√2 −1/2   √2   1  0            1/6  √2/6   1/3            0 1/√8 −1/√8  √8  −√8  1
//        0  1/√2 −1/2  −√2   1  0            1/6 −√2/6   1/3
//        0   1    0   −5/2   0  1             0     0     1
#import lib/border.wgsl
#import lib/epilogue.wgsl
#import lib/index.wgsl
#import lib/load.wgsl
#import lib/winograd.wgsl
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
fn transform_weights(g: array<vec4<f32>, 3>) -> Edge {
    let a = (2.0 * g[0] + g[2]) / 3.0;
    let b = 2.0 * HALF / 3.0 * g[1];
    let e = g[0] / 6.0 + g[2] / 3.0;
    let f = HALF / 3.0 * g[1];
    return Edge(g[0], a + b, a - b, e + f, e - f, g[2]);
}

// Column `k` of `rows`. Written out, because an array that a long loop indexes is kept in memory.
fn column_of(rows: ptr<function, array<Edge, EDGE>>, k: u32) -> Edge {
    return Edge((*rows)[0][k], (*rows)[1][k], (*rows)[2][k], (*rows)[3][k], (*rows)[4][k], (*rows)[5][k]);
}

fn side_column_of(rows: ptr<function, array<Side, EDGE>>, k: u32) -> Edge {
    return Edge((*rows)[0][k], (*rows)[1][k], (*rows)[2][k], (*rows)[3][k], (*rows)[4][k], (*rows)[5][k]);
}

// Four neighbouring outputs in a row of a quad.
fn four_of(row: Side, f: u32) -> vec4<f32> {
    return vec4<f32>(row[0][f], row[1][f], row[2][f], row[3][f]);
}

fn four(at: u32, norm: vec4<f32>) -> vec4<f32> {
    return loaded_four(x_rows[at], at, norm);
}

// `input` for rows of x that are whole vec4s, with SCALE 1 and one column of padding before them.
@compute @workgroup_size(LANES)
fn input_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quad = workgroup.x * LANES + lane;
    let c = workgroup.y;
    if (quad >= params.band) {
        return;
    }
    let place = place_of(quad);
    let channel = place.image * params.channels_in + c;
    let norm = norm_of(channel);
    let plane = channel * params.input_height;
    let across = params.input_width / 4u;
    let first = place.column / 4u;
    var rows: array<Edge, EDGE>;
    for (var r = 0u; r < 6u; r++) {
        let i = border_source(i32(place.row + r) - 1, i32(params.input_height));
        var d: Edge;
        if (i >= 0) {
            let at = (plane + u32(i)) * across;
            var tiles: array<vec4<f32>, 4>;
            for (var t = 0u; t < 4u; t++) {
                tiles[t] = four(at + min(first + t, across - 1u), norm);
            }
            var after: vec4<f32>; // the column after each tile: the next tile's first, or padding at the end of the row
            for (var t = 0u; t < 4u; t++) {
                var edge = 0.0;
                if (MODE == 1u) {
                    edge = tiles[t].z;
                }
                if (MODE == 2u) {
                    edge = tiles[t].w;
                }
                if (t < 3u) {
                    after[t] = select(tiles[t + 1u].x, edge, first + t + 1u >= across);
                } else {
                    after[t] = edge;
                    if (first + 4u < across) {
                        after[t] = four(at + first + 4u, norm).x;
                    }
                }
            }
            var before = 0.0;
            if (MODE == 1u) {
                before = tiles[0].y;
            }
            if (MODE == 2u) {
                before = tiles[0].x;
            }
            if (first > 0u) {
                before = four(at + first - 1u, norm).w;
            }
            d[0] = vec4<f32>(before, tiles[0].w, tiles[1].w, tiles[2].w);
            for (var k = 0u; k < 4u; k++) {
                d[k + 1u] = vec4<f32>(tiles[0][k], tiles[1][k], tiles[2][k], tiles[3][k]);
            }
            d[5] = after;
        }
        rows[r] = transform_input(d);
    }
    finish_input(&rows, c, quad);
}

