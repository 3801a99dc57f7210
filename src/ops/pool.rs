//! 2×2 pooling with stride 2. Maths: shaders/pool.wgsl.

use crate::gpu::{Dispatch, Kernel, Recorder, Tensor};
use crate::{Error, Result};

const SHADER: &str = "pool.wgsl";

super::params! {
    /// Sizes of a picture and of its pooled form.
    Params for "pool.wgsl": "max_forward", "params" {
        height: u32, width: u32, pooled_height: u32, pooled_width: u32,
    }
}

/// What a window becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Its maximum; of equal ones the first in row order gets the gradient.
    #[default]
    Max,
    /// Its mean: smoother pictures in Gatys' method.
    Average,
}

/// A pooling layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pool {
    /// What a window becomes.
    pub kind: Kind,
    /// Whether an odd last row or column makes a window of its own (else it is dropped).
    pub ceil: bool,
}

/// Every variant of this operation's kernels.
pub fn kernels() -> Vec<Kernel> {
    ["max_forward", "average_forward", "max_backward", "average_backward"].map(|e| Kernel::new(SHADER, e)).to_vec()
}

impl Pool {
    /// Height and width of the output for an input of `[height, width]`.
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
        let [pooled_height, pooled_width] = self.output_size([height, width])?;
        let y = rec.transient("pool", [n, c, pooled_height, pooled_width]);
        let entry = if self.kind == Kind::Max { "max_forward" } else { "average_forward" };
        rec.dispatch(
            Dispatch::new(Kernel::new(SHADER, entry), "pool")
                .bind("x", x)
                .bind("y", y)
                .params(&self.params([height, width])?)
                .groups([pooled_width.div_ceil(32) as u32, pooled_height as u32, (n * c) as u32])
                .flops(x.shape.count() as u64),
        )?;
        Ok(y)
    }

    /// `dx`, shaped as `x`, from `dy`, shaped as the output.
    pub fn backward(&self, rec: &mut Recorder, x: Tensor, dy: Tensor) -> Result<Tensor> {
        let [n, c, height, width] = x.shape.nchw("pool gradient", "x")?;
        let [pooled_height, pooled_width] = self.output_size([height, width])?;
        if dy.shape != [n, c, pooled_height, pooled_width].into() {
            let expected = format!("[{n}, {c}, {pooled_height}, {pooled_width}]");
            return Err(Error::argument("pool gradient", "dy", expected, dy.shape));
        }
        let dx = rec.transient("pool gradient", x.shape);
        let entry = if self.kind == Kind::Max { "max_backward" } else { "average_backward" };
        rec.dispatch(
            Dispatch::new(Kernel::new(SHADER, entry), "pool gradient")
                .bind("x", x)
                .bind("dy", dy)
                .bind("dx", dx)
                .params(&self.params([height, width])?)
                .groups([width.div_ceil(32) as u32, height as u32, (n * c) as u32])
                .flops(x.shape.count() as u64),
        )?;
        Ok(dx)
    }
}
