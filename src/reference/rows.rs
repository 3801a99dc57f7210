//! Tables `[S, L]` with one row per style, from which each of N images takes its row.
//!
//! ```text
//! mix: y_n = Σ_s w_ns T_s      dT_s = Σ_n w_ns dy_n
//! scale: y_n = a_n x_n         dx_n = a_n dy_n
//! ```

use super::{Array, indices};

/// `[N, L]` of weights `[N, S]` and a table `[S, L]`.
pub fn mix(weights: &Array, table: &Array) -> Array {
    let ([n, s], [_, l]) = (weights.dims(), table.dims());
    let mut y = Array::zeros(&[n, l]);
    for [n, s, l] in indices([n, s, l]) {
        *y.at_mut([n, l]) += weights.at([n, s]) * table.at([s, l]);
    }
    y
}

pub fn d_table(weights: &Array, dy: &Array) -> Array {
    let ([n, s], [_, l]) = (weights.dims(), dy.dims());
    let mut dtable = Array::zeros(&[s, l]);
    for [n, s, l] in indices([n, s, l]) {
        *dtable.at_mut([s, l]) += weights.at([n, s]) * dy.at([n, l]);
    }
    dtable
}

/// Each image of x `[N, ...]` multiplied by its factor.
pub fn scale(x: &Array, factors: &Array) -> Array {
    let length = x.data.len() / factors.data.len();
    let scaled = x.data.iter().enumerate().map(|(index, value)| factors.data[index / length] * value);
    Array::new(&x.shape, scaled.collect())
}
