//! Small photos as super-resolution nets see them in training: blurred, reduced, and rounded as in a file.

use super::taps;
use crate::gpu::{Context, Recorder, Tensor};
use crate::ops::resample::{self, Table, Taps};
use crate::ops::vector;
use crate::{Error, Result};

/// Standard deviation of the blur in pixels.
const SIGMA: f64 = 1.0;

/// Pixels on each side that the blur reads.
const RADIUS: usize = 4;

/// The steps of a sample of 8 bits.
const STEPS: f32 = 255.0;

/// Reduces pictures of one size (arXiv:1603.08155, section 4.2): a Gaussian blur with a standard deviation of 1 px, then
/// bicubic reduction, whose filter is widened by the scale, then rounding to 8 bits. Both filters are cut off at an edge,
/// where their weights again have a sum of 1.
pub struct Reduction {
    tables: [Table; 2],
}

/// The taps of the blur of a side.
fn blur(side: usize) -> Vec<Taps> {
    let of = |at: usize| {
        let span = at.saturating_sub(RADIUS)..(at + RADIUS + 1).min(side);
        let weight = |other: usize| (-0.5 * (other.abs_diff(at) as f64 / SIGMA).powi(2)).exp();
        let sum: f64 = span.clone().map(weight).sum();
        Taps { first: span.start, weights: span.map(|other| (weight(other) / sum) as f32).collect() }
    };
    (0..side).map(of).collect()
}

/// The taps of one filter after another.
fn composed(first: &[Taps], second: &[Taps]) -> Vec<Taps> {
    let of = |taps: &Taps| {
        let parts = || taps.weights.iter().zip(&first[taps.first..]);
        let start = parts().map(|(_, part)| part.first).min().unwrap_or(0);
        let end = parts().map(|(_, part)| part.first + part.weights.len()).max().unwrap_or(0);
        let mut sums = vec![0.0; end - start];
        for (weight, part) in parts() {
            for (sum, inner) in sums[part.first - start..].iter_mut().zip(&part.weights) {
                *sum += f64::from(*weight) * f64::from(*inner);
            }
        }
        Taps { first: start, weights: sums.into_iter().map(|sum| sum as f32).collect() }
    };
    second.iter().map(of).collect()
}

impl Reduction {
    /// For pictures of `size` `[height, width]`, reduced by `scale`.
    ///
    /// # Errors
    /// Sides that are not multiples of `scale`.
    pub fn new(context: &Context, size: [usize; 2], scale: usize) -> Result<Self> {
        if size.iter().any(|side| *side == 0 || !side.is_multiple_of(scale)) {
            let expected = format!("a height and a width that are multiples of {scale}");
            return Err(Error::argument("reduction", "size", expected, format!("{size:?}")));
        }
        let table = |side: usize| Table::new(context, side, &composed(&blur(side), &taps(side, side / scale)));
        Ok(Reduction { tables: [table(size[0])?, table(size[1])?] })
    }

    /// Records the reduction of `pictures` (`[N, 3, H, W]`, RGB 0..1): `[N, 3, H / scale, W / scale]`.
    ///
    /// # Errors
    /// Pictures of another size.
    pub fn forward(&self, rec: &mut Recorder, pictures: Tensor) -> Result<Tensor> {
        let [rows, columns] = &self.tables;
        let small = resample::forward(rec, pictures, [rows, columns])?;
        vector::quantise(rec, small, STEPS)?;
        Ok(small)
    }
}
