// pool: 2×2 windows, stride 2. y has ⌊H/2⌋ × ⌊W/2⌋ elements; in ceil mode ⌈H/2⌉ × ⌈W/2⌉, with cropped edge windows.
//   max:     y = max over the window, NaN if any is      dx = dy at the first maximum in row order, else 0
//   average: y = mean over the window     dx = dy / elements of the window
// x, dx: f32[N,C,H,W]   y, dy: f32[N,C,PH,PW]
// dispatch [⌈windows across/32⌉, windows down, N·C]: forward has the windows of y; backward has ⌈H/2⌉ × ⌈W/2⌉ and
// writes zeros to dropped rows and columns. The entries _rows need W to be a multiple of 4 and take two windows per
// thread.
struct Params {
    height: u32, // of x
    width: u32,
    pooled_height: u32, // of y
    pooled_width: u32,
}

var<uniform> params: Params;
var<storage, read> x: array<f32>;
var<storage, read_write> y: array<f32>;
var<storage, read> dy: array<f32>;
var<storage, read_write> dx: array<f32>;
var<storage, read> x_rows: array<vec4<f32>>; // the same tensors, for two windows at a time
var<storage, read_write> y_rows: array<vec2<f32>>;
var<storage, read> dy_rows: array<vec2<f32>>;
var<storage, read_write> dx_rows: array<vec4<f32>>;

// Which elements of window (i, j), in row order, lie in the picture.
fn inside(i: u32, j: u32) -> vec4<bool> {
    let right = 2u * j + 1u < params.width;
    let below = 2u * i + 1u < params.height;
    return vec4<bool>(true, right, below, right && below);
}

// Index of the first element of window (i, j) in x and dx; pooled_at: index of window (i, j) in y and dy.
fn first_of(plane: u32, i: u32, j: u32) -> u32 {
    return (plane * params.height + 2u * i) * params.width + 2u * j;
}

fn pooled_at(plane: u32, i: u32, j: u32) -> u32 {
    return (plane * params.pooled_height + i) * params.pooled_width + j;
}

// Elements of window (i, j) in row order. Elements outside the picture are replaced by others of the window.
fn window(plane: u32, i: u32, j: u32) -> vec4<f32> {
    let at = first_of(plane, i, j);
    let here = inside(i, j);
    let right = select(0u, 1u, here.y);
    let below = select(0u, params.width, here.z);
    return vec4<f32>(x[at], x[at + right], x[at + below], x[at + below + right]);
}

// Elements of windows (i, j) and (i, j + 1).
fn windows(plane: u32, i: u32, j: u32) -> array<vec4<f32>, 2> {
    let at = first_of(plane, i, j) / 4u;
    let above = x_rows[at];
    let below = x_rows[at + select(0u, params.width / 4u, inside(i, j).z)];
    return array<vec4<f32>, 2>(vec4<f32>(above.xy, below.xy), vec4<f32>(above.zw, below.zw));
}

// Tested on the bits, since drivers may evaluate `value != value` as false.
fn is_nan(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

fn exceeds(a: f32, b: f32) -> bool {
    return a > b || (is_nan(a) && !is_nan(b));
}

// The maximum of a window, and a mask of the first element that has it.
struct Maximum {
    value: f32,
    is_at: vec4<bool>,
}

fn maximum_of(w: vec4<f32>) -> Maximum {
    let second = exceeds(w.y, w.x);
    let fourth = exceeds(w.w, w.z);
    let above = select(w.x, w.y, second);
    let below = select(w.z, w.w, fourth);
    let lower = exceeds(below, above);
    let is_at = vec4<bool>(!lower && !second, !lower && second, lower && !fourth, lower && fourth);
    return Maximum(select(above, below, lower), is_at);
}

// Weight of each element in the mean of its window.
fn shares(i: u32, j: u32) -> vec4<f32> {
    let ones = select(vec4<f32>(0.0), vec4<f32>(1.0), inside(i, j));
    return ones / (ones.x + ones.y + ones.z + ones.w);
}

fn mean_of(w: vec4<f32>, i: u32, j: u32) -> f32 {
    return dot(w, shares(i, j));
}

@compute @workgroup_size(32)
fn max_forward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.pooled_width) {
        y[pooled_at(id.z, id.y, id.x)] = maximum_of(window(id.z, id.y, id.x)).value;
    }
}

@compute @workgroup_size(32)
fn max_forward_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    let j = 2u * id.x;
    if (j < params.pooled_width) {
        let both = windows(id.z, id.y, j);
        y_rows[pooled_at(id.z, id.y, j) / 2u] = vec2<f32>(maximum_of(both[0]).value, maximum_of(both[1]).value);
    }
}

@compute @workgroup_size(32)
fn average_forward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.pooled_width) {
        y[pooled_at(id.z, id.y, id.x)] = mean_of(window(id.z, id.y, id.x), id.y, id.x);
    }
}

@compute @workgroup_size(32)
fn average_forward_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    let j = 2u * id.x;
    if (j < params.pooled_width) {
        let both = windows(id.z, id.y, j);
        y_rows[pooled_at(id.z, id.y, j) / 2u] = vec2<f32>(mean_of(both[0], id.y, j), mean_of(both[1], id.y, j + 1u));
    }
}

// dy of window (i, j), 0 for a dropped window; gradients_of: of windows (i, j) and (i, j + 1).
fn gradient_of(plane: u32, i: u32, j: u32) -> f32 {
    if (i < params.pooled_height && j < params.pooled_width) {
        return dy[pooled_at(plane, i, j)];
    }
    return 0.0;
}

fn gradients_of(plane: u32, i: u32, j: u32) -> vec2<f32> {
    if (i < params.pooled_height) {
        return dy_rows[pooled_at(plane, i, j) / 2u];
    }
    return vec2<f32>(0.0);
}

fn max_gradient(w: vec4<f32>, gradient: f32) -> vec4<f32> {
    return select(vec4<f32>(0.0), vec4<f32>(gradient), maximum_of(w).is_at);
}

// Writes dx of window (i, j); store_rows: of windows (i, j) and (i, j + 1).
fn store(plane: u32, i: u32, j: u32, values: vec4<f32>) {
    let at = first_of(plane, i, j);
    let here = inside(i, j);
    dx[at] = values.x;
    if (here.y) {
        dx[at + 1u] = values.y;
    }
    if (here.z) {
        dx[at + params.width] = values.z;
    }
    if (here.w) {
        dx[at + params.width + 1u] = values.w;
    }
}

fn store_rows(plane: u32, i: u32, j: u32, left: vec4<f32>, right: vec4<f32>) {
    let at = first_of(plane, i, j) / 4u;
    dx_rows[at] = vec4<f32>(left.xy, right.xy);
    if (inside(i, j).z) {
        dx_rows[at + params.width / 4u] = vec4<f32>(left.zw, right.zw);
    }
}

@compute @workgroup_size(32)
fn max_backward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (2u * id.x < params.width) {
        let gradient = gradient_of(id.z, id.y, id.x);
        store(id.z, id.y, id.x, max_gradient(window(id.z, id.y, id.x), gradient));
    }
}

@compute @workgroup_size(32)
fn max_backward_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    let j = 2u * id.x;
    if (2u * j < params.width) {
        let both = windows(id.z, id.y, j);
        let gradients = gradients_of(id.z, id.y, j);
        store_rows(id.z, id.y, j, max_gradient(both[0], gradients.x), max_gradient(both[1], gradients.y));
    }
}

@compute @workgroup_size(32)
fn average_backward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (2u * id.x < params.width) {
        store(id.z, id.y, id.x, shares(id.y, id.x) * gradient_of(id.z, id.y, id.x));
    }
}

@compute @workgroup_size(32)
fn average_backward_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    let j = 2u * id.x;
    if (2u * j < params.width) {
        let gradients = gradients_of(id.z, id.y, j);
        store_rows(id.z, id.y, j, shares(id.y, j) * gradients.x, shares(id.y, j + 1u) * gradients.y);
    }
}
