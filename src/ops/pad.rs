//! Padding and enlargement of a picture, and their adjoint. Maths: shaders/pad.wgsl.

use super::load::{Input, Load};
use crate::gpu::{Dispatch, Kernel, Recorder, Tensor};
use crate::{Error, Result};

const SHADER: &str = "pad.wgsl";

super::params! {
    /// Sizes of a picture without and with padding.
    Params {
        height: u32, width: u32, padded_height: u32, padded_width: u32, before: i32,
    }
}

/// The values outside a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Border {
    /// Zeros.
    #[default]
    Zero,
    /// Reflection that does not repeat the edge.
    Reflect,
    /// Replication of the edge.
    Replicate,
}

impl Border {
    pub(crate) const ALL: [Border; 3] = [Border::Zero, Border::Reflect, Border::Replicate];

    /// Sets the constants of shaders/lib/border.wgsl.
    pub(crate) fn apply(self, kernel: Kernel, scale: u32) -> Kernel {
        kernel.set("MODE", self as u32).set("SCALE", scale as i32)
    }
}

fn kernel(entry: &'static str, border: Border, scale: u32) -> Kernel {
    border.apply(Kernel::new(SHADER, entry), scale)
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let all = |entry| [1, 2].into_iter().flat_map(move |scale| Border::ALL.map(|border| kernel(entry, border, scale)));
    let loads = |kernel: Kernel| Load::ALL.map(|load| load.apply(kernel.clone()));
    ["forward", "forward_rows"].into_iter().flat_map(all).flat_map(loads).chain(all("backward")).collect()
}

/// Position of a picture inside its padding.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// Rows above and columns to the left of the picture.
    pub before: usize,
    /// Rows and columns of the padded picture.
    pub size: [usize; 2],
    /// Factor of nearest-neighbour enlargement before the padding: 1 or 2.
    pub scale: u32,
}

/// `x` (`[N, C, H, W]`), enlarged and padded to `[N, C, at.size]`.
pub fn forward(rec: &mut Recorder, x: impl Into<Input>, border: Border, at: Placement) -> Result<Tensor> {
    lay(rec, x.into(), border, at, at.before as i32)
}

/// `x` enlarged, with `before` rows and columns of padding before it. A negative `before` crops that many.
fn lay(rec: &mut Recorder, x: Input, border: Border, at: Placement, before: i32) -> Result<Tensor> {
    x.check("pad")?;
    let [n, c, height, width] = x.tensor.shape.nchw("pad", "x")?;
    let y = rec.transient_stored(x.tensor.precision, "padded", [n, c, at.size[0], at.size[1]]);
    let (entry, across) = match at.size[1] % 4 {
        0 => ("forward_rows", at.size[1] / 4),
        _ => ("forward", at.size[1]),
    };
    rec.dispatch(
        x.bind(Dispatch::new(x.load.apply(kernel(entry, border, at.scale)), "pad"), &["x"])
            .bind_any(&["y", "y_rows"], y)
            .params(&Params {
                height: height as u32,
                width: width as u32,
                padded_height: at.size[0] as u32,
                padded_width: at.size[1] as u32,
                before,
            })
            .groups([across.div_ceil(32) as u32, at.size[0] as u32, (n * c) as u32]),
    )?;
    Ok(y)
}

/// The adjoint of [`forward`]: the gradient of a picture of `size` from `dy`, that of the padded picture. For zeros,
/// this crops the padding.
pub fn backward(rec: &mut Recorder, dy: Tensor, border: Border, at: Placement, size: [usize; 2]) -> Result<Tensor> {
    let [n, c, padded_height, padded_width] = dy.shape.nchw("pad gradient", "dy")?;
    let end = size.map(|side| at.before + side * at.scale as usize);
    if [padded_height, padded_width] != at.size || at.size[0] < end[0] || at.size[1] < end[1] {
        let expected = format!("{:?}, at least {end:?}", at.size);
        return Err(Error::argument("pad gradient", "dy", expected, dy.shape));
    }
    let dx = rec.transient_stored(dy.precision, "dx", [n, c, size[0], size[1]]);
    rec.dispatch(
        Dispatch::new(kernel("backward", border, at.scale), "pad gradient")
            .bind("dy", dy)
            .bind("dx", dx)
            .params(&Params {
                height: size[0] as u32,
                width: size[1] as u32,
                padded_height: padded_height as u32,
                padded_width: padded_width as u32,
                before: at.before as i32,
            })
            .groups([size[1].div_ceil(32) as u32, size[0] as u32, (n * c) as u32]),
    )?;
    Ok(dx)
}

/// Crops `x` (`[N, C, H, W]`) to `size`, from row and column `before` on. Gives `x` itself if nothing is cropped.
pub fn cut(rec: &mut Recorder, x: Tensor, before: usize, size: [usize; 2]) -> Result<Tensor> {
    let [_, _, height, width] = x.shape.nchw("cut", "x")?;
    if size == [height, width] {
        return Ok(x);
    }
    if before + size[0] > height || before + size[1] > width {
        let expected = format!("at least {} rows and {} columns", before + size[0], before + size[1]);
        return Err(Error::argument("cut", "x", expected, x.shape));
    }
    lay(rec, x.into(), Border::Zero, Placement { before: 0, size, scale: 1 }, -(before as i32))
}

/// The gradient of [`cut`] with respect to its input `x`: `dy` padded with zeros.
pub fn cut_gradient(rec: &mut Recorder, dy: Tensor, before: usize, x: Tensor) -> Result<Tensor> {
    let [_, _, height, width] = x.shape.nchw("cut gradient", "x")?;
    if dy.shape == x.shape {
        return Ok(dy);
    }
    forward(rec, dy, Border::Zero, Placement { before, size: [height, width], scale: 1 })
}
