//! Mean and standard deviation of every channel.

use impasto::ops::mean_std;

use crate::harness::{SUM, check};
use crate::reference::{Array, mean_std as reference};

const EPSILON: f32 = 1e-5;

fn check_statistics(shape: [usize; 4], x: &Array) {
    let spec = reference::MeanStd { eps: EPSILON.into(), unbiased: false };
    let (mean, std) = reference::forward(spec, x);
    let [dmean, dstd] = [42, 43].map(|seed| Array::random(&shape[..2], seed));
    let dx = reference::d_input(spec, x, &dmean, &dstd);
    check(&format!("mean and std {shape:?}"), &[x, &dmean, &dstd], &[&mean, &std, &dx], SUM, |rec, inputs| {
        let statistics = mean_std::forward(rec, inputs[0], EPSILON)?;
        let dx = mean_std::backward(rec, inputs[0], statistics, inputs[1], inputs[2])?;
        Ok(vec![statistics.0, statistics.1, dx])
    });
}

#[test]
fn matches_the_oracle() {
    let shapes =
        [[1, 1, 1, 1], [1, 1, 3, 1], [2, 3, 5, 7], [1, 17, 7, 9], [2, 2, 8, 8], [3, 5, 5, 13], [1, 2, 127, 129]];
    for shape in shapes {
        check_statistics(shape, &Array::random(&shape, 41));
    }
}

/// The variance is computed from differences to the mean, so an offset causes no cancellation.
#[test]
fn an_offset_costs_no_digits() {
    let shape = [2, 3, 31, 33];
    check_statistics(shape, &Array::random(&shape, 44).map(|value| f64::from((value * 0.125 + 20.0) as f32)));
}
