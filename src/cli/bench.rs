//! `impasto bench`

use impasto::bench::{self, Workload};
use impasto::{Error, Result};
use indicatif::ProgressBar;

use super::{DeviceArgs, print_line};

/// What to measure.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto bench
  impasto bench --only gram --seconds 5
  impasto bench --only adain --size 256
  impasto bench --size 512 --device radeon --json

GFLOP/s count the operations that the mathematics needs; GB/s the tensors that each dispatch touches, once a dispatch.
A net that paints in one pass is measured at --size, twice and four times that; AdaIN with the style's statistics at hand, and
with a new style, whose picture is as large as the photo.
Other programs that use the machine make figures worse: repeat, and compare medians.")]
pub struct Args {
    /// Side of the picture in pixels
    #[arg(long, value_name = "N", default_value_t = 256)]
    size: usize,
    /// Only what has this in its name, such as `gram` or `64->64`
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Least seconds spent on each measurement
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &Args) -> Result<()> {
    if args.size < 16 {
        return Err(Error::argument("bench", "--size", "at least 16", args.size));
    }
    let context = args.device.open()?;
    let mut workloads = bench::all(&context, args.size)?;
    workloads.retain(|workload| args.only.as_ref().is_none_or(|text| workload.name.contains(text)));
    if !args.json {
        print_line(format_args!("{}, {}", context.name(), context.driver()))?;
        print_line(format_args!("{:<34} {:>10} {:>10} {:>10} {:>8}", "", "median ms", "best ms", "GFLOP/s", "GB/s"))?;
    }
    let bar = ProgressBar::new(workloads.len() as u64);
    let mut rows = Vec::new();
    for workload in &mut workloads {
        let measured = workload.measure(args.seconds);
        bar.inc(1);
        // What this device has no room for is said, and stops nothing else.
        if let Err(error @ Error::TooLarge { .. }) = measured {
            if args.json {
                rows.push(serde_json::json!({ "name": workload.name, "skipped": error.to_string() }));
            } else {
                bar.suspend(|| print_line(format_args!("{:<34} skipped: {error}", workload.name)))?;
            }
            continue;
        }
        let measured = measured?;
        let Workload { name, flops, bytes, .. } = workload;
        let per_second = |amount: u64| amount as f64 * 1e-9 / measured.median;
        let (gflops, gigabytes) = (per_second(*flops), per_second(*bytes));
        if args.json {
            rows.push(serde_json::json!({
                "name": name, "median_seconds": measured.median, "best_seconds": measured.best,
                "gflop": *flops as f64 * 1e-9, "gflop_per_second": gflops, "gigabyte_per_second": gigabytes,
            }));
        } else {
            let (median, best) = (measured.median * 1e3, measured.best * 1e3);
            bar.suspend(|| {
                print_line(format_args!("{name:<34} {median:>10.2} {best:>10.2} {gflops:>10.1} {gigabytes:>8.1}"))
            })?;
        }
    }
    bar.finish_and_clear();
    if args.json {
        let (device, driver) = (context.name(), context.driver());
        print_line(serde_json::json!({"device": device, "driver": driver, "size": args.size, "workloads": rows}))?;
    }
    Ok(())
}
