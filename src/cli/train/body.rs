//! `impasto train body`

use std::path::PathBuf;

use impasto::nets::image_transform_net::Form;
use impasto::ops::norm::Over;
use impasto::train::feed_forward::FeedForwardTrainerSettings;
use impasto::train::{Crops, Folder, Schedule};
use impasto::{Error, Result};

use super::feed_forward::{CLIP, NetArgs, Trainers, learn};
use super::{Defaults, LoopArgs, NET};

/// Arguments of `impasto train body`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train body --styles paintings/ --photos photos/ -o body.safetensors
  impasto train body --styles wave.jpg scream.jpg --photos photos/ --minutes 60 -o body.safetensors
  impasto train body --styles paintings/ --photos photos/ --init body.safetensors -o b.safetensors

All styles share the convolutions; each style has its own scales and shifts in the norms. The name of a style is that \
of its picture, without the ending: `impasto stylize PHOTO --model body.safetensors:wave` for wave.jpg.

--init starts from another body: its styles keep their weights, and new styles start from the mean of all. `impasto \
train style` adds a style to a body without changing the others.")]
pub struct Args {
    /// Style pictures, and folders of style pictures
    #[arg(long, value_name = "DIR|PICTURE", required = true, num_args = 1..)]
    styles: Vec<PathBuf>,
    #[command(flatten)]
    net: NetArgs,
    #[command(flatten)]
    training: LoopArgs,
}

/// The included encoder that measures the loss if none is named or imported.
pub const VGG: &str = "half";

pub fn run(args: &Args) -> Result<()> {
    let styles = Folder::scan(&args.styles)?.files().to_vec();
    let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<String> = styles.iter().map(name).collect();
    if let Some(index) = (1..names.len()).find(|&index| names[..index].contains(&names[index])) {
        let expected = "pictures with different names (without the ending), because the names are those of the styles";
        return Err(Error::argument("train", "--styles", expected, styles[index].display()));
    }
    let settings = FeedForwardTrainerSettings::of_body();
    let defaults = Defaults {
        steps: 10_000,
        batch: 4,
        learning_rate: 2e-3,
        schedule: Schedule::Cosine { warmup: 20 },
        clip: CLIP,
        crops: Crops { size: 128, ..settings.crops.clone() },
    };
    args.training.check(&defaults, NET)?;
    let weights = args.net.start((Form::Resize, Over::Instance, 0.5), &names, args.training.seed)?;
    let trainers = Trainers { defaults, settings, weights, vgg: VGG, styles, style_of: None };
    learn(&args.net.loss, &args.training, trainers)
}
