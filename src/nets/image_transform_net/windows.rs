//! The net window by window.
//!
//! An instance norm needs the statistics of the whole picture. They come from a thumbnail, as in arXiv:2103.11784, and
//! then one pass over the windows is enough; or each norm is measured in a pass of its own, which runs the net up to that
//! norm and merges the statistics of the windows' cores. The result of the latter is that of one piece.

use std::ops::Range;

use super::{ImageTransformNet, MARGIN, Norms, Painter};
use crate::Result;
use crate::gpu::{DeviceTensor, Recorder, Tensor};
use crate::io::picture::scaled_size;
use crate::io::{PixelSource, Resized};
use crate::nets::image_transform_net::Form;
use crate::nets::programs::{Recorded, read_window};
use crate::nets::tiles::{Budget, Merged, Paint, Progress, Reach, Span, Tile, Tiling, Watch};
use crate::nets::{check_detail, normalised};
use crate::ops::conv2d::Padding;
use crate::ops::norm::Statistics;

/// Mean and variance of each channel.
type Measured = [Vec<f32>; 2];

/// Tensors of a pass that measures a norm.
struct Measuring {
    photo: DeviceTensor,
    /// Statistics of the norms before it.
    given: Vec<[DeviceTensor; 2]>,
    /// Weights of the pixels of its input, `[h, w]`: 0 outside of the core.
    weights: DeviceTensor,
    statistics: [DeviceTensor; 2],
}

/// Tensors of the pass that measures all norms.
struct MeasuringAll {
    photo: DeviceTensor,
    statistics: Vec<[DeviceTensor; 2]>,
}

/// Tensors of the pass that paints.
struct Painting {
    photo: DeviceTensor,
    given: Vec<[DeviceTensor; 2]>,
    painted: DeviceTensor,
}

/// Where the output of a layer is in the picture.
#[derive(Clone, Copy)]
struct Grid {
    /// Pixels of the picture for each of its own.
    factor: usize,
    /// Its rows and columns before the picture's first.
    margin: usize,
}

impl Grid {
    /// Of the rows or columns of a window of a picture with `side` of them, those that belong to its core. The padding
    /// around the picture belongs to the outermost cores.
    fn core(self, span: &Span, side: usize, count: usize) -> Range<usize> {
        let inner = span.inner();
        let at = |pixel: usize| pixel / self.factor + self.margin;
        let start = if span.core.start == 0 { 0 } else { at(inner.start) };
        start..if span.core.end == side { count } else { at(inner.end) }
    }
}

fn write(tensors: &[[DeviceTensor; 2]], measured: &[Measured]) -> Result<()> {
    let pairs = tensors.iter().flatten().zip(measured.iter().flatten());
    pairs.into_iter().try_for_each(|(tensor, values)| tensor.write(values))
}

impl ImageTransformNet {
    /// What windows of a picture need.
    pub fn reach(&self) -> Reach {
        Reach::of(4, |picture| self.units.iter().rev().fold(picture, |outputs, unit| unit.conv.conv().reads(outputs)))
    }

    /// Number of norms that measure their inputs.
    fn norms(&self) -> usize {
        self.units.iter().filter(|unit| unit.norm.is_some()).count()
    }

    /// The grid of a unit's output.
    fn grid(&self, unit: usize) -> Grid {
        let margin = if self.weights.form == Form::Paper { MARGIN } else { 0 };
        let layers = self.weights.layers();
        layers.iter().take(unit + 1).fold(Grid { factor: 1, margin }, |Grid { factor, margin }, layer| {
            let (stride, larger) = (layer.conv.stride(), layer.conv.enlargement());
            let eaten = match layer.conv {
                super::Convolution::Plain(conv) if conv.padding == Padding::None => conv.kernel / 2,
                _ => 0,
            };
            Grid { factor: factor * stride / larger, margin: (margin / stride - eaten) * larger }
        })
    }

    /// Tensors for the statistics of the first `count` norms, and their symbols.
    fn given(&self, rec: &mut Recorder, count: usize) -> (Vec<[DeviceTensor; 2]>, Vec<Statistics>) {
        let tensors: Vec<_> = self.units[..count]
            .iter()
            .map(|unit| {
                let shape = [1, unit.conv.conv().channels_out()];
                ["means", "variances"].map(|name| DeviceTensor::new(&self.context, name, shape))
            })
            .collect();
        let symbols = tensors.iter().map(|pair| {
            let [mean, variance] = pair.each_ref().map(|tensor| rec.pin(tensor));
            Statistics { mean, variance }
        });
        let symbols = symbols.collect();
        (tensors, symbols)
    }

    fn photo(&self, rec: &mut Recorder, [height, width]: [usize; 2]) -> (DeviceTensor, Tensor) {
        let photo = DeviceTensor::new(&self.context, "photo", [1, 3, height, width]);
        let x = rec.pin(&photo);
        (photo, x)
    }

    /// The pass that measures the norm after `given` others.
    fn measuring(&self, window: [usize; 2], given: usize) -> Result<Recorded<Measuring>> {
        let mut rec = Recorder::new(&self.context);
        let (photo, x) = self.photo(&mut rec, window);
        let (tensors, symbols) = self.given(&mut rec, given);
        let norms = Norms { given: &symbols, ..Norms::default() };
        let input = self.run(&mut rec, x, norms, given, &mut Vec::new())?;
        let unit = &self.units[given];
        let z = unit.conv.forward(&mut rec, input)?;
        let [_, _, height, width] = z.shape.nchw("image transform net", "norm")?;
        let weights = DeviceTensor::new(&self.context, "weights of the core", [height, width]);
        let core = rec.pin(&weights);
        let norm = unit.norm.as_ref().expect("a norm that is measured");
        let Statistics { mean, variance } = norm.weighted_statistics(&mut rec, z, core)?;
        let statistics = [rec.output(mean)?, rec.output(variance)?];
        let exchanged = [photo.clone(), weights.clone()];
        Ok(Recorded::new(rec, Measuring { photo, given: tensors, weights, statistics }, &exchanged))
    }

    /// The pass that paints.
    fn painting(&self, window: [usize; 2]) -> Result<Recorded<Painting>> {
        let mut rec = Recorder::new(&self.context);
        let (photo, x) = self.photo(&mut rec, window);
        let (given, symbols) = self.given(&mut rec, self.norms());
        let picture = self.forward_with(&mut rec, x, Norms { given: &symbols, ..Norms::default() })?.picture;
        let painted = rec.output(picture)?;
        let exchanged = [photo.clone(), painted.clone()];
        Ok(Recorded::new(rec, Painting { photo, given, painted }, &exchanged))
    }

    /// The pass that measures all norms for a picture in one piece.
    fn measuring_all(&self, size: [usize; 2]) -> Result<Recorded<MeasuringAll>> {
        let mut rec = Recorder::new(&self.context);
        let (photo, x) = self.photo(&mut rec, size);
        let mut kept = Vec::new();
        self.run(&mut rec, x, Norms::default(), self.norms(), &mut kept)?;
        let mut statistics = Vec::new();
        for Statistics { mean, variance } in kept.iter().filter_map(|kept| kept.statistics) {
            statistics.push([rec.output(mean)?, rec.output(variance)?]);
        }
        let exchanged = [photo.clone()];
        Ok(Recorded::new(rec, MeasuringAll { photo, statistics }, &exchanged))
    }

    /// The statistics of all norms for `photo`, reduced to a long side of about `side` or, if it does not fit `budget`, to
    /// less.
    async fn measure_thumbnail(&self, photo: &dyn PixelSource, side: usize, budget: &Budget) -> Result<Vec<Measured>> {
        let (width, height) = (photo.width(), photo.height());
        let long = width.max(height);
        // The short side must not be too short for the net.
        let least = (self.least_side() * long).div_ceil(width.min(height));
        let mut side = side.max(least).min(long);
        let left = budget.left(&self.context);
        let (recorded, [height, width]) = loop {
            let (width, height) = scaled_size(width, height, side);
            let recorded = self.measuring_all([height, width])?;
            if side == least || recorded.bytes().is_ok_and(|bytes| bytes <= left) {
                break (recorded, [height, width]);
            }
            side = (side * 3 / 4).max(least);
        };
        let (program, MeasuringAll { photo: input, statistics }) = recorded.finish()?;
        input.write(&Resized::new(photo, width, height).read(0..height, 0..width)?.rgb)?;
        program.submit()?;
        let mut measured = Vec::new();
        for [mean, variance] in statistics {
            measured.push([mean.read_async().await?, variance.read_async().await?]);
        }
        Ok(measured)
    }
}

/// Where the statistics of instance norms come from if a picture is painted in windows.
#[derive(Clone, Copy, Debug)]
pub enum Sampling {
    /// The picture, reduced to this long side in pixels, such as 1024: one pass. The result differs slightly from that of
    /// one piece.
    Thumbnail(usize),
    /// The picture: a pass for each norm. The result is that of one piece.
    Exact,
}

impl Painter {
    /// The windows for a picture of `[height, width]`, and their device memory.
    fn windows(&self, size: [usize; 2], budget: &Budget, passes: usize) -> Result<(Tiling, u64)> {
        let left = budget.left(self.net.context());
        let plan = |window: [usize; 2]| {
            let mut most = self.net.painting(window)?.bytes()?;
            for norm in 0..passes - 1 {
                most = most.max(self.net.measuring(window, norm)?.bytes()?);
            }
            Ok(most)
        };
        let (tiling, bytes) = budget.windows(size, self.net.reach(), left, plan)?;
        Ok((tiling, budget.device - left + bytes))
    }

    /// Paints `photo` within `budget`, as [`Painter::paint_async`] does, and hands the parts of the result to `paint`.
    ///
    /// # Errors
    /// Those of [`Painter::paint_async`]; a budget too small for the smallest window; those of `watch` and `paint`.
    pub async fn paint_parts_async(
        &mut self,
        photo: &dyn PixelSource,
        sampling: Sampling,
        budget: &Budget,
        watch: &mut Watch<'_>,
        paint: &mut Paint<'_>,
    ) -> Result<()> {
        let size @ [height, width] = [photo.height(), photo.width()];
        let context = self.net.context().clone();
        let ready = self.programs.bytes([1, 3, height, width]);
        if let Some(bytes) = budget.whole(size, &context, ready, || self.plan(width, height))? {
            watch(&Progress { size, window: size, at: 0, windows: 1, passes: 1, bytes })?;
            let painted = self.paint_async(&photo.read(0..height, 0..width)?).await?;
            return paint(0..height, 0..width, painted);
        }
        self.programs.clear();
        let mut measured = match sampling {
            Sampling::Thumbnail(side) if self.net.norms() > 0 => {
                self.net.measure_thumbnail(photo, side, budget).await?
            }
            _ => Vec::new(),
        };
        let passes = self.net.norms() - measured.len() + 1;
        let (tiling, bytes) = self.windows(size, budget, passes)?;
        let window = tiling.window();
        let mut at = 0;
        let mut watch = || {
            let progress = Progress { size, window, at, windows: passes * tiling.count(), passes, bytes };
            at += 1;
            watch(&progress)
        };
        for norm in measured.len()..self.net.norms() {
            measured.push(self.measure(photo, &tiling, norm, &measured, &mut watch).await?);
        }
        let (program, tensors) = self.net.painting(window)?.finish()?;
        write(&tensors.given, &measured)?;
        let mut is_checked = false;
        for Tile { rows, columns } in tiling.tiles() {
            watch()?;
            let read = photo.read(rows.outer.clone(), columns.outer.clone())?;
            tensors.photo.write(&read.rgb)?;
            program.submit()?;
            let painted = read_window(&program, &tensors.painted, window).await?;
            let part = painted.cut(rows.inner(), columns.inner());
            if !is_checked {
                is_checked = check_detail(&context, &read.cut(rows.inner(), columns.inner()), &part.rgb);
            }
            paint(rows.core, columns.core, part)?;
        }
        Ok(())
    }

    /// The statistics of a norm, from all windows.
    async fn measure(
        &self,
        photo: &dyn PixelSource,
        tiling: &Tiling,
        norm: usize,
        measured: &[Measured],
        watch: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Measured> {
        let (program, tensors) = self.net.measuring(tiling.window(), norm)?.finish()?;
        write(&tensors.given, measured)?;
        let grid = self.net.grid(norm);
        let [count_rows, count_columns] = [0, 1].map(|side| tensors.weights.shape().dims()[side]);
        let mut merged = Merged::default();
        for Tile { rows, columns } in tiling.tiles() {
            watch()?;
            tensors.photo.write(&photo.read(rows.outer.clone(), columns.outer.clone())?.rgb)?;
            let core = grid.core(&columns, photo.width(), count_columns);
            let mut weights = vec![0.0; count_rows * count_columns];
            let core_rows = grid.core(&rows, photo.height(), count_rows);
            let pixels = core_rows.len() * core.len();
            for row in core_rows {
                weights[row * count_columns..][core.clone()].fill(1.0);
            }
            tensors.weights.write(&normalised(weights).0)?;
            program.submit()?;
            let [mean, variance] = &tensors.statistics;
            merged.add(pixels as f64, &mean.read_async().await?[..], &variance.read_async().await?[..]);
        }
        Ok(merged.statistics())
    }
}
