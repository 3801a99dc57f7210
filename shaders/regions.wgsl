// regions: activations weighted by a mask.
//   add: z += m·x      scale: y = m·x (self-adjoint: dx = m·dy)      m is the same for all channels and images
// x, y, z: f32[N,C,H,W]   mask (m): f32[H,W]
// dispatch: ⌈elements/64⌉ workgroups, folded into rows
#import lib/index.wgsl

var<storage, read> x: array<f32>;
var<storage, read> mask: array<f32>;
var<storage, read_write> y: array<f32>;
var<storage, read_write> z: array<f32>;

@compute @workgroup_size(64)
fn add(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at < arrayLength(&z)) {
        z[at] += mask[at % arrayLength(&mask)] * x[at];
    }
}

@compute @workgroup_size(64)
fn scale(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at < arrayLength(&y)) {
        y[at] = mask[at % arrayLength(&mask)] * x[at];
    }
}
