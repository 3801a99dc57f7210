// conv2d_broadcast: the sums of conv2d.wgsl for software adapters.
//   y[n,m,s·i+f,s·j+f'] = act( b[m] + Σ_{c,u,v} w[m,c,u,v] · x[n,c,S·i+u−t,S·j+v−t'] )
// A lane holds 4 neighbouring pixels of 8·GROUPS output channels in registers. On a software driver every load is a
// gather, even from one address, so weights are loaded 8 at once, one a lane, and handed round by subgroupBroadcast.
// There is no border code: x comes with its border (shaders/pad.wgsl), its rows long enough for the last quad, and t ≤ 0.
// x: f32[N,C,XH,XW]   weights: packed by conv2d.wgsl with PACK = 8·GROUPS   bias: f32[M]   y: f32[N,M,YH,YW]
// dispatch [⌈quads/8⌉, ⌈M/T⌉, N], quads = H·⌈W/4⌉; needs subgroups of 8 lanes or more
#import lib/conv2d.wgsl
const GROUPS: u32 = 2u;
const BIAS: bool = true;
const RELU: bool = true;
const WINDOW: u32 = 3u * STRIDE + COLUMNS; // inputs of one row that a lane's 4 pixels see
const TILE: u32 = 8u * GROUPS;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

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
    let plane = params.input_height * params.input_width;

    var sum: array<vec4<f32>, TILE>;
    for (var m = 0u; m < TILE; m++) {
        sum[m] = vec4<f32>(0.0);
    }
    var weight_at = workgroup.z * params.weights_stride + params.weights_first
        + workgroup.y * params.channels_in * ROWS * COLUMNS * TILE + lane;
    let first_row = u32(i32(row * STRIDE) - params.before_row);
    let first_column = u32(i32(column * STRIDE) - params.before_column);
    var channel_at = workgroup.z * params.channels_in * plane + first_row * params.input_width + first_column;
    for (var c = 0u; c < params.channels_in; c++) {
        var input_at = channel_at;
        for (var u = 0u; u < ROWS; u++) {
            var input: array<f32, WINDOW>;
            for (var i = 0u; i < WINDOW; i++) {
                input[i] = x[input_at + i];
            }
            for (var v = 0u; v < COLUMNS; v++) {
                let pixels = vec4<f32>(input[v], input[v + STRIDE], input[v + 2u * STRIDE], input[v + 3u * STRIDE]);
                for (var g = 0u; g < GROUPS; g++) {
                    let w = weights[weight_at];
                    weight_at += 8u;
                    sum[8u * g + 0u] += subgroupBroadcast(w, 0u) * pixels;
                    sum[8u * g + 1u] += subgroupBroadcast(w, 1u) * pixels;
                    sum[8u * g + 2u] += subgroupBroadcast(w, 2u) * pixels;
                    sum[8u * g + 3u] += subgroupBroadcast(w, 3u) * pixels;
                    sum[8u * g + 4u] += subgroupBroadcast(w, 4u) * pixels;
                    sum[8u * g + 5u] += subgroupBroadcast(w, 5u) * pixels;
                    sum[8u * g + 6u] += subgroupBroadcast(w, 6u) * pixels;
                    sum[8u * g + 7u] += subgroupBroadcast(w, 7u) * pixels;
                }
            }
            input_at += params.input_width;
        }
        channel_at += plane;
    }
    if (quad != quad_read) {
        return;
    }
    for (var m = 0u; m < TILE; m++) {
        let channel = workgroup.y * TILE + m;
        if (channel < params.channels_out) {
            var value = sum[m];
            if (BIAS) {
                value += vec4<f32>(bias[channel]);
            }
            if (RELU) {
                value = select(value, vec4<f32>(0.0), value < vec4<f32>(0.0)); // `max` would make 0 of a NaN
            }
            let out_row = params.first_row + params.step * row;
            let out_column = params.first_column + params.step * column;
            let out_plane = workgroup.z * params.channels_out + channel;
            let out = (out_plane * params.output_height + out_row) * params.output_width + out_column;
            y[out] = value.x;
            if (column + 1u < params.width) {
                y[out + params.step] = value.y;
            }
            if (column + 2u < params.width) {
                y[out + 2u * params.step] = value.z;
            }
            if (column + 3u < params.width) {
                y[out + 3u * params.step] = value.w;
            }
        }
    }
}
