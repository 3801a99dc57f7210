//! Style loss: mean and standard deviation of every channel.

use crate::Result;
use crate::gpu::{Later, Recorder, Tensor};
use crate::ops::mean_std;
use crate::ops::square_loss::{self, Weight};

/// ε, added to the variance under the square root.
pub const EPSILON: f32 = 1e-5;

/// `losses[slots[0]] = weight · Σ (μ − μₜ)²` and `losses[slots[1]] = weight · Σ (σ − σₜ)²` over the channels of
/// `features` (`[N, C, H, W]`). `target` is `(μₜ, σₜ)`, both `[N, C]`. This is arXiv:1703.06868, equation 13, with
/// squared norms. Gives the gradient with respect to `features`, to be recorded by the backward pass.
pub fn mean_std_style(
    rec: &mut Recorder,
    features: Tensor,
    target: (Tensor, Tensor),
    weight: Weight,
    losses: Tensor,
    slots: [usize; 2],
) -> Result<Later<'static>> {
    let (mean, std) = mean_std::forward(rec, features, EPSILON)?;
    square_loss::forward(rec, mean, target.0, weight, losses, slots[0])?;
    square_loss::forward(rec, std, target.1, weight, losses, slots[1])?;
    let dmean = square_loss::backward(rec, mean, target.0, weight)?;
    let dstd = square_loss::backward(rec, std, target.1, weight)?;
    Ok(Box::new(move |rec| mean_std::backward(rec, features, (mean, std), dmean, dstd)))
}
