//! Mean and standard deviation of every channel (arXiv:1703.06868). Maths: shaders/mean_std.wgsl.

use super::{reducing, reducing_all};
use crate::gpu::{Dispatch, Kernel, Recorder, Tensor};
use crate::{Error, Result};

/// The kernel for planes of that many pixels: by vec4s if they are a multiple of 4.
fn pass(entry: &'static str, pixels: usize) -> Kernel {
    Kernel::new(if pixels.is_multiple_of(4) { "mean_std_four.wgsl" } else { "mean_std.wgsl" }, entry)
}

super::params! {
    /// Pixels of a plane, and ε.
    Params { pixels: u32, epsilon: f32 }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let passes = ["forward", "backward"].into_iter().flat_map(|entry| [1, 4].map(|pixels| pass(entry, pixels)));
    passes.flat_map(reducing_all).collect()
}

/// `(mean, std)`, both `[N, C]`, of `x` (`[N, C, H, W]`). The variance is biased; `epsilon` is added to it.
pub fn forward(rec: &mut Recorder, x: Tensor, epsilon: f32) -> Result<(Tensor, Tensor)> {
    let [n, c, height, width] = x.shape.nchw("mean_std", "x")?;
    let mean = rec.transient("mean", [n, c]);
    let std = rec.transient("std", [n, c]);
    rec.dispatch(
        Dispatch::new(reducing(pass("forward", height * width), rec.class()), "mean and std")
            .bind("x", x)
            .bind("mean", mean)
            .bind("deviation", std)
            .params(&Params { pixels: (height * width) as u32, epsilon })
            .groups([c as u32, n as u32, 1])
            .flops(4 * x.shape.count() as u64),
    )?;
    Ok((mean, std))
}

/// Gradient with respect to `x`, of its shape, from the gradients `dmean` and `dstd` (`[N, C]`). `statistics` is the
/// result of [`forward`].
pub fn backward(
    rec: &mut Recorder,
    x: Tensor,
    statistics: (Tensor, Tensor),
    dmean: Tensor,
    dstd: Tensor,
) -> Result<Tensor> {
    let [n, c, height, width] = x.shape.nchw("mean_std gradient", "x")?;
    for (name, tensor) in [("dmean", dmean), ("dstd", dstd), ("mean", statistics.0), ("std", statistics.1)] {
        if tensor.shape != [n, c].into() {
            return Err(Error::argument("mean_std gradient", name, format!("[{n}, {c}]"), tensor.shape));
        }
    }
    let dx = rec.transient("mean and std gradient", x.shape);
    rec.dispatch(
        Dispatch::new(reducing(pass("backward", height * width), rec.class()), "mean and std gradient")
            .bind("x", x)
            .bind("mean", statistics.0)
            .bind("deviation", statistics.1)
            .bind("dmean", dmean)
            .bind("dstd", dstd)
            .bind("dx", dx)
            .params(&Params { pixels: (height * width) as u32, epsilon: 0.0 })
            .groups([c as u32, n as u32, 1])
            .flops(3 * x.shape.count() as u64),
    )?;
    Ok(dx)
}
