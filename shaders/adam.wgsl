// adam: one step of Adam (arXiv:1412.6980, algorithm 1) with decoupled weight decay (arXiv:1711.05101).
//   m = β₁m + (1−β₁)g      v = β₂v + (1−β₂)g²      cᵢ = 1 − βᵢ^step
//   x −= α·λ·x + α·(m/c₁) / (√(v/c₂) + ε)          λ: weight_decay      x is then clamped to [low, high]
// x, g, m, v: f32, any shape   clip: f32[2]; if CLIPPED, g is first multiplied by clip[1] (clip.wgsl)
// dispatch: ⌈elements/256⌉ workgroups, folded into rows
#import lib/index.wgsl
const CLIPPED: bool = true;

struct Params {
    learning_rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    correction1: f32,
    correction2: f32,
    low: f32,
    high: f32,
    weight_decay: f32,
}

var<uniform> params: Params;
var<storage, read_write> x: array<vec4<f32>>;
var<storage, read> g: array<vec4<f32>>;
var<storage, read_write> m: array<vec4<f32>>;
var<storage, read_write> v: array<vec4<f32>>;
var<storage, read> clip: array<f32>;

@compute @workgroup_size(64)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at >= arrayLength(&x)) {
        return;
    }
    var gradient = g[at];
    if (CLIPPED) {
        gradient *= clip[1];
    }
    let first = params.beta1 * m[at] + (1.0 - params.beta1) * gradient;
    let second = params.beta2 * v[at] + (1.0 - params.beta2) * gradient * gradient;
    m[at] = first;
    v[at] = second;
    let change = (first / params.correction1) / (sqrt(second / params.correction2) + params.epsilon);
    let value = x[at];
    let moved = value - params.learning_rate * params.weight_decay * value - params.learning_rate * change;
    let low = vec4<f32>(params.low);
    let high = vec4<f32>(params.high);
    // `clamp` may turn a NaN into a number; these selects keep it.
    x[at] = select(select(moved, low, moved < low), high, moved > high);
}
