//! The sum that every convolution kernel computes. A convolution is one such sum; its input gradient is one for each
//! phase.

use bytemuck::Zeroable;

use super::Border;
use crate::Result;
use crate::gpu::{Kernel, KernelClass, Matrices, Precision, Recorder, Tensor, Tuning};
use crate::ops::load::{Input, Load};
use crate::ops::norm::Moments;

crate::ops::params! {
    /// Sizes shared by all convolution kernels (shaders/lib/conv2d.wgsl).
    Params {
        channels_in: u32, channels_out: u32, height: u32, width: u32,
        input_height: u32, input_width: u32, before_row: i32, before_column: i32,
        output_height: u32, output_width: u32, first_row: u32, first_column: u32, step: u32,
        weights_first: u32, weights_stride: u32, images: u32, run: u32,
    }
}

impl Params {
    /// Sizes of input and output; all other fields are 0.
    pub fn new(channels: [usize; 2], size: [usize; 2], before: [i32; 2], x: Tensor) -> Result<Params> {
        let [_, _, input_height, input_width] = x.shape.nchw("conv2d", "x")?;
        Ok(Params {
            channels_in: channels[0] as u32,
            channels_out: channels[1] as u32,
            height: size[0] as u32,
            width: size[1] as u32,
            input_height: input_height as u32,
            input_width: input_width as u32,
            before_row: before[0],
            before_column: before[1],
            ..Params::zeroed()
        })
    }
}

/// All sums for one output tensor (maths: shaders/conv2d.wgsl). Together with a [`Device`], it determines every kernel.
#[derive(Clone, Default)]
pub(super) struct Problem {
    /// Channels of input and output.
    pub channels: [usize; 2],
    pub stride: usize,
    pub border: Border,
    pub scale: usize,
    /// Rows and columns of the output.
    pub output: [usize; 2],
    /// Distance between neighbouring output elements of a phase.
    pub step: usize,
    /// In the order of the packed weights.
    pub phases: Vec<Phase>,
    pub relu: bool,
    /// Whether a norm follows that needs the output's moments.
    pub measured: bool,
    /// Floating-point operations to report, if the sum replaces one that needs more.
    pub flops: Option<u64>,
    // `Problem::of` sets the following fields from the tensors.
    pub images: usize,
    /// Rows and columns of the input.
    pub input: [usize; 2],
    pub load: Load,
    pub bias: bool,
    /// Whether each image has weights of its own.
    pub own_weights: bool,
    /// Storage of the output: f16 if input and weights are both f16. So activations are stored as f16, gradients as
    /// f32.
    pub precision: Precision,
}

/// Rows and columns of the output elements that have the same taps.
pub(super) type Phase = [Axis; 2];

/// One axis of a phase.
#[derive(Clone)]
pub(super) struct Axis {
    pub taps: usize,
    /// Elements of padding before the input.
    pub before: usize,
    /// First output element of the phase.
    pub first: usize,
    /// Output elements of the phase.
    pub size: usize,
}

impl Problem {
    /// Floating-point operations of the sums.
    pub fn work(&self) -> u64 {
        let [c, m] = self.channels;
        let products = |[rows, columns]: &Phase| rows.taps * columns.taps * rows.size * columns.size;
        2 * (self.images * c * m * self.phases.iter().map(products).sum::<usize>()) as u64
    }

    /// The widest padding before the input of any phase.
    pub fn before(&self) -> usize {
        self.phases.iter().flatten().map(|axis| axis.before).max().unwrap_or(0)
    }

    /// `kernel` for a phase: the constants of shaders/lib/conv2d.wgsl.
    pub fn shape(&self, kernel: Kernel, [rows, columns]: &Phase) -> Kernel {
        shaped(kernel, [rows.taps, columns.taps], self.stride)
    }

    /// `kernel` with the constants of shaders/lib/border.wgsl and load.wgsl.
    pub fn loading(&self, kernel: Kernel) -> Kernel {
        self.load.apply(self.border.apply(kernel, self.scale as u32))
    }

    /// Whether pixels can be written as `vec4`s.
    pub fn by_row(&self) -> bool {
        self.step == 1 && self.output[1].is_multiple_of(4)
    }

    /// `kernel` with the constants of shaders/lib/epilogue.wgsl.
    pub fn ending(&self, kernel: Kernel) -> Kernel {
        kernel.set("BIAS", self.bias).set("RELU", self.relu)
    }
}

/// Sets the constants of shaders/lib/conv2d.wgsl.
pub(super) fn shaped(kernel: Kernel, [rows, columns]: [usize; 2], stride: usize) -> Kernel {
    kernel.set("ROWS", rows as u32).set("COLUMNS", columns as u32).set("STRIDE", stride as u32)
}

/// What determines the kernels of a problem besides the problem itself.
#[derive(Clone, Copy)]
pub(super) struct Device {
    pub class: KernelClass,
    pub tuning: Tuning,
    /// The cooperative matrices to use, if there are any.
    pub matrices: Option<Matrices>,
}

impl Device {
    pub fn of(rec: &Recorder) -> Self {
        let context = rec.context();
        Device { class: context.class(), tuning: context.tuning(), matrices: context.matrices() }
    }
}

/// The tensors of a problem.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    pub x: Input,
    pub packed: Tensor,
    pub bias: Option<Tensor>,
}

/// A way to compute a problem.
pub(super) trait Strategy {
    /// The kernels that [`record`](Strategy::record) dispatches.
    fn kernels(&self) -> Vec<Kernel>;

    /// Records the output. Also gives its moments if they are wanted and the kernels can compute them as they write it.
    fn record(&self, rec: &mut Recorder, label: &str, operands: Operands) -> Result<(Tensor, Option<Moments>)>;
}

/// Kernels that compute the sums of a phase directly, without a transform.
pub(super) trait SumKernels {
    fn kernel(&self, problem: &Problem, phase: &Phase) -> Kernel;

    /// Workgroups along the pixels and along the output channels.
    fn groups(&self, problem: &Problem, phase: &Phase) -> [usize; 2];

    /// The input that the kernels read, and the width of the padding that it already has.
    fn input(&self, _: &Problem, _: &mut Recorder, x: Input) -> Result<(Input, usize)> {
        Ok((x, 0))
    }
}

/// Layout of packed weights (shaders/conv2d.wgsl:pack). It depends only on the channels and the kernel class, so a new
/// picture size needs no repacking.
#[derive(Clone, Copy)]
pub(super) struct Packing {
    /// Output channels that are interleaved.
    pub width: usize,
    /// Taps of a row, padded to whole loads.
    pub pitch: usize,
}

impl Packing {
    /// Elements for channels of input and output, and rows of taps.
    pub fn count(&self, [c, m]: [usize; 2], rows: usize) -> usize {
        m.next_multiple_of(self.width) * c * rows * self.pitch
    }
}
