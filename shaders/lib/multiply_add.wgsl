// Chains of multiply-adds of `number`s for roof.wgsl and roof_half.wgsl: s = scale·s + offset, eight times per round.
// Every component of every vector is a chain of its own, independent of the others.
// out: f32[threads], the sum of a thread's chains, so that none can be optimised away
// dispatch: any number of workgroups; `out` has 256 elements for each

// Enough to hide the latency of a multiply-add, few enough for the registers. The optimum depends on the device.
const VECTORS: u32 = 3u;

struct Params {
    scale: f32,
    offset: f32,
    rounds: u32,
}

var<uniform> params: Params;
var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn multiply_add(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let scale = vec4(number(params.scale));
    let offset = vec4(number(params.offset));
    var s: array<vec4<number>, VECTORS>;
    for (var i = 0u; i < VECTORS; i++) {
        s[i] = (vec4<number>(0.0, 1.0, 2.0, 3.0) + number(4u * i + lane)) / 256.0;
    }
    for (var round = 0u; round < params.rounds; round++) {
        for (var repeat = 0u; repeat < 8u; repeat++) {
            for (var i = 0u; i < VECTORS; i++) {
                s[i] = fma(scale, s[i], offset);
            }
        }
    }
    var sum = vec4<f32>();
    for (var i = 0u; i < VECTORS; i++) {
        sum += vec4<f32>(s[i]);
    }
    out[workgroup.x * 256u + lane] = sum.x + sum.y + sum.z + sum.w;
}
