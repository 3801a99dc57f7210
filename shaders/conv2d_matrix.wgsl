// conv2d_matrix: the sums of conv2d.wgsl on cooperative matrices. x and weights are rounded to f16, products accumulate
// in f32. A subgroup computes 2 × 4 matrices; the DOWN × 2 subgroups of a workgroup compute TILE_M channels of TILE_N
// pixels. TILE_K channels of one tap are staged at a time, so that the position of a tap in x is computed once for all
// channels. The eight accumulators are separate variables, because an array that a loop indexes may not stay in
// registers.
// x: f32[N,C,XH,XW]   weights: packed by conv2d.wgsl:pack   bias: f32[M]   y: f32[N,M,YH,YW], H × W of them computed
// dispatch [⌈H·W/TILE_N⌉, ⌈M/TILE_M⌉, N]
enable f16;
enable wgpu_cooperative_matrix;
#import lib/border.wgsl
#import lib/conv2d.wgsl
#import lib/conv2d_input.wgsl
#import lib/conv2d_output.wgsl
#import lib/epilogue.wgsl
#import lib/load.wgsl
#import lib/matrix.wgsl
const PACK: u32 = 64u; // output channels that are interleaved in the packed weights
const DOWN: u32 = 4u; // subgroups along the channels; there are 2 along the pixels
const SUBGROUPS: u32 = DOWN * 2u;
const THREADS: u32 = SUBGROUPS * LANES; // must be a multiple of TILE_N
const AREA: u32 = MATRIX_M * MATRIX_N;
const TILE_M: u32 = DOWN * 2u * MATRIX_M;
const TILE_N: u32 = 2u * 4u * MATRIX_N;
const TILE_K: u32 = 32u;
const ROW_M: u32 = TILE_M + 8u; // padded against bank conflicts
const ROW_N: u32 = TILE_N + 8u;

var<storage, read> x: array<f32>;
var<storage, read> weights: array<f32>;
var<storage, read> bias: array<f32>;
var<storage, read_write> y: array<f32>;

var<workgroup> tile_w: array<f16, TILE_K * ROW_M>;
var<workgroup> tile_x: array<f16, TILE_K * ROW_N>;
var<workgroup> made: array<f32, SUBGROUPS * AREA>; // one matrix per subgroup, on its way to y

@compute @workgroup_size(THREADS)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup_id: u32,
) {
    let n = workgroup.z;
    let first_m = workgroup.y * TILE_M;
    let first_pixel = workgroup.x * TILE_N;
    let first_weight = n * params.weights_stride + params.weights_first;
    let packed_channels = (params.channels_out + PACK - 1u) / PACK * PACK;
    let plane = params.input_height * params.input_width;

    // Every thread stages inputs of one pixel only.
    let load_n = thread % TILE_N;
    let load_pixel = first_pixel + load_n;
    let load_i = load_pixel / params.width;
    let load_j = load_pixel % params.width;

    let subgroup = min(subgroup_id, SUBGROUPS - 1u);
    let from_m = subgroup / 2u * 2u * MATRIX_M;
    let from_n = subgroup % 2u * 4u * MATRIX_N;
    var s00: Sum;
    var s01: Sum;
    var s02: Sum;
    var s03: Sum;
    var s10: Sum;
    var s11: Sum;
    var s12: Sum;
    var s13: Sum;
    for (var tap = 0u; tap < TAPS; tap++) {
        let at = input_at(tap, load_i, load_j);
        let is_there = load_pixel < params.height * params.width && at >= 0;
        for (var first_c = 0u; first_c < params.channels_in; first_c += TILE_K) {
            for (var kk = thread / TILE_N; kk < TILE_K; kk += THREADS / TILE_N) {
                let c = first_c + kk;
                var value = 0.0;
                if (is_there && c < params.channels_in) {
                    let channel = n * params.channels_in + c;
                    let index = channel * plane + u32(at);
                    value = loaded(x[index], index, norm_of(channel));
                }
                tile_x[kk * ROW_N + load_n] = f16(value);
            }
            for (var e = thread; e < TILE_K * TILE_M; e += THREADS) {
                let c = first_c + e / TILE_M;
                let m = first_m + e % TILE_M;
                var value = 0.0;
                if (c < params.channels_in && m < packed_channels) {
                    let k = (m / PACK * params.channels_in + c) * TAPS + tap;
                    value = weights[first_weight + k * PACK + m % PACK];
                }
                tile_w[e / TILE_M * ROW_M + e % TILE_M] = f16(value);
            }
            workgroupBarrier();
            for (var kk = 0u; kk < TILE_K; kk += MATRIX_K) {
                let w0 = coopLoad<Left>(&tile_w[kk * ROW_M + from_m], ROW_M);
                let w1 = coopLoad<Left>(&tile_w[kk * ROW_M + from_m + MATRIX_M], ROW_M);
                let x0 = coopLoadT<Right>(&tile_x[kk * ROW_N + from_n], ROW_N);
                let x1 = coopLoadT<Right>(&tile_x[kk * ROW_N + from_n + MATRIX_N], ROW_N);
                let x2 = coopLoadT<Right>(&tile_x[kk * ROW_N + from_n + 2u * MATRIX_N], ROW_N);
                let x3 = coopLoadT<Right>(&tile_x[kk * ROW_N + from_n + 3u * MATRIX_N], ROW_N);
                s00 = coopMultiplyAdd(w0, x0, s00);
                s01 = coopMultiplyAdd(w0, x1, s01);
                s02 = coopMultiplyAdd(w0, x2, s02);
                s03 = coopMultiplyAdd(w0, x3, s03);
                s10 = coopMultiplyAdd(w1, x0, s10);
                s11 = coopMultiplyAdd(w1, x1, s11);
                s12 = coopMultiplyAdd(w1, x2, s12);
                s13 = coopMultiplyAdd(w1, x3, s13);
            }
            workgroupBarrier();
        }
    }
    let mine = subgroup * AREA;
    let first = vec3(n, first_m, first_pixel);
    coopStoreT(s00, &made[mine], MATRIX_N);
    write_matrix(first, thread, 0u, 0u);
    coopStoreT(s01, &made[mine], MATRIX_N);
    write_matrix(first, thread, 0u, 1u);
    coopStoreT(s02, &made[mine], MATRIX_N);
    write_matrix(first, thread, 0u, 2u);
    coopStoreT(s03, &made[mine], MATRIX_N);
    write_matrix(first, thread, 0u, 3u);
    coopStoreT(s10, &made[mine], MATRIX_N);
    write_matrix(first, thread, 1u, 0u);
    coopStoreT(s11, &made[mine], MATRIX_N);
    write_matrix(first, thread, 1u, 1u);
    coopStoreT(s12, &made[mine], MATRIX_N);
    write_matrix(first, thread, 1u, 2u);
    coopStoreT(s13, &made[mine], MATRIX_N);
    write_matrix(first, thread, 1u, 3u);
}

// Writes matrix (down, across) of every subgroup to y. Barriers guard `made` on both sides.
fn write_matrix(first: vec3<u32>, thread: u32, down: u32, across: u32) {
    workgroupBarrier();
    for (var e = thread; e < SUBGROUPS * AREA; e += THREADS) {
        let subgroup = e / AREA;
        let m = first.y + (subgroup / 2u * 2u + down) * MATRIX_M + e % AREA / MATRIX_N;
        let pixel = first.z + (subgroup % 2u * 4u + across) * MATRIX_N + e % MATRIX_N;
        if (pixel < params.height * params.width) {
            write(output_at(first.x, pixel), m, made[e]);
        }
    }
    workgroupBarrier();
}
