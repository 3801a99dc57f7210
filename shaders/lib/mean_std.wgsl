// The passes of mean_std.wgsl. An element is a scalar (lib/one.wgsl) or a vec4 (lib/four.wgsl).
struct Params {
    pixels: u32,
    epsilon: f32,
}

var<uniform> params: Params;
var<storage, read> x: array<element>;
var<storage, read_write> mean: array<f32>;
var<storage, read_write> deviation: array<f32>;
var<storage, read> dmean: array<f32>;
var<storage, read> dstd: array<f32>;
var<storage, read_write> dx: array<element>;

@compute @workgroup_size(REDUCE_SIZE)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = workgroup.y * workgroups.x + workgroup.x;
    let begin = plane * params.pixels / WIDTH;
    let end = begin + params.pixels / WIDTH;
    var sum = element(0.0);
    for (var at = begin + lane; at < end; at += REDUCE_SIZE) {
        sum += x[at];
    }
    let average = workgroup_sum(lane, sum_of(sum)) / f32(params.pixels);
    var squares = element(0.0);
    for (var at = begin + lane; at < end; at += REDUCE_SIZE) {
        let difference = x[at] - average;
        squares += difference * difference;
    }
    let variance = workgroup_sum(lane, sum_of(squares)) / f32(params.pixels);
    if (lane == 0u) {
        mean[plane] = average;
        deviation[plane] = sqrt(variance + params.epsilon);
    }
}

@compute @workgroup_size(REDUCE_SIZE)
fn backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = workgroup.y * workgroups.x + workgroup.x;
    let average = mean[plane];
    let constant = dmean[plane] / f32(params.pixels);
    let slope = dstd[plane] / (deviation[plane] * f32(params.pixels));
    let begin = plane * params.pixels / WIDTH;
    for (var at = begin + lane; at < begin + params.pixels / WIDTH; at += REDUCE_SIZE) {
        dx[at] = constant + slope * (x[at] - average);
    }
}
