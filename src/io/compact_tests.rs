//! Tests of `compact.rs`, of decoding to it and of encoding from it.

use image::{DynamicImage, ImageBuffer, ImageEncoder, codecs::png::PngEncoder};

use super::*;
use crate::{
    io::{Metadata, Resized, SaveOptions, save},
    random::Random,
};

/// A picture of noise, whose alpha is 0, 1 or between.
fn noise(width: usize, height: usize, alpha: bool) -> Picture {
    let mut random = Random::new(3);
    let rgb = (0..3 * width * height).map(|_| random.uniform()).collect();
    let mut picture = Picture::from_rgb(width, height, rgb).unwrap();
    picture.alpha =
        alpha.then(|| (0..width * height).map(|_| (2.0 * random.uniform() - 0.5).clamp(0.0, 1.0)).collect());
    picture
}

/// The largest difference of two pictures of the same form.
fn difference(a: &Picture, b: &Picture) -> f32 {
    assert_eq!((a.width, a.height, a.alpha.is_some()), (b.width, b.height, b.alpha.is_some()));
    let planes = |picture: &Picture| [&picture.rgb[..], picture.alpha.as_deref().unwrap_or_default()].concat();
    planes(a).iter().zip(planes(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn planes_become_integers_and_come_back() {
    for alpha in [false, true] {
        let picture = noise(13, 7, alpha);
        for (deep, unit) in [(false, 255.0), (true, 65535.0)] {
            let compact = CompactPicture::from_picture(&picture, deep).unwrap();
            assert_eq!((compact.width(), compact.height(), compact.has_alpha()), (13, 7, alpha));
            assert_eq!(compact.is_deep(), deep);
            let back = compact.to_picture();
            assert!(difference(&back, &picture) <= 0.501 / unit);
            assert_eq!(CompactPicture::from_picture(&back, deep).unwrap(), compact, "the second time is exact");
            assert_eq!(compact.read(2..5, 3..13).unwrap(), back.cut(2..5, 3..13));
        }
    }
    assert!(CompactPicture::from_picture(&Picture { alpha: Some(vec![1.0]), ..noise(2, 2, false) }, true).is_err());
}

#[test]
fn a_result_is_written_in_parts_and_keeps_alpha() {
    for alpha in [false, true] {
        let (photo, painted) = (noise(20, 9, alpha), noise(20, 9, false));
        for deep in [false, true] {
            let mut result = CompactPicture::like(&photo, deep).unwrap();
            assert!(result.to_picture().rgb.iter().all(|value| *value == 0.0));
            for rows in [0..4, 4..9] {
                for columns in [0..11, 11..20] {
                    let mut part = painted.read(rows.clone(), columns.clone()).unwrap();
                    part.alpha = Some(vec![0.3; part.pixels()]);
                    result.write(&part, [columns.start, rows.start]).unwrap();
                }
            }
            let expected =
                CompactPicture::from_picture(&Picture { alpha: photo.alpha.clone(), ..painted.clone() }, deep);
            assert_eq!(result, expected.unwrap());
        }
    }
    assert_eq!(CompactPicture::new(3, 2, true), CompactPicture::like(&Picture::new(3, 2), true).unwrap());
}

#[test]
fn a_part_that_is_not_finite_is_refused_with_its_place() {
    let mut result = CompactPicture::new(8, 8, false);
    let mut part = Picture::from_rgb(2, 2, vec![1.0; 12]).unwrap();
    part.rgb[2 * 4 + 3] = f32::NAN;
    let message = result.write(&part, [4, 6]).unwrap_err().to_string();
    assert!(message.contains("x 5, y 7, blue"), "{message}");
    assert_eq!(result, CompactPicture::new(8, 8, false));
}

/// A PNG of these samples, with a profile if there is one.
fn png(image: &DynamicImage, profile: Option<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).unwrap();
    }
    encoder.write_image(image.as_bytes(), image.width(), image.height(), image.color().into()).unwrap();
    bytes
}

#[test]
fn every_file_has_the_same_pixels_as_planes() {
    let wide = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let grey_profile = moxcms::ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let deep = |channels: usize| -> Vec<u16> { (0..15 * channels).map(|index| (index * index * 977) as u16).collect() };
    let bytes = |channels: usize| -> Vec<u8> { deep(channels).iter().map(|value| (value / 7) as u8).collect() };
    let colour = DynamicImage::ImageRgb8(ImageBuffer::from_raw(5, 3, bytes(3)).unwrap());
    let clear = DynamicImage::ImageRgba8(ImageBuffer::from_raw(5, 3, bytes(4).map_alpha(&[0, 9, 255])).unwrap());
    let opaque = DynamicImage::ImageRgba8(ImageBuffer::from_raw(5, 3, bytes(4).map_alpha(&[255])).unwrap());
    let grey = DynamicImage::ImageLuma8(ImageBuffer::from_raw(5, 3, bytes(1)).unwrap());
    let grey_alpha = DynamicImage::ImageLumaA8(ImageBuffer::from_raw(5, 3, bytes(2)).unwrap());
    let deep_colour = DynamicImage::ImageRgb16(ImageBuffer::from_raw(5, 3, deep(3)).unwrap());
    let deep_clear =
        DynamicImage::ImageRgba16(ImageBuffer::from_raw(5, 3, deep(4).map_alpha(&[0, 900, 65535])).unwrap());
    let deep_grey = DynamicImage::ImageLuma16(ImageBuffer::from_raw(5, 3, deep(1)).unwrap());
    let jpeg = crate::io::decode::tests::jpeg(&bytes(3), 5, 3);
    let turned = crate::io::decode::tests::with_orientation(&jpeg, 6);
    let cases = [
        ("colour", png(&colour, None), false),
        ("colour of another profile", png(&colour, Some(wide.clone())), true),
        ("alpha", png(&clear, None), false),
        ("alpha and another profile", png(&clear, Some(wide.clone())), true),
        ("opaque alpha", png(&opaque, None), false),
        ("grey", png(&grey, None), false),
        ("grey of another profile", png(&grey, Some(grey_profile)), true),
        ("grey with alpha", png(&grey_alpha, None), false),
        ("16 bits", png(&deep_colour, None), true),
        ("16 bits of another profile", png(&deep_colour, Some(wide.clone())), true),
        ("16 bits with alpha", png(&deep_clear, Some(wide)), true),
        ("16 bits of grey", png(&deep_grey, None), true),
        ("JPEG", jpeg, false),
        ("JPEG with an orientation", turned, false),
        ("CMYK", include_bytes!("../../tests/fixtures/cmyk.jpg").to_vec(), true),
        #[cfg(feature = "jxl")]
        ("JPEG XL", include_bytes!("../../tests/fixtures/small.jxl").to_vec(), true),
    ];
    for (name, bytes, is_deep) in cases {
        let (picture, expected) = Picture::from_bytes(name, &bytes).unwrap();
        let (compact, metadata) = CompactPicture::from_bytes(name, &bytes).unwrap();
        assert!(metadata == expected, "{name}");
        assert_eq!(compact.is_deep(), is_deep, "{name}");
        let picture = picture.filled().into_owned();
        // What is shown is exact with 8 bits and rounded with 16. What is filled in is made of that, and rounded.
        let got = compact.to_picture();
        assert!(difference(&got, &picture) <= 1.001 / if is_deep { 65535.0 } else { 255.0 }, "{name}");
        let most = if is_deep { 0.501 / 65535.0 } else { 0.0 };
        for (index, (got, expected)) in got.rgb.iter().zip(&picture.rgb).enumerate() {
            let shown = picture.alpha.as_ref().is_none_or(|alpha| alpha[index % alpha.len()] > 0.0);
            assert!(!shown || (got - expected).abs() <= most, "{name}: {got} instead of {expected}");
        }
    }
}

/// Replaces every fourth sample.
trait MapAlpha<T> {
    fn map_alpha(self, alpha: &[T]) -> Self;
}

impl<T: Copy> MapAlpha<T> for Vec<T> {
    fn map_alpha(mut self, alpha: &[T]) -> Self {
        self.chunks_exact_mut(4).enumerate().for_each(|(index, pixel)| pixel[3] = alpha[index % alpha.len()]);
        self
    }
}

#[test]
fn every_format_is_written_as_from_planes() {
    let directory = tempfile::tempdir().unwrap();
    let wide = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    for (name, alpha, deep) in [
        ("a.png", true, true),
        ("b.png", false, false),
        ("a.tif", true, false),
        ("b.tif", false, true),
        ("a.jpg", true, false),
        ("a.webp", true, false),
    ] {
        let compact = CompactPicture::from_picture(&noise(33, 21, alpha), deep).unwrap();
        for profile in [None, Some(wide.clone())] {
            let metadata = Metadata { profile, deep, xmp: Some("<x:xmpmeta/>".into()), ..Metadata::default() };
            let options = SaveOptions { metadata, ..SaveOptions::default() };
            let [first, second] = ["first", "second"].map(|folder| directory.path().join(format!("{folder}-{name}")));
            compact.save_with(&first, &options).unwrap();
            compact.to_picture().save_with(&second, &options).unwrap();
            assert!(std::fs::read(&first).unwrap() == std::fs::read(second).unwrap(), "{name}");
            let (loaded, metadata) = CompactPicture::load(&first).unwrap();
            assert_eq!(metadata, options.metadata, "{name}");
            if options.metadata.profile.is_none() && !name.ends_with("jpg") {
                let (loaded, given) = (loaded.to_picture(), compact.to_picture().filled().into_owned());
                assert!(difference(&loaded, &given) <= 0.501 / if deep { 65535.0 } else { 255.0 }, "{name}");
            }
        }
    }
}

#[test]
fn a_source_that_fails_leaves_no_file() {
    /// Fails below the first rows.
    struct Broken;
    impl PixelSource for Broken {
        fn width(&self) -> usize {
            crate::io::parts::STRIP / 8
        }
        fn height(&self) -> usize {
            20
        }
        fn has_alpha(&self) -> bool {
            false
        }
        fn read(&self, rows: Range<usize>, columns: Range<usize>) -> Result<Picture> {
            if rows.end > 8 {
                return Err(crate::Error::argument("Broken", "rows", "the first", rows.start));
            }
            Ok(Picture::new(columns.len(), rows.len()))
        }
    }
    let directory = tempfile::tempdir().unwrap();
    for name in ["a.png", "a.tif", "a.webp", "a.jpg"] {
        let source = Resized::new(&Broken, 64, 20);
        let error = save(&source, &directory.path().join(name), &SaveOptions::default()).unwrap_err();
        assert!(matches!(&error, crate::Error::Argument { op, .. } if op == "Broken"), "{name}: {error}");
        let mut picture = noise(16, 16, false);
        picture.rgb[16 * 16 + 37] = f32::NAN;
        let message = picture.save(&directory.path().join(name)).unwrap_err().to_string();
        assert!(message.contains("x 5, y 2, green") && message.contains(name), "{message}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn pixels_of_a_host_program_are_those_of_a_file_and_come_back() {
    // Red, half-transparent green, hidden blue, which takes the colours around it.
    let rgba = vec![255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 0];
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&rgba, 3, 1, image::ExtendedColorType::Rgba8).unwrap();
    let picture = CompactPicture::from_rgba8(3, 1, rgba).unwrap();
    assert_eq!(picture, CompactPicture::from_bytes("a.png", &png).unwrap().0);
    let row: Vec<_> = picture.row_rgba8(0).collect();
    assert_eq!(row[..2], [[255, 0, 0, 255], [0, 255, 0, 128]]);
    assert!(row[2][2] == 0 && row[2][3] == 0, "{:?}", row[2]);

    let opaque = CompactPicture::from_rgba8(1, 2, vec![1, 2, 3, 255, 4, 5, 6, 255]).unwrap();
    assert!(!opaque.has_alpha());
    let deep = CompactPicture::from_picture(&opaque.to_picture(), true).unwrap();
    for picture in [opaque, deep] {
        assert_eq!(picture.row_rgba8(1).collect::<Vec<_>>(), [[4, 5, 6, 255]]);
    }
    for (width, height, length) in [(1, 1, 3), (0, 1, 0), (usize::MAX, 2, 8)] {
        let error = CompactPicture::from_rgba8(width, height, vec![0; length]).err().unwrap();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
    }
}
