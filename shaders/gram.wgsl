// gram: Gram matrices of feature maps (arXiv:1508.06576, equation 3), scaled by s.
//   G[n,i,j] = s Σ_p F[n,i,p] F[n,j,p]          usually s = 1/(C·P)
//   dF[n,i,p] = s Σ_j (dG[n,i,j] + dG[n,j,i]) F[n,j,p]        a 1×1 convolution with the weights `symmetrized`
// G is symmetric: only tiles on and above the diagonal are computed. The sum over pixels is split into `splits` runs of
// `run` pixels; `finish` adds the runs in a fixed order.
// F: f32[N,C,P]   partial: f32[splits,N,CP,CP], CP: C padded to a multiple of TILE   G, dG, symmetrized: f32[N,C,C]
// A workgroup computes TILE² products over a run, a thread SIDE² of them in registers. DEPTH pixels of both tiles'
// channels are staged at a time: a thread loads four pixels of four channels and stores them as four channels of four
// pixels.
const TILE: u32 = 64u;
const SIDE: u32 = 8u; // a multiple of 4
const FOURS: bool = true; // P is a multiple of 4
const DEPTH: u32 = 16u;
const ACROSS: u32 = TILE / SIDE; // threads along a side
const THREADS: u32 = ACROSS * ACROSS;
const ROW: u32 = TILE / 4u + 1u; // vec4s, padded against bank conflicts
const BLOCKS: u32 = TILE * DEPTH / 16u; // of four channels and four pixels, in a staged tile

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
var<storage, read> feature_rows: array<vec4<f32>>; // features, used if FOURS
var<storage, read_write> partial: array<f32>;
var<storage, read_write> partial_rows: array<vec4<f32>>; // partial
var<storage, read_write> gram: array<f32>;
var<storage, read> dgram: array<f32>;
var<storage, read_write> symmetrized: array<f32>;

var<workgroup> tiles: array<vec4<f32>, 2u * DEPTH * ROW>; // of rows i, then of columns j

// Four pixels from element `at` on, which is `pixel`; 0 from `end` on. Channels beyond the last get any value, as `finish`
// does not read their products.
fn four(at: u32, pixel: u32, end: u32) -> vec4<f32> {
    let last = params.images * params.channels * params.pixels - 1u;
    if (FOURS) {
        return select(vec4<f32>(0.0), feature_rows[min(at, last) / 4u], pixel < end);
    }
    var value: vec4<f32>;
    for (var k = 0u; k < 4u; k++) {
        value[k] = select(0.0, features[min(at + k, last)], pixel + k < end);
    }
    return value;
}

// dispatch [tiles², splits, N], tiles = CP/TILE
@compute @workgroup_size(THREADS)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let across = params.padded_channels / TILE;
    let first_i = workgroup.x / across * TILE;
    let first_j = workgroup.x % across * TILE;
    if (first_i > first_j) {
        return;
    }
    let n = workgroup.z;
    let begin = workgroup.y * params.run;
    let end = min(begin + params.run, params.pixels);
    let thread_i = thread / ACROSS * (SIDE / 4u);
    let thread_j = thread % ACROSS;
    var sum: array<array<vec4<f32>, SIDE / 4u>, SIDE>;
    for (var p = begin; p < end; p += DEPTH) {
        for (var s = 0u; s < 2u * BLOCKS / THREADS; s++) {
            let block = thread + s * THREADS;
            let first = select(first_j, first_i, block < BLOCKS);
            let pixel = block % (DEPTH / 4u) * 4u;
            let channels = block % BLOCKS / (DEPTH / 4u);
            let at = (n * params.channels + first + channels * 4u) * params.pixels + p + pixel;
            var loaded: array<vec4<f32>, 4>;
            for (var k = 0u; k < 4u; k++) {
                loaded[k] = four(at + k * params.pixels, p + pixel, end);
            }
            let stage = (block / BLOCKS * DEPTH + pixel) * ROW + channels;
            for (var k = 0u; k < 4u; k++) {
                tiles[stage + k * ROW] = vec4<f32>(loaded[0][k], loaded[1][k], loaded[2][k], loaded[3][k]);
            }
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth++) {
            var i: array<vec4<f32>, SIDE / 4u>;
            var j: array<vec4<f32>, SIDE / 4u>;
            for (var a = 0u; a < SIDE / 4u; a++) {
                i[a] = tiles[depth * ROW + thread_i + a];
                j[a] = tiles[(DEPTH + depth) * ROW + thread_j + a * ACROSS];
            }
            for (var a = 0u; a < SIDE; a++) {
                for (var b = 0u; b < SIDE / 4u; b++) {
                    sum[a][b] += i[a / 4u][a % 4u] * j[b];
                }
            }
        }
        workgroupBarrier();
    }
    for (var a = 0u; a < SIDE; a++) {
        let row = (workgroup.y * params.images + n) * params.padded_channels + first_i + thread_i * 4u + a;
        for (var b = 0u; b < SIDE / 4u; b++) {
            partial_rows[(row * params.padded_channels + first_j) / 4u + thread_j + b * ACROSS] = sum[a][b];
        }
    }
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
