//! `impasto devices`

use impasto::gpu::{self, ContextOptions};
use impasto::{Result, gpu::Context};

use super::print_line;

/// What to print.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto devices
  impasto stylize photo.jpg --style painting.jpg --device 1 -o out.png
  IMPASTO_DEVICE=llvmpipe impasto bench

Numbers and names are what --device and $IMPASTO_DEVICE take; a part of a name is enough. f32, f16 and f16-matrix
are what --precision takes there.")]
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
        // Opening says what is missing and how to get it.
        Context::new(&ContextOptions::default())?;
    }
    for adapter in adapters {
        let gpu::Adapter { index, name, kind, backend, driver, precisions } = adapter;
        let precisions = precisions.join(", ");
        print_line(format_args!("{index}  {name}  ({kind}, {backend}, {driver}; {precisions})"))?;
    }
    Ok(())
}
