// conv2d_broadcast: the sums of conv2d.wgsl for software adapters.
//   y[n,m,s·i+f,s·j+f'] = act( b[m] + Σ_{c,u,v} w[m,c,u,v] · x[n,c,S·i+u−t,S·j+v−t'] )
// A lane holds 4 neighbouring pixels of TILE output channels. On a software driver a load is a loop over the lanes, which
// costs as much as a hundred sums, little more for a vec4 than for a float, and as much where all lanes read one address. So
// everything is loaded as vec4, and 32 weights at once, 4 a lane, handed round by subgroupBroadcast. What a loop carries is
// stored under a mask at its end; so as many taps as there are in a row, of DEPTH channels, meet each sum in one turn.
// There is no border code: x comes with its border (shaders/pad.wgsl), its rows multiples of 4 long, and t ≤ 0.
// x: f32[N,C,XH,XW]   weights: packed by conv2d.wgsl with PACK = TILE and PITCH   bias: f32[M]   y: f32[N,M,YH,YW]
// dispatch [⌈quads/8⌉, ⌈M/TILE⌉, N], quads = H·⌈W/4⌉; needs subgroups of 8 lanes or more
#import lib/conv2d.wgsl
const TILE: u32 = 32u; // 8, 16 or 32
const DEPTH: u32 = 1u; // a divisor of C
const OFFSET: u32 = 0u; // −t', known when the kernel is made
const BIAS: bool = true;
const RELU: bool = true;
const ALIGNED: u32 = (OFFSET + 3u * STRIDE + COLUMNS + 3u) / 4u; // vec4s of a row of x that a lane's pixels see
const PITCH: u32 = (COLUMNS * TILE + 31u) / 32u * 32u / TILE; // taps that a row takes up among the packed weights
const LOADS: u32 = PITCH * TILE / 32u; // of the weights of a row
const FOURS: u32 = TILE / 4u;

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> y_rows: array<vec4<f32>>; // y, if W is a multiple of 4 and s = 1

// What each of 8 lanes has loaded.
fn spread(w: vec4<f32>) -> array<vec4<f32>, 8> {
    return array<vec4<f32>, 8>(
        subgroupBroadcast(w, 0u),
        subgroupBroadcast(w, 1u),
        subgroupBroadcast(w, 2u),
        subgroupBroadcast(w, 3u),
        subgroupBroadcast(w, 4u),
        subgroupBroadcast(w, 5u),
        subgroupBroadcast(w, 6u),
        subgroupBroadcast(w, 7u),
    );
}

// Adds to four channels the products with the weights that lane `l` has loaded. (Called once a lane: drivers unroll a loop
// of this size at times, and one left as it is keeps the sums in memory.)
fn meet(
    sum: ptr<function, array<array<vec4<f32>, 4>, FOURS>>,
    w: ptr<function, array<array<array<vec4<f32>, 8>, LOADS>, DEPTH>>,
    pixels: ptr<function, array<array<vec4<f32>, COLUMNS>, DEPTH>>,
    l: u32,
) {
    for (var k = 0u; k < 4u; k++) {
        for (var d = 0u; d < DEPTH; d++) {
            for (var i = 0u; i < LOADS; i++) {
                let v = i * 8u / FOURS + l / FOURS;
                if (v < COLUMNS) {
                    (*sum)[l % FOURS][k] += (*w)[d][i][l][k] * (*pixels)[d][v];
                }
            }
        }
    }
}

// The sums of the lane's pixels, from `column` on, with bias and activation.
fn sums(workgroup: vec3<u32>, lane: u32, row: u32, column: u32) -> array<vec4<f32>, TILE> {
    var sum: array<array<vec4<f32>, 4>, FOURS>;
    for (var m = 0u; m < TILE; m++) {
        sum[m / 4u][m % 4u] = vec4<f32>(0.0);
    }
    let across = params.input_width / 4u;
    let plane = params.input_height * across;
    var weight_at = (workgroup.z * params.weights_stride + params.weights_first) / 4u
        + workgroup.y * params.channels_in * ROWS * LOADS * 8u + lane;
    let first_row = u32(i32(row * STRIDE) - params.before_row);
    var channel_at = workgroup.z * params.channels_in * plane + first_row * across + column * STRIDE / 4u;
    for (var c = 0u; c < params.channels_in; c += DEPTH) {
        var row_at = channel_at;
        for (var u = 0u; u < ROWS; u++) {
            var pixels: array<array<vec4<f32>, COLUMNS>, DEPTH>;
            var w: array<array<array<vec4<f32>, 8>, LOADS>, DEPTH>;
            for (var d = 0u; d < DEPTH; d++) {
                var input: array<vec4<f32>, ALIGNED>;
                for (var i = 0u; i < ALIGNED; i++) {
                    input[i] = x[row_at + d * plane + i];
                }
                for (var v = 0u; v < COLUMNS; v++) {
                    for (var p = 0u; p < 4u; p++) {
                        let at = OFFSET + v + p * STRIDE;
                        pixels[d][v][p] = input[at / 4u][at % 4u];
                    }
                }
                for (var i = 0u; i < LOADS; i++) {
                    w[d][i] = spread(weights[weight_at + (d * ROWS * LOADS + i) * 8u]);
                }
            }
            meet(&sum, &w, &pixels, 0u);
            meet(&sum, &w, &pixels, 1u);
            meet(&sum, &w, &pixels, 2u);
            meet(&sum, &w, &pixels, 3u);
            meet(&sum, &w, &pixels, 4u);
            meet(&sum, &w, &pixels, 5u);
            meet(&sum, &w, &pixels, 6u);
            meet(&sum, &w, &pixels, 7u);
            weight_at += LOADS * 8u;
            row_at += across;
        }
        weight_at += (DEPTH - 1u) * ROWS * LOADS * 8u;
        channel_at += DEPTH * plane;
    }
    var result: array<vec4<f32>, TILE>;
    for (var m = 0u; m < TILE; m++) {
        var value = sum[m / 4u][m % 4u];
        if (BIAS) {
            value += vec4<f32>(bias[min(workgroup.y * TILE + m, params.channels_out - 1u)]);
        }
        if (RELU) {
            value = select(value, vec4<f32>(0.0), value < vec4<f32>(0.0)); // `max` would make 0 of a NaN
        }
        result[m] = value;
    }
    return result;
}

@compute @workgroup_size(8)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quads_across = (params.width + 3u) / 4u;
    let quad = workgroup.x * 8u + lane;
    let quad_read = min(quad, quads_across * params.height - 1u); // every lane must stay for the broadcasts
    let row = quad_read / quads_across;
    let column = (quad_read % quads_across) * 4u;
    let sum = sums(workgroup, lane, row, column);
    if (quad != quad_read) {
        return;
    }
    for (var m = 0u; m < TILE; m++) {
        let channel = workgroup.y * TILE + m;
        if (channel < params.channels_out) {
            let out_row = params.first_row + params.step * row;
            let out_column = params.first_column + params.step * column;
            let out_plane = workgroup.z * params.channels_out + channel;
            let out = (out_plane * params.output_height + out_row) * params.output_width + out_column;
            y[out] = sum[m].x;
            if (column + 1u < params.width) {
                y[out + params.step] = sum[m].y;
            }
            if (column + 2u < params.width) {
                y[out + 2u * params.step] = sum[m].z;
            }
            if (column + 3u < params.width) {
                y[out + 3u * params.step] = sum[m].w;
            }
        }
    }
}

// The same where the rows of y are whole vec4s.
@compute @workgroup_size(8)
fn forward_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quads_across = params.width / 4u;
    let quad = workgroup.x * 8u + lane;
    let quad_read = min(quad, quads_across * params.height - 1u);
    let sum = sums(workgroup, lane, quad_read / quads_across, quad_read % quads_across * 4u);
    if (quad != quad_read) {
        return;
    }
    for (var m = 0u; m < TILE; m++) {
        let channel = workgroup.y * TILE + m;
        if (channel < params.channels_out) {
            let out_plane = workgroup.z * params.channels_out + channel;
            y_rows[out_plane * params.height * quads_across + quad] = sum[m];
        }
    }
}
