//! Encoding of picture files.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, BufWriter},
    ops::Range,
    path::Path,
};

use rayon::prelude::*;

use super::{
    PixelSource, atomic,
    compact::CompactPicture,
    decode::{LONGEST_SIDE, MOST_PIXELS},
    metadata::Metadata,
    parts::check_finite,
    picture::Picture,
    profile::{self, Converter},
    sample::Integer,
};
use crate::{Error, Result};

mod formats;

/// How [`Picture::save_with`] writes a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaveOptions {
    /// Quality of a JPEG or (feature `webp-lossy`) of a lossy WebP, 1 to 100. By default a JPEG has 95, and a WebP is
    /// lossless.
    pub quality: Option<u8>,
    /// What the file says besides the pixels.
    pub metadata: Metadata,
}

/// Quality of a JPEG by default.
const JPEG_QUALITY: u8 = 95;

/// Most bytes of a segment of a JPEG, and what EXIF and XMP have in front of them.
const LONGEST_SEGMENT: usize = 65_533;
const XMP_SEGMENT: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXIF_SEGMENT: &[u8] = b"Exif\0\0";

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

    /// Refuses sizes that the format does not have.
    fn check_size(self, path: &Path, [width, height]: [usize; 2]) -> Result<()> {
        let longest = self.longest_side();
        if width.max(height) > longest {
            let reason =
                format!("{width}x{height} pixels are too many for this format, which has at most {longest} a side");
            return Err(Error::picture(path, reason).with_help("save it as .png"));
        }
        Ok(())
    }

    /// What a pixel of a file is.
    fn pixel(self, has_alpha: bool, metadata: &Metadata) -> Pixel {
        Pixel {
            has_alpha: has_alpha && self != Output::Jpeg,
            deep: metadata.deep && matches!(self, Output::Png | Output::Tiff),
        }
    }

    /// Whether a file whose pixels have `need` bytes, not compressed, fits where `free` are left.
    fn room(self, need: u64, free: u64) -> Room {
        match self {
            _ if need <= free => Room::Enough,
            Output::Tiff => Room::TooLittle,
            Output::Png | Output::Jpeg | Output::WebP => Room::PerhapsTooLittle,
        }
    }
}

/// A pixel of a file.
struct Pixel {
    has_alpha: bool,
    /// Whether the samples have 16 bits.
    deep: bool,
}

impl Pixel {
    fn channels(&self) -> usize {
        if self.has_alpha { 4 } else { 3 }
    }

    fn bytes(&self) -> u64 {
        self.channels() as u64 * if self.deep { 2 } else { 1 }
    }
}

/// Whether a file fits on its disk.
#[derive(Debug, PartialEq)]
enum Room {
    Enough,
    /// It depends on how far the pixels can be compressed.
    PerhapsTooLittle,
    TooLittle,
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

/// Checks whether a picture of that size is supported and can be saved as `path`: to be called before a long computation.
///
/// # Errors
///
/// [`Error::Picture`] if a side is above 30,000 or above the limit of the format (WebP: 16,383), or for more than 400
/// million pixels.
pub fn check_size(path: &Path, width: usize, height: usize) -> Result<()> {
    let output = Output::of(path)?;
    if width.max(height) > LONGEST_SIDE as usize || (width as u64).saturating_mul(height as u64) > MOST_PIXELS {
        let reason = format!("{width}x{height} pixels are more than {LONGEST_SIDE} a side or 400 million in all");
        return Err(Error::picture(path, reason).with_help("choose a smaller size"));
    }
    output.check_size(path, [width, height])
}

/// Checks whether a picture of `size` (width, height) fits on the disk if it is saved as `path`: to be called before a long
/// computation. The pixels of a TIFF are not compressed, so its size is known. Those of the other formats are: if less is
/// free than they take without compression, a warning says so.
///
/// # Errors
///
/// [`Error::Argument`] for an extension other than png, jpg, jpeg, webp, tif, tiff; [`Error::File`] if a TIFF does not fit.
pub fn check_space(path: &Path, size: [usize; 2], has_alpha: bool, metadata: &Metadata) -> Result<()> {
    let output = Output::of(path)?;
    let [width, height] = size.map(|side| side as u64);
    let need = width.saturating_mul(height).saturating_mul(output.pixel(has_alpha, metadata).bytes());
    let Some((folder, free)) = atomic::free_space(path) else { return Ok(()) };
    let (folder, mebibytes) = (folder.display(), need.div_ceil(1 << 20));
    let left = format!("{} MiB are free in {folder}", free >> 20);
    match output.room(need, free) {
        Room::Enough => Ok(()),
        Room::PerhapsTooLittle => {
            let path = path.display();
            tracing::warn!("{path}: {width}x{height} pixels can take up to {mebibytes} MiB, and {left}");
            Ok(())
        }
        Room::TooLittle => {
            let reason = format!("{width}x{height} pixels take {mebibytes} MiB, and {left}");
            let error = io::Error::new(io::ErrorKind::StorageFull, reason);
            Err(Error::file("write", path, error).with_help("free some or choose another disk"))
        }
    }
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

    /// As [`Picture::save`], with the metadata and the quality of `options`, see [`save`].
    ///
    /// # Errors
    ///
    /// Those of [`Picture::save`]; [`Error::Argument`] for a quality outside 1..100.
    pub fn save_with(&self, path: &Path, options: &SaveOptions) -> Result<()> {
        Output::of(path)?;
        self.check("save", "picture")?;
        save(self, path, options)
    }
}

impl CompactPicture {
    /// Writes the picture as [`Picture::save_with`] does, without planes of the whole.
    ///
    /// # Errors
    ///
    /// Those of [`Picture::save_with`].
    pub fn save_with(&self, path: &Path, options: &SaveOptions) -> Result<()> {
        save(self, path, options)
    }
}

/// Writes a picture that is read in strips from top to bottom, in the format of the extension: png, jpg, jpeg, webp,
/// tif, tiff. Only for WebP the whole is held in memory, with 8 bits a channel.
///
/// The pixels are converted to the colour profile of the metadata if that is an RGB profile of a matrix and curves, such
/// as Display P3 or Adobe RGB. With any other profile, such as one for CMYK, the pixels stay sRGB, and the profile of
/// sRGB is embedded instead. A `deep` picture has 16 bits per channel as PNG or TIFF, every other 8. Values are clamped
/// to 0..1. JPEG has no alpha: the picture is composited over white. EXIF and XMP beyond 64 KB do not fit into a JPEG;
/// they are left out with a warning. In a TIFF, the entries of EXIF that describe the picture (maker, description, dates,
/// resolution, rights) are entries of the picture's directory, and those of the exposure and the place have directories of
/// their own, as TIFF wants it. The file is written whole or not at all, see [`atomic::write`](super::atomic::write()).
///
/// # Errors
///
/// [`Error::Argument`] for another extension, a quality outside 1..100, a quality for a WebP without the feature
/// `webp-lossy`, or a picture without pixels;
/// [`Error::NonFinite`] with the position of the first NaN or infinite value; [`Error::Picture`] if the picture is too
/// large for the format; [`Error::File`] if the file cannot be written; those of [`PixelSource::read`].
pub fn save(source: &dyn PixelSource, path: &Path, options: &SaveOptions) -> Result<()> {
    let output = Output::of(path)?;
    let SaveOptions { quality, metadata } = options;
    if let Some(quality) = quality.filter(|quality| !(1..=100).contains(quality)) {
        return Err(Error::argument("save", "quality", "1 to 100", quality));
    }
    if output == Output::WebP && quality.is_some() && !cfg!(feature = "webp-lossy") {
        let expected = "none for a WebP, which is lossless without the feature `webp-lossy`";
        return Err(Error::argument("save", "quality", expected, quality.unwrap_or_default()));
    }
    check_source(source, path, output)?;
    let (profile, converter) = colours(path, metadata.profile.as_deref());
    let exif = metadata.exif.as_deref().filter(|exif| fits(path, output, "EXIF", exif, EXIF_SEGMENT));
    let xmp = metadata.xmp.as_deref().filter(|xmp| fits(path, output, "XMP", xmp.as_bytes(), XMP_SEGMENT));
    let about = About { profile, exif, xmp };
    let pixel = output.pixel(source.has_alpha(), metadata);
    let strips = Strips {
        source,
        path,
        form: Form { over_white: output == Output::Jpeg, pixel, converter },
        failed: RefCell::new(None),
    };
    let written = atomic::write(path, |file: &mut BufWriter<&File>| match output {
        Output::Png => formats::png(file, &strips, about),
        Output::WebP => formats::webp(file, &strips, about, *quality),
        Output::Tiff => formats::tiff(file, &strips, about),
        Output::Jpeg => formats::jpeg(file, &strips, about, quality.unwrap_or(JPEG_QUALITY)),
    });
    match strips.failed.take() {
        Some(error) => Err(error),
        None => written,
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

/// Refuses a source without pixels, and sizes that the format does not have.
fn check_source(source: &dyn PixelSource, path: &Path, output: Output) -> Result<()> {
    let (width, height) = (source.width(), source.height());
    if width == 0 || height == 0 {
        return Err(Error::argument("save", "picture", "at least one pixel", format!("{width}x{height}")));
    }
    output.check_size(path, [width, height])
}

/// The samples of a file, made strip by strip.
struct Strips<'a> {
    source: &'a dyn PixelSource,
    path: &'a Path,
    form: Form,
    /// Why a strip could not be made. An encoder can only report an [`io::Error`].
    failed: RefCell<Option<Error>>,
}

impl Strips<'_> {
    fn width(&self) -> usize {
        self.source.width()
    }

    fn height(&self) -> usize {
        self.source.height()
    }

    fn has_alpha(&self) -> bool {
        self.form.pixel.has_alpha
    }

    /// Whether the samples have 16 bits.
    fn deep(&self) -> bool {
        self.form.pixel.deep
    }

    /// Samples of a pixel.
    fn channels(&self) -> usize {
        self.form.pixel.channels()
    }

    /// The interleaved samples of some rows.
    fn rows<T: Integer>(&self, rows: Range<usize>) -> io::Result<Vec<T>> {
        self.make(rows).map_err(|error| {
            let message = error.to_string();
            *self.failed.borrow_mut() = Some(error);
            io::Error::other(message)
        })
    }

    fn make<T: Integer>(&self, rows: Range<usize>) -> Result<Vec<T>> {
        let (top, width) = (rows.start, self.width());
        let part = self.source.read(rows, 0..width)?;
        check_finite(&part, &format!("the picture for {}", self.path.display()), [0, top])?;
        let mut samples = vec![T::default(); part.pixels() * self.channels()];
        let lines = samples.par_chunks_mut(width * self.channels()).enumerate();
        let form = &self.form;
        lines
            .try_for_each(|(row, samples)| form.row(&part, row, samples))
            .map_err(|reason| Error::picture(self.path, reason))?;
        Ok(samples)
    }
}

/// What the samples of a file are made of.
struct Form {
    /// Whether the picture is composited over white.
    over_white: bool,
    pixel: Pixel,
    converter: Option<Converter>,
}

impl Form {
    /// The samples of a row of a part.
    fn row<T: Integer>(&self, part: &Picture, row: usize, samples: &mut [T]) -> Result<(), String> {
        let pixels = part.pixels();
        let row = row * part.width..(row + 1) * part.width;
        let alpha = part.alpha.as_ref().map(|alpha| &alpha[row.clone()]);
        let colour = |index: usize| [0, 1, 2].map(|channel| part.rgb[channel * pixels + index].clamp(0.0, 1.0));
        let mut colours: Vec<f32> = row.flat_map(colour).collect();
        if let Some(alpha) = alpha.filter(|_| self.over_white) {
            for (pixel, alpha) in colours.as_chunks_mut::<3>().0.iter_mut().zip(alpha) {
                let alpha = alpha.clamp(0.0, 1.0);
                *pixel = pixel.map(|value| value * alpha + 1.0 - alpha);
            }
        }
        if let Some(converter) = &self.converter {
            colours = converter.convert(&colours)?;
        }
        for (pixel, colour) in samples.chunks_exact_mut(self.pixel.channels()).zip(colours.as_chunks::<3>().0) {
            pixel.iter_mut().zip(colour).for_each(|(sample, value)| *sample = T::nearest(*value));
        }
        if let Some(alpha) = alpha.filter(|_| self.pixel.has_alpha) {
            samples.as_chunks_mut::<4>().0.iter_mut().zip(alpha).for_each(|(pixel, a)| pixel[3] = T::nearest(*a));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
