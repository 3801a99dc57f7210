//! Operations that a kernel fuses into loading its input. Maths: shaders/lib/load.wgsl.

use crate::gpu::{Dispatch, Kernel, Shape, Tensor};
use crate::{Error, Result};

/// The operation applied to a loaded element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Load {
    #[default]
    AsItIs,
    /// The gradient of a ReLU: masked by its output.
    Masked,
    /// A norm and its ReLU.
    Normalised,
}

impl Load {
    pub const ALL: [Load; 3] = [Load::AsItIs, Load::Masked, Load::Normalised];

    /// Sets the constants of shaders/lib/load.wgsl.
    pub fn apply(self, kernel: Kernel) -> Kernel {
        kernel.set("MASKED", self == Load::Masked).set("NORMALISED", self == Load::Normalised)
    }
}

/// A tensor and the operation that its reader applies as it loads it. From a tensor alone: no operation.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// The tensor itself.
    pub tensor: Tensor,
    pub(crate) load: Load,
    /// The mask or the parameters of the planes; `tensor` itself if there is no operation.
    by: Tensor,
}

impl From<Tensor> for Input {
    fn from(tensor: Tensor) -> Self {
        Input { tensor, load: Load::AsItIs, by: tensor }
    }
}

impl Input {
    /// The gradient of a ReLU: `tensor`, with zeros where the ReLU's output `mask`, of the same shape, is not positive.
    pub fn masked(tensor: Tensor, mask: Tensor) -> Self {
        Input { tensor, load: Load::Masked, by: mask }
    }

    /// `tensor` (`[N, C, H, W]`) after a norm and a ReLU, with the parameters `planes` (`[N, C, 4]`).
    pub(crate) fn normalised(tensor: Tensor, planes: Tensor) -> Self {
        Input { tensor, load: Load::Normalised, by: planes }
    }

    /// The tensor, if no operation is applied to it.
    pub(crate) fn plain(&self) -> Option<Tensor> {
        (self.load == Load::AsItIs).then_some(self.tensor)
    }

    /// Checks the shape of the mask or of the parameters.
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

    /// Binds the tensor to those of `names` that the kernel uses, and the mask or the parameters.
    pub(crate) fn bind(&self, dispatch: Dispatch, names: &'static [&'static str]) -> Dispatch {
        let dispatch = dispatch.bind_any(names, self.tensor);
        match self.load {
            Load::AsItIs => dispatch,
            Load::Masked => dispatch.bind_any(&["mask", "mask_rows"], self.by),
            Load::Normalised => dispatch.bind("planes", self.by),
        }
    }
}
