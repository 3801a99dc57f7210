//! Convolution and its gradients with respect to the input, the weights and the bias.

use impasto::gpu::Precision;
use impasto::internal::cases::conv2d::{self, PADDINGS, Setting};
use impasto::ops::conv2d::{Conv2d, Padding};
use impasto::ops::pad::Border;

use crate::harness::{check_case, has_half};

const CASE: Setting = Setting { images: 1, size: [7, 11], bias: true, own_weights: false, precision: Precision::F32 };

/// A convolution with all options.
const CONV: Conv2d = Conv2d {
    channels_in: 3,
    channels_out: 5,
    kernel: 3,
    stride: 1,
    padding: Padding::Same(Border::Reflect),
    upsample: false,
    relu: true,
};

fn check_conv(conv: Conv2d, setting: Setting) {
    check_case(&conv2d::sums(conv, setting));
}

/// All kernels, strides and paddings; sides divisible by the stride and not; with and without ReLU and bias.
#[test]
fn geometries_match_the_oracle() {
    for (kernel, sizes) in [(1, [[1, 1], [4, 9]]), (3, [[5, 7], [8, 6]]), (9, [[11, 13], [10, 9]])] {
        for stride in [1, 2] {
            for (index, (padding, _)) in PADDINGS.into_iter().enumerate() {
                for (odd, size) in sizes.into_iter().enumerate() {
                    let [relu, bias] = [1, 2].map(|bit| (index + odd) & bit != 0);
                    let conv = Conv2d { kernel, stride, padding, relu, ..CONV };
                    check_conv(conv, Setting { size, bias, images: 2, ..CASE });
                }
            }
        }
    }
}

/// Enlarged inputs: all kernels and paddings, including pictures so small that reflection covers them.
#[test]
fn enlarged_inputs_match_the_oracle() {
    for (kernel, sizes) in [(1, [[1, 1], [4, 9]]), (3, [[2, 3], [5, 7]]), (9, [[5, 6], [9, 7]])] {
        for (index, (padding, _)) in PADDINGS.into_iter().enumerate() {
            for (odd, size) in sizes.into_iter().enumerate() {
                let conv = Conv2d { kernel, padding, upsample: true, relu: (index + odd) % 2 == 0, ..CONV };
                check_conv(conv, Setting { size, images: 2, ..CASE });
                check_parameters(conv, 2, size);
            }
        }
    }
    let conv = Conv2d { channels_in: 17, channels_out: 33, upsample: true, ..CONV };
    check_conv(conv, Setting { size: [9, 11], images: 2, ..CASE });
    check_parameters(conv, 2, [9, 11]);
}

#[test]
fn bias_and_relu_are_independent() {
    for (bias, relu) in [(false, false), (false, true), (true, false), (true, true)] {
        check_conv(Conv2d { relu, ..CONV }, Setting { bias, ..CASE });
    }
}

/// Numbers of channels around the tile sizes, as outputs of the convolution and of its gradient.
#[test]
fn channels_match_the_oracle() {
    for channels in [1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65] {
        check_conv(Conv2d { channels_in: 3, channels_out: channels, ..CONV }, Setting { size: [3, 5], ..CASE });
        check_conv(Conv2d { channels_in: channels, channels_out: 2, ..CONV }, Setting { size: [3, 5], ..CASE });
    }
    check_conv(Conv2d { channels_in: 33, channels_out: 65, ..CONV }, Setting { images: 2, size: [5, 7], ..CASE });
}

/// Numbers of pixels around the tiles of 32, 128 and 256; row lengths around multiples of 4.
#[test]
fn pixels_match_the_oracle() {
    let zero = Conv2d { padding: Padding::Same(Border::Zero), ..CONV };
    check_conv(zero, Setting { size: [1, 1], ..CASE });
    for width in [1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129] {
        check_conv(zero, Setting { size: [2, width], ..CASE });
    }
    for size in [[16, 16], [17, 15], [1, 257], [129, 1], [31, 33]] {
        check_conv(zero, Setting { images: 2, size, ..CASE });
    }
    for size in [[4, 8], [31, 1], [11, 3], [2, 32], [3, 43]] {
        check_conv(Conv2d { channels_in: 33, channels_out: 34, ..zero }, Setting { images: 2, size, ..CASE });
    }
}

/// The tiles used only for large pictures: forward for many outputs, backward for many inputs.
#[test]
fn large_tiles_match_the_oracle() {
    let large = |channels_in, channels_out, kernel, images| {
        let conv = Conv2d { channels_in, channels_out, kernel, padding: Padding::Same(Border::Replicate), ..CONV };
        check_conv(conv, Setting { images, size: [65, 127], ..CASE });
    };
    // 65 channels and 8,255 or 16,510 pixels: about fifty, and more than a hundred, workgroups of 128 × 128.
    for images in [1, 2] {
        large(5, 65, 1, images);
        large(65, 5, 1, images);
    }
    // 33 channels: the tile of 64 × 128.
    large(5, 33, 3, 2);
    large(33, 5, 3, 2);
    // One channel: no staging in workgroup memory.
    large(1, 65, 3, 2);
    large(65, 1, 3, 2);
}

/// Winograd convolutions with large and small tiles: all paddings, enlarged inputs, row lengths divisible by 4 and not,
/// one band of tiles and several.
#[test]
fn tiles_match_the_oracle() {
    for (index, (padding, _)) in PADDINGS.into_iter().enumerate() {
        for size in [[16, 16], [15, 13], [20, 20]].map(|size| size.map(|side| side + 2 * usize::from(index == 0))) {
            let [relu, bias] = [1, 2].map(|bit| (index + size[0]) & bit != 0);
            check_conv(
                Conv2d { channels_in: 20, channels_out: 36, padding, relu, ..CONV },
                Setting { size, bias, ..CASE },
            );
        }
        let conv = Conv2d { channels_in: 16, channels_out: 33, padding, upsample: true, ..CONV };
        check_conv(conv, Setting { size: [8, 9], ..CASE });
        for size in [[16, 16], [13, 20], [17, 23], [9, 34]] {
            let [relu, bias] = [1, 2].map(|bit| (index + size[0]) & bit != 0);
            let conv = Conv2d { channels_in: 20, channels_out: 36, padding, relu, ..CONV };
            check_conv(conv, Setting { size, bias, images: 2, ..CASE });
        }
        let conv = Conv2d { channels_in: 16, channels_out: 33, padding, upsample: true, ..CONV };
        check_conv(conv, Setting { size: [9, 11], images: 2, ..CASE });
    }
    check_conv(Conv2d { channels_in: 16, channels_out: 20, ..CONV }, Setting { images: 4, size: [57, 63], ..CASE });
    for (padding, size) in [(PADDINGS[1].0, [8, 32]), (PADDINGS[2].0, [19, 29]), (PADDINGS[3].0, [14, 15])] {
        check_conv(Conv2d { channels_in: 128, channels_out: 132, padding, ..CONV }, Setting { size, ..CASE });
    }
}

/// Storage in f16: direct convolutions, Winograd, phases of enlarged inputs, rows of any length. Gradients stay f32.
#[test]
fn halves_match_the_oracle() {
    if !has_half() {
        return;
    }
    let half = Setting { precision: Precision::F16, ..CASE };
    for size in [[7, 11], [16, 16], [16, 32]] {
        check_conv(CONV, Setting { size, images: 2, ..half });
        check_conv(Conv2d { channels_in: 20, channels_out: 36, ..CONV }, Setting { size, ..half });
    }
    check_conv(Conv2d { stride: 2, ..CONV }, half);
    check_conv(Conv2d { kernel: 1, channels_in: 12, ..CONV }, half);
}

/// Storage in f16 with enough channels for cooperative matrices, where the adapter has them: all kernels, strides and
/// paddings, enlargement, complete and partial tiles, separate weights for each image.
#[test]
fn halves_of_many_channels_match_the_oracle() {
    if !has_half() {
        return;
    }
    let half = Setting { precision: Precision::F16, images: 2, ..CASE };
    let conv = Conv2d { channels_in: 16, channels_out: 34, ..CONV };
    for (index, (padding, _)) in PADDINGS.into_iter().enumerate() {
        let [relu, bias] = [1, 2].map(|bit| index & bit != 0);
        for stride in [1, 2] {
            check_conv(Conv2d { stride, padding, relu, ..conv }, Setting { bias, ..half });
        }
        check_conv(Conv2d { padding, relu, upsample: true, ..conv }, Setting { size: [4, 5], bias, ..half });
    }
    check_conv(Conv2d { kernel: 9, channels_in: 19, ..conv }, Setting { images: 1, size: [10, 9], ..half });
    check_conv(Conv2d { kernel: 1, channels_in: 70, channels_out: 130, ..conv }, half);
    check_conv(Conv2d { kernel: 1, relu: false, channels_out: 64, ..conv }, Setting { own_weights: true, ..half });
    // Enough channels and pixels for the larger tile and a partial one.
    check_conv(Conv2d { kernel: 1, channels_out: 136, ..conv }, Setting { size: [66, 65], ..half });
}

/// Separate weights for each image, as in the gradient of a Gram matrix.
#[test]
fn images_can_have_their_own_weights() {
    for (channels_in, channels_out, kernel) in [(3, 5, 3), (9, 17, 1), (33, 35, 1)] {
        let conv = Conv2d { channels_in, channels_out, kernel, relu: false, ..CONV };
        check_conv(conv, Setting { images: 3, own_weights: true, ..CASE });
    }
}

fn check_parameters(conv: Conv2d, images: usize, size: [usize; 2]) {
    check_case(&conv2d::parameters(conv, images, size));
}

/// All kernels, strides and paddings, with and without a ReLU; sides divisible by the stride and not.
#[test]
fn parameter_gradients_match_the_oracle() {
    for (kernel, sizes) in [(1, [[1, 1], [4, 9]]), (3, [[5, 7], [8, 6]]), (9, [[11, 13], [10, 9]])] {
        for stride in [1, 2] {
            for (index, (padding, _)) in PADDINGS.into_iter().enumerate() {
                for (odd, size) in sizes.into_iter().enumerate() {
                    let relu = (index + odd) % 2 == 0;
                    check_parameters(Conv2d { kernel, stride, padding, relu, ..CONV }, 2, size);
                }
            }
        }
    }
}

/// Numbers of channels and weights around the tiles of 64 and the groups of 8 and 16.
#[test]
fn parameter_gradients_of_all_channels_match_the_oracle() {
    for channels in [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65] {
        for kernel in [1, 3] {
            check_parameters(Conv2d { channels_in: 3, channels_out: channels, kernel, ..CONV }, 1, [3, 5]);
            check_parameters(Conv2d { channels_in: channels, channels_out: 2, kernel, ..CONV }, 1, [3, 5]);
        }
    }
    check_parameters(Conv2d { channels_in: 9, channels_out: 17, kernel: 9, ..CONV }, 1, [5, 6]);
    check_parameters(Conv2d { channels_in: 33, channels_out: 65, ..CONV }, 2, [5, 7]);
}

/// Numbers of pixels around the 16 that are staged and the columns of 4; sums in one part and in several.
#[test]
fn parameter_gradients_over_all_pixels_match_the_oracle() {
    let zero = Conv2d { padding: Padding::Same(Border::Zero), ..CONV };
    for size in [[1, 1], [1, 3], [1, 15], [2, 8], [1, 17], [1, 255], [1, 257], [37, 41], [64, 64]] {
        check_parameters(zero, 1, size);
        check_parameters(zero, 3, size);
    }
    check_parameters(Conv2d { kernel: 1, channels_in: 17, channels_out: 33, ..zero }, 2, [61, 67]);
    check_parameters(Conv2d { stride: 2, ..zero }, 5, [31, 33]);
}
