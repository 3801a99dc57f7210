// conv2d: convolution as implicit matrix product, M = output channels, N = pixels, K = C·KERNEL².
//   y[n,m,i,j] = act( b[m] + Σ_{c,u,v} w[m,c,u,v] · x̃[n,c,S·i+u−t,S·j+v−t] )
//   where x̃ is x enlarged by SCALE and inside its border, t: params.before
//   dx is the same sum over dy, dilated by S and masked by the ReLU, with flipped weights w[c,m,K−1−u,K−1−v]
//   (for reflection, replication and enlargement followed by their adjoint, shaders/pad.wgsl)
// A workgroup makes TILE_M channels of TILE_N pixels, a thread THREAD_M × THREAD_N of them in registers; TILE_K rows of
// both factors are staged in workgroup memory at a time.
// x, mask: f32[N,C,XH,XW]   weights: packed by `pack`   bias: f32[M]   y: f32[N,M,H,W]
// dispatch [⌈H·W/TILE_N⌉, ⌈M/TILE_M⌉, N]
#import lib/border.wgsl
const KERNEL: u32 = 3u;
const STRIDE: u32 = 1u;
const BIAS: bool = true;
const RELU: bool = true;
const MASKED: bool = false; // apply the gradient of a ReLU whose output is `mask`
const PACK: u32 = 64u; // channels packed side by side
const TILE_M: u32 = 64u;
const TILE_N: u32 = 128u;
const TILE_K: u32 = 16u;
const THREAD_M: u32 = 8u;
const THREAD_N: u32 = 4u;
const ACROSS: u32 = TILE_N / THREAD_N; // threads along the pixels
const THREADS: u32 = TILE_M / THREAD_M * ACROSS; // a multiple of TILE_N
const ROW_M: u32 = TILE_M + 4u; // padded against bank conflicts
const ROW_N: u32 = TILE_N + 4u;
const TAPS: u32 = KERNEL * KERNEL;

struct Params {
    channels_in: u32,
    channels_out: u32,
    height: u32, // of y
    width: u32,
    input_height: u32, // of x
    input_width: u32,
    before: i32,
    weights_stride: u32, // elements from one image's weights to the next one's, 0 if they share them
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

var<workgroup> tile_w: array<f32, TILE_K * ROW_M>;
var<workgroup> tile_x: array<f32, TILE_K * ROW_N>;

// Element k of the column of inputs that output pixel (i, j) of image n sees.
fn input_at(n: u32, k: u32, i: u32, j: u32) -> f32 {
    let c = k / TAPS;
    let tap = k % TAPS;
    let row = border_source(i32(i * STRIDE + tap / KERNEL) - params.before, i32(params.input_height));
    let column = border_source(i32(j * STRIDE + tap % KERNEL) - params.before, i32(params.input_width));
    if (row < 0 || column < 0) {
        return 0.0;
    }
    let at = ((n * params.channels_in + c) * params.input_height + u32(row)) * params.input_width + u32(column);
    if (MASKED && !(mask[at] > 0.0)) {
        return 0.0;
    }
    return x[at];
}

@compute @workgroup_size(THREADS)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = workgroup.z;
    let first_m = workgroup.y * TILE_M;
    let first_pixel = workgroup.x * TILE_N;
    let depth = params.channels_in * TAPS;
    let pixels = params.height * params.width;
    let packed_channels = (params.channels_out + PACK - 1u) / PACK * PACK;

    // This thread always loads the same pixel's column of inputs.
    let load_pixel = first_pixel + thread % TILE_N;
    let load_i = load_pixel / params.width;
    let load_j = load_pixel % params.width;

    let thread_m = thread / ACROSS * THREAD_M;
    let thread_n = thread % ACROSS;
    var sum: array<f32, THREAD_M * THREAD_N>;
    for (var s = 0u; s < THREAD_M * THREAD_N; s++) {
        sum[s] = 0.0;
    }
    for (var first_k = 0u; first_k < depth; first_k += TILE_K) {
        for (var kk = thread / TILE_N; kk < TILE_K; kk += THREADS / TILE_N) {
            let k = first_k + kk;
            var value = 0.0;
            if (k < depth && load_pixel < pixels) {
                value = input_at(n, k, load_i, load_j);
            }
            tile_x[kk * ROW_N + thread % TILE_N] = value;
        }
        for (var e = thread; e < TILE_K * TILE_M; e += THREADS) {
            let k = first_k + e / TILE_M;
            let m = first_m + e % TILE_M;
            var value = 0.0;
            if (k < depth && m < packed_channels) {
                value = weights[n * params.weights_stride + (m / PACK * depth + k) * PACK + m % PACK];
            }
            tile_w[e / TILE_M * ROW_M + e % TILE_M] = value;
        }
        workgroupBarrier();
        for (var kk = 0u; kk < TILE_K; kk++) {
            var w: array<f32, THREAD_M>;
            for (var a = 0u; a < THREAD_M; a++) {
                w[a] = tile_w[kk * ROW_M + thread_m + a];
            }
            for (var b = 0u; b < THREAD_N; b++) {
                let input = tile_x[kk * ROW_N + thread_n + b * ACROSS];
                for (var a = 0u; a < THREAD_M; a++) {
                    sum[a * THREAD_N + b] += w[a] * input;
                }
            }
        }
        workgroupBarrier();
    }
    for (var a = 0u; a < THREAD_M; a++) {
        let m = first_m + thread_m + a;
        for (var b = 0u; b < THREAD_N; b++) {
            let pixel = first_pixel + thread_n + b * ACROSS;
            if (m < params.channels_out && pixel < pixels) {
                var value = sum[a * THREAD_N + b];
                if (BIAS) {
                    value += bias[m];
                }
                if (RELU) {
                    value = select(value, 0.0, value < 0.0); // `max` would make 0 of a NaN
                }
                y[(n * params.channels_out + m) * pixels + pixel] = value;
            }
        }
    }
}

// Packing: f32[N][⌈M/PACK⌉][C][K][K][PACK], zero where there is no channel; both kernel files read it.
// FLIPPED packs for the gradient to x: source is w[M',C'..] with M' = C, C' = M, taps turned by 180°.
// dispatch: ⌈elements/64⌉ workgroups, folded into rows
const FLIPPED: bool = false;

struct PackParams {
    channels_in: u32, // C of the packed weights
    channels_out: u32, // M of the packed weights
    count: u32, // packed elements an image
    images: u32,
}

@group(0) @binding(6) var<uniform> pack_params: PackParams;
@group(0) @binding(7) var<storage, read> source: array<f32>;
@group(0) @binding(8) var<storage, read_write> packed: array<f32>;

@compute @workgroup_size(64)
fn pack(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane;
    if (at >= pack_params.count * pack_params.images) {
        return;
    }
    let image = at / pack_params.count;
    let element = at % pack_params.count;
    let tap = element / PACK % TAPS;
    let c = element / PACK / TAPS % pack_params.channels_in;
    let m = element / PACK / TAPS / pack_params.channels_in * PACK + element % PACK;
    var value = 0.0;
    if (m < pack_params.channels_out) {
        let plain = (m * pack_params.channels_in + c) * TAPS + tap;
        let flipped = (c * pack_params.channels_out + m) * TAPS + TAPS - 1u - tap;
        let weights_an_image = pack_params.channels_out * pack_params.channels_in * TAPS;
        value = source[image * weights_an_image + select(plain, flipped, FLIPPED)];
    }
    packed[at] = value;
}
