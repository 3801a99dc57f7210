// tanh: y = (tanh x + 1)/2, a net's output as colours from 0 to 1      dx = dy·2y(1−y)
// Computed from e = exp(−2|x|), which cannot overflow: y = 1/(1+e) if x > 0, else e/(1+e).
// x, y, dx, dy: f32, any shape
// dispatch: ⌈elements/256⌉ workgroups, folded into rows
#import lib/index.wgsl

var<storage, read> x: array<vec4<f32>>;
var<storage, read_write> y: array<vec4<f32>>;
var<storage, read> dy: array<vec4<f32>>;
var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at < arrayLength(&y)) {
        let value = x[at];
        let e = exp(-2.0 * abs(value));
        y[at] = select(e, vec4<f32>(1.0), value > vec4<f32>(0.0)) / (1.0 + e);
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
        let value = y[at];
        dx[at] = dy[at] * 2.0 * value * (1.0 - value);
    }
}
