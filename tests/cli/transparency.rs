//! What cannot be seen in a photo or a style picture has no influence on results.

use image::{Rgba, RgbaImage};

use crate::model::save_net;
use crate::studio::{QUICK, Studio, content, style};

/// Saves `picture` in a disc of a third of its width; around it, alpha is 0 and the colour `hidden`, if there is one.
fn save_disc(studio: &Studio, name: &str, picture: &image::RgbImage, hidden: Option<[u8; 3]>) {
    let (width, height) = picture.dimensions();
    let disc = RgbaImage::from_fn(width, height, |x, y| {
        let [across, down] = [x as f32 + 0.5 - width as f32 / 2.0, y as f32 + 0.5 - height as f32 / 2.0];
        let is_visible = across * across + down * down < (width * width) as f32 / 9.0;
        let own = picture.get_pixel(x, y).0;
        let [red, green, blue] = if is_visible { own } else { hidden.unwrap_or(own) };
        Rgba([red, green, blue, if is_visible { 255 } else { 0 }])
    });
    disc.save(studio.path(name)).unwrap();
}

const HIDDEN: [(&str, Option<[u8; 3]>); 3] =
    [("own", None), ("black", Some([0, 0, 0])), ("magenta", Some([255, 0, 255]))];

#[test]
fn hidden_colours_of_photos_and_styles_change_nothing() {
    let studio = Studio::new();
    save_net(&studio, "net.safetensors", 1);
    let results = |command: &str| -> Vec<Vec<u8>> {
        let paint = |(name, _): &(&str, Option<[u8; 3]>)| {
            studio.succeed(&command.replace('@', name).replace("OUT", "-o out.png --overwrite"));
            std::fs::read(studio.path("out.png")).unwrap()
        };
        HIDDEN.iter().map(paint).collect()
    };
    for (name, hidden) in HIDDEN {
        save_disc(&studio, &format!("photo-{name}.png"), &content(64, 48), hidden);
        save_disc(&studio, &format!("style-{name}.png"), &style(60, 64), hidden);
    }
    for command in [
        "stylize photo-@.png --style style.png OUT",
        "stylize photo-@.png --style style.png --size 40 --keep-color match OUT",
        "stylize photo-@.png --model net.safetensors OUT",
        &format!("stylize photo-@.png --style style.png {QUICK} OUT"),
    ] {
        let results = results(command);
        assert!(results.iter().all(|result| *result == results[0]), "{command}");
        let painted = image::load_from_memory(&results[0]).unwrap().to_rgba8();
        if painted.dimensions() == (64, 48) {
            let photo = image::open(studio.path("photo-own.png")).unwrap().to_rgba8();
            assert!(painted.pixels().zip(photo.pixels()).all(|(a, b)| a.0[3] == b.0[3]), "{command}: another alpha");
        }
    }
    for command in [
        "stylize content.png --style style-@.png OUT",
        &format!("stylize content.png --style style-@.png {QUICK} OUT"),
        &format!("stylize content.png --style style-@.png {QUICK} --keep-color match --init style OUT"),
    ] {
        let results = results(command);
        assert!(results.iter().all(|result| *result == results[0]), "{command}");
    }
}

#[test]
fn a_style_without_a_visible_pixel_is_refused() {
    let studio = Studio::new();
    RgbaImage::from_pixel(64, 64, Rgba([90, 120, 30, 0])).save(studio.path("nothing.png")).unwrap();
    for command in [
        "stylize content.png --style nothing.png -o out.png".to_string(),
        format!("stylize content.png --style nothing.png {QUICK} -o out.png"),
        "style save nothing.png -o nothing.style".to_string(),
    ] {
        studio.refused(studio.command(&command), 1, &["visible", "transparent"]);
    }
    // A photo without a visible pixel stays invisible.
    studio.succeed("stylize nothing.png --style style.png -o out.png --overwrite");
    let painted = image::open(studio.path("out.png")).unwrap().to_rgba8();
    assert!(painted.pixels().all(|pixel| pixel.0[3] == 0));
}
