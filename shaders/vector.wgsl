// vector: element-wise operations and reductions of long vectors.
//   affine: z = a·x + b·y     axpy: z += a·x     clamp: z = min(max(z, a), b), NaN where z is     fill: z = a
//   clamp gradient: z = y, but 0 where x is outside [a, b] and a step along −y would move it further out
//   quantise: z = ⌊a·min(max(z, 0), 1) + ½⌋ / a, NaN where z is
//   dot: Σ x·y     absolute_sum: Σ |x|     absolute_max: max |x|, NaN if any is    (partial, then `sum` or `maximum`)
//   sum: out[slot] = Σ partial     maximum: out[slot] = max partial
// x, y, z: f32, any shape   partial: f32[⌈elements/4096⌉]   out: f32[slots]
// dispatch: one workgroup per 256 elements (element-wise), per 4096 (dot, absolute_sum) or per 64·4096 (absolute_max),
// folded into rows; 1 for sum and maximum
#import lib/index.wgsl
#import lib/reduce.wgsl

struct Params {
    a: f32,
    b: f32,
    slot: u32,
}

var<uniform> params: Params;
var<storage, read> x: array<vec4<f32>>;
var<storage, read> y: array<vec4<f32>>;
var<storage, read_write> z: array<vec4<f32>>;
var<storage, read_write> partial: array<f32>;
var<storage, read_write> out: array<f32>;
var<storage, read> x_elements: array<f32>; // x and y without the padding of vec4s
var<storage, read> y_elements: array<f32>;

@compute @workgroup_size(64)
fn affine(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at < arrayLength(&z)) {
        z[at] = params.a * x[at] + params.b * y[at];
    }
}

@compute @workgroup_size(64)
fn axpy(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at < arrayLength(&z)) {
        z[at] += params.a * x[at];
    }
}

@compute @workgroup_size(64)
fn clamp_range(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at < arrayLength(&z)) {
        let value = z[at];
        let low = vec4<f32>(params.a);
        let high = vec4<f32>(params.b);
        // `clamp` may turn a NaN into a number; these selects keep it.
        z[at] = select(select(value, low, value < low), high, value > high);
    }
}

@compute @workgroup_size(64)
fn quantise(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at < arrayLength(&z)) {
        let value = z[at];
        let zero = vec4<f32>(0.0);
        let one = vec4<f32>(1.0);
        let kept = select(select(value, zero, value < zero), one, value > one);
        z[at] = floor(params.a * kept + 0.5) / params.a;
    }
}

@compute @workgroup_size(64)
fn clamp_gradient(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at < arrayLength(&z)) {
        let value = x[at];
        let gradient = y[at];
        let zero = vec4<f32>(0.0);
        let below = (value < vec4<f32>(params.a)) & (gradient > zero);
        let above = (value > vec4<f32>(params.b)) & (gradient < zero);
        z[at] = select(gradient, zero, below | above);
    }
}

@compute @workgroup_size(64)
fn fill(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at < arrayLength(&z)) {
        z[at] = vec4<f32>(params.a);
    }
}

@compute @workgroup_size(REDUCE_SIZE)
fn dot_parts(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = workgroup.y * workgroups.x + workgroup.x;
    let end = min((group + 1u) * 4096u, arrayLength(&x_elements));
    var sum = 0.0;
    for (var at = group * 4096u + lane; at < end; at += REDUCE_SIZE) {
        sum += x_elements[at] * y_elements[at];
    }
    sum = workgroup_sum(lane, sum);
    if (lane == 0u && group < arrayLength(&partial)) {
        partial[group] = sum;
    }
}

@compute @workgroup_size(REDUCE_SIZE)
fn absolute_sum_parts(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = workgroup.y * workgroups.x + workgroup.x;
    let end = min((group + 1u) * 4096u, arrayLength(&x_elements));
    var sum = 0.0;
    for (var at = group * 4096u + lane; at < end; at += REDUCE_SIZE) {
        sum += abs(x_elements[at]);
    }
    sum = workgroup_sum(lane, sum);
    if (lane == 0u && group < arrayLength(&partial)) {
        partial[group] = sum;
    }
}

// The larger of two magnitudes. Their bits are ordered like their values, with NaN above all: a NaN is never lost.
fn larger(a: f32, b: f32) -> f32 {
    return bitcast<f32>(max(bitcast<u32>(a), bitcast<u32>(b)));
}

@compute @workgroup_size(64)
fn absolute_max_parts(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = linear_index(workgroup, workgroups, lane, 64u);
    if (group < arrayLength(&partial)) {
        let end = min((group + 1u) * 4096u, arrayLength(&x_elements));
        var most = 0.0;
        for (var at = group * 4096u; at < end; at++) {
            most = larger(abs(x_elements[at]), most);
        }
        partial[group] = most;
    }
}

@compute @workgroup_size(REDUCE_SIZE)
fn sum(@builtin(local_invocation_index) lane: u32) {
    var total = 0.0;
    for (var at = lane; at < arrayLength(&partial); at += REDUCE_SIZE) {
        total += partial[at];
    }
    total = workgroup_sum(lane, total);
    if (lane == 0u) {
        out[params.slot] = total;
    }
}

@compute @workgroup_size(1)
fn maximum() {
    var most = 0.0;
    for (var at = 0u; at < arrayLength(&partial); at++) {
        most = larger(partial[at], most);
    }
    out[params.slot] = most;
}
