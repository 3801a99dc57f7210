// An element is a vec4, for planes whose pixel count is a multiple of 4. Declares the same names as lib/one.wgsl.
alias element = vec4<f32>;
const WIDTH: u32 = 4u;

fn first_of(value: element) -> f32 {
    return value.x;
}

fn sum_of(value: element) -> f32 {
    return (value.x + value.y) + (value.z + value.w);
}
