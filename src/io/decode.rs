//! Decoding of picture files.

use std::{
    io::{Cursor, ErrorKind},
    path::Path,
};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use rayon::prelude::*;

use super::{
    file::{Refusal, read, refusal},
    foreign,
    picture::Picture,
    profile::Converter,
};
use crate::{Error, Result};

const LONGEST_SIDE: u32 = 30_000;
const MOST_PIXELS: u64 = 400_000_000;

/// Remedies.
const AGAIN: &str = "fetch or export it again";
const INTEGERS: &str = "save it with 8 or 16 bits a channel";

impl Picture {
    /// Reads a PNG, JPEG, WebP or TIFF file. The content, not the name, determines the format. Of an animation, the
    /// first frame is read.
    ///
    /// The file may have 8 or 16 bits or f32 values per channel, in grey or colour, with or without alpha. The EXIF
    /// orientation is applied, and an embedded colour profile is converted to sRGB (a broken profile is ignored with a
    /// warning). The result is RGB 0..1.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the file cannot be read; [`Error::Picture`], with advice, if it is not a picture, is damaged
    /// or truncated, or has a side above 30,000 or more than 400 million pixels (checked before decoding).
    pub fn load(path: &Path) -> Result<Self> {
        decode(path, &read(path)?)
    }
}

/// Decodes the bytes of a file; `path` is used only in messages.
fn decode(path: &Path, bytes: &[u8]) -> Result<Picture> {
    decode_or_refuse(path, bytes).map_err(|(reason, help)| Error::picture(path, reason).with_help(help))
}

fn decode_or_refuse(path: &Path, bytes: &[u8]) -> Result<Picture, Refusal> {
    let format = sniff(bytes)?;
    let name = format!("{format:?}").to_uppercase();
    // Decoders may fill missing data with grey without reporting an error.
    let whole = match format {
        ImageFormat::Jpeg => jpeg_is_whole(bytes),
        ImageFormat::WebP => webp_is_whole(bytes),
        _ => true,
    };
    if !whole {
        return Err(truncated(&name));
    }
    let explain = |error| explain(&name, error);
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(explain)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > LONGEST_SIDE || u64::from(width) * u64::from(height) > MOST_PIXELS {
        let reason = format!("it has {width}x{height} pixels, more than 30000 a side or 400 million in all");
        return Err(refusal(reason, "scale it down first"));
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(2 * decoder.total_bytes() + (64 << 20));
    decoder.set_limits(limits).map_err(explain)?;

    let orientation = decoder.orientation().map_err(explain)?;
    let icc = decoder.icc_profile().unwrap_or_else(|error| {
        tracing::warn!("{}: the colour profile cannot be read ({error}); taken as sRGB", path.display());
        None
    });
    let mut image = DynamicImage::from_decoder(decoder).map_err(explain)?;
    image.apply_orientation(orientation);

    let converter = icc.and_then(|icc| {
        Converter::new(&icc, !image.color().has_color()).unwrap_or_else(|reason| {
            tracing::warn!("{}: the colour profile cannot be used ({reason}); taken as sRGB", path.display());
            None
        })
    });
    let size = (image.width() as usize, image.height() as usize);
    let channels = usize::from(image.color().channel_count());
    match &image {
        DynamicImage::ImageLuma8(image) => planes(image.as_raw(), channels, size, converter),
        DynamicImage::ImageLumaA8(image) => planes(image.as_raw(), channels, size, converter),
        DynamicImage::ImageRgb8(image) => planes(image.as_raw(), channels, size, converter),
        DynamicImage::ImageRgba8(image) => planes(image.as_raw(), channels, size, converter),
        DynamicImage::ImageLuma16(image) => planes(image.as_raw(), channels, size, converter),
        DynamicImage::ImageLumaA16(image) => planes(image.as_raw(), channels, size, converter),
        DynamicImage::ImageRgb16(image) => planes(image.as_raw(), channels, size, converter),
        DynamicImage::ImageRgba16(image) => planes(image.as_raw(), channels, size, converter),
        DynamicImage::ImageRgb32F(image) => planes(image.as_raw(), channels, size, converter),
        DynamicImage::ImageRgba32F(image) => planes(image.as_raw(), channels, size, converter),
        _ => Err(refusal(format!("its pixels are {:?}", image.color()), INTEGERS)),
    }
}

/// Detects the format from the first bytes.
fn sniff(bytes: &[u8]) -> Result<ImageFormat, Refusal> {
    const CONVERT: &str = "convert it to PNG, JPEG, WebP or TIFF";
    match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP | ImageFormat::Tiff)) => Ok(format),
        Ok(other) => {
            let name = format!("{other:?}").to_uppercase();
            Err(refusal(format!("{name} files are not supported"), CONVERT))
        }
        Err(_) if bytes.is_empty() => Err(refusal("the file is empty", AGAIN)),
        Err(_) if bytes.get(4..8) == Some(b"ftyp") => {
            Err(refusal("HEIC and other MP4-like files are not supported", CONVERT))
        }
        Err(_) => Err(foreign::text(bytes, "a picture")
            .unwrap_or_else(|| refusal("it is not a picture of a known format", CONVERT))),
    }
}

/// Whether the segments of a JPEG lead to its end-of-image marker. Data after the marker, such as a second picture, and
/// markers inside an embedded thumbnail are ignored.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut position = 2;
    loop {
        // Skips entropy-coded data, in which FF is followed by 00 or a restart marker, and fill bytes.
        let Some(offset) = bytes.get(position..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) else {
            return false;
        };
        position += offset;
        match bytes.get(position + 1) {
            None => return false,
            Some(0xd9) => return true,
            Some(0xff) => position += 1,
            Some(0x00 | 0x01 | 0xd0..=0xd8) => position += 2,
            Some(_) => {
                let Some(length) = bytes.get(position + 2..position + 4) else { return false };
                position += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
}

/// Whether a WebP has the length stated in its header, except possibly for one byte of padding.
fn webp_is_whole(bytes: &[u8]) -> bool {
    let length = bytes.get(4..).and_then(|rest| rest.first_chunk()).map(|length| u32::from_le_bytes(*length));
    length.is_some_and(|length| bytes.len() as u64 + 1 >= u64::from(length) + 8)
}

fn truncated(format: &str) -> Refusal {
    refusal(format!("the {format} ends early: the file is truncated"), AGAIN)
}

/// The reason is the decoder's error, except where that says only that a read failed.
fn explain(format: &str, error: ImageError) -> Refusal {
    let help = match &error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => return truncated(format),
        ImageError::Unsupported(_) => "export it as PNG",
        ImageError::Limits(_) => "scale it down first",
        _ => AGAIN,
    };
    refusal(error, help)
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

/// Converts interleaved samples, 1 to 4 per pixel, to sRGB planes.
fn planes<T: Sample>(
    samples: &[T],
    channels: usize,
    (width, height): (usize, usize),
    converter: Option<Converter>,
) -> Result<Picture, Refusal> {
    let has_alpha = channels.is_multiple_of(2);
    let colours = channels - usize::from(has_alpha);
    let mut picture = Picture::new(width, height);
    let (red, rest) = picture.rgb.split_at_mut(width * height);
    let (green, blue) = rest.split_at_mut(width * height);
    let rows = samples.par_chunks(width * channels).zip(red.par_chunks_mut(width));
    rows.zip(green.par_chunks_mut(width).zip(blue.par_chunks_mut(width))).try_for_each(
        |((row, red), (green, blue))| {
            let pixels = row.chunks_exact(channels);
            let grey = converter.as_ref().map_or(colours == 1, |converter| converter.grey);
            let mut row: Vec<f32> = match (grey, colours) {
                (false, 1) => pixels.flat_map(|pixel| [pixel[0].unit(); 3]).collect(),
                _ => pixels.flat_map(|pixel| pixel[..colours].iter().map(|sample| sample.unit())).collect(),
            };
            if row.iter().any(|value| value.is_nan()) {
                return Err(refusal("it holds values that are not numbers", INTEGERS));
            }
            if let Some(converter) = &converter {
                row = converter.convert(&row).map_err(|reason| refusal(reason, "convert it to sRGB"))?;
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

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
