//! Style: the correlations of the features.

use crate::Result;
use crate::gpu::{Later, Recorder, Tensor};
use crate::ops::gram;
use crate::ops::square_loss::{self, Weight};

/// `losses[slot] = weight · Σ (G(features) − target)²`, `target` being a Gram matrix over C·H·W (arXiv:1508.06576,
/// equations 3 to 5); gives the gradient to `features`, to be recorded where it is needed.
pub fn gram_style(
    rec: &mut Recorder,
    features: Tensor,
    target: Tensor,
    weight: Weight,
    losses: Tensor,
    slot: usize,
) -> Result<Later<'static>> {
    let scale = gram::scale(features);
    let matrix = gram::forward(rec, features, scale)?;
    square_loss::forward(rec, matrix, target, weight, losses, slot)?;
    let dmatrix = square_loss::backward(rec, matrix, target, weight)?;
    Ok(Box::new(move |rec| gram::backward(rec, features, dmatrix, scale)))
}
