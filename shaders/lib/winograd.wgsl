// winograd: F(t×t, 3×3), a convolution of stride 1 by transformed tiles (arXiv:1509.09308, arXiv:1803.10986).
//   Y = Aᵀ[ Σ_c (G g Gᵀ) ⊙ (Bᵀ d B) ]A      d: e×e tile of x, read through load.wgsl   g: 3×3 weights
//   Y: t×t tile of y   ⊙: elementwise product   t = TILE, e = EDGE = t + 2
//   A, B and G: winograd_4.wgsl and winograd_2.wgsl
// For each of the e² elements, the sum over channels is a matrix product. It is computed as a 1×1 convolution
// (conv2d.wgsl) with the elements as images, each with its own weights. A quad is four tiles side by side, one in each
// component of a vec4. Processing quads in bands bounds the size of v and p; processing output channels in slices
// bounds the size of u.
// x: f32[N,C,XH,XW]   u: f32[e², packed weights of a 1×1 convolution]   v: f32[e²,C,1,4·band]
// p: f32[e²,slice,1,4·band]   bias: f32[M]   y: f32[N,M,H,W]   moments: vec4[N,M,quads of an image], see norm.wgsl
// dispatch [⌈band/LANES⌉, C or slice, 1]
const EDGE: u32 = TILE + 2u;
alias Edge = array<vec4<f32>, EDGE>; // one row or column of e elements, for each of four tiles
alias Side = array<vec4<f32>, TILE>;

const LANES: u32 = 8u;
const PACK: u32 = 32u; // output channels that are interleaved in the packed weights

struct Params {
    channels_in: u32,
    channels_out: u32,
    height: u32, // of y
    width: u32,
    input_height: u32, // of x
    input_width: u32,
    before: i32, // padding before x, in rows and columns
    tiles_down: u32, // per image
    quads_across: u32,
    quads: u32, // of all images
    first: u32, // first quad of the band
    band: u32, // quads in the band
    first_channel: u32, // first channel of the slice
    slice: u32, // channels of the slice
}

var<uniform> params: Params;
var<storage, read> x: array<f32>;
var<storage, read> x_rows: array<vec4<f32>>; // x, if its width is a multiple of 4
var<storage, read_write> v: array<vec4<f32>>;
var<storage, read> p: array<vec4<f32>>;
var<storage, read> bias: array<f32>;
var<storage, read_write> y: array<f32>;
var<storage, read_write> y_rows: array<vec4<f32>>; // y, if its width is a multiple of 4
var<storage, read_write> moments: array<vec4<f32>>;

struct Place {
    image: u32,
    row: u32, // of y, of the quad's first element
    column: u32,
}

fn place_of(quad: u32) -> Place {
    let at = min(params.first + quad, params.quads - 1u); // clamped to the last quad
    let row = at / params.quads_across;
    return Place(row / params.tiles_down, row % params.tiles_down * TILE, at % params.quads_across * (4u * TILE));
}

// Applies Bᵀ to the columns of `rows`, which are transformed along the other axis already, and writes the quad to v.
fn finish_input(rows: ptr<function, array<Edge, EDGE>>, c: u32, quad: u32) {
    for (var k = 0u; k < EDGE; k++) {
        let column = transform_input(column_of(rows, k));
        for (var r = 0u; r < EDGE; r++) {
            v[((r * EDGE + k) * params.channels_in + c) * params.band + quad] = column[r];
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
    let channel = place.image * params.channels_in + c;
    let norm = norm_of(channel);
    let plane = channel * params.input_height;
    var rows: array<Edge, EDGE>;
    for (var r = 0u; r < EDGE; r++) {
        let i = border_source(i32(place.row + r) - params.before, i32(params.input_height));
        var seen: array<f32, 4u * TILE + 2u>;
        for (var e = 0u; e < 4u * TILE + 2u; e++) {
            let j = border_source(i32(place.column + e) - params.before, i32(params.input_width));
            var value = 0.0;
            if (i >= 0 && j >= 0) {
                let at = (plane + u32(i)) * params.input_width + u32(j);
                value = loaded(x[at], at, norm);
            }
            seen[e] = value;
        }
        var d: Edge;
        for (var k = 0u; k < EDGE; k++) {
            d[k] = vec4<f32>(seen[k], seen[k + TILE], seen[k + 2u * TILE], seen[k + 3u * TILE]);
        }
        rows[r] = transform_input(d);
    }
    finish_input(&rows, c, quad);
}

// The quad's outputs [row][column], one tile per component.
fn finish_output(m: u32, quad: u32) -> array<Side, TILE> {
    var rows: array<Side, EDGE>;
    for (var r = 0u; r < EDGE; r++) {
        var elements: Edge;
        for (var k = 0u; k < EDGE; k++) {
            elements[k] = p[((r * EDGE + k) * params.slice + m) * params.band + quad];
        }
        rows[r] = transform_output(elements);
    }
    var result: array<Side, TILE>;
    for (var k = 0u; k < TILE; k++) {
        let column = transform_output(side_column_of(&rows, k));
        for (var r = 0u; r < TILE; r++) {
            result[r][k] = finished_four(column[r], params.first_channel + m);
        }
    }
    return result;
}

// Moments of those of the quad's first `rows` × `columns` outputs that it has. They are relative to the first output:
// constant outputs have a variance of exactly 0.
fn moments_of(values: array<Side, TILE>, rows: u32, columns: u32) -> vec4<f32> {
    let origin = values[0][0].x;
    let count = f32(min(rows, TILE) * min(columns, 4u * TILE));
    var average = origin;
    var squares = 0.0;
    for (var turn = 0u; turn < 2u; turn++) { // the mean, then the squared differences
        var sums = vec4<f32>(0.0);
        for (var r = 0u; r < TILE; r++) {
            for (var k = 0u; k < TILE; k++) {
                let at = TILE * vec4<u32>(0u, 1u, 2u, 3u) + k;
                let difference = values[r][k] - average;
                let term = select(difference, difference * difference, turn == 1u);
                sums += select(vec4<f32>(0.0), term, (at < vec4<u32>(columns)) & vec4<bool>(r < rows));
            }
        }
        let sum = (sums.x + sums.y) + (sums.z + sums.w);
        if (turn == 0u) {
            average = origin + sum / count;
        } else {
            squares = sum;
        }
    }
    return vec4<f32>(count, average, squares, 0.0);
}

fn measure(place: Place, m: u32, quad: u32, result: array<Side, TILE>) {
    let plane = place.image * params.channels_out + params.first_channel + m;
    let an_image = params.tiles_down * params.quads_across;
    moments[plane * an_image + (params.first + quad) % an_image] =
        moments_of(result, params.height - place.row, params.width - place.column);
}

fn write(place: Place, m: u32, result: array<Side, TILE>) {
    let plane = (place.image * params.channels_out + params.first_channel + m) * params.height;
    for (var r = 0u; r < TILE; r++) {
        let at = (plane + place.row + r) * params.width + place.column;
        for (var t = 0u; t < 4u; t++) {
            for (var k = 0u; k < TILE; k++) {
                if (place.row + r < params.height && place.column + TILE * t + k < params.width) {
                    y[at + TILE * t + k] = result[r][k][t];
                }
            }
        }
    }
}

// For outputs whose rows are whole vec4s.
fn write_rows(place: Place, m: u32, result: array<Side, TILE>) {
    let plane = (place.image * params.channels_out + params.first_channel + m) * params.height;
    let across = params.width / 4u;
    for (var r = 0u; r < TILE; r++) {
        let at = (plane + place.row + r) * across + place.column / 4u;
        for (var f = 0u; f < TILE; f++) {
            if (place.row + r < params.height && place.column / 4u + f < across) {
                y_rows[at + f] = four_of(result[r], f);
            }
        }
    }
}

fn is_made(quad: u32) -> bool {
    return quad < params.band && params.first + quad < params.quads;
}

@compute @workgroup_size(LANES)
fn output(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quad = workgroup.x * LANES + lane;
    if (is_made(quad)) {
        let result = finish_output(workgroup.y, quad);
        write(place_of(quad), workgroup.y, result);
    }
}

@compute @workgroup_size(LANES)
fn output_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quad = workgroup.x * LANES + lane;
    if (is_made(quad)) {
        let result = finish_output(workgroup.y, quad);
        write_rows(place_of(quad), workgroup.y, result);
    }
}

// `output` and `output_rows` before a norm: they also write the quad's moments.
@compute @workgroup_size(LANES)
fn output_measured(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quad = workgroup.x * LANES + lane;
    if (is_made(quad)) {
        let result = finish_output(workgroup.y, quad);
        write(place_of(quad), workgroup.y, result);
        measure(place_of(quad), workgroup.y, quad, result);
    }
}

@compute @workgroup_size(LANES)
fn output_rows_measured(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quad = workgroup.x * LANES + lane;
    if (is_made(quad)) {
        let result = finish_output(workgroup.y, quad);
        write_rows(place_of(quad), workgroup.y, result);
        measure(place_of(quad), workgroup.y, quad, result);
    }
}

// Transforms packed weights of a 3×3 convolution. A thread computes four output channels of one input channel.
// dispatch: ⌈⌈slice/PACK⌉·PACK·C/256⌉ workgroups, folded into rows
struct WeightsParams {
    first: u32, // first packed weight of the slice
    pitch: u32, // taps of a row in the packed weights
    pairs: u32, // pairs of an input channel and four output channels
}

var<uniform> weights_params: WeightsParams;
var<storage, read> packed: array<vec4<f32>>;
var<storage, read_write> u: array<vec4<f32>>;

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
    var rows: array<Edge, 3>;
    for (var r = 0u; r < 3u; r++) {
        var g: array<vec4<f32>, 3>;
        for (var k = 0u; k < 3u; k++) {
            g[k] = packed[tap + (r * weights_params.pitch + k) * FOURS];
        }
        rows[r] = transform_weights(g);
    }
    for (var k = 0u; k < EDGE; k++) {
        let column = transform_weights(array<vec4<f32>, 3>(rows[0][k], rows[1][k], rows[2][k]));
        for (var r = 0u; r < EDGE; r++) {
            u[(r * EDGE + k) * weights_params.pairs + at] = column[r];
        }
    }
}
