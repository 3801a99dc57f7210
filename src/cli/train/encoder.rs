//! `impasto train encoder`

use std::path::PathBuf;

use impasto::Result;
use impasto::io::WeightFile;
use impasto::nets::Tap;
use impasto::nets::vgg19::Vgg19Weights;
use impasto::train::encoder::{Encoder, EncoderTrainerSettings, Painting};
use impasto::train::{Folder, Schedule, Trainer as _};

use super::{Defaults, LoopArgs, NET, teach};
use crate::cli::progress::spinner;
use crate::cli::stylize::taps;
use crate::cli::weights::inspected;

/// Arguments of `impasto train encoder`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train encoder --teacher vgg19.pth --photos photos/ -o encoder.safetensors
  impasto train encoder --teacher vgg19.pth --photos photos/ paintings/ --width 0.5 -o a.safetensors
  impasto train encoder --teacher vgg19.pth --photos photos/ --minutes 60 --resume -o a.safetensors
  impasto train encoder --teacher vgg19.pth --photos photos/ --full relu4_1 -o a.safetensors
  impasto train encoder --teacher vgg19.pth --photos photos/ --paint paintings/ -o a.safetensors

The student, a VGG-19 with fewer channels, learns to reproduce the features of the teacher. It starts from the most \
informative channels of the teacher, fitted layer by layer by least squares (about a minute).

During training a lift (a 1x1 convolution with a ReLU) maps the student's channels at each tap to the teacher's. \
Layers in --full have all channels and need no lift. The included encoder `half` was trained with --paint, --width 0.5 \
and --full relu2_1 relu2_2 relu3_1 relu4_1.

`impasto eval encoder` measures the result.")]
pub struct Args {
    /// The original VGG-19 (.safetensors or .pth)
    #[arg(long, value_name = "VGG")]
    teacher: PathBuf,
    /// Folders of training pictures
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    photos: Vec<PathBuf>,
    /// Channels of every layer relative to VGG-19's, above 0 and at most 1
    #[arg(long, value_name = "F", default_value_t = 0.25)]
    width: f32,
    /// Layers with as many channels as the teacher, such as relu2_1 relu2_2 relu3_1 relu4_1. They improve Gatys' method
    /// and make the encoder slower
    #[arg(long, value_name = "LAYER", num_args = 1..)]
    full: Vec<Tap>,
    /// Encoder to start from. Layers that it lacks, or that have another number of channels, are fitted by least
    /// squares
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Layer (tap) whose features are matched, such as relu2_1 or relu2_1:3; may be repeated. The deepest one is the
    /// last layer of the encoder [default: relu1_1 relu2_1:3 relu3_1:3 relu4_1:2]
    #[arg(long, value_name = "TAP[:WEIGHT]")]
    tap: Vec<String>,
    /// Weight of the loss of the channels' means and standard deviations, relative to that of the features
    #[arg(long, value_name = "W", default_value_t = EncoderTrainerSettings::default().statistics_weight)]
    statistics_weight: f32,
    /// Training crops to which the start is fitted by least squares
    #[arg(long, value_name = "N", default_value_t = EncoderTrainerSettings::default().calibration)]
    calibration: usize,
    /// Folders of style pictures. The student repaints training pictures in these styles with Gatys' method, and half
    /// of the pictures it then learns from are its own; this improves Gatys' method
    #[arg(long, value_name = "DIR", num_args = 1..)]
    paint: Vec<PathBuf>,
    /// Training pictures from one picture that the student paints to the next, at least 1
    #[arg(long, value_name = "N", requires = "paint", default_value_t = Painting::of(Folder::default()).every)]
    paint_every: u64,
    /// Evaluations of Gatys' method for each picture that the student paints, at least 1
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
        crops: EncoderTrainerSettings::default().crops,
    };
    args.training.check(&defaults, NET)?;
    let folder = args.training.pictures(&args.photos)?;
    let painting = if args.paint.is_empty() {
        None
    } else {
        let styles = args.training.pictures(&args.paint)?;
        Some(Painting { styles, every: args.paint_every, steps: args.paint_steps })
    };
    let teacher = Vgg19Weights::of(&WeightFile::load(&args.teacher)?).map_err(inspected)?;
    let context = args.training.device.open()?;
    let settings = EncoderTrainerSettings {
        width: args.width,
        full: args.full.clone(),
        crops: args.training.crops(&defaults),
        statistics_weight: args.statistics_weight,
        calibration: args.calibration,
        positions: EncoderTrainerSettings::default().positions,
        seed: args.training.seed,
        painting,
        taps: if args.tap.is_empty() { EncoderTrainerSettings::default().taps } else { taps(&args.tap)? },
    };
    let init = |path| Vgg19Weights::of(&WeightFile::load(path)?).map_err(inspected);
    let init = args.init.as_deref().map(init).transpose()?;
    let pictures = folder.len();
    let spinner = spinner();
    let encoder = match args.training.checkpoint()? {
        Some(checkpoint) => Encoder::resumed(&context, teacher, init.as_ref(), &checkpoint, folder, settings)?,
        None => Encoder::new(&context, teacher, init.as_ref(), folder, settings, |tap| {
            spinner.set_message(format!("fitting the start: {tap}"));
            spinner.tick();
            Ok(())
        })?,
    };
    spinner.finish_and_clear();
    tracing::info!(
        parameters = encoder.parameters().iter().map(|p| p.value.shape().count()).sum::<usize>(),
        "training"
    );
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
