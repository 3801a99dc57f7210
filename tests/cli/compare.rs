//! `eval feed-forward` and `compare`: trained nets and Gatys' method, compared by one loss.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::eval::save_decoder;
use crate::studio::{self, Done, Studio, cell, place, sheet_size};
use crate::train::save_photos;

/// A studio with four photos and `net.safetensors`, a net with instance norm of an eighth of the published width that
/// was trained on one batch and has learned next to nothing. It is trained once for all tests.
fn studio_with_net_and_photos() -> Studio {
    static NET: OnceLock<Vec<u8>> = OnceLock::new();
    let studio = Studio::new();
    save_photos(&studio, 4);
    let net = NET.get_or_init(|| {
        studio.succeed(&train("ulyanov", "net.safetensors"));
        std::fs::read(studio.path("net.safetensors")).unwrap()
    });
    studio.write("net.safetensors", net);
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

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_comparison_with_a_message() {
    use crate::stylize::interrupted::{Kept, interrupt, wait_for};
    let studio = Studio::new();
    let stderr = std::fs::File::create(studio.path("stderr")).unwrap();
    let mut command = studio.command("compare content.png style.png --vgg random:0.1 --steps 1000000 -o page");
    let mut child = Kept(command.stdout(std::process::Stdio::null()).stderr(stderr).spawn().unwrap());
    wait_for("a place for the page", || studio.path("page").is_dir());
    let status = interrupt(&mut child);
    let stderr = std::fs::read_to_string(studio.path("stderr")).unwrap();
    assert_eq!(status, Some(130), "{stderr}");
    assert!(stderr.lines().last().is_some_and(|last| last.starts_with("impasto: interrupted")), "{stderr}");
    assert!(!studio.path("page/index.html").exists());
}

#[test]
fn eval_feed_forward_rates_an_unlearned_net_as_untrained_and_gatys_better() {
    let studio = studio_with_net_and_photos();
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
        // Starting from the photo, whose loss the untrained net does not reach.
        assert!((1.0..=14.0).contains(&number(line, "caught_up")), "{line}");
        let sheet = studio.picture(&format!("out/{index:02}-{index:03}.png"));
        assert_eq!(sheet.dimensions(), sheet_size(3, 1));
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
    assert!(table.lines().any(|line| line.starts_with("median ")), "{table}");

    // The same judge for the photo, the net, Gatys' method and the style.
    assert_eq!(result["teacher"], "compact");
    let scores = |name: &str| &result["scores"][name];
    assert!((number(&scores("photo")["median"], "ssim") - 1.0).abs() < 1e-9);
    for name in ["photo", "net", "gatys", "style"] {
        let pictures = scores(name)["pictures"].as_array().unwrap();
        assert_eq!(pictures.len(), 4);
        let mut distances: Vec<f64> = pictures.iter().map(|line| number(line, "style_distance")).collect();
        distances.sort_by(f64::total_cmp);
        assert_eq!(number(&scores(name)["median"], "style_distance"), (distances[1] + distances[2]) / 2.0, "{name}");
        assert_eq!(number(scores(name), "worst_quarter"), distances[3], "{name}");
    }
    let of = |name: &str| number(&scores(name)["median"], "style_distance");
    assert!(of("style") < of("gatys") && of("gatys") < of("photo"), "{result}");
    let ends = ["the photo itself ", "net ", "Gatys ", "the style itself "];
    for (line, start) in table.lines().rev().take(4).zip(ends.iter().rev()) {
        assert!(line.starts_with(start) && line.split_whitespace().count() >= 6, "{table}");
    }
    // Another teacher gives other figures.
    let other = studio.succeed(&eval("--steps 12 --limit 1 --teacher random:0.1 --json")).json();
    assert_eq!(other["teacher"], "random:0.1");
    assert_eq!(other["photos"][0]["net_loss"], photos[0]["net_loss"]);
    let [one, same] = [&other, &result].map(|from| from["scores"]["net"]["pictures"][0].clone());
    assert!(one["style_distance"] != same["style_distance"] && one["ssim"] == same["ssim"], "{one} {same}");
    let longer = studio.succeed(&eval("--steps 40 --limit 1 --json")).json();
    assert!(number(&longer["median"], "gatys_loss") < number(&photos[0], "gatys_loss"));
    assert_eq!(longer["photos"].as_array().unwrap().len(), 1);
}

#[test]
fn eval_feed_forward_starts_gatys_from_noise_on_request() {
    let studio = studio_with_net_and_photos();
    let from = |init: &str| {
        let result = studio.succeed(&eval(&format!("--steps 6 --limit 2 --init {init} --json"))).json();
        assert_eq!(result["init"], init);
        result["median"].clone()
    };
    let [photo, noise] = ["content", "noise"].map(from);
    for field in ["photo_loss", "untrained_loss", "net_loss"] {
        assert_eq!(photo[field], noise[field]);
    }
    assert!(number(&noise, "gatys_loss") > number(&photo, "gatys_loss"), "{noise} {photo}");
    let table = studio.succeed(&eval("--steps 6 --limit 1 --init noise")).stdout;
    assert!(table.starts_with("1 photos at 32 x 32 px, Gatys from noise with 6 evaluations\n"), "{table}");
}

#[test]
fn invalid_eval_feed_forward_arguments_are_refused() {
    let studio = studio_with_net_and_photos();
    crate::train::save_net(&studio, "vgg.safetensors", 1);
    crate::model::save_net(&studio, "plain.safetensors", 1);
    studio.succeed(&train("ulyanov", "other.safetensors").replace("--vgg compact", "--vgg random:0.1"));
    let with = |old: &str, new: &str| {
        let text = eval("--pictures out");
        assert!(text.contains(old));
        studio.command(&text.replace(old, new))
    };
    let cases: Vec<(Command, &[&str])> = vec![
        (with("net.", "none."), &["--model", "a file, or one of", "none.safetensors"]),
        (with("net.", "vgg."), &["vgg.safetensors", "lacks the tensor conv1.conv2d.weight"]),
        (with("net.", "plain."), &["plain.safetensors", "has no `loss`"]),
        (with("net.", "other."), &["--vgg", "random:0.1"]),
        (with("style.png", "none.png"), &["none.png", "check the path"]),
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

/// The rows of a page's tables, each as a list of cells.
fn tables(page: &str) -> Vec<Vec<String>> {
    let lines = page.split("<tr>").skip(1).map(|line| line.split("</tr>").next().unwrap());
    let cells = |line: &str| line.split("</t").map(|cell| cell.rsplit('>').next().unwrap().to_string()).collect();
    lines.map(cells).map(|mut line: Vec<_>| line.drain(..line.len() - 1).collect()).collect()
}

fn read(studio: &Studio, name: &str) -> String {
    std::fs::read_to_string(studio.path(name)).unwrap()
}

/// Asserts that the page is self-contained: all pictures are embedded, and nothing is fetched or executed.
fn self_contained(page: &str, pictures: usize) {
    let sources: Vec<_> = page.split("src=").skip(1).collect();
    assert_eq!(sources.len(), pictures);
    // All PNG files begin with the same bytes.
    assert!(sources.iter().all(|source| source.starts_with("\"data:image/png;base64,iVBORw0KGgo")));
    for reference in ["href", "url(", "@import", "<script", "http:", "https:", "<link"] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
}

#[test]
fn compare_writes_one_page_with_all_methods() {
    let studio = studio_with_net_and_photos();
    studio.succeed(&train("johnson", "batch.safetensors"));
    save_decoder(&studio, "any.safetensors", 0.25, 1);
    let done = studio.succeed(
        "compare content.png style.png --methods gatys,johnson,ulyanov,adain --johnson batch.safetensors \
         --ulyanov net.safetensors --adain any.safetensors --size 32 --steps 12 -o new/out",
    );
    assert!(done.stdout.ends_with("new/out/index.html\n"), "{}", done.stdout);
    let results: Value = serde_json::from_str(&read(&studio, "new/out/results.json")).unwrap();
    let page = read(&studio, "new/out/index.html");
    self_contained(&page, 6 + 2);

    let table = tables(&page);
    let names: Vec<_> = table.iter().map(|line| line[0].as_str()).collect();
    assert_eq!(names, ["", "photo as it is", "gatys", "johnson", "ulyanov", "adain"]);
    let methods = results["methods"].as_array().unwrap();
    let gatys = number(&methods[0], "loss");
    for (method, line) in methods.iter().zip(&table[2..]) {
        let loss = number(method, "loss");
        let parts = ["style", "content", "total_variation"].map(|part| number(method, part));
        assert!((parts.iter().sum::<f64>() / loss - 1.0).abs() < 1e-9, "{method}");
        let [style, content, variation] = parts.map(|part| format!("{part:.4}"));
        let seconds = ["seconds_warm", "seconds_cold"].map(|field| format!("{:.3}", number(method, field)));
        let memory = format!("{:.1} MiB", number(method, "peak_bytes") / f64::from(1 << 20));
        let ratio = format!("{:.3}", loss / gatys);
        let expected = [format!("{loss:.4}"), ratio, style, content, variation, seconds.concat(), memory];
        assert_eq!(line[1..6], expected[..5]);
        assert_eq!((line[6..8].concat(), &line[8]), (expected[5].clone(), &expected[6]));
        assert!(line.iter().all(|cell| done.stdout.contains(cell)), "{}", done.stdout);
        assert!(number(method, "seconds_warm") > 0.0 && gatys <= loss, "{method}");
    }
    // The loss is the first net's; the content loss of the photo itself is 0.
    assert_eq!((&results["loss_of"], &results["vgg"]), (&"batch.safetensors".into(), &"compact".into()));
    assert_eq!(
        (&results["size"], &results["style_size"]),
        (&serde_json::json!([32, 24]), &serde_json::json!([45, 48]))
    );
    assert!(number(&results["photo"], "content") < 1e-6 && number(&results["photo"], "loss") > gatys);
    let curve = methods[0]["curve"].as_array().unwrap();
    assert!(curve.len() > 3 && curve.last().unwrap()[0].as_f64() == methods[0]["evaluations"].as_f64(), "{curve:?}");

    // The page shows the pictures that the commands paint.
    for (net, name) in [("net", "ulyanov"), ("batch", "johnson")] {
        studio.succeed(&format!("stylize content.png --model {net}.safetensors --size 32 -o {name}.png"));
        assert!(studio.picture(&format!("{name}.png")) == studio.picture(&format!("new/out/{name}.png")), "{name}");
    }
    assert!(studio.picture("new/out/gatys.png") != studio.picture("new/out/content.png"));
    // Side by side: photo, style, and the result of each method.
    let sheet = studio.picture("new/out/methods.png");
    let places = ["content", "gatys", "johnson", "ulyanov", "adain"]
        .map(|name| place(&sheet, &studio.picture(&format!("new/out/{name}.png"))));
    assert!(places.windows(2).all(|pair| pair[0].0 < pair[1].0), "{places:?}");
    assert_eq!(sheet.width(), sheet_size(6, 1).0);
    assert_eq!(studio.picture("new/out/loss-seconds.png").dimensions(), (960, 600));
    assert!(studio.picture("new/out/loss-seconds.png") != studio.picture("new/out/loss-steps.png"));
}

#[test]
fn compare_without_nets_has_the_loss_of_stylize() {
    let studio = Studio::new();
    studio.succeed("compare content.png style.png --vgg random:0.1 --size 40 --steps 5 -o out");
    let results: Value = serde_json::from_str(&read(&studio, "out/results.json")).unwrap();
    let options = "--vgg random:0.1 --scales 1 --size 40 --steps 5 --json -o alone.png";
    let alone = studio.succeed(&format!("stylize content.png --style style.png {options}")).json();
    assert_eq!(results["methods"].as_array().unwrap().len(), 1);
    assert!((number(&results["methods"][0], "loss") / number(&alone, "last_loss") - 1.0).abs() < 1e-6, "{results}");
    assert!(studio.picture("out/gatys.png") == studio.picture("alone.png"));
    assert_eq!((&results["loss_of"], &results["loss"]["normalization"]), (&Value::Null, &"relative".into()));
}

#[test]
fn compare_paints_adain_in_the_given_style() {
    let studio = Studio::new();
    save_decoder(&studio, "any.safetensors", 0.25, 1);
    for (name, picture) in [("photos", studio::content(32, 32)), ("paintings", studio::style(32, 32))] {
        std::fs::create_dir(studio.path(name)).unwrap();
        picture.save(studio.path(&format!("{name}/a.png"))).unwrap();
    }
    let compare = "compare photos/a.png paintings/a.png --adain any.safetensors --vgg random:0.1 --size 32 --steps 3";
    studio.succeed(&format!("{compare} --methods adain -o out"));
    let results: Value = serde_json::from_str(&read(&studio, "out/results.json")).unwrap();
    let [method] = &results["methods"].as_array().unwrap()[..] else { panic!("{results}") };
    assert_eq!((&method["method"], &method["model"]), (&"adain".into(), &"any.safetensors".into()));
    assert_eq!((&method["evaluations"], &results["loss_of"]), (&0.into(), &Value::Null));
    assert!(number(method, "seconds_cold") > number(method, "seconds_warm") && number(method, "peak_bytes") > 1e5);
    // The same picture as from `eval adain`.
    studio.succeed(
        "eval adain --teacher compact --decoder any.safetensors --photos photos --paintings paintings --size 32 \
         --pictures sheet",
    );
    let painted = studio.picture("out/adain.png");
    assert!(cell(&studio.picture("sheet/adain.png"), 1, 1) == painted);

    // The net is included when given, for any style and any encoder.
    studio.succeed(&format!("{} -o other", compare.replace("paintings", "photos")));
    assert!(studio.picture("other/adain.png") != painted && studio.path("other/gatys.png").exists());
    crate::train::save_net(&studio, "encoder.safetensors", 1);
    save_decoder(&studio, "any.safetensors", 0.1, 1);
    studio.succeed(&format!("{compare} --methods adain --adain-encoder encoder.safetensors -o third"));
    assert!(studio.picture("third/adain.png") != painted);
}

/// The log of a training run whose loss is `from` · step^`power`.
fn save_log(studio: &Studio, name: &str, steps: u32, from: f64, power: f64) {
    let line = |step: u32| serde_json::json!({ "step": step, "loss": from * f64::from(step).powf(power) }).to_string();
    studio.write(name, (1..=steps).map(|step| line(step) + "\n").collect::<String>());
}

#[test]
fn compare_divides_training_logs_into_tenths() {
    let studio = Studio::new();
    save_log(&studio, "slow.jsonl", 100, 10.0, -0.2);
    save_log(&studio, "fast.jsonl", 100, 20.0, -0.5);
    let done = studio.succeed("compare --training-logs slow.jsonl fast.jsonl --names batch,<in> -o out");
    let mut names = studio.new_names();
    names.retain(|name| name.starts_with("out"));
    assert_eq!(names, ["out/index.html", "out/results.json", "out/training.png"]);
    let page = read(&studio, "out/index.html");
    self_contained(&page, 1);
    let training = &serde_json::from_str::<Value>(&read(&studio, "out/results.json")).unwrap()["training"];
    let tenths = training["tenths"].as_array().unwrap();
    let lowest: Vec<_> = tenths.iter().map(|tenth| tenth["lowest"].as_str().unwrap()).collect();
    // 10 x^-0.2 = 20 x^-0.5 at x = 2^(1/0.3) = 10.08.
    assert_eq!(lowest, [["batch"].as_slice(), &["<in>"; 9]].concat());
    let mean = |steps: std::ops::RangeInclusive<u32>| -> f64 {
        steps.map(|step| 10.0 * f64::from(step).powf(-0.2)).sum::<f64>() / 10.0
    };
    assert!((tenths[0]["means"][0].as_f64().unwrap() - mean(1..=10)).abs() < 1e-9, "{training}");
    assert!((tenths[9]["means"][0].as_f64().unwrap() - mean(91..=100)).abs() < 1e-9, "{training}");
    let table = tables(&page);
    assert_eq!(table[0], ["steps", "batch", "&lt;in&gt;", "lowest"]);
    assert_eq!(table[10][..2], ["91-100".to_string(), format!("{:.4}", mean(91..=100))]);
    assert_eq!(done.stdout.lines().count(), 12, "{}", done.stdout);
    assert!(done.stdout.contains(&table[10][1]) && done.stdout.contains("<in>"), "{}", done.stdout);
}

#[test]
fn invalid_compare_arguments_are_refused() {
    let studio = studio_with_net_and_photos();
    crate::train::save_net(&studio, "vgg.safetensors", 1);
    save_log(&studio, "run.jsonl", 20, 1.0, -0.1);
    save_decoder(&studio, "any.safetensors", 0.125, 1);
    let whole = std::fs::read(studio.path("any.safetensors")).unwrap();
    studio.write("cut.safetensors", &whole[..whole.len() - 100]);
    let base = "compare content.png style.png --ulyanov net.safetensors --size 32 --steps 2 -o out";
    let with = |old: &str, new: &str| {
        assert!(base.contains(old));
        studio.command(&base.replace(old, new))
    };
    let cases: Vec<(Command, &[&str])> = vec![
        (with("net.", "none."), &["--ulyanov", "a file, or one of", "none.safetensors"]),
        (with("net.", "vgg."), &["vgg.safetensors", "lacks the tensor"]),
        (with("--ulyanov", "--johnson"), &["--johnson", "batch norm", "--ulyanov"]),
        (with("--size", "--methods gatys,johnson --size"), &["--johnson", "johnson", "got none"]),
        (with("--size", "--methods gatys,adain --size"), &["--adain", "adain", "got none"]),
        (with("--size", "--adain none.safetensors --size"), &["cannot read none.safetensors", "check the path"]),
        (with("--size", "--adain cut.safetensors --size"), &["cut.safetensors", "truncated"]),
        (with("--size", "--adain net.safetensors --size"), &["net.safetensors", "use an AdaIN decoder"]),
        (with("--size", "--adain any.safetensors --size"), &["any.safetensors", "64 channels", "gives 512"]),
        (with("--size", "--methods gatys,gatys --size"), &["--methods", "gatys twice"]),
        (with("content.png", "none.png"), &["none.png", "check the path"]),
        (with("style.png", "none.png"), &["none.png", "check the path"]),
        (with("--size 32", "--size 15"), &["CONTENT", "at least 16 px", "15x11"]),
        (with("--size 32", "--size 5"), &["--size", "at least 6 px", "got 5"]),
        (with("--size 32", "--size 0"), &["--size", "at least 1", "got 0"]),
        (with("--steps 2", "--steps 0"), &["--steps", "at least 1", "got 0"]),
        (with("-o out", "-o style.png"), &["--output", "a folder", "style.png"]),
        (with("-o out", "-o style.png/out"), &["style.png/out"]),
        (with("-o out", "-o out --training-logs none.jsonl"), &["cannot read none.jsonl"]),
        (with("-o out", "-o out --training-logs run.jsonl content.png"), &["content.png"]),
        (with("-o out", "-o out --training-logs run.jsonl --names a,b"), &["--names", "1 logs", "a,b"]),
    ];
    for (command, words) in cases {
        studio.refused(command, 1, words);
    }
    let usage = [
        (with("--size 32", "--methods gatys,dream"), "dream"),
        (with("--size 32", "--adain-encoder compact"), "--adain <FILE>"),
        (with("style.png", ""), "<STYLE>"),
        (studio.command("compare -o out"), "<CONTENT>"),
        (studio.command("compare --training-logs run.jsonl"), "--output <DIR>"),
        (studio.command("compare --training-logs run.jsonl --methods gatys -o out"), "<CONTENT>"),
    ];
    for (command, words) in usage {
        let done = Done::of(command);
        assert!(done.code == Some(2) && done.stderr.contains(words), "{words}: {}", done.stderr);
    }
}
