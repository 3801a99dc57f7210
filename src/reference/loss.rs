//! The weighted sum of squared differences: `L = weight · Σ (a - b)²`, and `dL/da = 2 · weight · (a - b)`.

use super::Array;

pub fn forward(a: &Array, b: &Array, weight: f64) -> f64 {
    assert_eq!(a.shape, b.shape);
    weight * a.data.iter().zip(&b.data).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
}

pub fn d_a(a: &Array, b: &Array, weight: f64) -> Array {
    assert_eq!(a.shape, b.shape);
    Array::new(&a.shape, a.data.iter().zip(&b.data).map(|(a, b)| 2.0 * weight * (a - b)).collect())
}
