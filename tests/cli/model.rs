//! `train ulyanov` and `train johnson`, and `stylize --model` and `models` with their nets.

use impasto::io::{DType, WeightFile};
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::ops::norm::Over;
use serde_json::Value;

use crate::studio::{Studio, content, place};
use crate::train::save_photos;

/// A short run on small pictures.
const SHORT: &str = "--photos photos --style style.png --vgg random:0.05 --width 0.0625 --style-size 48 --batch 2 \
                     --sample-every 2";

pub fn save_net(studio: &Studio, name: &str, seed: u64) {
    let weights = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.0625, seed);
    let metadata = weights.metadata().into_iter().map(|(key, value)| (key.to_string(), value)).collect();
    WeightFile::save(&studio.path(name), DType::F32, &weights.tensors, &metadata).unwrap();
}

#[test]
fn a_trained_net_is_listed_and_paints() {
    let studio = Studio::new();
    save_photos(&studio, 6);
    for (method, form, norm) in [("ulyanov", "resize", "instance"), ("johnson", "paper", "batch")] {
        let name = format!("{method}.safetensors");
        // The paper's form reflects 40 px.
        let crop = if form == "paper" { 48 } else { 32 };
        let options = format!("{SHORT} --form {form} --crop {crop} --steps 6 --learning-rate 0.002 --json");
        let done = studio.succeed(&format!("train {method} {options} -o {name}"));
        let told: Value = done.json();
        let (planned, step) = (told["peak_bytes"].as_f64().unwrap(), told["step"].as_u64());
        assert_eq!(step, Some(6));
        if let Some(allocated) = told["allocated_bytes"].as_f64() {
            assert!(allocated >= planned, "planned {planned}, allocated {allocated}");
        }
        let log = studio.json_lines(&format!("{name}.training/log.jsonl"));
        let losses: Vec<f64> = log.iter().map(|line| line["loss"].as_f64().unwrap()).collect();
        assert!(losses[5] < losses[0], "{method}: {losses:?}");
        assert!(studio.path(&format!("{name}.training/samples/step-00000006.png")).exists());

        let file = WeightFile::load(&studio.path(&name)).unwrap();
        let told = |key: &str| file.metadata[key].as_str();
        assert_eq!((told("form"), told("norm"), told("style")), (form, norm, "style.png"));
        let loss: impasto::train::feed_forward::Loss = serde_json::from_str(told("loss")).unwrap();
        assert_eq!((loss.content.len(), loss.style.len()), (2, 4));

        studio.succeed(&format!("stylize content.png --model {name} -o {method}.png"));
        let (painted, photo) = (studio.picture(&format!("{method}.png")), studio.picture("content.png"));
        assert!(painted.dimensions() == photo.dimensions() && painted != photo);
    }
}

#[test]
fn init_continues_from_another_net() {
    let studio = Studio::new();
    save_photos(&studio, 6);
    studio.succeed(&format!("train ulyanov {SHORT} --crop 32 --steps 6 --learning-rate 0.002 -o a.safetensors"));
    studio.succeed(&format!("train ulyanov {SHORT} --crop 32 --steps 1 --init a.safetensors -o b.safetensors"));
    let first = |name: &str| studio.json_lines(&format!("{name}.safetensors.training/log.jsonl"))[0]["loss"].as_f64();
    assert!(first("b") < first("a"), "{:?} {:?}", first("b"), first("a"));

    // A wider net starts as the net given by --init, and runs with other crops and seeds have the same loss.
    let wider = SHORT.replace("--width 0.0625", "--width 0.125 --seed 7");
    studio.succeed(&format!(
        "train ulyanov {wider} --crop 48 --steps 1 --learning-rate 1e-9 --init b.safetensors -o d.safetensors"
    ));
    studio.succeed("stylize content.png --model b.safetensors -o b.png");
    studio.succeed("stylize content.png --model d.safetensors -o d.png");
    let (before, after) = (studio.picture("b.png"), studio.picture("d.png"));
    let difference = before.iter().zip(after.iter()).map(|(&a, &b)| a.abs_diff(b)).max();
    assert!(difference <= Some(1), "{difference:?}");
    let loss = |name: &str| WeightFile::load(&studio.path(name)).unwrap().metadata["loss"].clone();
    assert_eq!(loss("d.safetensors"), loss("a.safetensors"));

    let other =
        studio.command(&format!("train johnson {SHORT} --crop 32 --steps 1 --init a.safetensors -o c.safetensors"));
    studio.refused(other, 1, &["--init", "Instance"]);
}

#[test]
fn a_broken_photo_does_not_stop_the_others() {
    let studio = Studio::new();
    save_net(&studio, "net.safetensors", 1);
    std::fs::create_dir_all(studio.path("album/inner")).unwrap();
    for (name, width) in [("album/a.png", 40), ("album/inner/a.png", 33), ("album/b.jpg", 40), ("lone.png", 29)] {
        content(width, 31).save(studio.path(name)).unwrap();
    }
    studio.write("broken.png", "no picture");
    let arguments = "stylize album lone.png broken.png --model net.safetensors -o painted --json";
    let done = studio.run(arguments);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(
        done.stderr.contains("broken.png") && done.stderr.contains("1 that failed, as reported above; 4 of 5"),
        "{}",
        done.stderr
    );
    assert_eq!(done.stdout.lines().count(), 5, "{}", done.stdout);
    for (name, width) in [("a.png", 40), ("inner/a.png", 33), ("b.jpg", 40), ("lone.png", 29)] {
        assert_eq!(studio.picture(&format!("painted/{name}")).dimensions(), (width, 31), "{name}");
    }
    // What is wrong with each photo is said in the options of the command.
    let done = studio.run("stylize album lone.png --model net.safetensors --size 0 -o none");
    assert_eq!(done.stderr.matches("stylize: --size must be at least 1, got 0").count(), 4, "{}", done.stderr);
    assert!(done.stderr.contains("lone.png: stylize: --size"), "{}", done.stderr);
    // Processed one by one, the pictures are the same.
    studio.succeed("stylize lone.png --model net.safetensors -o alone.png");
    assert_eq!(studio.picture("alone.png"), studio.picture("painted/lone.png"));
}

#[test]
fn options_of_one_method_are_refused_by_the_other() {
    let studio = Studio::new();
    save_net(&studio, "net.safetensors", 1);
    let cases = [
        ("stylize content.png --model net.safetensors --style style.png -o out.png", "--style"),
        ("stylize content.png --model net.safetensors --steps 3 -o out.png", "--steps"),
        ("stylize content.png --model net.safetensors --keep-color match -o out.png", "luminance"),
        ("stylize content.png --model nobody -o out.png", "nobody"),
        ("stylize content.png style.png --style style.png -o out.png", "a folder for several pictures"),
        ("stylize content.png style.png --style style.png --steps 3 -o out", "one photo"),
        ("stylize content.png content.png --model net.safetensors -o out", "overwritten"),
        ("stylize content.png --model net.safetensors --size 4 -o out.png", "at least 5 px"),
        ("stylize content.png -o out.png", "--style"),
    ];
    for (arguments, telling) in cases {
        let done = studio.run(arguments);
        assert!(done.code.is_some_and(|code| code > 0), "{arguments}");
        assert!(done.stderr.contains(telling), "{arguments}: {}", done.stderr);
    }
}

#[test]
fn models_lists_what_is_installed_and_paints_thumbnails() {
    let studio = Studio::new();
    let folder = studio.succeed("models").stdout.lines().last().unwrap().to_string();
    let folder = folder.strip_prefix("Installed nets are in ").unwrap().strip_suffix('.').unwrap().to_string();
    std::fs::create_dir_all(&folder).unwrap();
    save_net(&studio, "mine.safetensors", 1);
    std::fs::rename(studio.path("mine.safetensors"), format!("{folder}/mine.safetensors")).unwrap();
    std::fs::write(format!("{folder}/bad.safetensors"), "not weights").unwrap();
    let list = studio.succeed("models").stdout;
    assert!(list.contains("mine") && list.contains("cannot be used"), "{list}");
    let lines: Vec<Value> =
        studio.succeed("models --json").stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mine = lines.iter().find(|line| line["name"] == "mine").unwrap();
    assert_eq!(mine["metadata"]["norm"], "instance");
    // A body counts once for each style.
    let mut built_in = 0;
    for (name, file) in impasto::weights::models() {
        let norm = if name.ends_with("-batch") { Over::Batch } else { Over::Instance };
        let weights = ImageTransformNetWeights::of(&file.unwrap()).unwrap();
        assert_eq!(weights.norm, norm, "{name}");
        built_in += weights.styles.len().max(1);
    }
    assert_eq!(lines.len(), built_in + impasto::weights::PAIRS.len() + impasto::weights::ENLARGERS.len() + 2);
    studio.succeed("models --thumbnails content.png --size 32 -o sheet.png");
    // The photo itself and every usable net, 32 x 24 px each, with its name below.
    let columns = (built_in as f64 + 2.0).sqrt().ceil() as u32;
    let rows = (built_in as u32 + 2).div_ceil(columns);
    let sheet = studio.picture("sheet.png");
    assert_eq!(sheet.dimensions(), (9 + 35 * columns, 9 + 40 * rows));
    studio.succeed("stylize content.png --model mine --size 32 -o out.png");
    // The last in the list, after the photo and the embedded nets.
    let (column, row) = ((built_in as u32 + 1) % columns, (built_in as u32 + 1) / columns);
    assert_eq!(place(&sheet, &studio.picture("out.png")), (6 + 35 * column, 6 + 40 * row));
}
