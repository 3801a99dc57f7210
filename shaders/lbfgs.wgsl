// lbfgs: inner products and linear combinations of the vector-free two-loop recursion (Chen et al., NIPS 2014, alg. 3).
//   inner:     products[row] = history[row] · x        (partial sums, added by `finish`)
//   combine:   direction = Σ_row coefficients[row]·history[row] + coefficients[rows]·x
//   store:     history[row] = a·x + b·y
// history: f32[rows,E]   x, y, direction: f32[E]   coefficients: f32[rows+1]   products: f32[rows]
// partial: f32[rows, parts], parts = ⌈E/4096⌉
#import lib/reduce.wgsl

struct Params {
    rows: u32,
    elements: u32,
    parts: u32,
}

struct StoreParams {
    row: u32,
    a: f32,
    b: f32,
}

var<uniform> params: Params;
var<storage, read_write> history: array<f32>;
var<storage, read> x: array<f32>;
var<storage, read_write> partial: array<f32>;
var<storage, read_write> products: array<f32>;
var<storage, read> coefficients: array<f32>;
var<storage, read_write> direction: array<f32>;
var<uniform> store_params: StoreParams;
var<storage, read> y: array<f32>;

// dispatch [parts, rows, 1]
@compute @workgroup_size(REDUCE_SIZE)
fn inner(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let end = min((workgroup.x + 1u) * 4096u, params.elements);
    var sum = 0.0;
    for (var at = workgroup.x * 4096u + lane; at < end; at += REDUCE_SIZE) {
        sum += history[workgroup.y * params.elements + at] * x[at];
    }
    sum = workgroup_sum(lane, sum);
    if (lane == 0u) {
        partial[workgroup.y * params.parts + workgroup.x] = sum;
    }
}

// dispatch [rows, 1, 1]
@compute @workgroup_size(REDUCE_SIZE)
fn finish(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var sum = 0.0;
    for (var part = lane; part < params.parts; part += REDUCE_SIZE) {
        sum += partial[workgroup.x * params.parts + part];
    }
    sum = workgroup_sum(lane, sum);
    if (lane == 0u) {
        products[workgroup.x] = sum;
    }
}

fn element(workgroup: vec3<u32>, workgroups: vec3<u32>, lane: u32) -> u32 {
    return (workgroup.y * workgroups.x + workgroup.x) * 64u + lane;
}

// dispatch: ⌈E/64⌉ workgroups, folded into rows
@compute @workgroup_size(64)
fn combine(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = element(workgroup, workgroups, lane);
    if (at >= params.elements) {
        return;
    }
    var sum = coefficients[params.rows] * x[at];
    for (var row = 0u; row < params.rows; row++) {
        sum += coefficients[row] * history[row * params.elements + at];
    }
    direction[at] = sum;
}

// dispatch: ⌈E/64⌉ workgroups, folded into rows
@compute @workgroup_size(64)
fn store(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = element(workgroup, workgroups, lane);
    if (at < arrayLength(&x)) {
        history[store_params.row * arrayLength(&x) + at] = store_params.a * x[at] + store_params.b * y[at];
    }
}
