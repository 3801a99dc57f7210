// pool: 2×2 windows, stride 2. Height and width of y are ⌊H/2⌋ or, in ceil mode, ⌈H/2⌉ with windows cut at the edge.
//   max:     y = max over the window      dx = dy at the window's first maximum in row order, else 0; NaN is the maximum
//   average: y = mean over the window     dx = dy / elements of the window
// x, dx: f32[N,C,H,W]   y, dy: f32[N,C,PH,PW]
// dispatch [⌈width/32⌉, height, N·C] of the tensor that is written
struct Params {
    height: u32, // of x
    width: u32,
    pooled_height: u32, // of y
    pooled_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

// First element and extent (1 or 2 rows, columns) of the window of pooled pixel (i, j).
struct Window {
    first: u32,
    rows: u32,
    columns: u32,
}

fn window(plane: u32, i: u32, j: u32) -> Window {
    return Window(
        (plane * params.height + 2u * i) * params.width + 2u * j,
        min(2u, params.height - 2u * i),
        min(2u, params.width - 2u * j),
    );
}

// By its bits, since drivers may take `value != value` for false.
fn is_nan(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

// The first maximum of a window.
fn maximum_at(w: Window) -> u32 {
    var best = w.first;
    for (var a = 0u; a < w.rows; a++) {
        for (var b = 0u; b < w.columns; b++) {
            let at = w.first + a * params.width + b;
            if (x[at] > x[best] || is_nan(x[at])) {
                best = at;
            }
        }
    }
    return best;
}

@compute @workgroup_size(32)
fn max_forward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.pooled_width) {
        let best = maximum_at(window(id.z, id.y, id.x));
        y[(id.z * params.pooled_height + id.y) * params.pooled_width + id.x] = x[best];
    }
}

@compute @workgroup_size(32)
fn average_forward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.pooled_width) {
        let w = window(id.z, id.y, id.x);
        var sum = 0.0;
        for (var a = 0u; a < w.rows; a++) {
            for (var b = 0u; b < w.columns; b++) {
                sum += x[w.first + a * params.width + b];
            }
        }
        y[(id.z * params.pooled_height + id.y) * params.pooled_width + id.x] = sum / f32(w.rows * w.columns);
    }
}

@compute @workgroup_size(32)
fn max_backward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.width) {
        let at = (id.z * params.height + id.y) * params.width + id.x;
        let i = id.y / 2u;
        let j = id.x / 2u;
        var value = 0.0;
        if (i < params.pooled_height && j < params.pooled_width && maximum_at(window(id.z, i, j)) == at) {
            value = dy[(id.z * params.pooled_height + i) * params.pooled_width + j];
        }
        dx[at] = value;
    }
}

@compute @workgroup_size(32)
fn average_backward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.width) {
        let i = id.y / 2u;
        let j = id.x / 2u;
        var value = 0.0;
        if (i < params.pooled_height && j < params.pooled_width) {
            let w = window(id.z, i, j);
            value = dy[(id.z * params.pooled_height + i) * params.pooled_width + j] / f32(w.rows * w.columns);
        }
        dx[(id.z * params.height + id.y) * params.width + id.x] = value;
    }
}
