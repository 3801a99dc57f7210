//! `impasto train`

mod adain;
mod body;
mod encoder;
mod feed_forward;
mod style;
mod super_resolution;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use clap::Subcommand;
use impasto::gpu::Context;
use impasto::internal::atomic;
use impasto::io::{DType, HostTensor, WeightFile};
use impasto::ops::norm::Over;
use impasto::train::curve::{self, Series};
use impasto::train::{
    Checkpoint, Crops, End, Folder, Outcome, Progress, Run, Schedule, Trainer, TrainingSettings, check, train,
};
use impasto::{Error, Result};

use super::log::Log;
use super::outputs::Overwrite;
use super::progress::bar;
use super::{DeviceArgs, interrupt, print_line};

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  impasto train encoder --teacher vgg19.safetensors --photos photos/ -o encoder.safetensors
  impasto train encoder --teacher vgg19.safetensors --photos photos/ -o encoder.safetensors --resume
  impasto train ulyanov --style painting.jpg --photos photos/ --width 0.5 -o painting.safetensors
  impasto train body --styles paintings/ --photos photos/ -o body.safetensors
  impasto train style --style painting.jpg --photos photos/ --body body.safetensors -o new.style
  impasto train adain --photos photos/ --paintings paintings/ -o adain.safetensors
  impasto train super-resolution --loss pixel --photos photos/ -o x4.safetensors

The folder FILE.training, beside the output FILE, holds checkpoints, log.jsonl, sample pictures and the loss curve. \
Ctrl-C leaves a checkpoint. The same command with --resume continues from it and gives the same bits as an \
uninterrupted run.")]
pub enum Command {
    /// Distil a narrower encoder from VGG-19
    Encoder(Box<encoder::Args>),
    /// Train a net for one style, with batch norm (arXiv:1603.08155)
    Johnson(Box<feed_forward::Args>),
    /// Train a net for one style, with instance norm: better results in fewer steps (arXiv:1607.08022)
    Ulyanov(Box<feed_forward::Args>),
    /// Train a net for many styles, which can be mixed: a body (arXiv:1610.07629)
    Body(Box<body::Args>),
    /// Train a further style for a body, a file of a few KB, in minutes; with --refine a separate net
    Style(Box<style::Args>),
    /// Train an AdaIN decoder, which paints in any style (arXiv:1703.06868)
    Adain(Box<adain::Args>),
    /// Train a net that enlarges photos by 4 or 8 (arXiv:1603.08155, section 4.2)
    SuperResolution(Box<super_resolution::Args>),
}

pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Encoder(args) => encoder::run(&args),
        Command::Johnson(args) => feed_forward::run(&args, Over::Batch),
        Command::Ulyanov(args) => feed_forward::run(&args, Over::Instance),
        Command::Body(args) => body::run(&args),
        Command::Style(args) => style::run(&args),
        Command::Adain(args) => adain::run(&args),
        Command::SuperResolution(args) => super_resolution::run(&args),
    }
}

/// The options of every trainer.
#[derive(clap::Args)]
#[command(next_help_heading = "Training")]
pub struct LoopArgs {
    /// Output file: .safetensors for a net (stored as f16), .style for a style of a body
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Steps of training in all; also the length of the schedule [default: encoder 2000, johnson, ulyanov and
    /// super-resolution 4000, body and adain 10000, style 200, style --refine 500]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Stop after N minutes (fractions are allowed), and write a checkpoint and the net as trained so far
    #[arg(long, value_name = "N")]
    minutes: Option<f64>,
    /// Continue from the newest checkpoint. With the same options the result has the same bits as that of an
    /// uninterrupted run
    #[arg(long)]
    resume: bool,
    /// Pictures per step, at least 1 [default: super-resolution 16, encoder and adain 8, others 4]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Pictures that the device processes at a time, a divisor of --batch; the gradients are summed [default: as many
    /// as --memory allows]
    #[arg(long, value_name = "N")]
    micro_batch: Option<usize>,
    /// Device memory in MiB for which the default of --micro-batch is chosen
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: u64,
    /// Step size of Adam, above 0 [default: encoder and body 0.002, johnson, ulyanov and super-resolution --loss
    /// pixel 0.001, --loss perceptual 0.0002, adain 0.0001, style 0.04, style --refine 0.0005]
    #[arg(long, value_name = "A")]
    learning_rate: Option<f64>,
    /// Change of the step size: constant, step:EVERY:FACTOR (multiplied every EVERY steps), inverse-time:DECAY (divided
    /// by 1 + DECAY x step) or cosine:WARMUP (rises, then falls to 0) [default: encoder and super-resolution cosine:50,
    /// adain cosine:100, others cosine:20]
    #[arg(long, value_name = "SCHEDULE")]
    schedule: Option<Schedule>,
    /// Decoupled weight decay (AdamW), 0 or more
    #[arg(long, value_name = "W", default_value_t = 0.0)]
    weight_decay: f32,
    /// Largest global norm of the gradients, above 0; larger gradients are scaled down to it [default: encoder and
    /// super-resolution none, adain 500, others 10]
    #[arg(long, value_name = "NORM")]
    clip: Option<f32>,
    /// Write the exponential moving average of the weights with this decay (0 to below 1, such as 0.99) instead of the
    /// last step's weights
    #[arg(long, value_name = "DECAY")]
    average: Option<f32>,
    /// Side of the square training pictures (crops) in pixels [default: super-resolution 96, encoder 112, body and style
    /// 128, others 256]
    #[arg(long, value_name = "PX")]
    crop: Option<usize>,
    /// Share of a picture's short side that a crop covers, chosen at random from MIN to MAX, above 0 and at most 1;
    /// without :MAX up to 1 [default: 0.5:1, for super-resolution as many pixels as --crop says, not resized]
    #[arg(long, value_name = "MIN[:MAX]", value_parser = share)]
    crop_share: Option<[f32; 2]>,
    /// Leave out the pictures whose number (the last digits in the file name) is divisible by N, for `impasto eval`
    /// with the same option
    #[arg(long, value_name = "N")]
    hold_out: Option<u64>,
    /// Seed of random initial weights, and of the order and the crops of the pictures
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads that decode pictures, at least 1. Use more if much of the time is spent waiting for pictures
    #[arg(long, value_name = "N", default_value_t = 2)]
    workers: usize,
    /// Steps between checkpoints
    #[arg(long, value_name = "N", default_value_t = 100)]
    checkpoint_every: u64,
    /// Steps between sample pictures; 0 writes none
    #[arg(long, value_name = "N", default_value_t = 100)]
    sample_every: u64,
    /// Folder for checkpoints, log and sample pictures [default: FILE.training]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Entry to add to the metadata of the output file; may be repeated
    #[arg(long, value_name = "KEY=TEXT")]
    note: Vec<String>,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Parses `MIN[:MAX]`. The default of MAX is 1.
fn share(text: &str) -> std::result::Result<[f32; 2], String> {
    let (least, greatest) = text.split_once(':').unwrap_or((text, "1"));
    let number = |text: &str| {
        text.parse().map_err(|_| format!("`{text}` is not a number; expected MIN or MIN:MAX, such as 0.4:0.6"))
    };
    Ok([number(least)?, number(greatest)?])
}

/// The ending of the files of nets.
const NET: &str = "safetensors";

/// The defaults of a trainer.
struct Defaults {
    steps: u64,
    batch: usize,
    learning_rate: f64,
    schedule: Schedule,
    clip: Option<f32>,
    crops: Crops,
}

impl LoopArgs {
    fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| {
            let mut name = self.output.file_name().unwrap_or_default().to_os_string();
            name.push(".training");
            self.output.with_file_name(name)
        })
    }

    fn settings(&self, defaults: &Defaults) -> TrainingSettings {
        TrainingSettings {
            batch: self.batch.unwrap_or(defaults.batch),
            micro_batch: self.micro_batch,
            learning_rate: self.learning_rate.unwrap_or(defaults.learning_rate),
            schedule: self.schedule.unwrap_or(defaults.schedule),
            weight_decay: self.weight_decay,
            clip: self.clip.or(defaults.clip),
            average: self.average,
            seed: self.seed,
        }
    }

    fn crops(&self, defaults: &Defaults) -> Crops {
        Crops {
            size: self.crop.unwrap_or(defaults.crops.size),
            share: self.crop_share.or(defaults.crops.share),
            flip: defaults.crops.flip,
        }
    }

    fn pictures(&self, roots: &[PathBuf]) -> Result<Folder> {
        let found = Folder::scan(roots)?;
        match self.hold_out {
            Some(n) => found.hold_out(n, false),
            None => Ok(found),
        }
    }

    fn notes(&self) -> Result<BTreeMap<String, String>> {
        let pair = |text: &String| match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
            _ => Err(Error::argument("train", "--note", "KEY=TEXT", text)),
        };
        self.note.iter().map(pair).collect()
    }

    fn run(&self, defaults: &Defaults) -> Run {
        Run {
            steps: self.steps.unwrap_or(defaults.steps),
            limit: self.minutes.map(|minutes| Duration::try_from_secs_f64(60.0 * minutes).unwrap_or(Duration::MAX)),
            folder: self.folder(),
            resume: self.resume,
            checkpoint_every: self.checkpoint_every,
            workers: self.workers,
            memory_bytes: self.memory.saturating_mul(1 << 20),
        }
    }

    /// The checkpoint from which `--resume` continues; `None` without `--resume`.
    fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let found = if self.resume { Checkpoint::latest(&self.folder())? } else { None };
        Ok(found.map(|(_, checkpoint)| checkpoint))
    }

    /// Refuses bad options and an output file that cannot be written, before any work is done. The output file must end
    /// in `ending`.
    fn check(&self, defaults: &Defaults, ending: &str) -> Result<()> {
        if self.output.extension().is_none_or(|found| found != ending) {
            let expected = format!("a name that ends in .{ending}");
            return Err(Error::argument("train", "--output", expected, self.output.display()));
        }
        if let Some(minutes) = self.minutes.filter(|minutes| !(*minutes > 0.0 && minutes.is_finite())) {
            return Err(Error::argument("train", "--minutes", "above 0", minutes));
        }
        self.notes()?;
        check(&self.settings(defaults), &self.run(defaults))?;
        // A resumed training replaces the net that its earlier part has left.
        if self.resume { atomic::check_writable(&self.output) } else { self.overwrite.check(&self.output) }
    }
}

/// The command line with file names instead of paths, so that the metadata shows no folders of this machine.
fn command_line() -> String {
    let arguments: Vec<String> = std::env::args_os().map(|text| text.to_string_lossy().into_owned()).collect();
    // The text of a note is not a path.
    let short = |pair: &[String]| match Path::new(&pair[1]).file_name() {
        Some(name) if pair[0] != "--note" => name.to_string_lossy().into_owned(),
        _ => pair[1].clone(),
    };
    std::iter::once("impasto".to_string()).chain(arguments.windows(2).map(short)).collect::<Vec<_>>().join(" ")
}

/// Trains a trainer with a progress bar, a log, sample pictures and a loss curve, then writes the tensors and metadata
/// that `result` returns.
fn teach(
    args: &LoopArgs,
    context: &Context,
    trainer: &dyn Trainer,
    defaults: &Defaults,
    result: impl Fn() -> Result<(Vec<(String, HostTensor)>, BTreeMap<String, String>)>,
) -> Result<()> {
    let run = args.run(defaults);
    let (folder, steps) = (&run.folder, run.steps);
    let samples = folder.join("samples");
    std::fs::create_dir_all(&samples).map_err(|error| Error::file("create", &samples, error))?;
    let interrupted = interrupt::flag();
    let bar = bar(steps);
    let log_path = folder.join("log.jsonl");
    let mut log: Option<Log> = None;
    let (mut smooth, mut has_begun) = (None, false);
    let outcome = train(context, trainer, &args.settings(defaults), &run, |progress| {
        has_begun = true;
        let [step, _] = progress.steps;
        let log = match &mut log {
            Some(log) => log,
            // Drops the lines of steps after the checkpoint, which are done again.
            None => log.insert(Log::keeping(&log_path, |line| line["step"].as_u64().is_some_and(|at| at < step))?),
        };
        log.write(&line(progress))?;
        let average = smooth.get_or_insert(progress.loss);
        *average += (progress.loss - *average) / 20.0_f64.min(step as f64);
        bar.set_position(step);
        bar.set_message(format!("loss {average:.4}  {:.2} pictures/s", progress.pictures_a_second));
        if args.sample_every > 0 && (step.is_multiple_of(args.sample_every) || step == 1) {
            progress.sample()?.save(&samples.join(format!("step-{step:08}.png")))?;
        }
        Ok(if interrupted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    bar.finish_and_clear();
    // If no step was done, the run may not even have the folder for itself.
    if outcome.is_err() && has_begun {
        match Checkpoint::latest(folder) {
            Ok(Some((step, _))) => {
                tracing::warn!("the training stopped; the same command with --resume continues from step {step}");
            }
            _ => tracing::warn!("the training stopped before its first checkpoint (--checkpoint-every)"),
        }
    }
    let outcome = outcome?;
    draw_curve(&log_path, &folder.join("loss.png"))?;
    if outcome.end == End::Interrupted {
        let checkpoint = outcome.checkpoint.display();
        let what = format!("; the same command with --resume continues from {checkpoint}");
        return Err(Error::Interrupted(what));
    }
    let (tensors, mut metadata) = result()?;
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    metadata.extend([
        ("command".into(), command_line()),
        ("date".into(), date.split('T').next().unwrap_or_default().into()),
        ("device".into(), context.name().to_string()),
        ("minutes".into(), format!("{:.1}", outcome.seconds / 60.0)),
        ("steps".into(), outcome.step.to_string()),
    ]);
    if outcome.loss.is_finite() {
        metadata.insert("final_loss".into(), format!("{:.4}", outcome.loss));
    }
    metadata.extend(args.notes()?);
    WeightFile::save(&args.output, DType::F16, &tensors, &metadata)?;
    report(args, context, &outcome, steps)
}

fn line(progress: &Progress) -> serde_json::Value {
    let terms: serde_json::Map<_, _> =
        progress.terms.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
    serde_json::json!({
        "step": progress.steps[0], "loss": progress.loss, "terms": terms, "learning_rate": progress.learning_rate,
        "gradient_norm": progress.gradient_norm, "seconds": progress.seconds,
        "pictures_a_second": progress.pictures_a_second, "loader_share": progress.loader_share,
    })
}

/// Draws the losses of a log over the steps.
fn draw_curve(log: &Path, picture: &Path) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(log) else { return Ok(()) };
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let points = lines.filter_map(|line| Some((line["step"].as_f64()?, line["loss"].as_f64()?))).collect();
    curve::draw(picture, "Training", ["step", "loss"], &[Series { name: "loss".into(), points }], false)
}

fn report(args: &LoopArgs, context: &Context, outcome: &Outcome, steps: u64) -> Result<()> {
    if args.json {
        return print_line(serde_json::json!({
            "output": args.output.display().to_string(), "step": outcome.step, "steps": steps, "loss": outcome.loss,
            "seconds": outcome.seconds, "loader_share": outcome.loader_share, "micro_batch": outcome.micro_batch,
            "peak_bytes": outcome.peak_bytes, "allocated_bytes": outcome.allocated_bytes,
            "broken_pictures": outcome.broken, "checkpoint": outcome.checkpoint.display().to_string(),
            "device": context.name(), "driver": context.driver(),
        }));
    }
    print_line(format_args!(
        "{}: step {} of {steps}, loss {:.4}, {:.1} min, {:.1}% of this run's time waiting for pictures",
        args.output.display(),
        outcome.step,
        outcome.loss,
        outcome.seconds / 60.0,
        100.0 * outcome.loader_share
    ))
}
