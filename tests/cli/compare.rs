//! `eval feed-forward` and `compare`: trained nets beside Gatys' method, by one loss.

use std::process::Command;

use serde_json::Value;

use crate::studio::{Done, Studio};
use crate::train::save_photos;

/// A studio with four photos and a net of Ulyanov's, `net.safetensors`, an eighth as wide as the paper's, that has seen one
/// batch of them and learned next to nothing.
fn atelier() -> Studio {
    let studio = Studio::new();
    save_photos(&studio, 4);
    studio.succeed(&train("ulyanov", "net.safetensors"));
    studio
}

fn train(method: &str, output: &str) -> String {
    format!(
        "train {method} --style style.png --style-size 48 --photos photos --steps 1 --learning-rate 1e-9 --width 0.125 \
         --crop 32 --batch 1 --sample-every 0 --vgg compact -o {output}"
    )
}

fn number(of: &Value, field: &str) -> f64 {
    of[field].as_f64().unwrap_or_else(|| panic!("{field} in {of}"))
}

fn eval(options: &str) -> String {
    format!("eval feed-forward --model net.safetensors --style style.png --photos photos --size 32 {options}")
}

#[test]
fn a_net_that_learned_nothing_is_as_good_as_an_untrained_one_and_gatys_is_better() {
    let studio = atelier();
    let result = studio.succeed(&eval("--steps 12 --pictures out --json")).json();
    let photos = result["photos"].as_array().unwrap();
    assert_eq!(photos.len(), 4);
    for (index, line) in photos.iter().enumerate() {
        assert_eq!(line["photo"], format!("{index:03}"));
        let [photo, untrained, net, gatys] =
            ["photo_loss", "untrained_loss", "net_loss", "gatys_loss"].map(|field| number(line, field));
        assert!((net / untrained - 1.0).abs() < 1e-2, "half-precision weights apart: {line}");
        assert!(gatys < 0.9 * photo && gatys < net, "{line}");
        assert_eq!(number(line, "net_to_gatys"), net / gatys);
        assert_eq!(number(line, "net_to_untrained"), net / untrained);
        // From the photo on, which an untrained net does not reach.
        assert!((1.0..=14.0).contains(&number(line, "caught_up")), "{line}");
        let sheet = studio.picture(&format!("out/{index:02}-{index:03}.png"));
        assert_eq!(sheet.dimensions(), (3 * 32, 32));
    }
    for field in ["photo_loss", "net_loss", "gatys_loss", "net_to_gatys", "caught_up"] {
        let mut values: Vec<f64> = photos.iter().map(|line| number(line, field)).collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(number(&result["median"], field), (values[1] + values[2]) / 2.0, "{field}");
    }

    let table = studio.succeed(&eval("--steps 12 --limit 1")).stdout;
    let line = table.lines().find(|line| line.starts_with("000 ")).unwrap();
    for field in ["photo_loss", "untrained_loss", "net_loss", "gatys_loss"] {
        assert!(line.contains(&format!(" {:.4}", number(&photos[0], field))), "{field}: {table}");
    }
    assert!(table.lines().last().unwrap().starts_with("median"), "{table}");
    let longer = studio.succeed(&eval("--steps 40 --limit 1 --json")).json();
    assert!(number(&longer["median"], "gatys_loss") < number(&photos[0], "gatys_loss"));
    assert_eq!(longer["photos"].as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let studio = atelier();
    crate::train::save_net(&studio, "vgg.safetensors", 1);
    studio.succeed(&train("ulyanov", "other.safetensors").replace("--vgg compact", "--vgg random:0.1"));
    let with = |old: &str, new: &str| {
        let text = eval("--pictures out");
        assert!(text.contains(old));
        studio.command(&text.replace(old, new))
    };
    let cases: Vec<(Command, &[&str])> = vec![
        (with("net.", "none."), &["--model", "a file, or one of", "none.safetensors"]),
        (with("net.", "vgg."), &["vgg.safetensors", "names no `loss`"]),
        (with("net.", "other."), &["--vgg", "random:0.1"]),
        (with("style.png", "none.png"), &["none.png", "no such file"]),
        (with("--photos photos", "--photos nowhere"), &["cannot read nowhere"]),
        (with("--photos photos", "--photos photos --limit 0"), &["photos", "at least one picture"]),
        (with("--size 32", "--size 7"), &["--size", "at least 16 px", "got 7"]),
        (with("--size 32", "--size 32 --steps 0"), &["--steps", "at least 1", "got 0"]),
        (with("--pictures out", "--pictures style.png"), &["style.png"]),
    ];
    for (command, words) in cases {
        studio.refused(command, 1, words);
    }
    let done = Done::of(with("--style style.png", ""));
    assert!(done.code == Some(2) && done.stderr.contains("--style <PICTURE>"), "{}", done.stderr);
}
