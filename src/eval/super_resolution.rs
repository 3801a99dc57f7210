//! How good a super-resolution net is: small photos, made as in its training, enlarged and compared with the photos.
//!
//! PSNR and SSIM are measured on the luma of Rec. 601 in its range of 16 to 235 (of 255), without a border as wide as the
//! scale, as in arXiv:1603.08155. All results are rounded to 8 bits before.

use serde::Serialize;

use super::ssim;
use crate::gpu::{DeviceTensor, Recorder};
use crate::io::{Interpolation, Picture};
use crate::methods::super_resolution;
use crate::nets::super_resolution_net::{Enlarger, Reduction};
use crate::nets::tiles::Budget;
use crate::nets::{Tap, Vgg19};
use crate::train::feed_forward::measure;
use crate::{Error, Result};

/// Figures of an enlarged picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Peak signal-to-noise ratio of the luma in dB.
    pub psnr: f64,
    /// Structural similarity of the luma.
    pub ssim: f64,
    /// Squared difference of the features from the photo's, over the squares of the photo's.
    pub features: f64,
}

impl Figures {
    /// The mean of each figure.
    ///
    /// # Panics
    /// If there are none.
    pub fn mean(all: &[Figures]) -> Self {
        let of = |figure: fn(&Figures) -> f64| all.iter().map(figure).sum::<f64>() / all.len() as f64;
        assert!(!all.is_empty(), "figures of at least one picture");
        Figures {
            psnr: of(|figures| figures.psnr),
            ssim: of(|figures| figures.ssim),
            features: of(|figures| figures.features),
        }
    }
}

/// Measures enlarged pictures of one photo.
pub struct Judge<'a> {
    vgg: &'a Vgg19,
    tap: Tap,
    scale: usize,
    photo: Picture,
    features: Vec<f32>,
    small: Picture,
}

/// Values in steps of 1/255, within 0..1.
fn rounded(picture: &Picture) -> Picture {
    let rgb = picture.rgb.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() / 255.0).collect();
    Picture { rgb, alpha: None, ..*picture }
}

/// The luma of Rec. 601, 16/255 to 235/255, without `border` pixels on each side, and the width and height of that.
fn luma(picture: &Picture, border: usize) -> (Vec<f64>, [usize; 2]) {
    let inner = picture.cut(border..picture.height - border, border..picture.width - border);
    let count = inner.pixels();
    let of = |pixel: usize| {
        let [red, green, blue] = [0, 1, 2].map(|channel| f64::from(inner.rgb[channel * count + pixel]));
        (16.0 + 65.481 * red + 128.553 * green + 24.966 * blue) / 255.0
    };
    ((0..count).map(of).collect(), [inner.width, inner.height])
}

/// The peak signal-to-noise ratio in dB of values 0..1; infinite for equal ones.
fn noise(copy: &[f64], original: &[f64]) -> f64 {
    let squares: f64 = copy.iter().zip(original).map(|(a, b)| (a - b).powi(2)).sum();
    -10.0 * (squares / original.len() as f64).log10()
}

impl<'a> Judge<'a> {
    /// Reduces `photo`, whose central part with sides that are multiples of `scale` is taken. Features are those of
    /// `vgg` at `tap`.
    ///
    /// # Errors
    /// A photo that is too small; a tap beyond the weights.
    pub fn new(vgg: &'a Vgg19, tap: Tap, photo: &Picture, scale: usize) -> Result<Self> {
        let least = (ssim::WINDOW + 2 * scale).next_multiple_of(scale).max(5 * scale).max(vgg.least_side(tap));
        if photo.width.min(photo.height) < least {
            let got = format!("{}x{}", photo.width, photo.height);
            return Err(Error::argument("eval", "photo", format!("at least {least} px on its short side"), got));
        }
        let sides = [photo.width, photo.height].map(|side| side / scale * scale);
        let photo = rounded(&photo.filled().middle(sides[0], sides[1]));
        let context = vgg.context();
        let size = [photo.height, photo.width];
        let pixels = DeviceTensor::from_values(context, "photo", [1, 3, size[0], size[1]], &photo.rgb)?;
        let mut rec = Recorder::new(context);
        let x = rec.pin(&pixels);
        let small = Reduction::new(context, size, scale)?.forward(&mut rec, x)?;
        let small = rec.output(small)?;
        rec.finish()?.run()?;
        let small = Picture::from_rgb(sides[0] / scale, sides[1] / scale, small.read()?)?;
        let features = features(vgg, tap, &photo)?;
        Ok(Judge { vgg, tap, scale, photo, features, small })
    }

    /// The photo, and the small one that is to be enlarged.
    pub fn photos(&self) -> [&Picture; 2] {
        [&self.photo, &self.small]
    }

    /// The small photo, enlarged by interpolation.
    pub fn interpolated(&self, interpolation: Interpolation) -> Picture {
        rounded(&self.small.resize_with(interpolation, self.photo.width, self.photo.height))
    }

    /// The small photo, enlarged by a net.
    ///
    /// # Errors
    /// Those of [`super_resolution::enlarge`].
    pub fn enlarged(&self, enlarger: &mut Enlarger) -> Result<Picture> {
        Ok(rounded(&super_resolution::enlarge(enlarger, &self.small, self.scale, &Budget::default())?))
    }

    /// The figures of an enlarged picture.
    ///
    /// # Errors
    /// A picture of another size than the photo's.
    pub fn measure(&self, enlarged: &Picture) -> Result<Figures> {
        let [expected, got] = [&self.photo, enlarged].map(|picture| format!("{}x{}", picture.width, picture.height));
        if expected != got {
            return Err(Error::argument("eval", "picture", expected, got));
        }
        let ((copy, size), (original, _)) = (luma(enlarged, self.scale), luma(&self.photo, self.scale));
        let seen = features(self.vgg, self.tap, enlarged)?;
        let square = |value: f32| f64::from(value).powi(2);
        let difference: f64 = seen.iter().zip(&self.features).map(|(a, b)| square(a - b)).sum();
        let whole: f64 = self.features.iter().map(|value| square(*value)).sum();
        Ok(Figures {
            psnr: noise(&copy, &original),
            ssim: ssim::of_planes([&copy, &original], size),
            features: difference / whole.max(1e-12),
        })
    }
}

fn features(vgg: &Vgg19, tap: Tap, picture: &Picture) -> Result<Vec<f32>> {
    Ok(vgg.context().block_on(measure(vgg, picture, &[tap], |_, features| Ok(features)))?.swap_remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Y of white, black and pure green, and the PSNR of one step of luma in a picture of otherwise equal pixels.
    #[test]
    fn luma_has_the_range_of_video() {
        let mut picture = Picture::from_rgb(3, 1, vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]).unwrap();
        let (y, size) = luma(&picture, 0);
        assert_eq!(size, [3, 1]);
        for (got, expected) in y.iter().zip([235.0, 16.0, 144.553]) {
            assert!((got * 255.0 - expected).abs() < 1e-9, "{got}");
        }
        picture = Picture::new(9, 9);
        picture.rgb[..81].fill(1.0);
        let (y, size) = luma(&picture, 3);
        assert_eq!((y.len(), size), (9, [3, 3]));
        assert!((noise(&y, &luma(&Picture::new(9, 9), 3).0) - 20.0 * (255.0f64 / 65.481).log10()).abs() < 1e-9);
    }
}
