//! Square loss and total variation: a sum in a slot, and a gradient.

use impasto::gpu::{Precision, Recorder, Tensor};
use impasto::internal::cases::features;
use impasto::ops::square_loss;
use impasto::ops::square_loss::Weight;
use impasto::{Result, gpu};

use crate::harness::{check_case, contexts};
use crate::reference::Array;

#[test]
fn square_loss_matches_the_oracle() {
    let shapes: [&[usize]; 8] = [&[1], &[63], &[64], &[65], &[4095], &[4097], &[2, 3, 31, 33], &[2, 16, 127, 129]];
    shapes.into_iter().for_each(|shape| check_case(&features::square_loss(shape, Precision::F32)));
}

#[test]
fn total_variation_matches_the_oracle() {
    let shapes = [
        [1, 1, 2, 1],
        [1, 1, 1, 2],
        [1, 2, 3, 5],
        [2, 3, 31, 63],
        [1, 3, 32, 64],
        [1, 3, 33, 65],
        [2, 1, 7, 127],
        [1, 3, 67, 129],
    ];
    for shape in shapes {
        check_case(&features::variation(shape));
    }
}

/// The weight of a recorded loss can be changed between runs, and applies to the loss and its gradient.
#[test]
fn a_weight_can_change_between_runs() {
    let [x, target] = [55, 56].map(|seed| Array::random(&[100], seed));
    for context in contexts() {
        let mut rec = Recorder::new(context);
        let tensor = |name, values: &Array| {
            gpu::DeviceTensor::from_values(context, name, [values.data.len()], &values.to_f32()).unwrap()
        };
        let tensors = [tensor("x", &x), tensor("target", &target), tensor("losses", &Array::zeros(&[1]))];
        let dx = tensor("dx", &Array::zeros(&[100]));
        let record = |rec: &mut Recorder| -> Result<Weight> {
            let [x, target, losses]: [Tensor; 3] = tensors.each_ref().map(|tensor| rec.pin(tensor));
            let into = rec.pin(&dx);
            let weight = Weight::new(rec, 1.0);
            square_loss::forward(rec, x, target, weight, losses, 0)?;
            let gradient = square_loss::backward(rec, x, target, weight)?;
            impasto::ops::vector::copy(rec, gradient, into)?;
            Ok(weight)
        };
        let weight = record(&mut rec).unwrap();
        let program = rec.finish().unwrap();
        let run = || {
            program.run().unwrap();
            [tensors[2].read().unwrap(), dx.read().unwrap()].concat()
        };
        let first = run();
        weight.set(&program, -4.0);
        let second = run();
        assert_eq!(second, first.iter().map(|value| -4.0 * value).collect::<Vec<_>>());
    }
}
