//! `impasto gpu-day`

mod record;
mod run;
mod stages;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use impasto::gpu::adapters;
use impasto::{Error, Result};

use super::outputs::Overwrite;
use super::{DeviceArgs, print_line};
use record::{Record, State};

/// Arguments of `impasto gpu-day`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto gpu-day
  impasto gpu-day --only convolutions --only roofs --minutes 3 -o gpu.json
  impasto gpu-day --peers benches/peers/target/release/impasto-peers --python venv/bin/python
  impasto gpu-day --dry-run -o dry.json
  impasto gpu-day --table gpu-day.json

For a GPU that is available for a short time. The stages are, in this order: doctor; limits; convolutions, layers and \
nets, also in f16 and on cooperative matrices where the adapter has them; tune; training steps; other engines.

Each stage is a process of its own, which is ended when its share of the time is over. What a stage leaves over is \
shared by those that follow. A stage that fails does not end the others. The file is written after every figure, so a \
run that is killed keeps what it has measured.

The exit status is 0 if no stage failed.")]
pub struct Args {
    /// File for the results (JSON)
    #[arg(short, long, value_name = "FILE", default_value = "gpu-day.json")]
    output: PathBuf,
    /// The most time in minutes
    #[arg(long, value_name = "N", default_value_t = 8.5)]
    minutes: f64,
    /// Run only the stages with TEXT in their names; several times for several texts
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Measure the smallest sizes, a few runs each, to see whether every stage works
    #[arg(long)]
    dry_run: bool,
    /// The program built from benches/peers, which measures other engines
    #[arg(long, value_name = "PROGRAM")]
    peers: Option<PathBuf>,
    /// The Python that has the other engines
    #[arg(long, value_name = "PROGRAM", default_value = "python3", requires = "peers")]
    python: PathBuf,
    /// Print the results in FILE as tables in Markdown, and measure nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "minutes", "only", "dry_run", "peers", "overwrite", "device", "checked"])]
    table: Option<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let began = Instant::now();
    if let Some(file) = &args.table {
        return print_line(table::markdown(&Record::load(file)?).trim_end());
    }
    let time = Duration::try_from_secs_f64(60.0 * args.minutes).ok().filter(|time| !time.is_zero());
    let time = time.ok_or_else(|| Error::argument("gpu-day", "--minutes", "above 0", args.minutes))?;
    args.overwrite.check(&args.output)?;
    let details = args.device.open()?.details();
    let same = |adapter: &impasto::gpu::Adapter| adapter.name == details.adapter && adapter.backend == details.backend;
    let precisions = adapters().into_iter().find(same).map(|adapter| adapter.precisions).unwrap_or_default();
    let stages = stages::all(args, &precisions);
    if let Some(text) = args.only.iter().find(|text| stages.iter().all(|stage| !stage.name.contains(*text))) {
        let expected =
            "part of a stage's name, such as doctor, roofs, convolutions, layers, nets, tune, training, engines";
        return Err(Error::argument("gpu-day", "--only", expected, text));
    }
    print_line(format_args!("{}, {}: {}", details.adapter, details.driver, args.output.display()))?;
    let mut record = Record::new(&args.output, &details, args.minutes, args.dry_run, &stages);
    record.save()?;
    for (index, stage) in stages.iter().enumerate() {
        let left = time.saturating_sub(began.elapsed());
        // What a stage does not use is shared by those after it.
        let open = |index: usize| stages[index].skip.is_none();
        let weights: f64 = (index..stages.len()).filter(|&index| open(index)).map(|index| stages[index].weight).sum();
        let limit = left.mul_f64(stage.weight / weights.max(stage.weight));
        run::run(&mut record, index, stage, limit)?;
        let done = &record.stages[index];
        let reason = done.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        print_line(format_args!("{:<40} {:<8} {:>6.1} s{reason}", done.name, done.state.to_string(), done.seconds))?;
    }
    let failed: Vec<_> = record.stages.iter().filter(|stage| stage.state == State::Failed).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = failed.iter().map(|stage| stage.name.as_str()).collect();
    let fault = format!("fails {} of {} stages: {}", failed.len(), record.stages.len(), names.join(", "));
    let help = format!("the reasons and all figures are in {}", args.output.display());
    Err(Error::Adapter { adapter: details.adapter, fault, help })
}
