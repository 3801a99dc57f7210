//! The command: arguments, progress, files. It knows no kernel.

mod bench;
mod compare;
mod devices;
mod eval;
pub mod interrupt;
mod log;
mod models;
mod profile;
mod progress;
mod styles;
mod stylize;
mod table;
mod train;
mod tune;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, Subcommand};
use impasto::gpu::{Context, ContextOptions, PRECISIONS};
use impasto::{Error, Result, UserCache};

/// Neural style transfer on any GPU.
#[derive(Parser)]
#[command(
    version,
    propagate_version = true,
    max_term_width = 110,
    after_help = "\
Examples:
  impasto stylize photo.jpg --style painting.jpg -o out.png
  impasto stylize photo.jpg --style a.jpg:0.7 --style b.jpg:0.3 --size 1024 -o out.png
  impasto stylize photos/ --model starry-night -o painted/
  impasto devices"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log more to stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    /// Repaint a photo in the style of one or more pictures
    Stylize(Box<stylize::Args>),
    /// Keep styles for `stylize --style`
    #[command(subcommand)]
    Style(styles::Command),
    /// List the trained nets that `stylize --model` takes
    Models(models::Args),
    /// Train a net
    #[command(subcommand)]
    Train(train::Command),
    /// Measure how good a trained net is
    #[command(subcommand)]
    Eval(eval::Command),
    /// Paint a photo by several methods and write a page that sets them side by side
    Compare(Box<compare::Args>),
    /// List the GPUs (and software adapters) that can be used
    Devices(devices::Args),
    /// Look into weight files, and store the one that `stylize` uses
    #[command(subcommand)]
    Weights(weights::Command),
    /// Measure this device: convolutions, Gram matrices, one iteration of each method
    Bench(bench::Args),
    /// Find the fastest way to run convolutions on this device, for later runs
    Tune(tune::Args),
}

/// Which device, for every command that needs one.
#[derive(clap::Args)]
struct DeviceArgs {
    /// Adapter by number or part of its name (see `impasto devices`); default: $IMPASTO_DEVICE, else the fastest kind
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Run kernels with bounds checks (slower; for reporting bugs)
    #[arg(long)]
    checked: bool,
}

impl DeviceArgs {
    fn open(&self) -> Result<Context> {
        Context::new(&self.options())
    }

    fn options(&self) -> ContextOptions {
        let cache = UserCache::new().map(|cache| Arc::new(cache) as _);
        ContextOptions { device: self.device.clone(), checked: Some(self.checked), cache, ..Default::default() }
    }
}

/// The same for commands that only use trained nets, as fast as this adapter was found to do it.
#[derive(clap::Args)]
struct PainterArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// How weights and activations are stored: f16 takes half the memory and is computed with as f32, as are gradients,
    /// statistics and losses; f16-matrix multiplies them on the adapter's cooperative matrices (an experiment)
    #[arg(long, value_name = "P", value_parser = PRECISIONS, default_value = "f32")]
    precision: String,
}

impl PainterArgs {
    fn open(&self) -> Result<Context> {
        Ok(impasto::tune::tuned(Context::new(&self.device.options().in_precision(&self.precision)?)?))
    }

    /// The adapter with all that it has.
    fn open_whole(&self) -> Result<Context> {
        let whole = Context::new(&self.device.options().in_precision("f16-matrix")?);
        if whole.is_ok() { whole } else { self.open() }
    }
}

/// Parses the command line and does what it says.
pub fn run() -> Result<()> {
    let cli = Cli::parse();
    let level = [tracing::Level::WARN, tracing::Level::INFO, tracing::Level::DEBUG][usize::from(cli.verbose.min(2))];
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    let log = log.with_ansi(colored(std::io::stderr())).with_target(false);
    match cli.verbose {
        0 | 1 => log.without_time().init(),
        // Where the start of a run spends its time.
        _ => log.with_timer(tracing_subscriber::fmt::time::uptime()).init(),
    }
    // These two keep what they have reached.
    if !matches!(cli.command, Command::Stylize(_) | Command::Train(_)) {
        interrupt::end_at_once();
    }
    match cli.command {
        Command::Stylize(args) => stylize::run(&args),
        Command::Style(command) => styles::run(&command),
        Command::Models(args) => models::run(&args),
        Command::Train(command) => train::run(command),
        Command::Eval(command) => eval::run(command),
        Command::Compare(args) => compare::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Weights(command) => weights::run(command),
        Command::Bench(args) => bench::run(&args),
        Command::Tune(args) => tune::run(&args),
    }
}

/// Whether escape codes make sense there: on a terminal whose user has not asked for none (no-color.org).
fn colored(stream: impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes a line of data to stdout; a reader that has left (`| head`) is no error.
fn print_line(line: impl std::fmt::Display) -> Result<()> {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::file("write", Path::new("standard output"), error))
        }
        _ => Ok(()),
    }
}

/// A file's name without its folder: where it lies is no matter of the results.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where the user's own weights are kept.
fn data_directory() -> Result<PathBuf> {
    let directories = directories::ProjectDirs::from("", "", "impasto");
    directories.map(|found| found.data_dir().to_path_buf()).ok_or_else(|| {
        let reason = "the home directory is not known; set HOME, or name the weights with --vgg FILE";
        Error::file("find", Path::new("the user's data directory"), reason)
    })
}
