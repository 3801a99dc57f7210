//! Pictures as interleaved integers, for sizes at which planes of `f32` take too much memory.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    Picture, PixelSink, PixelSource, fill,
    parts::{check_finite, strips},
    sample::{Integer, Sample},
};
use crate::{Error, Result};

/// An sRGB picture with samples of 8 or 16 bits, not premultiplied by alpha.
///
/// It takes 3 to 8 bytes a pixel, where a [`Picture`] takes 12 to 16. It is read and written in parts, see
/// [`PixelSource`] and [`PixelSink`].
#[derive(Clone, Debug, PartialEq)]
pub struct CompactPicture {
    width: usize,
    height: usize,
    has_alpha: bool,
    samples: Samples,
}

/// Interleaved samples: red, green, blue, and alpha if there is one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Samples {
    U8(Vec<u8>),
    U16(Vec<u16>),
}

/// Evaluates an expression for the vector of samples, of whichever type it is.
macro_rules! with_samples {
    ($samples:expr, $name:ident => $value:expr) => {
        match $samples {
            Samples::U8($name) => $value,
            Samples::U16($name) => $value,
        }
    };
}

impl CompactPicture {
    /// A black, opaque picture with samples of 16 bits (`deep`) or 8 bits.
    pub fn new(width: usize, height: usize, deep: bool) -> Self {
        Self::black(width, height, false, deep)
    }

    /// A black picture with the size and the alpha of `source`, and samples of 16 bits (`deep`) or 8 bits.
    ///
    /// # Errors
    ///
    /// Those of [`PixelSource::read`]; [`Error::NonFinite`] for an alpha that is NaN or infinite.
    pub fn like(source: &dyn PixelSource, deep: bool) -> Result<Self> {
        let (width, height) = (source.width(), source.height());
        let mut picture = Self::black(width, height, source.has_alpha(), deep);
        if picture.has_alpha {
            for rows in strips(width, height) {
                let top = rows.start;
                let mut part = source.read(rows, 0..width)?;
                part.rgb.fill(0.0);
                picture.store(&part, [0, top], true)?;
            }
        }
        Ok(picture)
    }

    /// A picture with samples of 16 bits (`deep`) or 8 bits, rounded to the nearest.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if the planes have another length than the size requires; [`Error::NonFinite`] with the
    /// position of the first NaN or infinite value.
    pub fn from_picture(picture: &Picture, deep: bool) -> Result<Self> {
        picture.check("CompactPicture::from_picture", "picture")?;
        let mut compact = Self::black(picture.width, picture.height, picture.alpha.is_some(), deep);
        compact.store(picture, [0, 0], true)?;
        Ok(compact)
    }

    /// A picture with samples of 8 bits. `rgba` has red, green, blue and alpha of each pixel, row by row from the top,
    /// sRGB, not premultiplied by alpha. Colours where alpha is 0 are replaced as by [`Picture::filled`].
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if a side is 0 or `rgba` is not 4 × width × height bytes long.
    pub fn from_rgba8(width: usize, height: usize, rgba: Vec<u8>) -> Result<Self> {
        let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(4));
        if rgba.is_empty() || expected != Some(rgba.len()) {
            let expected = format!("4 bytes for each of {width}x{height} pixels, at least one");
            return Err(Error::argument("CompactPicture::from_rgba8", "rgba", expected, rgba.len()));
        }
        Ok(Self::from_samples([width, height], true, Samples::U8(rgba)))
    }

    /// Red, green, blue and alpha of the pixels of a row, from the left. Samples of 16 bits are rounded, and alpha is
    /// 255 in an opaque picture.
    ///
    /// # Panics
    ///
    /// If the picture has no such row.
    pub fn row_rgba8(&self, row: usize) -> impl Iterator<Item = [u8; 4]> + '_ {
        assert!(row < self.height, "row {row} of a picture of {}", self.height);
        let channels = self.channels();
        let start = row * self.width * channels;
        let sample = move |index: usize| with_samples!(&self.samples, samples => u8::nearest(samples[index].unit()));
        (0..self.width).map(move |x| {
            let at = start + x * channels;
            [sample(at), sample(at + 1), sample(at + 2), if channels == 4 { sample(at + 3) } else { 255 }]
        })
    }

    /// The whole picture as planes of `f32`.
    pub fn to_picture(&self) -> Picture {
        self.planes(0..self.height, 0..self.width)
    }

    /// Whether the samples have 16 bits.
    pub fn is_deep(&self) -> bool {
        matches!(self.samples, Samples::U16(_))
    }

    /// The picture of these samples, which the size must match. Alpha is dropped if every pixel is opaque, and hidden
    /// pixels are filled.
    pub(super) fn from_samples(size: [usize; 2], has_alpha: bool, samples: Samples) -> Self {
        let [width, height] = size;
        let mut picture = CompactPicture { width, height, has_alpha, samples };
        if has_alpha && with_samples!(&mut picture.samples, samples => drop_opaque_alpha(samples)) {
            picture.has_alpha = false;
        }
        if picture.has_alpha {
            with_samples!(&mut picture.samples, samples => fill_hidden(samples, size));
        }
        picture
    }

    fn black(width: usize, height: usize, has_alpha: bool, deep: bool) -> Self {
        let count = width * height * if has_alpha { 4 } else { 3 };
        let samples = if deep { Samples::U16(vec![0; count]) } else { Samples::U8(vec![0; count]) };
        CompactPicture { width, height, has_alpha, samples }
    }

    fn channels(&self) -> usize {
        if self.has_alpha { 4 } else { 3 }
    }

    fn planes(&self, rows: Range<usize>, columns: Range<usize>) -> Picture {
        fn copy<T: Integer>(samples: &[T], width: usize, top: usize, columns: Range<usize>, part: &mut Picture) {
            let lines = part.lines_mut().into_par_iter().enumerate();
            lines.for_each(|(y, mut line)| {
                let channels = line.len();
                let row = &samples[(top + y) * width * channels..][..width * channels];
                let row = row[columns.start * channels..columns.end * channels].chunks_exact(channels);
                for (x, pixel) in row.enumerate() {
                    line.iter_mut().zip(pixel).for_each(|(plane, sample)| plane[x] = sample.unit());
                }
            });
        }
        assert!(
            rows.end <= self.height && columns.end <= self.width,
            "rows {rows:?} and columns {columns:?} are not within {}x{}",
            self.width,
            self.height
        );
        let mut part = Picture::new(columns.len(), rows.len());
        part.alpha = self.has_alpha.then(|| vec![0.0; part.pixels()]);
        with_samples!(&self.samples, samples => copy(samples, self.width, rows.start, columns, &mut part));
        part
    }

    /// Stores `part` with its upper left corner at `[x, y]`: its colours and, if `alpha` says so, its alpha.
    fn store(&mut self, part: &Picture, at: [usize; 2], alpha: bool) -> Result<()> {
        fn copy<'p, T: Integer + 'p>(
            rows: impl IndexedParallelIterator<Item = &'p mut [T]>,
            [left, channels]: [usize; 2],
            width: usize,
            planes: &[&[f32]],
        ) {
            rows.enumerate().for_each(|(y, row)| {
                let pixels = row[left * channels..].chunks_exact_mut(channels).take(width);
                for (x, pixel) in pixels.enumerate() {
                    pixel.iter_mut().zip(planes).for_each(|(sample, plane)| *sample = T::nearest(plane[y * width + x]));
                }
            });
        }
        let [x, y] = at;
        assert!(
            x + part.width <= self.width && y + part.height <= self.height,
            "a part of {}x{} at {x}, {y} is not within {}x{}",
            part.width,
            part.height,
            self.width,
            self.height
        );
        check_finite(part, "the part of the picture", at)?;
        if part.pixels() > 0 {
            let alpha = part.alpha.as_deref().filter(|_| alpha);
            let planes: Vec<&[f32]> = part.rgb.chunks(part.pixels()).chain(alpha).collect();
            let (stride, channels) = (self.width * self.channels(), self.channels());
            with_samples!(&mut self.samples, samples => {
                let rows = samples.par_chunks_mut(stride).skip(y).take(part.height);
                copy(rows, [x, channels], part.width, &planes);
            });
        }
        Ok(())
    }
}

impl PixelSource for CompactPicture {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn has_alpha(&self) -> bool {
        self.has_alpha
    }

    fn read(&self, rows: Range<usize>, columns: Range<usize>) -> Result<Picture> {
        Ok(self.planes(rows, columns))
    }
}

impl PixelSink for CompactPicture {
    fn write(&mut self, part: &Picture, at: [usize; 2]) -> Result<()> {
        self.store(part, at, false)
    }
}

/// Removes alpha from samples of four channels if all of it is opaque, and returns whether it was.
fn drop_opaque_alpha<T: Integer + PartialEq>(samples: &mut Vec<T>) -> bool {
    let opaque = T::nearest(1.0);
    let is_opaque = samples.par_chunks_exact(4).all(|pixel| pixel[3] == opaque);
    if is_opaque {
        let pixels = samples.len() / 4;
        (0..pixels).for_each(|pixel| samples.copy_within(4 * pixel..4 * pixel + 3, 3 * pixel));
        samples.truncate(3 * pixels);
        samples.shrink_to_fit();
    }
    is_opaque
}

/// Replaces the colours of pixels whose alpha is 0, as [`Picture::filled`] does.
fn fill_hidden<T: Integer + PartialEq>(samples: &mut [T], [width, height]: [usize; 2]) {
    let clear = T::default();
    if !samples.par_chunks_exact(4).any(|pixel| pixel[3] == clear) {
        return;
    }
    let at = |x: usize, y: usize| [0, 1, 2, 3].map(|channel| samples[4 * (y * width + x) + channel].unit());
    let around = fill::Around::new([width, height], at);
    samples.par_chunks_mut(4 * width).enumerate().for_each(|(y, row)| {
        for (x, pixel) in row.chunks_exact_mut(4).enumerate().filter(|(_, pixel)| pixel[3] == clear) {
            let colour = [0, 1, 2].map(|channel| T::nearest(around.colour(x, y, channel)));
            pixel[..3].copy_from_slice(&colour);
        }
    });
}

#[cfg(test)]
#[path = "compact_tests.rs"]
mod tests;
