//! The norm of all gradients together and the factor that keeps it within a limit. Maths: shaders/clip.wgsl.

use super::vector;
use crate::gpu::{Dispatch, Kernel, Program, Recorder, Tensor, Uniform};
use crate::{Error, Result};

const SHADER: &str = "clip.wgsl";

super::params! {
    /// The largest norm that is left alone.
    Params for "clip.wgsl": "finish", "params" { limit: f32 }
}

/// The largest norm that is left alone, which may change from run to run.
#[derive(Clone, Copy, Debug)]
pub struct Limit(Uniform<Params>);

impl Limit {
    /// A limit that starts as `value`.
    pub fn new(rec: &mut Recorder, value: f32) -> Self {
        Limit(rec.uniform(&Params { limit: value }))
    }

    /// Changes it from the next run of `program` on.
    pub fn set(self, program: &Program, value: f32) {
        program.set(self.0, &Params { limit: value });
    }
}

/// Every variant of this operation's kernels.
pub fn kernels() -> Vec<Kernel> {
    vec![Kernel::new(SHADER, "finish")]
}

/// `out` (`[2]`): the norm of all `gradients` (of any shapes) as one vector, and min(1, limit/norm); NaN where the norm is
/// not finite, so that a step with it shows.
pub fn norm(rec: &mut Recorder, gradients: &[Tensor], limit: Limit, out: Tensor) -> Result<()> {
    if gradients.is_empty() {
        return Err(Error::argument("clip", "gradients", "one or more", "none"));
    }
    if out.shape != [2].into() {
        return Err(Error::argument("clip", "out", "[2]", out.shape));
    }
    let squares = rec.transient("squares of gradients", [gradients.len()]);
    for (slot, &gradient) in gradients.iter().enumerate() {
        vector::dot(rec, gradient, gradient, squares, slot)?;
    }
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "finish"), "clip").bind("squares", squares).bind("out", out).uniform(limit.0),
    )
}
