//! The `impasto` command: arguments, progress and files.

mod bench;
mod compare;
mod devices;
mod doctor;
mod enlarge;
mod eval;
mod gpu_day;
pub mod interrupt;
mod kernels;
mod log;
mod models;
mod outputs;
mod photos;
mod profile;
mod progress;
mod standard;
mod styles;
mod stylize;
mod table;
mod train;
mod tune;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
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
  impasto enlarge photo.jpg -o large.png
  impasto devices"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log more to stderr: -v for information, -vv for debug messages with the time since the start
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    /// Repaint photos in the style of pictures, or with a trained net
    Stylize(Box<stylize::Args>),
    /// Enlarge photos by 2, 4 or 8 with a trained net
    Enlarge(Box<enlarge::Args>),
    /// Save styles for `stylize --style`, and list them
    #[command(subcommand)]
    Style(styles::Command),
    /// List the trained nets that `stylize --model` accepts
    Models(models::Args),
    /// Train a net
    #[command(subcommand)]
    Train(train::Command),
    /// Measure the quality of a trained net
    #[command(subcommand)]
    Eval(eval::Command),
    /// Paint a photo with several methods, and write an HTML page that compares the results
    Compare(Box<compare::Args>),
    /// List the adapters (GPUs and software drivers) that `--device` accepts
    Devices(devices::Args),
    /// Test whether an adapter computes right results, and avoid kernels that do not
    Doctor(doctor::Args),
    /// Inspect weight files, or import a VGG-19 for later runs
    #[command(subcommand)]
    Weights(weights::Command),
    /// Measure the speed of an adapter: single operations, nets, one iteration or training step
    Bench(bench::Args),
    /// Measure everything on an adapter within a few minutes, for a GPU that is available for a short time
    GpuDay(gpu_day::Args),
    /// List the kernels that a net runs, and print them in WGSL and other languages
    Kernels(kernels::Args),
    /// Search for faster convolution settings on an adapter, and store them for later runs
    Tune(tune::Args),
}

/// The options of every command that needs a device.
#[derive(clap::Args)]
struct DeviceArgs {
    /// Adapter to run on: its number, or part of its name (see `impasto devices`) [default: $IMPASTO_DEVICE, else a
    /// discrete GPU, else an integrated GPU, else a software driver]
    #[arg(long, value_name = "ADAPTER")]
    device: Option<String>,
    /// Compile the kernels with bounds checks. This is slower; use it when you report a bug
    #[arg(long)]
    checked: bool,
}

impl DeviceArgs {
    fn open(&self) -> Result<Context> {
        open(self.options())
    }

    fn options(&self) -> ContextOptions {
        let cache = UserCache::new().map(|cache| Arc::new(cache) as _);
        ContextOptions { device: self.device.clone(), checked: Some(self.checked), cache, ..Default::default() }
    }
}

/// Opens a device without the kernels that `doctor` has found to fail on it.
fn open(options: ContextOptions) -> Result<Context> {
    let context = Context::new(&options)?;
    let avoid = impasto::doctor::avoided(&context);
    if !avoid.iter().any(|variant| context.uses(*variant)) {
        return Ok(context);
    }
    let names: Vec<_> = avoid.iter().map(|variant| variant.to_string()).collect();
    tracing::warn!("{} runs without {}, which `impasto doctor` found wrong", context.name(), names.join(", "));
    Context::new(&ContextOptions { avoid, ..options })
}

/// The options of commands that paint but do not train: they also choose a precision, and use what `tune` has stored.
#[derive(clap::Args)]
struct PainterArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Precision of weights and activations. f16 takes half the memory and still computes in f32; f16-matrix multiplies
    /// f16 values on cooperative matrices (experimental). `impasto devices` shows what an adapter supports
    #[arg(long, value_name = "PRECISION", value_parser = PRECISIONS, default_value = "f32")]
    precision: String,
}

impl PainterArgs {
    fn options(&self) -> Result<ContextOptions> {
        self.device.options().in_precision(&self.precision)
    }

    fn open(&self) -> Result<Context> {
        Ok(impasto::tune::tuned(open(self.options()?)?))
    }

    /// A context with cooperative matrices if the adapter supports them, whatever `--precision` says.
    fn open_whole(&self) -> Result<Context> {
        let whole = open(self.device.options().in_precision("f16-matrix")?);
        if whole.is_ok() { whole } else { self.open() }
    }
}

/// Parses the command line and runs the command.
pub fn run() -> Result<()> {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    start(cli).map_err(|error| in_options(error, &command_of(&matches)))
}

/// The command that was given.
fn command_of(mut matches: &ArgMatches) -> clap::Command {
    let mut command = Cli::command();
    while let Some((name, of_subcommand)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name).cloned() else { break };
        (command, matches) = (found, of_subcommand);
    }
    command
}

/// As [`in_options`], for an error that a command reports on its own; `A` is the type of the command's arguments.
fn in_options_of<A: clap::Args>(error: Error) -> Error {
    in_options(error, &A::augment_args(clap::Command::default()))
}

/// A library's error in the words of the command: arguments are its options, and advice names them.
fn in_options(error: Error, command: &clap::Command) -> Error {
    let has = |name: &str| command.get_arguments().any(|argument| argument.get_long() == Some(name));
    match error {
        Error::Argument { op, argument, expected, got } => {
            let words = argument.split(' ').map(|word| if has(word) { format!("--{word}") } else { word.into() });
            Error::Argument { op, argument: words.collect::<Vec<_>>().join(" "), expected, got }
        }
        Error::TooLarge { largest, ref allowed, .. } if has("size") => {
            let size = match largest {
                Some(largest) => format!("choose a --size of at most {largest}"),
                None => "choose a smaller --size".into(),
            };
            let is_memory = allowed.ends_with("of memory") && has("memory");
            error.with_help(if is_memory { format!("allow more --memory, or {size}") } else { size })
        }
        error => error,
    }
}

fn start(cli: Cli) -> Result<()> {
    let level = [tracing::Level::WARN, tracing::Level::INFO, tracing::Level::DEBUG][usize::from(cli.verbose.min(2))];
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    let log = log.with_ansi(colored(std::io::stderr())).with_target(false);
    match cli.verbose {
        0 | 1 => log.without_time().init(),
        // The time since the start shows how long each part of a start takes.
        _ => log.with_timer(tracing_subscriber::fmt::time::uptime()).init(),
    }
    // A test hook: `FILE|TEXT|REPLACEMENT` changes a kernel in memory.
    if let Ok(alteration) = std::env::var("IMPASTO_ALTER_KERNEL") {
        let parts: Vec<_> = alteration.splitn(3, '|').collect();
        let &[file, text, replacement] = parts.as_slice() else {
            return Err(Error::argument("impasto", "$IMPASTO_ALTER_KERNEL", "FILE|TEXT|REPLACEMENT", alteration));
        };
        impasto::internal::alter_kernel(file, text, replacement)?;
    }
    // These commands save partial results and handle Ctrl-C themselves.
    if !matches!(cli.command, Command::Stylize(_) | Command::Enlarge(_) | Command::Train(_)) {
        interrupt::end_at_once();
    }
    match cli.command {
        Command::Stylize(args) => stylize::run(&args),
        Command::Enlarge(args) => enlarge::run(&args),
        Command::Style(command) => styles::run(&command),
        Command::Models(args) => models::run(&args),
        Command::Train(command) => train::run(command),
        Command::Eval(command) => eval::run(command),
        Command::Compare(args) => compare::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Kernels(args) => kernels::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Weights(command) => weights::run(command),
        Command::Bench(args) => bench::run(&args),
        Command::GpuDay(args) => gpu_day::run(&args),
        Command::Tune(args) => tune::run(&args),
    }
}

/// Whether to write escape codes to `stream`: only to a terminal, and not if NO_COLOR is set (no-color.org).
fn colored(stream: impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes a line of data to stdout. A closed pipe (`| head`) is not an error.
fn print_line(line: impl std::fmt::Display) -> Result<()> {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::file("write", Path::new("standard output"), error))
        }
        _ => Ok(()),
    }
}

/// The name of a file without its folder: results must not depend on where files are.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The user's data directory, which holds imported weights, nets and styles.
fn data_directory() -> Result<PathBuf> {
    impasto::internal::data_folder().ok_or_else(|| {
        let folder = Path::new("the user's data directory");
        let help = "set HOME, or name the weights with --vgg FILE";
        Error::file("find", folder, "the home directory is unknown").with_help(help)
    })
}
