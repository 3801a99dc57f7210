//! Tests of `decode.rs` on files generated in memory. Those of TIFF and CMYK are in `decode/tests.rs`.

use std::path::Path;

use image::{
    ExtendedColorType, ImageEncoder,
    codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
};

use super::*;

pub(super) fn load(bytes: &[u8]) -> Result<Picture, String> {
    decode(Path::new("some/picture.png"), bytes, None, Raster::into_picture)
        .map(|(picture, _)| picture)
        .map_err(|error| error.to_string())
}

pub(super) fn refusal(bytes: &[u8]) -> String {
    let message = load(bytes).expect_err("is refused");
    assert!(message.starts_with("some/picture.png: "), "{message}");
    message
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * index / 7 + index * 13) as u8).collect()
}

fn png(samples: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(samples, width, height, color).unwrap();
    bytes
}

pub(in crate::io) fn jpeg(samples: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new(&mut bytes).write_image(samples, width, height, ExtendedColorType::Rgb8).unwrap();
    bytes
}

fn tiff(samples: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut bytes).unwrap();
    encoder.write_image::<::tiff::encoder::colortype::RGB8>(width, height, samples).unwrap();
    bytes.into_inner()
}

/// Inserts an APP1 segment with an EXIF orientation at the start of a JPEG.
pub(in crate::io) fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

#[test]
fn every_layout_of_samples_becomes_planes() {
    const THIRD: f32 = 85.0 / 255.0;
    type Case = (&'static [u8], ExtendedColorType, [f32; 3], Option<f32>);
    let cases: [Case; 8] = [
        (&[85], ExtendedColorType::L8, [THIRD; 3], None),
        (&[85, 51], ExtendedColorType::La8, [THIRD; 3], Some(0.2)),
        (&[0, 85, 255], ExtendedColorType::Rgb8, [0.0, THIRD, 1.0], None),
        (&[0, 85, 255, 51], ExtendedColorType::Rgba8, [0.0, THIRD, 1.0], Some(0.2)),
        (&[0, 85, 255, 255], ExtendedColorType::Rgba8, [0.0, THIRD, 1.0], None),
        (&[0x34, 0x12], ExtendedColorType::L16, [4660.0 / 65535.0; 3], None),
        (&[0x34, 0x12, 0, 0], ExtendedColorType::La16, [4660.0 / 65535.0; 3], Some(0.0)),
        (&[0, 0, 0x34, 0x12, 255, 255, 0, 0], ExtendedColorType::Rgba16, [0.0, 4660.0 / 65535.0, 1.0], Some(0.0)),
    ];
    for (samples, color, rgb, alpha) in cases {
        // 16-bit samples in native byte order; these are little-endian.
        let picture = load(&png(samples, 1, 1, color)).unwrap();
        assert!(picture.rgb.iter().zip(rgb).all(|(got, want)| (got - want).abs() < 1e-6), "{color:?}: {picture:?}");
        assert_eq!(picture.alpha.map(|alpha| alpha[0]), alpha, "{color:?}");
    }
}

#[test]
fn planes_are_planes_and_rows_are_rows() {
    let picture = load(&png(&[0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6], 2, 2, ExtendedColorType::Rgb8)).unwrap();
    let bytes: Vec<u8> = picture.rgb.iter().map(|value| (value * 255.0).round() as u8).collect();
    assert_eq!(bytes, [0, 153, 1, 4, 51, 204, 2, 5, 102, 255, 3, 6]);
}

#[test]
fn the_orientation_is_applied() {
    // Dark on the left, bright on the right, twice as wide as high.
    let samples: Vec<u8> = (0..32 * 16 * 3).map(|index| if index / 3 % 32 < 16 { 20 } else { 230 }).collect();
    let plain = jpeg(&samples, 32, 16);
    let at = |picture: &Picture, x: usize, y: usize| picture.rgb[y * picture.width + x];
    for (orientation, bright) in [(1, (28, 8)), (2, (4, 8)), (3, (4, 8)), (6, (8, 28)), (8, (8, 4)), (5, (8, 28))] {
        let picture = load(&with_orientation(&plain, orientation)).unwrap();
        let expected = if orientation < 5 { (32, 16) } else { (16, 32) };
        assert_eq!((picture.width, picture.height), expected, "orientation {orientation}");
        assert!(at(&picture, bright.0, bright.1) > 0.8, "orientation {orientation}");
        let opposite = (picture.width - 1 - bright.0, picture.height - 1 - bright.1);
        assert!(at(&picture, opposite.0, opposite.1) < 0.2, "orientation {orientation}");
    }
}

#[test]
fn profiles_are_converted_and_broken_ones_ignored() {
    let encode = |icc: Vec<u8>| {
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(icc).unwrap();
        encoder.write_image(&[204, 102, 77], 1, 1, ExtendedColorType::Rgb8).unwrap();
        load(&bytes).unwrap().rgb
    };
    let plain = [0.8, 0.4, 77.0 / 255.0];
    assert_eq!(encode(moxcms::ColorProfile::new_srgb().encode().unwrap()), plain);
    assert_eq!(encode(b"no profile".to_vec()), plain);
    let wide = encode(moxcms::ColorProfile::new_display_p3().encode().unwrap());
    assert!(wide[0] > 0.83 && wide[1] < 0.39, "{wide:?}");
}

#[test]
fn what_is_no_picture_is_told_apart() {
    assert!(refusal(b"").contains("empty"));
    assert!(
        refusal(b"\n<!DOCTYPE html><html>").contains("is a web page, not a picture: it begins with `<!DOCTYPE html>")
    );
    assert!(refusal(b"GIF89a\x01\0\x01\0").contains("GIF files are not supported; convert it to PNG"));
    assert!(refusal(b"\0\0\0\x18ftypheic\0\0\0\0").contains("HEIC"));
    assert!(refusal(b"\x80\x02\x8a\x0a").contains("not a picture of a known format"));
}

#[test]
fn truncated_files_are_errors_at_every_length() {
    let samples = noise(40 * 24 * 3);
    let mut webp = Vec::new();
    WebPEncoder::new_lossless(&mut webp).write_image(&samples, 40, 24, ExtendedColorType::Rgb8).unwrap();
    let tiff = tiff(&samples, 40, 24);
    let png = png(&samples, 40, 24, ExtendedColorType::Rgb8);
    // The end of a PNG (checksum of the data and the empty last chunk) and the padding byte of a WebP may be missing,
    // because all pixels are present.
    for (name, bytes, tail) in
        [("jpeg", jpeg(&samples, 40, 24), 0), ("png", png, 20), ("webp", webp, 1), ("tiff", tiff, 0)]
    {
        assert!(load(&bytes).is_ok(), "{name}");
        for length in 0..bytes.len() - tail {
            assert!(load(&bytes[..length]).is_err(), "{name} cut to {length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn damaged_files_never_panic() {
    let samples = noise(16 * 8 * 4);
    let mut webp = Vec::new();
    WebPEncoder::new_lossless(&mut webp).write_image(&samples, 16, 8, ExtendedColorType::Rgba8).unwrap();
    let tiff = tiff(&samples[..384], 16, 8);
    let jpeg = with_orientation(&jpeg(&samples[..384], 16, 8), 6);
    for bytes in [jpeg, png(&samples, 16, 8, ExtendedColorType::Rgba8), webp, tiff] {
        for position in 0..bytes.len() {
            for value in [0x00, 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] = value;
                let _ = load(&damaged);
            }
        }
    }
}

#[test]
fn the_source_of_an_error_is_the_decoders_error() {
    let mut bytes = png(&noise(8 * 8 * 3), 8, 8, ExtendedColorType::Rgb8);
    bytes[20] ^= 1; // in the header, whose checksum is then wrong
    let error = decode(Path::new("bent.png"), &bytes, None, Raster::into_picture).unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<ImageError>(), "{error}");
    assert!(error.to_string().ends_with(&format!("{source}; {AGAIN}")), "{error}");
}

#[test]
fn bytes_behind_a_jpeg_and_thumbnails_inside_do_not_matter() {
    let whole = jpeg(&noise(16 * 16 * 3), 16, 16);
    assert!(load(&[&whole[..], b"trailing", &whole].concat()).is_ok());
    // A thumbnail in an application segment has an end-of-image marker of its own.
    let thumbnail = [b"\xff\xe5".as_slice(), &(whole.len() as u16 + 2).to_be_bytes(), &whole].concat();
    let nested = [&whole[..2], &thumbnail, &whole[2..]].concat();
    assert!(load(&nested).is_ok());
    assert!(refusal(&nested[..nested.len() - 40]).contains("truncated"));
}

#[test]
fn bombs_are_refused_before_decoding() {
    // Only the header states this size; decoding would fail with another error.
    let claim = |width: u32, height: u32| {
        let mut bytes = png(&[0, 0, 0], 1, 1, ExtendedColorType::Rgb8);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let mut checksum = flate_crc(&bytes[12..29]).to_be_bytes();
        bytes[29..33].swap_with_slice(&mut checksum);
        bytes
    };
    for (width, height) in [(30_001, 1), (1, 1_000_000), (20_001, 20_000)] {
        let message = refusal(&claim(width, height));
        assert!(message.contains(&format!("{width}x{height}")) && message.contains("scale it down"), "{message}");
    }
}

/// The checksum of a PNG chunk.
fn flate_crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn a_large_photo_is_reduced_before_it_is_converted() {
    // Stripes of one pixel, so that skipping would show.
    let samples: Vec<u8> = (0..401 * 103 * 3).map(|index| if index / 3 % 401 % 2 == 0 { 40 } else { 80 }).collect();
    let bytes = png(&samples, 401, 103, ExtendedColorType::Rgb8);
    let load = |long_side| decode(Path::new("a.png"), &bytes, Some(long_side), Raster::into_picture).unwrap().0;
    let whole = load(100);
    assert_eq!((whole.width, whole.height), (401, 103));
    for long_side in [64, 37, 1] {
        let (reduced, small) = (load(long_side), whole.fit(long_side));
        assert_eq!(reduced.width.max(reduced.height), 2 * long_side);
        let fitted = reduced.fit(long_side);
        assert_eq!((fitted.width, fitted.height), (small.width, small.height));
        assert!(fitted.rgb.iter().zip(&small.rgb).all(|(got, wanted)| (got - wanted).abs() < 0.03), "{long_side}");
    }
    // Averages would mix the colours of transparent pixels into others.
    let clear = png(&[7; 40 * 4], 40, 1, ExtendedColorType::Rgba8);
    assert_eq!(decode(Path::new("a.png"), &clear, Some(2), Raster::into_picture).unwrap().0.width, 40);
}

/// A PNG of 7 × 5 pixels of one byte each, with this palette.
fn with_palette(palette: &[u8]) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
        })
    };
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let pixels = [0; 5 * 8];
    // Deflate without compression: one stored block, then the checksum of zeros.
    let data = [&[0x78, 0x01, 1, 40, 0, 0xd7, 0xff], &pixels[..], &[0, 40, 0, 1]].concat();
    for (kind, data) in
        [(b"IHDR", &[0, 0, 0, 7, 0, 0, 0, 5, 8, 3, 0, 0, 0][..]), (b"PLTE", palette), (b"IDAT", &data), (b"IEND", &[])]
    {
        let chunk = [kind, data].concat();
        png.extend((data.len() as u32).to_be_bytes().iter().chain(&chunk).chain(&crc(&chunk).to_be_bytes()));
    }
    png
}

#[test]
fn a_fault_of_a_decoder_is_an_error() {
    assert_eq!(Picture::from_bytes("whole.png", &with_palette(&[10, 20, 30])).unwrap().0.rgb[0], 10.0 / 255.0);
    let error = Picture::from_bytes("cut.png", &with_palette(&[10, 20])).unwrap_err().to_string();
    assert!(error.contains("cut.png") && error.ends_with(AGAIN), "{error}");
    assert!(!is_decoding());
}
