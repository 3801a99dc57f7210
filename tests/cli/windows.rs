//! `impasto stylize` with little device memory.

use crate::model::save_net;
use crate::studio::{Studio, content};

const OPTIONS: &str =
    "stylize photo.png --style style.png --vgg random:0.25 --scales 1 --steps 3 --optimizer adam --json";

#[test]
fn little_memory_gives_windows_and_nearly_the_same_picture() {
    let studio = Studio::new();
    content(200, 150).save(studio.path("photo.png")).unwrap();
    let whole = studio.succeed(&format!("{OPTIONS} -o whole.png"));
    assert!(!whole.stderr.contains("windows"), "{}", whole.stderr);
    let peak = whole.json()["peak_bytes"].as_u64().unwrap();
    let memory = (peak * 3 / 4) >> 20;
    let parts = studio.succeed(&format!("{OPTIONS} -o parts.png --memory {memory} --profile time.json"));
    let line = parts.stderr.lines().find(|line| line.contains(" windows of ")).expect("a line about the windows");
    assert!(line.contains("scale 1/1 200x150 in ") && line.contains("2 passes per evaluation"), "{line}");
    let [whole, parts] = [whole.json(), parts.json()];
    assert!(parts["peak_bytes"].as_u64().unwrap() <= memory << 20, "{parts}");
    let [a, b] = [&whole, &parts].map(|summary| summary["last_loss"].as_f64().unwrap());
    assert!((a - b).abs() < 1e-3 * a, "{a} {b}");
    let difference = crate::studio::difference(&studio.picture("whole.png"), &studio.picture("parts.png"));
    assert!(difference < 0.1, "{difference}");
    assert!(!studio.trace("time.json").is_empty());
}

#[test]
fn too_little_memory_is_refused_with_a_way_out() {
    let studio = Studio::new();
    let command = |memory: &str| {
        studio.command(&format!(
            "stylize content.png --style style.png --method gatys --vgg random:0.25 -o out.png --memory {memory}"
        ))
    };
    studio.refused(command("1"), 1, &["needs", "of memory", "allow more --memory", "--size"]);
    studio.refused(command("12 --size 3000"), 1, &["of memory", "allow more --memory", "--size of at most "]);
    assert_eq!(crate::studio::Done::of(command("0")).code, Some(2));
}

/// Largest difference of two pictures of one size, of 255.
fn largest_difference(a: &image::RgbImage, b: &image::RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn adain_and_nets_need_only_the_memory_that_is_allowed() {
    let studio = Studio::new();
    content(300, 225).save(studio.path("photo.png")).unwrap();
    let half = image::GrayImage::from_fn(64, 48, |x, _| image::Luma([if x < 32 { 255 } else { 0 }]));
    half.save(studio.path("half.png")).unwrap();
    save_net(&studio, "net.safetensors", 1);
    let adain = "--style style.png --model adain-fast";
    for (options, memory, passes) in [
        (adain.to_string(), 24, "(2 passes)"),
        (format!("{adain} --mask half.png=style.png --keep-color luminance"), 24, "(2 passes)"),
        ("--model net.safetensors --exact".into(), 5, "(16 passes)"),
        ("--mask half.png=net.safetensors --exact --model net.safetensors".into(), 5, "(16 passes)"),
    ] {
        let whole = studio.succeed(&format!("stylize photo.png {options} -o whole.png --overwrite"));
        assert!(!whole.stderr.contains(" windows of "), "{options}: {}", whole.stderr);
        let parts = studio.succeed(&format!("stylize photo.png {options} -o parts.png --overwrite --memory {memory}"));
        let line = parts.stderr.lines().find(|line| line.contains(" windows of ")).expect("a line about the windows");
        assert!(line.contains("photo.png: 300x225 px in ") && line.contains(passes), "{options}: {line}");
        let needed = line.split(", ").last().unwrap().split(' ').next().unwrap();
        assert!(needed.parse::<u64>().unwrap() <= memory, "{line}");
        let difference = largest_difference(&studio.picture("whole.png"), &studio.picture("parts.png"));
        assert!(difference <= 1, "{options}: {difference}");
    }
    // Statistics of a thumbnail, which here is the photo itself.
    let once = studio.succeed("stylize photo.png --model net.safetensors -o once.png --memory 5");
    assert!(once.stderr.contains("(1 pass)"), "{}", once.stderr);
    studio.succeed("stylize photo.png --model net.safetensors -o whole.png --overwrite");
    assert!(largest_difference(&studio.picture("whole.png"), &studio.picture("once.png")) <= 1);

    let none = studio.command(&format!("stylize photo.png {adain} -o none.png --memory 1"));
    studio.refused(none, 1, &["needs", "of memory", "allow more --memory"]);
    let huge = studio.command(&format!("stylize photo.png {adain} -o none.png --size 60000"));
    studio.refused(huge, 1, &["60000x45000 pixels", "30000 a side", "choose a smaller size"]);
    let wide = studio.command(&format!("stylize photo.png {adain} -o none.webp --size 20000"));
    studio.refused(wide, 1, &["20000x15000 pixels", "16383 a side"]);
}
