//! Blending of a painted frame with the previous result, which follows the motion. Maths: shaders/steady.wgsl.

use crate::gpu::{Dispatch, Kernel, Program, Recorder, Shape, Tensor, Uniform, linear_groups};
use crate::{Error, Result};

const OP: &str = "steady";

super::params! {
    /// Size of the frame, weight of the previous result, tolerance of depths, pixels per unit of motion.
    Params { height: u32, width: u32, weight: f32, tolerance: f32, scale_x: f32, scale_y: f32 }
}

fn kernel(entry: &'static str) -> Kernel {
    Kernel::new("steady.wgsl", entry)
}

fn blending(has_depth: bool) -> Kernel {
    kernel("blend").set("DEPTH", has_depth)
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![blending(false), blending(true), kernel("restore")]
}

/// How a frame is blended with the previous result; can change between runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blend {
    /// Weight of the previous result, at least 0 and less than 1. With 0, nothing of it is read.
    pub weight: f32,
    /// Pixels per unit of motion, horizontally and vertically.
    pub scale: [f32; 2],
    /// The largest relative difference of the depths of the same surface in two frames, at least 0.
    pub tolerance: f32,
}

/// The blending of the frames of a size, [`Blend`] in a program.
#[derive(Clone, Copy, Debug)]
pub struct Blending {
    uniform: Uniform<Params>,
    size: [usize; 2],
}

/// What is known of the previous frame.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// Its result, `[N, 3, H, W]`.
    pub previous: Tensor,
    /// Motion from each pixel of this frame to where it was in the previous one, `[1, 2, H, W]`: to the right, then
    /// down, in units of [`Blend::scale`].
    pub motion: Tensor,
    /// Depths of this frame and of the previous one, `[1, 1, H, W]`. Without them, pixels that were hidden are not
    /// recognised.
    pub depth: Option<[Tensor; 2]>,
}

impl Blending {
    /// Blending for frames of `[height, width]`.
    ///
    /// # Errors
    /// Values of `blend` out of range.
    pub fn new(rec: &mut Recorder, size: [usize; 2], blend: Blend) -> Result<Self> {
        Ok(Blending { uniform: rec.uniform(&params(size, blend)?), size })
    }

    /// Sets `blend` for the following runs of `program`.
    ///
    /// # Errors
    /// Values of `blend` out of range.
    pub fn set(&self, program: &Program, blend: Blend) -> Result<()> {
        program.set(self.uniform, &params(self.size, blend)?);
        Ok(())
    }
}

fn params([height, width]: [usize; 2], Blend { weight, scale, tolerance }: Blend) -> Result<Params> {
    let refuse = |argument, expected: &str, got: String| Err(Error::argument(OP, argument, expected, got));
    if !(0.0..1.0).contains(&weight) {
        return refuse("weight", "at least 0 and less than 1", weight.to_string());
    }
    if !(tolerance >= 0.0) {
        return refuse("tolerance", "0 or more", tolerance.to_string());
    }
    if !scale.iter().all(|scale| scale.is_finite()) {
        return refuse("scale", "finite pixels per unit", format!("{scale:?}"));
    }
    let [scale_x, scale_y] = scale;
    Ok(Params { height: height as u32, width: width as u32, weight, tolerance, scale_x, scale_y })
}

/// The painted frame `x` (`[N, 3, H, W]`, such as one frame in N styles) blended with its history, of the shape of `x`,
/// as f32. For inference: there is no gradient.
pub fn blend(rec: &mut Recorder, x: Tensor, history: History, blending: Blending) -> Result<Tensor> {
    let [height, width] = blending.size;
    let History { previous, motion, depth } = history;
    let [images, ..] = x.shape.nchw(OP, "x")?;
    let mut expected = vec![("x", x, [images, 3]), ("previous", previous, [images, 3]), ("motion", motion, [1, 2])];
    expected.extend(depth.iter().flatten().map(|depth| ("depth", *depth, [1, 1])));
    for (name, tensor, [images, channels]) in expected {
        let shape = Shape::new(&[images, channels, height, width]);
        if tensor.shape != shape {
            return Err(Error::argument(OP, name, shape.to_string(), tensor.shape));
        }
    }
    let share = rec.transient("share of the previous frame", [images, 1, height, width]);
    let blended = rec.transient("blended", x.shape);
    rec.dispatch(
        Dispatch::new(self::blending(depth.is_some()), OP)
            .bind("x", x)
            .bind("previous", previous)
            .bind("motion", motion)
            .bind_optional("depth", depth.map(|[now, _]| now))
            .bind_optional("depth_before", depth.map(|[_, before]| before))
            .bind("share", share)
            .bind("z", blended)
            .uniform(blending.uniform)
            .groups(linear_groups(images * height * width, 64))
            .flops(15 * x.shape.count() as u64),
    )?;
    let y = rec.transient("steady", x.shape);
    rec.dispatch(
        Dispatch::new(kernel("restore"), "steady contrast")
            .bind("x", x)
            .bind("z", blended)
            .bind("share", share)
            .bind("y", y)
            .uniform(blending.uniform)
            .groups(linear_groups(images * height * width, 64))
            .flops(200 * x.shape.count() as u64),
    )?;
    Ok(y)
}
