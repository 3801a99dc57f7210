//! Mean and standard deviation of every channel.

use impasto::gpu::Precision;
use impasto::internal::cases::features;

use crate::harness::check_case;
use crate::reference::Array;

fn check_statistics(x: &Array) {
    check_case(&features::statistics(x, Precision::F32));
}

#[test]
fn matches_the_oracle() {
    let shapes =
        [[1, 1, 1, 1], [1, 1, 3, 1], [2, 3, 5, 7], [1, 17, 7, 9], [2, 2, 8, 8], [3, 5, 5, 13], [1, 2, 127, 129]];
    for shape in shapes {
        check_statistics(&Array::random(&shape, 41));
    }
}

/// The variance is computed from differences to the mean, so an offset causes no cancellation.
#[test]
fn an_offset_costs_no_digits() {
    let shape = [2, 3, 31, 33];
    check_statistics(&Array::random(&shape, 44).map(|value| f64::from((value * 0.125 + 20.0) as f32)));
}
