// Which element of x a tap of a convolution sees (needs conv2d.wgsl and border.wgsl of this folder).
const TAPS: u32 = ROWS * COLUMNS;

// Element k of the column of inputs that pixel (i, j) of image n sees: its index in x, −1 for a zero of the border.
fn input_index(n: u32, k: u32, i: u32, j: u32) -> i32 {
    let c = k / TAPS;
    let tap = k % TAPS;
    let row = border_source(i32(i * STRIDE + tap / COLUMNS) - params.before_row, i32(params.input_height));
    let column = border_source(i32(j * STRIDE + tap % COLUMNS) - params.before_column, i32(params.input_width));
    let at = i32((n * params.channels_in + c) * params.input_height) + row;
    return select(-1, at * i32(params.input_width) + column, row >= 0 && column >= 0);
}
