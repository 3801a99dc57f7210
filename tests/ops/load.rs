//! Norms that are carried out by what reads them: convolutions of every kind. (Borders: pad.rs. Masks: the gradients.)

use impasto::gpu::{Precision, Recorder, Tensor};
use impasto::ops::conv2d::{Conv2d, ConvTranspose2d, Padding};
use impasto::ops::load::Input;
use impasto::ops::norm::{Affine, EPSILON, Norm, Over};
use impasto::ops::pad::Border;
use impasto::ops::vector;
use impasto::{Error, Result};

use crate::harness::{HALF, SUM, check, has_half, rounded};
use crate::reference::{Array, conv_transpose2d, conv2d, norm};

const PADDINGS: [(Padding, conv2d::Padding); 4] = [
    (Padding::None, conv2d::Padding::None),
    (Padding::Same(Border::Zero), conv2d::Padding::Zero),
    (Padding::Same(Border::Reflect), conv2d::Padding::Reflect),
    (Padding::Same(Border::Replicate), conv2d::Padding::Replicate),
];

const CONV: Conv2d = Conv2d {
    channels_in: 3,
    channels_out: 5,
    kernel: 3,
    stride: 1,
    padding: Padding::Same(Border::Reflect),
    upsample: false,
    relu: false,
};

/// Means, and deviations, that differ from plane to plane; scales of either sign.
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

/// `x` behind a norm and a ReLU that nobody has carried out yet.
fn deferred(rec: &mut Recorder, x: Tensor, gamma: Tensor, beta: Tensor) -> Result<Input> {
    let norm = Norm { over: Over::Instance, relu: true };
    let statistics = norm.statistics(rec, x, None)?;
    norm.defer(rec, x, statistics, Affine { gamma, beta })
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
        let input = deferred(rec, x, gamma, beta)?;
        Ok(vec![conv.forward(rec, input, packed, Some(b))?])
    });
}

/// Every kernel and border, with strides and enlargements in turn: borders of zeros stay zeros.
#[test]
fn geometries_match_the_oracle() {
    for (turn, (kernel, sizes)) in
        [(1, [[2, 1], [4, 9]]), (3, [[5, 7], [8, 6]]), (9, [[11, 13], [10, 12]])].iter().enumerate()
    {
        for (index, (padding, _)) in PADDINGS.into_iter().enumerate() {
            for (odd, size) in sizes.iter().enumerate() {
                let conv = Conv2d { kernel: *kernel, padding, relu: (index + odd) % 2 == 0, ..CONV };
                let (stride, upsample) = [(1, false), (2, false), (1, true)][(turn + index + odd) % 3];
                check_conv(Conv2d { stride, upsample, ..conv }, 1 + odd, *size, Precision::F32);
            }
        }
    }
}

/// Channels round the tiles of every size, on both sides.
#[test]
fn channels_match_the_oracle() {
    for channels in [1, 4, 8, 9, 17, 33, 65] {
        check_conv(Conv2d { channels_in: 5, channels_out: channels, ..CONV }, 1, [3, 5], Precision::F32);
        check_conv(Conv2d { channels_in: channels, channels_out: 3, kernel: 9, ..CONV }, 1, [6, 5], Precision::F32);
    }
    check_conv(Conv2d { channels_in: 5, channels_out: 65, kernel: 1, ..CONV }, 2, [65, 127], Precision::F32);
}

/// Convolutions in tiles (Winograd), large and small; rows that are whole vec4s and rows that are not; enlarged inputs.
#[test]
fn tiles_match_the_oracle() {
    for (padding, _) in PADDINGS {
        let conv = Conv2d { channels_in: 20, channels_out: 36, padding, ..CONV };
        // Small tiles; large ones by rows, and not.
        for (images, size) in [(1, [16, 18]), (2, [18, 16]), (2, [13, 21])] {
            check_conv(conv, images, size, Precision::F32);
        }
        check_conv(Conv2d { upsample: true, ..conv }, 2, [9, 11], Precision::F32);
        check_conv(Conv2d { channels_in: 128, channels_out: 132, ..conv }, 1, [19, 29], Precision::F32);
    }
}

/// Stored as f16; with many channels on cooperative matrices, where the adapter has them.
#[test]
fn halves_match_the_oracle() {
    if !has_half() {
        return;
    }
    for ((padding, _), size) in PADDINGS.into_iter().zip([[7, 11], [18, 18], [16, 16], [7, 11]]) {
        check_conv(Conv2d { channels_in: 20, channels_out: 36, padding, ..CONV }, 2, size, Precision::F16);
    }
    check_conv(Conv2d { stride: 2, ..CONV }, 1, [7, 11], Precision::F16);
    check_conv(Conv2d { channels_in: 16, channels_out: 34, stride: 2, ..CONV }, 2, [7, 11], Precision::F16);
    check_conv(Conv2d { channels_in: 16, channels_out: 34, upsample: true, ..CONV }, 2, [4, 5], Precision::F16);
    check_conv(Conv2d { channels_in: 19, channels_out: 34, kernel: 9, ..CONV }, 1, [10, 9], Precision::F16);
}

#[test]
fn transposed_convolutions_match_the_oracle() {
    for (channels, size) in [([3, 5], [5, 7]), ([3, 5], [1, 2]), ([17, 33], [8, 6])] {
        for output_padding in [0, 1] {
            let [channels_in, channels_out] = channels;
            let conv = ConvTranspose2d { channels_in, channels_out, output_padding, relu: false };
            let twin = conv_transpose2d::ConvTranspose2d { output_padding, relu: false };
            let Source { x, gamma, beta, normalised } = Source::new([2, channels_in, size[0], size[1]], Precision::F32);
            let w = Array::random(&[channels_in, channels_out, 3, 3], 186);
            let b = Array::random(&[channels_out], 187);
            let y = conv_transpose2d::forward(twin, &normalised, &w, &b);
            check(&format!("norm in {conv:?} of {size:?}"), &[&x, &gamma, &beta, &w, &b], &[&y], SUM, |rec, inputs| {
                let &[x, gamma, beta, w, b] = inputs else { unreachable!() };
                let packed = rec.transient("packed", [conv.packed_count(rec.class())[0]]);
                conv.pack(rec, w, false, packed)?;
                let input = deferred(rec, x, gamma, beta)?;
                Ok(vec![conv.forward(rec, input, packed, Some(b))?])
            });
        }
    }
}

/// Readers know norms with a ReLU alone.
#[test]
fn a_norm_without_a_relu_is_not_put_off() {
    for context in crate::harness::contexts() {
        let mut rec = Recorder::new(context);
        let [x, vector] = [&[1, 2, 3, 4][..], &[2]].map(|shape| {
            let tensor = rec.transient("filled", impasto::gpu::Shape::new(shape));
            vector::fill(&mut rec, tensor, 0.5).unwrap();
            tensor
        });
        let norm = Norm { over: Over::Instance, relu: false };
        let statistics = norm.statistics(&mut rec, x, None).unwrap();
        let refused = norm.defer(&mut rec, x, statistics, Affine { gamma: vector, beta: vector });
        assert!(matches!(refused, Err(Error::Argument { argument, .. }) if argument == "norm"));
    }
}
