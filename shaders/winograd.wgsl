// winograd: F(4×4, 3×3), a convolution of stride 1 in a quarter of the products.         arXiv:1509.09308, arXiv:1803.10986
//   Y = Aᵀ[ Σ_c (G g Gᵀ) ⊙ (Bᵀ d B) ]A      d: 6×6 of x, g: 3×3 weights, Y: 4×4 of y, ⊙ elementwise
// For each of the 36 elements the sum over channels is a product of matrices: a 1×1 convolution (conv2d.wgsl) whose images
// are the elements, each with weights of its own. Points 0, ±1/√2, ±√2, ∞: they lose one bit, where 0, ±1, ±2, ∞ lose three.
//        1   0   −5/2   0   1   0             1     0     0             1   1     1    1    1  0
//        0   √2   2   −1/√2 −1  0            2/3  √2/3   1/3            0  1/√2 −1/√2  √2  −√2 0
//   Bᵀ = 0  −√2   2    1/√2 −1  0       G =  2/3 −√2/3   1/3      Aᵀ =  0  1/2   1/2   2    2  0
//        0 −1/√2 −1/2   √2   1  0            1/6  √2/6   1/3            0 1/√8 −1/√8  √8  −√8  1
//        0  1/√2 −1/2  −√2   1  0            1/6 −√2/6   1/3
//        0   1    0   −5/2   0  1             0     0     1
// Tiles are taken four side by side, a quad, one in each component of a vec4. Bands of quads keep v and p small, slices of
// the output channels u.
// x, mask: f32[N,C,XH,XW]   u: f32[36], then as the packed weights of a 1×1 convolution   v: f32[36,C,1,4·band]
// p: f32[36,slice,1,4·band]   bias: f32[M]   y: f32[N,M,H,W]   moments: vec4[N,M,quads of an image], as norm.wgsl takes them
// dispatch [⌈band/LANES⌉, C or slice, 1]
#import lib/border.wgsl
#import lib/index.wgsl
const LANES: u32 = 8u;
const PACK: u32 = 32u; // channels packed side by side
const MASKED: bool = false; // apply the gradient of a ReLU whose output is `mask`
const BIAS: bool = true;
const RELU: bool = true;
const HALF: f32 = 0.70710678118654752; // 1/√2

struct Params {
    channels_in: u32,
    channels_out: u32,
    height: u32, // of y
    width: u32,
    input_height: u32, // of x
    input_width: u32,
    before: i32, // rows and columns of the border before x
    tiles_down: u32, // of an image
    quads_across: u32,
    quads: u32, // of all images
    first: u32, // quad of the band
    band: u32, // quads
    first_channel: u32, // of y, that the slice begins with
    slice: u32, // channels
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> x_rows: array<vec4<f32>>; // x, if its width is a multiple of 4
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read> mask_rows: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> p: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> bias: array<f32>;
@group(0) @binding(8) var<storage, read_write> y: array<f32>;
@group(0) @binding(9) var<storage, read_write> y_rows: array<vec4<f32>>; // y, if its width is a multiple of 4
@group(0) @binding(13) var<storage, read_write> moments: array<vec4<f32>>;

alias Six = array<vec4<f32>, 6>;

// Bᵀ of a column
fn transform_input(d: Six) -> Six {
    let a = HALF * (2.0 * d[1] - d[3]);
    let b = 2.0 * d[2] - d[4];
    let e = HALF * (2.0 * d[3] - d[1]);
    let f = d[4] - 0.5 * d[2];
    return Six(d[0] - 2.5 * d[2] + d[4], b + a, b - a, f + e, f - e, d[1] - 2.5 * d[3] + d[5]);
}

// Aᵀ of a column
fn transform_output(m: Six) -> array<vec4<f32>, 4> {
    let a = m[1] + m[2];
    let b = HALF * (m[1] - m[2]);
    let e = m[3] + m[4];
    let f = HALF * (m[3] - m[4]);
    return array<vec4<f32>, 4>(m[0] + a + e, b + 2.0 * f, 0.5 * a + 2.0 * e, 0.5 * b + 4.0 * f + m[5]);
}

// G of a column
fn transform_weights(g: array<vec4<f32>, 3>) -> Six {
    let a = (2.0 * g[0] + g[2]) / 3.0;
    let b = 2.0 * HALF / 3.0 * g[1];
    let e = g[0] / 6.0 + g[2] / 3.0;
    let f = HALF / 3.0 * g[1];
    return Six(g[0], a + b, a - b, e + f, e - f, g[2]);
}

struct Place {
    image: u32,
    row: u32, // of y, the quad's first
    column: u32,
}

fn place_of(quad: u32) -> Place {
    let at = min(params.first + quad, params.quads - 1u); // past the last one, again the last
    let row = at / params.quads_across;
    return Place(row / params.tiles_down, row % params.tiles_down * 4u, at % params.quads_across * 16u);
}

// Writes the quad's 36 elements, from its six rows after Bᵀ along them.
fn finish_input(rows: array<Six, 6>, c: u32, quad: u32) {
    for (var k = 0u; k < 6u; k++) {
        let column = transform_input(Six(rows[0][k], rows[1][k], rows[2][k], rows[3][k], rows[4][k], rows[5][k]));
        for (var r = 0u; r < 6u; r++) {
            v[((r * 6u + k) * params.channels_in + c) * params.band + quad] = column[r];
        }
    }
}

@compute @workgroup_size(LANES)
fn input(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quad = workgroup.x * LANES + lane;
    let c = workgroup.y;
    if (quad >= params.band) {
        return;
    }
    let place = place_of(quad);
    let plane = (place.image * params.channels_in + c) * params.input_height;
    var rows: array<Six, 6>;
    for (var r = 0u; r < 6u; r++) {
        let i = border_source(i32(place.row + r) - params.before, i32(params.input_height));
        var seen: array<f32, 18>;
        for (var e = 0u; e < 18u; e++) {
            let j = border_source(i32(place.column + e) - params.before, i32(params.input_width));
            var value = 0.0;
            if (i >= 0 && j >= 0) {
                let at = (plane + u32(i)) * params.input_width + u32(j);
                value = x[at];
                if (MASKED && !(mask[at] > 0.0)) {
                    value = 0.0;
                }
            }
            seen[e] = value;
        }
        var d: Six;
        for (var k = 0u; k < 6u; k++) {
            d[k] = vec4<f32>(seen[k], seen[k + 4u], seen[k + 8u], seen[k + 12u]);
        }
        rows[r] = transform_input(d);
    }
    finish_input(rows, c, quad);
}

fn four(at: u32) -> vec4<f32> {
    if (MASKED) {
        return select(vec4<f32>(0.0), x_rows[at], mask_rows[at] > vec4<f32>(0.0));
    }
    return x_rows[at];
}

// The same where the rows of x are whole vec4s, SCALE is 1 and one column of border stands before it.
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
    let plane = (place.image * params.channels_in + c) * params.input_height;
    let across = params.input_width / 4u;
    let first = place.column / 4u;
    var rows: array<Six, 6>;
    for (var r = 0u; r < 6u; r++) {
        let i = border_source(i32(place.row + r) - 1, i32(params.input_height));
        var d: Six;
        if (i >= 0) {
            let at = (plane + u32(i)) * across;
            var tiles: array<vec4<f32>, 4>;
            for (var t = 0u; t < 4u; t++) {
                tiles[t] = four(at + min(first + t, across - 1u));
            }
            var after: vec4<f32>; // the column behind each tile, of which only the row's last is not its neighbour's first
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
                        after[t] = four(at + first + 4u).x;
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
                before = four(at + first - 1u).w;
            }
            d[0] = vec4<f32>(before, tiles[0].w, tiles[1].w, tiles[2].w);
            for (var k = 0u; k < 4u; k++) {
                d[k + 1u] = vec4<f32>(tiles[0][k], tiles[1][k], tiles[2][k], tiles[3][k]);
            }
            d[5] = after;
        }
        rows[r] = transform_input(d);
    }
    finish_input(rows, c, quad);
}

// The quad's 4 rows of 4 columns of y, a tile in each component.
fn finish_output(m: u32, quad: u32) -> array<array<vec4<f32>, 4>, 4> {
    var rows: array<array<vec4<f32>, 4>, 6>;
    for (var r = 0u; r < 6u; r++) {
        var elements: Six;
        for (var k = 0u; k < 6u; k++) {
            elements[k] = p[((r * 6u + k) * params.slice + m) * params.band + quad];
        }
        rows[r] = transform_output(elements);
    }
    var result: array<array<vec4<f32>, 4>, 4>;
    for (var k = 0u; k < 4u; k++) {
        let column = transform_output(Six(rows[0][k], rows[1][k], rows[2][k], rows[3][k], rows[4][k], rows[5][k]));
        for (var r = 0u; r < 4u; r++) {
            var value = column[r];
            if (BIAS) {
                value += vec4<f32>(bias[params.first_channel + m]);
            }
            if (RELU) {
                value = select(value, vec4<f32>(0.0), value < vec4<f32>(0.0)); // `max` would make 0 of a NaN
            }
            result[r][k] = value;
        }
    }
    return result;
}

@compute @workgroup_size(LANES)
fn output(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quad = workgroup.x * LANES + lane;
    let m = workgroup.y;
    if (quad >= params.band || params.first + quad >= params.quads) {
        return;
    }
    let place = place_of(quad);
    let plane = (place.image * params.channels_out + params.first_channel + m) * params.height;
    let result = finish_output(m, quad);
    for (var r = 0u; r < 4u; r++) {
        let at = (plane + place.row + r) * params.width + place.column;
        for (var t = 0u; t < 4u; t++) {
            for (var k = 0u; k < 4u; k++) {
                if (place.row + r < params.height && place.column + 4u * t + k < params.width) {
                    y[at + 4u * t + k] = result[r][k][t];
                }
            }
        }
    }
}

// The same where the rows of y are whole vec4s.
fn write_rows(place: Place, m: u32, result: array<array<vec4<f32>, 4>, 4>) {
    let plane = (place.image * params.channels_out + params.first_channel + m) * params.height;
    let across = params.width / 4u;
    for (var r = 0u; r < 4u; r++) {
        let at = (plane + place.row + r) * across + place.column / 4u;
        for (var t = 0u; t < 4u; t++) {
            if (place.row + r < params.height && place.column / 4u + t < across) {
                y_rows[at + t] = vec4<f32>(result[r][0][t], result[r][1][t], result[r][2][t], result[r][3][t]);
            }
        }
    }
}

@compute @workgroup_size(LANES)
fn output_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quad = workgroup.x * LANES + lane;
    if (quad < params.band && params.first + quad < params.quads) {
        write_rows(place_of(quad), workgroup.y, finish_output(workgroup.y, quad));
    }
}

// Moments of the quad's values that lie inside y, whole tiles in so many rows. Measured from the first: where all are equal,
// nothing is rounded.
fn moments_of(rows: array<array<vec4<f32>, 4>, 4>, inside: u32, tiles: vec4<bool>) -> vec4<f32> {
    let origin = rows[0][0].x;
    let height = min(inside, 4u);
    var sums = vec4<f32>(0.0);
    for (var r = 0u; r < height; r++) {
        for (var k = 0u; k < 4u; k++) {
            sums += rows[r][k] - origin;
        }
    }
    sums = select(vec4<f32>(0.0), sums, tiles);
    let count = 4.0 * f32(height) * dot(select(vec4<f32>(0.0), vec4<f32>(1.0), tiles), vec4<f32>(1.0));
    let average = origin + ((sums.x + sums.y) + (sums.z + sums.w)) / count;
    var squares = vec4<f32>(0.0);
    for (var r = 0u; r < height; r++) {
        for (var k = 0u; k < 4u; k++) {
            squares += (rows[r][k] - average) * (rows[r][k] - average);
        }
    }
    squares = select(vec4<f32>(0.0), squares, tiles);
    return vec4<f32>(count, average, (squares.x + squares.y) + (squares.z + squares.w), 0.0);
}

// The same again before a norm: also the quad's moments.
@compute @workgroup_size(LANES)
fn output_measured(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quad = workgroup.x * LANES + lane;
    let m = workgroup.y;
    if (quad >= params.band || params.first + quad >= params.quads) {
        return;
    }
    let place = place_of(quad);
    let result = finish_output(m, quad);
    write_rows(place, m, result);
    let plane = place.image * params.channels_out + params.first_channel + m;
    let an_image = params.tiles_down * params.quads_across;
    let columns = vec4<u32>(place.column) + vec4<u32>(0u, 4u, 8u, 12u);
    moments[plane * an_image + (params.first + quad) % an_image] =
        moments_of(result, params.height - place.row, columns < vec4<u32>(params.width));
}

// u of weights that are packed for a 3×3 convolution. A thread makes four output channels of an input channel.
// dispatch: ⌈⌈slice/PACK⌉·PACK·C/256⌉ workgroups, folded into rows
struct WeightsParams {
    first: u32, // packed weight that the slice begins with
    pitch: u32, // taps that a row takes up among them
    pairs: u32, // of an input and an output channel, in fours
}

@group(0) @binding(10) var<uniform> weights_params: WeightsParams;
@group(0) @binding(11) var<storage, read> packed: array<vec4<f32>>;
@group(0) @binding(12) var<storage, read_write> u: array<vec4<f32>>;

@compute @workgroup_size(64)
fn weights(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at >= weights_params.pairs) {
        return;
    }
    const FOURS: u32 = PACK / 4u;
    let tap = weights_params.first / 4u + at / FOURS * 3u * weights_params.pitch * FOURS + at % FOURS;
    var rows: array<Six, 3>;
    for (var r = 0u; r < 3u; r++) {
        var g: array<vec4<f32>, 3>;
        for (var k = 0u; k < 3u; k++) {
            g[k] = packed[tap + (r * weights_params.pitch + k) * FOURS];
        }
        rows[r] = transform_weights(g);
    }
    for (var k = 0u; k < 6u; k++) {
        let column = transform_weights(array<vec4<f32>, 3>(rows[0][k], rows[1][k], rows[2][k]));
        for (var r = 0u; r < 6u; r++) {
            u[(r * 6u + k) * weights_params.pairs + at] = column[r];
        }
    }
}
