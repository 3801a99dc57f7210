//! Pictures that are read and written in parts.

use std::ops::Range;

use super::Picture;
use crate::{Error, Result};

/// Most pixels of a strip, if a row is not longer.
pub(super) const STRIP: usize = 1 << 20;

/// A picture of which parts can be read. Nets see the colours of transparent pixels too, so these must have been
/// [filled](Picture::filled).
pub trait PixelSource {
    /// Width in pixels.
    fn width(&self) -> usize;

    /// Height in pixels.
    fn height(&self) -> usize;

    /// Whether some pixels are not opaque.
    fn has_alpha(&self) -> bool;

    /// A part of the picture, RGB 0..1. It has alpha if the picture has it, also where all pixels are opaque.
    ///
    /// # Panics
    /// If the part is not within the picture.
    fn read(&self, rows: Range<usize>, columns: Range<usize>) -> Result<Picture>;
}

/// A picture that is written in parts.
pub trait PixelSink {
    /// Stores the colours of `part` (RGB 0..1) with its upper left corner at `[x, y]`. Parts do not overlap. They come
    /// row by row: all parts of the same `y` have the same height, and come from left to right. The alpha of the picture
    /// is unchanged.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for NaN and infinite values, in sinks that round.
    ///
    /// # Panics
    /// If the part is not within the picture.
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
}

impl PixelSink for Picture {
    fn write(&mut self, part: &Picture, at: [usize; 2]) -> Result<()> {
        self.paste(part, at);
        Ok(())
    }
}

/// A mixture of two sources of equal size: `base + share (painted - base)`. Its alpha is that of `base`.
#[derive(Clone, Copy)]
pub struct Mixed<'a> {
    base: &'a dyn PixelSource,
    painted: &'a dyn PixelSource,
    share: f32,
}

impl<'a> Mixed<'a> {
    /// `share` is 0 for `base` alone and 1 for `painted` alone.
    ///
    /// # Errors
    /// [`Error::Argument`] if the sizes differ.
    pub fn new(base: &'a dyn PixelSource, painted: &'a dyn PixelSource, share: f32) -> Result<Self> {
        let [expected, got] = [base, painted].map(|source| format!("{}x{} pixels", source.width(), source.height()));
        if expected != got {
            return Err(Error::argument("Mixed::new", "painted", expected, got));
        }
        Ok(Mixed { base, painted, share })
    }
}

impl PixelSource for Mixed<'_> {
    fn width(&self) -> usize {
        self.base.width()
    }

    fn height(&self) -> usize {
        self.base.height()
    }

    fn has_alpha(&self) -> bool {
        self.base.has_alpha()
    }

    fn read(&self, rows: Range<usize>, columns: Range<usize>) -> Result<Picture> {
        let mut mixed = self.base.read(rows.clone(), columns.clone())?;
        let painted = self.painted.read(rows, columns)?;
        mixed.rgb.iter_mut().zip(&painted.rgb).for_each(|(value, painted)| *value += self.share * (painted - *value));
        Ok(mixed)
    }
}

/// Rows of a picture from top to bottom, in strips of bounded size.
pub(crate) fn strips(width: usize, height: usize) -> impl Iterator<Item = Range<usize>> {
    let rows = (STRIP / width.max(1)).max(1);
    (0..height).step_by(rows).map(move |top| top..(top + rows).min(height))
}

/// Checks that a part of a picture, with its upper left corner at `[x, y]`, has neither NaN nor infinite values.
pub(super) fn check_finite(part: &Picture, what: &str, [x, y]: [usize; 2]) -> Result<()> {
    let planes = part.rgb.chunks_exact(part.pixels().max(1)).chain(part.alpha.as_deref());
    let first = planes
        .zip(["red", "green", "blue", "alpha"])
        .filter_map(|(plane, name)| Some((plane.iter().position(|value| !value.is_finite())?, name)))
        .min_by_key(|(index, _)| *index);
    match first {
        Some((index, channel)) => Err(Error::NonFinite {
            what: what.into(),
            place: format!("x {}, y {}, {channel}", x + index % part.width, y + index / part.width),
            help: "nothing was written".into(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_lies_between_its_sources() {
        let mut base = Picture::from_rgb(3, 2, vec![0.2; 18]).unwrap();
        base.alpha = Some(vec![0.5; 6]);
        let painted = Picture::from_rgb(3, 2, (0..18).map(|index| index as f32 / 18.0).collect()).unwrap();
        let mixed = Mixed::new(&base, &painted, 0.25).unwrap();
        assert_eq!((mixed.width(), mixed.height(), mixed.has_alpha()), (3, 2, true));
        let part = mixed.read(1..2, 1..3).unwrap();
        assert_eq!(part.alpha, Some(vec![0.5; 2]));
        for (got, index) in part.rgb.iter().zip([4, 5, 10, 11, 16, 17]) {
            let expected = 0.2 + 0.25 * (index as f32 / 18.0 - 0.2);
            assert!((got - expected).abs() < 1e-6, "{got} instead of {expected}");
        }
        let message = Mixed::new(&base, &Picture::new(2, 3), 0.5).err().unwrap().to_string();
        assert!(message.contains("3x2 pixels") && message.contains("2x3 pixels"), "{message}");
    }

    #[test]
    fn strips_cover_every_row_once() {
        for [width, height] in [[1, 5], [0, 3], [STRIP / 2, 5], [2 * STRIP, 2]] {
            let rows: Vec<usize> = strips(width, height).flatten().collect();
            assert_eq!(rows, (0..height).collect::<Vec<_>>());
            assert!(strips(width, height).all(|rows| rows.len() == 1 || rows.len() * width <= STRIP));
        }
    }
}
