//! `devices`, help, and how the command speaks.

use crate::studio::{QUICK, Studio};

#[test]
fn devices_lists_what_device_takes() {
    let studio = Studio::new();
    let listed = studio.succeed("devices --json").json();
    let adapters = listed.as_array().unwrap();
    assert!(!adapters.is_empty());
    let text = studio.succeed("devices").stdout;
    assert_eq!(text.lines().count(), adapters.len());
    for (index, (adapter, line)) in adapters.iter().zip(text.lines()).enumerate() {
        assert_eq!(adapter["index"], index);
        for field in ["name", "kind", "backend", "driver"] {
            let value = adapter[field].as_str().unwrap();
            assert!(!value.is_empty() && line.contains(value), "{field} {value:?} is not in {line}");
        }
        assert!(line.starts_with(&format!("{index}  ")), "{line}");
    }
    // Part of a name, in any case, is enough.
    let name = adapters[0]["name"].as_str().unwrap();
    let part = name.split(' ').next().unwrap().to_uppercase();
    let done =
        studio.succeed(&format!("stylize content.png --style style.png {QUICK} --json --device {part} -o a.png"));
    assert_eq!(done.json()["device"], name);
}

#[test]
fn help_teaches_by_examples() {
    let studio = Studio::new();
    let commands = "|stylize|models|compare|train|train encoder|train ulyanov|train adain|style|eval|eval encoder|eval feed-forward|eval adain|devices|weights|weights inspect|weights import|bench";
    for command in commands.split('|') {
        for help in ["--help", "-h"] {
            let text = studio.succeed(&format!("{command} {help}")).stdout;
            let examples =
                text.split_once("Examples:\n").unwrap_or_else(|| panic!("`{command}`: no examples\n{text}")).1;
            let wanted = format!("  impasto {command}");
            assert!(examples.lines().next().unwrap().starts_with(wanted.trim_end()), "`{command}`: {examples}");
        }
    }
    assert!(studio.succeed("--version").stdout.starts_with("impasto "));
}

#[test]
fn stderr_that_is_no_terminal_gets_no_escape_codes() {
    let studio = Studio::new();
    let done = studio.succeed(&format!("stylize content.png --style style.png {QUICK} -o out.png -vv"));
    assert!(done.stderr.contains("random weights") && done.stderr.contains("INFO"), "{}", done.stderr);
    assert!(!done.stderr.contains('\x1b'), "{:?}", done.stderr);
    assert!(done.stdout.starts_with("out.png: 64x48, loss ") && done.stdout.lines().count() == 1, "{}", done.stdout);
}

#[test]
fn bench_measures_adain_with_a_style_that_is_there_and_with_a_new_one() {
    let studio = Studio::new();
    let measured = studio.succeed("bench --only adain --size 16 --seconds 0 --json").json();
    let workloads = measured["workloads"].as_array().unwrap();
    let names: Vec<_> = workloads.iter().map(|workload| workload["name"].as_str().unwrap()).collect();
    let sizes = [64, 128, 256].map(|size| [format!("adain at {size}²"), format!("adain, a new style at {size}²")]);
    assert_eq!(names, sizes.concat());
    let of = |field: &str| -> Vec<f64> { workloads.iter().map(|workload| workload[field].as_f64().unwrap()).collect() };
    let (gflop, seconds) = (of("gflop"), of("median_seconds"));
    // The encoder, which a new style needs twice, is nearly as much work as the decoder.
    for (index, pair) in gflop.chunks(2).enumerate() {
        assert!((1.4..1.6).contains(&(pair[1] / pair[0])), "{pair:?}");
        assert!((pair[0] / gflop[0] / f64::from(1 << (2 * index)) - 1.0).abs() < 1e-6, "{gflop:?}");
    }
    assert!(seconds.iter().all(|seconds| *seconds > 0.0), "{measured}");
}
