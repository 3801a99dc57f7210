// mean_std: mean and standard deviation of every (n, c) plane of P = H·W pixels.                   arXiv:1703.06868 §3
//   μ = Σx/P      σ = √(Σ(x−μ)²/P + ε)
//   dx = dμ/P + dσ·(x−μ)/(σ·P)
// x, dx: f32[N,C,H,W]   mean (μ), deviation (σ; WGSL reserves `std`), dmean, dstd: f32[N,C]
// dispatch [C, N, 1]: one workgroup a plane
#import lib/reduce.wgsl

struct Params {
    pixels: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> deviation: array<f32>;
@group(0) @binding(4) var<storage, read> mean_of_x: array<f32>; // mean and deviation, as the gradient reads them
@group(0) @binding(5) var<storage, read> std_of_x: array<f32>;
@group(0) @binding(6) var<storage, read> dmean: array<f32>;
@group(0) @binding(7) var<storage, read> dstd: array<f32>;
@group(0) @binding(8) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(REDUCE_SIZE)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = workgroup.y * workgroups.x + workgroup.x;
    var sum = 0.0;
    for (var p = lane; p < params.pixels; p += REDUCE_SIZE) {
        sum += x[plane * params.pixels + p];
    }
    let average = workgroup_sum(lane, sum) / f32(params.pixels);
    var squares = 0.0;
    for (var p = lane; p < params.pixels; p += REDUCE_SIZE) {
        let difference = x[plane * params.pixels + p] - average;
        squares += difference * difference;
    }
    let variance = workgroup_sum(lane, squares) / f32(params.pixels);
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
    let constant = dmean[plane] / f32(params.pixels);
    let slope = dstd[plane] / (std_of_x[plane] * f32(params.pixels));
    for (var p = lane; p < params.pixels; p += REDUCE_SIZE) {
        let at = plane * params.pixels + p;
        dx[at] = constant + slope * (x[at] - mean_of_x[plane]);
    }
}
