//! Frames of a video that stay steady: a net that paints each frame alone flickers.
//!
//! Two remedies, which add up. The statistics of the norms, which depend on the whole frame, are smoothed over the frames
//! ([`Smoothing`]). And a part of the previous result, which follows the motion of the scene, is mixed into each frame
//! where it shows the same surface ([`ops::steady`](crate::ops::steady)). All state stays on the device.

use crate::gpu::{DeviceTensor, Program, Recorder, Tensor};
use crate::ops::norm::Smoothing;
use crate::ops::steady::{Blend, Blending, History, blend};
use crate::ops::vector;
use crate::{Error, Result};

/// How much of the past is in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steadiness {
    /// Share of the earlier frames in the statistics of the norms, at least 0 and less than 1. With 0, each frame has its
    /// own. Smoothing helps where what is in the frame changes its statistics, such as objects that enter it. Where the
    /// light changes, a frame's own statistics make up for it, and smoothing does harm.
    pub statistics: f32,
    /// Share of the previous result in a pixel that shows the same surface, at least 0 and less than 1. Above the default,
    /// the video is steadier and has less of the style.
    pub history: f32,
    /// The largest relative difference of the depths of the same surface in two frames, at least 0.
    pub tolerance: f32,
}

impl Default for Steadiness {
    /// The warping error is at most half of that of frames painted alone (BENCHMARKS.md). Statistics are not smoothed.
    fn default() -> Self {
        Steadiness { statistics: 0.0, history: 0.44, tolerance: 0.1 }
    }
}

impl Steadiness {
    /// Refuses values out of range.
    pub(crate) fn check(&self) -> Result<()> {
        for (name, share) in [("statistics", self.statistics), ("history", self.history)] {
            if !(0.0..1.0).contains(&share) {
                return Err(Error::argument("steadiness", name, "at least 0 and less than 1", share));
            }
        }
        if !(self.tolerance >= 0.0) {
            return Err(Error::argument("steadiness", "tolerance", "0 or more", self.tolerance));
        }
        Ok(())
    }
}

/// The state of a video on the device: averages of statistics, the previous result and its depths. It belongs to one
/// program, which paints its frames one by one.
pub struct Steady {
    steadiness: Steadiness,
    smoothing: Smoothing,
    blending: Option<Blending>,
    /// Whether there is no previous frame.
    is_new: bool,
}

impl Steady {
    /// The state of a new video, painted by the program that `rec` records.
    ///
    /// # Errors
    /// Shares or a tolerance out of range.
    pub fn new(rec: &mut Recorder, steadiness: Steadiness) -> Result<Self> {
        steadiness.check()?;
        Ok(Steady { steadiness, smoothing: Smoothing::new(rec), blending: None, is_new: true })
    }

    /// The smoothing of the net's norms.
    pub fn smoothing(&self) -> Smoothing {
        self.smoothing
    }

    /// Records the blending of a painted frame (`[N, 3, H, W]`, in N styles) with the previous result, and keeps the result (of the
    /// same shape, f32) for the next frame. `motion` (`[1, 2, H, W]`) leads from each pixel to where it was in the previous
    /// frame, to the right and down; [`Steady::begin`] sets its unit. `depth` (`[1, 1, H, W]`) shows which pixels were
    /// hidden: distances from the camera, or depths that are inversely proportional to them (reversed Z with an infinite
    /// far plane).
    ///
    /// # Errors
    /// Shapes that differ.
    pub fn follow(
        &mut self,
        rec: &mut Recorder,
        painted: Tensor,
        motion: Tensor,
        depth: Option<Tensor>,
    ) -> Result<Tensor> {
        let [_, _, height, width] = painted.shape.nchw("steady", "x")?;
        let Steadiness { tolerance, .. } = self.steadiness;
        // Nothing is read before the first frame.
        let blending = Blending::new(rec, [height, width], Blend { weight: 0.0, scale: [1.0; 2], tolerance })?;
        let kept = |rec: &mut Recorder, name: &str, tensor: Tensor| {
            let kept = DeviceTensor::new(rec.context(), name, tensor.shape);
            rec.pin(&kept)
        };
        let previous = kept(rec, "previous frame", painted);
        let depth = depth.map(|depth| [depth, kept(rec, "previous depths", depth)]);
        let steady = blend(rec, painted, History { previous, motion, depth }, blending)?;
        vector::copy(rec, steady, previous)?;
        if let Some([now, before]) = depth {
            vector::copy(rec, now, before)?;
        }
        self.blending = Some(blending);
        Ok(steady)
    }

    /// Prepares the next run of `program`, whose motion has `scale` pixels per unit, horizontally and vertically. `reset`
    /// begins a new video, as after a cut: no earlier frame has an effect, even if it contained NaN. The first frame begins
    /// one in any case. Gives whether one begins.
    ///
    /// # Errors
    /// A scale that is not finite.
    pub fn begin(&mut self, program: &Program, scale: [f32; 2], reset: bool) -> Result<bool> {
        let Steadiness { statistics, history, tolerance, .. } = self.steadiness;
        let is_new = self.is_new || reset;
        self.smoothing.set(program, if is_new { 1.0 } else { 1.0 - statistics })?;
        if let Some(blending) = self.blending {
            blending.set(program, Blend { weight: if is_new { 0.0 } else { history }, scale, tolerance })?;
        }
        self.is_new = false;
        Ok(is_new)
    }
}
