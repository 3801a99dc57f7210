//! Transposed convolution: the gradient of a convolution of stride 2 to its input, used as a layer that enlarges.

use super::problem::Problem;
use super::weights::bias_gradient;
use super::{Border, Conv2d, Padding, check_mask, under_relu};
use crate::gpu::{KernelClass, Recorder, Shape, Tensor};
use crate::ops::load::Input;
use crate::ops::relu;
use crate::{Error, Result};

/// A transposed convolution 3×3 with stride 2 and padding 1, PyTorch's `ConvTranspose2d`; weights are `[C, M, 3, 3]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvTranspose2d {
    /// C, channels of the input.
    pub channels_in: usize,
    /// M, channels of the output.
    pub channels_out: usize,
    /// Rows and columns that the output has more than `2·H - 1`: 0 or 1.
    pub output_padding: usize,
    /// Whether the output goes through a ReLU.
    pub relu: bool,
}

impl ConvTranspose2d {
    /// The convolution from the output to the input that this is the gradient of.
    fn convolution(&self) -> Conv2d {
        Conv2d {
            channels_in: self.channels_out,
            channels_out: self.channels_in,
            kernel: 3,
            stride: 2,
            padding: Padding::Same(Border::Zero),
            upsample: false,
            relu: false,
        }
    }

    /// Height and width of the output for an input of `[height, width]`.
    pub fn output_size(&self, size: [usize; 2]) -> Result<[usize; 2]> {
        if self.output_padding > 1 {
            return Err(Error::argument("transposed conv2d", "output padding", "0 or 1", self.output_padding));
        }
        if size.contains(&0) {
            let got = format!("{} x {}", size[1], size[0]);
            return Err(Error::argument("transposed conv2d", "x", "at least 1 px on each side", got));
        }
        Ok(size.map(|side| 2 * side - 1 + self.output_padding))
    }

    /// Floating-point operations of one forward pass over `[N, M, H, W]` outputs; its gradient to the input costs as much.
    pub fn flops(&self, images: usize, output: [usize; 2]) -> u64 {
        self.convolution().flops(images, output.map(|side| side.div_ceil(2)))
    }

    /// Elements of packed weights, `[for forward, for the gradient to the input]`.
    pub fn packed_count(&self, class: KernelClass) -> [usize; 2] {
        let [gradient, forward] = self.convolution().packed_count(class);
        [forward, gradient]
    }

    /// Packs `weights` (`[C, M, 3, 3]`) into `packed`, whose length is `packed_count`; `gradient` packs for
    /// [`ConvTranspose2d::backward`].
    pub fn pack(&self, rec: &mut Recorder, weights: Tensor, gradient: bool, packed: Tensor) -> Result<()> {
        self.convolution().pack(rec, weights, !gradient, packed)
    }

    /// `y` (`[N, M, H', W']`) of `x` (`[N, C, H, W]`), with packed weights and `bias` (`[M]`).
    pub fn forward(
        &self,
        rec: &mut Recorder,
        x: impl Into<Input>,
        packed: Tensor,
        bias: Option<Tensor>,
    ) -> Result<Tensor> {
        const OP: &str = "transposed conv2d";
        let x = x.into();
        let [_, height, width] = self.check_input(OP, x.tensor)?;
        let problem = self.convolution().gradient(self.output_size([height, width])?, 1);
        Ok(Problem { relu: self.relu, ..problem }.record(rec, OP, x, packed, bias)?.0)
    }

    /// Gradient to the input: `dx` (`[N, C, H, W]`, of `size` H × W) from `dy`, with weights packed for the gradient. If there
    /// is a ReLU, `y` is its output.
    pub fn backward(
        &self,
        rec: &mut Recorder,
        dy: Tensor,
        y: Option<Tensor>,
        packed: Tensor,
        size: [usize; 2],
    ) -> Result<Tensor> {
        const OP: &str = "transposed conv2d gradient";
        let [images, _, _, _] = dy.shape.nchw(OP, "dy")?;
        self.check_gradient(OP, dy, y, [images, size[0], size[1]])?;
        Ok(self.convolution().problem(size).record(rec, OP, under_relu(dy, y), packed, None)?.0)
    }

    /// Adds to `dweights` (`[C, M, 3, 3]`) and `dbias` (`[M]`) their gradients, from the input `x` (`[N, C, H, W]`), `dy`
    /// (`[N, M, H', W']`) and, if there is a ReLU, its output `y`.
    pub fn backward_parameters(
        &self,
        rec: &mut Recorder,
        x: Tensor,
        dy: Tensor,
        y: Option<Tensor>,
        dweights: Tensor,
        dbias: Option<Tensor>,
    ) -> Result<()> {
        const OP: &str = "transposed conv2d parameters";
        let of_input = self.check_input(OP, x)?;
        self.check_gradient(OP, dy, y, of_input)?;
        let dy = y.map_or(Ok(dy), |y| relu::backward(rec, y, dy))?;
        dbias.map_or(Ok(()), |dbias| bias_gradient(rec, OP, dy, dbias))?;
        self.convolution().backward_parameters(rec, dy, x, None, dweights, None)
    }

    /// Images, height and width of `x`, if it has the right channels.
    fn check_input(&self, op: &str, x: Tensor) -> Result<[usize; 3]> {
        match x.shape.nchw(op, "x")? {
            [n, c, height, width] if c == self.channels_in => Ok([n, height, width]),
            _ => Err(Error::argument(op, "x", format!("of {} channels", self.channels_in), x.shape)),
        }
    }

    /// Whether `dy` and `y` belong to an input of that many images, rows and columns.
    fn check_gradient(&self, op: &str, dy: Tensor, y: Option<Tensor>, [n, rows, columns]: [usize; 3]) -> Result<()> {
        let [height, width] = self.output_size([rows, columns])?;
        let expected = Shape::from([n, self.channels_out, height, width]);
        if dy.shape != expected {
            return Err(Error::argument(op, "dy", expected.to_string(), dy.shape));
        }
        check_mask(op, self.relu, dy, y)
    }
}
