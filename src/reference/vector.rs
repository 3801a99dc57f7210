//! Vector operations of the optimisers.

/// `y + alpha x`
pub fn axpy(alpha: f64, x: &[f64], y: &[f64]) -> Vec<f64> {
    assert_eq!(x.len(), y.len());
    x.iter().zip(y).map(|(x, y)| y + alpha * x).collect()
}

/// `alpha x`
pub fn scale(alpha: f64, x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| alpha * x).collect()
}

/// `Σ a b`
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `Σ |x|`
pub fn l1(x: &[f64]) -> f64 {
    x.iter().map(|x| x.abs()).sum()
}

/// `√(Σ x²)`
pub fn l2(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// `max |x|`
pub fn max_abs(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |largest, x| largest.max(x.abs()))
}

/// Every element clamped to `[low, high]`.
pub fn clamp(x: &[f64], low: f64, high: f64) -> Vec<f64> {
    x.iter().map(|x| x.clamp(low, high)).collect()
}

/// Every element clamped to `[0, 1]` and rounded to a multiple of `1 / steps`.
pub fn quantise(x: &[f64], steps: f64) -> Vec<f64> {
    x.iter().map(|x| (x.clamp(0.0, 1.0) * steps + 0.5).floor() / steps).collect()
}

/// `dy`, but 0 where `x` is outside `[low, high]` and `x − dy` is further outside.
pub fn clamp_gradient(x: &[f64], dy: &[f64], low: f64, high: f64) -> Vec<f64> {
    let outside = |x: f64| (x - x.clamp(low, high)).abs();
    x.iter()
        .zip(dy)
        .map(|(&x, &dy)| if outside(x) > 0.0 && dy.signum() != (x - low).signum() { 0.0 } else { dy })
        .collect()
}
