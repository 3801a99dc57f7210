//! The mean and standard deviation of every channel of x `[N, C, H, W]`, over its M = H·W elements.
//!
//! ```text
//! mean = Σ x / M      var = Σ (x - mean)² / D      std = √(var + eps)
//! dx   = dmean / M + dstd · (x - mean) / (D · std)
//! ```
//!
//! D is M, or M - 1 for the unbiased variance.

use super::{Array, indices};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanStd {
    pub eps: f64,
    pub unbiased: bool,
}

impl MeanStd {
    fn divisor(self, elements: usize) -> f64 {
        (if self.unbiased { elements - 1 } else { elements }) as f64
    }
}

/// The mean and the standard deviation, each `[N, C]`.
pub fn forward(spec: MeanStd, x: &Array) -> (Array, Array) {
    let [n, c, h, w] = x.dims();
    let (mut mean, mut variance) = (Array::zeros(&[n, c]), Array::zeros(&[n, c]));
    for [n, c, i, j] in indices(x.dims()) {
        *mean.at_mut([n, c]) += x.at([n, c, i, j]) / (h * w) as f64;
    }
    for [n, c, i, j] in indices(x.dims()) {
        *variance.at_mut([n, c]) += (x.at([n, c, i, j]) - mean.at([n, c])).powi(2) / spec.divisor(h * w);
    }
    (mean, variance.map(|v| (v + spec.eps).sqrt()))
}

pub fn d_input(spec: MeanStd, x: &Array, dmean: &Array, dstd: &Array) -> Array {
    let [_, _, h, w] = x.dims();
    let (mean, std) = forward(spec, x);
    let mut dx = Array::zeros(&x.shape);
    for [n, c, i, j] in indices(x.dims()) {
        let centred = x.at([n, c, i, j]) - mean.at([n, c]);
        *dx.at_mut([n, c, i, j]) =
            dmean.at([n, c]) / (h * w) as f64 + dstd.at([n, c]) * centred / (spec.divisor(h * w) * std.at([n, c]));
    }
    dx
}
