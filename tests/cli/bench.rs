//! `bench`: figures, the adapter's limits, and output files.

use image::{Rgb, RgbImage};
use serde_json::Value;

use crate::studio::{Done, Studio};

fn number(value: &Value, field: &str) -> f64 {
    value[field].as_f64().unwrap_or_else(|| panic!("{field} is no number in {value}"))
}

/// Asserts that the limits are plausible for an adapter between a slow processor and the largest GPU.
fn assert_plausible(roof: &Value) {
    assert!((0.1..1e6).contains(&number(roof, "fma_gflop_per_second")), "{roof}");
    assert!((0.01..1e5).contains(&number(roof, "copy_gigabyte_per_second")), "{roof}");
    assert!((1e-8..1.0).contains(&number(roof, "dispatch_seconds")), "{roof}");
    assert!((1e-7..10.0).contains(&number(roof, "submission_seconds")), "{roof}");
    for other in ["half_fma_gflop_per_second", "matrix_fma_gflop_per_second"] {
        assert!(roof[other].is_null() || (0.01..1e7).contains(&roof[other].as_f64().unwrap()), "{roof}");
    }
}

#[test]
fn bench_roof_prints_the_limits_of_the_adapter() {
    let studio = Studio::new();
    let printed = studio.succeed("bench --roof").stdout;
    for words in ["f32 FMA", "copy", "a dispatch", "a submission", "GFLOP/s", "GB/s", "µs"] {
        assert!(printed.contains(words), "{words} is not in {printed}");
    }
    let measured = studio.succeed("bench --roof --json").json();
    assert_plausible(&measured["roof"]);
    assert!(measured["workloads"].is_null() && !measured["device"].as_str().unwrap().is_empty(), "{measured}");
    assert_eq!(studio.run("bench --roof --only gram").code, Some(2), "there is nothing to choose from");
}

#[test]
fn bench_reports_shares_of_the_roof() {
    let studio = Studio::new();
    let measured = studio.succeed("bench --only gram --size 32 --seconds 0.01 --json").json();
    let roof = &measured["roof"];
    assert_plausible(roof);
    let workloads = measured["workloads"].as_array().unwrap();
    assert_eq!(workloads.len(), 8, "{measured}");
    for workload in workloads {
        for (figure, share, of) in [
            ("gflop_per_second", "share_of_fma", "fma_gflop_per_second"),
            ("gigabyte_per_second", "share_of_copy", "copy_gigabyte_per_second"),
        ] {
            let (share, ratio) = (number(workload, share), number(workload, figure) / number(roof, of));
            assert!(share > 0.0 && share < 100.0 && (share / ratio - 1.0).abs() < 1e-9, "{workload} under {roof}");
        }
        // Nothing computes faster than pure multiply-adds, apart from disturbances by other processes.
        assert!(number(workload, "share_of_fma") < 4.0, "{workload} under {roof}");
    }
    let printed = studio.succeed("bench --only gram --size 16 --seconds 0").stdout;
    let lines: Vec<_> = printed.lines().collect();
    assert!(lines[1].starts_with("roofs: f32 FMA ") && lines[1].contains(" GB/s, "), "{printed}");
    for heading in ["GFLOP/s", "% of FMA", "GB/s", "% of copy"] {
        assert!(lines[2].contains(heading), "{printed}");
    }
    assert_eq!(lines.len(), 3 + 8, "{printed}");
    assert!(lines[3..].iter().all(|line| line.chars().count() == lines[2].chars().count()), "{printed}");
}

#[test]
fn bench_measures_adain_with_a_known_and_a_new_style() {
    let studio = Studio::new();
    let measured = studio.succeed("bench --only adain --size 16 --seconds 0 --json").json();
    let workloads = measured["workloads"].as_array().unwrap();
    let names: Vec<_> = workloads.iter().map(|workload| workload["name"].as_str().unwrap()).collect();
    let sizes = [64, 128, 256].map(|size| [format!("adain at {size}²"), format!("adain, a new style at {size}²")]);
    assert_eq!(names, sizes.concat());
    let of = |field: &str| -> Vec<f64> { workloads.iter().map(|workload| workload[field].as_f64().unwrap()).collect() };
    let (gflop, seconds) = (of("gflop"), of("median_seconds"));
    // The encoder, which runs twice for a new style, is nearly as much work as the decoder.
    for (index, pair) in gflop.chunks(2).enumerate() {
        assert!((1.4..1.6).contains(&(pair[1] / pair[0])), "{pair:?}");
        assert!((pair[0] / gflop[0] / f64::from(1 << (2 * index)) - 1.0).abs() < 1e-6, "{gflop:?}");
    }
    assert!(seconds.iter().all(|seconds| *seconds > 0.0), "{measured}");
}

/// With Winograd, fewer operations are executed than counted by definition; a batch needs proportionally more.
#[test]
fn bench_reports_performed_flops() {
    let studio = Studio::new();
    let of = |options: &str| {
        let measured = studio.succeed(&format!("bench --seconds 0 --json {options}")).json();
        let workload = measured["workloads"][0].clone();
        let share = number(&workload, "share_of_fma_performed") / number(&workload, "share_of_fma");
        (workload["name"].as_str().unwrap().to_string(), number(&workload, "gflop"), share)
    };
    let (name, gflop, share) = of("--size 64 --only 256->512");
    assert_eq!((name.as_str(), share > 0.99), ("conv 256->512 at 8²", true), "as it is written");
    let (name, batch, share) = of("--size 128 --batch 2 --only 256->512");
    assert!(name == "conv 256->512 at 2 x 16²" && batch == 8.0 * gflop, "{name}: {gflop}, {batch}");
    assert!((0.25..0.4).contains(&share), "in tiles: {share} of them");
}

#[test]
fn bench_profile_traces_every_program() {
    let studio = Studio::new();
    let bench = "bench --only gradient --size 16 --seconds 0 --profile trace.json --overwrite";
    let printed = studio.succeed(bench).stdout;
    let dispatches = studio.trace("trace.json");
    let processes = 1 + dispatches.last().unwrap()["pid"].as_u64().unwrap();
    // Eight convolutions, a norm, means and deviations, pooling, the parameter gradients of a convolution, four Gram
    // matrices, VGG-19.
    assert_eq!(processes, 8 + 1 + 1 + 1 + 1 + 4 + 1);
    for process in 0..processes {
        let first = dispatches.iter().find(|one| one["pid"] == process).unwrap();
        assert_eq!(first["ts"], 0.0, "{first}");
    }
    assert!(printed.contains("conv gradient 64->64 at 16²: ") && printed.contains("% of time"), "{printed}");
    // A net that is recorded on demand has one program too; an L-BFGS iteration has several.
    let mut command = studio.command("bench --size 16 --seconds 0 --profile trace.json --overwrite --only");
    command.arg("paper form at 64²");
    assert_eq!(Done::of(command).code, Some(0));
    assert!(studio.trace("trace.json").iter().any(|one| one["name"].as_str().unwrap().contains("3->32 9x9")));
    let done = studio.succeed(&format!("{} --json", bench.replace("gradient", "L-BFGS")));
    assert_eq!(done.json()["workloads"].as_array().unwrap().len(), 1, "nothing but JSON");
    assert!(studio.trace("trace.json").is_empty());
    assert_eq!(studio.new_names(), ["trace.json"]);
}

#[test]
fn bench_plot_shows_the_measured_workloads() {
    let studio = Studio::new();
    let bench = |only: &str| {
        studio.succeed(&format!("bench --only {only} --size 16 --seconds 0 --plot plot.png --overwrite"));
        studio.picture("plot.png")
    };
    let [grams, encoding] = ["gram", "encoding"].map(bench);
    assert_eq!(grams.dimensions(), (1280, 800));
    // Encoding has no operations and no point in the plot, which then shows only the roofs.
    let colourful = |picture: &RgbImage| {
        let is_grey = |pixel: &Rgb<u8>| pixel.0.iter().max().unwrap() - pixel.0.iter().min().unwrap() < 16;
        picture.pixels().filter(|pixel| !is_grey(pixel)).count()
    };
    assert!(colourful(&grams) > 8 * 50 && colourful(&encoding) == 0, "{}", colourful(&grams));
    assert_eq!(studio.new_names(), ["plot.png"]);
}

#[test]
fn invalid_bench_options_are_refused() {
    let studio = Studio::new();
    std::fs::create_dir(studio.path("folder")).unwrap();
    let cases: [(&str, &[&str]); 7] = [
        ("--size 15", &["--size", "at least 16", "got 15"]),
        ("--only nothing-of-that-name", &["--only", "part of a name", "got nothing-of-that-name"]),
        ("--profile none/trace.json", &["none/trace.json", "directory none does not exist", "create it"]),
        ("--profile folder", &["folder", "is a directory", "name a file in it"]),
        ("--plot none/plot.png", &["none/plot.png", "directory none does not exist", "create it"]),
        ("--plot plot.txt", &["ends in .png", "got plot.txt"]),
        ("--plot a.png --profile a.png", &["--profile and --plot", "different files", "got a.png"]),
    ];
    for (options, words) in cases {
        studio.refused(studio.command(&format!("bench {options}")), 1, words);
    }
}
