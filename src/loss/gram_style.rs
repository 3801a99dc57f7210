//! Style loss: Gram matrices of features.

use crate::Result;
use crate::gpu::{Later, Recorder, Tensor};
use crate::ops::square_loss::{self, Weight};
use crate::ops::{gram, rows};

/// `losses[slot] = weight · Σ (G(features) − target)²` for `features` `[N, C, H, W]` (arXiv:1508.06576, equations 3 to
/// 5). `target` is a Gram matrix `[N, C, C]` divided by C·H·W. Gives the gradient with respect to `features`, to be
/// recorded by the backward pass.
pub fn gram_style(
    rec: &mut Recorder,
    features: Tensor,
    target: Tensor,
    weight: Weight,
    losses: Tensor,
    slot: usize,
) -> Result<Later<'static>> {
    scaled(rec, features, None, target, weight, losses, slot)
}

/// [`gram_style`] with a style and a scale for each image: `losses[slot] = weight · Σ (a·G(features) − target)²`.
/// `factors` holds a, `[N]` or `[N, 1]`.
pub fn gram_styles(
    rec: &mut Recorder,
    features: Tensor,
    factors: Tensor,
    target: Tensor,
    weight: Weight,
    losses: Tensor,
    slot: usize,
) -> Result<Later<'static>> {
    scaled(rec, features, Some(factors), target, weight, losses, slot)
}

fn scaled(
    rec: &mut Recorder,
    features: Tensor,
    factors: Option<Tensor>,
    target: Tensor,
    weight: Weight,
    losses: Tensor,
    slot: usize,
) -> Result<Later<'static>> {
    let scale = gram::scale(features);
    let own = |rec: &mut Recorder, x: Tensor| factors.map_or(Ok(x), |factors| rows::scale(rec, x, factors));
    let matrix = gram::forward(rec, features, scale)?;
    let matrix = own(rec, matrix)?;
    square_loss::forward(rec, matrix, target, weight, losses, slot)?;
    let dmatrix = square_loss::backward(rec, matrix, target, weight)?;
    let dmatrix = own(rec, dmatrix)?;
    Ok(Box::new(move |rec| gram::backward(rec, features, dmatrix, scale)))
}
