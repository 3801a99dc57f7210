//! AdaIN window by window, with the same result as in one piece.
//!
//! The norm's statistics are those of the whole photo. So a first pass encodes every window and merges the statistics of
//! the cores; a second one normalises with the merged statistics and decodes. The features of the first pass are kept on
//! the host if they fit there. The second pass then reads only the decoder's halo, in features; else it encodes again.

use std::ops::Range;

use super::{AdainPainter, INSTANCE, Region, Styling, weights};
use crate::gpu::{DeviceTensor, Recorder};
use crate::io::{PixelSource, Resized};
use crate::nets::programs::{Recorded, read_window};
use crate::nets::tiles::{Budget, Merged, Paint, Progress, Reach, Span, Tile, Tiling, Watch};
use crate::nets::{Tap, Vgg19, check_detail};
use crate::ops::norm::Statistics;
use crate::{Error, Result};

/// The encoder's tap.
const TAP: Tap = Tap::RELU4_1;

/// Sides of a feature in pixels.
const CELL: usize = 8;

/// Tensors of the first pass.
struct Encoding {
    photo: DeviceTensor,
    /// Weights of the features in the statistics, `[h, w]`: 0 outside of the core.
    weights: DeviceTensor,
    /// The features, if they are kept.
    features: Option<DeviceTensor>,
    /// Means and variances.
    statistics: [DeviceTensor; 2],
}

/// Tensors of the second pass.
struct Decoding {
    /// The photo, or its features.
    input: DeviceTensor,
    statistics: [DeviceTensor; 2],
    styling: Styling,
    painted: DeviceTensor,
}

/// Features of the whole photo on the host, `[C, h, w]`.
pub(super) struct Features {
    channels: usize,
    size: [usize; 2],
    values: Vec<f32>,
}

/// A part of planes `[planes, height, width]`.
fn cut(values: &[f32], [height, width]: [usize; 2], rows: Range<usize>, columns: Range<usize>) -> Vec<f32> {
    let plane = |plane: &[f32]| -> Vec<f32> {
        rows.clone().flat_map(|row| &plane[row * width..][columns.clone()]).copied().collect()
    };
    values.chunks(height * width).flat_map(plane).collect()
}

impl Features {
    /// Takes over the core of a window of features, `[C, h, w]`, with its upper left corner at `start`.
    fn put(&mut self, window: &[f32], [height, width]: [usize; 2], core: [Range<usize>; 2], start: [usize; 2]) {
        let [rows, columns] = core;
        for channel in 0..self.channels {
            for row in rows.clone() {
                let from = &window[(channel * height + row) * width..][columns.clone()];
                let into = (channel * self.size[0] + start[0] + row) * self.size[1] + start[1] + columns.start;
                self.values[into..into + columns.len()].copy_from_slice(from);
            }
        }
    }
}

/// Of `count` features, those that begin in a range of pixels. Pooling may leave out those of the last few pixels.
fn cells(pixels: &Range<usize>, count: usize) -> Range<usize> {
    pixels.start / CELL..pixels.end.div_ceil(CELL).min(count)
}

/// How a photo is painted.
struct Plan {
    first: Tiling,
    /// Windows of the second pass: of features that are kept, or of pixels.
    second: Tiling,
    is_kept: bool,
    bytes: u64,
}

/// Windows of the first pass for a picture of `[height, width]`, and their device memory.
pub(super) fn first_windows(
    encoder: &Vgg19,
    size: [usize; 2],
    is_kept: bool,
    budget: &Budget,
) -> Result<(Tiling, u64)> {
    let left = budget.left(encoder.context());
    budget.windows(size, Vgg19::reach(TAP), left, |window| encoding(encoder, window, is_kept)?.bytes())
}

/// The first pass on a window.
fn encoding(encoder: &Vgg19, [height, width]: [usize; 2], is_kept: bool) -> Result<Recorded<Encoding>> {
    let context = encoder.context();
    let photo = DeviceTensor::new(context, "photo", [1, 3, height, width]);
    let mut rec = Recorder::new(context);
    let x = rec.pin(&photo);
    let content = encoder.forward(&mut rec, x, TAP)?.at(TAP)?;
    let [_, _, height, width] = content.shape.nchw("AdaIN", "content")?;
    let weights = DeviceTensor::new(context, "weights of the core", [height, width]);
    let core = rec.pin(&weights);
    let Statistics { mean, variance } = INSTANCE.weighted_statistics(&mut rec, content, core)?;
    let statistics = [rec.output(mean)?, rec.output(variance)?];
    let features = is_kept.then(|| rec.output(content)).transpose()?;
    let exchanged: Vec<_> = [Some(&photo), Some(&weights), features.as_ref()].into_iter().flatten().cloned().collect();
    Ok(Recorded::new(rec, Encoding { photo, weights, features, statistics }, &exchanged))
}

/// The first pass: means and variances of the photo's features, and the features if they are kept.
pub(super) async fn measure(
    encoder: &Vgg19,
    photo: &dyn PixelSource,
    windows: &Tiling,
    is_kept: bool,
    watch: &mut dyn FnMut() -> Result<()>,
) -> Result<([Vec<f32>; 2], Option<Features>)> {
    let (program, tensors) = encoding(encoder, windows.window(), is_kept)?.finish()?;
    let whole = encoder.feature_size(TAP, [photo.height(), photo.width()])?;
    let [height, width] = [0, 1].map(|side| tensors.weights.shape().dims()[side]);
    let channels = encoder.channels(TAP)?;
    let mut alpha = match photo.has_alpha() {
        true => Resized::new(photo, whole[1], whole[0]).read(0..whole[0], 0..whole[1])?.alpha,
        false => None,
    };
    // The statistics of a photo without a visible pixel are those of all pixels.
    alpha = alpha.filter(|alpha| alpha.iter().any(|value| *value > 0.0));
    let values = if is_kept { vec![0.0; channels * whole[0] * whole[1]] } else { Vec::new() };
    let mut features = Features { channels, size: whole, values };
    let mut merged = Merged::default();
    for Tile { rows, columns } in windows.tiles() {
        watch()?;
        tensors.photo.write(&photo.read(rows.outer.clone(), columns.outer.clone())?.rgb)?;
        let core = [cells(&rows.inner(), height), cells(&columns.inner(), width)];
        let start = [rows.outer.start / CELL, columns.outer.start / CELL];
        let mut weights = vec![0.0; height * width];
        for row in core[0].clone() {
            for column in core[1].clone() {
                let seen = |alpha: &Vec<f32>| alpha[(start[0] + row) * whole[1] + start[1] + column];
                weights[row * width + column] = alpha.as_ref().map_or(1.0, seen);
            }
        }
        let weight: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        tensors.weights.write(&super::seen(weights))?;
        program.submit()?;
        let [mean, variance] = &tensors.statistics;
        merged.add(weight, &mean.read_async().await?, &variance.read_async().await?);
        if let Some(window) = &tensors.features {
            features.put(&window.read_async().await?, [height, width], core, start);
        }
    }
    Ok((merged.statistics(), Some(features).filter(|_| is_kept)))
}

impl AdainPainter {
    /// What encoder and decoder need together.
    fn reach(&self) -> Reach {
        let encoder = Vgg19::reach(TAP);
        Reach { halo: encoder.halo + self.decoder.reach().halo * CELL, ..encoder }
    }

    /// The second pass on features of `window` `[h, w]`, or on pixels.
    fn decoding(&self, window: [usize; 2], is_kept: bool, count: usize) -> Result<Recorded<Decoding>> {
        let context = self.encoder.context();
        let mut rec = Recorder::new(context);
        let [height, width] = window;
        let channels = self.encoder.channels(TAP)?;
        let (input, content, size) = if is_kept {
            let precision = context.precision();
            let input = DeviceTensor::stored(context, precision, "features", [1, channels, height, width]);
            let content = rec.pin(&input);
            (input, content, window.map(|side| side * CELL))
        } else {
            let input = DeviceTensor::new(context, "photo", [1, 3, height, width]);
            let x = rec.pin(&input);
            let content = self.encoder.forward(&mut rec, x, TAP)?.at(TAP)?;
            (input, content, window)
        };
        let [_, _, height, width] = content.shape.nchw("AdaIN", "content")?;
        let statistics = ["means", "variances"].map(|name| DeviceTensor::new(context, name, [1, channels]));
        let [mean, variance] = statistics.each_ref().map(|tensor| rec.pin(tensor));
        let styling = Styling::new(context, count, [channels, height, width]);
        let target = styling.record(&mut rec, content, Statistics { mean, variance })?;
        let picture = self.decoder.forward(&mut rec, target, size)?.picture;
        let painted = rec.output(picture)?;
        let tensors = Decoding { input, statistics, styling, painted };
        let exchanged = [tensors.input.clone(), tensors.painted.clone()];
        Ok(Recorded::new(rec, tensors, &exchanged))
    }

    fn plan_windows(&self, size: [usize; 2], count: usize, budget: &Budget) -> Result<Plan> {
        let left = budget.left(self.encoder.context());
        let channels = self.encoder.channels(TAP)?;
        let whole = self.encoder.feature_size(TAP, size)?;
        if size[0] > CELL * whole[0] || size[1] > CELL * whole[1] {
            let expected = format!("at most {}x{} px for this encoder", CELL * whole[1], CELL * whole[0]);
            return Err(Error::argument("AdaIN", "size", expected, format!("{}x{}", size[1], size[0])));
        }
        let is_kept = (channels * whole[0] * whole[1]) as u64 * size_of::<f32>() as u64 <= budget.host;
        let (first, first_bytes) = first_windows(&self.encoder, size, is_kept, budget)?;
        let decoding = |window| self.decoding(window, is_kept, count)?.bytes();
        let (second, second_bytes) = if is_kept {
            let budget = Budget { window: budget.window.map(|side| side / CELL), ..*budget };
            budget.windows(whole, self.decoder.reach(), left, decoding)?
        } else {
            budget.windows(size, self.reach(), left, decoding)?
        };
        Ok(Plan { first, second, is_kept, bytes: budget.device - left + first_bytes.max(second_bytes) })
    }

    /// Paints `photo` in the styles of `regions` within `budget`, as [`AdainPainter::paint_async`] does, and hands the
    /// parts of the result to `paint`. The result is that of one piece: the largest difference is that of rounding.
    ///
    /// # Errors
    /// Those of [`AdainPainter::paint_async`]; a budget too small for the smallest window; those of `watch` and `paint`.
    pub async fn paint_parts_async(
        &mut self,
        photo: &dyn PixelSource,
        regions: &[Region],
        budget: &Budget,
        watch: &mut Watch<'_>,
        paint: &mut Paint<'_>,
    ) -> Result<()> {
        self.check(regions)?;
        let (size @ [height, width], count) = ([photo.height(), photo.width()], regions.len());
        let ready = self.programs.bytes(([1, 3, height, width], count, photo.has_alpha()));
        let plan = || self.plan(width, height, count);
        if let Some(bytes) = budget.whole(size, self.encoder.context(), ready, plan)? {
            watch(&Progress { size, window: size, at: 0, windows: 1, passes: 1, bytes })?;
            let painted = self.paint_async(&photo.read(0..height, 0..width)?, regions).await?;
            return paint(0..height, 0..width, painted);
        }
        self.programs.clear();
        let plan = self.plan_windows(size, regions.len(), budget)?;
        let windows = plan.first.count() + plan.second.count();
        let mut at = 0;
        let mut watch = |tiling: &Tiling, factor: usize| {
            let window = tiling.window().map(|side| side * factor);
            let progress = Progress { size, window, at, windows, passes: 2, bytes: plan.bytes };
            at += 1;
            watch(&progress)
        };
        let mut first = || watch(&plan.first, 1);
        let (statistics, features) = measure(&self.encoder, photo, &plan.first, plan.is_kept, &mut first).await?;
        let factor = if plan.is_kept { CELL } else { 1 };
        let (program, tensors) = self.decoding(plan.second.window(), plan.is_kept, regions.len())?.finish()?;
        tensors.statistics.iter().zip(&statistics).try_for_each(|(tensor, values)| tensor.write(values))?;
        tensors.styling.write_styles(regions)?;
        let whole = self.encoder.feature_size(TAP, size)?;
        let (masks, rest) = weights(regions, whole);
        let mut is_checked = false;
        for Tile { rows, columns } in plan.second.tiles() {
            watch(&plan.second, factor)?;
            let [outer_rows, outer_columns] = [(&rows, whole[0]), (&columns, whole[1])]
                .map(|(span, count)| if plan.is_kept { span.outer.clone() } else { cells(&span.outer, count) });
            let part = |mask: &Vec<f32>| cut(mask, whole, outer_rows.clone(), outer_columns.clone());
            tensors.styling.write_masks(&masks.iter().map(part).collect::<Vec<_>>(), &part(&rest))?;
            // In pixels, within the picture.
            let pixels = [(&rows, size[0]), (&columns, size[1])].map(|(span, side)| {
                let scaled = |range: &Range<usize>| range.start * factor..(range.end * factor).min(side);
                Span { outer: scaled(&span.outer), core: scaled(&span.core) }
            });
            match &features {
                Some(Features { values, size, .. }) => {
                    tensors.input.write(&cut(values, *size, outer_rows, outer_columns))?;
                }
                None => {
                    let [rows, columns] = pixels.each_ref().map(|span| span.outer.clone());
                    tensors.input.write(&photo.read(rows, columns)?.rgb)?;
                }
            }
            program.submit()?;
            let window = plan.second.window().map(|side| side * factor);
            let painted = read_window(&program, &tensors.painted, window).await?;
            let [rows, columns] = pixels;
            let part = painted.cut(rows.inner(), columns.inner());
            if !is_checked {
                let under = photo.read(rows.core.clone(), columns.core.clone())?;
                is_checked = check_detail(self.encoder.context(), &under, &part.rgb);
            }
            paint(rows.core, columns.core, part)?;
        }
        Ok(())
    }
}
