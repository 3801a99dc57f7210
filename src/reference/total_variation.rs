//! Anisotropic squared total variation of an image x `[N, C, H, W]`: the squared differences of vertical and of
//! horizontal neighbours.
//!
//! ```text
//! L = weight · ( Σ (x[i+1,j] - x[i,j])² + Σ (x[i,j+1] - x[i,j])² )
//! ```
//!
//! A pair (a, b) contributes `weight · (b - a)²`, so its gradient is `2 · weight · (b - a)` at b and the negative of
//! that at a.

use super::{Array, indices};

/// Every pair of vertical and of horizontal neighbours.
fn neighbours(x: &Array) -> impl Iterator<Item = ([usize; 4], [usize; 4])> {
    let [_, _, h, w] = x.dims();
    indices(x.dims()).flat_map(move |[n, c, i, j]| {
        let below = (i + 1 < h).then_some([n, c, i + 1, j]);
        let right = (j + 1 < w).then_some([n, c, i, j + 1]);
        below.into_iter().chain(right).map(move |neighbour| ([n, c, i, j], neighbour))
    })
}

pub fn forward(x: &Array, weight: f64) -> f64 {
    weight * neighbours(x).map(|(a, b)| (x.at(b) - x.at(a)).powi(2)).sum::<f64>()
}

pub fn d_input(x: &Array, weight: f64) -> Array {
    let mut dx = Array::zeros(&x.shape);
    for (a, b) in neighbours(x) {
        let slope = 2.0 * weight * (x.at(b) - x.at(a));
        *dx.at_mut(b) += slope;
        *dx.at_mut(a) -= slope;
    }
    dx
}
