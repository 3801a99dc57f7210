// Linear values as they are on a screen: multiplied by the exposure, clamped, and encoded as sRGB where the target does
// not do that itself.

override exposure: f32;
override encodes: bool;

@group(0) @binding(0) var frame: texture_2d<f32>;

@vertex
fn screen(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    let corner = vec2<f32>(vec2<u32>(index % 2u, index / 2u));
    return vec4<f32>(4.0 * corner - 1.0, 0.0, 1.0);
}

@fragment
fn shade(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let linear = clamp(exposure * textureLoad(frame, vec2<u32>(position.xy), 0).rgb, vec3<f32>(0.0), vec3<f32>(1.0));
    let encoded = select(1.055 * pow(linear, vec3<f32>(1.0 / 2.4)) - 0.055, 12.92 * linear, linear < vec3<f32>(0.0031308));
    return vec4<f32>(select(linear, encoded, encodes), 1.0);
}
