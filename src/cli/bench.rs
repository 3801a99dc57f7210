//! `impasto bench`

use impasto::Result;

use super::DeviceArgs;

/// What to measure.
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let _ = (args.json, args.device.open()?);
    Ok(())
}
