//! Instance and batch normalisation of x `[N, C, H, W]`, with a scale and a shift for each channel, and an optional
//! ReLU.
//!
//! ```text
//! mean = Σ x / M      var = Σ (x - mean)² / M      x̂ = (x - mean) / √(var + eps)
//! z    = gamma · x̂ + beta                          y = z, or max(z, 0)
//!
//! dz     = dy, but 0 where there is a rectifier and z is not positive
//! dgamma = Σ dz · x̂      dbeta = Σ dz              over a channel of all images
//! dx     = gamma · (dz - Σ dz / M - x̂ · Σ (dz · x̂) / M) / √(var + eps)
//! ```
//!
//! The other sums are over the M elements that share a mean: one channel of one image, or of all images.

use super::{Array, indices};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Over all images instead of over each.
    pub batch: bool,
    pub relu: bool,
    pub eps: f64,
}

impl Norm {
    /// Number of elements that share a mean.
    fn elements(self, shape: [usize; 4]) -> f64 {
        let [n, _, h, w] = shape;
        (if self.batch { n * h * w } else { h * w }) as f64
    }

    /// `[N, C]`, or `[1, C]` over a batch: one sum for all elements that share a mean.
    fn sums(self, values: &Array) -> Array {
        let [n, c, _, _] = values.dims();
        let mut sums = Array::zeros(&[if self.batch { 1 } else { n }, c]);
        for at in indices::<4>(values.dims()) {
            *sums.at_mut(self.place(at)) += values.at(at);
        }
        sums
    }

    /// Index of the sum to which an element belongs.
    fn place(self, [n, c, ..]: [usize; 4]) -> [usize; 2] {
        [if self.batch { 0 } else { n }, c]
    }
}

/// An array of x's shape from a function of the index.
fn of_every(x: &Array, f: impl Fn([usize; 4]) -> f64) -> Array {
    Array::new(&x.shape, indices(x.dims()).map(f).collect())
}

/// The means and the biased variances, each `[N, C]`, or `[1, C]` over a batch.
pub fn statistics(spec: Norm, x: &Array) -> [Array; 2] {
    let elements = spec.elements(x.dims());
    let mean = spec.sums(x).map(|sum| sum / elements);
    let squares = of_every(x, |at| (x.at(at) - mean.at(spec.place(at))).powi(2));
    [mean, spec.sums(&squares).map(|sum| sum / elements)]
}

fn normalised(spec: Norm, x: &Array, [mean, variance]: &[Array; 2]) -> Array {
    of_every(x, |at| (x.at(at) - mean.at(spec.place(at))) / (variance.at(spec.place(at)) + spec.eps).sqrt())
}

/// z with given statistics: the output before the ReLU.
pub fn affine(spec: Norm, x: &Array, statistics: &[Array; 2], gamma: &Array, beta: &Array) -> Array {
    let normalised = normalised(spec, x, statistics);
    of_every(x, |at| gamma.at([at[1]]) * normalised.at(at) + beta.at([at[1]]))
}

/// y with given statistics.
pub fn apply(spec: Norm, x: &Array, statistics: &[Array; 2], gamma: &Array, beta: &Array) -> Array {
    affine(spec, x, statistics, gamma, beta).map(|z| if spec.relu && z < 0.0 { 0.0 } else { z })
}

pub fn forward(spec: Norm, x: &Array, gamma: &Array, beta: &Array) -> Array {
    apply(spec, x, &statistics(spec, x), gamma, beta)
}

/// `[dx, dgamma, dbeta]`.
pub fn backward(spec: Norm, x: &Array, gamma: &Array, beta: &Array, dy: &Array) -> [Array; 3] {
    let statistics = statistics(spec, x);
    let (z, normalised) = (affine(spec, x, &statistics, gamma, beta), normalised(spec, x, &statistics));
    let dz = of_every(x, |at| if spec.relu && z.at(at) <= 0.0 { 0.0 } else { dy.at(at) });
    let products = of_every(x, |at| dz.at(at) * normalised.at(at));
    let [mean, mean_product] = [&dz, &products].map(|v| spec.sums(v).map(|sum| sum / spec.elements(x.dims())));
    let dx = of_every(x, |at| {
        let place = spec.place(at);
        gamma.at([at[1]]) * (dz.at(at) - mean.at(place) - normalised.at(at) * mean_product.at(place))
            / (statistics[1].at(place) + spec.eps).sqrt()
    });
    let channels = |v: &Array| Array::vector(Norm { batch: true, ..spec }.sums(v).data);
    [dx, channels(&products), channels(&dz)]
}

/// Moves `running` by `momentum` toward the statistics of batches of `elements`. Running variances are unbiased.
pub fn track(running: &[Array; 2], statistics: &[Array; 2], elements: usize, momentum: f64) -> [Array; 2] {
    let correction = elements as f64 / (elements - 1) as f64;
    [(0, 1.0), (1, correction)].map(|(i, factor)| {
        let moved = running[i].data.iter().zip(&statistics[i].data);
        Array::vector(moved.map(|(r, s)| (1.0 - momentum) * r + momentum * factor * s).collect())
    })
}

/// The means and variances, each `[N, C]`, with `weights` `[H, W]` of mean 1 for the pixels of every channel.
pub fn weighted_statistics(x: &Array, weights: &Array) -> [Array; 2] {
    let spec = Norm { batch: false, relu: false, eps: 0.0 };
    let weight = |at: [usize; 4]| weights.at([at[2], at[3]]);
    let mean_of = |values: &Array| spec.sums(values).map(|sum| sum / spec.elements(x.dims()));
    let mean = mean_of(&of_every(x, |at| weight(at) * x.at(at)));
    let squares = of_every(x, |at| weight(at) * (x.at(at) - mean.at(spec.place(at))).powi(2));
    let variance = mean_of(&squares);
    [mean, variance]
}
