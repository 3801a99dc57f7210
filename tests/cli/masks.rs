//! `stylize --mask` with every method.

use image::{Luma, Rgb, RgbImage, Rgba, RgbaImage};

use crate::model::save_net;
use crate::studio::{QUICK, Studio, difference, style};

/// A studio with two nets and masks: `none.png` is black, `left.png` is white in the left half.
fn studio() -> Studio {
    let studio = Studio::new();
    for (name, seed) in [("a.safetensors", 1), ("b.safetensors", 2)] {
        save_net(&studio, name, seed);
    }
    image::GrayImage::new(8, 8).save(studio.path("none.png")).unwrap();
    let left = image::GrayImage::from_fn(64, 48, |x, _| Luma([if x < 32 { 255 } else { 0 }]));
    left.save(studio.path("left.png")).unwrap();
    studio
}

/// The columns of a picture from `first` to `end`.
fn columns(picture: &RgbImage, first: u32, end: u32) -> RgbImage {
    image::imageops::crop_imm(picture, first, 0, end - first, picture.height()).to_image()
}

/// For each method, the options with a mask, and the same without one.
fn methods(mask: &str) -> [[String; 2]; 3] {
    let method = |name: &str, option: &str, more: &str| {
        [format!("--mask {mask}={name} {more}"), format!("--{option} {name} {more}")]
    };
    [method("style.png", "style", ""), method("style.png", "style", QUICK), method("a.safetensors", "model", "")]
}

#[test]
fn the_photo_is_untouched_outside_the_masks() {
    let studio = studio();
    let photo = studio.picture("content.png");
    let paint = |options: &str| {
        studio.succeed(&format!("stylize content.png {options} -o out.png --overwrite"));
        studio.picture("out.png")
    };
    for [masked, _] in methods("none.png") {
        assert_eq!(paint(&masked), photo, "{masked}");
    }
    for [masked, _] in methods("left.png") {
        let painted = paint(&masked);
        assert_eq!(columns(&painted, 40, 64), columns(&photo, 40, 64), "{masked}");
        assert_ne!(columns(&painted, 0, 24), columns(&photo, 0, 24), "{masked}");
    }
    // The edge of a soft mask is a mixture.
    let ramp = image::GrayImage::from_fn(64, 48, |x, _| Luma([(255 * x / 63) as u8]));
    ramp.save(studio.path("ramp.png")).unwrap();
    let [soft, whole] = [paint("--mask ramp.png=a.safetensors"), paint("--model a.safetensors")];
    for (x, y, pixel) in soft.enumerate_pixels() {
        let share = f32::from((255 * x / 63) as u8) / 255.0;
        for channel in 0..3 {
            let [photo, whole] = [&photo, &whole].map(|picture| f32::from(picture.get_pixel(x, y).0[channel]));
            let expected = photo + share * (whole - photo);
            assert!((f32::from(pixel.0[channel]) - expected).abs() < 1.01, "{pixel:?} at {x}, {y}, not {expected}");
        }
    }
}

#[test]
fn masks_count_by_luminance_and_alpha_and_their_names_can_hold_an_equals_sign() {
    let studio = studio();
    let paint = |mask: &str| {
        studio.succeed(&format!("stylize content.png --mask {mask}=a.safetensors -o out.png --overwrite"));
        studio.picture("out.png")
    };
    let photo = studio.picture("content.png");
    let left = paint("left.png");
    // White where it is opaque, hidden white elsewhere.
    let opaque = RgbaImage::from_fn(64, 48, |x, _| Rgba([255, 255, 255, if x < 32 { 255 } else { 0 }]));
    opaque.save(studio.path("opaque.png")).unwrap();
    assert_eq!(paint("opaque.png"), left);
    // Green is brighter than blue, and neither is red.
    let [green, blue] = [Rgb([0, 255, 0]), Rgb([0, 0, 255])].map(|colour| {
        RgbImage::from_pixel(4, 4, colour).save(studio.path("colour.png")).unwrap();
        difference(&paint("colour.png"), &photo)
    });
    assert!(green > 3.0 * blue && blue > 0.5, "{green} {blue}");
    // The mask is the longest beginning that is a file.
    for name in ["a=left.png", "left.png=a"] {
        std::fs::copy(studio.path("left.png"), studio.path(name)).unwrap();
    }
    assert_eq!(paint("a=left.png"), left);
    std::fs::copy(studio.path("a.safetensors"), studio.path("a=a.safetensors")).unwrap();
    assert_eq!(paint("left.png=a"), left);
}

#[test]
fn every_mask_has_its_own_style_or_net() {
    let studio = studio();
    let paint = |options: &str| {
        studio.succeed(&format!("stylize content.png {options} -o out.png --overwrite"));
        studio.picture("out.png")
    };
    // Nets do not influence each other.
    let [a, b] = ["a", "b"].map(|net| paint(&format!("--model {net}.safetensors")));
    let both = paint("--mask left.png=a.safetensors --model b.safetensors");
    assert_eq!(columns(&both, 0, 28), columns(&a, 0, 28));
    assert_eq!(columns(&both, 36, 64), columns(&b, 36, 64));
    // Gatys' method has Gram matrices for each area, and approaches the style of each.
    let mut other = style(60, 64);
    other.pixels_mut().for_each(|pixel| pixel.0.rotate_left(1));
    other.save(studio.path("other.png")).unwrap();
    paint("--mask left.png=style.png --style other.png --vgg compact --scales 1 --steps 12 --log log.jsonl");
    let log = studio.json_lines("log.jsonl");
    for area in ["area 1", "area 2"] {
        let [first, last] = [log.first(), log.last()].map(|line| {
            let terms = line.unwrap()["terms"].as_object().unwrap();
            let own = terms.iter().filter(|(name, _)| name.ends_with(area)).map(|(_, value)| value.as_f64().unwrap());
            own.sum::<f64>()
        });
        assert!(0.0 < last && last < 0.75 * first, "{area}: {first} to {last}");
    }
}

#[test]
fn wrong_masks_are_refused() {
    let studio = studio();
    for (options, words) in [
        ("--mask left.png --style style.png", &["--mask", "MASK=STYLE"][..]),
        ("--mask left.png= --style style.png", &["--mask", "MASK=STYLE"]),
        ("--mask gone.png=style.png", &["gone.png"]),
        ("--mask left.png=gone.png", &["gone.png"]),
        ("--mask left.png=style.png --model a.safetensors", &["style.png"]),
        ("--mask left.png=a.safetensors --style style.png", &["a.safetensors"]),
    ] {
        studio.refused(studio.command(&format!("stylize content.png {options} -o out.png --overwrite")), 1, words);
    }
}
