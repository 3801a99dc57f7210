//! The Gram matrix of a feature map. With F `[N, C, H, W]` read as a C × HW matrix for each n:
//!
//! ```text
//! G = scale · F Fᵀ        dF = scale · (dG + dGᵀ) F
//! ```

use super::{Array, indices};

/// The usual scale, `1 / (C H W)`.
pub fn default_scale(f_shape: &[usize]) -> f64 {
    1.0 / f_shape[1..].iter().product::<usize>() as f64
}

/// G, of shape `[N, C, C]`.
pub fn forward(f: &Array, scale: f64) -> Array {
    let [n, c, h, w] = f.dims();
    let mut g = Array::zeros(&[n, c, c]);
    for [n, i, j] in indices([n, c, c]) {
        for [row, column] in indices([h, w]) {
            *g.at_mut([n, i, j]) += scale * f.at([n, i, row, column]) * f.at([n, j, row, column]);
        }
    }
    g
}

pub fn d_input(f: &Array, scale: f64, dg: &Array) -> Array {
    let [_, c, _, _] = f.dims();
    let mut df = Array::zeros(&f.shape);
    for [n, i, row, column] in indices(f.dims()) {
        for j in 0..c {
            let symmetric = dg.at([n, i, j]) + dg.at([n, j, i]);
            *df.at_mut([n, i, row, column]) += scale * symmetric * f.at([n, j, row, column]);
        }
    }
    df
}
