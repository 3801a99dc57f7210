// What an element of x counts as where a kernel loads it: itself; under the gradient of a ReLU whose output is `mask`, 0 where
// that is not positive; or what the norm and the ReLU behind x would have made of it, which then nobody has to store.
//   x̃ = x        MASKED: x̃ = x·[mask > 0]        NORMALISED: x̃ = max(γ/√(v+ε)·(x − μ) + β, 0)
// mask: shaped as x   planes: vec4[N,C], each (μ, γ/√(v+ε), β, 0), by norm.wgsl
const MASKED: bool = false;
const NORMALISED: bool = false;

@group(0) @binding(30) var<storage, read> mask: array<f32>;
@group(0) @binding(31) var<storage, read> mask_rows: array<vec4<f32>>; // mask, if its width is a multiple of 4
@group(0) @binding(32) var<storage, read> planes: array<vec4<f32>>;

// What `loaded` wants to know of a plane: to be asked once for many elements.
fn norm_of(plane: u32) -> vec4<f32> {
    if (NORMALISED) {
        return planes[plane];
    }
    return vec4<f32>(0.0);
}

// What `value`, element `at` of x, counts as.
fn loaded(value: f32, at: u32, norm: vec4<f32>) -> f32 {
    if (MASKED) {
        return select(0.0, value, mask[at] > 0.0);
    }
    if (NORMALISED) {
        let z = (value - norm.x) * norm.y + norm.z;
        return select(z, 0.0, z < 0.0); // `max` would make 0 of a NaN
    }
    return value;
}

// The same of four neighbours, number `at` of such.
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
