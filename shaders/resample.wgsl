// resample: mixes the rows or the columns of feature maps. A table has, for each row or column of y, the first of x that
// it consists of, and the weights of that one and of those that follow.
//   mix_rows:    y[i,j] = Σ_k w[i,k] x[first[i]+k, j]      y is [N,C,L,W]
//   mix_columns: y[i,j] = Σ_k w[j,k] x[i, first[j]+k]      y is [N,C,H,L]
// x: f32[N,C,H,W]   table: f32[L,1+K], each row is (first, w[0], ..., w[K-1])
// dispatch [⌈columns of y/64⌉, rows of y, N·C]
// The gradient is the same sum with the transposed table.
struct Params {
    height: u32, // of x
    width: u32,
    length: u32, // L
    taps: u32, // K
}

var<uniform> params: Params;
var<storage, read> x: array<f32>;
var<storage, read> table: array<f32>;
var<storage, read_write> y: array<f32>;

// Σ_k w[row,k] x[start + (first[row]+k)·stride]
fn mixed(row: u32, start: u32, stride: u32) -> f32 {
    let entry = row * (params.taps + 1u);
    var at = start + u32(table[entry]) * stride;
    var sum = 0.0;
    for (var k = 1u; k <= params.taps; k++) {
        sum += table[entry + k] * x[at];
        at += stride;
    }
    return sum;
}

@compute @workgroup_size(64)
fn mix_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.width) {
        let start = id.z * params.height * params.width + id.x;
        y[(id.z * params.length + id.y) * params.width + id.x] = mixed(id.y, start, params.width);
    }
}

@compute @workgroup_size(64)
fn mix_columns(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.length) {
        let line = id.z * params.height + id.y;
        y[line * params.length + id.x] = mixed(id.x, line * params.width, 1u);
    }
}
