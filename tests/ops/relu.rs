//! Rectified linear unit.

use impasto::ops::relu;

use crate::harness::{EXACT, check};
use crate::reference::{self, Array};

#[test]
fn matches_the_oracle() {
    let shapes: [&[usize]; 7] = [&[1], &[2, 3, 5, 7], &[63], &[64], &[65], &[127, 129], &[3, 1031]];
    for shape in shapes {
        let (x, dy) = (Array::random(shape, 12), Array::random(shape, 13));
        let y = reference::relu::forward(&x);
        let dx = reference::relu::d_input(&y, &dy);
        check(&format!("relu {shape:?}"), &[&x, &dy], &[&y, &dx], EXACT, |rec, inputs| {
            let y = relu::forward(rec, inputs[0])?;
            Ok(vec![y, relu::backward(rec, y, inputs[1])?])
        });
    }
}

/// More than 65,535 workgroups are arranged in rows.
#[test]
fn long_vectors_are_dispatched_in_rows() {
    let x = Array::random(&[256 * 65_535 + 65], 14);
    let y = reference::relu::forward(&x);
    check("long relu", &[&x], &[&y], EXACT, |rec, inputs| Ok(vec![relu::forward(rec, inputs[0])?]));
}
