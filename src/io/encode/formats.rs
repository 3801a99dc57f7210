//! The encoders of the formats.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, BufWriter, Write},
    ops::Range,
    path::Path,
};

use image::{GenericImageView, ImageEncoder as _, ImageError, Rgb, codecs::jpeg::JpegEncoder};
use tiff::{
    TiffError,
    encoder::{TiffEncoder, TiffValue, colortype},
    tags::Tag,
};

use super::{About, Strips, XMP_SEGMENT};
use crate::io::{
    exif::Directory,
    parts::{STRIP, strips},
    sample::Integer,
};

/// The keyword of XMP in a PNG.
const XMP_KEYWORD: &str = "XML:com.adobe.xmp";

/// Bytes of a chunk of pixels in a PNG.
const PNG_CHUNK: usize = 1 << 16;

/// Rows of a block of a JPEG.
const BLOCK: usize = 8;

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

pub(super) fn png(file: &mut BufWriter<&File>, samples: &Strips, about: About) -> io::Result<()> {
    let encoding = |error: png::EncodingError| match error {
        png::EncodingError::IoError(error) => error,
        error => other(error),
    };
    let mut info = png::Info::with_size(samples.width() as u32, samples.height() as u32);
    info.icc_profile = about.profile.map(Into::into);
    info.exif_metadata = about.exif.map(Into::into);
    info.color_type = if samples.has_alpha() { png::ColorType::Rgba } else { png::ColorType::Rgb };
    info.bit_depth = if samples.deep() { png::BitDepth::Sixteen } else { png::BitDepth::Eight };
    let mut encoder = png::Encoder::with_info(file, info).map_err(encoding)?;
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_filter(png::Filter::Adaptive);
    if let Some(xmp) = about.xmp {
        encoder.add_itxt_chunk(XMP_KEYWORD.into(), xmp.into()).map_err(encoding)?;
    }
    let mut writer = encoder.write_header().map_err(encoding)?;
    let mut pixels = writer.stream_writer_with_size(PNG_CHUNK).map_err(encoding)?;
    for rows in strips(samples.width(), samples.height()) {
        match samples.deep() {
            true => {
                let bytes: Vec<u8> = samples.rows::<u16>(rows)?.iter().flat_map(|value| value.to_be_bytes()).collect();
                pixels.write_all(&bytes)?;
            }
            false => pixels.write_all(&samples.rows::<u8>(rows)?)?,
        }
    }
    pixels.finish().map_err(encoding)?;
    writer.finish().map_err(encoding)
}

/// With a quality, the file is lossy, for which the feature `webp-lossy` is needed.
pub(super) fn webp(file: &mut BufWriter<&File>, samples: &Strips, about: About, quality: Option<u8>) -> io::Result<()> {
    let (width, height) = (samples.width(), samples.height());
    let mut all: Vec<u8> = Vec::with_capacity(width * height * samples.channels());
    for rows in strips(width, height) {
        all.extend(samples.rows::<u8>(rows)?);
    }
    let size = [width, height].map(|side| side as u32);
    match quality {
        None => lossless_webp(file, &all, size, samples.has_alpha(), about),
        #[cfg(feature = "webp-lossy")]
        Some(quality) => lossy_webp(file, &all, size, samples.has_alpha(), about, quality),
        #[cfg(not(feature = "webp-lossy"))]
        Some(_) => Err(other("a lossy WebP needs the feature `webp-lossy`")),
    }
}

fn lossless_webp(
    file: &mut BufWriter<&File>,
    samples: &[u8],
    [width, height]: [u32; 2],
    has_alpha: bool,
    about: About,
) -> io::Result<()> {
    let color = if has_alpha { image_webp::ColorType::Rgba8 } else { image_webp::ColorType::Rgb8 };
    let mut encoder = image_webp::WebPEncoder::new(file);
    encoder.set_icc_profile(about.profile.unwrap_or_default());
    encoder.set_exif_metadata(about.exif.unwrap_or_default().to_vec());
    encoder.set_xmp_metadata(about.xmp.unwrap_or_default().as_bytes().to_vec());
    encoder.encode(samples, width, height, color).map_err(|error| match error {
        image_webp::EncodingError::IoError(error) => error,
        error => other(error),
    })
}

/// The chunks of pixels that libwebp writes, with a header that says what else there is, and the metadata around them.
#[cfg(feature = "webp-lossy")]
fn lossy_webp(
    file: &mut BufWriter<&File>,
    samples: &[u8],
    [width, height]: [u32; 2],
    has_alpha: bool,
    about: About,
    quality: u8,
) -> io::Result<()> {
    const HEADER: &[u8] = b"VP8X";
    let encoder = match has_alpha {
        true => webp::Encoder::from_rgba(samples, width, height),
        false => webp::Encoder::from_rgb(samples, width, height),
    };
    let encoded = encoder.encode_simple(false, quality.into());
    let encoded = encoded.map_err(|error| other(format!("libwebp cannot encode the picture ({error:?})")))?;
    let (mut alpha, mut pixels) = (Vec::new(), Vec::new());
    let mut rest = encoded.get(12..).unwrap_or_default();
    while let Some(([a, b, c, d, length @ ..], after)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (data, next) = after.split_at_checked(length).ok_or_else(|| other("libwebp's file is cut"))?;
        match &[*a, *b, *c, *d] {
            b"ALPH" => alpha = data.to_vec(),
            b"VP8 " => pixels = data.to_vec(),
            _ => {}
        }
        rest = next.get(length % 2..).unwrap_or_default();
    }
    let [profile, exif, xmp] = [
        about.profile.unwrap_or_default(),
        about.exif.unwrap_or_default().to_vec(),
        about.xmp.unwrap_or_default().into(),
    ];
    let flag = |data: &[u8], bit: u8| if data.is_empty() { 0 } else { 1 << bit };
    let flags = flag(&profile, 5) | flag(&alpha, 4) | flag(&exif, 3) | flag(&xmp, 2);
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    let header = [vec![flags, 0, 0, 0], side(width), side(height)].concat();
    let chunks =
        [(HEADER, header), (b"ICCP", profile), (b"ALPH", alpha), (b"VP8 ", pixels), (b"EXIF", exif), (b"XMP ", xmp)];
    let chunks: Vec<_> = chunks.into_iter().filter(|(_, data)| !data.is_empty()).collect();
    let length: usize = chunks.iter().map(|(_, data)| 8 + data.len().next_multiple_of(2)).sum();
    file.write_all(b"RIFF")?;
    file.write_all(&(4 + length as u32).to_le_bytes())?;
    file.write_all(b"WEBP")?;
    for (name, data) in chunks {
        file.write_all(name)?;
        file.write_all(&(data.len() as u32).to_le_bytes())?;
        file.write_all(&data)?;
        file.write_all(&[0][..data.len() % 2])?;
    }
    Ok(())
}

pub(super) fn tiff(file: &mut BufWriter<&File>, samples: &Strips, about: About) -> io::Result<()> {
    fn write<C: colortype::ColorType>(
        file: &mut BufWriter<&File>,
        samples: &Strips,
        about: About,
    ) -> Result<(), TiffError>
    where
        C::Inner: Integer,
        [C::Inner]: TiffValue,
    {
        let mut encoder = TiffEncoder::new(file)?;
        let exif = exif_of_tiff(samples.path, about.exif);
        let parts = exif.write_parts(&mut encoder)?;
        let mut image = encoder.new_image::<C>(samples.width() as u32, samples.height() as u32)?;
        exif.write_entries(image.encoder(), &parts)?;
        if let Some(profile) = &about.profile {
            image.encoder().write_tag(Tag::IccProfile, &profile[..])?;
        }
        if let Some(xmp) = about.xmp {
            image.encoder().write_tag(Tag::Unknown(700), xmp.as_bytes())?;
        }
        let row = (samples.width() * samples.channels()) as u64;
        let mut top = 0;
        while top < samples.height() {
            let end = top + (image.next_strip_sample_count() / row) as usize;
            image.write_strip(&samples.rows(top..end)?)?;
            top = end;
        }
        image.finish()
    }
    match (samples.deep(), samples.has_alpha()) {
        (false, false) => write::<colortype::RGB8>(file, samples, about),
        (false, true) => write::<colortype::RGBA8>(file, samples, about),
        (true, false) => write::<colortype::RGB16>(file, samples, about),
        (true, true) => write::<colortype::RGBA16>(file, samples, about),
    }
    .map_err(|error| match error {
        TiffError::IoError(error) => error,
        error => other(error),
    })
}

/// What EXIF says, for the directory of a TIFF.
fn exif_of_tiff(path: &Path, exif: Option<&[u8]>) -> Directory {
    let read = exif.map(Directory::of_exif).unwrap_or_else(|| Ok(Directory::default()));
    read.unwrap_or_else(|error| {
        tracing::warn!("{}: the EXIF of the photo cannot be read ({error}) and is left out", path.display());
        Directory::default()
    })
}

pub(super) fn jpeg(file: &mut BufWriter<&File>, samples: &Strips, about: About, quality: u8) -> io::Result<()> {
    let mut encoder = JpegEncoder::new_with_quality(WithXmp { file, xmp: about.xmp, begin: Vec::new() }, quality);
    encoder.set_icc_profile(about.profile.unwrap_or_default()).map_err(other)?;
    encoder.set_exif_metadata(about.exif.unwrap_or_default().to_vec()).map_err(other)?;
    encoder.encode_image(&View { samples, strip: RefCell::default() }).map_err(|error| match error {
        ImageError::IoError(error) => error,
        error => other(error),
    })?;
    // The encoder knows no pixels that cannot be read.
    if samples.failed.borrow().is_some() { Err(other("a strip is missing")) } else { Ok(()) }
}

/// Puts XMP into a JPEG, for which the encoder has no call: in a segment that follows those of JFIF and EXIF.
struct WithXmp<'a, 'f> {
    file: &'a mut BufWriter<&'f File>,
    /// What is still to be written.
    xmp: Option<&'a str>,
    /// The bytes up to then.
    begin: Vec<u8>,
}

impl Write for WithXmp<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(xmp) = self.xmp else { return self.file.write(bytes) };
        self.begin.extend(bytes);
        let mut at = 2;
        while let Some([0xff, 0xe0 | 0xe1, high, low, ..]) = self.begin.get(at..) {
            at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
        }
        // The next segment has begun, and it is another one.
        if self.begin.len() >= at + 4 {
            self.file.write_all(&self.begin[..at])?;
            self.file.write_all(&[0xff, 0xe1])?;
            self.file.write_all(&((2 + XMP_SEGMENT.len() + xmp.len()) as u16).to_be_bytes())?;
            self.file.write_all(XMP_SEGMENT)?;
            self.file.write_all(xmp.as_bytes())?;
            self.file.write_all(&self.begin[at..])?;
            self.xmp = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The pixels that the encoder of JPEG asks for: block by block, from top to bottom.
struct View<'a, 's> {
    samples: &'a Strips<'s>,
    strip: RefCell<Strip>,
}

/// The rows that were read last.
#[derive(Default)]
struct Strip {
    rows: Range<usize>,
    samples: Vec<u8>,
}

impl GenericImageView for View<'_, '_> {
    type Pixel = Rgb<u8>;

    fn dimensions(&self) -> (u32, u32) {
        (self.samples.width() as u32, self.samples.height() as u32)
    }

    /// Black where the rows cannot be made; `samples` keeps the error.
    fn get_pixel(&self, x: u32, y: u32) -> Rgb<u8> {
        let (x, y, width) = (x as usize, y as usize, self.samples.width());
        let strip = &mut *self.strip.borrow_mut();
        if !strip.rows.contains(&y) {
            let count = (STRIP / width / BLOCK * BLOCK).max(BLOCK);
            let top = y / count * count;
            strip.rows = top..(top + count).min(self.samples.height());
            strip.samples = self.samples.rows(strip.rows.clone()).unwrap_or_default();
        }
        let pixel = strip.samples.get(3 * ((y - strip.rows.start) * width + x)..);
        Rgb(pixel.and_then(|rest| rest.first_chunk()).copied().unwrap_or_default())
    }
}
