//! Accepted and rejected comparisons, and the contents of arrays.

use crate::reference::{Array, compare, compare_f64, gradient_check, indices};

#[test]
fn the_error_is_relative_to_the_largest_expected_value() {
    let expected = Array::vector(vec![0.0, 100.0, -1.0]);
    compare(&[0.5, 100.0, -1.0], &expected, 0.005).unwrap();
    assert!(compare(&[0.5, 100.0, -1.0], &expected, 0.004).is_err());
}

#[test]
fn a_rejection_names_the_worst_element() {
    let expected = Array::new(&[1, 3], vec![1.0, 2.0, 4.0]);
    let message = compare(&[1.0, 3.0, 4.5], &expected, 1e-3).unwrap_err();
    let parts = ["2.500e-1", "1.0e-3", "element 1 of [1, 3]", "is 3e0", "expected 2e0"];
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}

#[test]
fn nan_and_infinity_are_rejected() {
    let ones = Array::vector(vec![1.0; 3]);
    for bad in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for i in 0..3 {
            let mut broken = ones.clone();
            broken.data[i] = bad;
            assert!(compare(&broken.to_f32(), &ones, 1e3).is_err());
            assert!(compare_f64(&ones.data, &broken, 1e3).is_err());
            assert!(compare_f64(&broken.data, &broken, 1e3).is_err());
        }
    }
    assert!(compare_f64(&ones.data, &ones, f64::NAN).is_err());
}

#[test]
fn zeros_are_compared_exactly() {
    let zeros = Array::zeros(&[2]);
    compare(&[0.0, -0.0], &zeros, 0.0).unwrap();
    assert!(compare(&[0.0, 1e-20], &zeros, 1e-3).is_err());
}

#[test]
fn missing_and_surplus_elements_are_rejected() {
    let ones = Array::vector(vec![1.0; 2]);
    assert!(compare(&[1.0], &ones, 1.0).is_err());
    assert!(compare(&[1.0; 3], &ones, 1.0).is_err());
    assert!(compare(&[], &Array::zeros(&[0]), 1.0).is_err());
}

#[test]
fn a_gradient_is_checked_in_value_and_shape() {
    let cubes = |x: &Array| x.data.iter().map(|v| v.powi(3)).sum();
    let x = Array::random(&[2, 3], 1);
    let gradient = x.map(|v| 3.0 * v * v);
    gradient_check(cubes, &x, &gradient, 1e-7).unwrap();

    let mut tampered = gradient.clone();
    tampered.data[5] *= 1.0 + 1e-4;
    assert!(gradient_check(cubes, &x, &tampered, 1e-7).is_err());
    let reshaped = Array::new(&[3, 2], gradient.data);
    assert!(gradient_check(cubes, &x, &reshaped, 1e-7).is_err());
}

#[test]
fn random_arrays_are_repeatable_signed_never_zero_and_exact_in_f32() {
    let random = Array::random(&[10, 1000], 7);
    assert_eq!(random, Array::random(&[10, 1000], 7));
    assert_ne!(random, Array::random(&[10, 1000], 8));
    assert_eq!(random, Array::from_f32(&random.shape, &random.to_f32()));
    assert!(random.data.iter().all(|&v| v != 0.0 && v.abs() < 1.0));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(mean(&random.data).abs() < 0.02);
    assert!((mean(&random.map(|v| v * v).data) - 1.0 / 3.0).abs() < 0.01);
}

#[test]
fn distinct_values_are_evenly_spaced() {
    let mut values = Array::distinct(&[2, 4], 3).data;
    assert!(!values.is_sorted());
    values.sort_by(f64::total_cmp);
    assert_eq!(values, [-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0]);
}

#[test]
fn indices_are_in_row_major_order() {
    let mut x = Array::zeros(&[2, 3, 4]);
    for (offset, index) in indices(x.dims::<3>()).enumerate() {
        *x.at_mut(index) = offset as f64;
    }
    assert!(x.data.iter().enumerate().all(|(offset, &v)| v == offset as f64));
    assert_eq!(x.at([1, 0, 2]), 14.0);
}
