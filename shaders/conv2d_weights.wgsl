// conv2d_weights: gradients of a convolution's weights and bias. dw is an implicit matrix product over pixels.
//   dw[m,c,u,v] += Σ_{n,i,j} dy[n,m,i,j] · x̃[n,c,S·i+u−t,S·j+v−t']
//   db[m] += Σ_{n,i,j} dy[n,m,i,j]
//   x̃: the input, enlarged and padded   t, t': its padding before the first row and column
//   dy: gradient before the ReLU (masked)
// The sum over the pixels of an image is split into runs of `run` pixels; `finish` adds all runs in a fixed order.
// x: f32[N,C,XH,XW], which is x̃   dy: f32[N,M,H,W]
// partial: f32[splits,⌈M/TILE_M⌉·TILE_M,⌈C·K²/TILE_N⌉·TILE_N] or f32[splits,M]
// A workgroup computes TILE_M output channels × TILE_N weights of each over a run, a thread SIDE_M × SIDE_N of them in
// registers. DEPTH pixels are staged at a time: a thread stages one pixel for several rows of both tiles. A weight's input
// lies at the place of the pixel plus an offset of the weight, so both are computed once.
#import lib/conv2d.wgsl
#import lib/index.wgsl
#import lib/reduce.wgsl
const TILE_M: u32 = 64u;
const TILE_N: u32 = 64u;
const SIDE_M: u32 = 8u; // multiples of 4
const SIDE_N: u32 = 8u;
const DEPTH: u32 = 16u;
const TAPS: u32 = ROWS * COLUMNS;
const ACROSS: u32 = TILE_N / SIDE_N; // threads along the weights
const THREADS: u32 = TILE_M / SIDE_M * ACROSS;
const STAGED: u32 = THREADS / DEPTH * 4u; // rows that all threads stage at a time
const ROW_M: u32 = TILE_M / 4u + 1u; // vec4s, padded against bank conflicts
const ROW_N: u32 = TILE_N / 4u + 1u;

var<storage, read> x: array<f32>;
var<storage, read> dy: array<f32>;
var<storage, read_write> partial: array<f32>;
var<storage, read_write> partial_rows: array<vec4<f32>>; // partial
var<storage, read_write> gradient: array<f32>;
var<storage, read> dy_rows: array<vec4<f32>>; // dy, if H·W is a multiple of 4

var<workgroup> tile_dy: array<vec4<f32>, DEPTH * ROW_M>;
var<workgroup> tile_x: array<vec4<f32>, DEPTH * ROW_N>;

// dispatch [⌈C·K²/TILE_N⌉, ⌈M/TILE_M⌉, N · runs of an image]
@compute @workgroup_size(THREADS)
fn products(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let plane = params.input_height * params.input_width;
    let pixels = params.height * params.width;
    let runs = (pixels + params.run - 1u) / params.run; // of an image
    let n = workgroup.z / runs;
    let begin = workgroup.z % runs * params.run;
    let end = min(begin + params.run, pixels);
    let depth = thread % DEPTH;
    let first_m = workgroup.y * TILE_M + thread / DEPTH * 4u;
    let first_k = workgroup.x * TILE_N + thread / DEPTH * 4u;
    let stage = thread / DEPTH;

    // Rows beyond the last repeat it; `finish` does not read their sums.
    var offset_dy: array<u32, TILE_M / STAGED * 4u>;
    for (var s = 0u; s < TILE_M / STAGED * 4u; s++) {
        offset_dy[s] = min(first_m + s / 4u * STAGED + s % 4u, params.channels_out - 1u) * pixels;
    }
    var offset_x: array<u32, TILE_N / STAGED * 4u>;
    for (var s = 0u; s < TILE_N / STAGED * 4u; s++) {
        let k = min(first_k + s / 4u * STAGED + s % 4u, params.channels_in * TAPS - 1u);
        offset_x[s] = k / TAPS * plane + k % TAPS / COLUMNS * params.input_width + k % COLUMNS;
    }
    let thread_m = thread / ACROSS * (SIDE_M / 4u);
    let thread_n = thread % ACROSS;
    var sum: array<array<vec4<f32>, SIDE_N / 4u>, SIDE_M>;
    for (var first = begin; first < end; first += DEPTH) {
        // Pixels beyond the last repeat it, with a gradient of 0.
        let pixel = min(first + depth, end - 1u);
        let at_dy = n * params.channels_out * pixels + pixel;
        let at_x = n * params.channels_in * plane
            + (pixel / params.width * params.input_width + pixel % params.width) * STRIDE;
        for (var s = 0u; s < TILE_M / STAGED; s++) {
            var four: vec4<f32>;
            for (var k = 0u; k < 4u; k++) {
                four[k] = select(0.0, dy[at_dy + offset_dy[s * 4u + k]], first + depth < end);
            }
            tile_dy[depth * ROW_M + stage + s * (STAGED / 4u)] = four;
        }
        for (var s = 0u; s < TILE_N / STAGED; s++) {
            var four: vec4<f32>;
            for (var k = 0u; k < 4u; k++) {
                four[k] = x[at_x + offset_x[s * 4u + k]];
            }
            tile_x[depth * ROW_N + stage + s * (STAGED / 4u)] = four;
        }
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            var gradients: array<vec4<f32>, SIDE_M / 4u>;
            for (var a = 0u; a < SIDE_M / 4u; a++) {
                gradients[a] = tile_dy[d * ROW_M + thread_m + a];
            }
            for (var b = 0u; b < SIDE_N / 4u; b++) {
                let inputs = tile_x[d * ROW_N + thread_n + b * ACROSS];
                for (var a = 0u; a < SIDE_M; a++) {
                    sum[a][b] += gradients[a / 4u][a % 4u] * inputs;
                }
            }
        }
        workgroupBarrier();
    }
    for (var a = 0u; a < SIDE_M; a++) {
        let row = (workgroup.z * workgroups.y + workgroup.y) * TILE_M + thread_m * 4u + a;
        for (var b = 0u; b < SIDE_N / 4u; b++) {
            partial_rows[(row * workgroups.x + workgroup.x) * (TILE_N / 4u) + thread_n + b * ACROSS] = sum[a][b];
        }
    }
}

// One run of one image.      dispatch [M, runs of an image, N]
@compute @workgroup_size(REDUCE_SIZE)
fn bias(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let begin = workgroup.y * params.run;
    let end = min(begin + params.run, params.height * params.width);
    var sum = 0.0;
    for (var pixel = begin + lane; pixel < end; pixel += REDUCE_SIZE) {
        sum += dy[(workgroup.z * params.channels_out + workgroup.x) * params.height * params.width + pixel];
    }
    sum = workgroup_sum(lane, sum);
    if (lane == 0u) {
        partial[(workgroup.z * workgroups.y + workgroup.y) * params.channels_out + workgroup.x] = sum;
    }
}

// For planes and runs whose pixel counts are multiples of 4.
@compute @workgroup_size(REDUCE_SIZE)
fn bias_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let pixels = params.height * params.width;
    let first = (workgroup.z * params.channels_out + workgroup.x) * pixels;
    let begin = workgroup.y * params.run;
    let end = (first + min(begin + params.run, pixels)) / 4u;
    var fours = vec4<f32>(0.0);
    for (var at = (first + begin) / 4u + lane; at < end; at += REDUCE_SIZE) {
        fours += dy_rows[at];
    }
    let sum = workgroup_sum(lane, (fours.x + fours.y) + (fours.z + fours.w));
    if (lane == 0u) {
        partial[(workgroup.z * workgroups.y + workgroup.y) * params.channels_out + workgroup.x] = sum;
    }
}

// gradient += Σ partial      dispatch: ⌈elements/64⌉ workgroups, folded into rows
struct FinishParams {
    columns: u32, // of gradient
    pitch: u32, // columns of partial
    run: u32, // elements of partial for each run
}

var<uniform> finish_params: FinishParams;

@compute @workgroup_size(64)
fn finish(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    if (at >= arrayLength(&gradient)) {
        return;
    }
    var sum = 0.0;
    let first = at / finish_params.columns * finish_params.pitch + at % finish_params.columns;
    for (var part = first; part < arrayLength(&partial); part += finish_params.run) {
        sum += partial[part];
    }
    gradient[at] += sum;
}
