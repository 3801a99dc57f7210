//! One step of Adam with decoupled weight decay. Maths: shaders/adam.wgsl.

use crate::gpu::{Dispatch, Kernel, Recorder, Tensor, Uniform, map_groups};
use crate::{Error, Result};

const SHADER: &str = "adam.wgsl";

super::params! {
    /// Rates, bias corrections, the range that x is clamped to, and weight decay.
    Params {
        learning_rate: f32, beta1: f32, beta2: f32, epsilon: f32,
        correction1: f32, correction2: f32, low: f32, high: f32, weight_decay: f32,
    }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    [false, true].map(kernel).to_vec()
}

fn kernel(clipped: bool) -> Kernel {
    Kernel::new(SHADER, "update").set("CLIPPED", clipped)
}

/// Updates `x`, `m` and `v` in place from the gradient `g`. All have the same number of elements. With `clip` (`[2]`,
/// from [`super::clip::norm`]), the gradient is scaled first.
pub(crate) fn step(
    rec: &mut Recorder,
    x: Tensor,
    g: Tensor,
    [m, v]: [Tensor; 2],
    clip: Option<Tensor>,
    params: Uniform<Params>,
) -> Result<()> {
    for (name, tensor) in [("g", g), ("m", m), ("v", v)] {
        if tensor.shape.count() != x.shape.count() {
            return Err(Error::argument("adam", name, format!("as long as x, {}", x.shape), tensor.shape));
        }
    }
    if let Some(clip) = clip.filter(|clip| clip.shape != [2].into()) {
        return Err(Error::argument("adam", "clip", "[2]", clip.shape));
    }
    rec.dispatch(
        Dispatch::new(kernel(clip.is_some()), "adam")
            .bind("x", x)
            .bind("g", g)
            .bind("m", m)
            .bind("v", v)
            .bind_optional("clip", clip)
            .uniform(params)
            .groups(map_groups(x.shape.count()))
            .flops(14 * x.shape.count() as u64),
    )
}
