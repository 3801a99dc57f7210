//! Content: the features themselves.

use crate::Result;
use crate::gpu::{Recorder, Tensor};
use crate::ops::square_loss::{self, Weight};

/// `losses[slot] = weight · Σ (features − target)²` (arXiv:1508.06576, equation 1); gives the gradient to `features`.
pub fn content(
    rec: &mut Recorder,
    features: Tensor,
    target: Tensor,
    weight: Weight,
    losses: Tensor,
    slot: usize,
) -> Result<Tensor> {
    square_loss::forward(rec, features, target, weight, losses, slot)?;
    square_loss::backward(rec, features, target, weight)
}
