//! `tune`: candidates, the stored tuning, and the commands that use it.

use std::path::PathBuf;

use serde_json::Value;

use crate::studio::Studio;

/// Ratio of executed operations of a convolution to those by definition, from `bench`.
fn share_performed(studio: &Studio) -> f64 {
    let measured = studio.succeed("bench --only 64->128 --size 64 --seconds 0 --json").json();
    let number = |field: &str| measured["workloads"][0][field].as_f64().unwrap();
    number("share_of_fma_performed") / number("share_of_fma")
}

#[test]
fn tune_checks_and_times_every_candidate() {
    let studio = Studio::new();
    let found = studio.succeed("tune --size 32 --seconds 0 --json").json();
    let trials = found["trials"].as_array().unwrap();
    assert!(trials.len() > 6, "{found}");
    for trial in trials {
        assert!(trial["error"].as_f64().unwrap() < 1.0, "all of them are right: {trial}");
        let time = trial["time"].as_f64().unwrap();
        assert!(time > 0.01 && time < 100.0 && trial["kept"] == (time < 0.95), "{trial}");
    }
    let kept = trials.iter().any(|trial| trial["kept"] == true);
    assert_eq!(found["file"].is_string(), kept, "{found}");
    if let Value::String(file) = &found["file"] {
        let text = std::fs::read(file).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), found["tuning"]);
    }
}

#[test]
fn stored_tuning_is_used_until_it_is_reset() {
    let studio = Studio::new();
    let printed = studio.succeed("tune --reset").stdout;
    let file = PathBuf::from(printed.split(": ").nth(1).unwrap().strip_suffix(" is removed\n").unwrap());
    assert!(file.starts_with(studio.home()) && !file.exists(), "{printed}");
    let write = |tiles_from: usize| {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let tuning = serde_json::json!({
            "tiles_from": [tiles_from, tiles_from], "band_mib": 4, "slice_mib": 10, "workgroups": 128,
        });
        std::fs::write(&file, tuning.to_string()).unwrap();
    };
    write(16);
    assert!(share_performed(&studio) < 0.9, "in tiles");
    write(1000);
    assert_eq!(share_performed(&studio), 1.0, "as it is written");
    studio.succeed("tune --reset");
    assert!(!file.exists());

    // Invalid files cause a warning and are otherwise ignored.
    std::fs::write(&file, "{\"tiles_from\": 3}").unwrap();
    let done = studio.succeed("bench --only 64->128 --size 32 --seconds 0");
    assert!(done.stderr.contains("tuning-") && done.stderr.contains("tuning again replaces it"), "{}", done.stderr);
}

#[test]
fn invalid_tune_options_are_refused() {
    let studio = Studio::new();
    for (options, words) in [("--size 33", ["--size", "multiple of 8"]), ("--seconds NaN", ["--seconds", "0 or more"])]
    {
        studio.refused(studio.command(&format!("tune {options}")), 1, &words);
    }
}
