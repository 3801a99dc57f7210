//! Hyperbolic tangent, scaled to colours from 0 to 1. Maths: shaders/tanh.wgsl.

use crate::gpu::{Dispatch, Kernel, Recorder, Tensor, map_groups};
use crate::{Error, Result};

const SHADER: &str = "tanh.wgsl";

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    ["forward", "backward"].map(|entry| Kernel::new(SHADER, entry)).to_vec()
}

/// `(tanh(x) + 1)/2` for any shape.
pub fn forward(rec: &mut Recorder, x: Tensor) -> Result<Tensor> {
    let y = rec.transient_stored(x.precision, "tanh", x.shape);
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "forward"), "tanh")
            .bind("x", x)
            .bind("y", y)
            .groups(map_groups(x.shape.count()))
            .flops(8 * x.shape.count() as u64),
    )?;
    Ok(y)
}

/// Gradient with respect to the input, from the output `y` of [`forward`] and `dy`; all have the same shape.
pub fn backward(rec: &mut Recorder, y: Tensor, dy: Tensor) -> Result<Tensor> {
    if y.shape != dy.shape {
        return Err(Error::argument("tanh gradient", "dy", format!("shaped as y, {}", y.shape), dy.shape));
    }
    let dx = rec.transient_stored(dy.precision, "tanh gradient", y.shape);
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "backward"), "tanh gradient")
            .bind("y", y)
            .bind("dy", dy)
            .bind("dx", dx)
            .groups(map_groups(y.shape.count()))
            .flops(4 * y.shape.count() as u64),
    )?;
    Ok(dx)
}
