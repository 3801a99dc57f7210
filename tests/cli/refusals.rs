//! What cannot be done is refused in one clear line, before work begins, and leaves every file as it was.

use std::path::Path;
use std::process::Command;

use image::{GrayImage, Luma, RgbImage};

use crate::studio::{Done, QUICK, Studio, content, style};

/// A studio in which an older result and an older log lie where the new ones would go.
fn used_studio() -> Studio {
    let studio = Studio::new();
    studio.write("out.png", "an older result");
    studio.write("log.jsonl", "an older log\n");
    studio
}

/// `impasto stylize CONTENT --style STYLE` with random weights, a log, and more options.
fn stylize(studio: &Studio, content: &str, style: &str, options: &str) -> Command {
    let fixed = "--vgg random:0.1 --log log.jsonl -o out.png";
    studio.command(&format!("stylize {content} --style {style} {fixed} {options}"))
}

#[test]
fn files_that_are_no_pictures() {
    let studio = used_studio();
    studio.write("text.png", "Dear diary, today I renamed a text.\n");
    studio.write("page.png", "<!DOCTYPE html><title>404</title>");
    studio.write("empty.png", "");
    content(200, 150).save(studio.path("whole.jpg")).unwrap();
    for (whole, cut) in [("whole.jpg", "cut.jpg"), ("content.png", "cut.png")] {
        let bytes = std::fs::read(studio.path(whole)).unwrap();
        studio.write(cut, &bytes[..bytes.len() / 2]);
    }
    std::fs::create_dir(studio.path("folder")).unwrap();
    let cases = [
        ("none.png", ["cannot read none.png", "no such file", "check the path"]),
        ("folder", ["cannot read folder", "directory", "name a file in it"]),
        ("text.png", ["text.png", "text, not a picture", "Dear diary"]),
        ("page.png", ["page.png", "text, not a picture", "DOCTYPE"]),
        ("empty.png", ["empty.png", "the file is empty", "fetch or export it again"]),
        ("cut.jpg", ["cut.jpg", "truncated", "fetch or export it again"]),
        ("cut.png", ["cut.png", "truncated", "fetch or export it again"]),
    ];
    for (name, words) in cases {
        studio.refused(stylize(&studio, name, "style.png", ""), 1, &words);
        studio.refused(stylize(&studio, "content.png", name, ""), 1, &words);
        studio.refused(stylize(&studio, "content.png", "style.png:2", &format!("--style {name}:0.5")), 1, &words);
    }
}

#[test]
fn pictures_too_small_for_the_net() {
    let studio = used_studio();
    RgbImage::new(1, 1).save(studio.path("dot.png")).unwrap();
    style(640, 4).save(studio.path("ribbon.png")).unwrap();
    let words = ["at least 8 px on its short side", "relu4_1", "choose a larger --size"];
    let cases = [
        (stylize(&studio, "dot.png", "style.png", ""), ["content must", "got 1x1"]),
        (stylize(&studio, "ribbon.png", "style.png", "--scales 1"), ["content must", "got 512x3"]),
        (stylize(&studio, "content.png", "style.png", "--style ribbon.png"), ["style 2 must", "got 64x1"]),
        // Only the smallest of the scales is too small: known before the first is begun.
        (stylize(&studio, "content.png", "style.png", "--scales 8"), ["content must", "fewer --scales"]),
    ];
    for (command, own) in cases {
        studio.refused(command, 1, &[&words[..], &own[..]].concat());
    }
    // A dot is one colour at any size, which a user may want.
    studio.succeed(&format!("stylize dot.png --style dot.png --size 32 {QUICK} -o large.png"));
    assert_eq!(studio.picture("large.png").dimensions(), (32, 32));
}

#[test]
fn sizes_too_large_for_the_device() {
    let studio = used_studio();
    let words = ["the device allows", "choose a --size of at most "];
    let line = studio.refused(stylize(&studio, "content.png", "style.png", "--size 12000"), 1, &words);
    // The advice is exact: the size is planned, and one more is not.
    let largest: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((256..12000).contains(&largest), "{line}");
    let advised = |size: usize| {
        let options = format!("--size {size} --content-tap relu9_9");
        studio.refused(stylize(&studio, "content.png", "style.png", &options), 1, &["relu9_9"])
    };
    advised(largest);
    studio.refused(stylize(&studio, "content.png", "style.png", &format!("--size {}", largest + 1)), 1, &words);
    // The style picture alone is too large.
    let line = studio.refused(stylize(&studio, "content.png", "style.png", "--size 1000 --style-scale 8"), 1, &words);
    assert!(line.rsplit(' ').next().unwrap().parse::<usize>().unwrap() < largest, "{line}");
}
