//! `eval encoder`: agreement of features, painted pairs, and what it refuses.

use std::process::Command;

use serde_json::Value;

use crate::studio::Studio;
use crate::train::{save_net, save_photos};

/// A studio with two nets, `photos` of twelve pictures, and `styles` of one.
fn gallery() -> Studio {
    let studio = Studio::new();
    save_net(&studio, "teacher.safetensors", 1);
    save_net(&studio, "other.safetensors", 2);
    save_photos(&studio, 12);
    std::fs::create_dir(studio.path("styles")).unwrap();
    std::fs::copy(studio.path("style.png"), studio.path("styles/style.png")).unwrap();
    studio
}

fn eval(encoder: &str, options: &str) -> String {
    format!("eval encoder --teacher teacher.safetensors --encoder {encoder} --photos photos --size 48 {options}")
}

fn numbers(taps: &Value, field: &str) -> Vec<f64> {
    taps.as_array().unwrap().iter().map(|tap| tap[field].as_f64().unwrap()).collect()
}

#[test]
fn a_net_agrees_with_itself_and_less_with_another() {
    let studio = gallery();
    let itself = studio.succeed(&eval("teacher.safetensors", "--json")).json();
    let names: Vec<_> = itself["taps"].as_array().unwrap().iter().map(|tap| tap["tap"].clone()).collect();
    assert_eq!(names, ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]);
    assert_eq!((&itself["pictures"], &itself["pairs"]), (&12.into(), &serde_json::json!([])));
    assert!(!itself["device"].as_str().unwrap().is_empty());
    let other = studio.succeed(&eval("other.safetensors", "--json")).json();
    for field in ["correlation", "raw_correlation", "channel_correlation"] {
        for (same, less) in numbers(&itself["taps"], field).into_iter().zip(numbers(&other["taps"], field)) {
            assert!(same > 0.999 && same < 1.0 + 1e-9, "{field}: {itself}");
            assert!(less < 0.98, "{field}: {other}");
        }
    }
    for (same, more) in
        numbers(&itself["taps"], "relative_error").into_iter().zip(numbers(&other["taps"], "relative_error"))
    {
        assert!(same < 0.03 && more > 0.1, "{itself} {other}");
    }

    // The table has the same figures.
    let table = studio.succeed(&eval("other.safetensors", "")).stdout;
    assert!(table.starts_with("12 pictures at 48 x 48 px\n"), "{table}");
    for (name, correlation) in names.iter().zip(numbers(&other["taps"], "correlation")) {
        let line = table.lines().find(|line| line.starts_with(name.as_str().unwrap())).unwrap();
        assert!(line.contains(&format!("{correlation:.4}")), "{line}");
    }
    let limited = studio.succeed(&eval("other.safetensors", "--limit 4 --json")).json();
    assert_eq!(limited["pictures"], 4);
    assert!(limited["taps"] != other["taps"]);
    let held_out = studio.succeed(&eval("other.safetensors", "--hold-out 2 --json")).json();
    assert_eq!(held_out["pictures"], 6);
}

#[test]
fn pairs_are_painted_and_a_net_removes_all_that_it_removes_itself() {
    let studio = gallery();
    let options = "--limit 2 --styles styles --pairs 1 --pair-size 32 --steps 6 --pictures out --json";
    let itself = studio.succeed(&eval("teacher.safetensors", options)).json();
    let pair = &itself["pairs"][0];
    assert_eq!(itself["pairs"].as_array().unwrap().len(), 1);
    assert_eq!((&pair["photo"], &pair["style"]), (&"photos/000.png".into(), &"styles/style.png".into()));
    assert_eq!(pair["removed"], 1.0);
    let losses = |pair: &Value, field: &str| -> Vec<f64> {
        pair[field].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let [style, content] = ["style_loss", "content_loss"].map(|field| losses(pair, field));
    assert!(style[0] > style[1] && style[1] == style[2], "{pair}");
    assert!(content[0] < 1e-6 * content[1] && content[1] == content[2], "{pair}");

    // Photo, style and the two results, side by side; the results of one net are one picture.
    let sheet = studio.picture("out/00-000-style.png");
    assert_eq!(sheet.dimensions(), (4 * 32, 32));
    let part = |sheet: &image::RgbImage, index: u32| image::imageops::crop_imm(sheet, 32 * index, 0, 32, 27).to_image();
    assert!(part(&sheet, 2) == part(&sheet, 3));
    assert!(part(&sheet, 0) != part(&sheet, 2) && part(&sheet, 0) != part(&sheet, 1));

    let other = studio.succeed(&eval("other.safetensors", options)).json();
    let pair = &other["pairs"][0];
    assert!(losses(pair, "style_loss")[2] == style[2] && losses(pair, "style_loss")[1] != style[1], "{pair}");
    let removed = pair["removed"].as_f64().unwrap();
    assert!(removed < 1.0, "{pair}");
    let again = studio.picture("out/00-000-style.png");
    assert!(part(&again, 3) == part(&sheet, 3) && part(&again, 2) != part(&again, 3));

    let text = studio.succeed(&eval("other.safetensors", &options.replace("--json", ""))).stdout;
    assert!(text.contains("000 x style") && text.contains(&format!("{:.1}% on average", 100.0 * removed)), "{text}");
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let studio = gallery();
    let whole = std::fs::read(studio.path("other.safetensors")).unwrap();
    studio.write("cut.safetensors", &whole[..whole.len() - 100]);
    std::fs::create_dir(studio.path("empty")).unwrap();
    std::fs::create_dir(studio.path("broken")).unwrap();
    studio.write("broken/a.png", "<html>not found</html>");
    let with = |old: &str, new: &str| {
        let text = eval("other.safetensors", "");
        assert!(text.contains(old));
        studio.command(&text.replace(old, new))
    };
    let cases: Vec<(Command, &[&str])> = vec![
        (with("other.", "none."), &["cannot read none.safetensors", "no such file"]),
        (with("other.", "cut."), &["cut.safetensors", "truncated"]),
        (with("teacher.", "cut."), &["cut.safetensors", "truncated"]),
        (with("--photos photos", "--photos nowhere"), &["cannot read nowhere", "check the path"]),
        (with("--photos photos", "--photos empty"), &["cannot read empty", "holds no picture"]),
        (with("--photos photos", "--photos broken"), &["broken/a.png", "text, not a picture"]),
        (with("--photos photos", "--photos photos --limit 1"), &["photos", "at least two pictures", "got 1"]),
        (with("--photos photos", "--photos photos --limit 0"), &["photos", "at least two pictures", "got 0"]),
        (with("--photos photos", "--photos photos --hold-out 0"), &["hold-out", "at least 1", "got 0"]),
        (with("--photos photos", "--photos photos --hold-out 1000000007 --limit 1"), &["two pictures"]),
        (with("--size 48", "--size 7"), &["--size", "at least 8 px", "got 7"]),
        (with("--size 48", "--size 0"), &["--size", "got 0"]),
        (with("--size 48", "--size 48 --pairs 1 --styles nowhere"), &["cannot read nowhere", "check the path"]),
    ];
    for (command, words) in cases {
        studio.refused(command, 1, words);
    }
    for (command, words) in
        [(with("--size 48", "--pairs 1"), "--styles"), (with("--photos photos", ""), "--photos <DIR>")]
    {
        let done = crate::studio::Done::of(command);
        assert!(done.code == Some(2) && done.stderr.contains(words), "{}", done.stderr);
    }
}
