//! Tests of the reference implementations: every gradient against central differences, and forward values computed by
//! hand.

#[path = "reference_gradients/comparison.rs"]
mod comparison;
#[path = "reference_gradients/convolution.rs"]
mod convolution;
#[path = "reference_gradients/normalisation.rs"]
mod normalisation;
#[path = "reference_gradients/optimisers.rs"]
mod optimisers;
#[path = "reference_gradients/pooling.rs"]
mod pooling;
#[path = "reference_gradients/quasi_newton.rs"]
mod quasi_newton;
#[path = "reference_gradients/resample.rs"]
mod resample;
#[path = "reference_gradients/rows.rs"]
mod rows;
#[path = "reference_gradients/statistics.rs"]
mod statistics;

use impasto::internal::reference;
use reference::{Array, central_differences, compare_f64, vector};

const TOLERANCE: f64 = 1e-7;

/// Asserts that `analytic` is the gradient of `f` at `x`, and that the assertion is sensitive: it must fail if any one
/// element of the gradient is slightly wrong or NaN.
fn assert_gradient(f: impl Fn(&Array) -> f64, x: &Array, analytic: &Array) {
    assert_eq!(analytic.shape, x.shape);
    let expected = central_differences(f, x);
    compare_f64(&analytic.data, &expected, TOLERANCE).unwrap();

    let largest = vector::max_abs(&expected.data);
    assert!(largest > 1e-3, "a gradient of zero shows nothing");
    for i in 0..analytic.data.len() {
        for wrong in [analytic.data[i] + 1e-5 * largest, f64::NAN] {
            let mut tampered = analytic.clone();
            tampered.data[i] = wrong;
            assert!(compare_f64(&tampered.data, &expected, TOLERANCE).is_err(), "element {i} can be {wrong}");
        }
    }
}

/// Asserts that `actual` is `expected` up to rounding.
fn assert_close(actual: &[f64], expected: &[f64]) {
    compare_f64(actual, &Array::vector(expected.to_vec()), 1e-14).unwrap();
}

/// The scalar `Σ dy · y`, whose gradient with respect to y is dy.
fn project(y: &Array, dy: &Array) -> f64 {
    vector::dot(&y.data, &dy.data)
}
