// conv2d: convolution as an implicit matrix product, M = output channels, N = pixels, K = C·ROWS·COLUMNS.
//   y[n,m,s·i+f,s·j+f'] = act( b[m] + Σ_{c,u,v} w[m,c,u,v] · x̃[n,c,S·i+u−t,S·j+v−t'] )
//   x̃: x as read through lib/load.wgsl, enlarged by SCALE and padded (lib/border.wgsl)
//   S: STRIDE   s: params.step   t, t': before_row, before_column   f, f': first_row, first_column
// A convolution is one such sum with s = 1 and f = f' = 0. Its gradient with respect to x is S·S such sums, the phases.
// Along one axis of K taps, only the taps p, p+S, p+2S, … reach the elements p, p+S, p+2S, … of the padded x. There are
// T = ⌈(K−p)/S⌉ of them:
//   dx[S·i+p] = Σ_u dy[i+u−(T−1)] · w[S·(T−1−u)+p]
// This is a sum of stride 1 over dy (masked by the ReLU) with s = S and flipped weights.
// The adjoints of reflection, replication and enlargement follow in pad.wgsl.
// Tiling: a workgroup computes TILE_M channels of TILE_N pixels, a thread THREAD_M × THREAD_N of them in registers.
// TILE_K input channels of one tap at a time are staged in workgroup memory: a thread computes the place of its pixel's
// input once for all of them. `direct` does not stage.
// x: f32[N,C,XH,XW]   weights: packed by `pack`   bias: f32[M]   y: f32[N,M,YH,YW], of which H × W are computed
// dispatch [⌈H·W/TILE_N⌉, ⌈M/TILE_M⌉, N]
#import lib/border.wgsl
#import lib/conv2d.wgsl
#import lib/conv2d_input.wgsl
#import lib/conv2d_output.wgsl
#import lib/epilogue.wgsl
#import lib/index.wgsl
#import lib/load.wgsl
const PACK: u32 = 64u; // output channels that are interleaved in the packed weights
const TILE_M: u32 = 64u;
const TILE_N: u32 = 128u;
const TILE_K: u32 = 16u;
const THREAD_M: u32 = 8u;
const THREAD_N: u32 = 4u;
const ACROSS: u32 = TILE_N / THREAD_N; // threads along the pixel axis
const THREADS: u32 = TILE_M / THREAD_M * ACROSS; // a multiple of TILE_N that divides TILE_K · TILE_N
const LOADED_K: u32 = THREADS / TILE_N; // input channels that all threads load at a time
const FOURS_M: u32 = TILE_M / 4u;
const ROW_M: u32 = FOURS_M + 1u; // padded against bank conflicts
const ROW_N: u32 = TILE_N + 4u;

var<storage, read> x: array<f32>;
var<storage, read> weights: array<vec4<f32>>;
var<storage, read> bias: array<f32>;
var<storage, read_write> y: array<f32>;

var<workgroup> tile_w: array<vec4<f32>, TILE_K * ROW_M>;
var<workgroup> tile_x: array<f32, TILE_K * ROW_N>;

@compute @workgroup_size(THREADS)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = workgroup.z;
    let first_m = workgroup.y * TILE_M;
    let first_pixel = workgroup.x * TILE_N;
    let plane = params.input_height * params.input_width;
    let pixels = params.height * params.width;
    let first_weight = n * params.weights_stride + params.weights_first;
    let packed_channels = (params.channels_out + PACK - 1u) / PACK * PACK;

    // Every thread stages inputs of one pixel. Those past the last are not stored.
    let load_pixel = min(first_pixel + thread % TILE_N, pixels - 1u);
    let load_i = load_pixel / params.width;
    let load_j = load_pixel % params.width;
    let load_k = select(thread / TILE_N, 0u, LOADED_K == 1u);
    let stage_x = load_k * ROW_N + thread % TILE_N;

    let thread_m = thread / ACROSS * (THREAD_M / 4u);
    let thread_n = thread % ACROSS;
    var sum: array<array<vec4<f32>, THREAD_M / 4u>, THREAD_N>;
    for (var turn = 0u; turn < (params.channels_in + TILE_K - 1u) / TILE_K * TAPS; turn++) {
        let tap = TAPS - 1u - turn % TAPS; // any order will do
        let first_c = turn / TAPS * TILE_K;
        let at = input_at(tap, load_i, load_j);
        let first_channel = n * params.channels_in + first_c + load_k;
        let first = first_channel * plane + u32(max(at, 0));
        // Both loops have a constant number of turns and no branches, so that drivers issue the loads together.
        for (var s = 0u; s < TILE_K * TILE_N / THREADS; s++) {
            let k = s * LOADED_K;
            let is_there = at >= 0 && first_c + load_k + k < params.channels_in;
            let index = select(0u, first + k * plane, is_there);
            let value = loaded(x[index], index, norm_of(select(0u, first_channel + k, is_there)));
            tile_x[stage_x + k * ROW_N] = select(0.0, value, is_there);
        }
        for (var s = 0u; s < (TILE_K * FOURS_M + THREADS - 1u) / THREADS; s++) {
            let e = thread + s * THREADS;
            let c = first_c + e / FOURS_M;
            let m = min(first_m + e % FOURS_M * 4u, packed_channels - 4u);
            let row = (m / PACK * params.channels_in + min(c, params.channels_in - 1u)) * TAPS + tap;
            let value = weights[(first_weight + row * PACK + m % PACK) / 4u];
            if (TILE_K * FOURS_M % THREADS == 0u || e < TILE_K * FOURS_M) {
                tile_w[e / FOURS_M * ROW_M + e % FOURS_M] = select(vec4<f32>(0.0), value, c < params.channels_in);
            }
        }
        workgroupBarrier();
        for (var kk = 0u; kk < TILE_K; kk++) {
            var w: array<vec4<f32>, THREAD_M / 4u>;
            for (var a = 0u; a < THREAD_M / 4u; a++) {
                w[a] = tile_w[kk * ROW_M + thread_m + a];
            }
            for (var b = 0u; b < THREAD_N; b++) {
                let input = tile_x[kk * ROW_N + thread_n + b * ACROSS];
                for (var a = 0u; a < THREAD_M / 4u; a++) {
                    sum[b][a] += w[a] * input;
                }
            }
        }
        workgroupBarrier();
    }
    for (var b = 0u; b < THREAD_N; b++) {
        write_pixel(n, first_m + thread_m * 4u, first_pixel + thread_n + b * ACROSS, sum[b]);
    }
}

// Writes the sums of a pixel to y, for channels from m on.
fn write_pixel(n: u32, m: u32, pixel: u32, sum: array<vec4<f32>, THREAD_M / 4u>) {
    if (pixel < params.height * params.width) {
        let at = output_at(n, pixel);
        var fours = sum;
        for (var a = 0u; a < THREAD_M; a++) {
            write(at, m + a, fours[a / 4u][a % 4u]);
        }
    }
}

// For few input or output channels, where staging costs more than it saves. A thread computes four neighbouring pixels
// of a row. It loads the inputs of one row of taps at a time, of which neighbouring taps and pixels share most; all
// threads read the same weights. Requires TILE_M = THREAD_M and THREAD_N = 4.
// dispatch [⌈H·⌈W/4⌉/THREADS⌉, ⌈M/TILE_M⌉, N]
const SEEN: u32 = 3u * STRIDE + COLUMNS; // columns of x that a thread reads
const FOURS: bool = false; // W is a multiple of 4, and s = 1

var<storage, read_write> y_rows: array<vec4<f32>>; // y, if FOURS

@compute @workgroup_size(THREADS)
fn direct(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let n = workgroup.z;
    let first_m = workgroup.y * TILE_M;
    let across = (params.width + 3u) / 4u;
    let quad = workgroup.x * THREADS + thread;
    if (quad >= across * params.height) {
        return;
    }
    let i = quad / across;
    let j = quad % across * 4u;
    let depth = params.channels_in * TAPS;
    let first_weight =
        n * params.weights_stride + params.weights_first + first_m / PACK * depth * PACK + first_m % PACK;

    var columns: array<u32, SEEN>;
    var has_column: array<bool, SEEN>;
    for (var e = 0u; e < SEEN; e++) {
        let column = border_source(i32(j * STRIDE + e) - params.before_column, i32(params.input_width));
        columns[e] = u32(max(column, 0));
        has_column[e] = column >= 0;
    }
    var sum: array<vec4<f32>, THREAD_M>;
    for (var u = 0u; u < ROWS; u++) {
        let row = border_source(i32(i * STRIDE + u) - params.before_row, i32(params.input_height));
        for (var c = 0u; c < params.channels_in; c++) {
            let channel = n * params.channels_in + c;
            let norm = norm_of(channel);
            let first = (channel * params.input_height + u32(max(row, 0))) * params.input_width;
            var seen: array<f32, SEEN>;
            for (var e = 0u; e < SEEN; e++) {
                let value = loaded(x[first + columns[e]], first + columns[e], norm);
                seen[e] = select(0.0, value, (MODE != 0u) | ((row >= 0) & has_column[e])); // only MODE 0 has zeros
            }
            let first_tap = first_weight + (c * TAPS + u * COLUMNS) * PACK;
            for (var v = 0u; v < COLUMNS; v++) {
                let inputs = vec4<f32>(seen[v], seen[v + STRIDE], seen[v + 2u * STRIDE], seen[v + 3u * STRIDE]);
                for (var a = 0u; a < THREAD_M / 4u; a++) {
                    let w = weights[(first_tap + v * PACK) / 4u + a];
                    for (var k = 0u; k < 4u; k++) {
                        sum[4u * a + k] += w[k] * inputs;
                    }
                }
            }
        }
    }
    for (var a = 0u; a < THREAD_M; a++) {
        let m = first_m + a;
        if (FOURS) {
            if (m < params.channels_out) {
                y_rows[((n * params.channels_out + m) * params.height + i) * across + j / 4u] = finished_four(sum[a], m);
            }
        } else {
            for (var b = 0u; b < 4u; b++) {
                if (j + b < params.width) {
                    write(output_at(n, i * params.width + j + b), m, sum[a][b]);
                }
            }
        }
    }
}

// Weight packing. A phase is stored as f32[⌈M/PACK⌉][C][ROWS][pitch][PACK], with zeros for missing channels and taps.
// The phases follow each other; if N images have weights of their own, the whole block repeats N times. All convolution
// kernels read this layout. A dispatch packs one phase: its tap (u, v) is tap (r + d·u, r' + d·v) of the K × K source
// taps. GRADIENT packs for the gradient with respect to x, whose input is dy: the source is then w[C,M,K,K], not
// w[M,C,K,K].
// dispatch: ⌈elements/64⌉ workgroups, folded into rows
const GRADIENT: bool = false;

struct PackParams {
    channels_in: u32, // C of the packed weights
    channels_out: u32, // M of the packed weights
    kernel: u32, // K
    rows: u32, // taps of this phase
    columns: u32,
    pitch: u32, // columns, padded to whole loads of the kernel
    source_row: i32, // r, r'
    source_column: i32,
    source_step: i32, // d
    first: u32, // first packed element of the phase
    count: u32, // packed elements of the phase, per image
    stride: u32, // packed elements of all phases, per image
    images: u32,
}

var<uniform> pack_params: PackParams;
var<storage, read> source: array<f32>;
var<storage, read_write> packed: array<f32>;

@compute @workgroup_size(64)
fn pack(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at >= pack_params.count * pack_params.images) {
        return;
    }
    let image = at / pack_params.count;
    let element = at % pack_params.count;
    let taps = pack_params.rows * pack_params.pitch;
    let tap = element / PACK % taps;
    let c = element / PACK / taps % pack_params.channels_in;
    let m = element / PACK / taps / pack_params.channels_in * PACK + element % PACK;
    var value = 0.0;
    if (m < pack_params.channels_out && tap % pack_params.pitch < pack_params.columns) {
        let row = u32(pack_params.source_row + pack_params.source_step * i32(tap / pack_params.pitch));
        let column = u32(pack_params.source_column + pack_params.source_step * i32(tap % pack_params.pitch));
        let first = image * pack_params.channels_out * pack_params.channels_in;
        let plane = first + select(m * pack_params.channels_in + c, c * pack_params.channels_out + m, GRADIENT);
        value = source[(plane * pack_params.kernel + row) * pack_params.kernel + column];
    }
    packed[image * pack_params.stride + pack_params.first + element] = value;
}
