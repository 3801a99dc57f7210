// Maps taps of a convolution to elements of x. Requires lib/conv2d.wgsl and lib/border.wgsl.
const TAPS: u32 = ROWS * COLUMNS;

// Index in a plane of x that pixel (i, j) reads through `tap`; −1 for a zero of the padding.
fn input_at(tap: u32, i: u32, j: u32) -> i32 {
    let row = border_source(i32(i * STRIDE + tap / COLUMNS) - params.before_row, i32(params.input_height));
    let column = border_source(i32(j * STRIDE + tap % COLUMNS) - params.before_column, i32(params.input_width));
    return select(-1, row * i32(params.input_width) + column, row >= 0 && column >= 0);
}

// Index in x of element `k` of the im2col column of pixel (i, j) of image `n`; −1 for a zero of the padding.
fn input_index(n: u32, k: u32, i: u32, j: u32) -> i32 {
    let at = input_at(k % TAPS, i, j);
    let plane = (n * params.channels_in + k / TAPS) * params.input_height * params.input_width;
    return select(-1, i32(plane) + at, at >= 0);
}
