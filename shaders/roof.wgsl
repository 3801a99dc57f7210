// roof: peak throughput of a device, the upper bounds of a roofline.
//   multiply_add: s = scale·s + offset, repeated (lib/multiply_add.wgsl)     copy: z = x     nothing: out[0] = 0
// x, z: f32, any shape of 4·k elements
// dispatch of copy: ⌈elements/1024⌉ workgroups, folded into rows; of nothing: 1
alias number = f32;
#import lib/index.wgsl
#import lib/multiply_add.wgsl

var<storage, read> x: array<vec4<f32>>;
var<storage, read_write> z: array<vec4<f32>>;

@compute @workgroup_size(256)
fn copy(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 256u);
    if (at < arrayLength(&z)) {
        z[at] = x[at];
    }
}

@compute @workgroup_size(1)
fn nothing() {
    out[0] = 0.0;
}
