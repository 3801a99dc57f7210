//! The norm of all gradients together and the factor that keeps it within a limit. Maths: shaders/clip.wgsl.

use super::vector;
use super::{reducing, reducing_all};
use crate::gpu::{Dispatch, Kernel, Recorder, Tensor};
use crate::{Error, Result};

const SHADER: &str = "clip.wgsl";

super::params! {
    /// The largest norm that is left alone.
    Params for "clip.wgsl": "finish", "params" { limit: f32 }
}

/// Every variant of this operation's kernels.
pub fn kernels() -> Vec<Kernel> {
    reducing_all(Kernel::new(SHADER, "finish")).to_vec()
}

/// `out` (`[2]`): the norm of all `gradients` (of any shapes) as one vector, and min(1, limit/norm); NaN where the norm is
/// not finite, so that a step with it shows. `squares` (`[gradients]`): the square of each one's own norm.
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
