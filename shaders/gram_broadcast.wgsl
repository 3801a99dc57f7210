// gram_broadcast: the products of gram.wgsl for software adapters (rationale: conv2d_broadcast.wgsl).
// A workgroup computes 32 × 32 products over a run of pixels, a lane the columns j, j+8, j+16 and j+24 of 32 rows i. It
// loads four pixels of its columns and of every eighth row at a time. subgroupBroadcast shares the rows.
// features: f32[N,C,P]   partial: f32[splits,N,CP,CP]   CP: C padded to a multiple of 32
#import lib/broadcast_eight.wgsl
const FOURS: bool = true; // P is a multiple of 4

struct Params {
    channels: u32,
    padded_channels: u32,
    pixels: u32,
    run: u32, // a multiple of 4
    splits: u32,
    images: u32,
    scale: f32,
}

var<uniform> params: Params;
var<storage, read> features: array<f32>;
var<storage, read> feature_rows: array<vec4<f32>>; // features, used if FOURS
var<storage, read_write> partial: array<f32>;

// Four pixels of a channel, 0 out of range.
fn four(n: u32, channel: u32, pixel: u32) -> vec4<f32> {
    let at = (n * params.channels + min(channel, params.channels - 1u)) * params.pixels + pixel;
    var value: vec4<f32>;
    if (FOURS) {
        value = feature_rows[at / 4u];
    } else {
        for (var k = 0u; k < 4u; k++) {
            value[k] = select(0.0, features[min(at + k, arrayLength(&features) - 1u)], pixel + k < params.pixels);
        }
    }
    return select(vec4<f32>(0.0), value, channel < params.channels);
}

// Adds the products of the lane's columns with rows `first` to `first` + 7, of which each lane has loaded one.
fn accumulate(sum: ptr<function, array<array<f32, 4>, 32>>, columns: ptr<function, array<vec4<f32>, 4>>, row: vec4<f32>, first: u32) {
    var rows = broadcast_eight(row);
    for (var i = 0u; i < 8u; i++) {
        for (var g = 0u; g < 4u; g++) {
            (*sum)[first + i][g] += dot(rows[i], (*columns)[g]);
        }
    }
}

// dispatch [(CP/32)², splits, N]
@compute @workgroup_size(8)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let across = params.padded_channels / 32u;
    let first_i = workgroup.x / across * 32u;
    let first_j = workgroup.x % across * 32u;
    if (first_j < first_i) {
        return;
    }
    let n = workgroup.z;
    let begin = workgroup.y * params.run;
    let end = min(begin + params.run, params.pixels);
    var sum: array<array<f32, 4>, 32>;
    for (var i = 0u; i < 32u; i++) {
        for (var g = 0u; g < 4u; g++) {
            sum[i][g] = 0.0;
        }
    }
    for (var p = begin; p < end; p += 4u) {
        var columns: array<vec4<f32>, 4>;
        for (var g = 0u; g < 4u; g++) {
            columns[g] = four(n, first_j + 8u * g + lane, p);
        }
        accumulate(&sum, &columns, four(n, first_i + lane, p), 0u);
        accumulate(&sum, &columns, four(n, first_i + 8u + lane, p), 8u);
        accumulate(&sum, &columns, four(n, first_i + 16u + lane, p), 16u);
        accumulate(&sum, &columns, four(n, first_i + 24u + lane, p), 24u);
    }
    for (var i = 0u; i < 32u; i++) {
        let row = (workgroup.y * params.images + n) * params.padded_channels + first_i + i;
        let out = row * params.padded_channels + first_j + lane;
        for (var g = 0u; g < 4u; g++) {
            partial[out + 8u * g] = sum[i][g];
        }
    }
}
