//! Pictures in memory. `decode.rs` reads them, `encode.rs` writes them, `resample.rs` changes their size.

use std::ops::Range;

use crate::{Error, Result};

/// Shares of red, green and blue in the luminance (Rec. 601).
pub(crate) const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// An sRGB picture as planes of `f32`, with an optional alpha plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Red, green and blue planes, `[3, height, width]`; sRGB-encoded, 0..1, not premultiplied by alpha.
    pub rgb: Vec<f32>,
    /// Opacity, `[height, width]`, from 0 (transparent) to 1 (opaque); `None` if every pixel is opaque.
    pub alpha: Option<Vec<f32>>,
}

impl Picture {
    /// A black, opaque picture.
    pub fn new(width: usize, height: usize) -> Self {
        Picture { width, height, rgb: vec![0.0; 3 * width * height], alpha: None }
    }

    /// An opaque picture from red, green and blue planes, `[3, height, width]`, sRGB-encoded, 0..1.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if a side is 0 or `rgb` has the wrong length.
    pub fn from_rgb(width: usize, height: usize, rgb: Vec<f32>) -> Result<Self> {
        let picture = Picture { width, height, rgb, alpha: None };
        picture.check("Picture::from_rgb", "rgb")?;
        Ok(picture)
    }

    /// Checks that the planes have the picture's size.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] of `op` and `argument`, also for a picture without pixels.
    pub(crate) fn check(&self, op: &str, argument: &str) -> Result<()> {
        let Picture { width, height, rgb, alpha } = self;
        let plane = width.checked_mul(*height).filter(|pixels| *pixels > 0 && pixels.checked_mul(3) == Some(rgb.len()));
        if plane.is_none() {
            let expected = format!("3 planes of {width}x{height}, at least one pixel");
            return Err(Error::argument(op, argument, expected, format!("{} values", rgb.len())));
        }
        match alpha.as_ref().map(Vec::len).filter(|length| Some(*length) != plane) {
            Some(length) => Err(Error::argument(
                op,
                argument,
                format!("an alpha plane of {width}x{height}"),
                format!("{length} values"),
            )),
            None => Ok(()),
        }
    }

    /// Width times height.
    pub fn pixels(&self) -> usize {
        self.width * self.height
    }

    /// Copies the colours of `other` to this picture, with the upper left corner at `[x, y]`. Pixels beyond the edge
    /// are dropped.
    pub fn paste(&mut self, other: &Picture, [x, y]: [usize; 2]) {
        let (width, height) =
            (other.width.min(self.width.saturating_sub(x)), other.height.min(self.height.saturating_sub(y)));
        let (plane, source) = (self.pixels(), other.pixels());
        for channel in 0..3 {
            for row in 0..height {
                let into = channel * plane + (y + row) * self.width + x;
                let from = channel * source + row * other.width;
                self.rgb[into..into + width].copy_from_slice(&other.rgb[from..from + width]);
            }
        }
    }

    /// A part of the picture.
    ///
    /// # Panics
    ///
    /// If the part is not within the picture.
    pub fn cut(&self, rows: Range<usize>, columns: Range<usize>) -> Picture {
        let cut = |plane: &[f32]| -> Vec<f32> {
            let row = |row: usize| &plane[row * self.width..][columns.clone()];
            rows.clone().flat_map(row).copied().collect()
        };
        let rgb = self.rgb.chunks(self.pixels().max(1)).flat_map(cut).collect();
        Picture { width: columns.len(), height: rows.len(), rgb, alpha: self.alpha.as_deref().map(cut) }
    }

    /// The rows of all planes: red, green, blue, and alpha if there is one.
    pub(super) fn lines_mut(&mut self) -> Vec<Vec<&mut [f32]>> {
        let (width, plane) = (self.width.max(1), self.pixels().max(1));
        let planes = self.rgb.chunks_mut(plane).chain(self.alpha.as_deref_mut());
        let mut lines: Vec<Vec<&mut [f32]>> = (0..self.height).map(|_| Vec::with_capacity(4)).collect();
        for plane in planes {
            lines.iter_mut().zip(plane.chunks_mut(width)).for_each(|(line, row)| line.push(row));
        }
        lines
    }

    /// The central part of `width` × `height` pixels, or the whole side where the picture is smaller.
    pub fn middle(&self, width: usize, height: usize) -> Picture {
        let (width, height) = (width.min(self.width), height.min(self.height));
        let [left, top] = [(self.width - width) / 2, (self.height - height) / 2];
        self.cut(top..top + height, left..left + width)
    }

    /// The largest central square.
    pub fn square(&self) -> Picture {
        let short = self.width.min(self.height);
        self.middle(short, short)
    }
}

/// The size with the same aspect ratio and a longer side of `long_side` pixels, at least 1 × 1.
pub fn scaled_size(width: usize, height: usize, long_side: usize) -> (usize, usize) {
    let long = width.max(height).max(1) as f64;
    let scaled = |side: usize| ((side as f64 * long_side as f64 / long).round() as usize).max(1);
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: usize, height: usize) -> Picture {
        let mut picture = Picture::new(width, height);
        for (index, value) in picture.rgb.iter_mut().enumerate() {
            *value = (index % width) as f32 / (width - 1) as f32;
        }
        picture
    }

    #[test]
    fn planes_must_have_the_pictures_size() {
        assert_eq!(Picture::from_rgb(2, 1, vec![0.5; 6]).unwrap().pixels(), 2);
        for (width, height, length) in [(2, 1, 5), (0, 4, 0), (usize::MAX, 2, 6)] {
            assert!(Picture::from_rgb(width, height, vec![0.5; length]).is_err(), "{width}x{height}");
        }
    }

    #[test]
    fn the_middle_is_cut_out_of_every_plane() {
        let rgb = (0..3 * 5 * 4).map(|index| index as f32).collect();
        let picture = Picture {
            alpha: Some((0..20).map(|index| index as f32 / 20.0).collect()),
            ..Picture::from_rgb(5, 4, rgb).unwrap()
        };
        let cut = picture.middle(2, 3);
        assert_eq!((cut.width, cut.height, cut.rgb.len()), (2, 3, 18));
        assert_eq!(cut.rgb[..6], [1.0, 2.0, 6.0, 7.0, 11.0, 12.0]);
        assert_eq!(cut.rgb[12..14], [41.0, 42.0]);
        assert_eq!(cut.alpha.unwrap()[4..], [11.0 / 20.0, 12.0 / 20.0]);
        assert_eq!(picture.square(), picture.middle(4, 9));
        assert_eq!(picture.middle(9, 9), picture);
    }

    #[test]
    fn sizes_keep_their_ratio_and_never_vanish() {
        assert_eq!(scaled_size(400, 300, 200), (200, 150));
        assert_eq!(scaled_size(300, 400, 800), (600, 800));
        assert_eq!(scaled_size(10_000, 1, 100), (100, 1));
        assert_eq!(scaled_size(3, 3, 0), (1, 1));
    }

    #[test]
    fn resizing_keeps_a_gradient_and_its_planes_apart() {
        let mut picture = gradient(64, 16);
        picture.rgb[2 * 64 * 16..].fill(0.25);
        for (width, height) in [(32, 8), (128, 40), (17, 5)] {
            let resized = picture.resize(width, height);
            assert_eq!((resized.width, resized.height, resized.rgb.len()), (width, height, 3 * width * height));
            for x in width / 8..width - width / 8 {
                let expected = ((x as f32 + 0.5) * 64.0 / width as f32 - 0.5) / 63.0;
                let got = resized.rgb[(height / 2) * width + x];
                assert!((got - expected).abs() < 0.01, "{width}: {got} at {x}, not {expected}");
            }
            assert!(resized.rgb[2 * width * height..].iter().all(|value| (value - 0.25).abs() < 1e-5));
        }
        assert_eq!(picture.fit(32).width, 32);
    }

    #[test]
    fn a_mask_is_bright_and_opaque() {
        // Black, white, red, and half-transparent white.
        let rgb = vec![0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        let mut picture = Picture::from_rgb(4, 1, rgb).unwrap();
        picture.alpha = Some(vec![1.0, 1.0, 1.0, 0.5]);
        let close = |got: Vec<f32>, expected: [f32; 4]| got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(picture.mask(4, 1), [0.0, 1.0, 0.299, 0.5]), "{:?}", picture.mask(4, 1));
        assert!(close(picture.alpha_at(4, 1).unwrap(), [1.0, 1.0, 1.0, 0.5]));
        assert_eq!(picture.mask(3, 2).len(), 6);
    }

    #[test]
    fn shrinking_averages_instead_of_skipping() {
        let mut picture = Picture::new(256, 256);
        for (index, value) in picture.rgb.iter_mut().enumerate() {
            *value = ((index % 256 + index / 256) % 2) as f32; // a checkerboard; skipping makes it black or white
        }
        let small = picture.resize(32, 32);
        assert!(small.rgb.iter().all(|value| (value - 0.5).abs() < 0.05));
    }

    #[test]
    fn the_colour_of_transparent_pixels_does_not_bleed() {
        // Left half opaque red, right half transparent green.
        let mut picture = Picture::new(16, 4);
        let left = |index: usize| if index % 16 < 8 { 1.0 } else { 0.0 };
        for index in 0..64 {
            picture.rgb[index] = left(index);
            picture.rgb[64 + index] = 1.0 - left(index);
        }
        picture.alpha = Some((0..64).map(left).collect());
        let small = picture.resize(7, 2);
        let alpha = small.alpha.as_ref().unwrap();
        for (index, alpha) in alpha.iter().enumerate() {
            if *alpha > 0.05 {
                assert!(small.rgb[index] > 0.99 && small.rgb[14 + index] < 0.01, "green bled into pixel {index}");
            }
        }
        assert!(alpha[0] > 0.95 && (0.2..0.8).contains(&alpha[3]) && alpha[6] < 0.05, "{alpha:?}");
        // Nor does it stay where it was.
        for (width, height) in [(16, 4), (8, 2), (40, 9)] {
            let resized = picture.resize(width, height);
            let last = width * height - 1;
            assert_eq!(resized.alpha.unwrap()[last], 0.0);
            assert!(resized.rgb[last] > 0.99 && resized.rgb[width * height + last] < 0.01, "{width}x{height}");
        }
    }
}
