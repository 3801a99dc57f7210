//! What is measured, in which order, and with which share of the time.

use std::path::PathBuf;

use super::Args;

/// A stage: a process and its share of the time.
pub struct Stage {
    /// The name, also that of its table.
    pub name: String,
    /// The precision of a measurement that is repeated in others; its column of the table.
    pub precision: Option<&'static str>,
    /// Share of the time, relative to those of the others.
    pub weight: f64,
    /// `None` for this command itself.
    pub program: Option<PathBuf>,
    pub arguments: Vec<String>,
    /// The option that takes a file for the results, for a program that does not print them.
    pub file_option: Option<&'static str>,
    /// Why the stage does not run.
    pub skip: Option<String>,
}

/// The kinds of work of the other engines, by their names there; each is a stage, so that each is kept.
const PEER_WORKS: [&str; 5] = ["vgg", "johnson", "adain", "vgg-gradient", "johnson-training"];

/// Sides of pictures, and the minimum time of a measurement in seconds.
struct Sizes {
    layers: usize,
    nets: [usize; 3],
    training: usize,
    seconds: f64,
    tuning: [f64; 2],
}

impl Sizes {
    const FULL: Sizes =
        Sizes { layers: 512, nets: [256, 512, 1024], training: 512, seconds: 0.2, tuning: [256.0, 0.5] };
    const DRY: Sizes = Sizes { layers: 16, nets: [16, 32, 64], training: 64, seconds: 0.0, tuning: [32.0, 0.0] };
}

/// A measurement of `bench`.
fn bench(name: String, weight: f64, precision: &'static str, size: usize, seconds: f64, only: &[String]) -> Stage {
    let mut arguments = ["bench", "--json", "--precision", precision].map(String::from).to_vec();
    arguments.extend(["--size".into(), size.to_string(), "--seconds".into(), seconds.to_string()]);
    arguments.extend(only.iter().flat_map(|text| ["--only".into(), text.clone()]));
    Stage { precision: Some(precision), ..stage(name, weight, arguments) }
}

fn stage(name: impl Into<String>, weight: f64, arguments: Vec<String>) -> Stage {
    let name = name.into();
    Stage { name, precision: None, weight, program: None, arguments, file_option: None, skip: None }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(String::from).collect()
}

/// The nets that `bench` measures for a picture of `size`², and no larger one.
fn nets(size: usize) -> Vec<String> {
    let mut names = vec![format!("VGG-19 to relu4_1 at {size}²"), format!("VGG-19 and its gradient at {size}²")];
    names.push(format!("Gatys iteration at {size}²"));
    // The feed-forward nets are measured at 64² or larger.
    let size = size.max(64);
    names.extend([format!("form at {size}²"), format!("adain at {size}²"), format!("new style at {size}²")]);
    names
}

/// All stages. Those of a precision that the adapter does not have are skipped, and so are those that the arguments
/// leave out.
pub fn all(args: &Args, precisions: &[&str]) -> Vec<Stage> {
    const PRECISIONS: [&str; 3] = impasto::gpu::PRECISIONS;
    let sizes = if args.dry_run { Sizes::DRY } else { Sizes::FULL };
    let mut all = Vec::new();
    for (precision, weight) in [(PRECISIONS[0], 60.0), (PRECISIONS[2], 60.0)] {
        let mut arguments = words("doctor --json --limit 30 --precision");
        arguments.push(precision.into());
        all.push(Stage { precision: Some(precision), ..stage(format!("doctor in {precision}"), weight, arguments) });
    }
    all.push(stage("roofs", 10.0, words("bench --roof --json")));
    for precision in PRECISIONS {
        let name = format!("convolutions at {}² in {precision}", sizes.layers);
        all.push(bench(name, 25.0, precision, sizes.layers, sizes.seconds, &["conv ".into()]));
    }
    let planes = ["norm ", "means", "pool ", "gram ", "L-BFGS"].map(String::from);
    let name = format!("layers at {}² in {}", sizes.layers, PRECISIONS[0]);
    all.push(bench(name, 20.0, PRECISIONS[0], sizes.layers, sizes.seconds, &planes));
    for (size, weight) in sizes.nets.into_iter().zip([30.0, 35.0, 45.0]) {
        for precision in PRECISIONS {
            let name = format!("nets at {size}² in {precision}");
            all.push(bench(name, weight, precision, size, sizes.seconds, &nets(size)));
        }
    }
    let [size, seconds] = sizes.tuning;
    all.push(stage("tune", 80.0, words(&format!("tune --json --size {size} --seconds {seconds}"))));
    let steps = ["encoder", "narrow net"].map(String::from);
    let name = format!("training steps at {}² in {}", sizes.training / 2, PRECISIONS[0]);
    all.push(bench(name, 30.0, PRECISIONS[0], sizes.training, sizes.seconds, &steps));
    for work in PEER_WORKS {
        let mut arguments = words(&format!("--only {work}"));
        arguments.extend(args.dry_run.then(|| "--quick".into()));
        arguments.extend(["--python".into(), args.python.display().to_string()]);
        let skip = args.peers.is_none().then(|| "no program of benches/peers was named (--peers)".into());
        let stage = stage(format!("other engines: {work}"), 25.0, arguments);
        all.push(Stage { program: args.peers.clone(), file_option: Some("--json"), skip, ..stage });
    }
    for stage in &mut all {
        if let Some(precision) = stage.precision.filter(|precision| !precisions.contains(precision)) {
            stage.skip = Some(format!("the adapter has no {precision}"));
        }
        if !args.only.is_empty() && args.only.iter().all(|text| !stage.name.contains(text.as_str())) {
            stage.skip = Some("left out (--only)".into());
        }
        if let Some(device) = &args.device.device {
            stage.arguments.extend(["--device".into(), device.clone()]);
        }
        if args.device.checked && stage.program.is_none() {
            stage.arguments.push("--checked".into());
        }
    }
    all
}
