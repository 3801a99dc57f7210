//! Content loss: squared differences of features.

use crate::Result;
use crate::gpu::{Later, Recorder, Tensor};
use crate::ops::square_loss::{self, Weight};

/// `losses[slot] = weight · Σ (features − target)²`, with `target` of the shape of `features` (arXiv:1508.06576,
/// equation 1 without its factor ½). Gives the gradient with respect to `features`, to be recorded by the backward
/// pass.
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
