//! Content: the features themselves.

use crate::Result;
use crate::gpu::{Later, Recorder, Tensor};
use crate::ops::square_loss::{self, Weight};

/// `losses[slot] = weight · Σ (features − target)²` (arXiv:1508.06576, equation 1); gives the gradient to `features`,
/// to be recorded where it is needed.
pub fn content(
    rec: &mut Recorder,
    features: Tensor,
    target: Tensor,
    weight: Weight,
    losses: Tensor,
    slot: usize,
) -> Result<Later<'static>> {
    square_loss::forward(rec, features, target, weight, losses, slot)?;
    Ok(Box::new(move |rec| square_loss::backward(rec, features, target, weight)))
}
