//! Comparisons: an f32 result with its oracle, and an analytic gradient with central differences.

use super::Array;

/// Keeps the relative error finite if all expected values are zero.
const TINY: f64 = 1e-30;

/// Half the width of the central difference: a power of two near 1e-5, so that `x ± STEP` causes no rounding.
const STEP: f64 = 1.0 / (1 << 17) as f64;

/// Accepts `actual` where `max |a - e| / (max |e| + tiny) <= tolerance`; NaN is never accepted.
pub fn compare(actual: &[f32], expected: &Array, tolerance: f64) -> Result<(), String> {
    compare_f64(&Array::from_f32(&[actual.len()], actual).data, expected, tolerance)
}

/// [`compare`] for f64 values.
pub fn compare_f64(actual: &[f64], expected: &Array, tolerance: f64) -> Result<(), String> {
    let Worst { element, error } = worst(actual, expected)?;
    // Not `error > tolerance`, which would accept NaN.
    if !(error <= tolerance) {
        return Err(format!(
            "relative error {error:.3e} is above {tolerance:.1e}: element {element} of {:?} is {:e}, expected {:e}",
            expected.shape, actual[element], expected.data[element],
        ));
    }
    Ok(())
}

/// The element with the largest error, and that error relative to the largest expected value. The error is NaN if an
/// element is NaN.
pub struct Worst {
    pub element: usize,
    pub error: f64,
}

/// The worst element of `actual`. An error if there are more or fewer elements than expected, or none.
pub fn worst(actual: &[f64], expected: &Array) -> Result<Worst, String> {
    if actual.len() != expected.data.len() {
        return Err(format!("{} elements where {} were expected", actual.len(), expected.data.len()));
    }
    let difference = |i: usize| (actual[i] - expected.data[i]).abs();
    // In `total_cmp`, a positive NaN is above every number, so a NaN anywhere is the worst element.
    let Some(element) = (0..actual.len()).max_by(|&i, &j| difference(i).total_cmp(&difference(j))) else {
        return Err("there is nothing to compare".into());
    };
    let largest = expected.data.iter().fold(0.0, |largest: f64, e| largest.max(e.abs()));
    Ok(Worst { element, error: difference(element) / (largest + TINY) })
}

/// The gradient of `f` at `x`, one element at a time: `df/dx[i] ≈ (f(x + h eᵢ) - f(x - h eᵢ)) / 2h`.
pub fn central_differences(f: impl Fn(&Array) -> f64, x: &Array) -> Array {
    let mut gradient = Array::zeros(&x.shape);
    for i in 0..x.data.len() {
        let moved_by = |step: f64| {
            let mut moved = x.clone();
            moved.data[i] += step;
            f(&moved)
        };
        gradient.data[i] = (moved_by(STEP) - moved_by(-STEP)) / (2.0 * STEP);
    }
    gradient
}

/// Accepts `analytic` as the gradient of `f` at `x` where every element agrees with central differences.
pub fn gradient_check(f: impl Fn(&Array) -> f64, x: &Array, analytic: &Array, tolerance: f64) -> Result<(), String> {
    if analytic.shape != x.shape {
        return Err(format!("the gradient's shape is {:?}, the variable's {:?}", analytic.shape, x.shape));
    }
    compare_f64(&analytic.data, &central_differences(f, x), tolerance)
}
