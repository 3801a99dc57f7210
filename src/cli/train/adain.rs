//! `impasto train adain`

use std::collections::BTreeMap;
use std::path::PathBuf;

use impasto::io::WeightFile;
use impasto::nets::Vgg19;
use impasto::nets::adain_decoder::Weights;
use impasto::ops::pool::Kind;
use impasto::train::adain::{self, Adain, Settings};
use impasto::train::{Crops, Schedule};
use impasto::{Error, Result};

use super::{Defaults, LoopArgs, teach};
use crate::cli::progress::spinner;
use crate::cli::weights::find_vgg;

/// Arguments of `impasto train adain`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train adain --photos photos/ --paintings paintings/ -o adain.safetensors
  impasto train adain --photos photos/ --paintings paintings/ --init adain.safetensors --steps 5000 -o better.safetensors
  impasto train adain --photos photos/ --paintings paintings/ --encoder vgg19_normalised.safetensors
  --schedule inverse-time:0.00005 --steps 160000 -o full.safetensors

The decoder starts as the encoder's inverse, fitted layer by layer by least squares (seconds), and is then trained.
`impasto stylize PHOTO --style PICTURE --decoder FILE` then paints any photo like any picture. The last example is the paper's
recipe: the real VGG-19 in the normalised convention, and a decoder as wide.")]
pub struct Args {
    /// A folder of photos to learn on; may be given again, or several at once
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    photos: Vec<PathBuf>,
    /// A folder of paintings to learn on; may be given again, or several at once
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    paintings: Vec<PathBuf>,
    /// The encoder: VGG-19 weights (.safetensors, .pth), best in the normalised convention, or `compact`
    #[arg(long, value_name = "FILE", default_value = "compact")]
    encoder: String,
    /// A decoder for the same encoder to start from
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Weight of the content loss
    #[arg(long, value_name = "W", default_value_t = Settings::default().content_weight)]
    content_weight: f32,
    /// Weight of the style loss
    #[arg(long, value_name = "W", default_value_t = Settings::default().style_weight)]
    style_weight: f32,
    /// Weight of the total variation: smooths
    #[arg(long, value_name = "W", default_value_t = Settings::default().tv_weight)]
    tv_weight: f32,
    /// Weight of giving a photo back that is its own style
    #[arg(long, value_name = "W", default_value_t = Settings::default().identity_weight)]
    identity_weight: f32,
    /// A crop of a painting covers at least this share of its short side: small ones show single strokes
    #[arg(long, value_name = "F", default_value_t = Settings::default().style_crops.share[0])]
    style_crop_share: f32,
    #[command(flatten)]
    training: LoopArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let defaults = Defaults {
        steps: 10_000,
        batch: 8,
        learning_rate: 1e-4,
        schedule: Schedule::Cosine { warmup: 100 },
        // A painting now and then whose statistics nothing reaches makes a gradient a hundred times as large.
        clip: Some(500.0),
        crop: Settings::default().crops.size,
    };
    args.training.check(&defaults)?;
    for (name, weight) in [
        ("--content-weight", args.content_weight),
        ("--style-weight", args.style_weight),
        ("--tv-weight", args.tv_weight),
        ("--identity-weight", args.identity_weight),
    ] {
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(Error::argument("train", name, "a number from 0 up", weight));
        }
    }
    if !(args.style_crop_share > 0.0 && args.style_crop_share <= 1.0) {
        return Err(Error::argument("train", "--style-crop-share", "above 0, at most 1", args.style_crop_share));
    }
    let folders = [args.training.pictures(&args.photos)?, args.training.pictures(&args.paintings)?];
    let context = args.training.device.open()?;
    let crops = args.training.crops(&defaults);
    let settings = Settings {
        style_crops: Crops { share: [args.style_crop_share, 1.0], ..crops.clone() },
        crops,
        content_weight: args.content_weight,
        style_weight: args.style_weight,
        tv_weight: args.tv_weight,
        identity_weight: args.identity_weight,
        seed: args.training.seed,
        ..Settings::default()
    };
    let encoder = find_vgg(Some(&args.encoder), "compact")?;
    let resumed = args.training.checkpoint()?.is_some();
    let weights = match &args.init {
        Some(path) => Weights::of(&WeightFile::load(path)?)?,
        // The checkpoint's parameters take the place of these.
        None if resumed => Weights::random(&encoder, 0)?,
        None => {
            let spinner = spinner();
            let made = adain::start(&context, &encoder, [&folders[0], &folders[1]], &settings, |layer| {
                spinner.set_message(format!("closed-form start: {layer}"));
                spinner.tick();
                Ok(())
            });
            spinner.finish_and_clear();
            made?
        }
    };
    let encoder = Vgg19::new(&context, &encoder, Kind::Max)?;
    let fingerprint = encoder.fingerprint().to_string();
    let trained_on = format!("{} photos, {} paintings", folders[0].len(), folders[1].len());
    let lesson = Adain::new(encoder, weights, folders, settings)?;
    teach(&args.training, &context, &lesson, &defaults, || {
        let metadata = BTreeMap::from([
            ("architecture".to_string(), "adain_decoder".to_string()),
            ("encoder".to_string(), fingerprint.clone()),
            ("trained_on".to_string(), trained_on.clone()),
        ]);
        Ok((lesson.weights()?.tensors(), metadata))
    })
}
