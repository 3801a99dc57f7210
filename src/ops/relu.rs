//! Rectified linear unit as an operation of its own; convolutions fuse it. Maths: shaders/relu.wgsl.

use crate::gpu::{Dispatch, Kernel, Recorder, Tensor, map_groups};
use crate::{Error, Result};

const SHADER: &str = "relu.wgsl";

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    ["forward", "backward"].map(|entry| Kernel::new(SHADER, entry)).to_vec()
}

/// `max(x, 0)` for any shape.
pub fn forward(rec: &mut Recorder, x: Tensor) -> Result<Tensor> {
    let y = rec.transient_stored(x.precision, "relu", x.shape);
    let groups = map_groups(x.shape.count());
    rec.dispatch(Dispatch::new(Kernel::new(SHADER, "forward"), "relu").bind("x", x).bind("y", y).groups(groups))?;
    Ok(y)
}

/// Gradient with respect to the input, from the output `y` and `dy`; all have the same shape.
pub fn backward(rec: &mut Recorder, y: Tensor, dy: Tensor) -> Result<Tensor> {
    if y.shape != dy.shape {
        return Err(Error::argument("relu gradient", "dy", format!("shaped as y, {}", y.shape), dy.shape));
    }
    let dx = rec.transient_stored(dy.precision, "relu gradient", y.shape);
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "backward"), "relu gradient")
            .bind("y", y)
            .bind("dy", dy)
            .bind("dx", dx)
            .groups(map_groups(y.shape.count())),
    )?;
    Ok(dx)
}
