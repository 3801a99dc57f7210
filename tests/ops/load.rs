//! Deferred norms, which convolutions apply when they load their input. (For padding, see pad.rs. Masked loads are
//! tested with the gradients.)

use impasto::gpu::Precision;
use impasto::internal::cases::conv2d::{self, PADDINGS};
use impasto::ops::conv2d::{Conv2d, ConvTranspose2d, Padding};
use impasto::ops::pad::Border;

use crate::harness::{check_case, has_half};

const CONV: Conv2d = Conv2d {
    channels_in: 3,
    channels_out: 5,
    kernel: 3,
    stride: 1,
    padding: Padding::Same(Border::Reflect),
    upsample: false,
    relu: false,
};

fn check_conv(conv: Conv2d, images: usize, size: [usize; 2], precision: Precision) {
    check_case(&conv2d::of_norm(conv, images, size, precision));
}

/// Zero padding stays zero; strides and enlarged inputs; loads with staging and without (few channels).
#[test]
fn geometries_match_the_oracle() {
    let [none, zero, reflect, replicate] = PADDINGS.map(|(padding, _)| padding);
    let staged = Conv2d { channels_in: 5, channels_out: 9, ..CONV };
    check_conv(Conv2d { padding: zero, ..CONV }, 2, [5, 7], Precision::F32);
    check_conv(Conv2d { padding: reflect, stride: 2, ..staged }, 2, [8, 6], Precision::F32);
    check_conv(Conv2d { padding: replicate, upsample: true, ..staged }, 2, [4, 5], Precision::F32);
    check_conv(Conv2d { padding: none, kernel: 1, ..staged }, 2, [4, 9], Precision::F32);
    check_conv(Conv2d { padding: reflect, kernel: 9, channels_out: 3, ..staged }, 1, [10, 12], Precision::F32);
}

/// Winograd convolutions with large and small tiles; rows that consist of whole vec4s and rows that do not; enlarged
/// inputs. With 128 channels, both kernel classes use Winograd.
#[test]
fn tiles_match_the_oracle() {
    let [none, zero, reflect, replicate] = PADDINGS.map(|(padding, _)| padding);
    let conv = Conv2d { channels_in: 20, channels_out: 36, ..CONV };
    check_conv(Conv2d { padding: none, ..conv }, 1, [16, 18], Precision::F32);
    check_conv(Conv2d { padding: zero, ..conv }, 2, [13, 20], Precision::F32);
    check_conv(Conv2d { padding: replicate, ..conv }, 2, [13, 20], Precision::F32);
    check_conv(Conv2d { padding: zero, ..conv }, 2, [13, 21], Precision::F32);
    check_conv(Conv2d { padding: reflect, upsample: true, ..conv }, 2, [9, 11], Precision::F32);
    for size in [[16, 32], [19, 29]] {
        let conv = Conv2d { channels_in: 128, channels_out: 132, padding: reflect, ..conv };
        check_conv(conv, 1, size, Precision::F32);
    }
}

/// Storage in f16, on cooperative matrices for many channels where the adapter has them.
#[test]
fn halves_match_the_oracle() {
    if !has_half() {
        return;
    }
    check_conv(Conv2d { channels_in: 20, channels_out: 36, ..CONV }, 2, [16, 16], Precision::F16);
    check_conv(Conv2d { channels_in: 16, channels_out: 34, stride: 2, ..CONV }, 2, [7, 11], Precision::F16);
}

#[test]
fn a_transposed_convolution_matches_the_oracle() {
    let conv = ConvTranspose2d { channels_in: 3, channels_out: 5, output_padding: 1, relu: false };
    check_case(&conv2d::transposed_of_norm(conv, 2, [5, 7], Precision::F32));
}
