//! Rectified linear unit.

use impasto::gpu::Precision;
use impasto::internal::cases::features;
use impasto::ops::relu;

use crate::harness::{EXACT, check, check_case};
use crate::reference::{self, Array};

#[test]
fn matches_the_oracle() {
    let shapes: [&[usize]; 7] = [&[1], &[2, 3, 5, 7], &[63], &[64], &[65], &[127, 129], &[3, 1031]];
    for shape in shapes {
        check_case(&features::rectified(shape, Precision::F32));
    }
}

/// More than 65,535 workgroups are arranged in rows.
#[test]
fn long_vectors_are_dispatched_in_rows() {
    let x = Array::random(&[256 * 65_535 + 65], 14);
    let y = reference::relu::forward(&x);
    check("long relu", &[&x], &[&y], EXACT, |rec, inputs| Ok(vec![relu::forward(rec, inputs[0])?]));
}
