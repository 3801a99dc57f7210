//! Nets with many styles: `train body`, `train style`, and `stylize`, `models`, `eval` and `compare` with `BODY:STYLE`.

use std::path::PathBuf;

use impasto::eval::feed_forward::Learned;
use impasto::internal::Random;
use impasto::io::{DType, WeightFile};
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::ops::norm::Over;
use impasto::weights::PAIRS;
use serde_json::Value;

use crate::studio::{Studio, difference, place, style};
use crate::train::save_photos;

/// Weights with which the loss of a random net falls in a few steps.
const LOSS: &str = "--content-weight 5 --tv-weight 0.1";

/// A short run on small pictures.
const SHORT: &str =
    "--photos photos --vgg random:0.05 --style-size 48 --crop 32 --batch 2 --sample-every 2 --learning-rate 0.01";

/// A body with two channels and different styles.
fn body(seed: u64) -> ImageTransformNetWeights {
    let names = ["waves", "dots", "2"].map(String::from);
    let mut body =
        ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.0625, seed).with_styles(&names).unwrap();
    let mut random = Random::new(seed + 1);
    for (_, tensor) in body.tensors.iter_mut().filter(|(_, tensor)| tensor.shape.len() == 2) {
        tensor.data.iter_mut().for_each(|value| *value += 0.5 * random.normal());
    }
    body
}

fn save(path: PathBuf, weights: &ImageTransformNetWeights, notes: &[(&str, &str)]) {
    let mut metadata: std::collections::BTreeMap<_, _> =
        weights.metadata().into_iter().map(|(key, value)| (key.to_string(), value)).collect();
    metadata.extend(notes.iter().map(|(key, value)| (key.to_string(), value.to_string())));
    WeightFile::save(&path, DType::F32, &weights.tensors, &metadata).unwrap();
}

fn save_style(path: PathBuf, net: &ImageTransformNetWeights, body_name: &str) {
    let style = net.style(body_name).unwrap();
    let metadata = style.metadata().map(|(key, value)| (key.to_string(), value)).into();
    WeightFile::save(&path, DType::F32, &style.tensors, &metadata).unwrap();
}

/// The folder of the user's nets, as printed by `models`; it is created.
fn installed(studio: &Studio) -> PathBuf {
    let folder = studio.succeed("models").stdout.lines().last().unwrap().to_string();
    let folder = folder.strip_prefix("Installed nets are in ").unwrap().strip_suffix('.').unwrap().to_string();
    std::fs::create_dir_all(&folder).unwrap();
    folder.into()
}

/// The bytes of the photo painted with these nets.
fn painted(studio: &Studio, models: &str) -> Vec<u8> {
    let models: String = models.split(' ').map(|model| format!(" --model {model}")).collect();
    studio.succeed(&format!("stylize content.png{models} -o out.png --overwrite"));
    std::fs::read(studio.path("out.png")).unwrap()
}

#[test]
fn a_body_is_trained_and_extended_by_one_style() {
    let studio = Studio::new();
    save_photos(&studio, 6);
    std::fs::create_dir(studio.path("styles")).unwrap();
    style(60, 64).save(studio.path("styles/bars.png")).unwrap();
    std::fs::copy(studio.path("photos/003.png"), studio.path("styles/stripes.png")).unwrap();
    studio.succeed(&format!("train body --styles styles {SHORT} {LOSS} --width 0.0625 --steps 4 -o body.safetensors"));
    let file = WeightFile::load(&studio.path("body.safetensors")).unwrap();
    let net = ImageTransformNetWeights::of(&file).unwrap();
    assert_eq!(net.styles, ["bars", "stripes"]);
    let own = net.alone("stripes", &file).unwrap();
    let learned = [&net.alone("bars", &file).unwrap(), &own].map(|file| Learned::of(file).unwrap().unwrap());
    assert_eq!([&learned[0].style, &learned[1].style], ["bars.png", "stripes.png"]);
    assert_eq!(learned[1].measured_by, "random:0.05");
    assert!(learned[0].loss.content == learned[1].loss.content && learned[0].loss.style != learned[1].loss.style);

    // Only the rows are trained, from the mean of the existing ones, and the body is found where it is installed.
    let train = format!("train style --style style.png {SHORT} {LOSS}");
    let done = studio.succeed(&format!("{train} --body body.safetensors --steps 8 -o mine.style --json")).json();
    assert_eq!(done["step"], 8);
    let log = studio.json_lines("mine.style.training/log.jsonl");
    let losses: Vec<f64> = log.iter().map(|line| line["loss"].as_f64().unwrap()).collect();
    assert!(losses[7] < losses[0], "{losses:?}");
    assert!(studio.path("mine.style.training/samples/step-00000008.png").exists());
    let mine = WeightFile::load(&studio.path("mine.style")).unwrap();
    assert_eq!((mine.metadata["body"].as_str(), mine.metadata["body_name"].as_str()), (&*net.fingerprint(), "body"));
    assert!(mine.tensors.len() == 30 && mine.tensors.iter().all(|(_, tensor)| tensor.dtype == DType::F16));
    let size = |name: &str| std::fs::metadata(studio.path(name)).unwrap().len();
    assert!(size("mine.style") < 8000, "{}", size("mine.style"));

    let command = studio.command("stylize content.png --model mine.style -o out.png --overwrite");
    studio.refused(command, 1, &["mine.style", "needs the body `body`, which is not installed", "copy its file to"]);
    std::fs::copy(studio.path("body.safetensors"), installed(&studio).join("another-name.safetensors")).unwrap();
    let mine = painted(&studio, "mine.style");
    for style in ["bars", "stripes"] {
        assert_ne!(mine, painted(&studio, &format!("body.safetensors:{style}")), "{style}");
    }

    // A negligible step on all weights leaves the picture unchanged: training starts from the style.
    let go_on = train.replace("0.01", "1e-9");
    studio.succeed(&format!("{go_on} --body mine.style --refine --steps 1 -o mine.safetensors"));
    std::fs::write(studio.path("mine.png"), mine).unwrap();
    painted(&studio, "mine.safetensors");
    assert!(difference(&studio.picture("mine.png"), &studio.picture("out.png")) < 0.1);
    let single = WeightFile::load(&studio.path("mine.safetensors")).unwrap();
    assert_eq!(ImageTransformNetWeights::of(&single).unwrap().tensors.len(), net.tensors.len());

    // Training cannot be resumed with another body.
    save(studio.path("other.safetensors"), &body(1), &[]);
    let other = studio.command(&format!("{train} --body other.safetensors --steps 8 --resume -o mine.style"));
    studio.refused(other, 1, &["mine.style.training", "was trained with body"]);
}

#[test]
fn styles_are_selected_by_name_and_mixed_by_weight() {
    let studio = Studio::new();
    let body = body(1);
    save(studio.path("body.safetensors"), &body, &[]);
    let folder = installed(&studio);
    save(folder.join("sketches.safetensors"), &body, &[]);
    let blend = |weights: [f32; 3]| {
        save(studio.path("blend.safetensors"), &body.blend(&weights).unwrap(), &[]);
        painted(&studio, "blend.safetensors")
    };
    let waves = blend([1.0, 0.0, 0.0]);
    for name in ["body.safetensors:waves", "sketches:waves", "sketches:waves:0.3"] {
        assert_eq!(painted(&studio, name), waves, "{name}");
    }
    // The name of a style may look like a weight.
    let number = blend([0.0, 0.0, 1.0]);
    assert_ne!(number, waves);
    for name in ["body.safetensors:2", "sketches:2:0.5"] {
        assert_eq!(painted(&studio, name), number, "{name}");
    }
    let mixed = blend([0.6, 0.4, 0.0]);
    assert_eq!(painted(&studio, "sketches:waves:0.6 body.safetensors:dots:0.4"), mixed);
    assert_eq!(painted(&studio, "sketches:waves:3 sketches:dots:2"), mixed);

    // A style's file can be used like a style and, once installed, by its name.
    save_style(studio.path("dots.style"), &body.blend(&[0.0, 1.0, 0.0]).unwrap(), "sketches");
    assert_eq!(painted(&studio, "dots.style"), blend([0.0, 1.0, 0.0]));
    std::fs::rename(studio.path("dots.style"), folder.join("mine.style")).unwrap();
    assert_eq!(painted(&studio, "sketches:waves:0.6 mine:0.4"), mixed);

    let told =
        studio.succeed("stylize content.png --model sketches:waves --model mine -o out.png --overwrite --json").json();
    assert_eq!(told["model"], "sketches:waves + mine");
}

#[test]
fn unknown_styles_are_refused() {
    let studio = Studio::new();
    save_photos(&studio, 2);
    let folder = installed(&studio);
    save(studio.path("body.safetensors"), &body(1), &[]);
    save(folder.join("sketches.safetensors"), &body(2), &[]);
    save_style(studio.path("lost.style"), &body(3).blend(&[1.0; 3]).unwrap(), "gone");
    studio.succeed("style save style.png -o adain.style");
    let cases: [(&str, &[&str]); 12] = [
        ("--model sketches", &["--model must be sketches:STYLE, with STYLE one of waves, dots, 2", "got sketches"]),
        ("--model body.safetensors", &["body.safetensors:STYLE, with STYLE one of waves, dots, 2"]),
        ("--model body.safetensors:lines", &["one of waves, dots, 2", "got body.safetensors:lines"]),
        ("--model sketches:0.5", &["sketches:STYLE, with STYLE one of", "got sketches:0.5"]),
        ("--model nobody:waves", &["starry-night", "sketches:STYLE", "got nobody:waves"]),
        ("--model wave:waves", &["wave without :STYLE, because this net has one style only"]),
        ("--model sketches:waves:0", &["weights", "not all 0"]),
        ("--model sketches:waves:2 --model sketches:dots:-1", &["weights", "from 0 up"]),
        (
            "--model sketches:waves --model body.safetensors:dots",
            &["styles of one body", "body.safetensors:dots, which has other convolutions than sketches:waves"],
        ),
        ("--model wave --model adain", &["adain"]),
        ("--model lost.style", &["lost.style", "needs the body `gone`", "copy its file to", "models"]),
        ("--model adain.style", &["adain.style", "AdaIN", "--style"]),
    ];
    for (options, words) in cases {
        studio.refused(studio.command(&format!("stylize content.png {options} -o out.png --overwrite")), 1, words);
    }
    let train = format!("train style --style style.png {SHORT} --steps 1");
    let others = [
        ("stylize content.png --style lost.style -o out.png".to_string(), "use it as a model"),
        (format!("{train} -o mine.safetensors"), "ends in .style"),
        (format!("{train} --refine -o mine.style"), "ends in .safetensors"),
        (format!("{train} --body mosaic-batch -o mine.style"), "batch norm"),
        (format!("{train} --body nobody -o mine.style"), "--body must be a file, or one of"),
        (format!("{train} --body lost.style -o lost.style --overwrite"), "a file other than that of --body"),
        ("eval feed-forward --model sketches --style style.png --photos photos".into(), "sketches:STYLE"),
        ("compare content.png style.png --ulyanov sketches -o page".into(), "--ulyanov must be sketches:STYLE"),
    ];
    for (arguments, word) in others {
        studio.refused(studio.command(&arguments), 1, &[word]);
    }
}

#[test]
fn models_lists_and_paints_every_style() {
    let studio = Studio::new();
    let folder = installed(&studio);
    let body = body(1);
    let notes = [("style", r#"["waves.jpg", "dots.png", "two.png"]"#), ("style_title", r#"["The Wave", "Dots", "2"]"#)];
    save(folder.join("sketches.safetensors"), &body, &notes);
    save_style(folder.join("mine.style"), &body.blend(&[0.5, 0.5, 0.0]).unwrap(), "sketches");
    save_style(folder.join("orphan.style"), &self::body(5).blend(&[1.0; 3]).unwrap(), "gone");
    let list = studio.succeed("models").stdout;
    let line = |name: &str| {
        let found = list.lines().find(|line| line.split(' ').next() == Some(name));
        found.unwrap_or_else(|| panic!("{name} in\n{list}")).to_string()
    };
    assert!(line("sketches:waves").contains("The Wave; resize, instance norm, 2 channels"), "{list}");
    assert!(line("sketches:2").contains("sketches.safetensors)"), "{list}");
    assert!(line("mine").contains("instance norm") && line("orphan").contains("cannot be used"), "{list}");
    for pair in &PAIRS {
        assert!(line(pair.name).contains(pair.title) && line(pair.name).contains("--style"), "{list}");
    }
    let lines: Vec<Value> =
        studio.succeed("models --json").stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() + 1, list.lines().count());
    let dots = lines.iter().find(|line| line["name"] == "sketches:dots").unwrap();
    assert_eq!((&dots["title"], &dots["metadata"]["style"]), (&"Dots".into(), &"dots.png".into()));

    studio.succeed("models --thumbnails content.png --size 32 -o sheet.png");
    let sheet = studio.picture("sheet.png");
    let places = ["sketches:waves", "sketches:dots", "sketches:2", "mine"].map(|name| {
        studio.succeed(&format!("stylize content.png --model {name} --size 32 -o out.png --overwrite"));
        place(&sheet, &studio.picture("out.png"))
    });
    assert!((0..4).all(|at| !places[..at].contains(&places[at])), "{places:?}");
}

#[test]
fn a_style_is_measured_by_its_own_loss() {
    let studio = Studio::new();
    save_photos(&studio, 2);
    std::fs::create_dir(studio.path("styles")).unwrap();
    style(60, 64).save(studio.path("styles/bars.png")).unwrap();
    std::fs::copy(studio.path("photos/001.png"), studio.path("styles/stripes.png")).unwrap();
    let short = SHORT.replace("random:0.05", "compact");
    studio.succeed(&format!("train body --styles styles {short} --width 0.0625 --steps 1 -o body.safetensors"));
    let file = WeightFile::load(&studio.path("body.safetensors")).unwrap();
    let net = ImageTransformNetWeights::of(&file).unwrap();
    for (style, other) in [("bars", "stripes"), ("stripes", "bars")] {
        // A single-style net with the same loss gives the same figures.
        let alone = net.alone(style, &file).unwrap();
        WeightFile::save(&studio.path("alone.safetensors"), DType::F32, &alone.tensors, &alone.metadata).unwrap();
        let eval = |model: &str, style: &str| {
            let options = "--photos photos --size 32 --steps 2 --json";
            let done = studio.run(&format!("eval feed-forward --model {model} --style styles/{style}.png {options}"));
            assert_eq!(done.code, Some(0), "{}", done.stderr);
            (done.json()["photos"].clone(), done.stderr)
        };
        let (figures, said) = eval(&format!("body.safetensors:{style}"), style);
        assert!(!said.contains("was trained for the style of"), "{said}");
        assert_eq!(figures, eval("alone.safetensors", style).0);
        let said = eval(&format!("body.safetensors:{style}"), other).1;
        assert!(said.contains(&format!("was trained for the style of {style}.png")), "{said}");
    }
    studio.succeed("compare content.png styles/bars.png --ulyanov body.safetensors:bars --steps 2 --size 48 -o page");
    let results: Value = serde_json::from_slice(&std::fs::read(studio.path("page/results.json")).unwrap()).unwrap();
    assert_eq!(results["loss_of"], "body.safetensors:bars");
}
