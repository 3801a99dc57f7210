//! Decoded samples, and their conversion to an sRGB picture.

use image::DynamicImage;
use rayon::prelude::*;

use super::{
    file::{Refusal, refusal},
    picture::{Picture, scaled_size},
    profile::{Converter, Space},
};

/// A remedy.
pub(super) const INTEGERS: &str = "save it with 8 or 16 bits a channel";

/// The samples of a decoded file.
pub(super) struct Raster {
    /// The samples. The four channels of CMYK (0: no ink) are stored as if they were RGBA.
    pub image: DynamicImage,
    /// Whether the samples are CMYK.
    pub cmyk: bool,
    /// Whether the colours are multiplied by alpha.
    pub premultiplied: bool,
}

impl Raster {
    pub fn new(image: DynamicImage) -> Self {
        Raster { image, cmyk: false, premultiplied: false }
    }

    /// The colour space of the samples, if no profile says more.
    pub fn space(&self) -> Space {
        match self.cmyk {
            true => Space::Cmyk,
            false if self.image.color().has_color() => Space::Rgb,
            false => Space::Grey,
        }
    }

    /// Averages the integers of an opaque picture that is more than four times as large as `long_side` down to twice that
    /// size. Resizing the result gives the same size as resizing the whole picture. Floats are not reduced:
    /// `thumbnail_exact` rounds as for integers, which adds half a unit to them.
    pub fn reduce(&mut self, long_side: usize) {
        let (width, height) = (self.image.width() as usize, self.image.height() as usize);
        let is_opaque = self.cmyk || !self.image.color().has_alpha();
        let is_float = matches!(self.image, DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_));
        if is_opaque && !is_float && width.max(height) / 4 > long_side.max(1) {
            let (width, height) = scaled_size(width, height, long_side.max(1));
            self.image = self.image.thumbnail_exact(2 * width as u32, 2 * height as u32);
        }
    }

    /// Whether the samples have more than 8 bits.
    pub fn is_deep(&self) -> bool {
        self.image.color().bytes_per_pixel() > self.image.color().channel_count()
    }

    /// The samples as an sRGB picture, by a colour profile if there is one.
    pub fn into_picture(self, converter: Option<&Converter>) -> Result<Picture, Refusal> {
        match &self.image {
            DynamicImage::ImageLuma8(image) => self.planes(image.as_raw(), converter),
            DynamicImage::ImageLumaA8(image) => self.planes(image.as_raw(), converter),
            DynamicImage::ImageRgb8(image) => self.planes(image.as_raw(), converter),
            DynamicImage::ImageRgba8(image) => self.planes(image.as_raw(), converter),
            DynamicImage::ImageLuma16(image) => self.planes(image.as_raw(), converter),
            DynamicImage::ImageLumaA16(image) => self.planes(image.as_raw(), converter),
            DynamicImage::ImageRgb16(image) => self.planes(image.as_raw(), converter),
            DynamicImage::ImageRgba16(image) => self.planes(image.as_raw(), converter),
            DynamicImage::ImageRgb32F(image) => self.planes(image.as_raw(), converter),
            DynamicImage::ImageRgba32F(image) => self.planes(image.as_raw(), converter),
            _ => Err(refusal(format!("its pixels are {:?}", self.image.color()), INTEGERS)),
        }
    }

    fn planes<T: Sample>(&self, samples: &[T], converter: Option<&Converter>) -> Result<Picture, Refusal> {
        let (width, height) = (self.image.width() as usize, self.image.height() as usize);
        let channels = usize::from(self.image.color().channel_count());
        let has_alpha = !self.cmyk && channels.is_multiple_of(2);
        let colours = channels - usize::from(has_alpha);
        let wanted = converter.map_or(colours, |converter| converter.space.channels());
        let mut picture = Picture::new(width, height);
        let (red, rest) = picture.rgb.split_at_mut(width * height);
        let (green, blue) = rest.split_at_mut(width * height);
        let rows = samples.par_chunks(width * channels).zip(red.par_chunks_mut(width));
        rows.zip(green.par_chunks_mut(width).zip(blue.par_chunks_mut(width))).try_for_each(
            |((row, red), (green, blue))| {
                let colour = |pixel: &[T], channel: usize| {
                    let value = pixel[channel.min(colours - 1)].unit();
                    match has_alpha && self.premultiplied {
                        true => (value / pixel[colours].unit().max(f32::MIN_POSITIVE)).min(1.0),
                        false => value,
                    }
                };
                let pixels = row.chunks_exact(channels);
                let mut row: Vec<f32> =
                    pixels.flat_map(|pixel| (0..wanted).map(move |channel| colour(pixel, channel))).collect();
                if row.iter().any(|value| value.is_nan()) {
                    return Err(refusal("it holds values that are not numbers", INTEGERS));
                }
                if let Some(converter) = converter {
                    row = converter.convert(&row).map_err(|reason| refusal(reason, "convert it to sRGB"))?;
                } else if self.cmyk {
                    let rgb = |ink: &[f32]| [0, 1, 2].map(|channel| (1.0 - ink[channel]) * (1.0 - ink[3]));
                    row = row.chunks_exact(4).flat_map(rgb).collect();
                }
                let step = row.len() / width;
                for (x, pixel) in row.chunks_exact(step).enumerate() {
                    (red[x], green[x], blue[x]) = (pixel[0], pixel[step / 2], pixel[step - 1]);
                }
                Ok(())
            },
        )?;
        if has_alpha {
            let alpha: Vec<f32> = samples.iter().skip(colours).step_by(channels).map(|sample| sample.unit()).collect();
            if alpha.iter().any(|value| value.is_nan()) {
                return Err(refusal("its alpha holds values that are not numbers", INTEGERS));
            }
            picture.alpha = Some(alpha).filter(|alpha| alpha.iter().any(|&value| value < 1.0));
        }
        Ok(picture)
    }
}

/// The type of a stored sample.
trait Sample: Copy + Sync {
    /// The value scaled to 0..1.
    fn unit(self) -> f32;
}

impl Sample for u8 {
    fn unit(self) -> f32 {
        f32::from(self) / 255.0
    }
}

impl Sample for u16 {
    fn unit(self) -> f32 {
        f32::from(self) / 65535.0
    }
}

impl Sample for f32 {
    fn unit(self) -> f32 {
        self.clamp(0.0, 1.0) // NaN is kept and detected later
    }
}
