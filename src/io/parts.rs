//! Pictures that are read and written in parts.

use std::ops::Range;

use super::Picture;
use crate::Result;

/// A picture of which parts can be read. Nets see the colours of transparent pixels too, so these must have been
/// [filled](Picture::filled).
pub trait PixelSource {
    /// Width in pixels.
    fn width(&self) -> usize;

    /// Height in pixels.
    fn height(&self) -> usize;

    /// Whether some pixels are not opaque.
    fn has_alpha(&self) -> bool;

    /// A part of the picture, RGB 0..1.
    ///
    /// # Panics
    /// If the part is not within the picture.
    fn read(&self, rows: Range<usize>, columns: Range<usize>) -> Result<Picture>;

    /// Alpha resampled to `width` × `height`, `[height, width]`; `None` if every pixel is opaque.
    fn alpha_at(&self, width: usize, height: usize) -> Result<Option<Vec<f32>>>;
}

/// A picture that is written in parts.
pub trait PixelSink {
    /// Stores the colours of `part` (RGB 0..1) with its upper left corner at `[x, y]`. Parts do not overlap. They come
    /// row by row: all parts of the same `y` have the same height, and come from left to right.
    fn write(&mut self, part: &Picture, at: [usize; 2]) -> Result<()>;
}

impl PixelSource for Picture {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn has_alpha(&self) -> bool {
        self.alpha.is_some()
    }

    fn read(&self, rows: Range<usize>, columns: Range<usize>) -> Result<Picture> {
        Ok(self.cut(rows, columns))
    }

    fn alpha_at(&self, width: usize, height: usize) -> Result<Option<Vec<f32>>> {
        Ok(Picture::alpha_at(self, width, height))
    }
}

impl PixelSink for Picture {
    fn write(&mut self, part: &Picture, at: [usize; 2]) -> Result<()> {
        self.paste(part, at);
        Ok(())
    }
}
