//! `impasto doctor`

use std::time::Duration;

use impasto::doctor::{self, Check, Report};
use impasto::gpu::{self, Context, Details, Variant};
use impasto::{Error, Result};
use indicatif::ProgressBar;
use serde_json::json;

use super::table::{Table, print_table};
use super::{PainterArgs, devices, print_line};

/// Arguments of `impasto doctor`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto doctor
  impasto doctor --device radeon --precision f16
  impasto doctor --json > report.json
  impasto doctor --forget

Use it when a picture is black, noisy or otherwise wrong, when the driver resets, and on a driver that nobody has tried.

The first part computes every operation of the nets, of their gradients and of the optimisers on small tensors, with \
all kernels that the adapter can use, and compares the results with f64 results of the processor. `of limit` is the \
largest error relative to the largest permitted one. The second part paints a small picture with each method and \
compares it with a stored answer. A test that fails, loses the device or exceeds --limit is reported; the tests go on.

If kernels fail that others can replace (Winograd tiles, large tiles, cooperative matrices, broadcast kernels), and the \
others give right results, all later commands use the others on this adapter, until its driver or the version of \
Impasto changes. A run without failures, or --forget, ends that.

The exit status is 0 if everything is right. Add the output of --json to a bug report.")]
pub struct Args {
    /// Maximum time of each test in seconds. A first run compiles the kernels, which counts
    #[arg(long, value_name = "S", default_value_t = 120.0)]
    limit: f64,
    /// Remove what earlier runs found about the adapter, so that all kernels are used again
    #[arg(long, conflicts_with = "limit")]
    forget: bool,
    /// Print JSON: a line for each test as soon as it is done, then a line with adapter, driver, features, limits,
    /// versions and every test with its kernels
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: PainterArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let limit = Duration::try_from_secs_f64(args.limit).ok().filter(|limit| !limit.is_zero());
    let limit = limit.ok_or_else(|| Error::argument("doctor", "--limit", "above 0", args.limit))?;
    let options = args.device.options()?;
    if args.forget {
        let file = doctor::forget(&Context::new(&options)?)?;
        return match args.json {
            true => print_line(json!({ "file": file, "avoid": [] })),
            false => print_line(format_args!("all kernels are used again: {} is removed", file.display())),
        };
    }
    if !args.json {
        devices::print(&gpu::adapters())?;
    }
    let bar = ProgressBar::new(0).with_message("tests");
    let mut printed = 0;
    let report = doctor::examine(&options, limit, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done.len() as u64);
        if args.json {
            done[printed..].iter().try_for_each(|check| bar.suspend(|| print_line(json!(check))))?;
            printed = done.len();
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    // What was measured is printed even if it cannot be kept.
    let kept = doctor::keep(&report);
    let (file, avoid) = kept.as_ref().map_or((None, &[][..]), |(file, avoid)| (Some(file), avoid.as_slice()));
    match args.json {
        true => {
            let file = file.filter(|_| !avoid.is_empty());
            print_line(json!({ "report": report, "adapters": gpu::adapters(), "avoid": avoid, "file": file }))?;
        }
        false => print(&report, avoid)?,
    }
    match kept {
        Ok(_) => verdict(&report),
        // Later runs would not avoid what is wrong.
        Err(error) if !report.avoid.is_empty() => Err(error),
        Err(error) => {
            tracing::warn!("{error}");
            verdict(&report)
        }
    }
}

/// The tables of a report.
fn print(report: &Report, avoid: &[Variant]) -> Result<()> {
    let Details { adapter, backend, driver, class, precision, features, limits, .. } = &report.details;
    print_line(format_args!("\n{adapter}, {backend}, {driver}: {class} kernels, {precision}"))?;
    print_line(format_args!("features: {}", features.join(", ").to_lowercase()))?;
    for (name, value) in limits {
        print_line(format_args!("{name}: {value}"))?;
    }
    print_line("")?;
    print_table(&table(report))?;
    for check in report.faults() {
        print_line(format_args!("\n{}, {}: {}", check.group, check.name, check.fault.as_deref().unwrap_or_default()))?;
        for kernel in &check.kernels {
            print_line(format_args!("  suspected: {kernel}"))?;
        }
    }
    if !avoid.is_empty() {
        print_line(format_args!("\nlater runs avoid {}", list(avoid)))?;
    }
    let (all, wrong) = (report.checks.len(), report.faults().count());
    print_line(format_args!("\n{} of {all} tests right, in {:.1} s", all - wrong, report.seconds))
}

/// A line for each group of tests, and one for each picture.
fn table(report: &Report) -> Table {
    let heading = ["", "tests", "worst error", "of limit", "GFLOP/s", "wrong"];
    let mut table = vec![heading.map(String::from).to_vec()];
    let mut left = report.checks.as_slice();
    while let Some(first) = left.first() {
        let is_picture = first.group == doctor::PICTURES;
        let length = if is_picture { 1 } else { left.iter().take_while(|check| check.group == first.group).count() };
        let (group, others) = left.split_at(length);
        left = others;
        let of = |value: &dyn Fn(&Check) -> Option<f64>| group.iter().filter_map(value).reduce(f64::max);
        let shown = |value: Option<f64>, digits: &dyn Fn(f64) -> String| value.map_or("-".into(), digits);
        let wrong = group.iter().filter(|check| check.fault.is_some()).count();
        table.push(vec![
            if is_picture { first.name.clone() } else { first.group.into() },
            group.len().to_string(),
            shown(of(&|check| check.error), &|error| format!("{error:.1e}")),
            shown(of(&|check| Some(check.error? / check.tolerance?)), &|share| format!("{:.0}%", 100.0 * share)),
            shown(of(&|check| check.gflop_per_second), &|rate| format!("{rate:.1}")),
            if wrong == 0 { "none".into() } else { wrong.to_string() },
        ]);
    }
    table
}

fn list(variants: &[Variant]) -> String {
    variants.iter().map(Variant::to_string).collect::<Vec<_>>().join(", ")
}

/// The error of an adapter with wrong results.
fn verdict(report: &Report) -> Result<()> {
    let wrong = report.faults().count();
    if wrong == 0 {
        return Ok(());
    }
    let help = match report.without_remedy {
        0 if report.avoid.is_empty() => "later runs use other cooperative matrices, and pictures are right".into(),
        0 => format!("later runs avoid {}, and pictures are right", list(&report.avoid)),
        _ => "no other kernels help: use another adapter (--device) or update its driver, and report this with the \
              output of --json"
            .into(),
    };
    let fault = format!("fails {wrong} of {} tests", report.checks.len());
    Err(Error::Adapter { adapter: report.details.adapter.clone(), fault, help })
}
