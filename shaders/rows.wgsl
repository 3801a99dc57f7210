// rows: per-image vectors from tables with one row per style.
//   mix: y_n = Σ_s w_ns T_s      mix gradient: dT_s += Σ_n w_ns dy_n      (skips rows of weight 0)
//   scale: y_n = a_n x_n         (self-adjoint: dx_n = a_n dy_n)
// weights (w): f32[N,S]   table (T), dtable: f32[S,L]   x, y, dy: f32[N,L]   factors (a): f32[N]
// dispatch: one workgroup per 1024 elements of the output, folded into rows

struct Params {
    images: u32,
    rows: u32,
    length: u32,
}

var<uniform> params: Params;
var<storage, read> weights: array<f32>;
var<storage, read> table: array<f32>;
var<storage, read_write> y: array<f32>;
var<storage, read> dy: array<f32>;
var<storage, read_write> dtable: array<f32>;
var<storage, read> x: array<f32>;
var<storage, read> factors: array<f32>;

@compute @workgroup_size(64)
fn mix_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (workgroup.y * workgroups.x + workgroup.x) * 1024u;
    let end = min(first + 1024u, arrayLength(&y));
    for (var at = first + lane; at < end; at += 64u) {
        let image = at / params.length;
        let column = at % params.length;
        var sum = 0.0;
        for (var row = 0u; row < params.rows; row++) {
            let weight = weights[image * params.rows + row];
            if (weight != 0.0) {
                sum += weight * table[row * params.length + column];
            }
        }
        y[at] = sum;
    }
}

@compute @workgroup_size(64)
fn mix_gradient(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (workgroup.y * workgroups.x + workgroup.x) * 1024u;
    let end = min(first + 1024u, arrayLength(&dtable));
    for (var at = first + lane; at < end; at += 64u) {
        let row = at / params.length;
        let column = at % params.length;
        for (var image = 0u; image < params.images; image++) {
            let weight = weights[image * params.rows + row];
            if (weight != 0.0) {
                dtable[at] += weight * dy[image * params.length + column];
            }
        }
    }
}

@compute @workgroup_size(64)
fn scale(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (workgroup.y * workgroups.x + workgroup.x) * 1024u;
    let end = min(first + 1024u, arrayLength(&y));
    for (var at = first + lane; at < end; at += 64u) {
        y[at] = factors[at / params.length] * x[at];
    }
}
