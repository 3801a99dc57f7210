//! `impasto devices`

use impasto::gpu::{self, ContextOptions};
use impasto::{Result, gpu::Context};

use super::print_line;

/// Arguments of `impasto devices`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto devices
  impasto stylize photo.jpg --style painting.jpg --device 1 -o out.png
  IMPASTO_DEVICE=llvmpipe impasto bench

--device and $IMPASTO_DEVICE accept the number of an adapter or part of its name, in upper or lower case. Each line \
ends with the values that --precision accepts on that adapter.")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let adapters = gpu::adapters();
    if args.json {
        return print_line(serde_json::json!(adapters));
    }
    if adapters.is_empty() {
        // The error of opening a context says how to install a driver.
        Context::new(&ContextOptions::default())?;
    }
    print(&adapters)
}

/// A line for each adapter.
pub fn print(adapters: &[gpu::Adapter]) -> Result<()> {
    for adapter in adapters {
        let gpu::Adapter { index, name, kind, backend, driver, precisions } = adapter;
        let precisions = precisions.join(", ");
        print_line(format_args!("{index}  {name}  ({kind}, {backend}, {driver}; {precisions})"))?;
    }
    Ok(())
}
