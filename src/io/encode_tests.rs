//! Tests of `encode.rs`.

use super::*;

fn picture() -> Picture {
    let rgb = (0..3 * 24 * 16).map(|index| (index * 7 % 256) as f32 / 255.0).collect();
    Picture::from_rgb(24, 16, rgb).unwrap()
}

#[test]
fn lossless_formats_give_back_what_was_saved() {
    let directory = tempfile::tempdir().unwrap();
    let mut picture = picture();
    for alpha in [None, Some((0..24 * 16).map(|index| (index % 256) as f32 / 255.0).collect())] {
        picture.alpha = alpha;
        for name in ["a.png", "b.webp", "c.tif", "d.TIFF"] {
            let path = directory.path().join(name);
            check_output(&path).unwrap();
            picture.save(&path).unwrap();
            assert_eq!(Picture::load(&path).unwrap(), picture, "{name}");
        }
    }
}

#[test]
fn jpeg_is_close_and_lies_over_white() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jpg");
    let mut picture = Picture::new(32, 32);
    picture.rgb[..1024].fill(0.8);
    picture.alpha = Some((0..1024).map(|index| if index % 32 < 16 { 1.0 } else { 0.0 }).collect());
    picture.save(&path).unwrap();
    let loaded = Picture::load(&path).unwrap();
    assert_eq!(loaded.alpha, None);
    let pixel = |x: usize| [0, 1, 2].map(|channel| loaded.rgb[channel * 1024 + 16 * 32 + x]);
    assert!(pixel(4).iter().zip([0.8, 0.0, 0.0]).all(|(got, want)| (got - want).abs() < 0.03), "{:?}", pixel(4));
    assert!(pixel(28).iter().all(|value| *value > 0.97), "{:?}", pixel(28));
}

#[test]
fn values_are_clamped_and_rounded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.png");
    Picture::from_rgb(1, 1, vec![-3.0, 7.0, 0.5]).unwrap().save(&path).unwrap();
    assert_eq!(Picture::load(&path).unwrap().rgb, [0.0, 1.0, 128.0 / 255.0]);
}

#[test]
fn a_value_that_is_no_number_is_named_and_never_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.png");
    let mut picture = picture();
    picture.rgb[2 * 24 * 16 + 24 + 5] = f32::NAN;
    picture.rgb[24 * 16 + 24 + 6] = f32::INFINITY;
    let message = picture.save(&path).unwrap_err().to_string();
    assert!(message.contains("x 5, y 1, blue") && message.contains("a.png"), "{message}");
    assert!(!path.exists());
}

#[test]
fn what_cannot_be_saved_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a.gif", "a", ".png"] {
        let message = check_output(&directory.path().join(name)).unwrap_err().to_string();
        assert!(message.contains(".webp") && message.contains(name), "{message}");
    }
    let path = directory.path().join("a.webp");
    let message = Picture::new(16_384, 1).save(&path).unwrap_err().to_string();
    assert!(message.contains("16383"), "{message}");
    assert!(Picture::new(0, 3).save(&path).is_err());
    assert!(Picture { alpha: Some(vec![1.0]), ..picture() }.save(&path).is_err());
    assert!(check_output(&directory.path().join("none/a.png")).is_err());
}

/// EXIF with an orientation of 6 and a link to a directory for a thumbnail.
fn exif() -> Vec<u8> {
    [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[6, 0, 0, 0, 0, 0, 99]].concat()
}

#[test]
fn metadata_is_kept_by_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let xmp = r#"<x:xmpmeta><rdf:Description tiff:Orientation="6" dc:title="Über"/></x:xmpmeta>"#;
    let wide = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let given = Metadata { profile: Some(wide.clone()), exif: Some(exif()), xmp: Some(xmp.into()), deep: true };
    let mut picture = Picture::new(4, 3);
    picture.rgb.iter_mut().enumerate().for_each(|(index, value)| *value = 0.25 + index as f32 / 100.0);
    let options = SaveOptions { metadata: given, ..SaveOptions::default() };
    for (name, is_deep) in [("a.png", true), ("a.tif", true), ("a.jpg", false), ("a.webp", false)] {
        let path = directory.path().join(name);
        picture.save_with(&path, &options).unwrap();
        let (loaded, metadata) = Picture::load_with_metadata(&path).unwrap();
        let upright = xmp.replace("Orientation=\"6", "Orientation=\"1");
        assert_eq!((metadata.xmp, metadata.deep), (Some(upright), is_deep), "{name}");
        assert!(metadata.profile == Some(wide.clone()), "{name}");
        // EXIF has been made upright and has lost its thumbnail. The pixels have been turned as it said.
        let mut upright = exif();
        (upright[19], upright[25]) = (1, 0);
        match name {
            // `exif_tests.rs` has more of TIFF, whose EXIF is written anew.
            "a.tif" => assert!(metadata.exif.is_some()),
            _ => assert_eq!(metadata.exif, Some(upright), "{name}"),
        }
        assert_eq!((loaded.width, loaded.height), (3, 4), "{name}");
        // The pixels are stored in the profile's colours and come back as sRGB.
        let tolerance = if is_deep { 1e-3 } else { 0.03 };
        let means = |picture: &Picture| [0, 1, 2].map(|c| picture.rgb[c * 12..][..12].iter().sum::<f32>() / 12.0);
        for (got, wanted) in means(&loaded).into_iter().zip(means(&picture)) {
            assert!((got - wanted).abs() < tolerance, "{name}: {got} instead of {wanted}");
        }
    }
    let deep = Picture::load(&directory.path().join("a.png")).unwrap();
    assert!(deep.rgb.iter().any(|value| (value * 255.0).fract().abs() > 0.1), "16 bits");
    // The stored values differ from sRGB's.
    picture.save(&directory.path().join("plain.jpg")).unwrap();
    let stored = |name: &str| image::open(directory.path().join(name)).unwrap().to_rgb8().into_raw();
    assert_ne!(stored("a.jpg"), stored("plain.jpg"));
}

#[test]
fn a_profile_that_is_not_of_rgb_is_replaced_by_that_of_srgb() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.png");
    let grey = moxcms::ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let metadata = Metadata { profile: Some(grey), ..Metadata::default() };
    picture().save_with(&path, &SaveOptions { metadata, ..SaveOptions::default() }).unwrap();
    let (loaded, metadata) = Picture::load_with_metadata(&path).unwrap();
    assert_eq!(loaded, picture());
    assert_eq!(metadata.profile, profile::srgb().ok());
}

#[test]
fn quality_and_long_metadata_of_a_jpeg() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jpg");
    let noise = |index: usize| (index * index % 251) as f32 / 251.0;
    let picture = Picture::from_rgb(32, 32, (0..3 * 1024).map(noise).collect()).unwrap();
    let length = |quality| {
        picture.save_with(&path, &SaveOptions { quality: Some(quality), ..SaveOptions::default() }).unwrap();
        std::fs::metadata(&path).unwrap().len()
    };
    assert!(length(30) < length(95));
    for quality in [0, 101] {
        let options = SaveOptions { quality: Some(quality), ..SaveOptions::default() };
        assert!(picture.save_with(&path, &options).unwrap_err().to_string().contains("quality must be 1 to 100"));
    }
    let metadata = Metadata { exif: Some(vec![0; 70_000]), xmp: Some("x".repeat(70_000)), ..Metadata::default() };
    picture.save_with(&path, &SaveOptions { metadata, ..SaveOptions::default() }).unwrap();
    assert_eq!(Picture::load_with_metadata(&path).unwrap().1, Metadata::default());
}

#[test]
fn only_a_picture_that_cannot_fit_is_refused_for_space() {
    let directory = tempfile::tempdir().unwrap();
    for output in [Output::Png, Output::Jpeg, Output::WebP] {
        assert_eq!([output.room(100, 100), output.room(101, 100)], [Room::Enough, Room::PerhapsTooLittle]);
    }
    assert_eq!([Output::Tiff.room(100, 100), Output::Tiff.room(101, 100)], [Room::Enough, Room::TooLittle]);

    let deep = Metadata { deep: true, ..Metadata::default() };
    let bytes = |output: Output, has_alpha| [&Metadata::default(), &deep].map(|m| output.pixel(has_alpha, m).bytes());
    assert_eq!([bytes(Output::Tiff, false), bytes(Output::Tiff, true)], [[3, 6], [4, 8]]);
    assert_eq!([bytes(Output::Jpeg, true), bytes(Output::WebP, true)], [[3, 3], [4, 4]]);

    // No disk has 2^60 bytes free. The folder need not exist yet.
    let large = |name: &str| check_space(&directory.path().join(name), [1 << 30, 1 << 28], false, &deep);
    let message = large("new/deeper/a.tif").unwrap_err().to_string();
    let folder = directory.path().display().to_string();
    let words = ["take 1649267441664 MiB", "MiB are free in", &folder, "free some or choose another disk"];
    assert!(words.iter().all(|word| message.contains(word)) && !message.contains("new/deeper;"), "{message}");
    large("a.png").unwrap();
    check_space(&directory.path().join("a.tif"), [4, 4], true, &deep).unwrap();
}

#[cfg(feature = "webp-lossy")]
#[test]
fn a_webp_with_a_quality_is_lossy_and_keeps_alpha_and_metadata() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.webp");
    // Odd sides, smooth colours and some noise, as in a photo.
    let [width, height] = [57, 43];
    let pixels = width * height;
    let value = |index: usize| {
        let (channel, x, y) = (index / pixels, index % width, index % pixels / width);
        let wave = (x as f32 * 0.11 + channel as f32).sin() * (y as f32 * 0.07).cos();
        0.5 + 0.35 * wave + 0.04 * ((index * index % 251) as f32 / 251.0 - 0.5)
    };
    let mut picture = Picture::from_rgb(width, height, (0..3 * pixels).map(value).collect()).unwrap();
    let profile = moxcms::ColorProfile::new_srgb().encode().ok();
    let metadata = Metadata { profile, exif: Some(vec![7; 9]), xmp: Some("<x:xmpmeta/>".into()), deep: false };
    let save = |picture: &Picture, quality| {
        picture.save_with(&path, &SaveOptions { quality, metadata: metadata.clone() }).unwrap();
        let loaded = Picture::load_with_metadata(&path).unwrap();
        assert_eq!(loaded.1, metadata);
        (std::fs::metadata(&path).unwrap().len(), loaded.0)
    };
    let error = |got: &Picture, wanted: &Picture| {
        let squares = got.rgb.iter().zip(&wanted.rgb).map(|(got, wanted)| (got - wanted).powi(2));
        (squares.sum::<f32>() / got.rgb.len() as f32).sqrt()
    };
    let (lossless, _) = save(&picture, None);
    let [(small, rough), (large, fine)] = [20, 95].map(|quality| save(&picture, Some(quality)));
    assert!(small < large && large < lossless, "{small}, {large}, {lossless} bytes");
    let [rough, fine] = [rough, fine].map(|got| error(&got, &picture));
    assert!(fine < 0.02 && fine < rough && rough < 0.1, "errors {rough} and {fine}");

    picture.alpha = Some((0..pixels).map(|index| (index % 256) as f32 / 255.0).collect());
    let (_, transparent) = save(&picture, Some(90));
    assert_eq!(transparent.alpha, picture.alpha);
}

#[cfg(not(feature = "webp-lossy"))]
#[test]
fn a_lossy_webp_is_refused_where_it_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.webp");
    let options = SaveOptions { quality: Some(80), ..SaveOptions::default() };
    let message = picture().save_with(&path, &options).unwrap_err().to_string();
    assert!(message.contains("quality must be none for a WebP") && message.contains("`webp-lossy`"), "{message}");
    assert!(!path.exists());
}
