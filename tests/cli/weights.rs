//! `weights inspect` and `weights import`, and `stylize` with valid, invalid and malicious weight files.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use impasto::io::{DType, WeightFile};
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::ops::norm::Over;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::studio::{Done, QUICK, Studio};

/// Name, shape and values.
type Tensor = (String, Vec<usize>, Vec<f32>);

/// Channels after each of VGG-19's first nine convolutions, reduced.
const CHANNELS: [usize; 9] = [4, 4, 6, 6, 8, 8, 8, 8, 10];
const CAFFE: [&str; 9] =
    ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv3_4", "conv4_1"];

/// A narrow VGG-19 whose convolutions have these names.
fn net<S: AsRef<str>>(names: &[S]) -> Vec<Tensor> {
    let mut state = 1u32;
    let mut value = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        0.6 * (state as f32 / u32::MAX as f32 - 0.5)
    };
    let mut tensors = Vec::new();
    let mut before = 3;
    for (name, after) in names.iter().map(S::as_ref).zip(CHANNELS) {
        let weights = (0..after * before * 9).map(|_| value()).collect();
        tensors.push((format!("{name}.weight"), vec![after, before, 3, 3], weights));
        tensors.push((format!("{name}.bias"), vec![after], (0..after).map(|_| value()).collect()));
        before = after;
    }
    tensors
}

/// Names of torchvision with these numbers.
fn numbered(numbers: [usize; 9]) -> Vec<String> {
    numbers.iter().map(|number| format!("features.{number}")).collect()
}

/// The tensor with this name, for modification.
fn tensor<'t>(tensors: &'t mut [Tensor], name: &str) -> &'t mut Tensor {
    tensors.iter_mut().find(|(other, ..)| other == name).unwrap()
}

fn save(path: &Path, tensors: &[Tensor], convention: Option<&str>) {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let view = |shape: &Vec<usize>, bytes| TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| (name, view(shape, bytes)));
    let metadata = convention.map(|name| HashMap::from([("convention".to_string(), name.to_string())]));
    std::fs::write(path, safetensors::serialize(views, metadata).unwrap()).unwrap();
}

/// A net written by PyTorch, without the results that a fixture has beside it.
fn fixture(studio: &Studio, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    if name.ends_with(".safetensors") {
        let mut file = WeightFile::load(&path).unwrap();
        file.tensors.retain(|(name, _)| ["conv", "features.", "classifier."].iter().any(|part| name.starts_with(part)));
        WeightFile::save(&studio.path(name), DType::F32, &file.tensors, &file.metadata).unwrap();
    } else {
        std::fs::copy(&path, studio.path(name)).unwrap();
    }
    name.to_string()
}

/// The path of the imported net under the studio's home directory, if there is one.
fn imported(studio: &Studio) -> Option<PathBuf> {
    studio.files().into_keys().find(|path| path.ends_with("vgg19.safetensors")).map(|path| studio.path("..").join(path))
}

#[test]
fn inspect_reports_format_convention_and_depth() {
    let studio = Studio::new();
    let cases = [
        ("torchvision.safetensors", "Safetensors", "torchvision", "relu5_4"),
        ("torchvision.pth", "PthZip", "torchvision", "relu5_4"),
        ("torchvision_legacy.pth", "PthLegacy", "torchvision", "relu5_4"),
        ("gatys.safetensors", "Safetensors", "caffe", "relu4_1"),
        ("normalised.safetensors", "Safetensors", "normalised", "relu4_1"),
    ];
    for (name, format, convention, deepest) in cases {
        let path = fixture(&studio, name);
        let text = studio.succeed(&format!("weights inspect {path}")).stdout;
        let what = format!("VGG-19 in the {convention} convention, to {deepest}\n");
        assert!(text.contains(&what) && text.contains(&format!("impasto weights import {path}")), "{name}: {text}");
        let json = studio.succeed(&format!("weights inspect {path} --json")).json();
        assert_eq!(json["format"], format, "{name}");
        assert_eq!((&json["convention"], &json["deepest_tap"]), (&convention.into(), &deepest.into()), "{name}");
        let tensors = json["tensors"].as_array().unwrap();
        assert!(text.contains(&format!("{} tensors", tensors.len())), "{name}");
        let first = tensors.iter().find(|tensor| tensor["shape"].as_array().unwrap().len() == 4).unwrap();
        assert_eq!(first["dtype"], "F32");
        assert!(text.contains(first["name"].as_str().unwrap()), "{name}: {text}");
    }
    save(&studio.path("other.safetensors"), &[("encoder.weight".into(), vec![2, 2], vec![0.5; 4])], None);
    let text = studio.succeed("weights inspect other.safetensors").stdout;
    let last = text.lines().last().unwrap();
    assert!(text.contains("encoder.weight") && last.starts_with("No net that Impasto can use: "), "{text}");
    let json = studio.succeed("weights inspect other.safetensors --json").json();
    assert_eq!((&json["convention"], &json["kind"]), (&Value::Null, &Value::Null));
}

#[test]
fn inspect_says_which_command_takes_a_file() {
    let studio = Studio::new();
    let save = |name: &str, file: &WeightFile| {
        WeightFile::save(&studio.path(name), DType::F32, &file.tensors, &file.metadata).unwrap();
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
    let narrow = |styles: &[String]| {
        let net = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.0625, 1);
        if styles.is_empty() { net } else { net.with_styles(styles).unwrap() }
    };
    save("net.safetensors", &narrow(&[]).into_file(Path::new(""), Default::default()));
    let styles = ["wave".to_string(), "rain".into()];
    save("body.safetensors", &narrow(&styles).into_file(Path::new(""), Default::default()));
    let style = narrow(&[]).style("house").unwrap();
    let metadata = style.metadata().map(|(key, value)| (key.to_string(), value)).into();
    WeightFile::save(&studio.path("mine.style"), DType::F32, &style.tensors, &metadata).unwrap();
    std::fs::copy(path.join("adain-fast.safetensors"), studio.path("decoder.safetensors")).unwrap();
    studio.succeed("style save style.png --vgg compact -o painting.style");
    let folder = studio.path("a.training/step-00000070");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("header.json"), "{}").unwrap();
    for (name, kind, what, command) in [
        ("net.safetensors", "image_transform_net", "Image transform net", "--model net.safetensors -o"),
        ("body.safetensors", "body", "Body for 2 styles", "--model body.safetensors:STYLE"),
        ("mine.style", "body_style", "Style of the body `house`", "--model mine.style"),
        ("decoder.safetensors", "adain_decoder", "AdaIN decoder", "--style PAINTING --decoder decoder.safetensors"),
        ("painting.style", "adain_style", "Style for AdaIN", "--style painting.style"),
        ("a.training/step-00000070", "training_checkpoint", "Checkpoint of a training, at step 70", "--resume"),
    ] {
        let text = studio.succeed(&format!("weights inspect {name}")).stdout;
        let [.., last_but_one, last] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert!(last_but_one.starts_with(what) && last.contains(command), "{text}");
        let json = studio.succeed(&format!("weights inspect {name} --json")).json();
        assert_eq!((&json["kind"], json["command"].as_str()), (&kind.into(), last.strip_prefix("Use it with: ")));
    }
    // A net with a layer too many is described by what is wrong with it.
    let mut deeper = narrow(&[]).into_file(Path::new(""), Default::default());
    let extra = deeper.tensors[0].1.clone();
    deeper.tensors.push(("res6.conv1.conv2d.weight".into(), extra));
    save("deeper.safetensors", &deeper);
    let text = studio.succeed("weights inspect deeper.safetensors").stdout;
    assert!(text.lines().last().unwrap().contains("no place for the tensor res6.conv1.conv2d.weight"), "{text}");
    let paint = "stylize content.png --model deeper.safetensors -o out.png";
    studio.refused(studio.command(paint), 1, &["deeper.safetensors", "res6.conv1.conv2d.weight"]);
}

#[test]
fn an_imported_net_is_found_by_stylize() {
    let studio = Studio::new();
    let options = "--scales 1 --steps 2";
    for (name, import_options, convention) in [
        ("torchvision.pth", "--precision f32", "torchvision"),
        ("torchvision.pth", "--precision f32 --convention caffe", "caffe"),
        ("normalised.safetensors", "--precision f32", "normalised"),
    ] {
        let path = fixture(&studio, name);
        let done = studio.succeed(&format!("weights import {path} {import_options}"));
        let stored = imported(&studio).expect("nothing was stored");
        assert!(done.stdout.contains("vgg19.safetensors") && done.stdout.contains(convention), "{}", done.stdout);
        let metadata = studio.succeed(&format!("weights inspect {} --json", stored.display())).json();
        assert_eq!(
            (&metadata["convention"], &metadata["metadata"]["imported_from"]),
            (&convention.into(), &name.into())
        );

        studio.succeed(&format!("stylize content.png --style style.png {options} -o found.png --overwrite"));
        studio
            .succeed(&format!("stylize content.png --style style.png {options} --vgg {path} -o named.png --overwrite"));
        let same = std::fs::read(studio.path("found.png")).unwrap() == std::fs::read(studio.path("named.png")).unwrap();
        assert_eq!(same, !import_options.contains("caffe"), "{name} {import_options}");
    }
    let exact = std::fs::metadata(imported(&studio).unwrap()).unwrap().len();
    studio.succeed(&format!("weights import {}", fixture(&studio, "normalised.safetensors")));
    let halved = std::fs::metadata(imported(&studio).unwrap()).unwrap().len();
    assert!(halved < exact * 2 / 3, "half precision is the default: {exact} to {halved} bytes");
    studio.succeed(&format!("stylize content.png --style style.png {options} -o found.png --overwrite"));
}

#[cfg(feature = "embedded-weights")]
#[test]
fn the_half_net_paints_until_another_is_imported() {
    let studio = Studio::new();
    let paint = |options: &str| {
        studio.succeed(&format!(
            "stylize content.png --style style.png --optimizer adam --steps 3 -o out.png --overwrite {options}"
        ));
        std::fs::read(studio.path("out.png")).unwrap()
    };
    let first = paint("");
    assert!(first == paint("--vgg half"));
    assert!(first != paint("--vgg compact"));
    studio.succeed(&format!("weights import {}", fixture(&studio, "normalised.safetensors")));
    assert!(first != paint(""));
    assert!(first == paint("--vgg half"));
}

#[test]
fn files_that_are_not_vgg19_are_refused_by_all_commands() {
    let studio = Studio::new();
    let good = || net(&CAFFE);
    let spoiled = |name: &str, spoil: &dyn Fn(&mut Tensor)| {
        let mut tensors = good();
        spoil(tensor(&mut tensors, name));
        tensors
    };
    let without = |name: &str| good().into_iter().filter(|(other, ..)| other != name).collect::<Vec<Tensor>>();
    let cases: Vec<(Vec<Tensor>, Option<&str>, &[&str])> = vec![
        // Six filters with five channels where the input has four.
        (
            spoiled("conv2_1.weight", &|(_, shape, values)| (*shape, *values) = (vec![6, 5, 3, 3], vec![0.1; 270])),
            None,
            &["conv2_1.weight", "[any, 4, 3, 3]", "got [6, 5, 3, 3]"],
        ),
        (
            spoiled("conv3_1.bias", &|(_, shape, values)| (*shape, *values) = (vec![7], vec![0.1; 7])),
            None,
            &["conv3_1.bias", "must have shape [8]", "got [7]"],
        ),
        (without("conv1_2.bias"), None, &["lacks the tensor conv1_2.bias"]),
        (without("conv2_2.weight"), None, &["has conv3_1 but lacks conv2_2"]),
        (spoiled("conv1_1.bias", &|(.., values)| values[2] = f32::NAN), None, &["conv1_1.bias", "NaN at element 2"]),
        (
            spoiled("conv4_1.weight", &|(.., values)| values[0] = f32::INFINITY),
            None,
            &["conv4_1.weight", "inf at element 0"],
        ),
        (vec![("encoder.weight".into(), vec![2, 2], vec![0.5; 4])], None, &["so it is not VGG-19", "weights inspect"]),
        // VGG-16 has three convolutions in its third block.
        (net(&numbered([0, 2, 5, 7, 10, 12, 14, 17, 19])), None, &["features.17.weight", "VGG-16"]),
        (net(&numbered([0, 3, 7, 10, 14, 17, 20, 23, 27])), None, &["features.3.weight", "batch norm"]),
        (good(), Some("normalised"), &["1x1 convolution", "said to be normalised", "the other convention"]),
        (good(), Some("pytorch"), &["torchvision, caffe or normalised", "got pytorch"]),
    ];
    // Without modification the file is valid.
    save(&studio.path("good.safetensors"), &good(), None);
    save(&studio.path("numbered.safetensors"), &net(&numbered([0, 2, 5, 7, 10, 12, 14, 16, 19])), None);
    let run = "stylize content.png --style style.png --scales 1 --steps 1";
    studio.succeed(&format!("{run} --vgg good.safetensors -o good.png"));
    studio.succeed("weights import numbered.safetensors");
    for (tensors, convention, words) in cases {
        save(&studio.path("bad.safetensors"), &tensors, convention);
        let words = &[&["bad.safetensors"], words].concat();
        let stylize =
            "stylize content.png --style style.png --vgg bad.safetensors --log log.jsonl -o out.png --overwrite";
        studio.refused(studio.command(stylize), 1, words);
        // The previously imported net is unchanged.
        studio.refused(studio.command("weights import bad.safetensors"), 1, words);
    }
    let whole = std::fs::read(studio.path("good.safetensors")).unwrap();
    studio.write("cut.safetensors", &whole[..whole.len() - 100]);
    for command in
        ["weights inspect", "weights import", "stylize content.png --style style.png -o out.png --overwrite --vgg"]
    {
        studio.refused(studio.command(&format!("{command} cut.safetensors")), 1, &["cut.safetensors", "truncated"]);
    }
}

#[test]
fn a_refused_import_stores_nothing() {
    let studio = Studio::new();
    let mut tensors = net(&CAFFE);
    tensor(&mut tensors, "conv2_1.weight").1 = vec![4, 6, 3, 3];
    save(&studio.path("bad.safetensors"), &tensors, None);
    // Valid in F32, but beyond the range of F16.
    let mut large = net(&CAFFE);
    tensor(&mut large, "conv1_1.bias").2[0] = 70_000.0;
    save(&studio.path("large.safetensors"), &large, None);
    let cases = [
        ("bad.safetensors", ["conv2_1.weight", "got [4, 6, 3, 3]"]),
        ("large.safetensors", ["conv1_1.bias", "use F32"]),
        ("large.safetensors --convention torch", ["torchvision, caffe or normalised", "got torch"]),
        ("none.safetensors", ["cannot read none.safetensors", "check the path"]),
    ];
    for (arguments, words) in cases {
        studio.refused(studio.command(&format!("weights import {arguments}")), 1, &words);
    }
    assert_eq!(imported(&studio), None);
    studio.succeed("weights import large.safetensors --precision f32");
    assert!(imported(&studio).is_some());
}

#[test]
fn a_shallow_net_works_up_to_its_last_layer() {
    let studio = Studio::new();
    save(&studio.path("shallow.safetensors"), &net(&CAFFE[..3]), None);
    let text = studio.succeed("weights inspect shallow.safetensors").stdout;
    assert!(text.contains("VGG-19 in the caffe convention, to relu2_1\n"), "{text}");
    let run = "stylize content.png --style style.png --vgg shallow.safetensors --scales 1 --steps 2";
    studio.refused(studio.command(&format!("{run} -o out.png")), 1, &["at most relu2_1", "got relu4_1"]);
    studio.succeed(&format!("{run} --content-tap relu2_1 --style-tap relu1_1 --style-tap relu1_2 -o out.png"));
}

#[test]
fn overflow_names_the_weights() {
    let studio = Studio::new();
    let mut tensors = net(&CAFFE);
    // Finite weights, but non-finite outputs of the next layer.
    tensor(&mut tensors, "conv1_2.weight").2.iter_mut().for_each(|value| *value = 3e38);
    save(&studio.path("hot.safetensors"), &tensors, None);
    let command =
        "stylize content.png --style style.png --vgg hot.safetensors --scales 1 --log log.jsonl -o out.png --overwrite";
    for optimizer in ["lbfgs", "adam"] {
        let command = studio.command(&format!("{command} --optimizer {optimizer}"));
        studio.refused(command, 1, &["the loss is not finite", "conv2d", "check the weight file"]);
    }
}

/// A pickle that calls `os.system("echo > COMMAND_HAS_RUN")` when Python loads it.
fn hostile_pickle() -> Vec<u8> {
    let argument = "echo > COMMAND_HAS_RUN";
    let length = (argument.len() as u32).to_le_bytes();
    [b"\x80\x02cos\nsystem\nX", &length[..], argument.as_bytes(), b"\x85R."].concat()
}

#[test]
fn a_pickle_that_calls_os_system_is_refused_and_not_executed() {
    let studio = Studio::new();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [("net/data.pkl", hostile_pickle()), ("net/version", b"3\n".to_vec())] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    studio.write("zip.pth", archive.finish().unwrap().into_inner());
    studio.write("legacy.pth", hostile_pickle());
    for name in ["zip.pth", "legacy.pth"] {
        for command in
            ["weights inspect", "weights import", "stylize content.png --style style.png -o out.png --overwrite --vgg"]
        {
            let words = [name, "os.system", "a weight file must hold tensors only", "state_dict"];
            studio.refused(studio.command(&format!("{command} {name}")), 1, &words);
        }
    }
    // `refused` has checked that no file appeared; Python shows that the pickle would have created one.
    let load = "import pickle; pickle.load(open('legacy.pth', 'rb'))";
    let mut python = std::process::Command::new("python3");
    if python.args(["-c", load]).current_dir(studio.path("")).status().is_ok_and(|status| status.success()) {
        assert!(studio.path("COMMAND_HAS_RUN").exists());
    }
}

#[test]
fn random_weights_cause_a_warning() {
    let studio = Studio::new();
    let done: Done = studio.succeed(&format!("stylize content.png --style style.png {QUICK} -o out.png"));
    assert!(done.stderr.contains("WARN") && done.stderr.contains("random weights"), "{}", done.stderr);
}
