//! The scaled hyperbolic tangent.

use impasto::gpu::{DeviceTensor, Recorder};
use impasto::ops::{tanh, vector};

use crate::harness::{SUM, check, contexts};
use crate::reference::{Array, tanh as reference};

#[test]
fn matches_the_oracle() {
    let shapes: [&[usize]; 6] = [&[5], &[2, 3, 5, 7], &[63], &[64], &[65], &[127, 129]];
    for shape in shapes {
        for range in [0.01, 1.0, 5.0] {
            let x = Array::random(shape, 150).map(|value| f64::from((value * range) as f32));
            let dy = Array::random(shape, 151);
            let y = reference::forward(&x);
            let dx = reference::d_input(&y, &dy);
            check(&format!("tanh {shape:?} to {range}"), &[&x, &dy], &[&y, &dx], SUM, |rec, inputs| {
                let y = tanh::forward(rec, inputs[0])?;
                Ok(vec![y, tanh::backward(rec, y, inputs[1])?])
            });
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
