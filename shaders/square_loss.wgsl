// square_loss: L = w Σ (x−target)²      dx = 2w (x−target)
// x, target, dx: f32, any shape   partial: f32[⌈elements/4096⌉], summed by vector.wgsl:sum
// dispatch: one workgroup per 4096 elements for forward, per 256 for backward; folded into rows
#import lib/index.wgsl
#import lib/reduce.wgsl

struct Params {
    weight: f32,
}

var<uniform> params: Params;
var<storage, read> x: array<vec4<f32>>;
var<storage, read> target_values: array<vec4<f32>>;
var<storage, read_write> partial: array<f32>;
var<storage, read_write> dx: array<vec4<f32>>;
var<storage, read> x_elements: array<f32>; // x and target without the padding of vec4s
var<storage, read> target_elements: array<f32>;

@compute @workgroup_size(REDUCE_SIZE)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = workgroup.y * workgroups.x + workgroup.x;
    var sum = 0.0;
    let end = min((group + 1u) * 4096u, arrayLength(&x_elements));
    for (var at = group * 4096u + lane; at < end; at += REDUCE_SIZE) {
        let difference = x_elements[at] - target_elements[at];
        sum += difference * difference;
    }
    sum = workgroup_sum(lane, sum);
    if (lane == 0u && group < arrayLength(&partial)) {
        partial[group] = params.weight * sum;
    }
}

@compute @workgroup_size(64)
fn backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at < arrayLength(&dx)) {
        dx[at] = 2.0 * params.weight * (x[at] - target_values[at]);
    }
}
