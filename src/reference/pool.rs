//! 2×2 pooling with stride 2 of x `[N, C, H, W]`.
//!
//! ```text
//! max:      y = max of the window        dx += dy at the first maximum in row-major order, as in torch
//! average:  y = Σ window / count         dx += dy / count at every element of the window
//! ```
//!
//! `count` is 4, or fewer in a window that extends beyond the border.

use super::{Array, indices};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    Max,
    Average,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    pub kind: Pooling,
    /// Keeps the window that an odd last row or column leaves partial; without it, that row or column is dropped.
    pub ceil: bool,
}

impl Pool {
    pub fn output_shape(self, x: &[usize]) -> [usize; 4] {
        let size = |input: usize| if self.ceil { input.div_ceil(2) } else { input / 2 };
        [x[0], x[1], size(x[2]), size(x[3])]
    }
}

/// The elements of x, in row-major order, that belong to one element of y.
fn window(x: &Array, [n, c, i, j]: [usize; 4]) -> Vec<[usize; 4]> {
    let [_, _, h, w] = x.dims();
    let square = indices([2, 2]).map(|[p, q]| [n, c, 2 * i + p, 2 * j + q]);
    square.filter(|&[_, _, row, column]| row < h && column < w).collect()
}

/// The first of the largest elements.
fn first_maximum(x: &Array, window: &[[usize; 4]]) -> [usize; 4] {
    let mut maximum = window[0];
    for &index in window {
        if x.at(index) > x.at(maximum) {
            maximum = index;
        }
    }
    maximum
}

pub fn forward(spec: Pool, x: &Array) -> Array {
    let mut y = Array::zeros(&spec.output_shape(&x.shape));
    for index in indices(y.dims()) {
        let window = window(x, index);
        *y.at_mut(index) = match spec.kind {
            Pooling::Max => x.at(first_maximum(x, &window)),
            Pooling::Average => window.iter().map(|&i| x.at(i)).sum::<f64>() / window.len() as f64,
        };
    }
    y
}

pub fn d_input(spec: Pool, x: &Array, dy: &Array) -> Array {
    assert_eq!(dy.shape, spec.output_shape(&x.shape));
    let mut dx = Array::zeros(&x.shape);
    for index in indices(dy.dims()) {
        let window = window(x, index);
        match spec.kind {
            Pooling::Max => *dx.at_mut(first_maximum(x, &window)) += dy.at(index),
            Pooling::Average => {
                for &i in &window {
                    *dx.at_mut(i) += dy.at(index) / window.len() as f64;
                }
            }
        }
    }
    dx
}
