// An element is a scalar, for planes of any pixel count. Declares the same names as lib/four.wgsl.
alias element = f32;
const WIDTH: u32 = 1u;

fn first_of(value: element) -> f32 {
    return value;
}

fn sum_of(value: element) -> f32 {
    return value;
}
