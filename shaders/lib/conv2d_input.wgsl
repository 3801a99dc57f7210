// Maps taps of a convolution to elements of x. Requires lib/conv2d.wgsl and lib/border.wgsl.
const TAPS: u32 = ROWS * COLUMNS;

// Index in a plane of x that pixel (i, j) reads through `tap`; −1 for a zero of the padding.
fn input_at(tap: u32, i: u32, j: u32) -> i32 {
    let row = border_source(i32(i * STRIDE + tap / COLUMNS) - params.before_row, i32(params.input_height));
    let column = border_source(i32(j * STRIDE + tap % COLUMNS) - params.before_column, i32(params.input_width));
    return select(-1, row * i32(params.input_width) + column, row >= 0 && column >= 0);
}
