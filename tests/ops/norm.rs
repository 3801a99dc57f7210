//! Instance and batch normalisation.

use impasto::gpu::Precision;
use impasto::internal::cases::norm::{self as cases, Problem, shaped};
use impasto::ops::conv2d::{Conv2d, Padding};
use impasto::ops::norm::{Affine, Norm, Over};
use impasto::ops::pad::Border;
use impasto::ops::vector;

use crate::harness::{EXACT, SUM, check, check_case};
use crate::reference::conv2d as conv_reference;
use crate::reference::norm as reference;
use crate::reference::{Array, indices};

/// All layers, with the oracle's equivalents.
fn layers() -> impl Iterator<Item = (Norm, reference::Norm)> {
    indices([2, 2]).map(|flags| {
        let [batch, relu] = flags.map(|flag| flag == 1);
        let layer = Norm { over: if batch { Over::Batch } else { Over::Instance }, relu };
        (layer, cases::twin(layer))
    })
}

fn sum(a: &Array, b: &Array) -> Array {
    Array::new(&a.shape, a.data.iter().zip(&b.data).map(|(a, b)| a + b).collect())
}

#[test]
fn matches_the_oracle() {
    // Plane sizes below, at and above a workgroup; one partial sum and several; more channels than lanes; numbers of
    // pixels divisible by 4 and not.
    let single = [[1, 1, 1, 3], [3, 2, 5, 7], [1, 17, 7, 9], [3, 67, 2, 5], [1, 2, 31, 37], [3, 5, 37, 83]];
    let fours = [[2, 3, 2, 2], [3, 67, 3, 4], [3, 2, 8, 8], [1, 2, 16, 16], [1, 2, 20, 13], [3, 5, 36, 83]];
    for shape in [single, fours].concat() {
        let problem = Problem::new(Array::random(&shape, 135));
        layers().for_each(|(layer, _)| check_case(&problem.case(layer)));
    }
}

/// Moments that Winograd convolutions with large and small tiles compute for a norm: complete tiles and partial ones.
#[test]
fn moments_of_a_convolution_match_the_oracle() {
    for (over, size) in
        [(Over::Instance, [16, 16]), (Over::Batch, [13, 20]), (Over::Instance, [17, 23]), (Over::Instance, [7, 7])]
    {
        let conv = Conv2d {
            channels_in: 128,
            channels_out: 132,
            kernel: 3,
            stride: 1,
            padding: Padding::Same(Border::Reflect),
            upsample: false,
            relu: false,
        };
        let [c, m] = [conv.channels_in, conv.channels_out];
        let x = Array::random(&[2, c, size[0], size[1]], 170);
        let [w, bias] = [Array::random(&[m, c, 3, 3], 171), Array::random(&[m], 172)];
        let [gamma, beta] = [173, 174].map(|seed| Array::random(&[m], seed));
        let twin = conv_reference::Conv2d {
            stride: 1,
            padding: conv_reference::Padding::Reflect,
            upsample: false,
            relu: false,
        };
        let z = conv_reference::forward(twin, &x, &w, &bias);
        let (layer, spec) = layers().find(|(layer, _)| layer.over == over && layer.relu).unwrap();
        let [mean, variance] = shaped(over, reference::statistics(spec, &z));
        let y = reference::forward(spec, &z, &gamma, &beta);
        let what = format!("{conv:?}, {layer:?} {size:?}");
        check(&what, &[&x, &w, &bias, &gamma, &beta], &[&y, &mean, &variance], SUM, |rec, inputs| {
            let [x, w, bias, gamma, beta] = *inputs else { unreachable!() };
            let packed = rec.transient("packed", [conv.packed_count(rec.class())[0]]);
            conv.pack(rec, w, false, packed)?;
            let (z, moments) = conv.forward_measured(rec, x, packed, Some(bias))?;
            assert!(moments.is_some(), "{what}: not measured");
            let (y, statistics) = layer.forward(rec, z, moments, Affine { gamma, beta })?;
            Ok(vec![y, statistics.mean, statistics.variance])
        });
    }
}

/// With separate scales and shifts for each image, as in AdaIN, every plane is independent, so images count as further
/// channels.
#[test]
fn affine_of_each_image_matches_the_oracle() {
    for [n, c, h, w] in [[1, 3, 5, 7], [3, 2, 4, 9], [2, 67, 3, 5], [3, 2, 36, 83], [3, 2, 37, 83]] {
        for (layer, spec) in layers().filter(|(layer, _)| layer.over == Over::Instance) {
            let Problem { x, gamma, beta, dy, earlier } = Problem::new(Array::random(&[1, n * c, h, w], 138));
            let y = reference::forward(spec, &x, &gamma, &beta);
            let [dx, dgamma, dbeta] = reference::backward(spec, &x, &gamma, &beta, &dy);
            let [dgamma, dbeta] = [sum(&dgamma, &earlier[0]), sum(&dbeta, &earlier[1])];
            let image = |array: &Array| Array::new(&[n, c, h, w], array.data.clone());
            let own = |array: &Array| Array::new(&[n, c], array.data.clone());
            let inputs = [image(&x), own(&gamma), own(&beta), image(&dy), own(&earlier[0]), own(&earlier[1])];
            let expected = [image(&y), image(&dx), own(&dgamma), own(&dbeta)];
            let label = format!("{layer:?} of {n} images with their own affine");
            check(&label, &inputs.each_ref(), &expected.each_ref(), SUM, |rec, inputs| {
                let [x, gamma, beta, dy, dgamma, dbeta] = *inputs else { unreachable!() };
                let affine = Affine { gamma, beta };
                let (y, statistics) = layer.forward(rec, x, None, affine)?;
                let dx = layer.backward(rec, x, statistics, affine, dy, Affine { gamma: dgamma, beta: dbeta })?;
                Ok(vec![y, dx, dgamma, dbeta])
            });
        }
    }
}

/// The variance is computed from differences to the mean, so an offset causes no cancellation.
#[test]
fn an_offset_costs_no_digits() {
    for width in [67, 68] {
        let x = Array::random(&[3, 2, 31, width], 136).map(|value| f64::from((value * 4.0 + 20.0) as f32));
        let problem = Problem::new(x);
        layers().for_each(|(layer, _)| check_case(&problem.case(layer)));
    }
}

/// If all elements that share a mean are equal, the output is exactly beta, because the mean is exact.
#[test]
fn constants_give_beta() {
    for shape in [[1, 5, 1, 1], [3, 2, 1, 1], [3, 2, 5, 7], [2, 3, 36, 83], [2, 3, 37, 83]] {
        for (layer, spec) in layers() {
            let values = indices(shape).map(|[n, c, ..]| 100.1 + 0.1 * (if spec.batch { c } else { n * 5 + c }) as f32);
            let x = Array::new(&shape, values.map(f64::from).collect());
            let Problem { x, gamma, beta, dy, earlier } = Problem::new(x);
            let y = indices(shape).map(|[_, c, ..]| beta.at([c]).max(if spec.relu { 0.0 } else { f64::MIN }));
            let y = Array::new(&shape, y.collect());
            let label = format!("{layer:?} of constants {shape:?}");
            check(&label, &[&x, &gamma, &beta], &[&y], EXACT, |rec, inputs| {
                let affine = Affine { gamma: inputs[1], beta: inputs[2] };
                Ok(vec![layer.forward(rec, inputs[0], None, affine)?.0])
            });
            // Zero gradients are only visible next to other values.
            let [dx, _, _] = reference::backward(spec, &x, &gamma, &beta, &dy);
            let dx = sum(&dx, &dy);
            check(&label, &[&x, &gamma, &beta, &dy, &earlier[0]], &[&dx, &earlier[0]], SUM, |rec, inputs| {
                let [x, gamma, beta, dy, dgamma] = *inputs else { unreachable!() };
                let affine = Affine { gamma, beta };
                let (_, statistics) = layer.forward(rec, x, None, affine)?;
                let dbeta = rec.transient("dbeta", beta.shape);
                vector::fill(rec, dbeta, 0.0)?;
                let dx = layer.backward(rec, x, statistics, affine, dy, Affine { gamma: dgamma, beta: dbeta })?;
                Ok(vec![vector::add(rec, dx, dy)?, dgamma])
            });
        }
    }
}

/// Running statistics replace a batch's statistics, and are updated toward them.
#[test]
fn running_statistics_match_the_oracle() {
    for (n, channels, width) in [(3, 5, 7), (2, 67, 7), (3, 5, 8)] {
        for (layer, _) in layers().filter(|(layer, _)| layer.over == Over::Batch) {
            check_case(&cases::running(layer, [n, channels, 3, width]));
        }
    }
}

#[test]
fn weighted_statistics_match_the_oracle() {
    for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [2, 2, 8, 8], [3, 5, 37, 83], [1, 2, 36, 83]] {
        check_case(&cases::weighted(shape, Precision::F32));
    }
}
