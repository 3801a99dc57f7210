// winograd: F(t×t, 3×3), a convolution of stride 1 by transformed tiles (arXiv:1509.09308, arXiv:1803.10986).
//   Y = Aᵀ[ Σ_c (G g Gᵀ) ⊙ (Bᵀ d B) ]A      d: e×e tile of x, read through load.wgsl   g: 3×3 weights
//   Y: t×t tile of y   ⊙: elementwise product   t = TILE, e = EDGE = t + 2
//   A, B and G: winograd_4.wgsl and winograd_2.wgsl
// For each of the e² elements, the sum over channels is a matrix product. It is computed as a 1×1 convolution
// (conv2d.wgsl) with the elements as images, each with its own weights. A quad is four tiles side by side. A thread
// transforms WIDTH of them: one (winograd_one.wgsl), for GPUs, as the 36 elements of a tile in as many registers leave
// room for many threads; or a whole quad as the components of vec4s (winograd_four.wgsl), for software adapters.
// Processing quads in bands bounds the size of v and p; processing output channels in slices bounds the size of u.
// x: f32[N,C,XH,XW]   u: f32[e², packed weights of a 1×1 convolution]   v: f32[e²,C,1,4·band]
// p: f32[e²,slice,1,4·band]   bias: f32[M]   y: f32[N,M,H,W]   moments: vec4[N,M,quads of an image], see norm.wgsl
// dispatch [⌈4·band/WIDTH/LANES⌉, C or slice, 1]
const EDGE: u32 = TILE + 2u;
const SEEN: u32 = WIDTH * TILE + 2u; // columns of x that a thread's tiles read
const QUAD: u32 = 4u / WIDTH; // threads of a quad
alias Edge = array<element, EDGE>; // one row or column of e elements, for each tile of a thread
alias Side = array<element, TILE>;

const LANES: u32 = 8u; // a multiple of QUAD
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
var<storage, read_write> v: array<element>;
var<storage, read> p: array<element>;
var<storage, read> bias: array<f32>;
var<storage, read_write> y: array<f32>;
var<storage, read_write> y_rows: array<vec4<f32>>; // y, if its width is a multiple of 4
var<storage, read_write> moments: array<vec4<f32>>;

struct Place {
    image: u32,
    row: u32, // of y, of the first element of a thread's tiles
    column: u32,
}

// Where the tiles of thread `at` of the band are.
fn place_of(at: u32) -> Place {
    let quad = min(params.first + at / QUAD, params.quads - 1u); // clamped to the last quad
    let row = quad / params.quads_across;
    let column = quad % params.quads_across * 4u + at % QUAD;
    return Place(row / params.tiles_down, row % params.tiles_down * TILE, column * TILE);
}

// Applies Bᵀ to the columns of `rows`, which are transformed along the other axis already, and writes the tiles to v.
fn finish_input(rows: ptr<function, array<Edge, EDGE>>, c: u32, at: u32) {
    for (var k = 0u; k < EDGE; k++) {
        var d: Edge;
        for (var r = 0u; r < EDGE; r++) {
            d[r] = (*rows)[r][k];
        }
        let column = transform_input(d);
        for (var r = 0u; r < EDGE; r++) {
            v[((r * EDGE + k) * params.channels_in + c) * params.band * QUAD + at] = column[r];
        }
    }
}

@compute @workgroup_size(LANES)
fn input(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = workgroup.x * LANES + lane;
    let c = workgroup.y;
    if (at >= params.band * QUAD) {
        return;
    }
    let place = place_of(at);
    let channel = place.image * params.channels_in + c;
    let norm = norm_of(channel);
    let plane = channel * params.input_height;
    var rows: array<Edge, EDGE>;
    for (var r = 0u; r < EDGE; r++) {
        let i = border_source(i32(place.row + r) - params.before, i32(params.input_height));
        var seen: Seen;
        for (var e = 0u; e < SEEN; e++) {
            let j = border_source(i32(place.column + e) - params.before, i32(params.input_width));
            let is_there = i >= 0 && j >= 0;
            let source = select(0u, (plane + u32(i)) * params.input_width + u32(j), is_there);
            seen[e] = select(0.0, loaded(x[source], source, norm), is_there);
        }
        var d: Edge;
        for (var k = 0u; k < EDGE; k++) {
            d[k] = of_tiles(seen, k);
        }
        rows[r] = transform_input(d);
    }
    finish_input(&rows, c, at);
}

// The outputs of a thread's tiles [row][column].
fn finish_output(m: u32, at: u32) -> array<Side, TILE> {
    var rows: array<Side, EDGE>;
    for (var r = 0u; r < EDGE; r++) {
        var elements: Edge;
        for (var k = 0u; k < EDGE; k++) {
            elements[k] = p[((r * EDGE + k) * params.slice + m) * params.band * QUAD + at];
        }
        rows[r] = transform_output(elements);
    }
    var result: array<Side, TILE>;
    for (var k = 0u; k < TILE; k++) {
        var elements: Edge;
        for (var r = 0u; r < EDGE; r++) {
            elements[r] = rows[r][k];
        }
        let column = transform_output(elements);
        for (var r = 0u; r < TILE; r++) {
            result[r][k] = finished_element(column[r], params.first_channel + m);
        }
    }
    return result;
}

// Moments of those of the tiles' outputs that y has. They are relative to the first output: constant outputs have a
// variance of exactly 0.
fn moments_of(place: Place, values: array<Side, TILE>) -> vec4<f32> {
    let rows = params.height - place.row;
    let columns = params.width - min(place.column, params.width); // a quad's last tiles may lie beyond the edge
    let origin = first_of(values[0][0]);
    let count = f32(min(rows, TILE) * min(columns, WIDTH * TILE));
    var average = origin;
    var squares = 0.0;
    for (var turn = 0u; turn < 2u; turn++) { // the mean, then the squared differences
        var sums = element(0.0);
        for (var r = 0u; r < TILE; r++) {
            for (var k = 0u; k < TILE; k++) {
                let difference = values[r][k] - average;
                let term = select(difference, difference * difference, turn == 1u);
                sums += if_there(term, k, select(0u, columns, r < rows));
            }
        }
        let sum = sum_of(sums);
        if (turn == 0u) {
            average = origin + sum / max(count, 1.0);
        } else {
            squares = sum;
        }
    }
    return vec4<f32>(count, average, squares, 0.0);
}

// Index of channel m of an image of y, in planes.
fn plane_of(place: Place, m: u32) -> u32 {
    return place.image * params.channels_out + params.first_channel + m;
}

// Writes the moments of the quad whose first thread is `at`.
fn write_moments(place: Place, m: u32, at: u32, moments_of_quad: vec4<f32>) {
    let an_image = params.tiles_down * params.quads_across;
    moments[plane_of(place, m) * an_image + (params.first + at / QUAD) % an_image] = moments_of_quad;
}

fn write(place: Place, m: u32, result: array<Side, TILE>) {
    let plane = plane_of(place, m) * params.height;
    for (var r = 0u; r < TILE; r++) {
        let at = (plane + place.row + r) * params.width + place.column;
        for (var t = 0u; t < WIDTH; t++) {
            for (var k = 0u; k < TILE; k++) {
                if (place.row + r < params.height && place.column + TILE * t + k < params.width) {
                    y[at + TILE * t + k] = component(result[r][k], t);
                }
            }
        }
    }
}

fn is_made(at: u32) -> bool {
    return at < params.band * QUAD && params.first + at / QUAD < params.quads;
}

@compute @workgroup_size(LANES)
fn output(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = workgroup.x * LANES + lane;
    if (is_made(at)) {
        let result = finish_output(workgroup.y, at);
        write(place_of(at), workgroup.y, result);
    }
}

// `output` before a norm: it also writes the moments of each quad.
@compute @workgroup_size(LANES)
fn output_measured(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = workgroup.x * LANES + lane;
    let place = place_of(at);
    var part = vec4<f32>(0.0);
    if (is_made(at)) {
        let result = finish_output(workgroup.y, at);
        write(place, workgroup.y, result);
        part = moments_of(place, result);
    }
    let whole = merged(part, lane);
    if (is_made(at) && at % QUAD == 0u) {
        write_moments(place, workgroup.y, at, whole);
    }
}

// Transforms packed weights of a 3×3 convolution. A thread computes WIDTH output channels of one input channel.
// dispatch: ⌈⌈slice/PACK⌉·PACK·C/WIDTH/64⌉ workgroups, folded into rows
struct WeightsParams {
    first: u32, // first packed weight of the slice
    pitch: u32, // taps of a row in the packed weights
    count: u32, // threads: pairs of an input channel and WIDTH output channels
}

var<uniform> weights_params: WeightsParams;
var<storage, read> packed: array<element>;
var<storage, read_write> u: array<element>;

@compute @workgroup_size(64)
fn weights(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at >= weights_params.count) {
        return;
    }
    const ACROSS: u32 = PACK / WIDTH;
    let tap = weights_params.first / WIDTH + at / ACROSS * 3u * weights_params.pitch * ACROSS + at % ACROSS;
    var rows: array<Edge, 3>;
    for (var r = 0u; r < 3u; r++) {
        var g: array<element, 3>;
        for (var k = 0u; k < 3u; k++) {
            g[k] = packed[tap + (r * weights_params.pitch + k) * ACROSS];
        }
        rows[r] = transform_weights(g);
    }
    for (var k = 0u; k < EDGE; k++) {
        let column = transform_weights(array<element, 3>(rows[0][k], rows[1][k], rows[2][k]));
        for (var r = 0u; r < EDGE; r++) {
            u[(r * EDGE + k) * weights_params.count + at] = column[r];
        }
    }
}
