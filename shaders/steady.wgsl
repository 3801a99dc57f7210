// steady: a painted frame blended with the previous result, which follows the motion (temporal accumulation). P pixels.
//   p' = p + s·m(p)      y(p) = x(p) + a Σ_i b_i v_i (h_i − x(p))      i: the four pixels around p', b_i: bilinear weights
// v_i is 1 if i is within the frame and shows the same surface: with DEPTH, |e_i − d(p)| ≤ t·max(|e_i|, |d(p)|) for its
// depth e_i in the previous frame; else 0. So y = x where nothing of the previous frame is valid, and with a = 0, which
// reads no history. With CLAMPED, h_i is clamped to the range of x in the 3×3 pixels around p.
// x, y, previous (h): f32[1,3,H,W]   motion (m): f32[1,2,H,W], to the right and down   depth (d), depth_before (e): f32[1,1,H,W]
// dispatch: ⌈P/64⌉ workgroups, folded into rows
#import lib/index.wgsl

const DEPTH: bool = false;
const CLAMPED: bool = false;

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
var<storage, read_write> y: array<f32>;

fn color(at: u32) -> vec3<f32> {
    let pixels = params.height * params.width;
    return vec3<f32>(x[at], x[at + pixels], x[at + 2u * pixels]);
}

// Whether the pixel `tap` of the previous frame shows the surface of the pixel `at`.
fn is_same(at: u32, tap: u32) -> bool {
    if (!DEPTH) {
        return true;
    }
    let now = depth[at];
    let before = depth_before[tap];
    return before == now || abs(before - now) <= params.tolerance * max(abs(before), abs(now));
}

@compute @workgroup_size(64)
fn blend(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = linear_index(workgroup, workgroups, lane, 64u);
    let pixels = params.height * params.width;
    if (at >= pixels) {
        return;
    }
    let own = color(at);
    var sum = vec3<f32>(0.0);
    let size = vec2<f32>(f32(params.width), f32(params.height));
    let pixel = vec2<u32>(at % params.width, at / params.width);
    let place = vec2<f32>(pixel) + vec2<f32>(params.scale_x * motion[at], params.scale_y * motion[at + pixels]);
    if (params.weight > 0.0 && all(place > vec2<f32>(-1.0)) && all(place < size)) {
        var low = own;
        var high = own;
        if (CLAMPED) {
            for (var row = max(pixel.y, 1u) - 1u; row <= min(pixel.y + 1u, params.height - 1u); row++) {
                for (var column = max(pixel.x, 1u) - 1u; column <= min(pixel.x + 1u, params.width - 1u); column++) {
                    let near = color(row * params.width + column);
                    low = min(low, near);
                    high = max(high, near);
                }
            }
        }
        let corner = floor(place);
        let part = place - corner;
        for (var i = 0u; i < 4u; i++) {
            let step = vec2<u32>(i & 1u, i >> 1u);
            let tap = vec2<i32>(corner) + vec2<i32>(step);
            let share = select(1.0 - part, part, step == vec2<u32>(1u));
            if (any(tap < vec2<i32>(0)) || tap.x >= i32(params.width) || tap.y >= i32(params.height)) {
                continue;
            }
            let from_ = u32(tap.y) * params.width + u32(tap.x);
            if (is_same(at, from_)) {
                var earlier = vec3<f32>(previous[from_], previous[from_ + pixels], previous[from_ + 2u * pixels]);
                if (CLAMPED) {
                    earlier = clamp(earlier, low, high);
                }
                sum += share.x * share.y * (earlier - own);
            }
        }
    }
    let result = own + params.weight * sum;
    y[at] = result.x;
    y[at + pixels] = result.y;
    y[at + 2u * pixels] = result.z;
}
