// norm: instance and batch normalisation, affine, with a ReLU on top if RELU.        arXiv:1607.08022, arXiv:1502.03167
// AdaIN (arXiv:1703.06868) is the instance norm of the content with γ and β the deviations and means of the style.
// The M elements that share a mean are a domain: a plane (instance: N·C domains) or a channel of all images (batch: C).
//   μ = Σ x/M      v = Σ (x−μ)²/M      x̂ = (x−μ)/√(v+ε)      z = γ·x̂ + β      y = z, or max(z, 0)
//   dz = dy, with a ReLU only where z > 0      dγ += Σ dz·x̂      dβ += Σ dz      (over the channel in all images, if they share γ)
//   dx = γ/√(v+ε) · (dz − Σ dz/M − x̂·Σ dz·x̂/M)                                   (over the domain)
// Planes are cut into runs of `run` pixels. Domain d is made of the planes d, d + domains, …, and of the same parts.
// x, y, dx, dy: f32[N,C,H,W]   mean (μ), variance (v): f32[domains]   gamma, beta, dgamma, dbeta: f32[C], or f32[N,C]
// partial: vec2[runs,N,C]   means: vec2[domains]
#import lib/index.wgsl
#import lib/reduce.wgsl
const RELU: bool = false;

struct Params {
    pixels: u32, // of a plane
    planes: u32,
    run: u32,
    count: u32, // of a domain's elements
    epsilon: f32,
}

struct TrackParams {
    momentum: f32,
    correction: f32, // M/(M−1)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> parts: array<vec2<f32>>; // partial, as it is added up
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> variance: array<f32>;
@group(0) @binding(6) var<storage, read> mean_of_x: array<f32>; // mean and variance, as all others read them
@group(0) @binding(7) var<storage, read> variance_of_x: array<f32>;
@group(0) @binding(8) var<storage, read> gamma: array<f32>;
@group(0) @binding(9) var<storage, read> beta: array<f32>;
@group(0) @binding(10) var<storage, read_write> y: array<f32>;
@group(0) @binding(11) var<storage, read> dy: array<f32>;
@group(0) @binding(12) var<storage, read_write> means: array<vec2<f32>>; // Σ dz/M and Σ dz·x̂/M
@group(0) @binding(13) var<storage, read> means_of_domain: array<vec2<f32>>; // means, as input_gradient reads them
@group(0) @binding(14) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(15) var<storage, read_write> dbeta: array<f32>;
@group(0) @binding(16) var<storage, read_write> dx: array<f32>;
@group(0) @binding(17) var<uniform> track_params: TrackParams;
@group(0) @binding(18) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(19) var<storage, read_write> running_variance: array<f32>;

// The run of pixels that a workgroup works on.      dispatch [C, runs of a plane, N]
struct Run {
    part: u32, // its number
    plane: u32,
    begin: u32, // its elements in x
    end: u32,
}

fn run_of(workgroup: vec3<u32>, workgroups: vec3<u32>) -> Run {
    let plane = workgroup.z * workgroups.x + workgroup.x;
    let begin = workgroup.y * params.run;
    let end = min(begin + params.run, params.pixels);
    return Run(workgroup.y * params.planes + plane, plane, plane * params.pixels + begin, plane * params.pixels + end);
}

// x̂ = (x − mean)·scale and z = gamma·x̂ + beta in one plane.
struct Plane {
    mean: f32,
    scale: f32,
    gamma: f32,
    beta: f32,
}

fn plane_of(plane: u32) -> Plane {
    let domain = plane % arrayLength(&mean_of_x);
    let channel = plane % arrayLength(&gamma);
    let scale = 1.0 / sqrt(variance_of_x[domain] + params.epsilon);
    return Plane(mean_of_x[domain], scale, gamma[channel], beta[channel]);
}

// x̂ and dz of an element.
fn gradient_at(plane: Plane, at: u32) -> vec2<f32> {
    let normalised = (x[at] - plane.mean) * plane.scale;
    return vec2<f32>(normalised, select(0.0, dy[at], !RELU || plane.gamma * normalised + plane.beta > 0.0));
}

// partial = (mean, Σ (x−mean)²) of a run. Measured from its first element: where all are equal, nothing is rounded.
@compute @workgroup_size(REDUCE_SIZE)
fn moments(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let run = run_of(workgroup, workgroups);
    let origin = x[run.begin];
    var sum = 0.0;
    for (var at = run.begin + lane; at < run.end; at += REDUCE_SIZE) {
        sum += x[at] - origin;
    }
    let average = origin + workgroup_sum(lane, sum) / f32(run.end - run.begin);
    var squares = 0.0;
    for (var at = run.begin + lane; at < run.end; at += REDUCE_SIZE) {
        let difference = x[at] - average;
        squares += difference * difference;
    }
    squares = workgroup_sum(lane, squares);
    if (lane == 0u) {
        partial[run.part] = vec2<f32>(average, squares);
    }
}

// Pixels of the run that part was made of.
fn length_of(part: u32) -> f32 {
    return f32(min(params.run, params.pixels - part / params.planes * params.run));
}

// mean and variance of a domain from those of its runs (Chan, Golub and LeVeque, 1979).
// dispatch: ⌈domains/64⌉ workgroups, folded into rows
@compute @workgroup_size(64)
fn statistics(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let domain = linear_index(workgroup, workgroups, lane, 64u);
    let domains = arrayLength(&mean);
    if (domain >= domains) {
        return;
    }
    let origin = parts[domain].x;
    var sum = 0.0;
    for (var part = domain; part < arrayLength(&parts); part += domains) {
        sum += length_of(part) * (parts[part].x - origin);
    }
    let average = origin + sum / f32(params.count);
    var squares = 0.0;
    for (var part = domain; part < arrayLength(&parts); part += domains) {
        let difference = parts[part].x - average;
        squares += parts[part].y + length_of(part) * difference * difference;
    }
    mean[domain] = average;
    variance[domain] = squares / f32(params.count);
}

// y, run by run.
@compute @workgroup_size(64)
fn normalise(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let run = run_of(workgroup, workgroups);
    let plane = plane_of(run.plane);
    for (var at = run.begin + lane; at < run.end; at += 64u) {
        let z = plane.gamma * ((x[at] - plane.mean) * plane.scale) + plane.beta;
        y[at] = select(z, 0.0, RELU && z < 0.0); // `max` would make 0 of a NaN
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
    var sum = 0.0;
    var product = 0.0;
    for (var at = run.begin + lane; at < run.end; at += REDUCE_SIZE) {
        let element = gradient_at(plane, at);
        sum += element.y;
        product += element.y * element.x;
    }
    sum = workgroup_sum(lane, sum);
    product = workgroup_sum(lane, product);
    if (lane == 0u) {
        partial[run.part] = vec2<f32>(sum, product);
    }
}

// means of every domain that shares a factor, dgamma and dbeta.      dispatch: ⌈factors/64⌉ workgroups, folded into rows
@compute @workgroup_size(64)
fn parameter_gradients(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let channel = linear_index(workgroup, workgroups, lane, 64u);
    let channels = arrayLength(&dgamma);
    if (channel >= channels) {
        return;
    }
    let domains = arrayLength(&means);
    var total = vec2<f32>(0.0);
    for (var domain = channel; domain < domains; domain += channels) {
        var sum = vec2<f32>(0.0);
        for (var part = domain; part < arrayLength(&parts); part += domains) {
            sum += parts[part];
        }
        means[domain] = sum / f32(params.count);
        total += sum;
    }
    dbeta[channel] += total.x;
    dgamma[channel] += total.y;
}

// dx, run by run.
@compute @workgroup_size(64)
fn input_gradient(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let run = run_of(workgroup, workgroups);
    let plane = plane_of(run.plane);
    let means_here = means_of_domain[run.plane % arrayLength(&means_of_domain)];
    for (var at = run.begin + lane; at < run.end; at += 64u) {
        let element = gradient_at(plane, at);
        dx[at] = plane.gamma * plane.scale * (element.y - means_here.x - element.x * means_here.y);
    }
}

// running += momentum·(batch's − running), the variance unbiased.      dispatch: ⌈C/64⌉ workgroups, folded into rows
@compute @workgroup_size(64)
fn track(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let channel = linear_index(workgroup, workgroups, lane, 64u);
    if (channel >= arrayLength(&running_mean)) {
        return;
    }
    let unbiased = track_params.correction * variance_of_x[channel];
    running_mean[channel] += track_params.momentum * (mean_of_x[channel] - running_mean[channel]);
    running_variance[channel] += track_params.momentum * (unbiased - running_variance[channel]);
}
