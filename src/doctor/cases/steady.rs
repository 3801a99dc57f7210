//! Frames of a video: smoothed statistics, and blending with the previous result.

use super::pictures;
use crate::doctor::case::{Case, SUM, rounded, tolerance};
use crate::gpu::Precision;
use crate::ops::norm::{Norm, Smoothing};
use crate::ops::steady::{self, Blending, History};
use crate::ops::vector;
use crate::reference::{self, Array};

/// A frame of `[height, width]` in two styles, blended with a previous one: motions of up to three pixels, and depths of two surfaces.
pub fn blended([height, width]: [usize; 2], has_depth: bool, precision: Precision) -> Case<'static> {
    let [x, previous] = [190, 191].map(|seed| Array::random(&[2, 3, height, width], seed));
    let x = rounded(x, precision);
    let motion = Array::random(&[1, 2, height, width], 192);
    // The surfaces are patches, so that most pixels have neighbours of the same depth.
    let depth = |shift: usize| {
        let surface = |at: usize| if ((at % width + shift) / 7 + at / width / 5).is_multiple_of(2) { 1.0 } else { 4.0 };
        Array::new(&[1, 1, height, width], (0..height * width).map(surface).collect())
    };
    let depths = has_depth.then(|| [depth(0), depth(2)]);
    let blend = steady::Blend { weight: 0.625, scale: [3.0, -1.5], tolerance: 0.25 };
    let twin = reference::steady::Blend { weight: 0.625, scale: [3.0, -1.5], tolerance: 0.25 };
    let y = reference::steady::blend(&twin, &x, &previous, &motion, depths.as_ref().map(|depths| depths.each_ref()));
    let kind = if has_depth { "with depths" } else { "without depths" };
    let name = format!("frame after another {kind}, {}", pictures(2, height, width));
    let inputs: Vec<_> = [&x, &previous, &motion].into_iter().chain(depths.iter().flatten()).collect();
    Case::new(name, &inputs, &[&y], tolerance(precision, SUM), move |rec, inputs| {
        let x = vector::stored(rec, inputs[0], precision)?;
        let blending = Blending::new(rec, [height, width], blend)?;
        let depth = has_depth.then(|| [inputs[3], inputs[4]]);
        let history = History { previous: inputs[1], motion: inputs[2], depth };
        Ok(vec![steady::blend(rec, x, history, blending)?])
    })
}

/// Statistics that are smoothed over frames, of the first frame.
pub fn smoothed(shape: [usize; 4], precision: Precision) -> Case<'static> {
    let x = rounded(Array::random(&shape, 193), precision);
    let spec = reference::norm::Norm { batch: false, relu: false, eps: 0.0 };
    let [mean, variance] = reference::norm::statistics(spec, &x);
    let name = format!("smoothed statistics of {} channels, {}", shape[1], pictures(shape[0], shape[2], shape[3]));
    Case::new(name, &[&x], &[&mean, &variance], SUM, move |rec, inputs| {
        let x = vector::stored(rec, inputs[0], precision)?;
        let statistics = Norm::default().statistics(rec, x, None)?;
        let smoothing = Smoothing::new(rec);
        let average = smoothing.average(rec, statistics)?;
        Ok(vec![average.mean, average.variance])
    })
}
