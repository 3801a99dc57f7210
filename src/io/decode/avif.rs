//! AVIF: still pictures of 8, 10 or 12 bits, with alpha. `mp4parse` reads the container, `re_rav1d` decodes AV1.

use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, metadata::Orientation};
use moxcms::{CicpColorPrimaries, CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};
use mp4parse::{AvifContext, ImageRotation, ParseStrictness, read_avif};
use rayon::prelude::*;
use re_rav1d::dav1d::{
    self, PixelLayout,
    PlanarImageComponent::{U, V, Y},
    pixel,
};

use super::{AGAIN, Decoded, MOST_PIXELS, check_size, truncated};
use crate::io::{
    file::{Refusal, refusal},
    metadata::Metadata,
    raster::Raster,
    sample::Integer,
};

/// A remedy.
const EXPORT: &str = "export it as PNG";

/// Whether a file is an AVIF, by the brands at its start.
pub(super) fn is_avif(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk() else { return false };
    let length = (u32::from_be_bytes(*length) as usize).min(bytes.len()).saturating_sub(4);
    let is_brand = |brand: &[u8]| [b"avif", b"avis"].iter().any(|known| brand == *known);
    rest.starts_with(b"ftyp") && rest[..length].chunks_exact(4).skip(1).any(is_brand)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Refusal> {
    let file = read_avif(&mut Cursor::new(bytes), ParseStrictness::Permissive).map_err(explain)?;
    let coded = file.primary_item_coded_data().filter(|coded| !coded.is_empty());
    let coded = coded.ok_or_else(|| refusal("it has no still picture that can be read", EXPORT))?;
    let colours = Frame::decode(coded)?;
    let alpha = file.alpha_item_coded_data().filter(|coded| !coded.is_empty()).map(Frame::decode).transpose()?;
    if alpha.as_ref().is_some_and(|alpha| alpha.size() != colours.size()) {
        return Err(refusal("its alpha has another size", EXPORT));
    }
    let profile = match file.icc_colour_information() {
        Some(icc) => Some(icc.map_err(explain)?.to_vec()),
        None => colours.profile(),
    };
    let image = picture(&colours, alpha.as_ref())?;
    Ok(Decoded {
        raster: Raster { premultiplied: file.premultiplied_alpha && alpha.is_some(), ..Raster::new(image) },
        metadata: Metadata { profile, ..Metadata::default() },
        orientation: orientation(bytes, &file)?,
    })
}

fn explain(error: mp4parse::Error) -> Refusal {
    match error {
        mp4parse::Error::UnexpectedEOF => truncated("AVIF"),
        mp4parse::Error::Unsupported(what) => refusal(format!("AVIF with {what} is not supported"), EXPORT),
        error => refusal(format!("the AVIF is damaged ({error})"), AGAIN),
    }
}

/// How the picture has to be turned: first by the rotation of the file, then by its mirror.
fn orientation(bytes: &[u8], file: &AvifContext) -> Result<Orientation, Refusal> {
    const MIRROR: &[u8] = b"\0\0\0\x09imir";
    // The file counts quarters against the clock.
    let quarters = match file.image_rotation().map_err(explain)? {
        ImageRotation::D0 => 0,
        ImageRotation::D90 => 3,
        ImageRotation::D180 => 2,
        ImageRotation::D270 => 1,
    };
    let mirror = file.image_mirror_ptr().map_err(explain)?;
    // The parser gives a raw pointer to the axis.
    let at = bytes.windows(MIRROR.len()).position(|window| window == MIRROR).filter(|_| !mirror.is_null());
    let axis = at.and_then(|at| bytes.get(at + MIRROR.len())).map(|axis| axis & 1);
    // To swap top and bottom is to swap left and right after half a turn.
    Ok(match (axis, if axis == Some(0) { (quarters + 2) % 4 } else { quarters }) {
        (None, 0) => Orientation::NoTransforms,
        (None, 1) => Orientation::Rotate90,
        (None, 2) => Orientation::Rotate180,
        (None, _) => Orientation::Rotate270,
        (Some(_), 0) => Orientation::FlipHorizontal,
        (Some(_), 1) => Orientation::Rotate90FlipH,
        (Some(_), 2) => Orientation::FlipVertical,
        (Some(_), _) => Orientation::Rotate270FlipH,
    })
}

/// A decoded picture of AV1: one plane, or three with whole or half sides.
struct Frame(dav1d::Picture);

impl Frame {
    fn decode(coded: &[u8]) -> Result<Self, Refusal> {
        let damaged = |error: dav1d::Error| match error {
            dav1d::Error::UnsupportedBitstream => refusal("its kind of AV1 is not supported", EXPORT),
            dav1d::Error::NotEnoughMemory => refusal("there is not enough memory for it", "scale it down first"),
            _ => refusal("its AV1 data is damaged, or it is too large", AGAIN),
        };
        let mut settings = dav1d::Settings::new();
        settings.set_n_threads(1);
        settings.set_max_frame_delay(1);
        settings.set_frame_size_limit(MOST_PIXELS as u32);
        let mut decoder = dav1d::Decoder::with_settings(&settings).map_err(damaged)?;
        let mut sent = decoder.send_data(coded.to_vec(), None, None, None);
        loop {
            let is_sent = match sent {
                Ok(()) => true,
                Err(dav1d::Error::Again) => false,
                Err(error) => return Err(damaged(error)),
            };
            match decoder.get_picture() {
                Ok(picture) => {
                    check_size(picture.width(), picture.height())?;
                    return Ok(Frame(picture));
                }
                Err(dav1d::Error::Again) if is_sent => return Err(truncated("AVIF")),
                Err(dav1d::Error::Again) => sent = decoder.send_pending_data(),
                Err(error) => return Err(damaged(error)),
            }
        }
    }

    fn size(&self) -> [usize; 2] {
        [self.0.width() as usize, self.0.height() as usize]
    }

    fn bits(&self) -> Result<usize, Refusal> {
        let bits = self.0.bits_per_component().map(|bits| bits.0);
        bits.ok_or_else(|| refusal("its samples have an unknown number of bits", EXPORT))
    }

    /// The colour profile that the picture's code points stand for; `None` for sRGB.
    fn profile(&self) -> Option<Vec<u8>> {
        let (primaries, transfer) = (self.0.color_primaries(), self.0.transfer_characteristic());
        let [primaries, transfer] = [primaries as u8, transfer as u8];
        const UNSPECIFIED: u8 = 2;
        // The curves of television are shown as sRGB's, as is usual for photos.
        let transfer = if [1, UNSPECIFIED, 6, 14, 15].contains(&transfer) { 13 } else { transfer };
        if [1, UNSPECIFIED].contains(&primaries) && transfer == 13 {
            return None;
        }
        let cicp = CicpProfile {
            color_primaries: CicpColorPrimaries::try_from(if primaries == UNSPECIFIED { 1 } else { primaries }).ok()?,
            transfer_characteristics: TransferCharacteristics::try_from(transfer).ok()?,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        };
        ColorProfile::new_from_cicp(cicp).encode().ok()
    }
}

/// How colours are made of luma and chroma.
#[derive(Clone, Copy)]
enum Matrix {
    /// The planes are green, blue and red.
    Identity,
    /// Chroma is green and orange.
    GreenOrange,
    /// The weights of red and blue in luma; chroma is what blue and red have beyond it.
    Weights(f32, f32),
}

impl Matrix {
    /// RGB of luma (0..1) and chroma (-0.5..0.5).
    fn rgb(self, [y, u, v]: [f32; 3]) -> [f32; 3] {
        match self {
            Matrix::Identity => [v, y, u],
            Matrix::GreenOrange => [y - u + v, y + u, y - u - v],
            Matrix::Weights(red, blue) => {
                let (r, b) = (y + 2.0 * (1.0 - red) * v, y + 2.0 * (1.0 - blue) * u);
                [r, (y - red * r - blue * b) / (1.0 - red - blue), b]
            }
        }
    }
}

impl Frame {
    fn matrix(&self) -> Result<Matrix, Refusal> {
        use pixel::MatrixCoefficients as Known;
        Ok(match self.0.matrix_coefficients() {
            Known::Identity if self.0.pixel_layout() == PixelLayout::I444 => Matrix::Identity,
            Known::YCgCo => Matrix::GreenOrange,
            Known::BT709 => Matrix::Weights(0.2126, 0.0722),
            Known::Unspecified | Known::BT470BG | Known::ST170M => Matrix::Weights(0.299, 0.114),
            Known::BT470M => Matrix::Weights(0.30, 0.11),
            Known::ST240M => Matrix::Weights(0.212, 0.087),
            Known::BT2020NonConstantLuminance => Matrix::Weights(0.2627, 0.0593),
            other => return Err(refusal(format!("AVIF with the matrix {other} is not supported"), EXPORT)),
        })
    }

    /// Plane number `index`; `is_chroma` if its values are around 0.
    fn plane(&self, index: usize, is_chroma: bool) -> Result<Plane, Refusal> {
        let component = [Y, U, V][index];
        let bits = self.bits()?;
        let is_full = self.0.color_range() == pixel::YUVRange::Full;
        let unit = (1 << (bits - 8)) as f32;
        let most = ((1 << bits) - 1) as f32;
        let (first, range) = match (is_full, is_chroma) {
            (true, false) => (0.0, most),
            (true, true) => (128.0 * unit, most),
            (false, false) => (16.0 * unit, 219.0 * unit),
            (false, true) => (128.0 * unit, 224.0 * unit),
        };
        // Which sides of the plane are half of the picture's.
        let half = match self.0.pixel_layout() {
            PixelLayout::I420 if index > 0 => [true, true],
            PixelLayout::I422 if index > 0 => [true, false],
            _ => [false, false],
        };
        let [width, height] = self.size();
        let side = |length: usize, half: bool| if half { length.div_ceil(2) } else { length };
        Ok(Plane {
            bytes: self.0.plane(component),
            stride: self.0.stride(component) as usize,
            sample: if bits > 8 { 2 } else { 1 },
            size: [side(width, half[0]), side(height, half[1])],
            half,
            first,
            range,
        })
    }
}

/// A plane of samples.
struct Plane {
    bytes: dav1d::Plane,
    stride: usize,
    /// Bytes of a sample.
    sample: usize,
    size: [usize; 2],
    /// Whether the sides are half of the picture's.
    half: [bool; 2],
    /// What is 0, and the range of values of length 1.
    first: f32,
    range: f32,
}

impl Plane {
    fn sample(&self, x: usize, y: usize) -> f32 {
        let at = y * self.stride + x * self.sample;
        let value = match self.sample {
            1 => self.bytes.get(at).copied().map_or(0, u16::from),
            _ => self.bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |pair| u16::from_ne_bytes(*pair)),
        };
        (f32::from(value) - self.first) / self.range
    }

    /// The value at a pixel of the picture. Samples of a half side are in the middle between two pixels, and values
    /// between samples are interpolated.
    fn at(&self, x: usize, y: usize) -> f32 {
        // The nearest sample, and the one on the other side of the pixel.
        let near = |place: usize, half: bool, length: usize| match half {
            false => [place, place],
            true if place.is_multiple_of(2) => [place / 2, (place / 2).saturating_sub(1)],
            true => [place / 2, (place / 2 + 1).min(length - 1)],
        };
        let ([x, beside], [y, below]) = (near(x, self.half[0], self.size[0]), near(y, self.half[1], self.size[1]));
        let row = |y: usize| match self.half[0] {
            true => 0.75 * self.sample(x, y) + 0.25 * self.sample(beside, y),
            false => self.sample(x, y),
        };
        if self.half[1] { 0.75 * row(y) + 0.25 * row(below) } else { row(y) }
    }
}

/// Interleaved samples: a grey, or three colours, then alpha if there is one.
fn samples<T: Integer>(colours: &Frame, alpha: Option<&Frame>) -> Result<Vec<T>, Refusal> {
    let is_grey = colours.0.pixel_layout() == PixelLayout::I400;
    let (matrix, planes) = match is_grey {
        true => (Matrix::Identity, vec![colours.plane(0, false)?]),
        false => {
            let matrix = colours.matrix()?;
            let is_chroma = |index| index > 0 && !matches!(matrix, Matrix::Identity);
            (matrix, (0..3).map(|index| colours.plane(index, is_chroma(index))).collect::<Result<_, _>>()?)
        }
    };
    let alpha = alpha.map(|alpha| alpha.plane(0, false)).transpose()?;
    let [width, height] = colours.size();
    let channels = planes.len() + usize::from(alpha.is_some());
    let mut samples = vec![T::default(); width * height * channels];
    samples.par_chunks_mut(width * channels).enumerate().for_each(|(y, row)| {
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            match &planes[..] {
                [luma, blue, red] => {
                    let rgb = matrix.rgb([luma.at(x, y), blue.at(x, y), red.at(x, y)]);
                    pixel.iter_mut().zip(rgb).for_each(|(sample, value)| *sample = T::nearest(value));
                }
                _ => pixel[0] = T::nearest(planes[0].at(x, y)),
            }
            if let Some(alpha) = &alpha {
                pixel[planes.len()] = T::nearest(alpha.at(x, y));
            }
        }
    });
    Ok(samples)
}

/// The picture, with 16 bits a sample if the file has more than 8.
fn picture(colours: &Frame, alpha: Option<&Frame>) -> Result<DynamicImage, Refusal> {
    let [width, height] = [colours.0.width(), colours.0.height()];
    let is_deep = colours.bits()? > 8 || alpha.map_or(Ok(8), Frame::bits)? > 8;
    let is_grey = colours.0.pixel_layout() == PixelLayout::I400;
    let image = match (is_deep, is_grey, alpha.is_some()) {
        (false, grey, transparent) => {
            let samples = samples::<u8>(colours, alpha)?;
            match (grey, transparent) {
                (true, false) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma8),
                (true, true) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8),
                (false, false) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb8),
                (false, true) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba8),
            }
        }
        (true, grey, transparent) => {
            let samples = samples::<u16>(colours, alpha)?;
            match (grey, transparent) {
                (true, false) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
                (true, true) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16),
                (false, false) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
                (false, true) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
            }
        }
    };
    image.ok_or_else(|| refusal("its samples are fewer than its size", AGAIN))
}
