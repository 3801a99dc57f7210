//! `impasto train encoder`

use std::path::PathBuf;

use impasto::Result;
use impasto::io::WeightFile;
use impasto::nets::Tap;
use impasto::nets::vgg19::Weights;
use impasto::train::encoder::{Encoder, Painting, Settings};
use impasto::train::{Folder, Lesson as _, Schedule};

use super::{Defaults, LoopArgs, NET, teach};
use crate::cli::progress::spinner;
use crate::cli::stylize::taps;

/// Arguments of `impasto train encoder`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train encoder --teacher vgg19.safetensors --photos photos/ -o encoder.safetensors
  impasto train encoder --teacher vgg19.safetensors --photos photos/ --photos paintings/ --width 0.5 -o wide.safetensors
  impasto train encoder --teacher vgg19.safetensors --photos photos/ --minutes 60 -o encoder.safetensors --resume
  impasto train encoder --teacher vgg19.safetensors --photos photos/ --paint paintings/ --width 0.5 --full relu2_1 relu2_2 relu3_1 relu4_1 \
    -o painter.safetensors

The student starts from the teacher's most telling channels, fitted layer by layer by least squares (a minute), and is then trained
to match the teacher's features: through lifts, 1x1 convolutions with a ReLU that exist while it learns, or, in a --full layer,
directly. `impasto eval encoder` says how well it does.")]
pub struct Args {
    /// The real VGG-19 (.safetensors or .pth)
    #[arg(long, value_name = "VGG")]
    teacher: PathBuf,
    /// A folder of pictures to learn from; may be given again, or several at once
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    photos: Vec<PathBuf>,
    /// Channels over VGG-19's
    #[arg(long, value_name = "F", default_value_t = 0.25)]
    width: f32,
    /// Layers that have all of the teacher's channels, such as relu2_1 relu2_2 relu3_1 relu4_1: better for Gatys' method, and
    /// slower
    #[arg(long, value_name = "LAYER", num_args = 1..)]
    full: Vec<Tap>,
    /// An encoder to go on from; layers that it lacks, or has other channels in, get a closed-form start
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// A tap to match, such as relu2_1 or relu2_1:3; may be given again; the deepest one ends the net [default: relu1_1
    /// relu2_1:3 relu3_1:3 relu4_1:2]
    #[arg(long, value_name = "TAP[:WEIGHT]")]
    tap: Vec<String>,
    /// Weight of the channels' means and deviations beside the features
    #[arg(long, value_name = "W", default_value_t = Settings::default().statistics_weight)]
    statistics_weight: f32,
    /// Crops that the closed-form start is made from
    #[arg(long, value_name = "N", default_value_t = Settings::default().calibration)]
    calibration: usize,
    /// Learn also from pictures that the student itself paints by Gatys' method, in the styles of this folder: every other
    /// picture is then one of those; may be given again
    #[arg(long, value_name = "DIR", num_args = 1..)]
    paint: Vec<PathBuf>,
    /// Pictures learned from between one painting and the next
    #[arg(long, value_name = "N", requires = "paint", default_value_t = Painting::of(Folder::default()).every)]
    paint_every: u64,
    /// Evaluations of Gatys' method for a painting
    #[arg(long, value_name = "N", requires = "paint", default_value_t = Painting::of(Folder::default()).steps)]
    paint_steps: usize,
    #[command(flatten)]
    training: LoopArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let defaults = Defaults {
        steps: 2000,
        batch: 8,
        learning_rate: 2e-3,
        schedule: Schedule::Cosine { warmup: 50 },
        clip: None,
        crop: Settings::default().crops.size,
    };
    args.training.check(&defaults, NET)?;
    let folder = args.training.pictures(&args.photos)?;
    let painting = if args.paint.is_empty() {
        None
    } else {
        let styles = args.training.pictures(&args.paint)?;
        Some(Painting { styles, every: args.paint_every, steps: args.paint_steps })
    };
    let teacher = Weights::of(&WeightFile::load(&args.teacher)?)?;
    let context = args.training.device.open()?;
    let settings = Settings {
        width: args.width,
        full: args.full.clone(),
        crops: args.training.crops(&defaults),
        statistics_weight: args.statistics_weight,
        calibration: args.calibration,
        positions: Settings::default().positions,
        seed: args.training.seed,
        painting,
        taps: if args.tap.is_empty() { Settings::default().taps } else { taps(&args.tap)? },
    };
    let init = args.init.as_deref().map(|path| Weights::of(&WeightFile::load(path)?)).transpose()?;
    let pictures = folder.len();
    let spinner = spinner();
    let encoder = match args.training.checkpoint()? {
        Some(checkpoint) => Encoder::resumed(&context, teacher, init.as_ref(), &checkpoint, folder, settings)?,
        None => Encoder::new(&context, teacher, init.as_ref(), folder, settings, |tap| {
            spinner.set_message(format!("closed-form start: {tap}"));
            spinner.tick();
            Ok(())
        })?,
    };
    spinner.finish_and_clear();
    tracing::info!(parameters = encoder.parameters().iter().map(|p| p.value.shape().count()).sum::<usize>(), "start");
    teach(&args.training, &context, &encoder, &defaults, || {
        let weights = encoder.weights()?;
        let metadata = [
            ("architecture", "vgg19".to_string()),
            ("convention", weights.convention.to_string()),
            ("width", args.width.to_string()),
            ("trained_on", format!("{pictures} pictures")),
            ("teacher", args.teacher.file_name().unwrap_or_default().to_string_lossy().into_owned()),
        ];
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        Ok((weights.tensors(), metadata))
    })
}
