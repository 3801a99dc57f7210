//! The scaled hyperbolic tangent.

use impasto::gpu::{DeviceTensor, Precision, Recorder};
use impasto::internal::cases::features;
use impasto::ops::{tanh, vector};

use crate::harness::{check_case, contexts};

#[test]
fn matches_the_oracle() {
    let shapes: [&[usize]; 6] = [&[5], &[2, 3, 5, 7], &[63], &[64], &[65], &[127, 129]];
    for shape in shapes {
        for range in [0.01, 1.0, 5.0] {
            check_case(&features::bent(shape, range, Precision::F32));
        }
    }
}

/// For large inputs the output is exactly 0 or 1 and the gradient zero.
#[test]
fn large_inputs_saturate_exactly() {
    let inputs = [0.0, 30.0, 50.0, 100.0, 1e6, f32::MAX, f32::INFINITY];
    for context in contexts() {
        let negative = inputs.map(|value| -value);
        let x = DeviceTensor::from_values(context, "x", [14], &[inputs, negative].concat()).unwrap();
        let [y, dx] = ["y", "dx"].map(|name| DeviceTensor::new(context, name, [14]));
        let mut rec = Recorder::new(context);
        let [from, y_into, dx_into] = [&x, &y, &dx].map(|tensor| rec.pin(tensor));
        let output = tanh::forward(&mut rec, from).unwrap();
        let gradient = tanh::backward(&mut rec, output, output).unwrap();
        vector::copy(&mut rec, output, y_into).unwrap();
        vector::copy(&mut rec, gradient, dx_into).unwrap();
        rec.finish().unwrap().run().unwrap();
        let (y, dx) = (y.read().unwrap(), dx.read().unwrap());
        assert_eq!((y[0], y[7], dx[0], dx[7]), (0.5, 0.5, 0.25, 0.25));
        assert!(y[1..7].iter().all(|&y| y == 1.0) && dx[1..7].iter().all(|&dx| dx == 0.0), "{y:?}, {dx:?}");
        assert!(y[8..].iter().all(|&y| (0.0..1e-25).contains(&y)) && y[10..].iter().all(|&y| y == 0.0), "{y:?}");
        assert!(dx[8..].iter().all(|&dx| (0.0..1e-25).contains(&dx)), "{dx:?}");
    }
}
