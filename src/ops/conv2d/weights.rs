//! Gradients of a convolution's weights and bias. Maths: shaders/conv2d_weights.wgsl.

use super::broadcast::padded;
use super::problem::{Params, shaped};
use super::{Conv2d, check_mask};
use crate::gpu::{Dispatch, Kernel, KernelClass, Recorder, Tensor, linear_groups};
use crate::ops::{reducing, reducing_all, relu};
use crate::{Error, Result};

const TILED: &str = "conv2d_weights.wgsl";
const BROADCAST: &str = "conv2d_weights_broadcast.wgsl";

crate::ops::params! {
    /// How partial sums are laid out for `finish`.
    FinishParams { columns: u32, pitch: u32, run: u32 }
}

/// Target number of workgroups of the tiled class when a sum is split: enough to fill a GPU.
const TILED_WORKGROUPS: usize = 512;

/// The same for workgroups of one subgroup, and for sums over planes.
const WORKGROUPS: usize = 256;

/// Output channels, and weights per channel, of a workgroup of the tiled class.
fn tile(channels_out: usize) -> [usize; 2] {
    if channels_out <= 32 { [32, 128] } else { [64, 64] }
}

/// Groups of 8 output channels and of 8 input channels per workgroup of the broadcast class. Drivers do not unroll
/// larger ones.
fn groups(kernel: usize) -> [usize; 2] {
    match kernel {
        1 => [2, 2],
        3 => [2, 1],
        _ => [1, 1],
    }
}

/// The kernels of bias gradients, and the last step of all parameter gradients.
pub(super) fn common_kernels() -> Vec<Kernel> {
    let sums = ["bias", "bias_rows"].map(|entry| reducing_all(Kernel::new(TILED, entry))).concat();
    [sums, vec![Kernel::new(TILED, "finish")]].concat()
}

/// Splits `count` items into `[runs, length of a run]`: about `workgroups` of them at `tiles` per run, but at most one
/// run per `least` items.
fn split(workgroups: usize, count: usize, tiles: usize, least: usize) -> [usize; 2] {
    let runs = workgroups.div_ceil(tiles).min(count.div_ceil(least));
    let run = count.div_ceil(runs);
    [count.div_ceil(run), run]
}

impl Conv2d {
    /// The kernel for outputs of that width.
    pub(super) fn products_kernel(&self, class: KernelClass, width: usize) -> Kernel {
        let shape = |shader| shaped(Kernel::new(shader, "products"), [self.kernel; 2], self.stride);
        let [groups_m, groups_c] = groups(self.kernel).map(|count| count as u32);
        match class {
            KernelClass::Tiled => {
                let [tile_m, tile_n] = tile(self.channels_out).map(|side| side as u32);
                shape(TILED).set("TILE_M", tile_m).set("TILE_N", tile_n).set("DEPTH", 16u32)
            }
            KernelClass::Broadcast => shape(BROADCAST)
                .set("GROUPS_M", groups_m)
                .set("GROUPS_C", groups_c)
                .set("FOURS", width.is_multiple_of(4)),
        }
    }

    /// Accumulates the gradients of the parameters into `dweights` (`[M, C, K, K]`) and `dbias` (`[M]`), from the input
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
        check_mask(OP, self.relu, dy, y)?;
        if dweights.shape != [m, c, k, k].into() {
            return Err(Error::argument(OP, "dweights", format!("[{m}, {c}, {k}, {k}]"), dweights.shape));
        }
        let dy = y.map_or(Ok(dy), |y| relu::backward(rec, y, dy))?;
        dbias.map_or(Ok(()), |dbias| bias_gradient(rec, OP, dy, dbias))?;
        // Padding is laid out in memory: it would otherwise be computed for every weight.
        let (x, _) = padded(&self.problem([height, width]), rec, x.into())?;
        let kernel = self.products_kernel(rec.class(), width);
        // Workgroups, the split of the sum, and the rows and columns of a run's sums.
        let (groups, [runs, run], [rows, columns]) = match rec.class() {
            KernelClass::Tiled => {
                let [tile_m, tile_n] = tile(m);
                let [tiles_m, tiles_n] = [m.div_ceil(tile_m), (c * k * k).div_ceil(tile_n)];
                let [runs, run] = split(TILED_WORKGROUPS, height * width, n * tiles_m * tiles_n, 256);
                ([tiles_n, tiles_m, n * runs], [n * runs, run], [tiles_m * tile_m, tiles_n * tile_n])
            }
            KernelClass::Broadcast => {
                let [groups_m, groups_c] = groups(k);
                let tiles = m.div_ceil(8 * groups_m) * c.div_ceil(8 * groups_c) * k;
                let [runs, run] = split(WORKGROUPS, n * height, tiles, 1);
                ([tiles, runs, 1], [runs, run], [m, c * k * k])
            }
        };
        let partial = rec.transient("weight gradients of runs", [runs, rows, columns]);
        let sizes = Params::new([c, m], [height, width], [0; 2], x)?;
        rec.dispatch(
            Dispatch::new(kernel, format!("conv2d weights {c}->{m} {k}x{k} at {width}x{height}"))
                .bind("x", x)
                .bind_any(&["dy", "dy_rows"], dy)
                .bind_any(&["partial", "partial_rows"], partial)
                .params(&Params { images: n as u32, run: run as u32, ..sizes })
                .groups(groups.map(|side| side as u32))
                .flops(self.flops(n, [height, width])),
        )?;
        finish(rec, partial, dweights)
    }
}

/// Accumulates the sum of `dy` (`[N, M, H, W]`) over images and pixels into `dbias` (`[M]`).
pub(super) fn bias_gradient(rec: &mut Recorder, op: &str, dy: Tensor, dbias: Tensor) -> Result<()> {
    let [n, m, height, width] = dy.shape.nchw(op, "dy")?;
    if dbias.shape != [m].into() {
        return Err(Error::argument(op, "dbias", format!("[{m}]"), dbias.shape));
    }
    let pixels = height * width;
    let [_, run] = split(WORKGROUPS, pixels, m * n, 1024);
    let run = run.next_multiple_of(4);
    let (runs, entry) = (pixels.div_ceil(run), if pixels.is_multiple_of(4) { "bias_rows" } else { "bias" });
    let partial = rec.transient("bias gradients of runs", [n * runs, m, 1]);
    rec.dispatch(
        Dispatch::new(reducing(Kernel::new(TILED, entry), rec.class()), "conv2d bias gradient")
            .bind_any(&["dy", "dy_rows"], dy)
            .bind("partial", partial)
            .params(&Params { run: run as u32, ..Params::new([m, m], [height, width], [0, 0], dy)? })
            .groups([m as u32, runs as u32, n as u32])
            .flops(dy.shape.count() as u64),
    )?;
    finish(rec, partial, dbias)
}

/// `gradient += Σ partial`, in a fixed order. `partial` is `[runs, rows, columns]`; the gradient has as many rows or
/// fewer, its first dimension, and as many columns or fewer, all others.
fn finish(rec: &mut Recorder, partial: Tensor, gradient: Tensor) -> Result<()> {
    let [rows, pitch] = [1, 2].map(|axis| partial.shape.dims()[axis] as u32);
    let columns = gradient.shape.dims()[1..].iter().product::<usize>() as u32;
    rec.dispatch(
        Dispatch::new(Kernel::new(TILED, "finish"), "conv2d gradient finish")
            .bind("partial", partial)
            .bind("gradient", gradient)
            .params(&FinishParams { columns, pitch, run: rows * pitch })
            .groups(linear_groups(gradient.shape.count(), 64))
            .flops(partial.shape.count() as u64),
    )
}
