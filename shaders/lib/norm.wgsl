// The passes of norm.wgsl over runs. An element is a scalar (lib/one.wgsl) or a vec4 (lib/four.wgsl).
const RELU: bool = false;
const ADDED: bool = false; // add `addend` to y
const WEIGHTED: bool = false; // measure with `weights`

struct Params {
    pixels: u32, // per plane
    planes: u32,
    run: u32,
    count: u32, // M, elements of a domain
    epsilon: f32,
}

var<uniform> params: Params;
var<storage, read> x: array<element>;
var<storage, read_write> partial: array<vec2<f32>>;
var<storage, read_write> mean: array<f32>;
var<storage, read_write> variance: array<f32>;
var<storage, read> gamma: array<f32>;
var<storage, read> beta: array<f32>;
var<storage, read_write> y: array<element>;
var<storage, read> dy: array<element>;
var<storage, read_write> means: array<vec2<f32>>; // Σ dz/M and Σ dz·x̂/M
var<storage, read_write> dx: array<element>;
var<storage, read_write> moments: array<vec4<f32>>;
var<storage, read> addend: array<element>;
var<storage, read> weights: array<element>;

// The run of pixels that a workgroup processes.      dispatch [C, runs of a plane, N]
struct Run {
    part: u32, // index of the run among all planes
    plane: u32,
    begin: u32, // first and end, in elements of x
    end: u32,
}

fn run_of(workgroup: vec3<u32>, workgroups: vec3<u32>) -> Run {
    let plane = workgroup.z * workgroups.x + workgroup.x;
    let first = plane * params.pixels;
    let begin = workgroup.y * params.run;
    let end = min(begin + params.run, params.pixels);
    return Run(workgroup.y * params.planes + plane, plane, (first + begin) / WIDTH, (first + end) / WIDTH);
}

// Statistics and parameters of one plane: x̂ = (x − mean)·scale, z = gamma·x̂ + beta.
struct Plane {
    mean: f32,
    scale: f32,
    gamma: f32,
    beta: f32,
}

fn plane_of(plane: u32) -> Plane {
    let domain = plane % arrayLength(&mean);
    let channel = plane % arrayLength(&gamma);
    let scale = 1.0 / sqrt(variance[domain] + params.epsilon);
    return Plane(mean[domain], scale, gamma[channel], beta[channel]);
}

fn normalised(plane: Plane, value: element) -> element {
    return (value - plane.mean) * plane.scale;
}

// x̂ and dz of an element.
struct Gradient {
    normalised: element,
    dz: element,
}

fn gradient_at(plane: Plane, at: u32) -> Gradient {
    var gradient = Gradient(normalised(plane, x[at]), dy[at]);
    if (RELU) {
        let z = plane.gamma * gradient.normalised + plane.beta;
        gradient.dz = select(element(0.0), gradient.dz, z > element(0.0));
    }
    return gradient;
}

// Moments of a run, relative to its first element: a constant run has a variance of exactly 0.
@compute @workgroup_size(REDUCE_SIZE)
fn measure(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let run = run_of(workgroup, workgroups);
    let origin = first_of(x[run.begin]);
    let first = run.plane * (params.pixels / WIDTH);
    var sum = element(0.0);
    var shares = element(0.0);
    for (var at = run.begin + lane; at < run.end; at += REDUCE_SIZE) {
        if (WEIGHTED) {
            sum += weights[at - first] * (x[at] - origin);
            shares += weights[at - first];
        } else {
            sum += x[at] - origin;
        }
    }
    var count = f32((run.end - run.begin) * WIDTH);
    var divisor = count;
    if (WEIGHTED) {
        count = workgroup_sum(lane, sum_of(shares));
        divisor = select(count, 1.0, count == 0.0);
    }
    let average = origin + workgroup_sum(lane, sum_of(sum)) / divisor;
    var squares = element(0.0);
    for (var at = run.begin + lane; at < run.end; at += REDUCE_SIZE) {
        let difference = x[at] - average;
        if (WEIGHTED) {
            squares += weights[at - first] * difference * difference;
        } else {
            squares += difference * difference;
        }
    }
    let total = workgroup_sum(lane, sum_of(squares));
    if (lane == 0u) {
        moments[run.plane * workgroups.y + workgroup.y] = vec4<f32>(count, average, total, 0.0);
    }
}

@compute @workgroup_size(64)
fn normalise(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let run = run_of(workgroup, workgroups);
    let plane = plane_of(run.plane);
    for (var at = run.begin + lane; at < run.end; at += 64u) {
        var z = plane.gamma * normalised(plane, x[at]) + plane.beta;
        if (RELU) {
            z = select(z, element(0.0), z < element(0.0)); // `max` may turn a NaN into 0
        }
        if (ADDED) {
            z += addend[at];
        }
        y[at] = z;
    }
}

// partial = (Σ dz, Σ dz·x̂) of a run.
@compute @workgroup_size(REDUCE_SIZE)
fn gradient_parts(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let run = run_of(workgroup, workgroups);
    let plane = plane_of(run.plane);
    var sum = element(0.0);
    var product = element(0.0);
    for (var at = run.begin + lane; at < run.end; at += REDUCE_SIZE) {
        let gradient = gradient_at(plane, at);
        sum += gradient.dz;
        product += gradient.dz * gradient.normalised;
    }
    let dbeta_part = workgroup_sum(lane, sum_of(sum));
    let dgamma_part = workgroup_sum(lane, sum_of(product));
    if (lane == 0u) {
        partial[run.part] = vec2<f32>(dbeta_part, dgamma_part);
    }
}

@compute @workgroup_size(64)
fn input_gradient(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let run = run_of(workgroup, workgroups);
    let plane = plane_of(run.plane);
    let means_here = means[run.plane % arrayLength(&means)];
    for (var at = run.begin + lane; at < run.end; at += 64u) {
        let gradient = gradient_at(plane, at);
        dx[at] = plane.gamma * plane.scale * (gradient.dz - means_here.x - gradient.normalised * means_here.y);
    }
}

