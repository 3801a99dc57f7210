// gram: Gram matrices of feature maps (arXiv:1508.06576, equation 3), scaled by s.
//   G[n,i,j] = s Σ_p F[n,i,p] F[n,j,p]          usually s = 1/(C·P)
//   dF[n,i,p] = s Σ_j (dG[n,i,j] + dG[n,j,i]) F[n,j,p]        a 1×1 convolution with the weights `symmetrized`
// G is symmetric: only tiles on and above the diagonal are computed. The sum over pixels is split into `splits` runs of
// `run` pixels; `finish` adds the runs in a fixed order.
// F: f32[N,C,P]   partial: f32[splits,N,CP,CP], CP: C padded to a multiple of TILE   G, dG, symmetrized: f32[N,C,C]
const TILE: u32 = 32u;
const DEPTH: u32 = 16u; // pixels staged at a time
const ROW: u32 = TILE + 1u;

struct Params {
    channels: u32,
    padded_channels: u32, // CP
    pixels: u32,
    run: u32,
    splits: u32,
    images: u32,
    scale: f32,
}

var<uniform> params: Params;
var<storage, read> features: array<f32>;
var<storage, read_write> partial: array<f32>;
var<storage, read_write> gram: array<f32>;
var<storage, read> dgram: array<f32>;
var<storage, read_write> symmetrized: array<f32>;

var<workgroup> tile_i: array<f32, DEPTH * ROW>;
var<workgroup> tile_j: array<f32, DEPTH * ROW>;

fn feature(n: u32, channel: u32, pixel: u32, end: u32) -> f32 {
    if (channel < params.channels && pixel < end) {
        return features[(n * params.channels + channel) * params.pixels + pixel];
    }
    return 0.0;
}

// dispatch [tiles², splits, N], tiles = CP/TILE; a thread computes 2×2 products
@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tiles = params.padded_channels / TILE;
    let first_i = workgroup.x / tiles * TILE;
    let first_j = workgroup.x % tiles * TILE;
    if (first_i > first_j) {
        return;
    }
    let n = workgroup.z;
    let begin = workgroup.y * params.run;
    let end = min(begin + params.run, params.pixels);
    let a = thread / 16u * 2u;
    let b = thread % 16u * 2u;
    var sum = vec4<f32>(0.0);
    for (var p = begin; p < end; p += DEPTH) {
        for (var e = thread; e < TILE * DEPTH; e += 256u) {
            let channel = e / DEPTH;
            let depth = e % DEPTH;
            tile_i[depth * ROW + channel] = feature(n, first_i + channel, p + depth, end);
            tile_j[depth * ROW + channel] = feature(n, first_j + channel, p + depth, end);
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth++) {
            let at = depth * ROW;
            let i = vec2<f32>(tile_i[at + a], tile_i[at + a + 1u]);
            let j = vec2<f32>(tile_j[at + b], tile_j[at + b + 1u]);
            sum += i.xxyy * j.xyxy;
        }
        workgroupBarrier();
    }
    let row = (workgroup.y * params.images + n) * params.padded_channels + first_i + a;
    let out = row * params.padded_channels + first_j + b;
    partial[out] = sum.x;
    partial[out + 1u] = sum.y;
    partial[out + params.padded_channels] = sum.z;
    partial[out + params.padded_channels + 1u] = sum.w;
}

// dispatch [⌈C/32⌉, C, N]
@compute @workgroup_size(32)
fn finish(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.channels) {
        return;
    }
    let i = min(id.x, id.y); // the lower triangle was not computed
    let j = max(id.x, id.y);
    let plane = params.padded_channels * params.padded_channels;
    var sum = 0.0;
    for (var split = 0u; split < params.splits; split++) {
        sum += partial[(split * params.images + id.z) * plane + i * params.padded_channels + j];
    }
    gram[(id.z * params.channels + id.y) * params.channels + id.x] = sum * params.scale;
}

// symmetrized = s (dG + dGᵀ)      dispatch [⌈C/32⌉, C, N]
@compute @workgroup_size(32)
fn symmetrize(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.channels) {
        return;
    }
    let plane = id.z * params.channels * params.channels;
    let sum = dgram[plane + id.y * params.channels + id.x] + dgram[plane + id.x * params.channels + id.y];
    symmetrized[plane + id.y * params.channels + id.x] = sum * params.scale;
}
