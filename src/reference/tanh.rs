//! The hyperbolic tangent scaled to 0 to 1: `y = (tanh x + 1) / 2`, and `dx = dy · 2 y (1 - y)`.

use super::Array;

pub fn forward(x: &Array) -> Array {
    x.map(|v| (v.tanh() + 1.0) / 2.0)
}

/// The gradient from the output alone.
pub fn d_input(y: &Array, dy: &Array) -> Array {
    assert_eq!(y.shape, dy.shape);
    Array::new(&y.shape, y.data.iter().zip(&dy.data).map(|(&y, &dy)| dy * 2.0 * y * (1.0 - y)).collect())
}
