//! JPEG: the check for truncated files, and CMYK.

use image::{DynamicImage, RgbaImage};
use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::AGAIN;
use crate::io::{
    file::{Refusal, refusal},
    raster::Raster,
};

/// Whether the segments of a JPEG lead to its end-of-image marker. Data after the marker, such as a second picture, and
/// markers inside an embedded thumbnail are ignored.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
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

/// The samples of a JPEG with four inks; `None` for any other JPEG. The decoder of `image` converts inks to RGB without
/// the colour profile.
pub(super) fn inks(bytes: &[u8]) -> Result<Option<Raster>, Refusal> {
    let failed = |error: DecodeErrors| refusal(error, AGAIN);
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(failed)?;
    let Some(space @ (ColorSpace::CMYK | ColorSpace::YCCK)) = decoder.input_colorspace() else { return Ok(None) };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let mut samples = decoder.decode().map_err(failed)?;
    for pixel in samples.as_chunks_mut::<4>().0 {
        if space == ColorSpace::YCCK {
            // YCbCr of the complements of the inks.
            let [y, blue, red] = [f32::from(pixel[0]), f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0];
            let complements = [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue];
            for (ink, complement) in pixel.iter_mut().zip(complements) {
                *ink = 255 - complement.round().clamp(0.0, 255.0) as u8;
            }
        }
        // Files in CMYK come from Adobe's programs or follow them: 255 is no ink.
        *pixel = pixel.map(|ink| 255 - ink);
    }
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let image = RgbaImage::from_raw(width as u32, height as u32, samples)
        .ok_or_else(|| refusal("its pixels are fewer than its size", AGAIN))?;
    Ok(Some(Raster { cmyk: true, ..Raster::new(DynamicImage::ImageRgba8(image)) }))
}
