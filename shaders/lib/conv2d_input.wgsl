// Which element of x a tap of a convolution sees (needs conv2d.wgsl and border.wgsl of this folder).
const TAPS: u32 = ROWS * COLUMNS;

// What pixel (i, j) sees through a tap: its index in a plane of x, −1 for a zero of the border.
fn input_at(tap: u32, i: u32, j: u32) -> i32 {
    let row = border_source(i32(i * STRIDE + tap / COLUMNS) - params.before_row, i32(params.input_height));
    let column = border_source(i32(j * STRIDE + tap % COLUMNS) - params.before_column, i32(params.input_width));
    return select(-1, row * i32(params.input_width) + column, row >= 0 && column >= 0);
}

// Element k of the column of inputs that pixel (i, j) of image n sees: its index in x, −1 for a zero of the border.
fn input_index(n: u32, k: u32, i: u32, j: u32) -> i32 {
    let at = input_at(k % TAPS, i, j);
    let plane = (n * params.channels_in + k / TAPS) * params.input_height * params.input_width;
    return select(-1, i32(plane) + at, at >= 0);
}
