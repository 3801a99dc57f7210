// Shared by all convolution kernels: the shape of the convolution kernel, and one parameter block.
const ROWS: u32 = 3u; // taps
const COLUMNS: u32 = 3u;
const STRIDE: u32 = 1u;

struct Params {
    channels_in: u32,
    channels_out: u32,
    height: u32, // rows and columns of pixels computed, or of dy
    width: u32,
    input_height: u32, // of x
    input_width: u32,
    before_row: i32, // t, t'
    before_column: i32,
    // Placement of the pixels in y, and their weights: for sums.
    output_height: u32, // of y
    output_width: u32,
    first_row: u32, // f, f'
    first_column: u32,
    step: u32, // s
    weights_first: u32, // first packed weight of the sum
    weights_stride: u32, // packed weights per image, 0 if all images share them
    // Split of the sum over pixels: for gradients of weights and bias.
    images: u32,
    run: u32, // pixels or rows
}

var<uniform> params: Params;
