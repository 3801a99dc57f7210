//! `impasto train super-resolution`

use std::path::PathBuf;

use clap::ValueEnum;
use impasto::io::WeightFile;
use impasto::nets::Vgg19;
use impasto::nets::super_resolution_net::{SCALES, SuperResolutionWeights};
use impasto::ops::pool::Pooling;
use impasto::train::Schedule;
use impasto::train::super_resolution::{SuperResolution, SuperResolutionTrainerSettings};
use impasto::{Error, Result};

use super::{Defaults, LoopArgs, NET, teach};
use crate::cli::stylize::taps;
use crate::cli::weights::{find_vgg, inspected, vgg_name};

/// Arguments of `impasto train super-resolution`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train super-resolution --loss pixel --photos photos/ --width 0.5 -o pixel.safetensors
  impasto train super-resolution --photos photos/ --width 0.5 --init pixel.safetensors -o sharp.safetensors
  impasto train super-resolution --scale 8 --photos photos/ -o x8.safetensors

`impasto enlarge PHOTO --model FILE` then enlarges any photo.

Training photos are blurred, reduced by --scale with a bicubic filter, and rounded to 8 bits; the net learns to give them \
back. --loss pixel gives the highest PSNR, and results that are smooth where the small photo does not tell the detail. \
--loss perceptual gives sharper results. It starts best from a net of --loss pixel (--init).")]
pub struct Args {
    /// Folders of training photos
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    photos: Vec<PathBuf>,
    /// Factor of the enlargement: 4 or 8 [default: that of --init, else 4]
    #[arg(long, value_name = "N")]
    scale: Option<usize>,
    /// What the net is to get right
    #[arg(long, value_enum, default_value = "perceptual")]
    loss: LossName,
    /// Weight of the mean square error of the pixels, 0 or more [default: 1 for --loss pixel, 10 for perceptual]
    #[arg(long, value_name = "W")]
    pixel_weight: Option<f32>,
    /// VGG-19 layer (tap) for --loss perceptual
    #[arg(long, value_name = "TAP", default_value_t = SuperResolutionTrainerSettings::default_tap().to_string())]
    tap: String,
    /// VGG-19 that measures --loss perceptual: a file (.safetensors, .pth), `half`, `fast`, `compact` or
    /// `random[:WIDTH]` [default: the imported weights, else `half`]
    #[arg(long, value_name = "FILE")]
    vgg: Option<String>,
    /// Channels of every layer relative to the paper's (64), above 0 and at most 4 [default: that of --init, else 1]
    #[arg(long, value_name = "F")]
    width: Option<f32>,
    /// Net to start from, of the same scale and width
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    #[command(flatten)]
    training: LoopArgs,
}

/// The values of `--loss`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LossName {
    /// The features of VGG-19, and the pixels with a small weight: sharp
    Perceptual,
    /// The mean square error of the pixels: the highest PSNR
    Pixel,
}

impl Args {
    /// The initial weights.
    fn start(&self) -> Result<SuperResolutionWeights> {
        let refuse = |name, expected: &str, got: String| Err(Error::argument("train", name, expected, got));
        let init =
            self.init.as_ref().map(|path| SuperResolutionWeights::of(&WeightFile::load(path)?).map_err(inspected));
        let init = init.transpose()?;
        let scale = self.scale.or(init.as_ref().map(|init| init.scale)).unwrap_or(SCALES[0]);
        if !SCALES.contains(&scale) {
            return refuse("--scale", "4 or 8", scale.to_string());
        }
        let width = self.width.or(init.as_ref().map(SuperResolutionWeights::width)).unwrap_or(1.0);
        if !(width > 0.0 && width <= 4.0) {
            return refuse("--width", "above 0, at most 4", width.to_string());
        }
        let new = SuperResolutionWeights::random(scale, width, self.training.seed);
        match init {
            Some(init) if (init.scale, init.channels) != (new.scale, new.channels) => {
                let expected = format!("a net with scale {} and width {}", new.scale, new.width());
                refuse("--init", &expected, format!("scale {} and width {}", init.scale, init.width()))
            }
            Some(init) => Ok(init),
            None => Ok(new),
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let settings = SuperResolutionTrainerSettings::default();
    let is_perceptual = args.loss == LossName::Perceptual;
    let defaults = Defaults {
        steps: 4000,
        batch: 16,
        learning_rate: if is_perceptual { 2e-4 } else { 1e-3 },
        schedule: Schedule::Cosine { warmup: 50 },
        clip: None,
        crops: settings.crops.clone(),
    };
    args.training.check(&defaults, NET)?;
    let tap = match taps(std::slice::from_ref(&args.tap))?[..] {
        [(tap, 1.0)] => tap,
        _ => return Err(Error::argument("train", "--tap", "a layer without a weight", &args.tap)),
    };
    let weights = args.start()?;
    let settings = SuperResolutionTrainerSettings {
        crops: args.training.crops(&defaults),
        pixel_weight: args.pixel_weight.unwrap_or(if is_perceptual { 10.0 } else { 1.0 }),
        feature_weight: if is_perceptual { 1.0 } else { 0.0 },
        tap,
    };
    let folder = args.training.pictures(&args.photos)?;
    let context = args.training.device.open()?;
    let vgg = || Vgg19::new(&context, &find_vgg(args.vgg.as_deref(), "half")?, Pooling::Max);
    let vgg = is_perceptual.then(vgg).transpose()?;
    let loss = format!("pixels {}, {tap} {}", settings.pixel_weight, settings.feature_weight);
    let (pictures, width) = (folder.len(), weights.width());
    let trainer = SuperResolution::new(&context, vgg, weights, folder, settings)?;
    teach(&args.training, &context, &trainer, &defaults, || {
        let weights = trainer.weights()?;
        let mut metadata = weights.metadata();
        metadata.extend([
            ("width".to_string(), width.to_string()),
            ("trained_on".to_string(), format!("{pictures} photos")),
            ("loss".to_string(), loss.clone()),
        ]);
        if is_perceptual {
            metadata.insert("measured_by".to_string(), vgg_name(args.vgg.as_deref(), "half"));
        }
        Ok((weights.tensors, metadata))
    })
}
