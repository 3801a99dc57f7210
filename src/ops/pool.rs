//! 2×2 pooling with stride 2. Maths: shaders/pool.wgsl.

use crate::gpu::{Dispatch, Kernel, Recorder, Tensor};
use crate::{Error, Result};

const SHADER: &str = "pool.wgsl";

super::params! {
    /// Sizes of input and output.
    Params {
        height: u32, width: u32, pooled_height: u32, pooled_width: u32,
    }
}

/// The reduction of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The maximum; the gradient goes to the first one in row order.
    #[default]
    Max,
    /// The mean, which gives smoother pictures in Gatys' method.
    Average,
}

/// A pooling layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pool {
    /// The reduction of a window.
    pub kind: Pooling,
    /// Whether an odd last row or column is pooled in windows of its own (ceil mode) instead of being dropped.
    pub ceil: bool,
}

impl Pooling {
    /// Entry points `[forward, backward]`, each for one and for two windows per thread.
    fn entries(self) -> [[&'static str; 2]; 2] {
        match self {
            Pooling::Max => [["max_forward", "max_forward_rows"], ["max_backward", "max_backward_rows"]],
            Pooling::Average => {
                [["average_forward", "average_forward_rows"], ["average_backward", "average_backward_rows"]]
            }
        }
    }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let entries = [Pooling::Max, Pooling::Average].map(|kind| kind.entries().concat()).concat();
    entries.into_iter().map(|entry| Kernel::new(SHADER, entry)).collect()
}

/// The entry point for x of that width, and the workgroups for that many windows down and across each plane.
fn kernel(entries: [&'static str; 2], width: usize, [down, across]: [usize; 2], planes: usize) -> (Kernel, [u32; 3]) {
    let rows = width.is_multiple_of(4);
    let threads = if rows { across / 2 } else { across };
    let groups = [threads.div_ceil(32), down, planes].map(|count| count as u32);
    (Kernel::new(SHADER, entries[usize::from(rows)]), groups)
}

impl Pool {
    /// Height and width of the output for an input of `[height, width]`.
    ///
    /// # Errors
    /// An output without rows or columns.
    pub fn output_size(&self, size: [usize; 2]) -> Result<[usize; 2]> {
        let pooled = size.map(|side| if self.ceil { side.div_ceil(2) } else { side / 2 });
        if pooled.contains(&0) {
            let got = format!("{} x {}", size[1], size[0]);
            return Err(Error::argument("pool", "x", "at least 2 px on each side", got));
        }
        Ok(pooled)
    }

    fn params(&self, size: [usize; 2]) -> Result<Params> {
        let pooled = self.output_size(size)?;
        Ok(Params {
            height: size[0] as u32,
            width: size[1] as u32,
            pooled_height: pooled[0] as u32,
            pooled_width: pooled[1] as u32,
        })
    }

    /// `y` (`[N, C, PH, PW]`) of `x` (`[N, C, H, W]`).
    pub fn forward(&self, rec: &mut Recorder, x: Tensor) -> Result<Tensor> {
        let [n, c, height, width] = x.shape.nchw("pool", "x")?;
        let pooled = self.output_size([height, width])?;
        let y = rec.transient_stored(x.precision, "pool", [n, c, pooled[0], pooled[1]]);
        let (kernel, groups) = kernel(self.kind.entries()[0], width, pooled, n * c);
        rec.dispatch(
            Dispatch::new(kernel, "pool")
                .bind_any(&["x", "x_rows"], x)
                .bind_any(&["y", "y_rows"], y)
                .params(&self.params([height, width])?)
                .groups(groups)
                .flops(x.shape.count() as u64),
        )?;
        Ok(y)
    }

    /// Gradient with respect to `x`, of its shape, from `dy`, of the shape of the output.
    pub fn backward(&self, rec: &mut Recorder, x: Tensor, dy: Tensor) -> Result<Tensor> {
        let [n, c, height, width] = x.shape.nchw("pool gradient", "x")?;
        let [pooled_height, pooled_width] = self.output_size([height, width])?;
        if dy.shape != [n, c, pooled_height, pooled_width].into() {
            let expected = format!("[{n}, {c}, {pooled_height}, {pooled_width}]");
            return Err(Error::argument("pool gradient", "dy", expected, dy.shape));
        }
        let dx = rec.transient_stored(dy.precision, "pool gradient", x.shape);
        let windows = [height.div_ceil(2), width.div_ceil(2)];
        let (kernel, groups) = kernel(self.kind.entries()[1], width, windows, n * c);
        let dispatch = Dispatch::new(kernel, "pool gradient");
        let dispatch = match self.kind {
            Pooling::Max => dispatch.bind_any(&["x", "x_rows"], x),
            Pooling::Average => dispatch,
        };
        rec.dispatch(
            dispatch
                .bind_any(&["dy", "dy_rows"], dy)
                .bind_any(&["dx", "dx_rows"], dx)
                .params(&self.params([height, width])?)
                .groups(groups)
                .flops(x.shape.count() as u64),
        )?;
        Ok(dx)
    }
}
