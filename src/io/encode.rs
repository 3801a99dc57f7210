//! Encoding of picture files.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use image::{ExtendedColorType, ImageEncoder, ImageError, codecs::jpeg::JpegEncoder};
use tiff::{
    TiffError,
    encoder::{TiffEncoder, TiffValue, colortype},
    tags::Tag,
};

use super::{
    atomic,
    metadata::Metadata,
    picture::Picture,
    profile::{self, Converter},
};
use crate::{Error, Result};

/// How [`Picture::save_with`] writes a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct SaveOptions {
    /// Quality of a JPEG, 1 to 100.
    pub quality: u8,
    /// What the file says besides the pixels.
    pub metadata: Metadata,
}

impl Default for SaveOptions {
    /// Quality 95 and no metadata.
    fn default() -> Self {
        SaveOptions { quality: 95, metadata: Metadata::default() }
    }
}

/// Most bytes of a segment of a JPEG, and what EXIF and XMP have in front of them.
const LONGEST_SEGMENT: usize = 65_533;
const XMP_SEGMENT: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXIF_SEGMENT: &[u8] = b"Exif\0\0";

/// The keyword of XMP in a PNG.
const XMP_KEYWORD: &str = "XML:com.adobe.xmp";

/// An output format.
#[derive(Clone, Copy, PartialEq)]
enum Output {
    Png,
    Jpeg,
    WebP,
    Tiff,
}

impl Output {
    fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "png" => Ok(Output::Png),
            "jpg" | "jpeg" => Ok(Output::Jpeg),
            "webp" => Ok(Output::WebP),
            "tif" | "tiff" => Ok(Output::Tiff),
            _ => {
                let expected = "a file name that ends in .png, .jpg, .jpeg, .webp, .tif or .tiff";
                Err(Error::argument("save", "output", expected, path.display()))
            }
        }
    }

    /// Maximum side of a picture in pixels.
    fn longest_side(self) -> usize {
        match self {
            Output::WebP => 16_383,
            Output::Jpeg => 65_535,
            Output::Png | Output::Tiff => i32::MAX as usize,
        }
    }
}

/// Whether the file name's extension selects an output format.
pub fn can_be_written(path: &Path) -> bool {
    Output::of(path).is_ok()
}

/// Checks whether a picture can be saved as `path`, without leaving a file behind: to be called before a long
/// computation.
///
/// # Errors
///
/// [`Error::Argument`] for an extension other than png, jpg, jpeg, webp, tif, tiff; [`Error::File`] if the directory is
/// missing or not writable, or `path` cannot be a file.
pub fn check_output(path: &Path) -> Result<()> {
    Output::of(path)?;
    atomic::check_writable(path)
}

impl Picture {
    /// Writes the picture with 8 bits per channel, in the format of the extension: png, jpg, jpeg, webp, tif, tiff.
    ///
    /// Values are clamped to 0..1. JPEG has quality 95 and no alpha: the picture is composited over white. WebP is
    /// lossless. The file is written whole or not at all, see [`atomic::write`](super::atomic::write()).
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for another extension or planes of the wrong length; [`Error::NonFinite`] with the position
    /// of the first NaN or infinite value; [`Error::Picture`] if the picture is too large for the format;
    /// [`Error::File`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.save_with(path, &SaveOptions::default())
    }

    /// As [`Picture::save`], with the metadata and the quality of `options`.
    ///
    /// The pixels are converted to the colour profile of the metadata if that is an RGB profile of a matrix and curves,
    /// such as Display P3 or Adobe RGB. With any other profile, such as one for CMYK, the pixels stay sRGB, and the
    /// profile of sRGB is embedded instead. A `deep` picture has 16 bits per channel as PNG or TIFF. TIFF has no EXIF
    /// here. EXIF and XMP beyond 64 KB do not fit into a JPEG; they are left out with a warning.
    ///
    /// # Errors
    ///
    /// Those of [`Picture::save`]; [`Error::Argument`] for a quality outside 1..100.
    pub fn save_with(&self, path: &Path, options: &SaveOptions) -> Result<()> {
        let output = Output::of(path)?;
        if !(1..=100).contains(&options.quality) {
            return Err(Error::argument("save", "quality", "1 to 100", options.quality));
        }
        check(self, path, output)?;
        let SaveOptions { quality, metadata } = options;
        let (profile, converter) = colours(path, metadata.profile.as_deref());
        let deep = metadata.deep && matches!(output, Output::Png | Output::Tiff);
        let samples = Samples::of(self, output == Output::Jpeg, converter.as_ref(), deep)
            .map_err(|reason| Error::picture(path, reason))?;
        let exif = metadata.exif.as_deref().filter(|exif| fits(path, output, "EXIF", exif, EXIF_SEGMENT));
        let xmp = metadata.xmp.as_deref().filter(|xmp| fits(path, output, "XMP", xmp.as_bytes(), XMP_SEGMENT));
        let about = About { profile, exif, xmp };
        let size = [self.width as u32, self.height as u32];
        atomic::write(path, |file: &mut BufWriter<&File>| match output {
            Output::Png => png(file, size, &samples, about),
            Output::WebP => webp(file, size, &samples, about),
            Output::Tiff => tiff(file, size, &samples, about),
            Output::Jpeg => jpeg(file, size, &samples, about, *quality),
        })
    }
}

/// What is written besides the pixels.
struct About<'a> {
    profile: Option<Vec<u8>>,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a str>,
}

/// The profile to embed, and the conversion of sRGB to it.
fn colours(path: &Path, profile: Option<&[u8]>) -> (Option<Vec<u8>>, Option<Converter>) {
    let Some(profile) = profile else { return (None, None) };
    match Converter::from_srgb(profile) {
        Ok(converter) => (Some(profile.to_vec()), converter),
        Err(reason) => {
            tracing::info!(
                "{}: the photo's colour profile is not kept ({reason}); it is saved as sRGB",
                path.display()
            );
            (profile::srgb().ok(), None)
        }
    }
}

/// Whether a part of the metadata fits into the format; only JPEG has a limit.
fn fits(path: &Path, output: Output, name: &str, data: &[u8], before: &[u8]) -> bool {
    let fits = output != Output::Jpeg || before.len() + data.len() <= LONGEST_SEGMENT;
    if !fits {
        tracing::warn!("{}: the {name} of the photo is too long for a JPEG and is left out", path.display());
    }
    fits
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

fn png(file: &mut BufWriter<&File>, [width, height]: [u32; 2], samples: &Samples, about: About) -> io::Result<()> {
    let encoding = |error: png::EncodingError| match error {
        png::EncodingError::IoError(error) => error,
        error => other(error),
    };
    let mut info = png::Info::with_size(width, height);
    info.icc_profile = about.profile.map(Into::into);
    info.exif_metadata = about.exif.map(Into::into);
    info.color_type = if samples.alpha { png::ColorType::Rgba } else { png::ColorType::Rgb };
    let bytes;
    (info.bit_depth, bytes) = match &samples.values {
        Values::U8(values) => (png::BitDepth::Eight, std::borrow::Cow::Borrowed(&values[..])),
        Values::U16(values) => (png::BitDepth::Sixteen, values.iter().flat_map(|value| value.to_be_bytes()).collect()),
    };
    let mut encoder = png::Encoder::with_info(file, info).map_err(encoding)?;
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_filter(png::Filter::Adaptive);
    if let Some(xmp) = about.xmp {
        encoder.add_itxt_chunk(XMP_KEYWORD.into(), xmp.into()).map_err(encoding)?;
    }
    let mut writer = encoder.write_header().map_err(encoding)?;
    writer.write_image_data(&bytes).map_err(encoding)?;
    writer.finish().map_err(encoding)
}

fn webp(file: &mut BufWriter<&File>, [width, height]: [u32; 2], samples: &Samples, about: About) -> io::Result<()> {
    let color = if samples.alpha { image_webp::ColorType::Rgba8 } else { image_webp::ColorType::Rgb8 };
    let mut encoder = image_webp::WebPEncoder::new(file);
    encoder.set_icc_profile(about.profile.unwrap_or_default());
    encoder.set_exif_metadata(about.exif.unwrap_or_default().to_vec());
    encoder.set_xmp_metadata(about.xmp.unwrap_or_default().as_bytes().to_vec());
    encoder.encode(samples.bytes(), width, height, color).map_err(|error| match error {
        image_webp::EncodingError::IoError(error) => error,
        error => other(error),
    })
}

fn tiff(file: &mut BufWriter<&File>, size: [u32; 2], samples: &Samples, about: About) -> io::Result<()> {
    fn write<C: colortype::ColorType>(
        file: &mut BufWriter<&File>,
        [width, height]: [u32; 2],
        values: &[C::Inner],
        about: About,
    ) -> Result<(), TiffError>
    where
        [C::Inner]: TiffValue,
    {
        let mut encoder = TiffEncoder::new(file)?;
        let mut image = encoder.new_image::<C>(width, height)?;
        if let Some(profile) = &about.profile {
            image.encoder().write_tag(Tag::IccProfile, &profile[..])?;
        }
        if let Some(xmp) = about.xmp {
            image.encoder().write_tag(Tag::Unknown(700), xmp.as_bytes())?;
        }
        image.write_data(values)
    }
    match (&samples.values, samples.alpha) {
        (Values::U8(values), false) => write::<colortype::RGB8>(file, size, values, about),
        (Values::U8(values), true) => write::<colortype::RGBA8>(file, size, values, about),
        (Values::U16(values), false) => write::<colortype::RGB16>(file, size, values, about),
        (Values::U16(values), true) => write::<colortype::RGBA16>(file, size, values, about),
    }
    .map_err(|error| match error {
        TiffError::IoError(error) => error,
        error => other(error),
    })
}

fn jpeg(
    file: &mut BufWriter<&File>,
    [width, height]: [u32; 2],
    samples: &Samples,
    about: About,
    quality: u8,
) -> io::Result<()> {
    let mut encoded = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut encoded, quality);
    encoder.set_icc_profile(about.profile.unwrap_or_default()).map_err(other)?;
    encoder.set_exif_metadata(about.exif.unwrap_or_default().to_vec()).map_err(other)?;
    encoder.write_image(samples.bytes(), width, height, ExtendedColorType::Rgb8).map_err(|error| match error {
        ImageError::IoError(error) => error,
        error => other(error),
    })?;
    // The encoder has no call for XMP. Its segment follows those of JFIF and EXIF.
    let mut at = 2;
    while let [0xff, 0xe0 | 0xe1, high, low, ..] = encoded[at..] {
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    file.write_all(&encoded[..at])?;
    if let Some(xmp) = about.xmp {
        file.write_all(&[0xff, 0xe1])?;
        file.write_all(&((2 + XMP_SEGMENT.len() + xmp.len()) as u16).to_be_bytes())?;
        file.write_all(XMP_SEGMENT)?;
        file.write_all(xmp.as_bytes())?;
    }
    file.write_all(&encoded[at..])
}

fn check(picture: &Picture, path: &Path, output: Output) -> Result<()> {
    let Picture { width, height, rgb, alpha } = picture;
    let pixels = width.saturating_mul(*height);
    let lengths_agree = rgb.len() == pixels.saturating_mul(3) && alpha.as_ref().is_none_or(|a| a.len() == pixels);
    if pixels == 0 || !lengths_agree {
        let expected = format!("planes of {width}x{height}, at least one pixel");
        return Err(Error::argument("save", "picture", expected, format!("{} colour values", rgb.len())));
    }
    if *width.max(height) > output.longest_side() {
        let longest = output.longest_side();
        let reason =
            format!("{width}x{height} pixels are too many for this format, which has at most {longest} a side");
        return Err(Error::picture(path, reason).with_help("save it as .png"));
    }
    let planes = rgb.chunks_exact(pixels).chain(alpha.as_deref()).zip(["red", "green", "blue", "alpha"]);
    let first = planes
        .filter_map(|(plane, name)| Some((plane.iter().position(|value| !value.is_finite())?, name)))
        .min_by_key(|(index, _)| *index);
    if let Some((index, channel)) = first {
        return Err(Error::NonFinite {
            what: format!("the picture for {}", path.display()),
            place: format!("x {}, y {}, {channel}", index % width, index / width),
            help: "nothing was written".into(),
        });
    }
    Ok(())
}

enum Values {
    U8(Vec<u8>),
    U16(Vec<u16>),
}

/// A picture as interleaved integers.
struct Samples {
    values: Values,
    alpha: bool,
}

impl Samples {
    /// The samples, with alpha if the picture has any and is not composited over white.
    fn of(picture: &Picture, over_white: bool, converter: Option<&Converter>, deep: bool) -> Result<Self, String> {
        let values = match deep {
            true => Values::U16(interleave(picture, over_white, converter, |value| (value * 65535.0).round() as u16)?),
            false => Values::U8(interleave(picture, over_white, converter, |value| (value * 255.0).round() as u8)?),
        };
        Ok(Samples { values, alpha: picture.alpha.is_some() && !over_white })
    }

    /// The samples of a picture that is not deep.
    fn bytes(&self) -> &[u8] {
        match &self.values {
            Values::U8(values) => values,
            Values::U16(_) => unreachable!("only PNG and TIFF are deep"),
        }
    }
}

fn interleave<T>(
    picture: &Picture,
    over_white: bool,
    converter: Option<&Converter>,
    rounded: impl Fn(f32) -> T,
) -> Result<Vec<T>, String> {
    let pixels = picture.pixels();
    let channels = if picture.alpha.is_some() && !over_white { 4 } else { 3 };
    let mut all = Vec::with_capacity(channels * pixels);
    for row in 0..picture.height {
        let row = row * picture.width..(row + 1) * picture.width;
        let colour = |index: usize| [0, 1, 2].map(|channel| picture.rgb[channel * pixels + index].clamp(0.0, 1.0));
        let mut colours: Vec<f32> = row.clone().flat_map(colour).collect();
        if let Some(alpha) = picture.alpha.as_deref().filter(|_| over_white) {
            for (pixel, alpha) in colours.as_chunks_mut::<3>().0.iter_mut().zip(&alpha[row.clone()]) {
                let alpha = alpha.clamp(0.0, 1.0);
                *pixel = pixel.map(|value| value * alpha + 1.0 - alpha);
            }
        }
        if let Some(converter) = converter {
            colours = converter.convert(&colours)?;
        }
        match picture.alpha.as_deref().filter(|_| !over_white) {
            None => all.extend(colours.into_iter().map(&rounded)),
            Some(alpha) => {
                for ([red, green, blue], alpha) in colours.as_chunks::<3>().0.iter().zip(&alpha[row]) {
                    all.extend([*red, *green, *blue, alpha.clamp(0.0, 1.0)].map(&rounded));
                }
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
