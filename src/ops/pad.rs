//! A picture with a border, and the border's adjoint. Maths: shaders/pad.wgsl.

use crate::gpu::{Dispatch, Kernel, Recorder, Tensor};
use crate::{Error, Result};

const SHADER: &str = "pad.wgsl";

super::params! {
    /// Sizes of a picture without and with its border.
    Params for "pad.wgsl": "forward", "params" {
        height: u32, width: u32, padded_height: u32, padded_width: u32, before: i32,
    }
}

/// What stands outside a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Border {
    /// Zeros.
    #[default]
    Zero,
    /// The picture mirrored, the edge itself not repeated.
    Reflect,
    /// The edge repeated.
    Replicate,
}

impl Border {
    pub(crate) const ALL: [Border; 3] = [Border::Zero, Border::Reflect, Border::Replicate];

    /// The value of `MODE` in shaders/lib/border.wgsl.
    pub(crate) fn mode(self) -> u32 {
        self as u32
    }
}

fn kernel(entry: &'static str, border: Border, dilation: u32, masked: bool) -> Kernel {
    Kernel::new(SHADER, entry).set("MODE", border.mode()).set("DILATION", dilation as i32).set("MASKED", masked)
}

/// Every variant of this operation's kernels.
pub fn kernels() -> Vec<Kernel> {
    let forward = Border::ALL.map(|border| kernel("forward", border, 1, false)).to_vec();
    let gradient = [kernel("forward", Border::Zero, 1, true), kernel("forward", Border::Zero, 2, false)].to_vec();
    let dilated = [kernel("forward", Border::Zero, 2, true)].to_vec();
    let backward = [Border::Reflect, Border::Replicate].map(|border| kernel("backward", border, 1, false)).to_vec();
    [forward, gradient, dilated, backward].concat()
}

/// Where a picture lies inside its border.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// Rows above and columns to the left of the picture.
    pub before: usize,
    /// Rows and columns of the whole, border included.
    pub size: [usize; 2],
    /// Elements apart that neighbours come to lie: 1, or the stride whose adjoint this is (with zeros only).
    pub dilation: u32,
}

/// `x` (`[N, C, H, W]`) inside its border. With `mask`, elements whose mask is not positive count as zero: the gradient of
/// a ReLU with that output.
pub fn forward(rec: &mut Recorder, x: Tensor, mask: Option<Tensor>, border: Border, at: Placement) -> Result<Tensor> {
    let [n, c, height, width] = x.shape.nchw("pad", "x")?;
    if let Some(mask) = mask.filter(|mask| mask.shape != x.shape) {
        return Err(Error::argument("pad", "mask", format!("shaped as x, {}", x.shape), mask.shape));
    }
    if at.dilation != 1 && border != Border::Zero {
        return Err(Error::argument("pad", "dilation", format!("1 with a border {border:?}"), at.dilation));
    }
    let y = rec.transient("padded", [n, c, at.size[0], at.size[1]]);
    rec.dispatch(
        Dispatch::new(kernel("forward", border, at.dilation, mask.is_some()), "pad")
            .bind("x", x)
            .bind("mask", mask.unwrap_or(x))
            .bind("y", y)
            .params(&Params {
                height: height as u32,
                width: width as u32,
                padded_height: at.size[0] as u32,
                padded_width: at.size[1] as u32,
                before: at.before as i32,
            })
            .groups([at.size[1].div_ceil(32) as u32, at.size[0] as u32, (n * c) as u32]),
    )?;
    Ok(y)
}

/// The adjoint of reflection or replication: the gradient of a picture of `size` from that of its bordered form `dy`.
pub fn backward(rec: &mut Recorder, dy: Tensor, border: Border, before: usize, size: [usize; 2]) -> Result<Tensor> {
    let [n, c, padded_height, padded_width] = dy.shape.nchw("pad gradient", "dy")?;
    if [padded_height, padded_width] != size.map(|side| side + 2 * before) {
        let expected = format!("{before} more on each side of {} x {}", size[1], size[0]);
        return Err(Error::argument("pad gradient", "dy", expected, dy.shape));
    }
    let dx = rec.transient("dx", [n, c, size[0], size[1]]);
    rec.dispatch(
        Dispatch::new(kernel("backward", border, 1, false), "pad gradient")
            .bind("dy", dy)
            .bind("dx", dx)
            .params(&Params {
                height: size[0] as u32,
                width: size[1] as u32,
                padded_height: padded_height as u32,
                padded_width: padded_width as u32,
                before: before as i32,
            })
            .groups([size[1].div_ceil(32) as u32, size[0] as u32, (n * c) as u32]),
    )?;
    Ok(dx)
}
