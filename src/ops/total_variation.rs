//! Total variation of a picture (arXiv:1603.08155 §3.2). Maths: shaders/total_variation.wgsl.

use super::vector;
use crate::Result;
use crate::gpu::{Dispatch, Kernel, Recorder, Tensor};

const SHADER: &str = "total_variation.wgsl";

super::params! {
    /// Size of a plane, and the weight of the loss.
    Params { height: u32, width: u32, weight: f32 }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    ["forward", "backward"].map(|entry| Kernel::new(SHADER, entry)).to_vec()
}

/// `losses[slot]` = `weight` times the sum of squared differences of neighbouring pixels of `x` (`[N, C, H, W]`).
pub fn forward(rec: &mut Recorder, x: Tensor, weight: f32, losses: Tensor, slot: usize) -> Result<()> {
    let [n, c, height, width] = x.shape.nchw("total_variation", "x")?;
    let groups = [width.div_ceil(64), height.div_ceil(16), n * c];
    let partial = rec.transient("total variation parts", [groups.iter().product()]);
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "forward"), "total variation")
            .bind("x", x)
            .bind("partial", partial)
            .params(&Params { height: height as u32, width: width as u32, weight })
            .groups(groups.map(|g| g as u32))
            .flops(6 * x.shape.count() as u64),
    )?;
    vector::sum(rec, partial, losses, slot)
}

/// Gradient with respect to `x`, of its shape.
pub fn backward(rec: &mut Recorder, x: Tensor, weight: f32) -> Result<Tensor> {
    let [n, c, height, width] = x.shape.nchw("total_variation gradient", "x")?;
    let dx = rec.transient("total variation gradient", x.shape);
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "backward"), "total variation gradient")
            .bind("x", x)
            .bind("dx", dx)
            .params(&Params { height: height as u32, width: width as u32, weight })
            .groups([width.div_ceil(64), height, n * c].map(|g| g as u32))
            .flops(8 * x.shape.count() as u64),
    )?;
    Ok(dx)
}
