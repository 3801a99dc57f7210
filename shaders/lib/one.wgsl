// An element is one number: for planes whose pixels do not come in fours. (lib/four.wgsl: the same names.)
alias element = f32;
const WIDTH: u32 = 1u;

fn first_of(value: element) -> f32 {
    return value;
}

fn sum_of(value: element) -> f32 {
    return value;
}
