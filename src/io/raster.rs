//! Decoded samples, and their conversion to an sRGB picture.

use image::DynamicImage;
use rayon::prelude::*;

use super::{
    compact::{CompactPicture, Samples},
    file::{Refusal, refusal},
    picture::{Picture, scaled_size},
    profile::{Converter, Space},
    sample::{Integer, Sample},
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
        fn planes<T: Sample>(rows: &Rows, [width, height]: [usize; 2], samples: &[T]) -> Result<Picture, Refusal> {
            let mut picture = Picture::new(width, height);
            picture.alpha = rows.has_alpha.then(|| vec![0.0; width * height]);
            let lines = picture.lines_mut().into_par_iter().zip(samples.par_chunks(width * rows.channels));
            lines.try_for_each(|(mut line, row)| {
                for (x, pixel) in rows.convert(row)?.chunks_exact(rows.made()).enumerate() {
                    line.iter_mut().zip(pixel).for_each(|(plane, value)| plane[x] = *value);
                }
                Ok(())
            })?;
            picture.alpha = picture.alpha.filter(|alpha| alpha.iter().any(|&value| value < 1.0));
            Ok(picture)
        }
        let (rows, size) = (Rows::of(&self, converter), self.size());
        match &self.image {
            DynamicImage::ImageLuma8(image) => planes(&rows, size, image.as_raw()),
            DynamicImage::ImageLumaA8(image) => planes(&rows, size, image.as_raw()),
            DynamicImage::ImageRgb8(image) => planes(&rows, size, image.as_raw()),
            DynamicImage::ImageRgba8(image) => planes(&rows, size, image.as_raw()),
            DynamicImage::ImageLuma16(image) => planes(&rows, size, image.as_raw()),
            DynamicImage::ImageLumaA16(image) => planes(&rows, size, image.as_raw()),
            DynamicImage::ImageRgb16(image) => planes(&rows, size, image.as_raw()),
            DynamicImage::ImageRgba16(image) => planes(&rows, size, image.as_raw()),
            DynamicImage::ImageRgb32F(image) => planes(&rows, size, image.as_raw()),
            DynamicImage::ImageRgba32F(image) => planes(&rows, size, image.as_raw()),
            other => Err(unknown(other)),
        }
    }

    /// The samples as an sRGB picture of integers, by a colour profile if there is one: of 8 bits if they have 8 bits and
    /// need no conversion, else of 16. Memory is reused where the layout allows it.
    pub fn into_compact(self, converter: Option<&Converter>) -> Result<CompactPicture, Refusal> {
        let (rows, size) = (Rows::of(&self, converter), self.size());
        let exact = !rows.change_colours();
        let samples = match self.image {
            DynamicImage::ImageRgb8(image) if exact => Samples::U8(image.into_raw()),
            DynamicImage::ImageRgba8(image) if exact => Samples::U8(image.into_raw()),
            DynamicImage::ImageLuma8(image) if exact => Samples::U8(rows.collect(size, image.as_raw())?),
            DynamicImage::ImageLumaA8(image) if exact => Samples::U8(rows.collect(size, image.as_raw())?),
            DynamicImage::ImageLuma8(image) => Samples::U16(rows.collect(size, image.as_raw())?),
            DynamicImage::ImageLumaA8(image) => Samples::U16(rows.collect(size, image.as_raw())?),
            DynamicImage::ImageRgb8(image) => Samples::U16(rows.collect(size, image.as_raw())?),
            DynamicImage::ImageRgba8(image) => Samples::U16(rows.collect(size, image.as_raw())?),
            DynamicImage::ImageLuma16(image) => Samples::U16(rows.collect(size, image.as_raw())?),
            DynamicImage::ImageLumaA16(image) => Samples::U16(rows.collect(size, image.as_raw())?),
            DynamicImage::ImageRgb16(image) => Samples::U16(rows.replace(size, image.into_raw())?),
            DynamicImage::ImageRgba16(image) => Samples::U16(rows.replace(size, image.into_raw())?),
            DynamicImage::ImageRgb32F(image) => Samples::U16(rows.collect(size, image.as_raw())?),
            DynamicImage::ImageRgba32F(image) => Samples::U16(rows.collect(size, image.as_raw())?),
            other => return Err(unknown(&other)),
        };
        Ok(CompactPicture::from_samples(size, rows.has_alpha, samples))
    }

    fn size(&self) -> [usize; 2] {
        [self.image.width() as usize, self.image.height() as usize]
    }
}

fn unknown(image: &DynamicImage) -> Refusal {
    refusal(format!("its pixels are {:?}", image.color()), INTEGERS)
}

/// The conversion of a raster's rows to sRGB.
struct Rows<'c> {
    /// Samples of a pixel.
    channels: usize,
    has_alpha: bool,
    cmyk: bool,
    premultiplied: bool,
    converter: Option<&'c Converter>,
}

impl<'c> Rows<'c> {
    fn of(raster: &Raster, converter: Option<&'c Converter>) -> Self {
        let channels = usize::from(raster.image.color().channel_count());
        let has_alpha = !raster.cmyk && channels.is_multiple_of(2);
        let premultiplied = raster.premultiplied && has_alpha;
        Rows { channels, has_alpha, cmyk: raster.cmyk, premultiplied, converter }
    }

    /// Whether more is done than to scale samples and repeat those of grey.
    fn change_colours(&self) -> bool {
        self.cmyk || self.premultiplied || self.converter.is_some()
    }

    /// Values of a converted pixel: RGB, and alpha if there is one.
    fn made(&self) -> usize {
        if self.has_alpha { 4 } else { 3 }
    }

    /// The pixels of a row, 0..1.
    fn convert<T: Sample>(&self, row: &[T]) -> Result<Vec<f32>, Refusal> {
        let colours = self.channels - usize::from(self.has_alpha);
        let wanted = match self.converter {
            Some(converter) => converter.space.channels(),
            None if self.cmyk => 4,
            None => 3,
        };
        let colour = |pixel: &[T], channel: usize| {
            let value = pixel[channel.min(colours - 1)].unit();
            match self.premultiplied {
                true => (value / pixel[colours].unit().max(f32::MIN_POSITIVE)).min(1.0),
                false => value,
            }
        };
        let pixels = row.chunks_exact(self.channels);
        let mut values: Vec<f32> =
            pixels.flat_map(|pixel| (0..wanted).map(move |channel| colour(pixel, channel))).collect();
        if values.iter().any(|value| value.is_nan()) {
            return Err(refusal("it holds values that are not numbers", INTEGERS));
        }
        if let Some(converter) = self.converter {
            values = converter.convert(&values).map_err(|reason| refusal(reason, "convert it to sRGB"))?;
        } else if self.cmyk {
            let rgb = |ink: &[f32]| [0, 1, 2].map(|channel| (1.0 - ink[channel]) * (1.0 - ink[3]));
            values = values.chunks_exact(4).flat_map(rgb).collect();
        }
        if !self.has_alpha {
            return Ok(values);
        }
        let pixels = values.as_chunks::<3>().0.iter().zip(row.chunks_exact(self.channels));
        let with_alpha: Vec<f32> =
            pixels.flat_map(|([red, green, blue], from)| [*red, *green, *blue, from[colours].unit()]).collect();
        if with_alpha.iter().any(|value| value.is_nan()) {
            return Err(refusal("its alpha holds values that are not numbers", INTEGERS));
        }
        Ok(with_alpha)
    }

    /// The converted pixels of all rows.
    fn collect<S: Sample, T: Integer>(&self, [width, height]: [usize; 2], samples: &[S]) -> Result<Vec<T>, Refusal> {
        let mut all = vec![T::default(); width * height * self.made()];
        let rows = all.par_chunks_mut(width * self.made()).zip(samples.par_chunks(width * self.channels));
        rows.try_for_each(|(into, row)| -> Result<(), Refusal> {
            into.iter_mut().zip(self.convert(row)?).for_each(|(sample, value)| *sample = T::nearest(value));
            Ok(())
        })?;
        Ok(all)
    }

    /// As [`Rows::collect`], in the memory of the samples if a converted pixel has as many.
    fn replace<T: Integer>(&self, size: [usize; 2], mut samples: Vec<T>) -> Result<Vec<T>, Refusal> {
        if self.made() != self.channels {
            return self.collect(size, &samples);
        }
        if self.change_colours() {
            samples.par_chunks_mut(size[0] * self.channels).try_for_each(|row| -> Result<(), Refusal> {
                let converted = self.convert(row)?;
                row.iter_mut().zip(converted).for_each(|(sample, value)| *sample = T::nearest(value));
                Ok(())
            })?;
        }
        Ok(samples)
    }
}
