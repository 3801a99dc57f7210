//! Colours for pixels that cannot be seen: those of the visible pixels around them, by a pyramid (Gortler, Grzeszczuk,
//! Szeliski and Cohen, "The Lumigraph", 1996, section 3.6).
//!
//! Pull: a pixel of a level is the mean of four pixels of the finer level, weighted by their alpha; the weights are
//! added and bounded by 1. Push: from coarse to fine, a pixel gets what its weight lacks from the coarser level.

use std::borrow::Cow;

use rayon::prelude::*;

use super::Picture;

/// Red, green, blue and weight.
pub(super) type Pixel = [f32; 4];

/// The colour of a picture without a visible pixel.
const GREY: f32 = 0.5;

struct Level {
    width: usize,
    height: usize,
    pixels: Vec<Pixel>,
}

impl Level {
    /// The level above one of `[width, height]`, whose pixels `at` gives.
    fn above([width, height]: [usize; 2], at: impl Fn(usize, usize) -> Pixel + Sync) -> Self {
        let (wide, high) = (width.div_ceil(2), height.div_ceil(2));
        let mut pixels = vec![[0.0; 4]; wide * high];
        pixels.par_chunks_mut(wide).enumerate().for_each(|(row, pixels)| {
            for (column, pixel) in pixels.iter_mut().enumerate() {
                for y in 2 * row..(2 * row + 2).min(height) {
                    for x in 2 * column..(2 * column + 2).min(width) {
                        let [red, green, blue, weight] = at(x, y);
                        // A hidden colour can be anything, also NaN.
                        if weight > 0.0 {
                            let colour = [red * weight, green * weight, blue * weight, weight];
                            pixel.iter_mut().zip(colour).for_each(|(sum, value)| *sum += value);
                        }
                    }
                }
                let [red, green, blue, weight] = *pixel;
                if weight > 0.0 {
                    *pixel = [red / weight, green / weight, blue / weight, weight.min(1.0)];
                }
            }
        });
        Level { width: wide, height: high, pixels }
    }

    /// A channel of the colour at a pixel of the finer level, interpolated.
    fn at(&self, x: usize, y: usize, channel: usize) -> f32 {
        // The centre of a fine pixel is a quarter of a coarse pixel away from a coarse centre.
        let beside = |at: usize, side: usize| {
            let near = at / 2;
            [near, if at.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(side - 1) }]
        };
        let ([near_x, far_x], [near_y, far_y]) = (beside(x, self.width), beside(y, self.height));
        let pixel = |x: usize, y: usize| self.pixels[y * self.width + x][channel];
        let row = |y| 0.75 * pixel(near_x, y) + 0.25 * pixel(far_x, y);
        0.75 * row(near_y) + 0.25 * row(far_y)
    }

    /// Completes the pixels with a weight below 1 from the coarser level.
    fn complete(&mut self, coarser: &Level) {
        let width = self.width;
        self.pixels.par_chunks_mut(width).enumerate().for_each(|(y, pixels)| {
            for (x, pixel) in pixels.iter_mut().enumerate().filter(|(_, pixel)| pixel[3] < 1.0) {
                let weight = pixel[3];
                for (channel, own) in pixel[..3].iter_mut().enumerate() {
                    let coarse = coarser.at(x, y, channel);
                    *own = coarse + weight * (*own - coarse);
                }
            }
        });
    }
}

/// The colours that a picture's visible pixels have around its hidden ones.
pub(super) struct Around(Level);

impl Around {
    /// `at` gives the pixels of a picture of `[width, height]`, at least one; the weight is alpha, 0..1.
    pub fn new(size: [usize; 2], at: impl Fn(usize, usize) -> Pixel + Sync) -> Self {
        let mut levels = vec![Level::above(size, at)];
        while let Some(Level { width, height, pixels }) = levels.last()
            && width.max(height) > &1
            && pixels.iter().any(|pixel| pixel[3] < 1.0)
        {
            levels.push(Level::above([*width, *height], |x, y| pixels[y * width + x]));
        }
        // No level is empty, because the picture has a pixel.
        let mut coarser = levels.remove(levels.len() - 1);
        if coarser.pixels.iter().all(|pixel| pixel[3] == 0.0) {
            coarser.pixels.fill([GREY; 4]);
        }
        for mut level in levels.into_iter().rev() {
            level.complete(&coarser);
            coarser = level;
        }
        Around(coarser)
    }

    /// A channel of the colour for a hidden pixel.
    pub fn colour(&self, x: usize, y: usize, channel: usize) -> f32 {
        self.0.at(x, y, channel)
    }
}

impl Picture {
    /// The picture with new colours where alpha is 0: those of the visible pixels around them, smoothly continued.
    /// Other pixels and alpha are unchanged. A picture without a visible pixel becomes grey.
    ///
    /// A net reads the colours of all pixels. On this picture its result does not depend on colours that nobody sees.
    ///
    /// # Panics
    ///
    /// If a plane is shorter than the picture's size requires.
    pub fn filled(&self) -> Cow<'_, Picture> {
        let (width, count) = (self.width, self.pixels());
        let Some(alpha) = self.alpha.as_ref().filter(|alpha| alpha.contains(&0.0)) else { return Cow::Borrowed(self) };
        let at = |x: usize, y: usize| {
            let index = y * width + x;
            [self.rgb[index], self.rgb[count + index], self.rgb[2 * count + index], alpha[index].clamp(0.0, 1.0)]
        };
        let around = Around::new([self.width, self.height], at);
        let mut filled = self.clone();
        for (channel, plane) in filled.rgb.chunks_mut(count).enumerate() {
            let rows = plane.par_chunks_mut(width).zip(alpha.par_chunks(width)).enumerate();
            rows.for_each(|(y, (row, alpha))| {
                for (x, (value, _)) in row.iter_mut().zip(alpha).enumerate().filter(|(_, (_, alpha))| **alpha == 0.0) {
                    *value = around.colour(x, y, channel);
                }
            });
        }
        Cow::Owned(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with a slope of colour that is visible in a disc, and `hidden` elsewhere.
    fn disc(side: usize, hidden: [f32; 3]) -> Picture {
        let inside = |index: usize| {
            let [x, y] = [index % side, index / side].map(|at| at as f32 + 0.5 - side as f32 / 2.0);
            x * x + y * y < (side * side) as f32 / 9.0
        };
        let mut picture = Picture::new(side, side);
        let count = picture.pixels();
        for (index, value) in picture.rgb.iter_mut().enumerate() {
            let (pixel, channel) = (index % count, index / count);
            let slope = 0.2 + 0.6 * (pixel % side) as f32 / side as f32 * (channel as f32 + 1.0) / 3.0;
            *value = if inside(pixel) { slope } else { hidden[channel] };
        }
        picture.alpha = Some((0..count).map(|pixel| if inside(pixel) { 1.0 } else { 0.0 }).collect());
        picture
    }

    #[test]
    fn hidden_colours_come_from_the_visible_pixels_alone() {
        for side in [1, 2, 5, 33, 64] {
            let first = disc(side, [0.0; 3]).filled().into_owned();
            for hidden in [[1.0; 3], [1.0, 0.0, 1.0], [f32::NAN; 3]] {
                let picture = disc(side, hidden);
                let filled = picture.filled();
                assert_eq!(*filled, first, "{side} {hidden:?}");
                let (alpha, count) = (picture.alpha.as_ref().unwrap(), picture.pixels());
                for (index, value) in filled.rgb.iter().enumerate() {
                    if alpha[index % count] > 0.0 {
                        assert_eq!(*value, picture.rgb[index], "a visible pixel has changed");
                    }
                    assert!((0.15..0.85).contains(value), "{value} at {index} of {side}");
                }
            }
        }
        // Beside the disc, the colour is nearly that of its rim.
        let filled = disc(64, [0.0; 3]).filled().into_owned();
        let at = |x: usize| filled.rgb[2 * 64 * 64 + 32 * 64 + x];
        for (outside, rim) in [(8, 11), (55, 52)] {
            assert!((at(outside) - at(rim)).abs() < 0.06, "{} beside {}", at(outside), at(rim));
        }
        assert!(at(55) - at(8) > 0.25, "{} {}", at(8), at(55));
    }

    #[test]
    fn faint_pixels_keep_their_colours_and_opaque_pictures_are_untouched() {
        let mut picture = disc(16, [0.9; 3]);
        picture.alpha.as_mut().unwrap().iter_mut().for_each(|alpha| *alpha = alpha.max(1.0 / 255.0));
        assert!(matches!(picture.filled(), Cow::Borrowed(_)));
        picture.alpha = None;
        assert!(matches!(picture.filled(), Cow::Borrowed(_)));
        picture.alpha = Some(vec![0.0; 256]);
        assert!(picture.filled().rgb.iter().all(|value| *value == GREY));
    }
}
