//! What a kernel makes of its input as it loads it. Maths: shaders/lib/load.wgsl.

use crate::gpu::{Dispatch, Kernel, Shape, Tensor};
use crate::{Error, Result};

/// What an element counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Load {
    AsItIs,
    /// As the gradient of a ReLU has it.
    Masked,
    /// As a norm and the ReLU behind it would make it.
    Normalised,
}

impl Load {
    /// Sets the constants of shaders/lib/load.wgsl.
    pub fn apply(self, kernel: Kernel) -> Kernel {
        kernel.set("MASKED", self == Load::Masked).set("NORMALISED", self == Load::Normalised)
    }
}

/// A tensor, and what its reader makes of it; made of a tensor alone, that is taken as it is.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// The tensor itself.
    pub tensor: Tensor,
    pub(crate) load: Load,
    /// The mask, or what is to be known of every plane; the tensor again, if there is nothing to know.
    by: Tensor,
}

impl From<Tensor> for Input {
    fn from(tensor: Tensor) -> Self {
        Input { tensor, load: Load::AsItIs, by: tensor }
    }
}

impl Input {
    /// `tensor` with zeros where `mask`, of the same shape, is not positive: the gradient of a ReLU with that output.
    pub fn masked(tensor: Tensor, mask: Tensor) -> Self {
        Input { tensor, load: Load::Masked, by: mask }
    }

    /// `tensor` (`[N, C, H, W]`) as a norm and a ReLU would have it, with `[N, C, 4]` numbers for its planes.
    pub(crate) fn normalised(tensor: Tensor, planes: Tensor) -> Self {
        Input { tensor, load: Load::Normalised, by: planes }
    }

    /// The tensor, if its reader is to take it as it is.
    pub(crate) fn plain(&self) -> Option<Tensor> {
        (self.load == Load::AsItIs).then_some(self.tensor)
    }

    /// Asserts that what goes with the tensor has the right shape.
    pub(crate) fn check(&self, op: &str) -> Result<()> {
        let [n, c, ..] = self.tensor.shape.nchw(op, "x")?;
        let (name, expected) = match self.load {
            Load::AsItIs | Load::Masked => ("mask", self.tensor.shape),
            Load::Normalised => ("planes", Shape::from([n, c, 4])),
        };
        if self.by.shape != expected {
            return Err(Error::argument(op, name, format!("of shape {expected}"), self.by.shape));
        }
        Ok(())
    }

    /// Binds `x` and what goes with it.
    pub(crate) fn bind(&self, dispatch: Dispatch, names: &[&'static str]) -> Dispatch {
        let by = |load| if self.load == load { self.by } else { self.tensor };
        let dispatch = names.iter().fold(dispatch, |dispatch, name| dispatch.bind(name, self.tensor));
        let dispatch = dispatch.bind("mask", by(Load::Masked)).bind("mask_rows", by(Load::Masked));
        dispatch.bind("planes", by(Load::Normalised))
    }
}
