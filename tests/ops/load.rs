//! Deferred norms, which convolutions apply when they load their input. (For padding, see pad.rs. Masked loads are
//! tested with the gradients.)

use impasto::Result;
use impasto::gpu::{Precision, Recorder, Tensor};
use impasto::ops::conv2d::{Conv2d, ConvTranspose2d, Padding};
use impasto::ops::load::Input;
use impasto::ops::norm::{Affine, EPSILON, Norm, Over};
use impasto::ops::pad::Border;
use impasto::ops::vector;

use crate::conv2d::PADDINGS;
use crate::harness::{HALF, SUM, check, has_half, rounded};
use crate::reference::{Array, conv_transpose2d, conv2d, norm};

const CONV: Conv2d = Conv2d {
    channels_in: 3,
    channels_out: 5,
    kernel: 3,
    stride: 1,
    padding: Padding::Same(Border::Reflect),
    upsample: false,
    relu: false,
};

/// An input with different means and deviations in each plane, and scales of both signs.
struct Source {
    x: Array,
    gamma: Array,
    beta: Array,
    normalised: Array,
}

impl Source {
    fn new(shape: [usize; 4], precision: Precision) -> Self {
        let x = Array::random(&shape, 181);
        let plane = shape[2] * shape[3];
        let spread = x.data.iter().enumerate().map(|(at, value)| {
            let plane = (at / plane) as f64;
            f64::from((value * (1.0 + plane % 3.0) + plane % 5.0 - 2.0) as f32)
        });
        let x = Array::new(&shape, spread.collect());
        let x = if precision == Precision::F16 { rounded(x) } else { x };
        let [gamma, beta] = [182, 183].map(|seed| Array::random(&shape[1..2], seed));
        let twin = norm::Norm { batch: false, relu: true, eps: EPSILON.into() };
        let normalised = norm::forward(twin, &x, &gamma, &beta);
        Source { x, gamma, beta, normalised }
    }
}

/// `x` with a deferred norm and ReLU.
pub fn deferred(rec: &mut Recorder, x: Tensor, affine: Affine) -> Result<Input> {
    let norm = Norm { over: Over::Instance, relu: true };
    let statistics = norm.statistics(rec, x, None)?;
    norm.defer(rec, x, statistics, affine)
}

fn check_conv(conv: Conv2d, images: usize, size: [usize; 2], precision: Precision) {
    let Conv2d { channels_in: c, channels_out: m, kernel: k, .. } = conv;
    let Source { x, gamma, beta, normalised } = Source::new([images, c, size[0], size[1]], precision);
    let [w, b] = [Array::random(&[m, c, k, k], 184), Array::random(&[m], 185)];
    let half = precision == Precision::F16;
    let w = if half { rounded(w) } else { w };
    let (_, padding) = PADDINGS.into_iter().find(|(padding, _)| *padding == conv.padding).unwrap();
    let twin = conv2d::Conv2d { stride: conv.stride, padding, upsample: conv.upsample, relu: conv.relu };
    let y = conv2d::forward(twin, &normalised, &w, &b);
    let tolerance = if half { HALF } else { SUM };
    let label = format!("norm in {conv:?}, {images} of {size:?}, {precision:?}");
    check(&label, &[&x, &gamma, &beta, &w, &b], &[&y], tolerance, |rec, inputs| {
        let &[x, gamma, beta, w, b] = inputs else { unreachable!() };
        let x = vector::stored(rec, x, precision)?;
        let packed = rec.transient_stored(precision, "packed", [conv.packed_count(rec.class())[0]]);
        conv.pack(rec, w, false, packed)?;
        let input = deferred(rec, x, Affine { gamma, beta })?;
        Ok(vec![conv.forward(rec, input, packed, Some(b))?])
    });
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
    let twin = conv_transpose2d::ConvTranspose2d { output_padding: 1, relu: false };
    let Source { x, gamma, beta, normalised } = Source::new([2, 3, 5, 7], Precision::F32);
    let [w, b] = [Array::random(&[3, 5, 3, 3], 186), Array::random(&[5], 187)];
    let y = conv_transpose2d::forward(twin, &normalised, &w, &b);
    check(&format!("norm in {conv:?}"), &[&x, &gamma, &beta, &w, &b], &[&y], SUM, |rec, inputs| {
        let &[x, gamma, beta, w, b] = inputs else { unreachable!() };
        let packed = rec.transient("packed", [conv.packed_count(rec.class())[0]]);
        conv.pack(rec, w, false, packed)?;
        let input = deferred(rec, x, Affine { gamma, beta })?;
        Ok(vec![conv.forward(rec, input, packed, Some(b))?])
    });
}
