// What the kernels of a convolution share: the shape of its kernel, and one block of sizes for all of them.
const ROWS: u32 = 3u; // of taps
const COLUMNS: u32 = 3u;
const STRIDE: u32 = 1u;

struct Params {
    channels_in: u32,
    channels_out: u32,
    height: u32, // rows and columns of pixels that are made, or whose gradient is read
    width: u32,
    input_height: u32, // of x
    input_width: u32,
    before_row: i32, // t, t'
    before_column: i32,
    // Where the pixels lie and what makes them, for sums.
    output_height: u32, // of y
    output_width: u32,
    first_row: u32, // f, f'
    first_column: u32,
    step: u32, // s
    weights_first: u32, // element of the packed weights that the sum begins with
    weights_stride: u32, // elements from one image's weights to the next one's, 0 if they share them
    // What a workgroup adds up, for gradients of parameters.
    images: u32,
    run: u32, // pixels or rows
}

@group(0) @binding(0) var<uniform> params: Params;
