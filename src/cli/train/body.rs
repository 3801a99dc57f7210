//! `impasto train body`

use std::path::PathBuf;

use impasto::nets::Tap;
use impasto::nets::image_transform_net::Form;
use impasto::ops::norm::Over;
use impasto::train::feed_forward::Settings;
use impasto::train::{Folder, Schedule};
use impasto::{Error, Result};

use super::feed_forward::{CLIP, Lessons, NetArgs, learn};
use super::{Defaults, LoopArgs};

/// Arguments of `impasto train body`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train body --styles paintings/ --photos photos/ -o body.safetensors
  impasto train body --styles wave.jpg scream.jpg --photos photos/ --minutes 60 -o body.safetensors
  impasto train body --styles paintings/ --photos photos/ --init body.safetensors --steps 4000 -o longer.safetensors

All styles share the convolutions; each has its own scale and shift in every norm. A style is called as its file is, without the
ending. A body may start as another (--init): styles that are known keep what they have learned, new ones start from the mean.")]
pub struct Args {
    /// The pictures whose styles are learned: files, or folders of them
    #[arg(long, value_name = "DIR|PICTURE", required = true, num_args = 1..)]
    styles: Vec<PathBuf>,
    #[command(flatten)]
    net: NetArgs,
    #[command(flatten)]
    training: LoopArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let styles = Folder::scan(&args.styles)?.files().to_vec();
    let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<String> = styles.iter().map(name).collect();
    if let Some(index) = (1..names.len()).find(|&index| names[..index].contains(&names[index])) {
        let expected = "pictures whose names differ without their endings: styles are called by them";
        return Err(Error::argument("train", "--styles", expected, styles[index].display()));
    }
    let defaults = Defaults {
        steps: 10_000,
        batch: 4,
        learning_rate: 2e-3,
        schedule: Schedule::Cosine { warmup: 20 },
        clip: CLIP,
        crop: 128,
    };
    let settings = Settings {
        content_taps: Tap::all().filter(|tap| tap.to_string() == "relu3_1").map(|tap| (tap, 1.0)).collect(),
        content_weight: 5.0,
        tv_weight: 0.1,
        style_size: 384,
        ..Settings::default()
    };
    let lessons = Lessons {
        defaults,
        settings,
        width: 0.5,
        form: Form::Resize,
        norm: Over::Instance,
        vgg: "half",
        styles,
        names,
    };
    learn(&args.net, &args.training, lessons)
}
