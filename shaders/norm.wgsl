// norm: instance and batch normalisation, affine, with a ReLU on top if RELU.        arXiv:1607.08022, arXiv:1502.03167
// AdaIN (arXiv:1703.06868) is the instance norm of the content with γ and β the deviations and means of the style.
// The M elements that share a mean are a domain: a plane (instance: N·C domains) or a channel of all images (batch: C).
//   μ = Σ x/M      v = Σ (x−μ)²/M      x̂ = (x−μ)/√(v+ε)      z = γ·x̂ + β      y = z, or max(z, 0); ADDED: + s, a residual block's skip
//   dz = dy, with a ReLU only where z > 0      dγ += Σ dz·x̂      dβ += Σ dz      (over the channel in all images, if they share γ)
//   dx = γ/√(v+ε) · (dz − Σ dz/M − x̂·Σ dz·x̂/M)                                   (over the domain)
// Planes are cut into runs of `run` pixels; the passes over them are in lib/norm.wgsl. Domain d is made of the planes d, d + domains, …, and of the same parts.
// x, y, s (addend), dx, dy: f32[N,C,H,W]   mean (μ), variance (v): f32[domains]   gamma, beta, dgamma, dbeta: f32[C], or f32[N,C]
// moments: vec4[N,C,parts], each (elements, their mean, Σ (x−mean)², 0), of runs or of what the convolution before made at once
// partial: vec2[runs,N,C]   means: vec2[domains]   planes: vec4[N,C], as lib/load.wgsl takes them
#import lib/index.wgsl
#import lib/norm.wgsl
#import lib/one.wgsl
#import lib/reduce.wgsl

struct TrackParams {
    momentum: f32,
    correction: f32, // M/(M−1)
}

@group(0) @binding(3) var<storage, read> parts: array<vec2<f32>>; // partial, as it is added up
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> variance: array<f32>;
@group(0) @binding(12) var<storage, read_write> means: array<vec2<f32>>; // Σ dz/M and Σ dz·x̂/M
@group(0) @binding(14) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(15) var<storage, read_write> dbeta: array<f32>;
@group(0) @binding(17) var<uniform> track_params: TrackParams;
@group(0) @binding(18) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(19) var<storage, read_write> running_variance: array<f32>;
@group(0) @binding(21) var<storage, read> moments_made: array<vec4<f32>>; // moments, as statistics reads them
@group(0) @binding(23) var<storage, read_write> planes: array<vec4<f32>>;

// Part i of those of a domain, which are `each` in each of its planes.
fn part_of(domain: u32, each: u32, i: u32) -> vec4<f32> {
    return moments_made[(i / each * arrayLength(&mean) + domain) * each + i % each];
}

// mean and variance of a domain from those of its parts (Chan, Golub and LeVeque, 1979).      dispatch [C, 1, domains/C]
@compute @workgroup_size(REDUCE_SIZE)
fn statistics(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let domain = workgroup.z * workgroups.x + workgroup.x;
    let each = arrayLength(&moments_made) / params.planes;
    let all = arrayLength(&moments_made) / arrayLength(&mean);
    let origin = part_of(domain, each, 0u).y;
    var sum = 0.0;
    for (var i = lane; i < all; i += REDUCE_SIZE) {
        let part = part_of(domain, each, i);
        sum += part.x * (part.y - origin);
    }
    let average = origin + workgroup_sum(lane, sum) / f32(params.count);
    var squares = 0.0;
    for (var i = lane; i < all; i += REDUCE_SIZE) {
        let part = part_of(domain, each, i);
        squares += part.z + part.x * (part.y - average) * (part.y - average);
    }
    let total = workgroup_sum(lane, squares);
    if (lane == 0u) {
        mean[domain] = average;
        variance[domain] = total / f32(params.count);
    }
}

// planes: what a reader of x needs to make y of it.      dispatch: ⌈N·C/64⌉ workgroups, folded into rows
@compute @workgroup_size(64)
fn defer(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at >= params.planes) {
        return;
    }
    let plane = plane_of(at);
    planes[at] = vec4<f32>(plane.mean, plane.gamma * plane.scale, plane.beta, 0.0);
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
