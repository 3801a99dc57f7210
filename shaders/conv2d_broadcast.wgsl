// conv2d_broadcast: the sums of conv2d.wgsl for software adapters.
// There, a load is a loop over the lanes. It costs as much as a hundred multiply-adds, hardly more for a vec4 than for
// a float, and no less where all lanes read one address. Therefore:
// - A lane computes 4 neighbouring pixels of HEIGHT rows for TILE output channels.
// - Every load is a vec4. Eight lanes load 32 weights at once, 4 per lane, and share them by subgroupBroadcast.
// - A loop stores its accumulators under a mask at the end of every iteration. So each iteration applies a whole row of
//   taps, for DEPTH input channels, to every accumulator.
// - There is no border code: x is padded (pad.wgsl), its rows are multiples of 4 long, and t, t' ≤ 0.
// x: f32[N,C,XH,XW]   weights: packed by conv2d.wgsl with PACK = TILE and PITCH   bias: f32[M]   y: f32[N,M,YH,YW]
// dispatch [⌈quads/8⌉, ⌈M/TILE⌉, N], quads = ⌈H/HEIGHT⌉·⌈W/4⌉; needs subgroups of 8 lanes or more
#import lib/conv2d.wgsl
#import lib/broadcast_eight.wgsl
#import lib/epilogue.wgsl
const TILE: u32 = 32u; // 4, 8, 16 or 32
const HEIGHT: u32 = 1u;
const DEPTH: u32 = 1u; // must divide C
const OFFSET: u32 = 0u; // −t', a compile-time constant
const ALIGNED: u32 = (OFFSET + 3u * STRIDE + COLUMNS + 3u) / 4u; // vec4s of a row of x that a lane's pixels read
const PITCH: u32 = (COLUMNS * TILE + 31u) / 32u * 32u / TILE; // taps of a packed row, padded to whole loads
const LOADS: u32 = PITCH * TILE / 32u; // loads per row of taps
const FOURS: u32 = TILE / 4u;
const SLIDING: bool = STRIDE == 1u && ROWS > 1u; // row h of this iteration is row h + 1 of the previous one

var<storage, read> x: array<vec4<f32>>;
var<storage, read> weights: array<vec4<f32>>;
var<storage, read> bias: array<f32>;
var<storage, read_write> y: array<f32>;
var<storage, read_write> y_rows: array<vec4<f32>>; // y, if W is a multiple of 4 and s = 1

alias Sums = array<array<array<vec4<f32>, 4>, FOURS>, HEIGHT>;
alias Weights = array<array<array<vec4<f32>, 8>, LOADS>, DEPTH>;
alias Line = array<vec4<f32>, ALIGNED>; // one row of x, as far as a lane's pixels read it
alias Pixels = array<array<array<vec4<f32>, COLUMNS>, DEPTH>, HEIGHT>; // the four pixels' inputs to each tap of a row

fn line(channel_at: u32, row: u32, across: u32) -> Line {
    let at = channel_at + min(row, params.input_height - 1u) * across; // rows past the last feed no stored output
    var result: Line;
    for (var i = 0u; i < ALIGNED; i++) {
        result[i] = x[at + i];
    }
    return result;
}

// Bias, sums and activation of the lane's pixels, from (row, column) on.
fn sums(workgroup: vec3<u32>, lane: u32, row: u32, column: u32) -> Sums {
    var sum: Sums;
    for (var m = 0u; m < TILE; m++) {
        var value = vec4<f32>(0.0);
        if (BIAS) {
            value = vec4<f32>(bias[min(workgroup.y * TILE + m, params.channels_out - 1u)]);
        }
        for (var h = 0u; h < HEIGHT; h++) {
            sum[h][m / 4u][m % 4u] = value;
        }
    }
    let across = params.input_width / 4u;
    let plane = params.input_height * across;
    let first_plane = workgroup.z * params.channels_in * plane + column * STRIDE / 4u;
    let first_row = u32(i32(row * STRIDE) - params.before_row);
    let first_weight = (workgroup.z * params.weights_stride + params.weights_first) / 4u
        + workgroup.y * params.channels_in * ROWS * LOADS * 8u + lane;
    var lines: array<array<Line, DEPTH>, HEIGHT>;
    // One flat loop, because every loop level stores all accumulators.
    for (var turn = 0u; turn < params.channels_in / DEPTH * ROWS; turn++) {
        let u = turn % ROWS;
        let c = turn / ROWS * DEPTH;
        let channel_at = first_plane + c * plane;
        if (SLIDING) { // ROWS > 1, so DEPTH is 1
            if (u == 0u) {
                for (var h = 1u; h < HEIGHT; h++) {
                    lines[h][0] = line(channel_at, first_row + h - 1u, across);
                }
            }
        }
        for (var h = 0u; h < HEIGHT; h++) {
            for (var d = 0u; d < DEPTH; d++) {
                if (SLIDING && h + 1u < HEIGHT) {
                    lines[h][d] = lines[h + 1u][d];
                } else {
                    lines[h][d] = line(channel_at + d * plane, first_row + h * STRIDE + u, across);
                }
            }
        }
        var pixels: Pixels;
        for (var h = 0u; h < HEIGHT; h++) {
            for (var d = 0u; d < DEPTH; d++) {
                for (var v = 0u; v < COLUMNS; v++) {
                    for (var p = 0u; p < 4u; p++) {
                        let at = OFFSET + v + p * STRIDE;
                        pixels[h][d][v][p] = lines[h][d][at / 4u][at % 4u];
                    }
                }
            }
        }
        var w: Weights;
        for (var d = 0u; d < DEPTH; d++) {
            for (var i = 0u; i < LOADS; i++) {
                w[d][i] = broadcast_eight(weights[first_weight + (((c + d) * ROWS + u) * LOADS + i) * 8u]);
            }
        }
        // The weights that lane l has loaded.
        for (var l = 0u; l < 8u; l++) {
            for (var h = 0u; h < HEIGHT; h++) {
                for (var k = 0u; k < 4u; k++) {
                    for (var d = 0u; d < DEPTH; d++) {
                        for (var i = 0u; i < LOADS; i++) {
                            let v = i * 8u / FOURS + l / FOURS;
                            if (v < COLUMNS) {
                                sum[h][l % FOURS][k] += w[d][i][l][k] * pixels[h][d][v];
                            }
                        }
                    }
                }
            }
        }
    }
    if (RELU) {
        for (var h = 0u; h < HEIGHT; h++) {
            for (var m = 0u; m < TILE; m++) {
                sum[h][m / 4u][m % 4u] = rectified_four(sum[h][m / 4u][m % 4u]);
            }
        }
    }
    return sum;
}

// The lane's first pixel: column, row, and whether it lies in the output. All lanes stay active for the broadcasts.
fn place(workgroup: vec3<u32>, lane: u32) -> vec3<u32> {
    let across = (params.width + 3u) / 4u;
    let down = (params.height + HEIGHT - 1u) / HEIGHT;
    let quad = workgroup.x * 8u + lane;
    let at = min(quad, across * down - 1u);
    return vec3<u32>(at % across * 4u, at / across * HEIGHT, u32(at == quad));
}

@compute @workgroup_size(8)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place(workgroup, lane);
    let sum = sums(workgroup, lane, at.y, at.x);
    if (at.z == 0u) {
        return;
    }
    let first_plane = workgroup.z * params.channels_out + workgroup.y * TILE;
    let first_column = params.first_column + params.step * at.x;
    let has_second = at.x + 1u < params.width;
    let has_third = at.x + 2u < params.width;
    let has_fourth = at.x + 3u < params.width;
    for (var h = 0u; h < HEIGHT; h++) {
        let row = params.first_row + params.step * (at.y + h);
        var out = (first_plane * params.output_height + row) * params.output_width + first_column;
        let channels = select(0u, params.channels_out - workgroup.y * TILE, at.y + h < params.height);
        for (var m = 0u; m < TILE; m++) {
            if (m < channels) {
                let value = sum[h][m / 4u][m % 4u];
                y[out] = value.x;
                if (has_second) {
                    y[out + params.step] = value.y;
                }
                if (has_third) {
                    y[out + 2u * params.step] = value.z;
                }
                if (has_fourth) {
                    y[out + 3u * params.step] = value.w;
                }
            }
            out += params.output_height * params.output_width;
        }
    }
}

// For outputs whose rows are whole vec4s.
@compute @workgroup_size(8)
fn forward_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place(workgroup, lane);
    let sum = sums(workgroup, lane, at.y, at.x);
    if (at.z == 0u) {
        return;
    }
    let across = params.width / 4u;
    let first_plane = workgroup.z * params.channels_out + workgroup.y * TILE;
    for (var h = 0u; h < HEIGHT; h++) {
        var out = (first_plane * params.height + at.y + h) * across + at.x / 4u;
        let channels = select(0u, params.channels_out - workgroup.y * TILE, at.y + h < params.height);
        for (var m = 0u; m < TILE; m++) {
            if (m < channels) {
                y_rows[out] = sum[h][m / 4u][m % 4u];
            }
            out += params.height * across;
        }
    }
}
