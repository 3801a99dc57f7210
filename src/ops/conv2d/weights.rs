//! Gradients of a convolution's weights and bias. Maths: shaders/conv2d_weights.wgsl.

use super::{Border, Conv2d};
use crate::gpu::{Dispatch, Kernel, KernelClass, Recorder, Tensor, linear_groups};
use crate::{Error, Result};

const TILED: &str = "conv2d_weights.wgsl";
const BROADCAST: &str = "conv2d_weights_broadcast.wgsl";

crate::ops::params! {
    /// Sizes of a convolution, and the run of pixels that one workgroup adds up.
    Params for "conv2d_weights.wgsl": "products", "params" {
        channels_in: u32, channels_out: u32, height: u32, width: u32,
        input_height: u32, input_width: u32, before: i32, images: u32, run: u32,
    }
}

crate::ops::params! {
    /// Sizes of transposed factors, and the run of rows that one workgroup adds up.
    BroadcastParams for "conv2d_weights_broadcast.wgsl": "products", "params" {
        channels_in: u32, channels_out: u32, padded_in: u32, padded_out: u32,
        height: u32, width: u32, input_height: u32, input_width: u32, rows: u32, run: u32,
    }
}

crate::ops::params! {
    /// Sizes of a tensor before and after its border and transposition.
    TransposeParams for "conv2d_weights_broadcast.wgsl": "transpose", "transpose_params" {
        channels: u32, padded_channels: u32, height: u32, width: u32,
        padded_height: u32, padded_width: u32, before: i32,
    }
}

/// Output channels, and weights of one of them, that a workgroup of the tiled class makes.
const TILE: usize = 64;

/// Workgroups to aim at when a sum is split: enough to fill a GPU, whatever the shape.
const WORKGROUPS: usize = 256;

/// What a workgroup of the broadcast class makes at a time.
struct Block {
    rows: usize,
    columns: usize,
    /// Groups of 8 output and of 8 input channels.
    groups: [usize; 2],
}

impl Block {
    fn of(kernel: usize) -> Block {
        match kernel {
            1 => Block { rows: 1, columns: 4, groups: [4, 2] },
            3 => Block { rows: 3, columns: 4, groups: [1, 1] },
            _ => Block { rows: 1, columns: 4, groups: [1, 1] },
        }
    }
}

/// Every variant of these kernels.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut all = vec![Kernel::new(TILED, "finish"), bias_kernel(false), bias_kernel(true)];
    for kernel in [1, 3, 9] {
        for stride in [1, 2] {
            all.push(broadcast_kernel(kernel, stride));
            for border in Border::ALL {
                all.extend([false, true].map(|masked| tiled_kernel(kernel, stride, border, masked)));
            }
        }
    }
    all.extend(Border::ALL.map(|border| transpose_kernel(border, false)));
    all.push(transpose_kernel(Border::Zero, true));
    all
}

fn tiled_kernel(kernel: usize, stride: usize, border: Border, masked: bool) -> Kernel {
    Kernel::new(TILED, "products")
        .set("KERNEL", kernel as u32)
        .set("STRIDE", stride as u32)
        .set("MODE", border.mode())
        .set("MASKED", masked)
}

fn bias_kernel(masked: bool) -> Kernel {
    Kernel::new(TILED, "bias").set("MASKED", masked)
}

fn broadcast_kernel(kernel: usize, stride: usize) -> Kernel {
    let block = Block::of(kernel);
    Kernel::new(BROADCAST, "products")
        .set("KERNEL", kernel as u32)
        .set("STRIDE", stride as u32)
        .set("ROWS", block.rows as u32)
        .set("COLUMNS", block.columns as u32)
        .set("GROUPS_M", block.groups[0] as u32)
        .set("GROUPS_C", block.groups[1] as u32)
}

fn transpose_kernel(border: Border, masked: bool) -> Kernel {
    Kernel::new(BROADCAST, "transpose").set("MODE", border.mode()).set("MASKED", masked)
}

/// `[runs, length of one]` of `count` things cut so that there are about [`WORKGROUPS`] with `tiles` each, but no run is
/// shorter than `least`.
fn split(count: usize, tiles: usize, least: usize) -> [usize; 2] {
    let runs = WORKGROUPS.div_ceil(tiles).min(count.div_ceil(least));
    let run = count.div_ceil(runs);
    [count.div_ceil(run), run]
}

impl Conv2d {
    /// Adds to `dweights` (`[M, C, K, K]`) and `dbias` (`[M]`) their gradients, from the input `x` (`[N, C, H, W]`), `dy`
    /// (`[N, M, H', W']`) and, if the convolution has a ReLU, its output `y`.
    pub fn backward_parameters(
        &self,
        rec: &mut Recorder,
        x: Tensor,
        dy: Tensor,
        y: Option<Tensor>,
        dweights: Tensor,
        dbias: Option<Tensor>,
    ) -> Result<()> {
        const OP: &str = "conv2d parameters";
        let [n, c, input_height, input_width] = x.shape.nchw(OP, "x")?;
        let (m, k) = (self.channels_out, self.kernel);
        if c != self.channels_in {
            return Err(Error::argument(OP, "x", format!("of {} channels", self.channels_in), x.shape));
        }
        let [height, width] = self.output_size([input_height, input_width])?;
        if dy.shape != [n, m, height, width].into() {
            return Err(Error::argument(OP, "dy", format!("[{n}, {m}, {height}, {width}]"), dy.shape));
        }
        self.check_mask(OP, dy, y)?;
        if dweights.shape != [m, c, k, k].into() {
            return Err(Error::argument(OP, "dweights", format!("[{m}, {c}, {k}, {k}]"), dweights.shape));
        }
        if let Some(dbias) = dbias.filter(|dbias| dbias.shape != [m].into()) {
            return Err(Error::argument(OP, "dbias", format!("[{m}]"), dbias.shape));
        }
        let params = |run: usize| Params {
            channels_in: c as u32,
            channels_out: m as u32,
            height: height as u32,
            width: width as u32,
            input_height: input_height as u32,
            input_width: input_width as u32,
            before: self.before() as i32,
            images: n as u32,
            run: run as u32,
        };
        let label = format!("conv2d weights {c}->{m} {k}x{k} at {width}x{height}");
        let flops = self.flops(n, [height, width]);
        let pixels = n * height * width;
        let partial = match rec.class() {
            KernelClass::Tiled => {
                let tiles = [c * k * k, m].map(|side| side.div_ceil(TILE));
                let [runs, run] = split(pixels, tiles[0] * tiles[1], 256);
                let partial = rec.transient("weight gradients of runs", [runs, m, c * k * k]);
                let kernel = tiled_kernel(k, self.stride, self.border(), y.is_some());
                rec.dispatch(
                    Dispatch::new(kernel, label)
                        .bind("x", x)
                        .bind("dy", dy)
                        .bind("mask", y.unwrap_or(dy))
                        .bind("partial", partial)
                        .params(&params(run))
                        .groups([tiles[0] as u32, tiles[1] as u32, runs as u32])
                        .flops(flops),
                )?;
                partial
            }
            KernelClass::Broadcast => {
                let block = Block::of(k);
                let columns = width.next_multiple_of(block.columns);
                let [dy_step, x_step] = block.groups.map(|groups| 8 * groups);
                let seen = [(height - 1) * self.stride + k, (columns - 1) * self.stride + k];
                let x = transpose(rec, x, None, self.border(), self.before(), seen, x_step)?;
                let dy = transpose(rec, dy, y, Border::Zero, 0, [height, columns], dy_step)?;
                let [padded_in, padded_out] = [x, dy].map(|tensor| tensor.shape.dims()[3]);
                let tiles = padded_in / x_step * (padded_out / dy_step) * (k / block.rows);
                let [runs, run] = split(n * height, tiles, 1);
                let partial = rec.transient("weight gradients of runs", [runs, m, c * k * k]);
                rec.dispatch(
                    Dispatch::new(broadcast_kernel(k, self.stride), label)
                        .bind("x", x)
                        .bind("dy", dy)
                        .bind("partial", partial)
                        .params(&BroadcastParams {
                            channels_in: c as u32,
                            channels_out: m as u32,
                            padded_in: padded_in as u32,
                            padded_out: padded_out as u32,
                            height: height as u32,
                            width: columns as u32,
                            input_height: seen[0] as u32,
                            input_width: seen[1] as u32,
                            rows: (n * height) as u32,
                            run: run as u32,
                        })
                        .groups([tiles as u32, runs as u32, 1])
                        .flops(flops),
                )?;
                partial
            }
        };
        finish(rec, partial, dweights)?;
        let Some(dbias) = dbias else { return Ok(()) };
        let [runs, run] = split(pixels, m, 1024);
        let partial = rec.transient("bias gradients of runs", [runs, m]);
        rec.dispatch(
            Dispatch::new(bias_kernel(y.is_some()), "conv2d bias gradient")
                .bind("dy", dy)
                .bind("mask", y.unwrap_or(dy))
                .bind("partial", partial)
                .params(&params(run))
                .groups([m as u32, runs as u32, 1])
                .flops((pixels * m) as u64),
        )?;
        finish(rec, partial, dbias)
    }
}

/// `gradient += Σ partial`, in order.
fn finish(rec: &mut Recorder, partial: Tensor, gradient: Tensor) -> Result<()> {
    rec.dispatch(
        Dispatch::new(Kernel::new(TILED, "finish"), "conv2d gradient finish")
            .bind("parts", partial)
            .bind("gradient", gradient)
            .groups(linear_groups(gradient.shape.count(), 64))
            .flops(partial.shape.count() as u64),
    )
}

/// `source` (`[N, C, H, W]`, masked if there is a `mask`) inside its border as `[N, H', W', C']`, of `size` H' × W', the
/// channels filled up to a multiple of `step` with zeros.
fn transpose(
    rec: &mut Recorder,
    source: Tensor,
    mask: Option<Tensor>,
    border: Border,
    before: usize,
    size: [usize; 2],
    step: usize,
) -> Result<Tensor> {
    let [n, c, height, width] = source.shape.nchw("transpose", "source")?;
    let padded = c.next_multiple_of(step);
    let transposed = rec.transient("transposed", [n, size[0], size[1], padded]);
    rec.dispatch(
        Dispatch::new(transpose_kernel(border, mask.is_some()), "conv2d transpose")
            .bind("source", source)
            .bind("mask", mask.unwrap_or(source))
            .bind("transposed", transposed)
            .params(&TransposeParams {
                channels: c as u32,
                padded_channels: padded as u32,
                height: height as u32,
                width: width as u32,
                padded_height: size[0] as u32,
                padded_width: size[1] as u32,
                before: before as i32,
            })
            .groups([size[1].div_ceil(32) as u32, size[0] as u32, (n * padded / 8) as u32]),
    )?;
    Ok(transposed)
}
