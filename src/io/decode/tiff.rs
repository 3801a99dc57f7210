//! TIFF: grey, RGB, palette, CMYK, YCbCr and CIE L\*a\*b\*, also BigTIFF, with integers or floats.

use std::io::{Cursor, ErrorKind};

use image::{DynamicImage, ImageBuffer, metadata::Orientation};
use tiff::{
    ColorType, TiffError,
    decoder::{Decoder, DecodingResult, Limits},
    tags::Tag,
};

use super::{AGAIN, Decoded, check_size, truncated};
use crate::io::{
    exif::Directory,
    file::{Refusal, refusal},
    metadata::Metadata,
    profile::lab_to_srgb,
    raster::{INTEGERS, Raster},
};

const XMP: Tag = Tag::Unknown(700);

/// Values of PhotometricInterpretation.
const BLACK_IS_ZERO: u16 = 1;
const RGB: u16 = 2;
const PALETTE: u16 = 3;
const CIE_LAB: u16 = 8;
const ICC_LAB: u16 = 9;

/// Values of ExtraSamples: alpha that the colours are multiplied by, and alpha that they are not.
const PREMULTIPLIED: u16 = 1;
const STRAIGHT: u16 = 2;

/// Most bytes of samples for each pixel: five channels of 64 bits.
const MOST_BYTES: u64 = 40;

type TiffDecoder<'b> = Decoder<Cursor<&'b [u8]>>;

/// Whether a file is a classic TIFF or a BigTIFF.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| bytes.starts_with(*magic))
}

fn explain(error: TiffError) -> Refusal {
    match error {
        TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => truncated("TIFF"),
        TiffError::UnsupportedError(_) => refusal(error, "export it as PNG"),
        error => refusal(error, AGAIN),
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Refusal> {
    let (mut decoder, size) = open(bytes)?;
    let unsigned = |decoder: &mut TiffDecoder, tag| decoder.find_tag_unsigned::<u16>(tag).map_err(explain);
    let orientation = unsigned(&mut decoder, Tag::Orientation)?;
    let metadata = Metadata {
        profile: decoder.get_tag_u8_vec(Tag::IccProfile).ok(),
        exif: Directory::of_picture(&mut decoder, bytes.len()).and_then(Directory::into_exif).ok().flatten(),
        xmp: decoder.get_tag_u8_vec(XMP).ok().and_then(|xmp| String::from_utf8(xmp).ok()),
        ..Metadata::default()
    };
    // The decoder does not interpret palettes and Lab, so it reads their samples as grey and as RGB.
    let samples = match unsigned(&mut decoder, Tag::PhotometricInterpretation)? {
        Some(PALETTE) => {
            let palette = decoder.find_tag_unsigned_vec::<u16>(Tag::ColorMap).map_err(explain)?.unwrap_or_default();
            Samples::read(open(&relabelled(bytes, BLACK_IS_ZERO)?)?.0, size)?.through(&palette)?
        }
        Some(space @ (CIE_LAB | ICC_LAB)) => {
            Samples::read(open(&relabelled(bytes, RGB)?)?.0, size)?.in_srgb(space == CIE_LAB)
        }
        _ => Samples::read(decoder, size)?,
    };
    Ok(Decoded {
        orientation: orientation
            .and_then(|value| Orientation::from_exif(value.min(255) as u8))
            .unwrap_or(Orientation::NoTransforms),
        raster: Raster {
            premultiplied: samples.alpha == Some(PREMULTIPLIED),
            cmyk: samples.colours == 4,
            image: samples.pack(size)?,
        },
        metadata,
    })
}

/// A decoder at the first picture, and the picture's size.
fn open(bytes: &[u8]) -> Result<(TiffDecoder<'_>, [u32; 2]), Refusal> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(explain)?;
    let (width, height) = decoder.dimensions().map_err(explain)?;
    check_size(width, height)?;
    let mut limits = Limits::default();
    // This limit is that of the pixels and of every tag. Profiles and compressed strips are no larger than the file, and
    // the decoder needs 32 bytes for each byte of a tag.
    let pixels = u64::from(width) * u64::from(height);
    limits.decoding_buffer_size = ((MOST_BYTES * pixels) as usize).max(32 * bytes.len());
    limits.intermediate_buffer_size = limits.intermediate_buffer_size.max(bytes.len());
    Ok((decoder.with_limits(limits), [width, height]))
}

/// The file with another PhotometricInterpretation in its first directory.
fn relabelled(bytes: &[u8], interpretation: u16) -> Result<Vec<u8>, Refusal> {
    const TAG: u64 = 262;
    let big_endian = bytes.starts_with(b"MM");
    let mut changed = bytes.to_vec();
    let number = |at: usize, length: usize| -> Option<u64> {
        let digits = bytes.get(at..at.checked_add(length)?)?;
        let join = |sum: u64, digit: &u8| sum << 8 | u64::from(*digit);
        Some(if big_endian { digits.iter().fold(0, join) } else { digits.iter().rev().fold(0, join) })
    };
    // Lengths of an offset, of the number of entries and of an entry.
    let is_big_tiff = number(2, 2) == Some(43);
    let [offset, count, entry] = if is_big_tiff { [8, 8, 20] } else { [4, 2, 12] };
    let found = number(offset, offset).and_then(|directory| {
        let start = usize::try_from(directory).ok()?;
        let entries = usize::try_from(number(start, count)?).ok()?;
        (0..entries.min(1 << 16)).map(|index| start + count + index * entry).find(|&at| number(at, 2) == Some(TAG))
    });
    let value = found.map(|at| at + 4 + offset).and_then(|at| changed.get_mut(at..at + 2));
    let value = value.ok_or_else(|| truncated("TIFF"))?;
    value.copy_from_slice(&if big_endian { interpretation.to_be_bytes() } else { interpretation.to_le_bytes() });
    Ok(changed)
}

enum Values {
    U8(Vec<u8>),
    U16(Vec<u16>),
    F32(Vec<f32>),
}

/// Interleaved samples.
struct Samples {
    values: Values,
    /// Bits of a stored sample.
    bits: u8,
    /// Samples of a pixel.
    channels: usize,
    /// Samples of a pixel that are its colour: 1, 3, or 4 for CMYK.
    colours: usize,
    /// The kind of alpha that follows the colour.
    alpha: Option<u16>,
}

impl Samples {
    fn read(mut decoder: TiffDecoder, [width, height]: [u32; 2]) -> Result<Self, Refusal> {
        let color = decoder.colortype().map_err(explain)?;
        let kinds = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).map_err(explain)?.unwrap_or_default();
        let kind = kinds.first().copied().filter(|kind| [PREMULTIPLIED, STRAIGHT].contains(kind));
        let bits = color.bit_depth();
        let (channels, colours, alpha) = match color {
            ColorType::Gray(_) => (1, 1, None),
            ColorType::Multiband { num_samples, .. } => (usize::from(num_samples), 1, kind),
            ColorType::RGB(_) => (3, 3, None),
            ColorType::RGBA(_) => (4, 3, kind.or(Some(STRAIGHT))),
            ColorType::CMYK(_) => (4, 4, None),
            ColorType::YCbCr(8) => (3, 3, None),
            other => {
                return Err(refusal(
                    format!("TIFF files of colour type {other:?} are not supported"),
                    "export it as PNG",
                ));
            }
        };
        let mut read = DecodingResult::U8(Vec::new());
        let layout = decoder.read_image_to_buffer(&mut read).map_err(explain)?;
        if read.as_buffer(0).byte_len() < layout.complete_len || (layout.planes > 1 && bits < 8) {
            return Err(refusal("its planes cannot be read", "export it as PNG"));
        }
        let pixels = width as usize * height as usize;
        let channels = if layout.planes > 1 { layout.planes } else { channels };
        let unit = |most: f64| move |value: f64| (value / most) as f32;
        let values = match read {
            DecodingResult::U8(values) if bits < 8 => Values::U8(unpacked(&values, width as usize * channels, bits)),
            DecodingResult::U8(values) => Values::U8(interleaved(values, layout.planes, pixels)),
            DecodingResult::U16(values) => Values::U16(interleaved(values, layout.planes, pixels)),
            other => {
                let values: Vec<f32> = match other {
                    DecodingResult::U32(values) => {
                        values.iter().map(|&v| f64::from(v)).map(unit(u32::MAX.into())).collect()
                    }
                    DecodingResult::U64(values) => {
                        values.iter().map(|&v| v as f64).map(unit(u64::MAX as f64)).collect()
                    }
                    DecodingResult::F16(values) => values.iter().map(|v| v.to_f32()).collect(),
                    DecodingResult::F64(values) => values.iter().map(|&v| v as f32).collect(),
                    DecodingResult::F32(values) => values,
                    _ => return Err(refusal("its samples are signed integers", INTEGERS)),
                };
                Values::F32(interleaved(values, layout.planes, pixels))
            }
        };
        let mut samples = Samples { values, bits, channels, colours, alpha };
        if let (ColorType::YCbCr(_), Values::U8(values)) = (color, &mut samples.values) {
            values.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| *pixel = ycbcr_to_rgb(*pixel));
        }
        Ok(samples)
    }

    /// The colours of a palette, in which the samples are indices. The palette is all red values, then green and blue.
    fn through(self, palette: &[u16]) -> Result<Self, Refusal> {
        let count = palette.len() / 3;
        let Values::U8(indices) = self.values else {
            return Err(refusal("its palette has more than 256 colours", "export it as PNG"));
        };
        // Some programs write values of 8 bits.
        let factor = if palette.iter().all(|&value| value < 256) { 257 } else { 1 };
        let colour = |index: &u8| {
            let index = usize::from(*index);
            if index < count { Some([0, 1, 2].map(|channel| palette[channel * count + index] * factor)) } else { None }
        };
        let colours: Option<Vec<_>> = indices.iter().step_by(self.channels).map(colour).collect();
        let colours = colours.ok_or_else(|| refusal("its palette lacks a colour that it uses", AGAIN))?;
        let colours = colours.into_flattened();
        let values = match colours.iter().all(|value| value % 257 == 0) {
            true => Values::U8(colours.iter().map(|value| (value / 257) as u8).collect()),
            false => Values::U16(colours),
        };
        Ok(Samples { values, channels: 3, colours: 3, alpha: None, ..self })
    }

    /// The sRGB colours of L\*a\*b\*, whose a and b are `signed` or offset.
    fn in_srgb(self, signed: bool) -> Self {
        let lab = |pixel: [f32; 3], most: f32, unit: f32| {
            let [l, a, b] = pixel.map(|value| value / unit);
            let axis = |value: f32| match signed {
                true if value >= 128.0 => value - 256.0,
                true => value,
                false => value - 128.0,
            };
            lab_to_srgb([l / most * 100.0, axis(a), axis(b)])
        };
        let channels = self.channels;
        let values = match self.values {
            Values::U8(values) => {
                values.chunks_exact(channels).flat_map(|p| lab([p[0], p[1], p[2]].map(f32::from), 255.0, 1.0)).collect()
            }
            // 100 is 65535 in CIE's encoding and 65280 in ICC's.
            Values::U16(values) => {
                let most = if signed { 65535.0 / 256.0 } else { 255.0 };
                values
                    .chunks_exact(channels)
                    .flat_map(|p| lab([p[0], p[1], p[2]].map(f32::from), most, 256.0))
                    .collect()
            }
            Values::F32(values) => {
                values.chunks_exact(channels).flat_map(|p| lab_to_srgb([p[0], p[1], p[2]])).collect()
            }
        };
        Samples { values: Values::F32(values), channels: 3, colours: 3, alpha: None, ..self }
    }

    /// The colours, with alpha if there is one. CMYK has the form of RGBA.
    fn pack(self, [width, height]: [u32; 2]) -> Result<DynamicImage, Refusal> {
        let is_float = matches!(self.values, Values::F32(_));
        // There is no image of grey floats.
        let mut picked: Vec<usize> =
            if self.colours == 1 && is_float { vec![0; 3] } else { (0..self.colours).collect() };
        picked.extend(self.alpha.map(|_| self.colours));
        let (channels, of) = (self.channels, picked.len());
        let image = match self.values {
            Values::U8(values) => {
                let mut values = gathered(values, channels, &picked);
                if self.bits < 8 && self.colours == 1 {
                    let most = (1u16 << self.bits) - 1;
                    values.iter_mut().for_each(|value| *value = (u16::from(*value) * 255 / most) as u8);
                }
                match of {
                    1 => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageLuma8),
                    2 => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageLumaA8),
                    3 => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgb8),
                    _ => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgba8),
                }
            }
            Values::U16(values) => {
                let values = gathered(values, channels, &picked);
                match of {
                    1 => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageLuma16),
                    2 => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageLumaA16),
                    3 => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgb16),
                    _ => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgba16),
                }
            }
            Values::F32(values) => {
                let values = gathered(values, channels, &picked);
                match of {
                    3 => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgb32F),
                    _ => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgba32F),
                }
            }
        };
        image.ok_or_else(|| refusal("its samples are fewer than its size", AGAIN))
    }
}

/// Samples of less than 8 bits, a byte each. Every row starts at a byte.
fn unpacked(bytes: &[u8], row: usize, bits: u8) -> Vec<u8> {
    let stride = (row * usize::from(bits)).div_ceil(8).max(1);
    let sample = |line: &[u8], index: usize| {
        let at = index * usize::from(bits);
        let pair = u16::from_be_bytes([line[at / 8], line.get(at / 8 + 1).copied().unwrap_or(0)]);
        ((pair << (at % 8)) >> (16 - bits)) as u8
    };
    bytes.chunks_exact(stride).flat_map(|line| (0..row).map(move |index| sample(line, index))).collect()
}

/// Interleaves planes that follow one another.
fn interleaved<T: Copy>(values: Vec<T>, planes: usize, pixels: usize) -> Vec<T> {
    if planes <= 1 {
        return values;
    }
    (0..pixels).flat_map(|pixel| (0..planes).map(move |plane| plane * pixels + pixel)).map(|at| values[at]).collect()
}

/// The samples with these numbers of every pixel.
fn gathered<T: Copy>(values: Vec<T>, channels: usize, picked: &[usize]) -> Vec<T> {
    if picked.iter().copied().eq(0..channels) {
        return values;
    }
    values.chunks_exact(channels).flat_map(|pixel| picked.iter().map(|&channel| pixel[channel])).collect()
}

/// The conversion of JFIF, with values from 0 to 255.
fn ycbcr_to_rgb([y, blue, red]: [u8; 3]) -> [u8; 3] {
    let (y, blue, red) = (f32::from(y), f32::from(blue) - 128.0, f32::from(red) - 128.0);
    [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue].map(|value| value.round() as u8)
}
