// steady: a painted frame blended with the previous result, which follows the motion (temporal accumulation). P pixels.
//   blend:   p' = p + s·m(p)      z(p) = x(p) + a Σ_i w_i v_i (h_i − x(p))      q(p) = Σ_i b_i v_i
//            i: the 16 pixels around p'. v_i is 1 if i is within the frame and shows the same surface: with DEPTH,
//            |e_i − d(p)| ≤ t·max(|e_i|, |d(p)|) for its depth e_i in the previous frame; else 0.
//            b_i: bilinear weights, which are 0 except for the four pixels next to p'. w_i: Catmull-Rom weights if all v_i
//            are 1, else b_i. (Bilinear sampling blurs the history a little more in each frame.)
//            So z = x where nothing of the previous frame is valid, and with a = 0, which reads no history.
//   restore: y = z + q (g − 1) (z − μ_z)      g = clamp(((v_x + ε)/(v_z + ε))^γ, 1, 3)
//            Blending averages brush strokes that differ, which costs contrast. μ and v: mean and variance of a channel
//            in the pixels around p, up to RADIUS away. γ = 1/2 gives back the contrast within this window; the larger
//            CONTRAST makes up for some of what strokes lose that are longer.
// x, z, y, previous (h): f32[N,3,H,W]   motion (m): f32[1,2,H,W], to the right and down   share (q): f32[N,1,H,W]
// depth (d), depth_before (e): f32[1,1,H,W]
// dispatch: ⌈N·P/64⌉ workgroups, folded into rows
#import lib/index.wgsl

const DEPTH: bool = false;
const RADIUS: u32 = 2u;
const EPSILON: f32 = 1e-5; // (0.8/255)²
const CONTRAST: f32 = 0.65; // γ

struct Params {
    height: u32,
    width: u32,
    weight: f32, // a
    tolerance: f32, // t
    scale_x: f32, // s
    scale_y: f32,
}

var<uniform> params: Params;
var<storage, read> x: array<f32>;
var<storage, read> previous: array<f32>;
var<storage, read> motion: array<f32>;
var<storage, read> depth: array<f32>;
var<storage, read> depth_before: array<f32>;
var<storage, read_write> share: array<f32>;
var<storage, read_write> z: array<f32>;
var<storage, read_write> y: array<f32>;

// The colour at element `at` of an image's first plane.
fn painted(at: u32) -> vec3<f32> {
    let pixels = params.height * params.width;
    return vec3<f32>(x[at], x[at + pixels], x[at + 2u * pixels]);
}

fn earlier(at: u32) -> vec3<f32> {
    let pixels = params.height * params.width;
    return vec3<f32>(previous[at], previous[at + pixels], previous[at + 2u * pixels]);
}

fn blended(at: u32) -> vec3<f32> {
    let pixels = params.height * params.width;
    return vec3<f32>(z[at], z[at + pixels], z[at + 2u * pixels]);
}

// Whether the pixel `tap` of the previous frame shows the surface of the pixel `at`.
fn is_same(at: u32, tap: u32) -> bool {
    if (DEPTH) {
        let now = depth[at];
        let before = depth_before[tap];
        // Infinite depths are equal, though their difference is NaN.
        return before == now || abs(before - now) <= params.tolerance * max(abs(before), abs(now));
    }
    return true;
}

// Weights of pixels at these distances, 0 to 2.
fn catmull_rom(distance: vec2<f32>) -> vec2<f32> {
    let near = (1.5 * distance - 2.5) * distance * distance + 1.0;
    let far = ((2.5 - 0.5 * distance) * distance - 4.0) * distance + 2.0;
    return select(far, near, distance < vec2<f32>(1.0));
}

@compute @workgroup_size(64)
fn blend(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    let pixels = params.height * params.width;
    if (at >= arrayLength(&share)) {
        return;
    }
    let pixel = at % pixels;
    let first = at / pixels * 3u * pixels;
    let own = painted(first + pixel);
    let size = vec2<f32>(f32(params.width), f32(params.height));
    let step = vec2<f32>(params.scale_x * motion[pixel], params.scale_y * motion[pixel + pixels]);
    let place = vec2<f32>(f32(pixel % params.width), f32(pixel / params.width)) + step;
    var bilinear = vec3<f32>(0.0);
    var cubic = vec3<f32>(0.0);
    var valid = 0.0;
    var all_valid = true;
    if (params.weight > 0.0 && all(place > vec2<f32>(-1.0)) && all(place < size)) {
        let corner = vec2<i32>(floor(place)) - 1;
        for (var i = 0; i < 16; i++) {
            let tap = corner + vec2<i32>(i & 3, i >> 2u);
            let inside = tap.x >= 0 && tap.y >= 0 && tap.x < i32(params.width) && tap.y < i32(params.height);
            let source = u32(tap.y) * params.width + u32(tap.x);
            if (!inside || !is_same(pixel, source)) {
                all_valid = false;
                continue;
            }
            let difference = earlier(first + source) - own;
            let distance = abs(vec2<f32>(tap) - place);
            let near = max(vec2<f32>(0.0), 1.0 - distance);
            let weights = catmull_rom(distance);
            valid += near.x * near.y;
            bilinear += near.x * near.y * difference;
            cubic += weights.x * weights.y * difference;
        }
    }
    let result = own + params.weight * select(bilinear, cubic, all_valid);
    share[at] = valid;
    z[first + pixel] = result.x;
    z[first + pixel + pixels] = result.y;
    z[first + pixel + 2u * pixels] = result.z;
}

@compute @workgroup_size(64)
fn restore(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    let pixels = params.height * params.width;
    if (at >= arrayLength(&share)) {
        return;
    }
    let pixel = at % pixels;
    let first = at / pixels * 3u * pixels;
    let own = blended(first + pixel);
    let center = painted(first + pixel);
    let column = pixel % params.width;
    let row = pixel / params.width;
    let left = max(column, RADIUS) - RADIUS;
    let top = max(row, RADIUS) - RADIUS;
    let right = min(column + RADIUS, params.width - 1u);
    let bottom = min(row + RADIUS, params.height - 1u);
    // Sums of the differences from the central pixel, and of their squares.
    var sums = array<vec3<f32>, 4>();
    for (var i = top; i <= bottom; i++) {
        for (var j = left; j <= right; j++) {
            let near_x = painted(first + i * params.width + j) - center;
            let near_z = blended(first + i * params.width + j) - own;
            sums[0] += near_x;
            sums[1] += near_x * near_x;
            sums[2] += near_z;
            sums[3] += near_z * near_z;
        }
    }
    let count = f32((right - left + 1u) * (bottom - top + 1u));
    let mean_x = sums[0] / count;
    let mean_z = sums[2] / count;
    let variance_x = max(sums[1] / count - mean_x * mean_x, vec3<f32>(0.0));
    let variance_z = max(sums[3] / count - mean_z * mean_z, vec3<f32>(0.0));
    let ratio = (variance_x + EPSILON) / (variance_z + EPSILON);
    let gain = clamp(pow(ratio, vec3<f32>(CONTRAST)), vec3<f32>(1.0), vec3<f32>(3.0));
    let result = own - share[at] * (gain - 1.0) * mean_z;
    y[first + pixel] = result.x;
    y[first + pixel + pixels] = result.y;
    y[first + pixel + 2u * pixels] = result.z;
}
