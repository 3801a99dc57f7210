//! `eval encoder` and `eval adain`: agreement of features, painted pairs, and errors.

use std::process::Command;

use impasto::io::{DType, WeightFile};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::vgg19::Vgg19Weights;
use serde_json::Value;

use crate::studio::{Done, Studio, cell, sheet_size};
use crate::train::{save_net, save_photos};

/// A studio with two nets, a folder `photos` with twelve pictures and a folder `styles` with one.
fn studio_with_encoders() -> Studio {
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

/// Agreement at each tap, of the net itself (`given`) or of a lift (`lifted`).
fn agreement_at_taps(how: &str, output: &Value) -> Value {
    output["taps"].as_array().unwrap().iter().map(|tap| tap[how].clone()).collect()
}

#[test]
fn a_net_agrees_with_itself_and_less_with_another() {
    let studio = studio_with_encoders();
    let itself = studio.succeed(&eval("teacher.safetensors", "--json")).json();
    let names: Vec<_> = itself["taps"].as_array().unwrap().iter().map(|tap| tap["tap"].clone()).collect();
    assert_eq!(names, ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]);
    assert_eq!((&itself["pictures"], &itself["pairs"]), (&12.into(), &serde_json::json!([])));
    assert!(!itself["device"].as_str().unwrap().is_empty());
    let other = studio.succeed(&eval("other.safetensors", "--json")).json();
    for how in ["given", "lifted"] {
        let [same, other] = [&itself, &other].map(|output| agreement_at_taps(how, output));
        for field in ["correlation", "raw_correlation", "channel_correlation"] {
            for (same, less) in numbers(&same, field).into_iter().zip(numbers(&other, field)) {
                assert!(same > 0.999 && same < 1.0 + 1e-9, "{how} {field}: {itself}");
                assert!(less < 0.98, "{how} {field}: {other}");
            }
        }
        for (same, more) in numbers(&same, "relative_error").into_iter().zip(numbers(&other, "relative_error")) {
            assert!(same < 0.03 && more > 0.1, "{itself} {other}");
        }
    }

    // The table has the same figures as the JSON.
    let table = studio.succeed(&eval("other.safetensors", "")).stdout;
    assert!(table.starts_with("12 pictures at 48 x 48 px\n"), "{table}");
    for how in ["given", "lifted"] {
        for (name, correlation) in names.iter().zip(numbers(&agreement_at_taps(how, &other), "correlation")) {
            let start = format!("{:8} {how}", name.as_str().unwrap());
            let line = table.lines().find(|line| line.starts_with(&start)).unwrap();
            assert!(line.contains(&format!("{correlation:.4}")), "{line}");
        }
    }
    let limited = studio.succeed(&eval("other.safetensors", "--limit 4 --json")).json();
    assert_eq!(limited["pictures"], 4);
    assert!(limited["taps"] != other["taps"]);
    let held_out = studio.succeed(&eval("other.safetensors", "--hold-out 2 --json")).json();
    assert_eq!(held_out["pictures"], 6);
}

/// f16 takes less memory and gives nearly the same picture; an unknown precision is an error.
#[test]
fn eval_precision_measures_f16_pictures() {
    let studio = Studio::new();
    save_photos(&studio, 3);
    let done = studio.run("eval precision --photos photos --style style.png --size 48 --limit 2 --steps 4 --json");
    if done.stderr.contains("cannot store") {
        eprintln!("skipped: this adapter cannot store f16");
        return;
    }
    let told = done.json();
    let lines = told["methods"].as_array().unwrap();
    let has = &studio.succeed("devices --json").json()[0]["precisions"];
    let others = &has.as_array().unwrap()[1..];
    let names: Vec<_> =
        lines.iter().map(|line| [&line["method"], &line["precision"]].map(|name| name.as_str())).collect();
    let all =
        ["mosaic-batch", "wave", "AdaIN", "Gatys"].map(|name| others.iter().map(move |p| [Some(name), p.as_str()]));
    assert_eq!((names, &told["photos"]), (all.into_iter().flatten().collect(), &2.into()));
    let methods: Vec<_> = lines.iter().filter(|line| line["precision"] == "f16").collect();
    for line in lines {
        let [middle, least] = [0, 1].map(|at| line["psnr"][at].as_f64().unwrap());
        assert!(middle > 25.0 && least > 20.0 && middle < 120.0, "{line}");
        let [f32, f16] = [0, 1].map(|at| line["peak_bytes"][at].as_f64().unwrap());
        assert!(f16 < 0.95 * f32 && f16 > 0.3 * f32, "{line}");
    }
    // Early on the loss falls steeply, so slightly different steps are visible.
    let ratio = methods[3]["loss_ratio"].as_f64().unwrap();
    assert!((0.7..1.4).contains(&ratio) && ratio != 1.0, "{ratio}");
    assert!(methods[..3].iter().all(|line| line["loss_ratio"].is_null()));
    let table = studio.succeed("eval precision --photos photos --style style.png --size 48 --limit 1 --steps 1").stdout;
    assert!(table.contains("wave ") && table.contains("Gatys "), "{table}");

    studio.succeed("stylize content.png --style style.png -o whole.png");
    studio.succeed("stylize content.png --style style.png --precision f16 -o half.png");
    assert!(crate::studio::difference(&studio.picture("whole.png"), &studio.picture("half.png")) < 2.0);
    let on_matrices = "stylize content.png --style style.png --precision f16-matrix -o matrix.png";
    if others.contains(&"f16-matrix".into()) {
        studio.succeed(on_matrices);
        assert!(crate::studio::difference(&studio.picture("whole.png"), &studio.picture("matrix.png")) < 2.0);
    } else {
        studio.refused(studio.command(on_matrices), 1, &["precision", "f16-matrix", "no cooperative matrices"]);
    }
    let wrong = studio.run("stylize content.png --style style.png --precision f8 -o none.png");
    assert!(wrong.code == Some(2) && wrong.stderr.contains("f32, f16, f16-matrix"), "{}", wrong.stderr);
}

#[test]
fn eval_encoder_paints_pairs_and_reports_the_removed_style_loss() {
    let studio = studio_with_encoders();
    let options = "--limit 2 --styles styles --pairs 1 --pair-size 32 --steps 6 --pictures out --overwrite --json";
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

    // Photo, style and the two results side by side; both results of one net are the same picture.
    let sheet = studio.picture("out/00-000-style.png");
    assert_eq!(sheet.dimensions(), sheet_size(4, 1));
    let part = |sheet: &image::RgbImage, index: u32| cell(sheet, index, 0);
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
fn invalid_eval_encoder_arguments_are_refused() {
    let studio = studio_with_encoders();
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
        (with("other.", "none."), &["cannot read none.safetensors", "check the path"]),
        (with("other.", "cut."), &["cut.safetensors", "truncated"]),
        (with("teacher.", "cut."), &["cut.safetensors", "truncated"]),
        (with("--photos photos", "--photos nowhere"), &["cannot read nowhere", "check the path"]),
        (with("--photos photos", "--photos empty"), &["cannot read empty", "holds no picture"]),
        (with("--photos photos", "--photos broken"), &["broken/a.png", "a web page, not a picture"]),
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
        let done = Done::of(command);
        assert!(done.code == Some(2) && done.stderr.contains(words), "{}", done.stderr);
    }
}

/// A random decoder for random encoders of this width.
pub fn save_decoder(studio: &Studio, name: &str, width: f32, seed: u64) {
    let tensors = AdainDecoderWeights::random(&Vgg19Weights::random(width, 1), seed).unwrap().tensors();
    WeightFile::save(&studio.path(name), DType::F32, &tensors, &Default::default()).unwrap();
}

/// A studio with an encoder, two decoders for it, photos, and three paintings: the first photo, a grey picture and
/// `style.png`.
fn studio_with_decoders() -> Studio {
    let studio = studio_with_encoders();
    save_decoder(&studio, "decoder.safetensors", 0.1, 1);
    save_decoder(&studio, "rival.safetensors", 0.1, 2);
    std::fs::copy(studio.path("photos/000.png"), studio.path("styles/000.png")).unwrap();
    image::RgbImage::from_pixel(40, 40, image::Rgb([128; 3])).save(studio.path("styles/grey.png")).unwrap();
    studio
}

fn adain(options: &str) -> String {
    format!(
        "eval adain --teacher other.safetensors --encoder teacher.safetensors --decoder decoder.safetensors \
         --photos photos --paintings styles --limit 2 --size 32 {options}"
    )
}

const FIGURES: [&str; 4] = ["style_distance", "content_distance", "ssim", "reconstruction_db"];

#[test]
fn eval_adain_measures_every_photo_in_every_style() {
    let studio = studio_with_decoders();
    let result = studio.succeed(&adain("--pictures out --json")).json();
    assert_eq!((&result["photos"], &result["paintings"], &result["ratio"]), (&2.into(), &3.into(), &Value::Null));
    assert_eq!((&result["teacher"], result["pairs"].as_array().unwrap().len()), (&"other.safetensors".into(), 1));
    let pictures = result["pairs"][0]["pictures"].as_array().unwrap();
    let names: Vec<_> = pictures.iter().map(|line| format!("{} {}", line["photo"], line["painting"])).collect();
    let expected = ["000", "001"].map(|photo| ["000", "grey", "style"].map(|style| format!("{photo:?} {style:?}")));
    assert_eq!(names, expected.concat());
    for field in FIGURES {
        let mut values = numbers(&result["pairs"][0]["pictures"], field);
        assert!(values.iter().all(|value| *value > 0.0 || field == "ssim"), "{field}: {values:?}");
        values.sort_by(f64::total_cmp);
        let median = result["pairs"][0]["median"][field].as_f64().unwrap();
        assert_eq!(median, (values[2] + values[3]) / 2.0, "{field}");
    }
    // The reconstruction of a photo does not depend on the painting, because its style is the photo itself.
    let given_back = numbers(&result["pairs"][0]["pictures"], "reconstruction_db");
    assert!(given_back[..3].iter().all(|value| *value == given_back[0]) && given_back[0] != given_back[3]);

    // Photos in the first column, paintings in the first row.
    let sheet = studio.picture("out/adain.png");
    assert_eq!(sheet.dimensions(), sheet_size(4, 3));
    for number in [0, 1] {
        // An untrained decoder paints nearly grey pictures.
        let distances = &numbers(&result["pairs"][0]["pictures"], "style_distance")[3 * number..][..3];
        assert!(10.0 * distances[1] < distances[0].min(distances[2]), "{distances:?}");
    }
    assert!(cell(&sheet, 0, 1) == cell(&sheet, 1, 0) && cell(&sheet, 0, 1) != cell(&sheet, 0, 2));
    assert!(cell(&sheet, 2, 0).pixels().all(|pixel| pixel.0 == [128; 3]));
    assert!(cell(&sheet, 1, 1) != cell(&sheet, 2, 1) && cell(&sheet, 1, 1) != cell(&sheet, 1, 2));

    // The two extremes: the photo has its own structure completely, the painting its own style.
    let median = |end: &str, field: &str| result["ends"][end]["median"][field].as_f64().unwrap();
    assert!((median("photo", "ssim") - 1.0).abs() < 1e-9 && median("painting", "ssim") < 0.9, "{}", result["ends"]);
    assert!(median("painting", "style_distance") == 0.0 && median("photo", "style_distance") > 0.0);
    // The photo that is also a painting.
    let itself = &result["ends"]["photo"]["pictures"][0];
    assert!(itself["style_distance"] == 0.0 && itself["content_distance"].as_f64().unwrap() < 1e-9, "{itself}");
    // The worst quarter of three paintings is the worst one; a painting's figure is the median over both photos.
    let distances = numbers(&result["pairs"][0]["pictures"], "style_distance");
    let expected: Vec<f64> = (0..3).map(|painting| (distances[painting] + distances[3 + painting]) / 2.0).collect();
    assert_eq!(numbers(&result["pairs"][0]["paintings"], "style_distance"), expected);
    let worst = expected.iter().copied().fold(0.0, f64::max);
    assert_eq!(result["pairs"][0]["worst_quarter"].as_f64(), Some(worst));
    let meshes = numbers(&result["pairs"][0]["pictures"], "mesh");
    assert!(meshes.iter().all(|mesh| *mesh >= 1.0), "{meshes:?}");
    assert!(result["pairs"][0]["median"]["mesh"].as_f64().unwrap() >= 1.0);

    // Only medians are printed and, with -v, each picture; then each painting's figure, the worst first.
    let short = studio.succeed(&adain("")).stdout;
    let lines: Vec<&str> = short.lines().collect();
    assert!(lines[0] == "2 photos x 3 paintings at 32 x 32 px" && lines.len() == 10, "{short}");
    let starts = ["the photo itself ", "teacher.safetensors with decoder.safetensors ", "the painting itself "];
    assert!(lines[2..5].iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{short}");
    let median = &result["pairs"][0]["median"];
    for figure in [median["style_distance"].as_f64().unwrap(), worst] {
        assert!(lines[3].contains(&format!(" {figure:.4} ")), "{short} {figure}");
    }
    assert!(lines[7].ends_with(&format!(" {worst:.4}")), "{short}");
    let long = studio.succeed(&adain("-v")).stdout;
    assert!(long.lines().count() == 16 && long.contains("001 x style "), "{long}");
    // The limits of photos and of paintings are independent.
    let one = studio.succeed(&adain("--style-limit 1 --json")).json();
    assert_eq!(one["pairs"][0]["pictures"].as_array().unwrap()[..], [pictures[0].clone(), pictures[3].clone()]);
}

#[test]
fn eval_adain_compares_two_pairs() {
    let studio = studio_with_decoders();
    let alone = studio.succeed(&adain("--style-limit 2 --json")).json();
    let result =
        studio.succeed(&adain("--style-limit 2 --beside-decoder rival.safetensors --pictures out --json")).json();
    assert_eq!(result["pairs"][0], alone["pairs"][0]);
    assert_eq!(result["pairs"][1]["decoder"], "rival.safetensors");
    assert_eq!(result["pairs"][1]["encoder"], "teacher.safetensors");
    let of = |pair: usize, field: &str| result["pairs"][pair]["median"][field].as_f64().unwrap();
    let ratio = |field: &str| result["ratio"][field].as_f64().unwrap();
    for field in &FIGURES[..3] {
        assert!(ratio(field) == of(0, field) / of(1, field) && ratio(field) != 1.0, "{field}: {result}");
    }
    assert_eq!(ratio(FIGURES[3]), of(0, FIGURES[3]) - of(1, FIGURES[3]));
    let worst = |pair: usize| result["pairs"][pair]["worst_quarter"].as_f64().unwrap();
    assert_eq!(ratio("worst_quarter"), worst(0) / worst(1));
    let sheet = studio.picture("out/adain.png");
    assert_eq!(sheet.dimensions(), sheet_size(5, 3));
    assert!(cell(&sheet, 1, 0) == cell(&sheet, 2, 0) && cell(&sheet, 1, 1) != cell(&sheet, 2, 1));

    let same = studio
        .succeed(&adain("--style-limit 1 --beside-encoder teacher.safetensors --beside-decoder decoder.safetensors"));
    let line = same.stdout.lines().find(|line| line.starts_with("first over second")).unwrap();
    let ratios: Vec<_> = line.split_whitespace().rev().take(6).collect();
    assert_eq!(ratios, ["0.00", "1.000", "1.0000", "1.0000", "1.0000", "1.0000"], "{}", same.stdout);
}

#[test]
fn invalid_eval_adain_arguments_are_refused() {
    let studio = studio_with_decoders();
    let whole = std::fs::read(studio.path("decoder.safetensors")).unwrap();
    studio.write("cut.safetensors", &whole[..whole.len() - 100]);
    save_decoder(&studio, "wide.safetensors", 0.25, 1);
    let with = |old: &str, new: &str| {
        let text = adain("");
        assert!(text.contains(old));
        studio.command(&text.replace(old, new))
    };
    let cases: Vec<(Command, &[&str])> = vec![
        (with("decoder.s", "none.s"), &["cannot read none.safetensors", "check the path"]),
        (with("decoder.s", "cut.s"), &["cut.safetensors", "truncated"]),
        (with("decoder.s", "other.s"), &["other.safetensors", "d4_1.weight", "an AdaIN decoder"]),
        (with("--decoder decoder.safetensors", ""), &["512 channels", "the encoder gives 51"]),
        (with("decoder.s", "wide.s"), &["wide.safetensors", "128 channels", "the encoder gives 51"]),
        (with("--limit 2", "--limit 2 --beside-decoder wide.safetensors"), &["wide.safetensors", "128 channels"]),
        (with("--teacher other", "--teacher cut"), &["cut.safetensors", "truncated"]),
        (with("--paintings styles", "--paintings nowhere"), &["cannot read nowhere", "check the path"]),
        (with("--limit 2", "--limit 0"), &["photos", "at least one picture"]),
        (with("--limit 2", "--style-limit 0"), &["paintings", "at least one picture"]),
        (with("--size 32", "--size 10"), &["--size", "at least 11 px", "got 10"]),
        (with("--size 32", "--pictures style.png"), &["style.png"]),
    ];
    for (command, words) in cases {
        studio.refused(command, 1, words);
    }
    let done = Done::of(with("--limit 2", "--beside-encoder compact"));
    assert!(done.code == Some(2) && done.stderr.contains("--beside-decoder <FILE>"), "{}", done.stderr);
}
