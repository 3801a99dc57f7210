//! `impasto enlarge`

use std::path::Path;

use impasto::gpu::Context;
use impasto::io::{Interpolation, WeightFile};
use impasto::methods::super_resolution;
use impasto::nets::SuperResolutionNet;
use impasto::nets::super_resolution_net::{Enlarger, FACTORS, SuperResolutionWeights};
use impasto::weights::{self, ENLARGERS};
use impasto::{Error, Result};

use super::photos::many::{self, Work};
use super::photos::{PhotoArgs, jobs};
use super::weights::inspected;
use super::{PainterArgs, in_options_of, models};

/// Arguments of `impasto enlarge`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto enlarge photo.jpg -o large.png
  impasto enlarge photo.jpg --scale 2 -o large.png
  impasto enlarge photo.jpg --model mine.safetensors -o large.png
  impasto enlarge holiday/ more/*.jpg --scale 2 -o large/
  impasto enlarge scan.tif --memory 512 -o large.tif

A scale below that of the net (4) reduces the net's result; a scale above it takes two passes. The nets were trained \
on sharp small photos: of a photo that is blurred at its own size, reduce it first.")]
pub struct Args {
    #[command(flatten)]
    files: PhotoArgs,
    /// Factor of the enlargement: 2, 4 or 8
    #[arg(long, value_name = "N", default_value_t = 4)]
    scale: usize,
    /// Net: the name of an included one (`impasto models`), the name of an installed net, or a file that `impasto train super-resolution` wrote
    #[arg(long, value_name = "NAME|FILE", default_value = NET)]
    model: String,
    #[command(flatten)]
    device: PainterArgs,
}

/// The default net.
pub const NET: &str = ENLARGERS[0].name;

/// Refuses a factor by which no net enlarges.
pub fn check_factor(command: &str, option: &str, factor: usize) -> Result<()> {
    match FACTORS.contains(&factor) {
        true => Ok(()),
        false => Err(Error::argument(command, option, "2, 4 or 8", factor)),
    }
}

/// The net called `name`: a file, an included net or an installed one.
pub fn find(name: &str) -> Result<WeightFile> {
    if Path::new(name).is_file() {
        return WeightFile::load(Path::new(name));
    }
    if ENLARGERS.iter().any(|net| net.name == name) {
        return weights::enlarger(name);
    }
    let installed = models::installed(name);
    installed.unwrap_or_else(|| {
        let known: Vec<_> = ENLARGERS.iter().map(|net| net.name).collect();
        Err(Error::argument("enlarge", "--model", format!("a file, or one of: {}", known.join(", ")), name))
    })
}

/// [`find`], on a device.
pub fn load(context: &Context, name: &str) -> Result<Enlarger> {
    let weights = SuperResolutionWeights::of(&find(name)?).map_err(inspected)?;
    Ok(Enlarger::new(SuperResolutionNet::new(context, weights)?))
}

pub fn run(args: &Args) -> Result<()> {
    args.files.check("enlarge")?;
    check_factor("enlarge", "--scale", args.scale)?;
    let jobs = jobs::jobs("enlarge", &args.files, None)?;
    let weights = SuperResolutionWeights::of(&find(&args.model)?).map_err(inspected)?;
    let context = args.device.open()?;
    let mut enlarger = Enlarger::new(SuperResolutionNet::new(&context, weights)?);
    let work = Work {
        command: "enlarge",
        done: "enlarged",
        by: &args.model,
        size: None,
        factor: args.scale,
        interpolation: Interpolation::Bicubic,
        in_options: in_options_of::<Args>,
    };
    let budget = args.files.budget();
    many::run(&args.files, &context, jobs, &work, |photo, _, watch, enlarged| {
        super_resolution::enlarge_parts(&mut enlarger, photo, args.scale, &budget, watch, enlarged)
    })
}
