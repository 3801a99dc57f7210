//! `doctor`: an adapter that is right, one with a broken kernel, and pictures that a broken adapter paints.

use std::path::PathBuf;

use serde_json::Value;

use crate::studio::{Done, Studio};

/// The output transform of Winograd's large tiles with a wrong coefficient.
const BROKEN_TILES: &str = "lib/winograd_4.wgsl|b + 2.0 * f|b + 2.5 * f";

/// Convolutions that ignore their input.
const BLIND: &str = "lib/epilogue.wgsl|var value = sum|var value = 0.0 * sum";

/// Adam's step with an empty range, so that all pixels become 0.
const BLACK: &str = "adam.wgsl|vec4<f32>(params.high)|vec4<f32>(params.low)";

/// Runs the command with an altered kernel.
fn altered(studio: &Studio, alteration: &str, arguments: &str) -> Done {
    let mut command = studio.command(arguments);
    command.env("IMPASTO_ALTER_KERNEL", alteration);
    Done::of(command)
}

/// Largest difference of two pictures.
fn apart(studio: &Studio, a: &str, b: &str) -> u8 {
    let (a, b) = (studio.picture(a), studio.picture(b));
    a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// The doctor finds a broken kernel and names it; later runs avoid it and paint correctly, until the doctor finds no
/// fault.
#[test]
fn a_broken_kernel_is_found_and_avoided() {
    let studio = Studio::new();
    let paint = "stylize content.png --style style.png --size 96 -o";
    studio.succeed(&format!("{paint} right.png"));
    let broken = altered(&studio, BROKEN_TILES, &format!("{paint} broken.png"));
    assert!(broken.code == Some(0) && apart(&studio, "right.png", "broken.png") > 3, "the alteration has an effect");

    let done = altered(&studio, BROKEN_TILES, "doctor --json");
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let last = done.stderr.lines().last().unwrap();
    assert!(last.contains("tests; later runs avoid Winograd tiles") && last.starts_with("impasto: "), "{last}");
    let found = done.json();
    let faults = || found["report"]["checks"].as_array().unwrap().iter().filter(|check| !check["fault"].is_null());
    assert!(faults().count() > 3, "{found}");
    for check in faults() {
        let kernels = check["kernels"].to_string();
        assert!(["winograd_4:output", "winograd_4_four:output"].iter().any(|name| kernels.contains(name)), "{check}");
    }
    assert_eq!(found["avoid"], serde_json::json!(["winograd-tiles"]));
    let file = PathBuf::from(found["file"].as_str().unwrap());
    assert!(file.starts_with(studio.home()) && file.exists());

    let avoiding = altered(&studio, BROKEN_TILES, &format!("{paint} avoided.png"));
    assert_eq!(avoiding.code, Some(0), "{}", avoiding.stderr);
    assert!(avoiding.stderr.contains("runs without Winograd tiles"), "{}", avoiding.stderr);
    assert!(apart(&studio, "right.png", "avoided.png") <= 1);

    // Without the alteration everything is right, so nothing is avoided any more.
    let found = studio.succeed("doctor --json").json();
    let checks = found["report"]["checks"].as_array().unwrap();
    assert!(checks.len() > 200 && checks.iter().all(|check| check["fault"].is_null()), "{found}");
    assert!(checks.iter().all(|check| check["error"].as_f64() <= check["tolerance"].as_f64()), "{found}");
    assert_eq!(checks.iter().filter(|check| check["group"] == "pictures").count(), 5);
    for fact in ["adapter", "driver", "features", "limits", "versions"] {
        assert!(!found["report"]["details"][fact].is_null(), "{fact}");
    }
    assert_eq!((&found["avoid"], &found["file"]), (&serde_json::json!([]), &Value::Null));
    assert!(!file.exists());
    assert_eq!(studio.succeed(&format!("{paint} again.png")).stderr.matches("runs without").count(), 0);

    // A file stands where the folder of the user's data should be. What was measured is printed nevertheless.
    let folder = file.parent().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::write(folder, "no folder").unwrap();
    let done = studio.succeed("doctor --json");
    assert!(done.stderr.contains("cannot remove") && done.json()["report"]["checks"].is_array(), "{}", done.stderr);
}

/// What is stored is used by every command and removed by --forget; a broken file is ignored with a warning.
#[test]
fn what_is_stored_can_be_forgotten() {
    let studio = Studio::new();
    let printed = studio.succeed("doctor --forget").stdout;
    let file = PathBuf::from(printed.split(": ").nth(1).unwrap().strip_suffix(" is removed\n").unwrap());
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let measure = "bench --only 64->128 --size 32 --seconds 0 --json";
    std::fs::write(&file, "[\"winograd-tiles\"]").unwrap();
    let done = studio.succeed(measure);
    let workload = &done.json()["workloads"][0];
    assert_eq!(workload["share_of_fma"], workload["share_of_fma_performed"], "direct sums");
    assert!(done.stderr.contains("runs without Winograd tiles, which `impasto doctor` found wrong"), "{}", done.stderr);
    studio.succeed("doctor --forget");
    assert!(!file.exists() && !studio.succeed(measure).stderr.contains("runs without"));

    std::fs::write(&file, "[\"magic\"]").unwrap();
    let done = studio.succeed(measure);
    assert!(done.stderr.contains("avoid-") && done.stderr.contains("is ignored"), "{}", done.stderr);
}

/// Cooperative matrices that give wrong answers are not used, and the picture is that of plain f16. Verdicts are kept, but
/// not those about an altered kernel.
#[test]
fn wrong_matrices_are_not_used() {
    let studio = Studio::new();
    let paint = "stylize content.png --style style.png --size 96 --overwrite -o";
    let in_matrices = format!("{paint} matrices.png --precision f16-matrix");
    if !studio.succeed("devices --json").stdout.contains("f16-matrix") {
        studio.refused(studio.command(&in_matrices), 1, &["no cooperative matrices"]);
        return;
    }
    // A product with another factor.
    let broken = "matrix_test.wgsl|s03 = coopMultiplyAdd(l0, r3, s03);|s03 = coopMultiplyAdd(l0, r2, s03);";
    let done = altered(&studio, broken, &in_matrices);
    assert!(done.code == Some(0) && done.stderr.contains("sums are wrong, the first is "), "{}", done.stderr);
    studio.succeed(&format!("{paint} plain.png --precision f16"));
    assert!(apart(&studio, "plain.png", "matrices.png") <= 1, "another class of kernels");
    assert!(!studio.succeed(&in_matrices).stderr.contains("runs without"));
}

/// A uniform picture of a photo with detail is an error that names the adapter and the way out, and no file.
#[test]
fn a_black_picture_is_reported() {
    let studio = Studio::new();
    for (method, alteration) in [
        ("--style style.png", BLIND),
        ("--style style.png --vgg random:0.1 --optimizer adam --steps 2 --scales 1", BLACK),
    ] {
        let mut command = studio.command(&format!("stylize content.png {method} -o black.png"));
        command.env("IMPASTO_ALTER_KERNEL", alteration);
        let done = Done::of(command);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(done.stderr.contains("painted all pixels alike"), "{}", done.stderr);
        std::fs::remove_file(studio.path("black.png")).unwrap();
    }
}

#[test]
fn invalid_doctor_options_are_refused() {
    let studio = Studio::new();
    for limit in ["0", "-1", "NaN"] {
        studio.refused(studio.command(&format!("doctor --limit={limit}")), 1, &["--limit", "above 0"]);
    }
    let mut command = studio.command("devices");
    command.env("IMPASTO_ALTER_KERNEL", "no.wgsl|a|b");
    studio.refused(command, 1, &["kernel alteration", "no.wgsl"]);
}
