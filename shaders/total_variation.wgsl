// total_variation: squared differences of neighbouring pixels (arXiv:1603.08155 §3.2).
//   L = w Σ (x[i+1,j]−x[i,j])² + (x[i,j+1]−x[i,j])²
//   dx[i,j] = 2w Σ (x[i,j] − neighbour) over its up to four neighbours
// x, dx: f32[N,C,H,W]   partial: f32[workgroups], summed by vector.wgsl:sum
// dispatch [⌈W/64⌉, ⌈H/16⌉, N·C] for forward, [⌈W/64⌉, H, N·C] for backward
#import lib/reduce.wgsl

struct Params {
    height: u32,
    width: u32,
    weight: f32,
}

var<uniform> params: Params;
var<storage, read> x: array<f32>;
var<storage, read_write> partial: array<f32>;
var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(REDUCE_SIZE)
fn forward(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var sum = 0.0;
    if (id.x < params.width) {
        for (var i = 16u * id.y; i < min(16u * id.y + 16u, params.height); i++) {
            let at = (id.z * params.height + i) * params.width + id.x;
            let value = x[at];
            if (i + 1u < params.height) {
                let difference = x[at + params.width] - value;
                sum += difference * difference;
            }
            if (id.x + 1u < params.width) {
                let difference = x[at + 1u] - value;
                sum += difference * difference;
            }
        }
    }
    sum = workgroup_sum(lane, sum);
    if (lane == 0u) {
        partial[(workgroup.z * workgroups.y + workgroup.y) * workgroups.x + workgroup.x] = params.weight * sum;
    }
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width) {
        return;
    }
    let at = (id.z * params.height + id.y) * params.width + id.x;
    let value = x[at];
    var sum = 0.0;
    if (id.y > 0u) {
        sum += value - x[at - params.width];
    }
    if (id.y + 1u < params.height) {
        sum += value - x[at + params.width];
    }
    if (id.x > 0u) {
        sum += value - x[at - 1u];
    }
    if (id.x + 1u < params.width) {
        sum += value - x[at + 1u];
    }
    dx[at] = 2.0 * params.weight * sum;
}
