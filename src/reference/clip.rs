//! Clipping of gradients by their global norm (Pascanu, Mikolov and Bengio, 2013).
//!
//! ```text
//! norm = √(Σ over all tensors of Σ g²)        scale = min(1, limit / norm)
//! ```

use super::vector;

/// `[norm, scale]`.
pub fn norm(gradients: &[&[f64]], limit: f64) -> [f64; 2] {
    let norm = gradients.iter().map(|g| vector::dot(g, g)).sum::<f64>().sqrt();
    [norm, if norm > limit { limit / norm } else { 1.0 }]
}
