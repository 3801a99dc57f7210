// norm: instance norm (arXiv:1607.08022) and batch norm (arXiv:1502.03167), affine, with a fused ReLU if RELU.
// AdaIN (arXiv:1703.06868) is the instance norm of the content, with the style's deviations as γ and its means as β.
// The M elements that share a mean are a domain: a plane (instance, N·C domains) or a channel of all images (batch, C).
// Domain d consists of the planes d, d + domains, …
//   μ = Σ x/M      v = Σ (x−μ)²/M      x̂ = (x−μ)/√(v+ε)      z = γ·x̂ + β
//   y = z, with RELU max(z, 0); with ADDED y += s, the skip of a residual block
//   dz = dy, with RELU 0 unless z > 0      dγ += Σ dz·x̂      dβ += Σ dz      (over all images that share γ and β)
//   dx = γ/√(v+ε) · (dz − Σ dz/M − x̂·Σ dz·x̂/M)                              (sums over the domain)
// Planes are processed in runs of `run` pixels; those passes are in lib/norm.wgsl.
// x, y, s (addend), dx, dy: f32[N,C,H,W]   mean (μ), variance (v): f32[domains]
// gamma, beta, dgamma, dbeta: f32[C] or f32[N,C]
// WEIGHTED: μ = Σ wx/M, v = Σ w(x−μ)²/M, with weights w of mean 1 for the pixels of every plane; there is no gradient.
// weights (w): f32[H,W]
// moments: vec4[N,C,parts] of (elements or Σ w, mean, Σ (x−mean)², 0); a part is a run, or a quad of lib/winograd.wgsl
// partial: vec2[runs,N,C]   means: vec2[domains]   planes: vec4[N,C], see lib/load.wgsl
#import lib/index.wgsl
#import lib/norm.wgsl
#import lib/one.wgsl
#import lib/reduce.wgsl

struct TrackParams {
    momentum: f32,
    correction: f32, // M/(M−1) for an unbiased variance, else 1
}

var<storage, read_write> dgamma: array<f32>;
var<storage, read_write> dbeta: array<f32>;
var<uniform> track_params: TrackParams;
var<storage, read_write> running_mean: array<f32>;
var<storage, read_write> running_variance: array<f32>;
var<storage, read_write> planes: array<vec4<f32>>;

// Part `i` of a domain, of whose planes each has `each` parts.
fn part_of(domain: u32, each: u32, i: u32) -> vec4<f32> {
    return moments[(i / each * arrayLength(&mean) + domain) * each + i % each];
}

// Merges the parts of a domain into mean and variance (Chan, Golub and LeVeque, 1979).      dispatch [C, 1, domains/C]
@compute @workgroup_size(REDUCE_SIZE)
fn statistics(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let domain = workgroup.z * workgroups.x + workgroup.x;
    let each = arrayLength(&moments) / params.planes;
    let all = arrayLength(&moments) / arrayLength(&mean);
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

// What a reader of x needs to apply the norm while loading.      dispatch: ⌈N·C/64⌉ workgroups, folded into rows
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

// `means` of every domain of a channel's γ, dγ and dβ.      dispatch: ⌈elements of dγ/64⌉ workgroups, folded into rows
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
        for (var part = domain; part < arrayLength(&partial); part += domains) {
            sum += partial[part];
        }
        means[domain] = sum / f32(params.count);
        total += sum;
    }
    dbeta[channel] += total.x;
    dgamma[channel] += total.y;
}

// running += momentum·(batch's − running), with the variance times `correction`; a momentum of 1 does not read `running`.
// dispatch: ⌈C/64⌉ workgroups, folded into rows
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
    let corrected = track_params.correction * variance[channel];
    if (track_params.momentum >= 1.0) {
        running_mean[channel] = mean[channel];
        running_variance[channel] = corrected;
        return;
    }
    running_mean[channel] += track_params.momentum * (mean[channel] - running_mean[channel]);
    running_variance[channel] += track_params.momentum * (corrected - running_variance[channel]);
}
