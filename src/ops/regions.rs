//! Masked sums of activations. Maths: shaders/regions.wgsl.

use crate::gpu::{Dispatch, Kernel, Recorder, Tensor, linear_groups};
use crate::{Error, Result};

const SHADER: &str = "regions.wgsl";

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new(SHADER, "add")]
}

/// Adds `x` times `mask` (`[H, W]`) to `z`; `x` and `z` are `[N, C, H, W]`. For inference: there is no gradient.
pub fn add(rec: &mut Recorder, x: Tensor, mask: Tensor, z: Tensor) -> Result<()> {
    const OP: &str = "regions";
    let [_, _, height, width] = x.shape.nchw(OP, "x")?;
    if mask.shape != [height, width].into() {
        return Err(Error::argument(OP, "mask", format!("[{height}, {width}]"), mask.shape));
    }
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
