//! `train encoder`: output files, stopping and resuming, and errors.

use std::process::Command;

use image::{Rgb, RgbImage};
use impasto::internal::Random;
use impasto::io::{DType, HostTensor, WeightFile};
use impasto::nets::vgg19::{Convention, Vgg19Weights};
use serde_json::Value;

use crate::studio::{Done, Studio, cell, sheet_size};

/// A short run on small pictures.
pub const SHORT: &str = "--width 0.05 --crop 32 --calibration 8 --batch 2 --micro-batch 1 --schedule constant";

/// Saves a random net of a tenth of VGG-19's width. Its filters have mean 0, so that every channel is sometimes active.
pub fn save_net(studio: &Studio, name: &str, seed: u64) {
    let mut weights = Vgg19Weights::random(0.1, seed);
    for [weight, _] in &mut weights.convolutions {
        let count = weight.data.len() / weight.shape[0];
        for filter in weight.data.chunks_mut(count) {
            let mean = filter.iter().sum::<f32>() / count as f32;
            filter.iter_mut().for_each(|w| *w -= mean);
        }
    }
    let metadata = [("convention".to_string(), Convention::Torchvision.to_string())].into();
    WeightFile::save(&studio.path(name), DType::F32, &weights.tensors(), &metadata).unwrap();
}

/// Stripes with random colours and directions, and noise.
fn stripes(number: u32) -> RgbImage {
    let mut random = Random::new(u64::from(number));
    let kinds = [0, 1, 2].map(|_| [80.0, 0.8, 0.8].map(|range| range * random.uniform()));
    RgbImage::from_fn(56, 48, |x, y| {
        let value = |[level, across, down]: [f32; 3], grain| {
            90.0 + level + 50.0 * (across * x as f32 + down * y as f32).sin() + 15.0 * grain
        };
        Rgb(kinds.map(|kind| value(kind, random.normal()) as u8))
    })
}

/// A folder `photos` with `count` pictures.
pub fn save_photos(studio: &Studio, count: u32) {
    std::fs::create_dir(studio.path("photos")).unwrap();
    for number in 0..count {
        stripes(number).save(studio.path(&format!("photos/{number:03}.png"))).unwrap();
    }
}

/// A studio with `teacher.safetensors` and a folder `photos` of 12 files, two of which are not pictures.
fn studio_with_teacher_and_photos() -> Studio {
    let studio = Studio::new();
    save_net(&studio, "teacher.safetensors", 1);
    save_photos(&studio, 12);
    studio.write("photos/003.png", "<html>not found</html>");
    let whole = std::fs::read(studio.path("photos/008.png")).unwrap();
    studio.write("photos/008.png", &whole[..whole.len() / 2]);
    studio
}

fn train(output: &str, options: &str) -> String {
    format!("train encoder --teacher teacher.safetensors --photos photos {SHORT} -o {output} {options}")
}

fn tensors(studio: &Studio, name: &str) -> Vec<(String, HostTensor)> {
    WeightFile::load(&studio.path(name)).unwrap().tensors
}

/// The files in the working folder that training created.
fn training_outputs(studio: &Studio) -> Vec<String> {
    let names = studio.new_names().into_iter();
    names.filter(|name| !name.starts_with("photos") && name != "teacher.safetensors").collect()
}

fn steps(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["step"].as_u64().unwrap()).collect()
}

#[test]
fn training_writes_net_log_curve_samples_and_checkpoints() {
    let studio = studio_with_teacher_and_photos();
    let options = "--steps 8 --checkpoint-every 3 --sample-every 4 --crop-share 0.5:0.75 --note kind=test \
                   --note made=here/now --json";
    let done = studio.succeed(&train("net.safetensors", options));
    let warnings: Vec<_> = done.stderr.lines().filter(|line| line.contains("WARN")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("skipped an unreadable picture"), "{}", done.stderr);
    let expected = [
        "loss.png",
        "log.jsonl",
        "samples/step-00000001.png",
        "samples/step-00000004.png",
        "samples/step-00000008.png",
        "step-00000006/header.json",
        "step-00000006/part-000.safetensors",
        "step-00000008/header.json",
        "step-00000008/part-000.safetensors",
    ];
    let mut expected = expected.map(|name| format!("net.safetensors.training/{name}")).to_vec();
    expected.extend(["net.safetensors".into(), "net.safetensors.training/.lock".into()]);
    expected.sort();
    let mut names = training_outputs(&studio);
    names.sort();
    assert_eq!(names, expected);

    let lines = studio.json_lines("net.safetensors.training/log.jsonl");
    assert_eq!(steps(&lines), (1..=8).collect::<Vec<_>>());
    for line in &lines {
        let loss = line["loss"].as_f64().unwrap();
        let terms = line["terms"].as_object().unwrap();
        let sum: f64 = terms.values().map(|value| value.as_f64().unwrap()).sum();
        assert!(loss > 0.0 && (loss - sum).abs() < 1e-9 * sum, "{line}");
        assert!(terms.len() == 12 && terms.contains_key("means relu3_1"), "{line}");
        assert_eq!(line["learning_rate"], 2e-3);
        assert!(line["gradient_norm"].as_f64().unwrap() > 0.0 && line["pictures_a_second"].as_f64().unwrap() > 0.0);
    }
    assert!(lines.windows(2).all(|pair| pair[0]["seconds"].as_f64() < pair[1]["seconds"].as_f64()));

    let header = std::fs::read(studio.path("net.safetensors.training/step-00000008/header.json")).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["header"]["trainer"]["encoder"]["crops"]["share"], serde_json::json!([0.5, 0.75]), "{header}");

    let summary = done.json();
    assert_eq!(
        (&summary["output"], &summary["step"], &summary["steps"]),
        (&"net.safetensors".into(), &8.into(), &8.into())
    );
    assert_eq!((&summary["broken_pictures"], &summary["micro_batch"]), (&2.into(), &1.into()));
    assert_eq!(summary["loss"], lines[7]["loss"]);
    assert!(summary["checkpoint"].as_str().unwrap().ends_with("step-00000008"));
    assert!(summary["peak_bytes"].as_u64().unwrap() > 1000 && !summary["device"].as_str().unwrap().is_empty());

    // A row for each of four pictures: the picture, and two columns for each tap.
    let sample = studio.picture("net.safetensors.training/samples/step-00000001.png");
    assert_eq!(sample.dimensions(), sheet_size(9, 4));
    let later = studio.picture("net.safetensors.training/samples/step-00000008.png");
    let column = |picture: &RgbImage, x: u32| (0..4).map(|row| cell(picture, x, row)).collect::<Vec<_>>();
    assert!(column(&sample, 0) == column(&later, 0) && column(&sample, 1) == column(&later, 1), "fixed inputs");
    assert!(column(&sample, 2) != column(&later, 2), "what is lifted was trained");
    studio.picture("net.safetensors.training/loss.png");

    let file = WeightFile::load(&studio.path("net.safetensors")).unwrap();
    let weights = Vgg19Weights::of(&file).unwrap();
    let channels: Vec<_> = weights.convolutions.iter().map(|[_, bias]| bias.data.len()).collect();
    assert_eq!((weights.convention, channels), (Convention::Normalised, vec![3, 3, 6, 6, 13, 13, 13, 13, 26]));
    assert!(file.tensors.iter().all(|(_, tensor)| tensor.dtype == DType::F16));
    for (key, value) in [
        ("architecture", "vgg19"),
        ("width", "0.05"),
        ("steps", "8"),
        ("teacher", "teacher.safetensors"),
        ("trained_on", "12 pictures"),
        ("kind", "test"),
        ("made", "here/now"),
    ] {
        assert_eq!(file.metadata.get(key).map(String::as_str), Some(value), "{key}");
    }
    let command = &file.metadata["command"];
    assert!(command.contains("train encoder --teacher teacher.safetensors"), "{command}");
    assert!(command.contains("--note kind=test --note made=here/now"), "{command}");
    // `stylize` accepts the net.
    studio.succeed("stylize content.png --style style.png --vgg net.safetensors --scales 1 --steps 1 -o out.png");
}

#[test]
fn repeated_steps_are_logged_once_and_give_the_same_net() {
    let studio = studio_with_teacher_and_photos();
    studio.succeed(&train("whole.safetensors", "--steps 6 --checkpoint-every 2 --folder elsewhere"));
    assert_eq!(steps(&studio.json_lines("elsewhere/log.jsonl")), [1, 2, 3, 4, 5, 6]);
    // Simulates a kill after step 6, before the checkpoint and the net were written, in the middle of a line.
    std::fs::remove_dir_all(studio.path("elsewhere/step-00000006")).unwrap();
    let log = std::fs::read_to_string(studio.path("elsewhere/log.jsonl")).unwrap();
    studio.write("elsewhere/log.jsonl", &log[..log.len() - 30]);
    studio.succeed(&train("again.safetensors", "--steps 6 --checkpoint-every 2 --folder elsewhere --resume"));
    let lines = studio.json_lines("elsewhere/log.jsonl");
    assert_eq!(steps(&lines), [1, 2, 3, 4, 5, 6]);
    let losses: Vec<_> = lines.iter().map(|line| line["loss"].clone()).collect();
    let before: Vec<Value> =
        log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["loss"].clone()).collect();
    assert_eq!(losses, before);
    assert!(tensors(&studio, "whole.safetensors") == tensors(&studio, "again.safetensors"));

    // No steps are left, and the time limit is huge: the result is the same.
    let idle = "--steps 6 --checkpoint-every 2 --folder elsewhere --resume --minutes 1e300";
    studio.succeed(&train("idle.safetensors", idle));
    let [idle, again] =
        ["idle", "again"].map(|name| WeightFile::load(&studio.path(&format!("{name}.safetensors"))).unwrap());
    assert!(idle.tensors == again.tensors && idle.metadata["final_loss"] == again.metadata["final_loss"]);

    let done = studio.succeed(&train("more.safetensors", "--steps 8 --folder elsewhere --resume --json")).json();
    assert_eq!((&done["step"], &done["steps"]), (&8.into(), &8.into()));
    assert_eq!(steps(&studio.json_lines("elsewhere/log.jsonl")), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(tensors(&studio, "more.safetensors") != tensors(&studio, "again.safetensors"));
}

#[test]
fn a_time_limit_writes_the_current_net() {
    let studio = studio_with_teacher_and_photos();
    let done =
        studio.succeed(&train("net.safetensors", "--steps 1000 --minutes 0.00001 --sample-every 0 --json")).json();
    assert_eq!((&done["step"], &done["steps"]), (&1.into(), &1000.into()));
    assert_eq!(WeightFile::load(&studio.path("net.safetensors")).unwrap().metadata["steps"], "1");
    let samples = training_outputs(&studio).into_iter().filter(|name| name.contains("samples")).count();
    assert_eq!(samples, 0);
}

#[test]
fn init_continues_from_a_net() {
    let studio = studio_with_teacher_and_photos();
    studio.succeed(&train("first.safetensors", "--steps 1"));
    // Such a small step changes nothing: the layers are the given ones, up to the scale of their channels.
    studio.succeed(&train("second.safetensors", "--steps 1 --learning-rate 1e-12 --init first.safetensors"));
    studio.succeed(&train("third.safetensors", "--steps 1 --learning-rate 1e-12"));
    let close = |a: &str, b: &str| {
        let [a, b] = [a, b].map(|name| tensors(&studio, name));
        let worst = |(a, b): (&(String, HostTensor), &(String, HostTensor))| {
            let pairs = a.1.data.iter().zip(&b.1.data);
            let scale = a.1.data.iter().fold(1e-6f32, |most, v| most.max(v.abs()));
            pairs.fold(0.0f32, |most, (a, b)| most.max((a - b).abs() / scale))
        };
        a.iter().zip(&b).map(worst).fold(0.0f32, f32::max)
    };
    assert!(close("first.safetensors", "second.safetensors") < 0.01);
    assert!(close("first.safetensors", "third.safetensors") > 0.01);
}

#[test]
fn a_student_with_full_taps_trains_on_its_paintings_and_is_evaluated() {
    let studio = studio_with_teacher_and_photos();
    let options = "--steps 1 --full relu2_1 relu3_1 relu4_1 --paint photos --paint-steps 2";
    studio.succeed(&train("painter.safetensors", options));
    let channels = |file: &str, layer: &str| {
        let name = format!("{layer}.bias");
        tensors(&studio, file).into_iter().find(|(found, _)| *found == name).unwrap().1.data.len()
    };
    let of = |layer| ["teacher", "painter"].map(|net| channels(&format!("{net}.safetensors"), layer));
    assert_eq!(["conv1_1", "conv2_1", "conv2_2", "conv4_1"].map(of), [[6, 3], [13, 13], [13, 6], [51, 51]]);
    let photos = [0, 1, 2, 4].map(|number| format!("photos/{number:03}.png")).join(" ");
    let eval = "eval encoder --teacher teacher.safetensors --encoder painter.safetensors --size 48 --json";
    let told = studio.succeed(&format!("{eval} --photos {photos}")).json();
    let given = told["taps"].as_array().unwrap().iter().map(|tap| tap["given"]["correlation"].as_f64());
    let given: Vec<_> = given.collect();
    // (Eight crops of 32 px are too few for the deepest tap.)
    assert!(given[0].is_none() && given[1..3].iter().all(|value| value.unwrap() > 0.3), "{told}");
}

#[test]
fn invalid_train_encoder_arguments_are_refused() {
    let studio = studio_with_teacher_and_photos();
    let whole = std::fs::read(studio.path("teacher.safetensors")).unwrap();
    studio.write("cut.safetensors", &whole[..whole.len() - 100]);
    std::fs::create_dir(studio.path("empty")).unwrap();
    studio.write("empty/readme.txt", "no picture");
    let base = |teacher: &str, photos: &str, output: &str, options: &str| {
        let text =
            format!("train encoder --teacher {teacher} --photos {photos} -o {output} {SHORT} --steps 2 {options}");
        studio.command(&text)
    };
    let teacher = "teacher.safetensors";
    let plain = |options: &str| base(teacher, "photos", "net.safetensors", options);
    let no_steps = format!("train encoder --teacher {teacher} --photos photos -o net.safetensors {SHORT} --steps 0");
    let cases: Vec<(Command, &[&str])> = vec![
        (base(teacher, "nowhere", "net.safetensors", ""), &["cannot read nowhere", "check the path"]),
        (base(teacher, "empty", "net.safetensors", ""), &["cannot read empty", "holds no picture", "name a folder"]),
        (base("cut.safetensors", "photos", "net.safetensors", ""), &["cut.safetensors", "truncated"]),
        (base("none.safetensors", "photos", "net.safetensors", ""), &["none.safetensors", "check the path"]),
        (base(teacher, "photos", "net.pth", ""), &["--output", "ends in .safetensors", "got net.pth"]),
        (base(teacher, "photos", "net", ""), &["--output", "ends in .safetensors", "got net"]),
        (base(teacher, "photos", "nowhere/net.safetensors", ""), &["cannot write nowhere/net.safetensors", "nowhere"]),
        (studio.command(&no_steps), &["--steps", "at least 1", "got 0"]),
        (plain("--hold-out 0"), &["--hold-out", "at least 1", "got 0"]),
        (plain("--note plain"), &["--note", "KEY=TEXT", "got plain"]),
        (plain("--minutes 0"), &["--minutes", "above 0", "got 0"]),
        (plain("--init none.safetensors"), &["none.safetensors", "check the path"]),
        (plain("--full relu4_1 --tap relu3_1"), &["--full", "down to relu3_1", "got relu4_1"]),
        (plain("--tap relu9_1"), &["tap", "one of relu1_1", "got relu9_1"]),
        (plain("--tap relu5_1"), &["--teacher", "weights to relu5_1", "shallower"]),
        (plain("--crop-share 0"), &["share", "above 0", "got [0.0, 1.0]"]),
        (plain("--crop-share 1.5"), &["share", "at most 1", "got [1.5, 1.0]"]),
        (plain("--crop-share 0.6:0.4"), &["share", "two shares in order", "got [0.6, 0.4]"]),
        (plain("--paint empty"), &["cannot read empty", "holds no picture", "name a folder"]),
        (plain("--paint photos --paint-every 0"), &["--paint-every", "at least 1", "got 0"]),
        (plain("--paint photos --paint-steps 0"), &["--paint-steps", "at least 1", "got 0"]),
        (plain("--workers 0"), &["workers", "at least 1", "got 0"]),
        (plain("--learning-rate 0"), &["learning-rate", "above 0", "got 0"]),
        (plain("--weight-decay nan"), &["weight-decay", "from 0 up", "got NaN"]),
        (plain("--clip 0"), &["clip", "above 0", "got 0"]),
        (plain("--resume"), &["net.safetensors.training", "no checkpoint to continue from", "start a new training"]),
    ];
    for (command, words) in cases {
        studio.refused(command, 1, words);
    }
    // Replaces one of the options in SHORT.
    let with = |old: &str, new: &str| {
        let text = train("net.safetensors", "--steps 2");
        assert!(text.contains(old));
        studio.command(&text.replace(old, new))
    };
    let cases: Vec<(Command, &[&str])> = vec![
        (with("--width 0.05", "--width 0"), &["--width", "above 0, at most 1", "got 0"]),
        (with("--width 0.05", "--width 2"), &["--width", "above 0, at most 1", "got 2"]),
        (with("--width 0.05", "--width 0.5"), &["--width", "no wider than the teacher", "6 channels at relu1_1"]),
        (with("--crop 32", "--crop 4"), &["--crop", "at least 16 px", "got 4"]),
        (with("--batch 2 --micro-batch 1", "--batch 6 --micro-batch 4"), &["micro-batch", "a divisor", "4 of 6"]),
        (with("--batch 2 --micro-batch 1", "--batch 0"), &["batch", "at least 1", "got 0"]),
    ];
    for (command, words) in cases {
        studio.refused(command, 1, words);
    }
    for (option, value, words) in [
        ("--schedule <SCHEDULE>", "sometimes", "got `sometimes`"),
        ("--schedule <SCHEDULE>", "step:0:2", "step:EVERY:FACTOR"),
        ("--schedule <SCHEDULE>", "cosine:x", "cosine:WARMUP"),
        ("--crop-share <MIN[:MAX]>", "0.4:half", "`half` is not a number"),
    ] {
        let name = option.split(' ').next().unwrap();
        let done = Done::of(with("--schedule constant", &format!("{name} {value}")));
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{}", done.stderr);
        assert!(done.stderr.contains(option) && done.stderr.contains(words), "{}", done.stderr);
    }
    assert_eq!(training_outputs(&studio), ["cut.safetensors", "empty/readme.txt"]);
    assert!(!studio.path("net.safetensors.training").exists(), "an empty folder is left behind");

    // A run cannot be started over another one, or resumed with other settings.
    studio.succeed(&train("net.safetensors", "--steps 2"));
    studio.refused(plain(""), 1, &["net.safetensors.training", "checkpoint of step 2", "resume that training"]);
    let other = with("--batch 2", "--batch 4 --resume");
    studio.refused(other, 1, &["net.safetensors.training", "was trained with batch 2", "4 is given now"]);
    let other = with("--width 0.05", "--width 0.06 --resume");
    studio.refused(other, 1, &["was trained with encoder.width 0.05", "0.06 is given now"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_a_checkpoint_and_resuming_gives_the_same_net() {
    use crate::stylize::interrupted::{Kept, interrupt, wait_for};
    let studio = studio_with_teacher_and_photos();
    let stderr = std::fs::File::create(studio.path("stderr")).unwrap();
    let mut command = studio.command(&train("net.safetensors", "--steps 1000000 --sample-every 0"));
    let mut child = Kept(command.stdout(std::process::Stdio::null()).stderr(stderr).spawn().unwrap());
    let log = studio.path("net.safetensors.training/log.jsonl");
    wait_for("progress", || std::fs::read_to_string(&log).unwrap_or_default().lines().count() >= 2);
    let status = interrupt(&mut child);
    let stderr = std::fs::read_to_string(studio.path("stderr")).unwrap();
    assert_eq!(status, Some(130), "{stderr}");
    let stopped = steps(&studio.json_lines("net.safetensors.training/log.jsonl")).len();
    let last = stderr.lines().last().unwrap_or_default();
    let checkpoint = format!("step-{stopped:08}");
    assert!(
        last.starts_with("impasto: interrupted") && last.contains(&checkpoint) && last.contains("--resume"),
        "{stderr}"
    );
    assert!(studio.path(&format!("net.safetensors.training/{checkpoint}/header.json")).exists());
    assert!(!studio.path("net.safetensors").exists());

    // The schedule is constant, so the number of remaining steps does not affect the steps already done.
    let all = format!("--steps {} --sample-every 0", stopped + 3);
    studio.succeed(&train("net.safetensors", &format!("{all} --resume")));
    assert_eq!(
        steps(&studio.json_lines("net.safetensors.training/log.jsonl")),
        (1..=stopped as u64 + 3).collect::<Vec<_>>()
    );
    studio.succeed(&train("whole.safetensors", &all));
    let [resumed, whole] =
        ["net", "whole"].map(|name| WeightFile::load(&studio.path(&format!("{name}.safetensors"))).unwrap());
    assert!(resumed.tensors == whole.tensors);
    let lasting = |file: &WeightFile| {
        let mut metadata = file.metadata.clone();
        metadata.retain(|key, _| !["command", "date", "minutes"].contains(&key.as_str()));
        assert_eq!(metadata.len() + 3, file.metadata.len());
        metadata
    };
    assert_eq!(lasting(&resumed), lasting(&whole));
}
