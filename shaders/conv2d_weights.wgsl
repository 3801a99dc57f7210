// conv2d_weights: gradients of a convolution's weights and bias. dw is an implicit matrix product over pixels.
//   dw[m,c,u,v] += Σ_{n,i,j} dy[n,m,i,j] · x̃[n,c,S·i+u−t,S·j+v−t']
//   db[m] += Σ_{n,i,j} dy[n,m,i,j]
//   x̃: x enlarged by SCALE and padded   t, t': before_row, before_column   dy: gradient before the ReLU (masked)
// The sum over the pixels of all images is split into runs of `run` pixels; `finish` adds the runs in a fixed order.
// x: f32[N,C,XH,XW]   dy: f32[N,M,H,W]   partial: f32[splits,M,C,K,K] or f32[splits,M]
#import lib/border.wgsl
#import lib/conv2d.wgsl
#import lib/conv2d_input.wgsl
#import lib/index.wgsl
#import lib/reduce.wgsl
const TILE: u32 = 64u; // output channels, and weights per channel, of a workgroup's tile; 4 × 4 per thread
const DEPTH: u32 = 16u; // pixels staged at a time
const ROW: u32 = TILE + 2u; // padded against bank conflicts

var<storage, read> x: array<f32>;
var<storage, read> dy: array<f32>;
var<storage, read_write> partial: array<f32>;
var<storage, read_write> gradient: array<f32>;
var<storage, read> dy_rows: array<vec4<f32>>; // dy, if H·W is a multiple of 4

var<workgroup> tile_dy: array<f32, DEPTH * ROW>;
var<workgroup> tile_x: array<f32, DEPTH * ROW>;

fn dy_at(n: u32, m: u32, pixel: u32) -> f32 {
    return dy[(n * params.channels_out + m) * params.height * params.width + pixel];
}

// dispatch [⌈C·K²/TILE⌉, ⌈M/TILE⌉, splits]
@compute @workgroup_size(256)
fn products(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first_k = workgroup.x * TILE;
    let first_m = workgroup.y * TILE;
    let weights = params.channels_in * TAPS; // per output channel
    let pixels = params.height * params.width;
    let begin = workgroup.z * params.run;
    let end = min(begin + params.run, pixels * params.images);
    let thread_m = thread / 16u * 4u;
    let thread_k = thread % 16u;
    var sum: array<vec4<f32>, 4>;
    for (var b = 0u; b < 4u; b++) {
        sum[b] = vec4<f32>(0.0);
    }
    for (var first = begin; first < end; first += DEPTH) {
        // Every thread stages one pixel, for several rows of both tiles.
        let depth = thread % DEPTH;
        let at = first + depth;
        let n = at / pixels;
        let pixel = at % pixels;
        let i = pixel / params.width;
        let j = pixel % params.width;
        for (var row = thread / DEPTH; row < TILE; row += 256u / DEPTH) {
            var gradient_value = 0.0;
            if (at < end && first_m + row < params.channels_out) {
                gradient_value = dy_at(n, first_m + row, pixel);
            }
            tile_dy[depth * ROW + row] = gradient_value;
            var input_value = 0.0;
            if (at < end && first_k + row < weights) {
                // The input that this weight is multiplied by, the same for all output channels.
                let input = input_index(n, first_k + row, i, j);
                if (input >= 0) {
                    input_value = x[input];
                }
            }
            tile_x[depth * ROW + row] = input_value;
        }
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            let m = d * ROW + thread_m;
            let gradients = vec4<f32>(tile_dy[m], tile_dy[m + 1u], tile_dy[m + 2u], tile_dy[m + 3u]);
            for (var b = 0u; b < 4u; b++) {
                sum[b] += gradients * tile_x[d * ROW + thread_k + 16u * b];
            }
        }
        workgroupBarrier();
    }
    for (var b = 0u; b < 4u; b++) {
        let k = first_k + thread_k + 16u * b;
        for (var a = 0u; a < 4u; a++) {
            let m = first_m + thread_m + a;
            if (k < weights && m < params.channels_out) {
                partial[(workgroup.z * params.channels_out + m) * weights + k] = sum[b][a];
            }
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
        sum += dy_at(workgroup.z, workgroup.x, pixel);
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
    for (var part = at; part < arrayLength(&partial); part += arrayLength(&gradient)) {
        sum += partial[part];
    }
    gradient[at] += sum;
}
