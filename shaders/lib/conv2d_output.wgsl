// Writes sums to y. Requires lib/conv2d.wgsl and lib/epilogue.wgsl.

// Index in y of channel 0 of a pixel.
fn output_at(n: u32, pixel: u32) -> u32 {
    let row = params.first_row + params.step * (pixel / params.width);
    let column = params.first_column + params.step * (pixel % params.width);
    return (n * params.channels_out * params.output_height + row) * params.output_width + column;
}

// Writes the sum of channel m of the pixel whose channel 0 is element `at`.
fn write(at: u32, m: u32, sum: f32) {
    if (m < params.channels_out) {
        y[at + m * (params.output_height * params.output_width)] = finished(sum, m);
    }
}
