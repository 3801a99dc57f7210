//! Convolution and its gradients to the input (maths: shaders/conv2d.wgsl) and to its parameters.

mod weights;

pub(crate) use weights::{BroadcastParams as WeightsBroadcastParams, Params as WeightsParams};

use super::pad::{self, Border, Placement};
use crate::gpu::{Dispatch, Kernel, KernelClass, Recorder, Tensor, linear_groups};
use crate::{Error, Result};

super::params! {
    /// Sizes of a tiled convolution.
    Params for "conv2d.wgsl": "forward", "params" {
        channels_in: u32, channels_out: u32, height: u32, width: u32,
        input_height: u32, input_width: u32, before: i32, weights_stride: u32,
    }
}

super::params! {
    /// Sizes of a convolution for software adapters.
    BroadcastParams for "conv2d_broadcast.wgsl": "forward", "params" {
        channels_in: u32, channels_out: u32, height: u32, width: u32,
        padded_height: u32, padded_width: u32, weights_stride: u32,
    }
}

super::params! {
    /// Sizes of packed weights.
    PackParams for "conv2d.wgsl": "pack", "pack_params" {
        channels_in: u32, channels_out: u32, count: u32, images: u32,
    }
}

/// How a convolution treats the edge of its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// No border: the output is smaller by `kernel - 1`.
    #[default]
    None,
    /// A border of `kernel / 2` elements on every side.
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
    /// The input's edge.
    pub padding: Padding,
    /// Whether the input `[N, C, H, W]` stands for its nearest-neighbour enlargement `[N, C, 2H, 2W]`, with a stride of 1.
    pub upsample: bool,
    /// Whether the output goes through a ReLU.
    pub relu: bool,
}

/// The convolution that both classes of kernels carry out: everything is stride, border, scale and dilation.
struct Problem {
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    border: Border,
    before: usize,
    scale: usize,
    dilation: u32,
    output: [usize; 2],
    relu: bool,
}

/// A tile of the tiled class: [M, N, K] and a thread's [M, N].
struct Tile([u32; 3], [u32; 2]);

const TILES: [Tile; 5] = [
    Tile([128, 128, 8], [8, 8]),
    Tile([64, 128, 16], [8, 4]),
    Tile([64, 32, 32], [4, 4]),
    Tile([32, 256, 8], [8, 4]),
    Tile([8, 256, 8], [4, 2]),
];

/// The packing that each tile is used with.
const TILE_PACKS: [u32; 5] = [64, 64, 64, 32, 8];

impl Tile {
    /// The rule: as many channels as there are, and enough workgroups to fill a GPU.
    fn choose(channels: usize, pixels: usize) -> &'static Tile {
        let groups = |tile: &Tile| channels.div_ceil(tile.0[0] as usize) * pixels.div_ceil(tile.0[1] as usize);
        match channels {
            0..=8 => &TILES[4],
            9..=32 => &TILES[3],
            _ if groups(&TILES[1]) < 128 => &TILES[2],
            33..=64 => &TILES[1],
            _ if groups(&TILES[0]) < 128 => &TILES[1],
            _ => &TILES[0],
        }
    }

    fn apply(&self, kernel: Kernel) -> Kernel {
        let Tile([m, n, k], [thread_m, thread_n]) = *self;
        kernel.set("TILE_M", m).set("TILE_N", n).set("TILE_K", k).set("THREAD_M", thread_m).set("THREAD_N", thread_n)
    }
}

/// Channels packed side by side; decided by the number of channels alone, so that a new picture size repacks nothing.
fn pack_width(class: KernelClass, channels_out: usize) -> usize {
    match (class, channels_out) {
        (_, ..=8) => 8,
        (KernelClass::Broadcast, _) => 16,
        (KernelClass::Tiled, ..=32) => 32,
        (KernelClass::Tiled, _) => 64,
    }
}

/// Every stride with the scales that it goes with.
const STEPS: [[u32; 2]; 3] = [[1, 1], [2, 1], [1, 2]];

/// Every variant of this operation's kernels.
pub fn kernels() -> Vec<Kernel> {
    let mut all = Vec::new();
    let epilogues = [(true, true), (true, false), (false, true), (false, false)];
    for (kernel, [stride, scale]) in [1, 3, 9].into_iter().flat_map(|kernel| STEPS.map(|steps| (kernel, steps))) {
        for (bias, relu) in epilogues {
            for groups in [1, 2].into_iter().filter(|_| scale == 1) {
                all.push(broadcast_kernel(kernel, stride, groups, bias, relu));
            }
            for (tile, pack) in TILES.iter().zip(TILE_PACKS) {
                for border in Border::ALL {
                    all.push(tiled_kernel(tile, pack, kernel, stride, border, [scale, 1], [bias, relu, false]));
                }
            }
        }
    }
    for kernel in [1, 3, 9] {
        for (tile, pack) in TILES.iter().zip(TILE_PACKS) {
            for (dilation, masked) in [(1, true), (2, true), (2, false)] {
                all.push(tiled_kernel(tile, pack, kernel, 1, Border::Zero, [1, dilation], [false, false, masked]));
            }
        }
        for flipped in [false, true] {
            for pack in [8, 16, 32, 64] {
                all.push(pack_kernel(kernel, pack, flipped));
            }
        }
    }
    all.extend(weights::kernels());
    all
}

fn broadcast_kernel(kernel: u32, stride: u32, groups: u32, bias: bool, relu: bool) -> Kernel {
    Kernel::new("conv2d_broadcast.wgsl", "forward")
        .set("KERNEL", kernel)
        .set("STRIDE", stride)
        .set("GROUPS", groups)
        .set("BIAS", bias)
        .set("RELU", relu)
}

fn tiled_kernel(
    tile: &Tile,
    pack: u32,
    kernel: u32,
    stride: u32,
    border: Border,
    [scale, dilation]: [u32; 2],
    [bias, relu, masked]: [bool; 3],
) -> Kernel {
    tile.apply(Kernel::new("conv2d.wgsl", "forward"))
        .set("KERNEL", kernel)
        .set("STRIDE", stride)
        .set("MODE", border.mode())
        .set("SCALE", scale as i32)
        .set("DILATION", dilation as i32)
        .set("PACK", pack)
        .set("BIAS", bias)
        .set("RELU", relu)
        .set("MASKED", masked)
}

fn pack_kernel(kernel: u32, pack: u32, flipped: bool) -> Kernel {
    Kernel::new("conv2d.wgsl", "pack").set("KERNEL", kernel).set("PACK", pack).set("FLIPPED", flipped)
}

impl Conv2d {
    fn border(&self) -> Border {
        match self.padding {
            Padding::None => Border::Zero,
            Padding::Same(border) => border,
        }
    }

    fn before(&self) -> usize {
        match self.padding {
            Padding::None => 0,
            Padding::Same(_) => self.kernel / 2,
        }
    }

    /// Times that each element of the input is repeated in both directions.
    fn scale(&self) -> usize {
        if self.upsample { 2 } else { 1 }
    }

    /// The convolution itself.
    fn problem(&self, output: [usize; 2]) -> Problem {
        Problem {
            channels: [self.channels_in, self.channels_out],
            kernel: self.kernel,
            stride: self.stride,
            border: self.border(),
            before: self.before(),
            scale: self.scale(),
            dilation: 1,
            output,
            relu: self.relu,
        }
    }

    /// Height and width of the output for an input of `[height, width]`.
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

    /// Floating-point operations of one forward pass over `[N, M, H, W]` outputs; its gradient to the input costs as much.
    pub fn flops(&self, images: usize, output: [usize; 2]) -> u64 {
        let taps = self.channels_in * self.channels_out * self.kernel * self.kernel;
        2 * (taps * images * output[0] * output[1]) as u64
    }

    /// Elements of packed weights, `[for forward, for the gradient to the input]`.
    pub fn packed_count(&self, class: KernelClass) -> [usize; 2] {
        let count =
            |out: usize, other: usize| out.next_multiple_of(pack_width(class, out)) * other * self.kernel * self.kernel;
        [count(self.channels_out, self.channels_in), count(self.channels_in, self.channels_out)]
    }

    /// Packs `weights` (`[M, C, K, K]`, or `[N·M, C, K, K]` for weights of each image's own) into `packed`, whose length is
    /// `packed_count` (times N); `gradient` packs for [`Conv2d::backward`].
    pub fn pack(&self, rec: &mut Recorder, weights: Tensor, gradient: bool, packed: Tensor) -> Result<()> {
        let count = self.packed_count(rec.class())[usize::from(gradient)];
        let an_image = self.channels_in * self.channels_out * self.kernel * self.kernel;
        let images = weights.shape.count() / an_image;
        if images == 0 || !weights.shape.count().is_multiple_of(an_image) || packed.shape.count() != count * images {
            let expected = format!("[{}, {}, {k}, {k}]", self.channels_out, self.channels_in, k = self.kernel);
            return Err(Error::argument("conv2d pack", "weights", expected, weights.shape));
        }
        let (out, into) = match gradient {
            false => (self.channels_out, self.channels_in),
            true => (self.channels_in, self.channels_out),
        };
        let kernel = pack_kernel(self.kernel as u32, pack_width(rec.class(), out) as u32, gradient);
        rec.dispatch(
            Dispatch::new(kernel, "pack weights")
                .bind("source", weights)
                .bind("packed", packed)
                .params(&PackParams {
                    channels_in: into as u32,
                    channels_out: out as u32,
                    count: count as u32,
                    images: images as u32,
                })
                .groups(linear_groups(count * images, 64)),
        )
    }

    /// `y` (`[N, M, H', W']`) of `x` (`[N, C, H, W]`), with packed weights and `bias` (`[M]`).
    pub fn forward(&self, rec: &mut Recorder, x: Tensor, packed: Tensor, bias: Option<Tensor>) -> Result<Tensor> {
        let [n, c, height, width] = x.shape.nchw("conv2d", "x")?;
        if c != self.channels_in {
            return Err(Error::argument("conv2d", "x", format!("of {} channels", self.channels_in), x.shape));
        }
        let output = self.output_size([height, width])?;
        self.problem(output).record(rec, "conv2d", x, None, packed, bias, self.flops(n, output))
    }

    /// Gradient to the input: `dx` (`[N, C, H, W]`, of `size` H × W) from `dy`, with weights packed for the gradient. If the
    /// convolution has a ReLU, `y` is its output.
    pub fn backward(
        &self,
        rec: &mut Recorder,
        dy: Tensor,
        y: Option<Tensor>,
        packed: Tensor,
        size: [usize; 2],
    ) -> Result<Tensor> {
        let [n, m, height, width] = dy.shape.nchw("conv2d gradient", "dy")?;
        if m != self.channels_out || self.output_size(size)? != [height, width] {
            let expected = format!("[N, {}, {:?}]", self.channels_out, self.output_size(size)?);
            return Err(Error::argument("conv2d gradient", "dy", expected, dy.shape));
        }
        self.check_mask("conv2d gradient", dy, y)?;
        // The border of zeros is cut off as the sum is made; other borders give their gradient to what they mirror, and an
        // enlargement to what it repeats.
        let folded = if self.border() == Border::Zero { 0 } else { self.before() };
        let cut = self.before() - folded;
        let grown = size.map(|side| side * self.scale() + 2 * folded);
        let problem = Problem {
            channels: [self.channels_out, self.channels_in],
            kernel: self.kernel,
            stride: 1,
            border: Border::Zero,
            before: self.kernel - 1 - cut,
            scale: 1,
            dilation: self.stride as u32,
            output: grown,
            relu: false,
        };
        let flops = self.flops(n, [height, width]);
        let dx = problem.record(rec, "conv2d gradient", dy, y, packed, None, flops)?;
        if grown == size {
            return Ok(dx);
        }
        let at = Placement { before: folded, size: grown, scale: self.scale() as u32, dilation: 1 };
        pad::backward(rec, dx, self.border(), at, size)
    }

    /// A gradient comes with the output if there is a ReLU, and without it if there is none.
    fn check_mask(&self, op: &str, dy: Tensor, y: Option<Tensor>) -> Result<()> {
        if y.is_some() == self.relu && y.is_none_or(|y| y.shape == dy.shape) {
            return Ok(());
        }
        let expected = if self.relu { "the ReLU's output, shaped as dy" } else { "absent without a ReLU" };
        Err(Error::argument(op, "y", expected, format!("{y:?}")))
    }
}

impl Problem {
    #[allow(clippy::too_many_arguments)]
    fn record(
        &self,
        rec: &mut Recorder,
        label: &str,
        x: Tensor,
        mask: Option<Tensor>,
        packed: Tensor,
        bias: Option<Tensor>,
        flops: u64,
    ) -> Result<Tensor> {
        let [c, m] = self.channels;
        let [n, _, input_height, input_width] = x.shape.nchw(label, "x")?;
        let pack = pack_width(rec.class(), m);
        let an_image = m.next_multiple_of(pack) * c * self.kernel * self.kernel;
        if packed.shape.count() != an_image && packed.shape.count() != n * an_image {
            return Err(Error::argument(label, "weights", format!("{an_image} packed elements"), packed.shape));
        }
        if let Some(bias) = bias.filter(|bias| bias.shape.count() != m) {
            return Err(Error::argument(label, "bias", format!("[{m}]"), bias.shape));
        }
        let [height, width] = self.output;
        let y = rec.transient(label, [n, m, height, width]);
        let label = format!("{label} {c}->{m} {k}x{k} at {width}x{height}", k = self.kernel);
        let weights_stride = if packed.shape.count() == an_image { 0 } else { an_image as u32 };
        let (kernel, stride) = (self.kernel as u32, self.stride as u32);
        let dispatch = match rec.class() {
            KernelClass::Tiled => {
                let tile = Tile::choose(m, height * width * n);
                let options = [bias.is_some(), self.relu, mask.is_some()];
                let kernel = tiled_kernel(
                    tile,
                    pack as u32,
                    kernel,
                    stride,
                    self.border,
                    [self.scale as u32, self.dilation],
                    options,
                );
                Dispatch::new(kernel, label)
                    .bind("x", x)
                    .bind("mask", mask.unwrap_or(x))
                    .params(&Params {
                        channels_in: c as u32,
                        channels_out: m as u32,
                        height: height as u32,
                        width: width as u32,
                        input_height: input_height as u32,
                        input_width: input_width as u32,
                        before: self.before as i32,
                        weights_stride,
                    })
                    .groups([
                        (height * width).div_ceil(tile.0[1] as usize) as u32,
                        m.div_ceil(tile.0[0] as usize) as u32,
                        n as u32,
                    ])
            }
            KernelClass::Broadcast => {
                let bordered = self.with_border(rec, x, mask)?;
                let [_, _, padded_height, padded_width] = bordered.shape.nchw(&label, "x")?;
                let groups = (pack / 8) as u32;
                Dispatch::new(broadcast_kernel(kernel, stride, groups, bias.is_some(), self.relu), label)
                    .bind("x", bordered)
                    .params(&BroadcastParams {
                        channels_in: c as u32,
                        channels_out: m as u32,
                        height: height as u32,
                        width: width as u32,
                        padded_height: padded_height as u32,
                        padded_width: padded_width as u32,
                        weights_stride,
                    })
                    .groups([(height * width.div_ceil(4)).div_ceil(8) as u32, m.div_ceil(pack) as u32, n as u32])
            }
        };
        let dispatch = dispatch.bind("weights", packed).bind("bias", bias.unwrap_or(packed)).bind("y", y);
        rec.dispatch(dispatch.flops(flops))?;
        Ok(y)
    }

    /// `x` with its border, and rows as long as the last lane's four pixels reach.
    fn with_border(&self, rec: &mut Recorder, x: Tensor, mask: Option<Tensor>) -> Result<Tensor> {
        let [_, _, height, width] = x.shape.nchw("conv2d", "x")?;
        let rows = (self.output[0] - 1) * self.stride + self.kernel;
        let columns = (self.output[1].next_multiple_of(4) - 1) * self.stride + self.kernel;
        if self.before == 0
            && self.scale == 1
            && self.dilation == 1
            && mask.is_none()
            && rows <= height
            && columns <= width
        {
            return Ok(x);
        }
        let size = [rows, columns];
        let at = Placement { before: self.before, size, scale: self.scale as u32, dilation: self.dilation };
        pad::forward(rec, x, mask, self.border, at)
    }
}
