//! `impasto train style`

use std::path::{Path, PathBuf};

use impasto::train::Schedule;
use impasto::train::feed_forward::Settings;
use impasto::weights::BODY;
use impasto::{Error, Result};

use super::feed_forward::{CLIP, Lessons, LossArgs, learn};
use super::{Defaults, LoopArgs, NET, body};
use crate::cli::models;

/// Arguments of `impasto train style`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train style --style painting.jpg --photos photos/ -o painting.style
  impasto train style --style painting.jpg --photos photos/ --body body.safetensors --steps 300 -o painting.style
  impasto train style --style other_wave.jpg --photos photos/ --body impressions:wave -o other_wave.style
  impasto train style --style painting.jpg --photos photos/ --body painting.style --refine -o painting.safetensors

The body's convolutions stay as they are; scales and shifts of its norms are learned, from the mean of its styles' or those of the
style that --body names. `impasto stylize PHOTO --model painting.style` paints with it wherever the body is built in or installed, and
mixes it with the body's styles. With --refine all weights are learned from there, and the result is a net of its own.
Steps are 200, with --refine 500, unless --steps says otherwise.")]
pub struct Args {
    /// The picture whose style is learned
    #[arg(long, value_name = "PICTURE")]
    style: PathBuf,
    /// The body: a name that `impasto models` lists, or a file; with :STYLE, or as a style's file, to start from that style
    #[arg(long, value_name = "NAME|FILE[:STYLE]", default_value = BODY)]
    body: String,
    /// Learn the convolutions too, in smaller steps: a net of its own (.safetensors)
    #[arg(long)]
    refine: bool,
    #[command(flatten)]
    loss: LossArgs,
    #[command(flatten)]
    training: LoopArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let settings = Settings { norms_alone: !args.refine, ..body::settings() };
    let (steps, learning_rate, ending) = if args.refine { (500, 5e-4, NET) } else { (200, 4e-2, "style") };
    let defaults =
        Defaults { steps, batch: 4, learning_rate, schedule: Schedule::Cosine { warmup: 20 }, clip: CLIP, crop: 128 };
    args.training.check(&defaults, ending)?;
    if args.training.output == Path::new(&args.body) {
        return Err(Error::argument("train", "--output", "another file than --body's", &args.body));
    }
    let (name, weights) = models::start("train", "--body", &args.body)?;
    // Found out now rather than when it has been learned.
    weights.style(&name)?;
    let lessons = Lessons {
        defaults,
        settings,
        weights,
        vgg: body::VGG,
        styles: vec![args.style.clone()],
        style_of: (!args.refine).then_some(name),
    };
    learn(&args.loss, &args.training, lessons)
}
