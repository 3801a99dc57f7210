// clip: the global norm of all gradients, and the factor that limits it.
//   norm = √(Σ squares)      scale = min(1, limit/norm), NaN where the norm is not finite
// squares: f32[tensors], Σ g² of each gradient   out: f32[2], norm and scale
// dispatch 1
#import lib/reduce.wgsl

struct Params {
    limit: f32,
}

var<uniform> params: Params;
var<storage, read> squares: array<f32>;
var<storage, read_write> out: array<f32>;

@compute @workgroup_size(REDUCE_SIZE)
fn finish(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var at = lane; at < arrayLength(&squares); at += REDUCE_SIZE) {
        sum += squares[at];
    }
    let norm = sqrt(workgroup_sum(lane, sum));
    var scale = 1.0;
    if (norm > params.limit) {
        scale = params.limit / norm;
    }
    // Tested on the bits, because compilers may assume finite floats. An infinity becomes a NaN; a NaN stays one.
    let bits = bitcast<u32>(norm);
    if ((bits & 0x7f800000u) == 0x7f800000u) {
        scale = bitcast<f32>(bits | 0x00400000u);
    }
    if (lane == 0u) {
        out[0] = norm;
        out[1] = scale;
    }
}
