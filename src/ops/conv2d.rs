//! Convolution, its input gradient (maths: shaders/conv2d.wgsl) and its parameter gradients.

mod broadcast;
mod choice;
mod direct;
mod matrix;
mod packing;
mod problem;
mod tiled;
mod transposed;
mod variants;
mod weights;
mod winograd;

pub use transposed::ConvTranspose2d;
pub(crate) use variants::kernels;

use self::problem::{Axis, Problem};
use super::load::Input;
use super::norm::Moments;
use super::pad::{self, Border, Placement};
use crate::gpu::{Recorder, Tensor};
use crate::{Error, Result};

/// Padding of a convolution's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// No padding: the output is smaller by `kernel - 1`.
    #[default]
    None,
    /// `kernel / 2` elements of padding on every side.
    Same(Border),
}

/// A convolution with a square kernel of odd size; weights are `[M, C, K, K]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// C, channels of the input.
    pub channels_in: usize,
    /// M, channels of the output.
    pub channels_out: usize,
    /// K: 1, 3 or 9.
    pub kernel: usize,
    /// S: 1 or 2.
    pub stride: usize,
    /// Padding of the input.
    pub padding: Padding,
    /// Whether the input is enlarged from `[N, C, H, W]` to `[N, C, 2H, 2W]` by nearest neighbour; requires stride 1.
    pub upsample: bool,
    /// Whether a ReLU is fused into the output.
    pub relu: bool,
}

impl Conv2d {
    fn border(&self) -> Border {
        match self.padding {
            Padding::Same(border) if self.kernel > 1 => border,
            _ => Border::Zero,
        }
    }

    fn before(&self) -> usize {
        match self.padding {
            Padding::None => 0,
            Padding::Same(_) => self.kernel / 2,
        }
    }

    /// Factor of the input's enlargement.
    fn scale(&self) -> usize {
        if self.upsample { 2 } else { 1 }
    }

    /// The forward sum.
    fn problem(&self, output: [usize; 2]) -> Problem {
        let axis = |size| Axis { taps: self.kernel, before: self.before(), first: 0, size };
        Problem {
            channels: [self.channels_in, self.channels_out],
            stride: self.stride,
            border: self.border(),
            scale: self.scale(),
            output,
            step: 1,
            phases: vec![output.map(axis)],
            relu: self.relu,
            ..Problem::default()
        }
    }

    /// The gradient of the padded input without `cut` elements of padding on each side. The result has `size`.
    fn gradient(&self, size: [usize; 2], cut: usize) -> Problem {
        let axis = |phase: usize, side: usize| {
            let taps = self.taps(phase);
            let skipped = cut.saturating_sub(phase).div_ceil(self.stride);
            let first = self.stride * skipped + phase - cut;
            Axis { taps, before: taps - 1 - skipped, first, size: side.saturating_sub(first).div_ceil(self.stride) }
        };
        Problem {
            channels: [self.channels_out, self.channels_in],
            stride: 1,
            scale: 1,
            output: size,
            step: self.stride,
            phases: self.phases().map(|[p, q]| [axis(p, size[0]), axis(q, size[1])]).collect(),
            ..Problem::default()
        }
    }

    /// The gradient for an input of `size`. If it is that of the enlarged and padded input, `pad::backward` must map it
    /// back with the given placement.
    fn input_gradient(&self, size: [usize; 2]) -> (Problem, Placement) {
        // Zero padding is cropped within the sum. Other padding and enlargement need the gradient of the whole padded
        // input.
        let before = if self.border() == Border::Zero { 0 } else { self.before() };
        let grown = size.map(|side| side * self.scale() + 2 * before);
        let at = Placement { before, size: grown, scale: self.scale() as u32 };
        (self.gradient(grown, self.before() - before), at)
    }

    /// Phases `[p, q]` of the input gradient; phases without taps are left out.
    fn phases(&self) -> impl Iterator<Item = [usize; 2]> {
        let phases = self.stride.min(self.kernel);
        (0..phases).flat_map(move |p| (0..phases).map(move |q| [p, q]))
    }

    /// Taps of a phase along one axis.
    fn taps(&self, phase: usize) -> usize {
        (self.kernel - phase).div_ceil(self.stride)
    }

    /// Height and width of the output for an input of `[height, width]`.
    ///
    /// # Errors
    /// An unsupported kernel or stride; an input that is smaller than the kernel or too small to be reflected.
    pub fn output_size(&self, size: [usize; 2]) -> Result<[usize; 2]> {
        let border = 2 * self.before();
        if !matches!(self.kernel, 1 | 3 | 9) || !matches!(self.stride, 1 | 2) {
            let got = format!("kernel {}, stride {}", self.kernel, self.stride);
            return Err(Error::argument("conv2d", "kernel and stride", "1, 3 or 9 and 1 or 2", got));
        }
        if self.upsample && self.stride != 1 {
            return Err(Error::argument("conv2d", "stride", "1 with upsampling", self.stride));
        }
        let reach = if self.border() == Border::Reflect { self.before() + 1 } else { 1 };
        let least = reach.max(self.kernel.saturating_sub(border)).div_ceil(self.scale());
        if size.iter().any(|&side| side < least) {
            let got = format!("{} x {}", size[1], size[0]);
            return Err(Error::argument("conv2d", "x", format!("at least {least} px on each side"), got));
        }
        Ok(size.map(|side| (side * self.scale() + border - self.kernel) / self.stride + 1))
    }

    /// Floating-point operations of one forward pass with outputs `[N, M, H, W]`; the input gradient costs the same.
    pub fn flops(&self, images: usize, output: [usize; 2]) -> u64 {
        let taps = self.channels_in * self.channels_out * self.kernel * self.kernel;
        2 * (taps * images * output[0] * output[1]) as u64
    }

    /// `y` (`[N, M, H', W']`) of `x` (`[N, C, H, W]`), with packed weights and `bias` (`[M]`).
    pub fn forward(
        &self,
        rec: &mut Recorder,
        x: impl Into<Input>,
        packed: Tensor,
        bias: Option<Tensor>,
    ) -> Result<Tensor> {
        Ok(self.record(rec, x.into(), packed, bias, false)?.0)
    }

    /// [`Conv2d::forward`] before a norm. Also gives the moments of `y` for
    /// [`Norm::forward`](super::norm::Norm::forward) if the kernel can measure them as it writes `y` (fused epilogue),
    /// else `None`.
    pub fn forward_measured(
        &self,
        rec: &mut Recorder,
        x: impl Into<Input>,
        packed: Tensor,
        bias: Option<Tensor>,
    ) -> Result<(Tensor, Option<Moments>)> {
        self.record(rec, x.into(), packed, bias, true)
    }

    fn record(
        &self,
        rec: &mut Recorder,
        x: Input,
        packed: Tensor,
        bias: Option<Tensor>,
        measured: bool,
    ) -> Result<(Tensor, Option<Moments>)> {
        let shape = x.tensor.shape;
        let [_, c, height, width] = shape.nchw("conv2d", "x")?;
        if c != self.channels_in {
            return Err(Error::argument("conv2d", "x", format!("of {} channels", self.channels_in), shape));
        }
        let problem = self.problem(self.output_size([height, width])?);
        Problem { measured, ..problem }.record(rec, "conv2d", x, packed, bias)
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
        let [_, m, height, width] = dy.shape.nchw("conv2d gradient", "dy")?;
        if m != self.channels_out || self.output_size(size)? != [height, width] {
            let expected = format!("[N, {}, {:?}]", self.channels_out, self.output_size(size)?);
            return Err(Error::argument("conv2d gradient", "dy", expected, dy.shape));
        }
        check_mask("conv2d gradient", self.relu, dy, y)?;
        let (gradient, at) = self.input_gradient(size);
        let dx = gradient.record(rec, "conv2d gradient", under_relu(dy, y), packed, None)?.0;
        if at.size == size {
            return Ok(dx);
        }
        pad::backward(rec, dx, self.border(), at, size)
    }
}

/// The gradient `dy`, masked by the ReLU with the output `y` if there is one.
fn under_relu(dy: Tensor, y: Option<Tensor>) -> Input {
    y.map_or(dy.into(), |y| Input::masked(dy, y))
}

/// Checks that the ReLU's output is given if and only if there is a ReLU, and that its shape is that of `dy`.
fn check_mask(op: &str, relu: bool, dy: Tensor, y: Option<Tensor>) -> Result<()> {
    if y.is_some() == relu && y.is_none_or(|y| y.shape == dy.shape) {
        return Ok(());
    }
    let expected = if relu { "the ReLU's output, shaped as dy" } else { "absent without a ReLU" };
    Err(Error::argument(op, "y", expected, format!("{y:?}")))
}
