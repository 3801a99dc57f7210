//! `impasto bench`

use std::path::PathBuf;

use impasto::bench::roofline::{self, Point};
use impasto::bench::{self, Measured, Roof, Workload};
use impasto::gpu::Context;
use impasto::io;
use impasto::{Error, Result};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::outputs::Overwrite;
use super::{PainterArgs, in_options_of, print_line, profile};

/// Arguments of `impasto bench`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto bench
  impasto bench --roof
  impasto bench --only gram --seconds 5
  impasto bench --only adain --size 256
  impasto bench --only conv --size 512 --batch 8
  impasto bench --precision f16
  impasto bench --precision f16-matrix --only conv
  impasto bench --only 'conv 64->64' --profile time.json
  impasto bench --plot roofline.png
  impasto bench --size 512 --device radeon --json

GFLOP/s counts the operations that the mathematics needs. GB/s counts the tensors that each dispatch reads and writes, \
once per dispatch. `% of FMA` and `% of copy` compare both with the adapter's limits (--roof): f32 multiply-adds, and \
a copy of a tensor larger than the caches. `done` is like `% of FMA`, but counts the operations that the kernels carry \
out: a Winograd convolution needs as little as a quarter.

Work that is far below both limits waits for something else or can be made faster. More than 100 % of the copy means \
that tensors came from a cache.

A net that paints in one pass is measured at --size, at twice and at four times that size. AdaIN is measured with a \
style whose statistics are known, and with a new style picture as large as the photo.

Other programs that use the machine make the figures worse. Repeat the run, and compare medians.")]
pub struct Args {
    /// Side of the square test picture in pixels, at least 16
    #[arg(long, value_name = "PX", default_value_t = 256)]
    size: usize,
    /// Pictures in a batch for measurements of single layers (convolutions, norms, pools)
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Measure only what has TEXT in its name, such as `gram` or `64->64`; several times for several texts
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Minimum time of each measurement in seconds. Longer measurements vary less
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Measure only the adapter's limits: multiply-adds (f32; f16 and cooperative matrices if it has them), copying,
    /// and the cost of a dispatch and of a submission
    #[arg(long, conflicts_with_all = ["size", "batch", "only", "seconds", "profile", "plot"])]
    roof: bool,
    /// Run each program once more, print time, GFLOP/s and GB/s of every dispatch, and write them to FILE as a trace
    /// for chrome://tracing or Perfetto
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Draw a roofline plot to FILE (PNG, JPEG, WebP or TIFF): operations per second over operations per byte
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Print JSON: a line for each figure as soon as it is measured, then a line with all of them
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: PainterArgs,
}

/// Width of the name column.
const NAME: usize = 50;

/// A measured workload, also as shares of the adapter's limits.
struct Row {
    name: String,
    measured: Measured,
    gflop: f64,
    gflop_per_second: f64,
    gigabyte_per_second: f64,
    share_of_fma: f64,
    /// As `share_of_fma`, but for the operations that the kernels carry out.
    share_performed: Option<f64>,
    share_of_copy: f64,
}

impl Row {
    fn new(name: &str, workload: &Workload, measured: Measured, roof: &Roof) -> Self {
        let [flops, bytes] = [workload.flops, workload.bytes].map(|amount| amount as f64 / measured.median);
        Row {
            name: name.into(),
            measured,
            gflop: workload.flops as f64 * 1e-9,
            gflop_per_second: flops * 1e-9,
            gigabyte_per_second: bytes * 1e-9,
            share_of_fma: flops / roof.fma_flops,
            share_performed: workload
                .program()
                .map(|program| program.performed() as f64 / measured.median / roof.fma_flops),
            share_of_copy: bytes / roof.copy_bytes,
        }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "median_seconds": self.measured.median, "best_seconds": self.measured.best,
            "gflop": self.gflop, "gflop_per_second": self.gflop_per_second, "share_of_fma": self.share_of_fma,
            "share_of_fma_performed": self.share_performed,
            "gigabyte_per_second": self.gigabyte_per_second, "share_of_copy": self.share_of_copy,
        })
    }

    fn point(&self) -> Point {
        let [flops, bytes] = [self.gflop_per_second, self.gigabyte_per_second].map(|rate| rate * 1e9);
        Point { name: self.name.clone(), intensity: flops / bytes, flops }
    }

    fn line(&self) -> String {
        let [median, best] = [self.measured.median, self.measured.best].map(|seconds| seconds * 1e3);
        let [fma, copy] = [self.share_of_fma, self.share_of_copy].map(|share| share * 100.0);
        let performed = self.share_performed.map_or("-".into(), |share| format!("{:.1}", share * 100.0));
        let (name, gflops, gigabytes) = (&self.name, self.gflop_per_second, self.gigabyte_per_second);
        format!(
            "{name:<NAME$} {median:>10.2} {best:>10.2} {gflops:>10.1} {fma:>8.1} {performed:>6} \
             {gigabytes:>8.1} {copy:>9.1}"
        )
    }
}

fn headings() -> String {
    let [median, best, gflops] = ["median ms", "best ms", "GFLOP/s"];
    format!(
        "{:<NAME$} {median:>10} {best:>10} {gflops:>10} {:>8} {:>6} {:>8} {:>9}",
        "", "% of FMA", "done", "GB/s", "% of copy"
    )
}

/// The adapter's limits: name, value and unit of each.
fn figures(roof: &Roof) -> Vec<(&'static str, f64, &'static str)> {
    let half = roof.half_fma_flops.map(|flops| ("f16 FMA", flops * 1e-9, "GFLOP/s"));
    let mut all = vec![("f32 FMA", roof.fma_flops * 1e-9, "GFLOP/s")];
    all.extend(half);
    all.extend(roof.matrix_fma_flops.map(|flops| ("f16 matrices", flops * 1e-9, "GFLOP/s")));
    all.extend([
        ("copy", roof.copy_bytes * 1e-9, "GB/s"),
        ("a dispatch", roof.dispatch_seconds * 1e6, "µs"),
        ("a submission", roof.submission_seconds * 1e6, "µs"),
    ]);
    all
}

fn roof_json(roof: &Roof) -> Value {
    json!({
        "fma_gflop_per_second": roof.fma_flops * 1e-9,
        "half_fma_gflop_per_second": roof.half_fma_flops.map(|flops| flops * 1e-9),
        "matrix_fma_gflop_per_second": roof.matrix_fma_flops.map(|flops| flops * 1e-9),
        "copy_gigabyte_per_second": roof.copy_bytes * 1e-9,
        "dispatch_seconds": roof.dispatch_seconds, "submission_seconds": roof.submission_seconds,
    })
}

/// Refuses output files that cannot be written, before any work is done.
fn check_outputs(args: &Args) -> Result<()> {
    args.plot.as_deref().map_or(Ok(()), io::check_output)?;
    let outputs: Vec<_> = args.profile.iter().chain(&args.plot).map(PathBuf::as_path).collect();
    args.overwrite.check_all("--profile and --plot", &outputs)
}

pub fn run(args: &Args) -> Result<()> {
    for (option, least, value) in [("--size", 16, args.size), ("--batch", 1, args.batch)] {
        if value < least {
            return Err(Error::argument("bench", option, format!("at least {least}"), value));
        }
    }
    check_outputs(args)?;
    if args.roof {
        let context = args.device.open_whole()?;
        return print_roof(args, &context, &Roof::measure(&context)?);
    }
    let context = args.device.open()?;
    let mut plans = bench::all(context.precision(), args.size, args.batch);
    if let Some(text) = args.only.iter().find(|text| plans.iter().all(|plan| !plan.name.contains(*text))) {
        return Err(Error::argument("bench", "--only", "part of a name, such as `gram` or `64->64`", text));
    }
    plans.retain(|plan| args.only.is_empty() || args.only.iter().any(|text| plan.name.contains(text)));
    let roof = Roof::measure(&context)?;
    if !args.json {
        let figures: Vec<_> =
            figures(&roof).iter().map(|(name, value, unit)| format!("{name} {value:.1} {unit}")).collect();
        print_line(format_args!("{}, {}", context.name(), context.driver()))?;
        print_line(format_args!("roofs: {}", figures.join(", ")))?;
        print_line(headings())?;
    }
    let bar = ProgressBar::new(plans.len() as u64);
    let (mut rows, mut profiles, mut points) = (Vec::new(), Vec::new(), Vec::new());
    for plan in plans {
        let name = plan.name.clone();
        let measured = plan.make(&context).and_then(|mut workload| Ok((workload.measure(args.seconds)?, workload)));
        bar.inc(1);
        // A workload that is too large for the device is reported and skipped.
        let (json, line) = match measured {
            Err(error @ Error::TooLarge { .. }) => {
                let error = in_options_of::<Args>(error);
                (json!({ "name": name, "skipped": error.to_string() }), format!("{name:<NAME$} skipped: {error}"))
            }
            measured => {
                let (measured, workload) = measured?;
                let row = Row::new(&name, &workload, measured, &roof);
                if let (Some(_), Some(program)) = (&args.profile, workload.program()) {
                    profiles.push((row.name.clone(), program.profile()?));
                }
                points.push(row.point());
                (row.json(), row.line())
            }
        };
        bar.suspend(|| if args.json { print_line(&json) } else { print_line(line) })?;
        rows.push(json);
    }
    bar.finish_and_clear();
    if let Some(path) = &args.profile {
        profile::write(path, &profiles)?;
        if !args.json {
            profiles.iter().try_for_each(profile::print)?;
        }
    }
    if let Some(path) = &args.plot {
        roofline::draw(
            path,
            &format!("{}, {}, {}²", context.name(), context.precision_name(), args.size),
            &roof,
            &points,
        )?;
    }
    if args.json {
        let (device, driver) = (context.name(), context.driver());
        let roof = roof_json(&roof);
        let precision = context.precision_name();
        print_line(json!({
            "device": device, "driver": driver, "precision": precision, "size": args.size, "roof": roof,
            "workloads": rows,
        }))?;
    }
    Ok(())
}

fn print_roof(args: &Args, context: &Context, roof: &Roof) -> Result<()> {
    if args.json {
        let (device, driver) = (context.name(), context.driver());
        return print_line(json!({ "device": device, "driver": driver, "roof": roof_json(roof) }));
    }
    print_line(format_args!("{}, {}", context.name(), context.driver()))?;
    figures(roof).iter().try_for_each(|(name, value, unit)| print_line(format_args!("{name:<14} {value:>10.1} {unit}")))
}
