// conv2d_weights_broadcast: the products of conv2d_weights.wgsl for software adapters (why: conv2d_broadcast.wgsl).
// x with its border and the masked dy are transposed first, so that 8 lanes load 8 channels of a pixel side by side. A
// lane holds an input channel (or GROUPS_C of them, 8 apart) in ROWS rows of the kernel, for 8·GROUPS_M output channels,
// whose gradients are handed round by subgroupBroadcast. COLUMNS pixels of a row share the inputs that they have loaded.
// source, mask: f32[N,C,H,W]   transposed: f32[N,HP,WP,CP], zero from C on   partial: f32[splits,M,C,K,K]
#import lib/border.wgsl
const KERNEL: u32 = 3u;
const STRIDE: u32 = 1u;
const MASKED: bool = true; // apply the gradient of a ReLU whose output is `mask`
const ROWS: u32 = 3u; // divides KERNEL
const COLUMNS: u32 = 4u;
const GROUPS_M: u32 = 1u;
const GROUPS_C: u32 = 1u;
const TAPS: u32 = GROUPS_C * ROWS * KERNEL;
const WINDOW: u32 = (COLUMNS - 1u) * STRIDE + KERNEL; // inputs of one row that COLUMNS pixels see
const INPUTS: u32 = GROUPS_C * ROWS * WINDOW;

struct TransposeParams {
    channels: u32,
    padded_channels: u32, // CP
    height: u32, // of source
    width: u32,
    padded_height: u32, // HP
    padded_width: u32, // WP
    before: i32,
}

struct Params {
    channels_in: u32,
    channels_out: u32,
    padded_in: u32, // channels of x, transposed
    padded_out: u32, // channels of dy, transposed
    height: u32, // of dy
    width: u32, // of dy, transposed
    input_height: u32, // of x, transposed
    input_width: u32,
    rows: u32, // of dy, in all images
    run: u32, // of these rows
}

@group(0) @binding(0) var<uniform> transpose_params: TransposeParams;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> transposed: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
@group(0) @binding(5) var<storage, read> x: array<f32>; // transposed
@group(0) @binding(6) var<storage, read> dy: array<f32>; // transposed
@group(0) @binding(7) var<storage, read_write> partial: array<f32>;

// dispatch [⌈WP/32⌉, HP, N·CP/8]: a lane writes 8 channels of its pixel
@compute @workgroup_size(32)
fn transpose(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= transpose_params.padded_width) {
        return;
    }
    let groups = transpose_params.padded_channels / 8u;
    let n = id.z / groups;
    let first = id.z % groups * 8u;
    let row = border_source(i32(id.y) - transpose_params.before, i32(transpose_params.height));
    let column = border_source(i32(id.x) - transpose_params.before, i32(transpose_params.width));
    let pixel = (n * transpose_params.padded_height + id.y) * transpose_params.padded_width + id.x;
    let out = pixel * transpose_params.padded_channels + first;
    for (var c = 0u; c < 8u; c++) {
        var value = 0.0;
        if (row >= 0 && column >= 0 && first + c < transpose_params.channels) {
            let plane = n * transpose_params.channels + first + c;
            let at = (plane * transpose_params.height + u32(row)) * transpose_params.width + u32(column);
            value = source[at];
            if (MASKED && !(mask[at] > 0.0)) {
                value = 0.0;
            }
        }
        transposed[out + c] = value;
    }
}

// dispatch [MP/(8·GROUPS_M) · CP/(8·GROUPS_C) · KERNEL/ROWS, splits, 1]
@compute @workgroup_size(8)
fn products(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first_row = workgroup.x % (KERNEL / ROWS) * ROWS; // of the kernel
    let tile = workgroup.x / (KERNEL / ROWS);
    let across = params.padded_in / (8u * GROUPS_C);
    let first_m = tile / across * 8u * GROUPS_M;
    let first_c = tile % across * 8u * GROUPS_C;
    let begin = workgroup.y * params.run;
    let end = min(begin + params.run, params.rows);
    // A loop over each dimension alone: only a loop that indexes an array as it stands is sure to be unrolled.
    var sum: array<array<array<f32, TAPS>, 8>, GROUPS_M>;
    for (var g = 0u; g < GROUPS_M; g++) {
        for (var m = 0u; m < 8u; m++) {
            for (var t = 0u; t < TAPS; t++) {
                sum[g][m][t] = 0.0;
            }
        }
    }
    for (var row = begin; row < end; row++) {
        let input_row = row / params.height * params.input_height + row % params.height * STRIDE + first_row;
        var at_x = input_row * params.input_width * params.padded_in + first_c + lane;
        var at_dy = row * params.width * params.padded_out + first_m + lane;
        for (var j = 0u; j < params.width; j += COLUMNS) {
            var input: array<f32, INPUTS>;
            for (var e = 0u; e < INPUTS; e++) {
                let line = e / WINDOW; // a row of one of the channels
                let pixel = line / GROUPS_C * params.input_width + e % WINDOW;
                input[e] = x[at_x + pixel * params.padded_in + line % GROUPS_C * 8u];
            }
            for (var g = 0u; g < GROUPS_M; g++) {
                var gradient: array<f32, COLUMNS>;
                for (var q = 0u; q < COLUMNS; q++) {
                    gradient[q] = dy[at_dy + q * params.padded_out + 8u * g];
                    let d0 = subgroupBroadcast(gradient[q], 0u);
                    let d1 = subgroupBroadcast(gradient[q], 1u);
                    let d2 = subgroupBroadcast(gradient[q], 2u);
                    let d3 = subgroupBroadcast(gradient[q], 3u);
                    let d4 = subgroupBroadcast(gradient[q], 4u);
                    let d5 = subgroupBroadcast(gradient[q], 5u);
                    let d6 = subgroupBroadcast(gradient[q], 6u);
                    let d7 = subgroupBroadcast(gradient[q], 7u);
                    for (var t = 0u; t < TAPS; t++) {
                        let value = input[t / KERNEL * WINDOW + q * STRIDE + t % KERNEL];
                        sum[g][0][t] += d0 * value;
                        sum[g][1][t] += d1 * value;
                        sum[g][2][t] += d2 * value;
                        sum[g][3][t] += d3 * value;
                        sum[g][4][t] += d4 * value;
                        sum[g][5][t] += d5 * value;
                        sum[g][6][t] += d6 * value;
                        sum[g][7][t] += d7 * value;
                    }
                }
            }
            at_x += COLUMNS * STRIDE * params.padded_in;
            at_dy += COLUMNS * params.padded_out;
        }
    }
    for (var g = 0u; g < GROUPS_M; g++) {
        for (var m = 0u; m < 8u; m++) {
            let channel = first_m + 8u * g + m;
            for (var t = 0u; t < TAPS; t++) {
                let line = t / KERNEL;
                let c = first_c + line % GROUPS_C * 8u + lane;
                if (channel < params.channels_out && c < params.channels_in) {
                    let weights = (workgroup.y * params.channels_out + channel) * params.channels_in + c;
                    partial[(weights * KERNEL + first_row + line / GROUPS_C) * KERNEL + t % KERNEL] = sum[g][m][t];
                }
            }
        }
    }
}
