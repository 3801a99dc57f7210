// Fused operations on an element of x, applied as a kernel loads it. Nothing else has to store their result.
//   x̃ = x        MASKED: x̃ = x·[mask > 0]        NORMALISED: x̃ = max(γ/√(v+ε)·(x − μ) + β, 0)
// MASKED is the gradient of a ReLU with the output `mask`; NORMALISED is the norm and ReLU that follow x.
// mask: shaped as x   planes: vec4[N,C] of (μ, γ/√(v+ε), β, 0), by norm.wgsl:defer
const MASKED: bool = false;
const NORMALISED: bool = false;

var<storage, read> mask: array<f32>;
var<storage, read> mask_rows: array<vec4<f32>>; // mask, if its width is a multiple of 4
var<storage, read> planes: array<vec4<f32>>;

// What `loaded` needs for all elements of a plane.
fn norm_of(plane: u32) -> vec4<f32> {
    if (NORMALISED) {
        return planes[plane];
    }
    return vec4<f32>(0.0);
}

// x̃ for `value`, element `at` of x.
fn loaded(value: f32, at: u32, norm: vec4<f32>) -> f32 {
    if (MASKED) {
        return select(0.0, value, mask[at] > 0.0);
    }
    if (NORMALISED) {
        let z = (value - norm.x) * norm.y + norm.z;
        return select(z, 0.0, z < 0.0); // `max` may turn a NaN into 0
    }
    return value;
}

// x̃ for `value`, vec4 number `at` of x.
fn loaded_four(value: vec4<f32>, at: u32, norm: vec4<f32>) -> vec4<f32> {
    if (MASKED) {
        return select(vec4<f32>(0.0), value, mask_rows[at] > vec4<f32>(0.0));
    }
    if (NORMALISED) {
        let z = (value - norm.x) * norm.y + norm.z;
        return select(z, vec4<f32>(0.0), z < vec4<f32>(0.0));
    }
    return value;
}
