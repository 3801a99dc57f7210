//! `impasto train style`

use std::path::{Path, PathBuf};

use impasto::train::feed_forward::FeedForwardTrainerSettings;
use impasto::train::{Crops, Schedule};
use impasto::weights::BODY;
use impasto::{Error, Result};

use super::feed_forward::{CLIP, LossArgs, Trainers, learn};
use super::{Defaults, LoopArgs, NET, body};
use crate::cli::models;

/// Arguments of `impasto train style`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train style --style a.jpg --photos photos/ -o a.style
  impasto train style --style b.jpg --photos photos/ --steps 300 -o b.style
  impasto train style --style sea.jpg --photos photos/ --body impressions:wave -o sea.style
  impasto train style --style a.jpg --photos photos/ --body a.style --refine -o a.safetensors

Only the scales and shifts of the body's norms are trained; its convolutions stay unchanged. Training starts from the \
mean of the body's styles, or from the style that --body names.

`impasto stylize PHOTO --model a.style` uses the result, and can mix it with the body's other styles. It needs \
the same body, built in or installed (see `impasto models --help`).

With --refine all weights are trained, and the result is a separate net.")]
pub struct Args {
    /// The style picture
    #[arg(long, value_name = "PICTURE")]
    style: PathBuf,
    /// The body: a name that `impasto models` lists (without :STYLE), or a file. Add :STYLE, or name a style's file, to
    /// start from that style
    #[arg(long, value_name = "NAME|FILE[:STYLE]", default_value = BODY)]
    body: String,
    /// Train the convolutions as well, in smaller steps; the output is a separate net (.safetensors)
    #[arg(long)]
    refine: bool,
    #[command(flatten)]
    loss: LossArgs,
    #[command(flatten)]
    training: LoopArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let settings = FeedForwardTrainerSettings { norms_alone: !args.refine, ..FeedForwardTrainerSettings::of_body() };
    let (steps, learning_rate, ending) = if args.refine { (500, 5e-4, NET) } else { (200, 4e-2, "style") };
    let defaults = Defaults {
        steps,
        batch: 4,
        learning_rate,
        schedule: Schedule::Cosine { warmup: 20 },
        clip: CLIP,
        crops: Crops { size: 128, ..settings.crops.clone() },
    };
    args.training.check(&defaults, ending)?;
    if args.training.output == Path::new(&args.body) {
        return Err(Error::argument("train", "--output", "a file other than that of --body", &args.body));
    }
    let (name, weights) = models::start("train", "--body", &args.body)?;
    // Fails now, not after the training, if a style of this net cannot be written.
    weights.style(&name)?;
    let trainers = Trainers {
        defaults,
        settings,
        weights,
        vgg: body::VGG,
        styles: vec![args.style.clone()],
        style_of: (!args.refine).then_some(name),
    };
    learn(&args.loss, &args.training, trainers)
}
