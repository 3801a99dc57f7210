// relu: y = max(x, 0), NaN where x is      dx = dy where y > 0, else 0
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
        y[at] = select(value, vec4<f32>(0.0), value < vec4<f32>(0.0)); // `max` may turn a NaN into 0
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
        dx[at] = select(vec4<f32>(0.0), dy[at], y[at] > vec4<f32>(0.0));
    }
}
