//! `impasto stylize --method gatys` with little device memory.

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
