// window: a part of a feature map, at a place that can change between runs.
//   cut: y[i,j] = x[top+i, left+j]      add: z[top+i, left+j] += y[i,j]  (the gradient of cut, summed over windows)
// x, z: f32[N,C,H,W]   y: f32[N,C,h,w]
// dispatch [⌈w/64⌉, h, N·C]
struct Params {
    height: u32, // of x
    width: u32,
    window_height: u32, // of y
    window_width: u32,
    top: u32,
    left: u32,
}

var<uniform> params: Params;
var<storage, read> x: array<f32>;
var<storage, read_write> y: array<f32>;
var<storage, read_write> z: array<f32>;

// Elements of the window and of the picture; the window's width is the bound of the first.
fn places(id: vec3<u32>) -> vec2<u32> {
    return vec2<u32>(
        (id.z * params.window_height + id.y) * params.window_width + id.x,
        (id.z * params.height + params.top + id.y) * params.width + params.left + id.x,
    );
}

@compute @workgroup_size(64)
fn cut(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.window_width) {
        let at = places(id);
        y[at.x] = x[at.y];
    }
}

@compute @workgroup_size(64)
fn add(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.window_width) {
        let at = places(id);
        z[at.y] += y[at.x];
    }
}
