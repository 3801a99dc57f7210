// An element is four numbers, which are loaded and stored at once: for planes whose pixels come in fours. (lib/one.wgsl: the
// same names.)
alias element = vec4<f32>;
const WIDTH: u32 = 4u;

fn first_of(value: element) -> f32 {
    return value.x;
}

fn sum_of(value: element) -> f32 {
    return (value.x + value.y) + (value.z + value.w);
}
