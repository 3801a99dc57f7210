//! Weighted sum of squared differences. Maths: shaders/square_loss.wgsl.

use super::vector::{self, PART};
use super::{reducing, reducing_all};
use crate::gpu::{Dispatch, Kernel, Recorder, Tensor, Uniform, linear_groups, map_groups};
use crate::{Error, Result};

const SHADER: &str = "square_loss.wgsl";

super::params! {
    /// The loss's weight.
    Params { weight: f32 }
}

/// The weight of a loss, which can change between runs.
#[derive(Clone, Copy, Debug)]
pub struct Weight(Uniform<Params>);

impl Weight {
    /// A weight with the initial `value`.
    pub fn new(rec: &mut Recorder, value: f32) -> Self {
        Weight(rec.uniform(&Params { weight: value }))
    }

    /// Sets the weight for the following runs of `program`.
    pub fn set(self, program: &crate::gpu::Program, value: f32) {
        program.set(self.0, &Params { weight: value });
    }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let sums = reducing_all(Kernel::new(SHADER, "forward"));
    sums.into_iter().chain([Kernel::new(SHADER, "backward")]).collect()
}

fn check(x: Tensor, target: Tensor) -> Result<usize> {
    if x.shape.count() != target.shape.count() {
        return Err(Error::argument("square_loss", "target", format!("shaped as x, {}", x.shape), target.shape));
    }
    Ok(x.shape.count())
}

/// `losses[slot] = weight · Σ (x − target)²`. A mean is taken by a weight that includes 1/count.
pub fn forward(
    rec: &mut Recorder,
    x: Tensor,
    target: Tensor,
    weight: Weight,
    losses: Tensor,
    slot: usize,
) -> Result<()> {
    let count = check(x, target)?;
    let partial = rec.transient("loss parts", [count.div_ceil(PART)]);
    rec.dispatch(
        Dispatch::new(reducing(Kernel::new(SHADER, "forward"), rec.class()), "square loss")
            .bind("x_elements", x)
            .bind("target_elements", target)
            .bind("partial", partial)
            .uniform(weight.0)
            .groups(linear_groups(count, PART))
            .flops(3 * count as u64),
    )?;
    vector::sum(rec, partial, losses, slot)
}

/// Gradient with respect to `x`, of its shape.
pub fn backward(rec: &mut Recorder, x: Tensor, target: Tensor, weight: Weight) -> Result<Tensor> {
    let count = check(x, target)?;
    let dx = rec.transient("square loss gradient", x.shape);
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "backward"), "square loss gradient")
            .bind("x", x)
            .bind("target_values", target)
            .bind("dx", dx)
            .uniform(weight.0)
            .groups(map_groups(count))
            .flops(2 * count as u64),
    )?;
    Ok(dx)
}
