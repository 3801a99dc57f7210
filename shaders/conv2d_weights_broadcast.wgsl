// conv2d_weights_broadcast: the products of conv2d_weights.wgsl for software adapters (rationale:
// conv2d_broadcast.wgsl). A lane computes one kernel row of GROUPS_C input channels, 8 apart, for 8·GROUPS_M output
// channels. The gradients of 8 output channels are loaded at once, one per lane, and shared by subgroupBroadcast. Four
// pixels of a row reuse one set of loaded inputs.
// x: f32[N,C,XH,XW], padded, with rows of a multiple of 4 that cover the last four pixels   dy: f32[N,M,H,W], masked
// partial: f32[splits,M,C,K,K]
#import lib/conv2d.wgsl
const FOURS: bool = true; // the rows of dy are whole vec4s
const GROUPS_M: u32 = 2u;
const GROUPS_C: u32 = 1u;
const TAPS: u32 = GROUPS_C * COLUMNS; // weights per output channel and lane
const ALIGNED: u32 = (3u * STRIDE + COLUMNS + 3u) / 4u; // vec4s of a row of x that four pixels read

var<storage, read> x: array<vec4<f32>>;
var<storage, read> dy: array<f32>;
var<storage, read_write> partial: array<f32>;
var<storage, read> dy_rows: array<vec4<f32>>; // dy, used if FOURS

// Four pixels of the row of dy that starts at element `row`, from column `j` on; 0 past its end.
fn four(row: u32, j: u32) -> vec4<f32> {
    var value: vec4<f32>;
    if (FOURS) {
        value = dy_rows[(row + j) / 4u];
    } else {
        for (var q = 0u; q < 4u; q++) {
            value[q] = select(0.0, dy[row + min(j + q, params.width - 1u)], j + q < params.width);
        }
    }
    return value;
}

// dispatch [⌈M/(8·GROUPS_M)⌉ · ⌈C/(8·GROUPS_C)⌉ · ROWS, splits, 1]
@compute @workgroup_size(8)
fn products(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let kernel_row = workgroup.x % ROWS;
    let tile = workgroup.x / ROWS;
    let across = (params.channels_in + 8u * GROUPS_C - 1u) / (8u * GROUPS_C);
    let first_m = tile / across * 8u * GROUPS_M + lane;
    let first_c = tile % across * 8u * GROUPS_C + lane;
    let begin = workgroup.y * params.run;
    let end = min(begin + params.run, params.images * params.height);
    // One loop per dimension: the driver unrolls a loop reliably only if its counter is itself an array index.
    var sum: array<array<array<f32, TAPS>, 8>, GROUPS_M>;
    for (var g = 0u; g < GROUPS_M; g++) {
        for (var m = 0u; m < 8u; m++) {
            for (var t = 0u; t < TAPS; t++) {
                sum[g][m][t] = 0.0;
            }
        }
    }
    for (var row = begin; row < end; row++) {
        let n = row / params.height;
        let i = row % params.height;
        // Lanes past the last channel load the last one again; their sums are not stored.
        var at_dy: array<u32, GROUPS_M>;
        for (var g = 0u; g < GROUPS_M; g++) {
            let m = min(first_m + 8u * g, params.channels_out - 1u);
            at_dy[g] = ((n * params.channels_out + m) * params.height + i) * params.width;
        }
        var at_x: array<u32, GROUPS_C>;
        for (var h = 0u; h < GROUPS_C; h++) {
            let c = min(first_c + 8u * h, params.channels_in - 1u);
            let input_row = i * STRIDE + kernel_row;
            at_x[h] = ((n * params.channels_in + c) * params.input_height + input_row) * params.input_width;
        }
        for (var j = 0u; j < params.width; j += 4u) {
            var input: array<array<f32, 4u * ALIGNED>, GROUPS_C>;
            for (var h = 0u; h < GROUPS_C; h++) {
                for (var e = 0u; e < ALIGNED; e++) {
                    let loaded = x[(at_x[h] + j * STRIDE) / 4u + e];
                    input[h][4u * e] = loaded.x;
                    input[h][4u * e + 1u] = loaded.y;
                    input[h][4u * e + 2u] = loaded.z;
                    input[h][4u * e + 3u] = loaded.w;
                }
            }
            for (var g = 0u; g < GROUPS_M; g++) {
                var gradient = four(at_dy[g], j);
                for (var q = 0u; q < 4u; q++) {
                    let d0 = subgroupBroadcast(gradient[q], 0u);
                    let d1 = subgroupBroadcast(gradient[q], 1u);
                    let d2 = subgroupBroadcast(gradient[q], 2u);
                    let d3 = subgroupBroadcast(gradient[q], 3u);
                    let d4 = subgroupBroadcast(gradient[q], 4u);
                    let d5 = subgroupBroadcast(gradient[q], 5u);
                    let d6 = subgroupBroadcast(gradient[q], 6u);
                    let d7 = subgroupBroadcast(gradient[q], 7u);
                    for (var t = 0u; t < TAPS; t++) {
                        let seen = input[t / COLUMNS][q * STRIDE + t % COLUMNS];
                        sum[g][0][t] += d0 * seen;
                        sum[g][1][t] += d1 * seen;
                        sum[g][2][t] += d2 * seen;
                        sum[g][3][t] += d3 * seen;
                        sum[g][4][t] += d4 * seen;
                        sum[g][5][t] += d5 * seen;
                        sum[g][6][t] += d6 * seen;
                        sum[g][7][t] += d7 * seen;
                    }
                }
            }
        }
    }
    for (var g = 0u; g < GROUPS_M; g++) {
        for (var m = 0u; m < 8u; m++) {
            let channel = first_m - lane + 8u * g + m;
            for (var t = 0u; t < TAPS; t++) {
                let c = first_c + t / COLUMNS * 8u;
                if (channel < params.channels_out && c < params.channels_in) {
                    let weights = (workgroup.y * params.channels_out + channel) * params.channels_in + c;
                    partial[(weights * ROWS + kernel_row) * COLUMNS + t % COLUMNS] = sum[g][m][t];
                }
            }
        }
    }
}
