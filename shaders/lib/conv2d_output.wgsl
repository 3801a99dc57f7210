// Writes a sum to y. Requires lib/conv2d.wgsl and lib/epilogue.wgsl.
fn write(n: u32, m: u32, pixel: u32, sum: f32) {
    if (m < params.channels_out && pixel < params.height * params.width) {
        let row = params.first_row + params.step * (pixel / params.width);
        let column = params.first_column + params.step * (pixel % params.width);
        y[((n * params.channels_out + m) * params.output_height + row) * params.output_width + column] =
            finished(sum, m);
    }
}
