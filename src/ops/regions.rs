//! Activations weighted by masks. Maths: shaders/regions.wgsl.

use crate::gpu::{Dispatch, Kernel, Recorder, Tensor, linear_groups};
use crate::{Error, Result};

const SHADER: &str = "regions.wgsl";
const OP: &str = "regions";

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    ["add", "scale"].map(|entry| Kernel::new(SHADER, entry)).to_vec()
}

/// Checks `mask` (`[H, W]`) against `x` (`[N, C, H, W]`).
fn check(x: Tensor, mask: Tensor) -> Result<()> {
    let [_, _, height, width] = x.shape.nchw(OP, "x")?;
    if mask.shape != [height, width].into() {
        return Err(Error::argument(OP, "mask", format!("[{height}, {width}]"), mask.shape));
    }
    Ok(())
}

/// `x` (`[N, C, H, W]`) times `mask` (`[H, W]`), of the shape of `x`, as f32. The gradient with respect to `x` is
/// the same product of the gradient.
pub fn scale(rec: &mut Recorder, x: Tensor, mask: Tensor) -> Result<Tensor> {
    check(x, mask)?;
    let y = rec.transient("masked", x.shape);
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "scale"), "mask")
            .bind("x", x)
            .bind("mask", mask)
            .bind("y", y)
            .groups(linear_groups(x.shape.count(), 64))
            .flops(x.shape.count() as u64),
    )?;
    Ok(y)
}

/// Adds `x` times `mask` (`[H, W]`) to `z`; `x` and `z` are `[N, C, H, W]`. For inference: there is no gradient.
pub fn add(rec: &mut Recorder, x: Tensor, mask: Tensor, z: Tensor) -> Result<()> {
    check(x, mask)?;
    if z.shape != x.shape {
        return Err(Error::argument(OP, "z", format!("shaped as x, {}", x.shape), z.shape));
    }
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "add"), "region")
            .bind("x", x)
            .bind("mask", mask)
            .bind("z", z)
            .groups(linear_groups(x.shape.count(), 64))
            .flops(2 * x.shape.count() as u64),
    )
}
