//! Tensors stored as f16: kernels read the stored values and round results once.

use impasto::gpu::Precision::{F16, F32};
use impasto::internal::cases;
use impasto::ops::norm::{Affine, EPSILON, Norm, Over};
use impasto::ops::pad::{self, Border, Placement};
use impasto::ops::pool::{Pool, Pooling};
use impasto::ops::square_loss::{self, Weight};
use impasto::ops::{gram, mean_std, regions, relu, tanh, vector};

use crate::harness::{EXACT, HALF, SUM, check, check_case, contexts, has_half, rounded};
use crate::reference::{self, Array};

fn random(shape: &[usize], seed: u64) -> Array {
    rounded(Array::random(shape, seed))
}

/// Plane sizes divisible by 4 and not.
const SHAPES: [[usize; 4]; 2] = [[2, 3, 8, 12], [1, 6, 5, 7]];

#[test]
fn activations_are_rounded_once() {
    if !has_half() {
        return;
    }
    for shape in SHAPES {
        let x = random(&shape, 301);
        let pools = [Pooling::Max, Pooling::Average].map(|kind| Pool { kind, ceil: true });
        let twins = [reference::pool::Pooling::Max, reference::pool::Pooling::Average]
            .map(|kind| reference::pool::forward(reference::pool::Pool { kind, ceil: true }, &x));
        let [gamma, beta] = [302, 303].map(|seed| Array::random(&shape[1..2], seed));
        let twin = reference::norm::Norm { batch: false, relu: true, eps: EPSILON.into() };
        let normalised = reference::norm::forward(twin, &x, &gamma, &beta);
        let [clipped, bent] = [reference::relu::forward(&x), reference::tanh::forward(&x)];
        let doubled = x.map(|value| 2.0 * value);
        let expected = [&twins[0], &twins[1], &normalised, &clipped, &bent, &doubled];
        check(&format!("halves {shape:?}"), &[&x, &gamma, &beta], &expected, HALF, |rec, inputs| {
            let x = vector::stored(rec, inputs[0], F16)?;
            let affine = Affine { gamma: inputs[1], beta: inputs[2] };
            let results = vec![
                pools[0].forward(rec, x)?,
                pools[1].forward(rec, x)?,
                Norm { over: Over::Instance, relu: true }.forward(rec, x, None, affine)?.0,
                relu::forward(rec, x)?,
                tanh::forward(rec, x)?,
                vector::add(rec, x, x)?,
            ];
            assert!(results.iter().all(|result| result.precision == F16));
            Ok(results)
        });
    }
}

/// The doctor's cases apart from convolutions, which others test with many more shapes.
#[test]
fn the_cases_of_the_doctor_match_the_oracle() {
    if !has_half() {
        return;
    }
    let groups = cases::all(F16).into_iter().filter(|group| !group.name.starts_with("convolutions"));
    let made = groups.flat_map(|group| group.cases);
    assert!(made.map(|make| check_case(&make())).count() > 100);
}

/// Padding and cropping only move elements.
#[test]
fn padding_and_cropping_keep_the_bits() {
    if !has_half() {
        return;
    }
    for size in [[6, 9], [7, 12]] {
        let x = random(&[2, 3, 4, 6], 304);
        let source = |at: usize, side: usize| (at >= 1 && at - 1 < side).then(|| at - 1);
        let mut padded = Array::zeros(&[2, 3, size[0], size[1]]);
        for at @ [n, c, i, j] in reference::indices([2, 3, size[0], size[1]]) {
            if let (Some(i), Some(j)) = (source(i, 4), source(j, 6)) {
                *padded.at_mut(at) = x.at([n, c, i, j]);
            }
        }
        check(&format!("halves in {size:?}"), &[&x], &[&padded, &x], EXACT, |rec, inputs| {
            let x = vector::stored(rec, inputs[0], F16)?;
            let y = pad::forward(rec, x, Border::Zero, Placement { before: 1, size, scale: 1 })?;
            Ok(vec![y, pad::cut(rec, y, 1, [4, 6])?])
        });
    }
}

/// Statistics, Gram matrices, losses and gradients are f32, and as exact as for f32 inputs.
#[test]
fn reductions_are_not_rounded_to_f16() {
    if !has_half() {
        return;
    }
    for shape in SHAPES {
        let [x, target] = [305, 306].map(|seed| random(&shape, seed));
        let scale = reference::gram::default_scale(&shape);
        let dgram = Array::random(&[shape[0], shape[1], shape[1]], 307);
        let products = reference::gram::forward(&x, scale);
        let dproducts = reference::gram::d_input(&x, scale, &dgram);
        let spec = reference::mean_std::MeanStd { eps: EPSILON.into(), unbiased: false };
        let (mean, deviation) = reference::mean_std::forward(spec, &x);
        let loss = Array::vector(vec![reference::loss::forward(&x, &target, 0.5)]);
        let dloss = reference::loss::d_a(&x, &target, 0.5);
        let pool = Pool { kind: Pooling::Max, ceil: true };
        let twin = reference::pool::Pool { kind: reference::pool::Pooling::Max, ceil: true };
        let dy = Array::random(&reference::pool::forward(twin, &x).shape, 308);
        let dx = reference::pool::d_input(twin, &x, &dy);
        let inputs = [&x, &target, &dgram, &dy];
        let expected = [&products, &dproducts, &mean, &deviation, &loss, &dloss, &dx];
        check(&format!("sums of halves {shape:?}"), &inputs, &expected, SUM, |rec, inputs| {
            let [x, target] = [vector::stored(rec, inputs[0], F16)?, vector::stored(rec, inputs[1], F16)?];
            let scale = gram::scale(x);
            let (mean, deviation) = mean_std::forward(rec, x, EPSILON)?;
            let (weight, total) = (Weight::new(rec, 0.5), rec.transient("loss", [1]));
            square_loss::forward(rec, x, target, weight, total, 0)?;
            let results = vec![
                gram::forward(rec, x, scale)?,
                gram::backward(rec, x, inputs[2], scale)?,
                mean,
                deviation,
                total,
                square_loss::backward(rec, x, target, weight)?,
                pool.backward(rec, x, inputs[3])?,
            ];
            assert!(results.iter().all(|result| result.precision == F32));
            Ok(results)
        });
    }
}

/// The existing values of an accumulated f16 tensor are read as f16.
#[test]
fn regions_accumulate_in_f16() {
    if !has_half() {
        return;
    }
    let [x, z] = [309, 310].map(|seed| random(&[2, 4, 3, 5], seed));
    let mask = Array::random(&[3, 5], 311);
    let mut sum = z.clone();
    for at @ [_, _, i, j] in reference::indices([2, 4, 3, 5]) {
        *sum.at_mut(at) += mask.at([i, j]) * x.at(at);
    }
    check("regions of halves", &[&x, &z, &mask], &[&sum], HALF, |rec, inputs| {
        let x = vector::stored(rec, inputs[0], F16)?;
        let z = vector::stored(rec, inputs[1], F16)?;
        regions::add(rec, x, inputs[2], z)?;
        Ok(vec![z])
    });
}

/// Bindings consist of whole words, so `arrayLength` would be one too large in a kernel that uses it.
#[test]
fn odd_lengths_are_refused_where_a_kernel_uses_array_length() {
    if !has_half() {
        return;
    }
    for context in contexts() {
        let mut rec = impasto::gpu::Recorder::new(context);
        let x = rec.transient_stored(F16, "odd", [3, 5]);
        vector::fill(&mut rec, x, 1.0).unwrap();
        let out = rec.transient("out", [1]);
        let error = vector::dot(&mut rec, x, x, out, 0).unwrap_err().to_string();
        assert!(error.contains("even") && error.contains("[3, 5]"), "{error}");
    }
}
