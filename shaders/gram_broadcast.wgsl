// gram_broadcast: the products of gram.wgsl for software adapters (why: conv2d_broadcast.wgsl).
// Features are transposed first, so that 8 lanes load 8 channels of a pixel side by side. A workgroup makes 16 × 32
// products: a lane holds 4 columns j of 16 rows i, whose features are handed round by subgroupBroadcast.
// features: f32[N,C,P]   transposed: f32[N,P,CP], zero from C on   partial: f32[splits,N,CP,CP]   CP: C up to a multiple of 32
struct Params {
    channels: u32,
    padded_channels: u32,
    pixels: u32,
    run: u32,
    splits: u32,
    images: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> features: array<f32>;
@group(0) @binding(2) var<storage, read_write> transposed: array<f32>;
@group(0) @binding(3) var<storage, read> columns: array<f32>; // transposed, as forward reads it
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;

// dispatch [⌈P/32⌉, CP/8, N]: a lane writes 8 channels of its pixel
@compute @workgroup_size(32)
fn transpose(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.pixels) {
        return;
    }
    for (var channel = 8u * id.y; channel < 8u * id.y + 8u; channel++) {
        var value = 0.0;
        if (channel < params.channels) {
            value = features[(id.z * params.channels + channel) * params.pixels + id.x];
        }
        transposed[(id.z * params.pixels + id.x) * params.padded_channels + channel] = value;
    }
}

// dispatch [CP/16 · CP/32, splits, N]
@compute @workgroup_size(8)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let across = params.padded_channels / 32u;
    let first_i = workgroup.x / across * 16u;
    let first_j = workgroup.x % across * 32u;
    if (first_j + 32u <= first_i) {
        return;
    }
    let begin = workgroup.y * params.run;
    let end = min(begin + params.run, params.pixels);
    var sum: array<vec4<f32>, 16>;
    for (var i = 0u; i < 16u; i++) {
        sum[i] = vec4<f32>(0.0);
    }
    for (var p = begin; p < end; p++) {
        let at = (workgroup.z * params.pixels + p) * params.padded_channels + lane;
        let j = at + first_j;
        let column = vec4<f32>(columns[j], columns[j + 8u], columns[j + 16u], columns[j + 24u]);
        for (var half = 0u; half < 2u; half++) {
            let row = columns[at + first_i + 8u * half];
            sum[8u * half + 0u] += subgroupBroadcast(row, 0u) * column;
            sum[8u * half + 1u] += subgroupBroadcast(row, 1u) * column;
            sum[8u * half + 2u] += subgroupBroadcast(row, 2u) * column;
            sum[8u * half + 3u] += subgroupBroadcast(row, 3u) * column;
            sum[8u * half + 4u] += subgroupBroadcast(row, 4u) * column;
            sum[8u * half + 5u] += subgroupBroadcast(row, 5u) * column;
            sum[8u * half + 6u] += subgroupBroadcast(row, 6u) * column;
            sum[8u * half + 7u] += subgroupBroadcast(row, 7u) * column;
        }
    }
    for (var i = 0u; i < 16u; i++) {
        let row = (workgroup.y * params.images + workgroup.z) * params.padded_channels + first_i + i;
        let out = row * params.padded_channels + first_j + lane;
        partial[out] = sum[i].x;
        partial[out + 8u] = sum[i].y;
        partial[out + 16u] = sum[i].z;
        partial[out + 24u] = sum[i].w;
    }
}
