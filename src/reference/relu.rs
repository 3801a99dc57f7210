//! The ReLU: `y = max(x, 0)`, and `dx = dy` where `y > 0`, else 0.

use super::Array;

pub fn forward(x: &Array) -> Array {
    x.map(|v| if v > 0.0 { v } else { 0.0 })
}

/// The gradient from the output alone: `y > 0` exactly where `x > 0`.
pub fn d_input(y: &Array, dy: &Array) -> Array {
    assert_eq!(y.shape, dy.shape);
    let masked = y.data.iter().zip(&dy.data).map(|(&y, &dy)| if y > 0.0 { dy } else { 0.0 });
    Array::new(&y.shape, masked.collect())
}
