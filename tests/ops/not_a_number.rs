//! NaN propagates: no operation turns it into a plausible number and finally into a black picture.

use impasto::Result;
use impasto::gpu::{DeviceTensor, Recorder, Shape, Tensor};
use impasto::ops::conv2d::{Conv2d, ConvTranspose2d, Padding};
use impasto::ops::norm::{Affine, Norm, Over};
use impasto::ops::pad::{self, Border, Placement};
use impasto::ops::pool::{Pool, Pooling};
use impasto::ops::resample::{self, Table, Taps};
use impasto::ops::square_loss::{self, Weight};
use impasto::ops::window::{self, Window};
use impasto::ops::{gram, mean_std, regions, relu, tanh, total_variation, vector};

use crate::harness::contexts;
use crate::reference::Array;

const SHAPE: [usize; 4] = [1, 2, 6, 8];

fn convolution(rec: &mut Recorder, x: Tensor, relu: bool) -> Result<Tensor> {
    let padding = Padding::Same(Border::Replicate);
    let conv = Conv2d { channels_in: 2, channels_out: 3, kernel: 3, stride: 1, padding, upsample: false, relu };
    let packed = rec.transient("packed", [conv.packed_count(rec.class())[0]]);
    vector::fill(rec, packed, 1.0)?;
    conv.forward(rec, x, packed, None)
}

/// The gradient of the weights with respect to an input, or of the bias with respect to an output gradient.
fn parameters(rec: &mut Recorder, x: Tensor, weights: bool) -> Result<Tensor> {
    let padding = Padding::Same(Border::Replicate);
    let conv = Conv2d { channels_in: 2, channels_out: 2, kernel: 3, stride: 1, padding, upsample: false, relu: false };
    let [ones, dweights, dbias] = [SHAPE.into(), Shape::new(&[2, 2, 3, 3]), Shape::new(&[2])].map(|shape| {
        let tensor = rec.transient("filled", shape);
        vector::fill(rec, tensor, 1.0).map(|()| tensor)
    });
    let (ones, dweights, dbias) = (ones?, dweights?, dbias?);
    let (x, dy) = if weights { (x, ones) } else { (ones, x) };
    conv.backward_parameters(rec, x, dy, None, dweights, Some(dbias))?;
    Ok(if weights { dweights } else { dbias })
}

/// A mask of ones.
fn ones(rec: &mut Recorder) -> Result<Tensor> {
    let mask = rec.transient("filled", [SHAPE[2], SHAPE[3]]);
    vector::fill(rec, mask, 1.0)?;
    Ok(mask)
}

/// Scales and shifts of two channels.
fn affine(rec: &mut Recorder, values: [f32; 2]) -> Result<Affine> {
    let [gamma, beta] = values.map(|value| {
        let tensor = rec.transient("filled", [2]);
        vector::fill(rec, tensor, value).map(|()| tensor)
    });
    Ok(Affine { gamma: gamma?, beta: beta? })
}

/// The normalisation of an input, or the gradient with respect to its input.
fn normalisation(rec: &mut Recorder, x: Tensor, over: Over, gradient: bool) -> Result<Tensor> {
    let norm = Norm { over, relu: true };
    // The shift makes all values positive, because the gradient is zero below the ReLU's threshold.
    let affine = affine(rec, [1.0, 9.0])?;
    let gradients = self::affine(rec, [0.0, 0.0])?;
    let ones = rec.transient("ones", SHAPE);
    vector::fill(rec, ones, 1.0)?;
    let (x, dy) = if gradient { (ones, x) } else { (x, ones) };
    let (y, statistics) = norm.forward(rec, x, None, affine)?;
    if gradient { norm.backward(rec, x, statistics, affine, dy, gradients) } else { Ok(y) }
}

fn loss(rec: &mut Recorder, record: impl Fn(&mut Recorder, Tensor) -> Result<()>) -> Result<Tensor> {
    let losses = rec.transient("losses", [1]);
    record(rec, losses)?;
    Ok(losses)
}

type Operation = fn(&mut Recorder, Tensor) -> Result<Tensor>;

const OPERATIONS: [(&str, Operation); 31] = [
    ("convolution", |rec, x| convolution(rec, x, false)),
    ("convolution with ReLU", |rec, x| convolution(rec, x, true)),
    ("transposed convolution", |rec, x| {
        let conv = ConvTranspose2d { channels_in: 2, channels_out: 3, output_padding: 1, relu: true };
        let packed = rec.transient("packed", [conv.packed_count(rec.class())[0]]);
        vector::fill(rec, packed, 1.0)?;
        conv.forward(rec, x, packed, None)
    }),
    ("convolution's weight gradient", |rec, x| parameters(rec, x, true)),
    ("convolution's bias gradient", |rec, x| parameters(rec, x, false)),
    ("ReLU", relu::forward),
    ("tanh", tanh::forward),
    ("maximum of windows", |rec, x| Pool { kind: Pooling::Max, ceil: false }.forward(rec, x)),
    ("average of windows", |rec, x| Pool { kind: Pooling::Average, ceil: false }.forward(rec, x)),
    ("border", |rec, x| pad::forward(rec, x, Border::Zero, Placement { before: 1, size: [8, 10], scale: 1 })),
    ("Gram matrix", |rec, x| gram::forward(rec, x, 1.0)),
    ("mean", |rec, x| Ok(mean_std::forward(rec, x, 1e-5)?.0)),
    ("deviation", |rec, x| Ok(mean_std::forward(rec, x, 1e-5)?.1)),
    ("instance normalisation", |rec, x| normalisation(rec, x, Over::Instance, false)),
    ("instance normalisation's gradient", |rec, x| normalisation(rec, x, Over::Instance, true)),
    ("instance normalisation that its reader carries out", |rec, x| {
        let affine = affine(rec, [1.0, 9.0])?;
        let input = impasto::internal::cases::norm::deferred(rec, x, affine)?;
        pad::forward(rec, input, Border::Zero, Placement { before: 1, size: [8, 10], scale: 1 })
    }),
    ("batch normalisation", |rec, x| normalisation(rec, x, Over::Batch, false)),
    ("batch normalisation's gradient", |rec, x| normalisation(rec, x, Over::Batch, true)),
    ("square loss", |rec, x| {
        let target = rec.transient("target", SHAPE);
        vector::fill(rec, target, 0.0)?;
        let weight = Weight::new(rec, 1.0);
        loss(rec, |rec, losses| square_loss::forward(rec, x, target, weight, losses, 0))
    }),
    ("total variation", |rec, x| loss(rec, |rec, losses| total_variation::forward(rec, x, 1.0, losses, 0))),
    ("dot", |rec, x| loss(rec, |rec, losses| vector::dot(rec, x, x, losses, 0))),
    ("absolute sum", |rec, x| loss(rec, |rec, losses| vector::absolute_sum(rec, x, losses, 0))),
    ("absolute maximum", |rec, x| loss(rec, |rec, losses| vector::absolute_max(rec, x, losses, 0))),
    ("clamp", |rec, x| {
        vector::clamp(rec, x, 0.0, 1.0)?;
        Ok(x)
    }),
    ("rounding to steps", |rec, x| {
        vector::quantise(rec, x, 255.0)?;
        Ok(x)
    }),
    ("resampling", |rec, x| {
        let context = rec.context().clone();
        let mean = |side: usize| Table::new(&context, side, &[Taps { first: 0, weights: vec![0.25; side] }]);
        resample::forward(rec, x, [&mean(SHAPE[2])?, &mean(SHAPE[3])?])
    }),
    ("mask", |rec, x| {
        let mask = ones(rec)?;
        regions::scale(rec, x, mask)
    }),
    ("weighted mean", |rec, x| {
        let weights = ones(rec)?;
        Ok(Norm::default().weighted_statistics(rec, x, weights)?.mean)
    }),
    ("region", |rec, x| {
        let z = rec.transient("filled", SHAPE);
        vector::fill(rec, z, 0.0)?;
        let mask = ones(rec)?;
        regions::add(rec, x, mask, z).map(|()| z)
    }),
    ("window", |rec, x| {
        let z = rec.transient("filled", [1, 2, 7, 9]);
        vector::fill(rec, z, 0.0)?;
        let (all, part) = (Window::new(rec, [6, 8], [6, 8], [0, 0])?, Window::new(rec, [7, 9], [6, 8], [1, 1])?);
        let y = window::cut(rec, x, all)?;
        window::add(rec, y, part, z).map(|()| z)
    }),
    ("sum", |rec, x| vector::add(rec, x, x)),
];

#[test]
fn nan_in_the_input_gives_nan_in_the_output() {
    for context in contexts() {
        for (name, operation) in OPERATIONS {
            let mut rec = Recorder::new(context);
            let x = DeviceTensor::new(context, "x", SHAPE);
            let symbol = rec.pin(&x);
            let result = operation(&mut rec, symbol).unwrap();
            let out = DeviceTensor::new(context, "out", result.shape);
            let into = rec.pin(&out);
            vector::copy(&mut rec, result, into).unwrap();
            let program = rec.finish().unwrap();
            // All positions of a window, in both planes.
            for at in [0, 1, 8, 9, 47, 48, 95] {
                let mut values = Array::random(&SHAPE, 101).to_f32();
                x.write(&values).unwrap();
                program.run().unwrap();
                assert!(out.read().unwrap().iter().all(|value| value.is_finite()), "{name}");
                values[at] = f32::NAN;
                x.write(&values).unwrap();
                program.run().unwrap();
                let shows = out.read().unwrap().iter().any(|value| value.is_nan());
                assert!(shows, "{name}, {:?}: the NaN at {at} is gone", context.class());
            }
        }
    }
}
