//! Resampling of pictures, of the whole or of parts.
//!
//! The filter is separable: rows are mixed first, then columns. For downscaling it is widened by the scale. At an edge
//! it is cut off, and its weights again have a sum of 1.

use std::{f64::consts::PI, ops::Range};

use rayon::prelude::*;

use super::picture::{LUMA, scaled_size};
use super::{Picture, PixelSource};
use crate::Result;

/// A filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// Lanczos, with three lobes.
    #[default]
    Lanczos,
    /// The cubic convolution of Keys with a = -½ ("Cubic convolution interpolation for digital image processing", IEEE
    /// Transactions on Acoustics, Speech, and Signal Processing 29(6), 1981).
    Bicubic,
}

impl Interpolation {
    /// Pixels, of the larger scale, beyond which the filter is 0.
    fn radius(self) -> f64 {
        match self {
            Interpolation::Lanczos => 3.0,
            Interpolation::Bicubic => 2.0,
        }
    }

    /// The filter at a distance of `x`.
    fn at(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
        let x = x.abs();
        match self {
            _ if x >= self.radius() => 0.0,
            Interpolation::Lanczos => sinc(x) * sinc(x / self.radius()),
            Interpolation::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Interpolation::Bicubic => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        }
    }

    /// What each pixel of a side of `to` pixels consists of if it is made from one of `from` pixels: the first of them,
    /// and the weights of that one and of those that follow.
    pub(crate) fn weights(self, from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
        Filter::new(self, from, to, 0..to).0.into_iter().map(|taps| (taps.first, taps.weights)).collect()
    }
}

/// Most pixels that [`Resized`] reads at once.
const BAND: usize = 8 << 20;

/// Where alpha is at most this, a colour divided by it is noise.
const FAINT: f32 = 1.0 / 255.0;

/// What a pixel of a resized side consists of: the first pixel of the source's side, and its weight and those of the
/// pixels that follow.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// The weights along one side.
struct Filter(Vec<Taps>);

impl Filter {
    /// For the pixels `part` of a side of `to` pixels, made from one of `from` pixels, which must not be 0.
    fn new(interpolation: Interpolation, from: usize, to: usize, part: Range<usize>) -> Self {
        let ratio = from as f64 / to as f64;
        let scale = ratio.max(1.0);
        let taps = |index: usize| {
            if from == to {
                return Taps { first: index, weights: vec![1.0] };
            }
            // Pixels have their centres at halves.
            let centre = (index as f64 + 0.5) * ratio;
            let radius = interpolation.radius() * scale;
            let first = ((centre - radius).floor().max(0.0) as usize).min(from - 1);
            let end = ((centre + radius).ceil() as usize).clamp(first + 1, from);
            let weight = |at: usize| interpolation.at((at as f64 + 0.5 - centre) / scale);
            let weights: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            Taps { first, weights: weights.into_iter().map(|weight| (weight / sum) as f32).collect() }
        };
        Filter(part.map(taps).collect())
    }

    /// The pixels of the source's side that are used.
    fn span(&self) -> Range<usize> {
        let first = self.0.iter().map(|taps| taps.first).min().unwrap_or(0);
        let end = self.0.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0);
        first..end
    }

    /// The filter for a source that begins at `first`.
    fn from(mut self, first: usize) -> Self {
        self.0.iter_mut().for_each(|taps| taps.first -= first);
        self
    }

    /// Mixes a row of pixels, with results of 0..1: the filter has negative lobes and overshoots at edges.
    fn mix_columns(&self, row: &[f32], into: &mut [f32]) {
        for (value, taps) in into.iter_mut().zip(&self.0) {
            let used = row[taps.first..].iter().zip(&taps.weights);
            *value = used.map(|(value, weight)| value * weight).sum::<f32>().clamp(0.0, 1.0);
        }
    }
}

impl Taps {
    /// Mixes rows of a plane whose rows are as long as `into`.
    fn mix_rows(&self, plane: &[f32], into: &mut [f32]) {
        let width = into.len();
        into.fill(0.0);
        for (row, weight) in plane[self.first * width..].chunks_exact(width).zip(&self.weights) {
            into.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
    }

    /// Mixes rows of the product of two planes.
    fn mix_products(&self, plane: &[f32], alpha: &[f32], into: &mut [f32]) {
        let width = into.len();
        let [plane, alpha] = [plane, alpha].map(|values| values[self.first * width..].chunks_exact(width));
        into.fill(0.0);
        for ((row, alpha), weight) in plane.zip(alpha).zip(&self.weights) {
            into.iter_mut()
                .zip(row.iter().zip(alpha))
                .for_each(|(sum, (value, alpha))| *sum += weight * (value * alpha));
        }
    }
}

impl Picture {
    /// Resamples to `width` × `height` (at least 1 × 1) with a Lanczos filter, which is widened for downscaling.
    ///
    /// Colours are weighted by alpha. The result does not depend on the colours of pixels whose alpha is 0, not even
    /// where its own alpha is 0 and at the same size: those pixels are [`filled`](Picture::filled).
    ///
    /// # Panics
    ///
    /// If a plane is shorter than the picture's size requires.
    pub fn resize(&self, width: usize, height: usize) -> Picture {
        self.resize_with(Interpolation::Lanczos, width, height)
    }

    /// [`resize`](Picture::resize) with a filter.
    ///
    /// # Panics
    ///
    /// If a plane is shorter than the picture's size requires.
    pub fn resize_with(&self, interpolation: Interpolation, width: usize, height: usize) -> Picture {
        let (width, height) = (width.max(1), height.max(1));
        if (width, height) == (self.width, self.height) {
            return self.filled().into_owned();
        }
        picture(&self.filled(), interpolation, width, height)
    }

    /// Alpha resampled to `width` × `height`, `[height, width]`; `None` if every pixel is opaque.
    pub fn alpha_at(&self, width: usize, height: usize) -> Option<Vec<f32>> {
        self.alpha.as_ref().map(|alpha| plane(alpha, [self.width, self.height], [width, height]))
    }

    /// The picture as a mask, `[height, width]`, from 0 to 1: luminance (Rec. 601) times alpha, resampled.
    pub fn mask(&self, width: usize, height: usize) -> Vec<f32> {
        let count = self.pixels();
        let luminance = |pixel: usize| -> f32 { (0..3).map(|c| LUMA[c] * self.rgb[c * count + pixel]).sum() };
        let opacity = |pixel: usize| self.alpha.as_ref().map_or(1.0, |alpha| alpha[pixel]);
        let mask: Vec<f32> = (0..count).map(|pixel| luminance(pixel) * opacity(pixel)).collect();
        plane(&mask, [self.width, self.height], [width, height])
    }

    /// Resamples, up or down, to a longer side of `long_side` pixels, see [`scaled_size`].
    pub fn fit(&self, long_side: usize) -> Picture {
        let (width, height) = scaled_size(self.width, self.height, long_side);
        self.resize(width, height)
    }
}

/// A plane of `[width, height]` at another size, with values of 0..1.
fn plane(plane: &[f32], [width, height]: [usize; 2], [new_width, new_height]: [usize; 2]) -> Vec<f32> {
    let mut resized = vec![0.0; new_width * new_height];
    if !plane.is_empty() && !resized.is_empty() {
        let plane = &plane[..width * height];
        let rows = Filter::new(Interpolation::Lanczos, height, new_height, 0..new_height);
        let columns = Filter::new(Interpolation::Lanczos, width, new_width, 0..new_width);
        let lines = resized.par_chunks_mut(new_width).zip(&rows.0);
        lines.for_each_with(vec![0.0; width], |mixed, (into, taps)| {
            taps.mix_rows(plane, mixed);
            columns.mix_columns(mixed, into);
        });
    }
    resized
}

/// A [filled](Picture::filled) picture at another size, at least 1 × 1.
fn picture(filled: &Picture, interpolation: Interpolation, width: usize, height: usize) -> Picture {
    let mut resized = Picture::new(width, height);
    resized.alpha = filled.alpha.as_ref().map(|_| vec![0.0; width * height]);
    if filled.pixels() > 0 {
        let rows = Filter::new(interpolation, filled.height, height, 0..height);
        let columns = Filter::new(interpolation, filled.width, width, 0..width);
        mix(filled, &rows, &columns, resized.lines_mut());
    }
    resized
}

/// Writes rows of a resized picture: red, green, blue, and alpha if there is one.
fn mix(from: &Picture, rows: &Filter, columns: &Filter, into: Vec<Vec<&mut [f32]>>) {
    let (width, count) = (from.width, from.pixels());
    into.into_par_iter().zip(&rows.0).for_each_with(vec![0.0; width], |mixed, (mut line, taps)| {
        for (channel, into) in line[..3].iter_mut().enumerate() {
            let plane = &from.rgb[channel * count..][..count];
            taps.mix_rows(plane, mixed);
            columns.mix_columns(mixed, into);
        }
        let (Some(alpha), [red, green, blue, resized_alpha]) = (&from.alpha, &mut line[..]) else { return };
        taps.mix_rows(alpha, mixed);
        columns.mix_columns(mixed, resized_alpha);
        let mut products = vec![0.0; resized_alpha.len()];
        for (channel, into) in [red, green, blue].into_iter().enumerate() {
            let plane = &from.rgb[channel * count..][..count];
            taps.mix_products(plane, alpha, mixed);
            columns.mix_columns(mixed, &mut products);
            // Elsewhere the filled colour, resampled without alpha, is kept.
            for ((value, product), alpha) in into.iter_mut().zip(&products).zip(resized_alpha.iter()) {
                if *alpha > FAINT {
                    *value = (product / alpha).clamp(0.0, 1.0);
                }
            }
        }
    });
}

/// A source at another size. Of the source and of the result, only the parts that are read are held in memory.
///
/// A part is equal to the same part of [`Picture::resize_with`]. It needs the pixels of the source under it and, on each
/// side, as many as the filter reaches, or that times the scale when downscaling.
#[derive(Clone, Copy)]
pub struct Resized<'a> {
    source: &'a dyn PixelSource,
    interpolation: Interpolation,
    width: usize,
    height: usize,
    /// Most pixels of the source that are read at once, if one row of the result does not need more.
    most: usize,
}

impl<'a> Resized<'a> {
    /// `source`, which has at least one pixel, at a size of `width` × `height`, at least 1 × 1.
    pub fn new(source: &'a dyn PixelSource, width: usize, height: usize) -> Self {
        Self::with(Interpolation::Lanczos, source, width, height)
    }

    /// [`new`](Self::new) with a filter.
    pub fn with(interpolation: Interpolation, source: &'a dyn PixelSource, width: usize, height: usize) -> Self {
        Resized { source, interpolation, width: width.max(1), height: height.max(1), most: BAND }
    }
}

impl PixelSource for Resized<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn has_alpha(&self) -> bool {
        self.source.has_alpha()
    }

    fn read(&self, rows: Range<usize>, columns: Range<usize>) -> Result<Picture> {
        assert!(
            rows.end <= self.height && columns.end <= self.width,
            "rows {rows:?} and columns {columns:?} are not within {}x{}",
            self.width,
            self.height
        );
        let (width, height) = (self.source.width(), self.source.height());
        if [width, height] == [self.width, self.height] {
            return self.source.read(rows, columns);
        }
        let mut part = Picture::new(columns.len(), rows.len());
        part.alpha = self.has_alpha().then(|| vec![0.0; part.pixels()]);
        let columns = Filter::new(self.interpolation, width, self.width, columns);
        let across = columns.span();
        let columns = columns.from(across.start);
        let mut lines = part.lines_mut().into_iter();
        let mut top = rows.start;
        while top < rows.end {
            let mut end = rows.end;
            let mut band = Filter::new(self.interpolation, height, self.height, top..end);
            while end - top > 1 && band.span().len() * across.len() > self.most {
                end = top + (end - top).div_ceil(2);
                band.0.truncate(end - top);
            }
            let down = band.span();
            let from = self.source.read(down.clone(), across.clone())?;
            mix(&from, &band.from(down.start), &columns, lines.by_ref().take(end - top).collect());
            top = end;
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use image::{ImageBuffer, Luma, imageops};

    use super::*;
    use crate::random::Random;

    fn noise(width: usize, height: usize, alpha: bool) -> Picture {
        let mut random = Random::new(7);
        let rgb = (0..3 * width * height).map(|_| random.uniform()).collect();
        let mut picture = Picture::from_rgb(width, height, rgb).unwrap();
        picture.alpha = alpha.then(|| {
            let opacity =
                |index: usize| (random.uniform() * 2.0 - (index % width) as f32 / width as f32).clamp(0.0, 1.0);
            (0..width * height).map(opacity).collect()
        });
        picture.filled().into_owned()
    }

    /// A source that remembers the largest part, in rows and columns, which was read from it.
    struct Watched(Picture, Cell<[usize; 2]>);

    impl PixelSource for Watched {
        fn width(&self) -> usize {
            self.0.width
        }

        fn height(&self) -> usize {
            self.0.height
        }

        fn has_alpha(&self) -> bool {
            self.0.alpha.is_some()
        }

        fn read(&self, rows: Range<usize>, columns: Range<usize>) -> Result<Picture> {
            let [down, across] = self.1.get();
            self.1.set([down.max(rows.len()), across.max(columns.len())]);
            self.0.read(rows, columns)
        }
    }

    #[test]
    fn parts_are_those_of_the_whole_and_no_more_is_read_than_they_need() {
        for alpha in [false, true] {
            let source = Watched(noise(50, 37, alpha), Cell::default());
            for [width, height] in [[23, 19], [125, 90], [50, 80], [11, 37], [50, 37], [1, 1], [3, 200]] {
                let whole = source.0.resize(width, height);
                let resized = Resized::new(&source, width, height);
                assert_eq!([resized.width(), resized.height()], [width, height]);
                let [rows, columns] = [height, width].map(|side| side / 3..side - side / 4);
                source.1.set([0, 0]);
                let part = resized.read(rows.clone(), columns.clone()).unwrap();
                assert_eq!(part, whole.cut(rows.clone(), columns.clone()), "{width}x{height}, alpha: {alpha}");
                for (read, [from, to, count]) in
                    source.1.get().into_iter().zip([[37, height, rows.len()], [50, width, columns.len()]])
                {
                    let scale = from as f64 / to as f64;
                    let needed = count as f64 * scale + 6.0 * scale.max(1.0) + 2.0;
                    assert!(read as f64 <= needed, "{read} of {from} read for {count} of {to}");
                }
            }
        }
    }

    #[test]
    fn a_large_source_is_read_in_bands() {
        let source = Watched(noise(20, 320, true), Cell::default());
        let whole = source.0.resize(7, 80);
        for (most, expected) in [(usize::MAX, 6400), (2000, 2000), (0, 25 * 20)] {
            source.1.set([0, 0]);
            let resized = Resized { most, ..Resized::new(&source, 7, 80) };
            assert_eq!(resized.read(0..80, 0..7).unwrap(), whole);
            let [rows, columns] = source.1.get();
            assert!((1..=expected).contains(&(rows * columns)), "{rows}x{columns}, at most {most}");
        }
    }

    #[test]
    fn planes_agree_with_another_implementation() {
        let picture = noise(41, 29, false);
        let from = &picture.rgb[..41 * 29];
        assert_eq!(plane(from, [41, 29], [41, 29]), from);
        assert_eq!(plane(&[], [0, 5], [2, 1]), [0.0; 2]);
        for [width, height] in [[17, 12], [100, 70], [41, 9]] {
            let view = ImageBuffer::<Luma<f32>, &[f32]>::from_raw(41, 29, from).unwrap();
            let expected = imageops::resize(&view, width, height, imageops::FilterType::Lanczos3).into_raw();
            let got = plane(from, [41, 29], [width, height].map(|side| side as usize));
            let difference = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 1e-5 && got.len() == expected.len(), "{width}x{height}: {difference}");
        }
    }
}
