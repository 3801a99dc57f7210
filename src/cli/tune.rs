//! `impasto tune`

use impasto::gpu::Tuning;
use impasto::tune::{self, GAIN};
use impasto::{Error, Result};
use indicatif::ProgressBar;
use serde_json::json;

use super::{DeviceArgs, print_line};

/// Arguments of `impasto tune`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto tune
  impasto tune --device radeon --seconds 10
  impasto tune --reset

Measures VGG-19 with its gradient, a feed-forward net and a decoder, all with random weights. It begins with the \
built-in settings and then changes one at a time: the number of channels from which convolutions use Winograd tiles, \
the memory for bands and slices of these tiles, and the number of workgroups from which kernels use larger tiles.

A change is kept if the results are the same up to rounding and two measurements in a row take at least 5 % less time. \
The column `difference` shows the deviation of the results in percent of the tolerance.

The result is stored for this adapter, driver and version of the kernels. From then on stylize, compare and bench use \
it. Nothing else should use the machine during the measurement.")]
pub struct Args {
    /// Side of the square test picture in pixels, a multiple of 8 from 32 up. Choose a size near that of your pictures
    #[arg(long, value_name = "PX", default_value_t = 256)]
    size: usize,
    /// Minimum time of each measurement in seconds. Longer measurements vary less
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// Remove the stored settings, so that the built-in ones are used again
    #[arg(long, conflicts_with_all = ["size", "seconds"])]
    reset: bool,
    /// Print JSON: a line for each candidate as soon as it is measured, then a line with all of them
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &Args) -> Result<()> {
    if args.size < 32 || !args.size.is_multiple_of(8) {
        return Err(Error::argument("tune", "--size", "a multiple of 8 from 32 up", args.size));
    }
    if !(args.seconds >= 0.0 && args.seconds.is_finite()) {
        return Err(Error::argument("tune", "--seconds", "0 or more", args.seconds));
    }
    let context = args.device.open()?;
    let rules = Tuning::rules(context.class());
    if args.reset {
        let file = tune::keep(&context, None)?;
        return match args.json {
            true => print_line(json!({ "device": context.name(), "tuning": rules, "file": null })),
            false => print_line(format_args!("the built-in settings are used again: {} is removed", file.display())),
        };
    }
    let candidates = Tuning::choices(context.class()).len() as u64;
    if !args.json {
        print_line(format_args!("{}, {}", context.name(), context.driver()))?;
        print_line(format_args!("{:<44} {:>9} {:>11}", "", "time", "difference"))?;
    }
    let bar = ProgressBar::new(candidates).with_message("candidates");
    let mut trials = Vec::new();
    let tuning = tune::search(&context, args.size, args.seconds, |trial| {
        bar.inc(1);
        let verdict = match (trial.time, trial.kept) {
            (None, _) => format!("{:>9} {:>10.1}%  wrong", "-", 100.0 * trial.error),
            (Some(time), false) => format!("{:>8.1}% {:>10.1}%", 100.0 * time, 100.0 * trial.error),
            (Some(time), true) => format!("{:>8.1}% {:>10.1}%  kept", 100.0 * time, 100.0 * trial.error),
        };
        // An error of the output is reported with the last line.
        let _ = bar.suspend(|| match args.json {
            true => print_line(json!(trial)),
            false => print_line(format_args!("{:<44} {verdict}", trial.name)),
        });
        trials.push(trial.clone());
    })?;
    bar.finish_and_clear();
    let file = tune::keep(&context, (tuning != rules).then_some(tuning))?;
    if args.json {
        let file = (tuning != rules).then_some(file);
        let (device, driver) = (context.name(), context.driver());
        return print_line(
            json!({ "device": device, "driver": driver, "tuning": tuning, "trials": trials, "file": file }),
        );
    }
    match tuning == rules {
        true => print_line(format_args!("no change saves {:.0} % of the time: the built-in ones stay", 100.0 * GAIN)),
        false => print_line(format_args!("stored in {}; `impasto tune --reset` removes it", file.display())),
    }
}
