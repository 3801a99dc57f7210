//! `devices`, help, and messages.

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
    // A part of the name in any case is sufficient.
    let name = adapters[0]["name"].as_str().unwrap();
    let part = name.split(' ').next().unwrap().to_uppercase();
    let done =
        studio.succeed(&format!("stylize content.png --style style.png {QUICK} --json --device {part} -o a.png"));
    assert_eq!(done.json()["device"], name);
}

#[test]
fn help_of_every_command_has_examples() {
    let studio = Studio::new();
    let commands = "|stylize|enlarge|models|compare|train|train encoder|train ulyanov|train body|train style|train adain|train super-resolution|style|eval|eval encoder|eval feed-forward|eval adain|eval super-resolution|devices|weights|weights inspect|weights import|bench|gpu-day|kernels";
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
fn kernels_are_listed_and_shown() {
    let studio = Studio::new();
    let listed = studio.succeed("kernels --net vgg --class tiled --size 64 --json").json();
    let kernels: Vec<_> = listed.as_array().unwrap().iter().map(|row| row["kernel"].as_str().unwrap()).collect();
    let number = 1 + kernels.iter().position(|kernel| kernel.starts_with("conv2d:forward ")).unwrap();
    let show = format!("kernels --net vgg --class tiled --size 64 --show {number}");
    let table = studio.succeed("kernels --net vgg --class tiled --size 64").stdout;
    assert!(table.lines().nth(number).unwrap().ends_with(kernels[number - 1]), "{table}");
    assert!(table.lines().last().unwrap().starts_with(&format!("{} dispatches, ", kernels.len())), "{table}");
    let wgsl = studio.succeed(&show).stdout;
    assert!(wgsl.starts_with(&format!("// {}", kernels[number - 1])) && wgsl.contains("\n@compute "), "{wgsl}");
    assert!(studio.succeed(&format!("{show} --as msl")).stdout.contains("kernel void forward("));
    assert!(studio.succeed(&format!("{show} --as hlsl")).stdout.contains("void forward("));
    studio.succeed(&format!("{show} --as spirv -o conv.spv"));
    assert_eq!(std::fs::read(studio.path("conv.spv")).unwrap()[..4], 0x0723_0203_u32.to_le_bytes());
    for (arguments, word) in [
        (format!("{show} --as spirv"), "--output"),
        (format!("{show} --as spirv -o conv.spv"), "--overwrite"),
        ("kernels --net vgg --size 64 --show 999".into(), "1 to "),
    ] {
        studio.refused(studio.command(&arguments), 1, &[word]);
    }
}

#[test]
fn stderr_has_no_escape_codes_without_a_terminal() {
    let studio = Studio::new();
    let done = studio.succeed(&format!("stylize content.png --style style.png {QUICK} -o out.png -vv"));
    assert!(done.stderr.contains("random weights") && done.stderr.contains("INFO"), "{}", done.stderr);
    assert!(!done.stderr.contains('\x1b'), "{:?}", done.stderr);
    assert!(done.stdout.starts_with("out.png: 64x48, loss ") && done.stdout.lines().count() == 1, "{}", done.stdout);
}
