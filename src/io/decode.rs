//! Decoding of picture files.

use std::{
    cell::Cell,
    io::{Cursor, ErrorKind},
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits, metadata::Orientation,
};

use super::{
    compact::CompactPicture,
    file::{Refusal, read, refusal},
    foreign,
    metadata::{Metadata, upright_exif, upright_xmp},
    picture::Picture,
    profile::Converter,
    raster::Raster,
};
use crate::{Error, Result};

#[cfg(feature = "avif")]
mod avif;
mod jpeg;
mod tiff;

/// Longest side of pictures that are read or painted, in pixels.
pub(super) const LONGEST_SIDE: u32 = 30_000;
/// Most pixels of such a picture.
pub(super) const MOST_PIXELS: u64 = 400_000_000;

/// A remedy.
const AGAIN: &str = "fetch or export it again";

impl Picture {
    /// Reads a PNG, JPEG, WebP, TIFF, JPEG XL (feature `jxl`) or AVIF file (feature `avif`). The content, not the name,
    /// determines the format.
    /// Of an animation or a file of several pictures, the first is read.
    ///
    /// The file may have up to 16 bits or floats per channel (TIFF: up to 64 bits), in grey or colour, with or without
    /// alpha; a TIFF or JPEG also CMYK, a TIFF also CIE L\*a\*b\*. The EXIF orientation is applied, and an embedded
    /// colour profile is converted to sRGB (a broken profile is ignored with a warning). Colours that are multiplied by
    /// alpha (TIFF) are divided by it. The result is RGB 0..1.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the file cannot be read; [`Error::Picture`], with advice, if it is not a picture, is damaged
    /// or truncated, or has a side above 30,000 or more than 400 million pixels (checked before decoding).
    pub fn load(path: &Path) -> Result<Self> {
        Ok(Self::load_with_metadata(path)?.0)
    }

    /// As [`Picture::load`], and what the file says besides its pixels.
    ///
    /// # Errors
    ///
    /// Those of [`Picture::load`].
    pub fn load_with_metadata(path: &Path) -> Result<(Self, Metadata)> {
        decode(path, &read(path)?, None, Raster::into_picture)
    }

    /// Reads a picture from the bytes of a file; `name` is used as its path.
    ///
    /// # Errors
    ///
    /// Those of [`Picture::load`] of kind [`Error::Picture`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<(Self, Metadata)> {
        decode(Path::new(name), bytes, None, Raster::into_picture)
    }

    /// As [`Picture::load_with_metadata`], for a picture that will be resized to a longer side of `long_side` pixels. An
    /// opaque picture of more than four times that size is reduced to twice that size first, which takes a fraction of
    /// the memory.
    ///
    /// # Errors
    ///
    /// Those of [`Picture::load`].
    pub fn load_for_size(path: &Path, long_side: usize) -> Result<(Self, Metadata)> {
        decode(path, &read(path)?, Some(long_side), Raster::into_picture)
    }
}

impl CompactPicture {
    /// Reads what [`Picture::load_with_metadata`] reads. The samples have 8 bits if those of the file have 8 bits and its
    /// colours are sRGB, and then they are the file's; else they have 16 bits. Colours are replaced where alpha is 0, as
    /// by [`Picture::filled`]; meanwhile that takes 5 more bytes a pixel. Apart from that, the file and the decoded samples
    /// are in memory while the picture is read.
    ///
    /// # Errors
    ///
    /// Those of [`Picture::load`].
    pub fn load(path: &Path) -> Result<(Self, Metadata)> {
        decode(path, &read(path)?, None, Raster::into_compact)
    }

    /// As [`CompactPicture::load`], from the bytes of a file; `name` is used as its path.
    ///
    /// # Errors
    ///
    /// Those of [`Picture::load`] of kind [`Error::Picture`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<(Self, Metadata)> {
        decode(Path::new(name), bytes, None, Raster::into_compact)
    }

    /// As [`CompactPicture::load`], for a picture that will be resized to a longer side of `long_side` pixels, see
    /// [`Picture::load_for_size`].
    ///
    /// # Errors
    ///
    /// Those of [`Picture::load`].
    pub fn load_for_size(path: &Path, long_side: usize) -> Result<(Self, Metadata)> {
        decode(path, &read(path)?, Some(long_side), Raster::into_compact)
    }
}

/// A decoded file.
struct Decoded {
    raster: Raster,
    /// `deep` is not set yet, and EXIF and XMP have their orientation.
    metadata: Metadata,
    orientation: Orientation,
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is decoding a picture. A panic of a decoder is caught then, and becomes an error.
pub fn is_decoding() -> bool {
    DECODING.get()
}

/// Decodes the bytes of a file to what `finish` makes of a raster; `path` is used only in messages.
fn decode<P>(
    path: &Path,
    bytes: &[u8],
    long_side: Option<usize>,
    finish: impl FnOnce(Raster, Option<&Converter>) -> Result<P, Refusal>,
) -> Result<(P, Metadata)> {
    DECODING.set(true);
    // Decoders of other crates can panic on damaged files.
    let decoded = panic::catch_unwind(AssertUnwindSafe(|| decode_or_refuse(path, bytes, long_side, finish)));
    DECODING.set(false);
    let decoded =
        decoded.unwrap_or_else(|_| Err(refusal("its decoder stopped with a fault: the file is damaged", AGAIN)));
    decoded.map_err(|(reason, help)| Error::picture(path, reason).with_help(help))
}

fn decode_or_refuse<P>(
    path: &Path,
    bytes: &[u8],
    long_side: Option<usize>,
    finish: impl FnOnce(Raster, Option<&Converter>) -> Result<P, Refusal>,
) -> Result<(P, Metadata), Refusal> {
    let Decoded { mut raster, mut metadata, orientation } = match sniff(bytes)? {
        Format::Tiff => tiff::decode(bytes)?,
        #[cfg(feature = "avif")]
        Format::Avif => avif::decode(bytes)?,
        format => decode_by_image(path, bytes, format)?,
    };
    if let Some(long_side) = long_side {
        raster.reduce(long_side);
    }
    raster.image.apply_orientation(orientation);
    metadata.deep = raster.is_deep();
    metadata.exif = metadata.exif.map(upright_exif);
    metadata.xmp = metadata.xmp.map(upright_xmp);
    let converter = metadata.profile.as_ref().and_then(|icc| {
        Converter::new(icc, raster.space()).unwrap_or_else(|reason| {
            tracing::warn!("{}: the colour profile cannot be used ({reason}); taken as sRGB", path.display());
            None
        })
    });
    Ok((finish(raster, converter.as_ref())?, metadata))
}

/// Refuses pictures that are too large.
fn check_size(width: u32, height: u32) -> Result<(), Refusal> {
    if width.max(height) > LONGEST_SIDE || u64::from(width) * u64::from(height) > MOST_PIXELS {
        let reason = format!("it has {width}x{height} pixels, more than 30000 a side or 400 million in all");
        return Err(refusal(reason, "scale it down first"));
    }
    Ok(())
}

/// Decodes a format for which there is a decoder in the form of `image`.
fn decode_by_image(path: &Path, bytes: &[u8], format: Format) -> Result<Decoded, Refusal> {
    let name = format.name();
    // Decoders may fill missing data with grey without reporting an error.
    let whole = match format {
        Format::Image(ImageFormat::Jpeg) => jpeg::is_whole(bytes),
        Format::Image(ImageFormat::WebP) => webp_is_whole(bytes),
        #[cfg(feature = "jxl")]
        Format::Jxl => jxl_is_whole(bytes),
        _ => true,
    };
    if !whole {
        return Err(truncated(&name));
    }
    let explain = |error| explain(&name, error);
    let mut decoder = format.decoder(bytes).map_err(explain)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(format.memory() * decoder.total_bytes() + (64 << 20));
    decoder.set_limits(limits).map_err(explain)?;
    let orientation = match format.is_upright() {
        true => Orientation::NoTransforms,
        false => decoder.orientation().map_err(explain)?,
    };
    let profile = decoder.icc_profile().unwrap_or_else(|error| {
        tracing::warn!("{}: the colour profile cannot be read ({error}); taken as sRGB", path.display());
        None
    });
    let xmp = decoder.xmp_metadata().ok().flatten().and_then(|xmp| String::from_utf8(xmp).ok());
    let metadata = Metadata { profile, exif: decoder.exif_metadata().ok().flatten(), xmp, deep: false };
    let inks = if format == Format::Image(ImageFormat::Jpeg) { jpeg::inks(bytes)? } else { None };
    let raster = match inks {
        Some(raster) => raster,
        None => Raster::new(DynamicImage::from_decoder(decoder).map_err(explain)?),
    };
    Ok(Decoded { raster, metadata, orientation })
}

/// A format that is read.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    Tiff,
    #[cfg(feature = "avif")]
    Avif,
    #[cfg(feature = "jxl")]
    Jxl,
    Image(ImageFormat),
}

impl Format {
    /// The name in messages.
    fn name(self) -> String {
        match self {
            Format::Tiff => "TIFF".into(),
            #[cfg(feature = "avif")]
            Format::Avif => "AVIF".into(),
            #[cfg(feature = "jxl")]
            Format::Jxl => "JPEG XL".into(),
            Format::Image(format) => format!("{format:?}").to_uppercase(),
        }
    }

    /// Most memory of a decoder, in sizes of the picture.
    fn memory(self) -> u64 {
        match self {
            #[cfg(feature = "jxl")]
            Format::Jxl => 16, // f32 and several passes
            _ => 2,
        }
    }

    /// Whether the decoder applies the orientation.
    fn is_upright(self) -> bool {
        match self {
            #[cfg(feature = "jxl")]
            Format::Jxl => true,
            _ => false,
        }
    }

    /// The decoder of a format that has no module here.
    fn decoder<'b>(self, bytes: &'b [u8]) -> ImageResult<Box<dyn ImageDecoder + 'b>> {
        let bytes = Cursor::new(bytes);
        Ok(match self {
            Format::Tiff => unreachable!("TIFF has a module"),
            #[cfg(feature = "avif")]
            Format::Avif => unreachable!("AVIF has a module"),
            #[cfg(feature = "jxl")]
            Format::Jxl => Box::new(jxl_oxide::integration::JxlDecoder::new(bytes)?),
            Format::Image(format) => Box::new(ImageReader::with_format(bytes, format).into_decoder()?),
        })
    }
}

/// Detects the format from the first bytes.
fn sniff(bytes: &[u8]) -> Result<Format, Refusal> {
    const CONVERT: &str = "convert it to PNG, JPEG, WebP or TIFF";
    if tiff::is_tiff(bytes) {
        return Ok(Format::Tiff);
    }
    if [b"\xff\x0a".as_slice(), b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a"].iter().any(|magic| bytes.starts_with(magic)) {
        #[cfg(feature = "jxl")]
        return Ok(Format::Jxl);
        #[cfg(not(feature = "jxl"))]
        return Err(refusal("JPEG XL files need the feature `jxl`, which this build lacks", CONVERT));
    }
    #[cfg(feature = "avif")]
    if avif::is_avif(bytes) {
        return Ok(Format::Avif);
    }
    match image::guess_format(bytes) {
        #[cfg(not(feature = "avif"))]
        Ok(ImageFormat::Avif) => Err(refusal("AVIF files need the feature `avif`, which this build lacks", CONVERT)),
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => Ok(Format::Image(format)),
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

/// Whether a WebP has the length stated in its header, except possibly for one byte of padding.
fn webp_is_whole(bytes: &[u8]) -> bool {
    let length = bytes.get(4..).and_then(|rest| rest.first_chunk()).map(|length| u32::from_le_bytes(*length));
    length.is_some_and(|length| bytes.len() as u64 + 1 >= u64::from(length) + 8)
}

/// Whether the first picture of a JPEG XL is complete. A file with an error counts as complete, and the decoder reports
/// the error.
#[cfg(feature = "jxl")]
fn jxl_is_whole(bytes: &[u8]) -> bool {
    let read = jxl_oxide::JxlImage::builder().read(Cursor::new(bytes));
    read.map_or(true, |image| image.num_loaded_keyframes() > 0)
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

#[cfg(test)]
#[path = "decode_tests.rs"]
pub(super) mod tests;
#[cfg(test)]
#[path = "decode/tests.rs"]
mod tests_of_tiff;
