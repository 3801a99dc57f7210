//! `gpu-day`: stages, their limits, failures, and the tables.

use std::time::Duration;

use serde_json::Value;

use crate::studio::{Done, Studio};

fn stage<'r>(record: &'r Value, name: &str) -> &'r Value {
    let stages = record["stages"].as_array().unwrap().iter();
    stages.clone().find(|stage| stage["name"] == name).unwrap_or_else(|| panic!("no {name} in {record}"))
}

fn record(studio: &Studio, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(studio.path(name)).unwrap()).unwrap()
}

/// Some stages run to the end; the others say why they did not. The tables have what was measured.
#[test]
fn gpu_day_measures_its_stages_and_prints_tables() {
    let studio = Studio::new();
    let only = "--only roofs --only convolutions";
    studio.succeed(&format!("gpu-day --dry-run {only} -o day.json"));
    let day = record(&studio, "day.json");
    let convolutions = stage(&day, "convolutions at 16² in f32");
    assert_eq!((&convolutions["state"], &stage(&day, "roofs")["state"]), (&"done".into(), &"done".into()), "{day}");
    let lines = convolutions["lines"].as_array().unwrap();
    // Each line came by itself; the last one has all of them.
    let (last, figures) = lines.split_last().unwrap();
    assert_eq!(last["workloads"].as_array().unwrap().as_slice(), figures);
    assert_eq!(figures.len(), 17);
    assert_eq!(stage(&day, "tune")["reason"], "left out (--only)");
    assert_eq!(stage(&day, "other engines: vgg")["state"], "skipped");
    let matrices = stage(&day, "convolutions at 16² in f16-matrix");
    let has_matrices = studio.succeed("devices --json").stdout.contains("f16-matrix");
    assert_eq!(matrices["reason"] == "the adapter has no f16-matrix", !has_matrices, "{matrices}");

    let tables = studio.succeed("gpu-day --table day.json").stdout;
    for words in ["--dry-run, so the figures mean nothing", "### Limits", "### Convolutions"] {
        assert!(tables.contains(words), "{words} is not in\n{tables}");
    }
    let row = tables.lines().find(|line| line.starts_with("| conv 64->64 at 16² |")).unwrap();
    let milliseconds: f64 = row.split(" | ").nth(1).unwrap().parse().unwrap();
    let figure = figures.iter().find(|figure| figure["name"] == "conv 64->64 at 16²").unwrap();
    assert!((milliseconds / (1e3 * figure["median_seconds"].as_f64().unwrap()) - 1.0).abs() < 0.01, "{row}\n{figure}");
    assert!(tables.contains("| tune | skipped: left out (--only) |"), "{tables}");
    let table = tables.split("### Convolutions\n\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let bars: Vec<_> = table.map(|line| line.matches('|').count()).collect();
    assert!(bars.len() == 2 + 17 && bars.iter().all(|&count| count == bars[0]), "{tables}");
}

/// A program that stands for the other engines: it prints a figure and then does what `rest` says.
#[cfg(unix)]
fn engines(studio: &Studio, rest: &str) {
    use std::os::unix::fs::PermissionsExt;
    studio.write("engines", format!("#!/bin/sh\necho '{{\"a figure\": 1}}'\necho tired >&2\n{rest}\n"));
    std::fs::set_permissions(studio.path("engines"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A stage that fails is named with its error, what it has measured is kept, and the next one runs.
#[cfg(unix)]
#[test]
fn gpu_day_goes_on_after_a_failure() {
    let studio = Studio::new();
    engines(&studio, "exit 0");
    let mut command = studio.command("gpu-day --dry-run --only layers --only adain --peers ./engines -o day.json");
    command.env("IMPASTO_ALTER_KERNEL", "lbfgs.wgsl|fn combine(|fn combined(");
    let done = Done::of(command);
    let last = done.stderr.lines().last().unwrap();
    assert!(done.code == Some(1) && last.contains("fails 1 of ") && last.contains("day.json"), "{}", done.stderr);
    let day = record(&studio, "day.json");
    let layers = stage(&day, "layers at 16² in f32");
    assert!(layers["state"] == "failed" && layers["reason"].as_str().unwrap().contains("lbfgs.wgsl"), "{layers}");
    let figures = layers["lines"].as_array().unwrap();
    assert!(figures.iter().any(|figure| figure["name"] == "gram 64 at 16²"), "what came before is kept: {layers}");
    assert_eq!(stage(&day, "other engines: adain")["state"], "done");
    assert!(studio.succeed("gpu-day --table day.json").stdout.contains("| gram 64 at 16² |"));
}

/// Without time, every stage is skipped. Bad options are refused.
#[test]
fn gpu_day_skips_what_it_has_no_time_for() {
    let studio = Studio::new();
    studio.succeed("gpu-day --minutes 0.001 -o late.json");
    let late = record(&studio, "late.json");
    assert!(late["stages"].as_array().unwrap().iter().all(|stage| stage["state"] == "skipped"), "{late}");
    assert!(stage(&late, "roofs")["reason"].as_str().unwrap().contains("s are left for it"), "{late}");
    for (options, words) in [
        ("--minutes 0", ["--minutes", "above 0"]),
        ("--only nothing", ["--only", "such as doctor, roofs, convolutions"]),
        ("-o late.json", ["late.json", "--overwrite"]),
        ("--table none.json", ["none.json", "No such file"]),
        ("--table style.png", ["style.png", "impasto gpu-day"]),
    ] {
        studio.refused(studio.command(&format!("gpu-day {options}")), 1, &words);
    }
}

/// A process that does not end is ended, and what it printed is kept; a killed run leaves what it has measured.
#[cfg(unix)]
#[test]
fn gpu_day_ends_what_hangs_and_a_kill_loses_nothing() {
    let studio = Studio::new();
    engines(&studio, "exec sleep 60");
    let options = "--peers ./engines --only adain --overwrite -o day.json";
    studio.succeed(&format!("gpu-day {options} --minutes 0.15"));
    let day = record(&studio, "day.json");
    let hung = stage(&day, "other engines: adain");
    assert_eq!(
        (&hung["state"], &hung["lines"]),
        (&"stopped".into(), &serde_json::json!([{ "a figure": 1 }])),
        "{hung}"
    );

    let mut killed = studio.command(&format!("gpu-day {options} --minutes 10")).spawn().unwrap();
    let figures = || stage(&record(&studio, "day.json"), "other engines: adain").clone();
    while figures()["state"] != "running" || figures()["lines"].as_array().unwrap().is_empty() {
        assert!(killed.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(figures()["lines"], hung["lines"]);
    let tables = studio.succeed("gpu-day --table day.json").stdout;
    assert!(tables.contains("| other engines: adain | running |"), "{tables}");
}
