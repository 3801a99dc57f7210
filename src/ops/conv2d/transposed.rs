//! Transposed convolution: the input gradient of a stride-2 convolution, used as an upsampling layer.

use super::problem::Problem;
use super::weights::bias_gradient;
use super::{Border, Conv2d, Padding, check_mask, under_relu};
use crate::gpu::{KernelClass, Recorder, Shape, Tensor};
use crate::ops::load::Input;
use crate::ops::relu;
use crate::{Error, Result};

/// A 3×3 transposed convolution with stride 2 and padding 1, PyTorch's `ConvTranspose2d`. Weights are `[C, M, 3, 3]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvTranspose2d {
    /// C, channels of the input.
    pub channels_in: usize,
    /// M, channels of the output.
    pub channels_out: usize,
    /// Rows and columns added to the output size `2·H - 1`: 0 or 1.
    pub output_padding: usize,
    /// Whether a ReLU is fused into the output.
    pub relu: bool,
}

impl ConvTranspose2d {
    /// The convolution whose input gradient this is; it maps the output to the input.
    pub(super) fn convolution(&self) -> Conv2d {
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

    /// The forward sum.
    pub(super) fn problem(&self, output: [usize; 2]) -> Problem {
        Problem { relu: self.relu, ..self.convolution().gradient(output, 1) }
    }

    /// Height and width of the output for an input of `[height, width]`.
    ///
    /// # Errors
    /// An output padding above 1; an empty input.
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

    /// Floating-point operations of one forward pass with outputs `[N, M, H, W]`; the input gradient costs the same.
    pub fn flops(&self, images: usize, output: [usize; 2]) -> u64 {
        self.convolution().flops(images, output.map(|side| side.div_ceil(2)))
    }

    /// Elements of the packed weights, `[for forward, for the input gradient]`.
    pub fn packed_count(&self, class: KernelClass) -> [usize; 2] {
        let [gradient, forward] = self.convolution().packed_count(class);
        [forward, gradient]
    }

    /// Packs `weights` (`[C, M, 3, 3]`) into `packed`, which has `packed_count` elements. `gradient` packs for
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
        Ok(self.problem(self.output_size([height, width])?).record(rec, OP, x, packed, bias)?.0)
    }

    /// Input gradient: `dx` (`[N, C, H, W]`, with H × W = `size`) from `dy`, with weights packed for the gradient. `y`
    /// is the output of the fused ReLU, `None` without one.
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

    /// Accumulates the gradients of the parameters into `dweights` (`[C, M, 3, 3]`) and `dbias` (`[M]`), from the input
    /// `x` (`[N, C, H, W]`) and `dy` (`[N, M, H', W']`). `y` is the output of the fused ReLU, `None` without one.
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

    /// Checks the channels of `x`; gives its images, height and width.
    fn check_input(&self, op: &str, x: Tensor) -> Result<[usize; 3]> {
        match x.shape.nchw(op, "x")? {
            [n, c, height, width] if c == self.channels_in => Ok([n, height, width]),
            _ => Err(Error::argument(op, "x", format!("of {} channels", self.channels_in), x.shape)),
        }
    }

    /// Checks that `dy` and `y` fit an input of that many images, rows and columns.
    fn check_gradient(&self, op: &str, dy: Tensor, y: Option<Tensor>, [n, rows, columns]: [usize; 3]) -> Result<()> {
        let [height, width] = self.output_size([rows, columns])?;
        let expected = Shape::from([n, self.channels_out, height, width]);
        if dy.shape != expected {
            return Err(Error::argument(op, "dy", expected.to_string(), dy.shape));
        }
        check_mask(op, self.relu, dy, y)
    }
}
