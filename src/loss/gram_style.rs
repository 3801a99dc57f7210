//! Style loss: Gram matrices of features.

use crate::Result;
use crate::gpu::{Later, Recorder, Tensor};
use crate::ops::square_loss::{self, Weight};
use crate::ops::{gram, regions, rows};

/// The Gram matrix of `features` (`[N, C, H, W]`) times `mask`, divided by C·H·W: `[N, C, C]`.
///
/// The mask (`[H, W]`) holds the square roots of weights of mean 1, so that the matrix does not depend on the size of
/// the region (arXiv:1611.07865, equations 5 and 6). `None`: all pixels count equally.
pub fn masked_gram(rec: &mut Recorder, features: Tensor, mask: Option<Tensor>) -> Result<Tensor> {
    gram_part(rec, features, mask, gram::scale(features))
}

/// The part of a Gram matrix, `[N, C, C]`, that comes from `features` (`[N, C, H, W]`) times `mask` (`[H, W]`).
/// `scale` is 1/(C·H·W) of the whole; the parts add up to its matrix.
pub fn gram_part(rec: &mut Recorder, features: Tensor, mask: Option<Tensor>, scale: f32) -> Result<Tensor> {
    let features = masked(rec, features, mask)?;
    gram::forward(rec, features, scale)
}

/// The gradient with respect to the `features` of a [`gram_part`], from that of the whole matrix, `[N, C, C]`: to be
/// recorded by the backward pass.
pub fn gram_part_gradient(features: Tensor, mask: Option<Tensor>, dmatrix: Tensor, scale: f32) -> Later<'static> {
    // The masked features are computed again, because they would occupy memory during the whole backward pass.
    Box::new(move |rec| {
        let features = masked(rec, features, mask)?;
        let dx = gram::backward(rec, features, dmatrix, scale)?;
        masked(rec, dx, mask)
    })
}

fn masked(rec: &mut Recorder, x: Tensor, mask: Option<Tensor>) -> Result<Tensor> {
    mask.map_or(Ok(x), |mask| regions::scale(rec, x, mask))
}

/// `losses[slot] = weight · Σ (G − target)²` for the Gram matrix G of `features` `[N, C, H, W]` (arXiv:1508.06576,
/// equations 3 to 5), which is [`masked_gram`] of `mask`. `target` is such a matrix, `[N, C, C]`. Gives the gradient
/// with respect to `features`, to be recorded by the backward pass.
pub fn gram_style(
    rec: &mut Recorder,
    features: Tensor,
    mask: Option<Tensor>,
    target: Tensor,
    weight: Weight,
    losses: Tensor,
    slot: usize,
) -> Result<Later<'static>> {
    compared(rec, features, Factors { mask, images: None }, target, weight, losses, slot)
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
    compared(rec, features, Factors { mask: None, images: Some(factors) }, target, weight, losses, slot)
}

/// What features and matrices are multiplied by.
#[derive(Clone, Copy)]
struct Factors {
    mask: Option<Tensor>,
    /// A factor for the matrix of each image.
    images: Option<Tensor>,
}

fn compared(
    rec: &mut Recorder,
    features: Tensor,
    Factors { mask, images }: Factors,
    target: Tensor,
    weight: Weight,
    losses: Tensor,
    slot: usize,
) -> Result<Later<'static>> {
    let scale = gram::scale(features);
    let own = |rec: &mut Recorder, x: Tensor| images.map_or(Ok(x), |factors| rows::scale(rec, x, factors));
    let matrix = masked_gram(rec, features, mask)?;
    let matrix = own(rec, matrix)?;
    square_loss::forward(rec, matrix, target, weight, losses, slot)?;
    let dmatrix = square_loss::backward(rec, matrix, target, weight)?;
    let dmatrix = own(rec, dmatrix)?;
    Ok(gram_part_gradient(features, mask, dmatrix, scale))
}
