// pad: enlarges a picture by SCALE and pads it, as the convolutions for software adapters need it; and the adjoint.
//   y[i,j] = x̃[b(i−t), b(j−t)]      x̃: lib/load.wgsl   b: border_source
//   t: params.before, rows and columns of padding before x; a negative t crops x
//   dx[i,j] = Σ dy[r,q] over all r, q with b(r−t) = i, b(q−t) = j
// x, dx: f32[N,C,H,W]   y, dy: f32[N,C,HP,WP]
// dispatch [⌈width/32⌉, height, N·C] of the tensor written, with width in vec4s for forward_rows
#import lib/border.wgsl
#import lib/load.wgsl

struct Params {
    height: u32, // of x
    width: u32,
    padded_height: u32, // of y
    padded_width: u32,
    before: i32,
}

var<uniform> params: Params;
var<storage, read> x: array<f32>;
var<storage, read_write> y: array<f32>;
var<storage, read> dy: array<f32>;
var<storage, read_write> dx: array<f32>;
var<storage, read_write> y_rows: array<vec4<f32>>; // y, as written by forward_rows

// Element of y at column `j`, from row `i` of plane `n` of x; 0 if `i` is negative.
fn value_at(n: u32, i: i32, j: u32, norm: vec4<f32>) -> f32 {
    let column = border_source(i32(j) - params.before, i32(params.width));
    if (i < 0 || column < 0) {
        return 0.0;
    }
    let at = (n * params.height + u32(i)) * params.width + u32(column);
    return loaded(x[at], at, norm);
}

@compute @workgroup_size(32)
fn forward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.padded_width) {
        return;
    }
    let i = border_source(i32(id.y) - params.before, i32(params.height));
    y[(id.z * params.padded_height + id.y) * params.padded_width + id.x] = value_at(id.z, i, id.x, norm_of(id.z));
}

// For outputs whose rows are whole vec4s: four elements per thread.
@compute @workgroup_size(32)
fn forward_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    let across = params.padded_width / 4u;
    if (id.x >= across) {
        return;
    }
    let i = border_source(i32(id.y) - params.before, i32(params.height));
    let norm = norm_of(id.z);
    var four: vec4<f32>;
    for (var k = 0u; k < 4u; k++) {
        four[k] = value_at(id.z, i, 4u * id.x + k, norm);
    }
    y_rows[(id.z * params.padded_height + id.y) * across + id.x] = four;
}

// Candidate positions of element `index`: the padding before, its own SCALE positions, the padding after.
fn position(candidate: i32, index: i32, size: i32) -> i32 {
    let at = candidate - params.before;
    if (at < 0) {
        return at;
    }
    return select((size - 1) * SCALE + at, index * SCALE + at, at < SCALE);
}

// First and last candidate to test. Only elements near an edge can appear in the padding.
fn candidates(index: i32, size: i32, padded: i32) -> vec2<i32> {
    let border = padded - size * SCALE; // padding before and after together
    let after = border - params.before;
    if (index * SCALE > params.before && (index + 1) * SCALE < size * SCALE - after) {
        return vec2<i32>(params.before, params.before + SCALE - 1);
    }
    return vec2<i32>(0, border + SCALE - 1);
}

@compute @workgroup_size(32)
fn backward(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width) {
        return;
    }
    let height = i32(params.height);
    let width = i32(params.width);
    let i = i32(id.y);
    let j = i32(id.x);
    let rows = candidates(i, height, i32(params.padded_height));
    let columns = candidates(j, width, i32(params.padded_width));
    var sum = 0.0;
    for (var a = rows.x; a <= rows.y; a++) {
        let r = position(a, i, height);
        if (border_source(r, height) == i) {
            for (var b = columns.x; b <= columns.y; b++) {
                let q = position(b, j, width);
                if (border_source(q, width) == j) {
                    let row = id.z * params.padded_height + u32(r + params.before);
                    sum += dy[row * params.padded_width + u32(q + params.before)];
                }
            }
        }
    }
    dx[(id.z * params.height + id.y) * params.width + id.x] = sum;
}
