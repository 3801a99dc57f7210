//! Global gradient norm and clipping factor. Maths: shaders/clip.wgsl.

use super::vector;
use super::{reducing, reducing_all};
use crate::gpu::{Dispatch, Kernel, Recorder, Tensor};
use crate::{Error, Result};

const SHADER: &str = "clip.wgsl";

super::params! {
    /// The largest norm that is not scaled down.
    Params { limit: f32 }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    reducing_all(Kernel::new(SHADER, "finish")).to_vec()
}

/// Writes to `out` (`[2]`) the l2 norm of all `gradients` (any shapes) as one vector, and the factor min(1,
/// `limit`/norm). It is NaN where the norm is not finite, so that the error is not hidden. `squares` (`[gradients]`)
/// gets the squared norm of each gradient.
pub fn norm(rec: &mut Recorder, gradients: &[Tensor], limit: f32, squares: Tensor, out: Tensor) -> Result<()> {
    if gradients.is_empty() {
        return Err(Error::argument("clip", "gradients", "one or more", "none"));
    }
    for (name, tensor, count) in [("squares", squares, gradients.len()), ("out", out, 2)] {
        if tensor.shape != [count].into() {
            return Err(Error::argument("clip", name, format!("[{count}]"), tensor.shape));
        }
    }
    for (slot, &gradient) in gradients.iter().enumerate() {
        vector::dot(rec, gradient, gradient, squares, slot)?;
    }
    rec.dispatch(
        Dispatch::new(reducing(Kernel::new(SHADER, "finish"), rec.class()), "clip")
            .bind("squares", squares)
            .bind("out", out)
            .params(&Params { limit }),
    )
}
