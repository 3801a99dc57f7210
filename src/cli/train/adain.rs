//! `impasto train adain`

use std::collections::BTreeMap;
use std::path::PathBuf;

use impasto::io::WeightFile;
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::vgg19::Vgg19Weights;
use impasto::nets::{AdainDecoder, Tap, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::train::adain::{self, Adain, AdainTrainerSettings, Nets, Pair};
use impasto::train::{Crops, Schedule};
use impasto::{Error, Result};

use super::{Defaults, LoopArgs, NET, teach};
use crate::cli::progress::spinner;
use crate::cli::weights::{find_vgg, inspected};

/// Arguments of `impasto train adain`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train adain --photos photos/ --paintings art/ -o a.safetensors
  impasto train adain --photos photos/ --paintings art/ --init a.safetensors -o b.safetensors
  impasto train adain --photos photos/ --paintings art/ --teacher-decoder c.pth -o d.safetensors

The decoder starts as an approximate inverse of the encoder, fitted layer by layer by least squares (seconds), and is \
then trained. `impasto stylize PHOTO --style PICTURE --decoder FILE` paints with it; add --vgg if its encoder is not \
included.

--teacher-decoder distils a trained decoder into a narrower one. The start is fitted to the teacher's most informative \
channels (minutes); --width or --channels says how many. --pixel-weight and --feature-weight add the distance from the \
teacher's picture to the loss. For this distance alone, set --content-weight 0 --style-weight 0 --pixel-weight 100 \
--feature-weight 1.

The paper's settings are --encoder vgg19_normalised.safetensors (the original VGG-19 in the normalised convention) \
--schedule inverse-time:0.00005 --steps 160000.")]
pub struct Args {
    /// Folders of training photos
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    photos: Vec<PathBuf>,
    /// Folders of training paintings
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    paintings: Vec<PathBuf>,
    /// Encoder: VGG-19 weights (.safetensors, .pth), preferably in the normalised convention, or `half`, `fast` or
    /// `compact`
    #[arg(long, value_name = "FILE", default_value = "half")]
    encoder: String,
    /// Net that measures the content and style losses, with the same values as --encoder [default: the encoder]
    #[arg(long, value_name = "FILE")]
    loss_net: Option<String>,
    /// Decoder for the same encoder to start from
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Trained decoder to distil; it must read the features of the net that measures the losses
    #[arg(long, value_name = "FILE")]
    teacher_decoder: Option<PathBuf>,
    /// Channels of every layer relative to the teacher's, above 0 and at most 1
    #[arg(long, value_name = "F", default_value_t = 0.5, requires = "teacher_decoder", conflicts_with = "init")]
    width: f32,
    /// Channels of the eight layers before the last, from the deepest on; replaces --width
    #[arg(long, value_name = "N", num_args = 8, requires = "teacher_decoder", conflicts_with_all = ["init", "width"])]
    channels: Vec<usize>,
    /// Weight of the distance from the teacher's picture in pixels, 0 or more
    #[arg(long, value_name = "W", default_value_t = 0.0, requires = "teacher_decoder")]
    pixel_weight: f32,
    /// Weight of the distance from the teacher's picture in features at the four taps, 0 or more
    #[arg(long, value_name = "W", default_value_t = 0.0, requires = "teacher_decoder")]
    feature_weight: f32,
    /// Weight of the content loss, 0 or more
    #[arg(long, value_name = "W", default_value_t = AdainTrainerSettings::default().content_weight)]
    content_weight: f32,
    /// Weight of the style loss, 0 or more
    #[arg(long, value_name = "W", default_value_t = AdainTrainerSettings::default().style_weight)]
    style_weight: f32,
    /// Weight of the total variation, 0 or more. Higher values give smoother pictures
    #[arg(long, value_name = "W", default_value_t = AdainTrainerSettings::default().tv_weight)]
    tv_weight: f32,
    /// Weight of the loss that asks for the photo itself where the photo is its own style, 0 or more
    #[arg(long, value_name = "W", default_value_t = AdainTrainerSettings::default().identity_weight)]
    identity_weight: f32,
    /// Smallest share of a painting's short side that a crop covers, above 0 and at most 1. Small values show the net
    /// single strokes
    #[arg(long, value_name = "F", default_value_t = 0.25)]
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
        // Some paintings have statistics that no picture reaches. Their gradients are about a hundred times as large.
        clip: Some(500.0),
        crops: AdainTrainerSettings::default().crops,
    };
    args.training.check(&defaults, NET)?;
    for (name, weight) in [
        ("--content-weight", args.content_weight),
        ("--style-weight", args.style_weight),
        ("--tv-weight", args.tv_weight),
        ("--identity-weight", args.identity_weight),
        ("--pixel-weight", args.pixel_weight),
        ("--feature-weight", args.feature_weight),
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
    let settings = AdainTrainerSettings {
        style_crops: Crops { share: Some([args.style_crop_share, 1.0]), ..crops.clone() },
        crops,
        content_weight: args.content_weight,
        style_weight: args.style_weight,
        tv_weight: args.tv_weight,
        identity_weight: args.identity_weight,
        pixel_weight: args.pixel_weight,
        feature_weight: args.feature_weight,
        seed: args.training.seed,
        ..AdainTrainerSettings::default()
    };
    let encoder = find_vgg(Some(&args.encoder), "compact")?;
    let loss_net = args.loss_net.as_ref().map(|name| find_vgg(Some(name), "compact")).transpose()?;
    let decoder = |path: &PathBuf| AdainDecoderWeights::of(&WeightFile::load(path)?).map_err(inspected);
    let teacher = args.teacher_decoder.as_ref().map(decoder).transpose()?;
    let resumed = args.training.checkpoint()?.is_some();
    let weights = match (&args.init, &teacher) {
        (Some(path), _) => decoder(path)?,
        (None, teacher) => {
            let spinner = spinner();
            let on_layer = |layer: &str| {
                spinner.set_message(format!("fitting the start: {layer}"));
                spinner.tick();
                Ok(())
            };
            let folders = [&folders[0], &folders[1]];
            let made = match teacher {
                Some(decoder) => {
                    let channels = channels(args, decoder)?;
                    let teacher = Pair { encoder: loss_net.as_ref().unwrap_or(&encoder), decoder };
                    match resumed {
                        // The checkpoint's parameters replace these.
                        true => Ok(AdainDecoderWeights::seeded(encoder.channels(Tap::RELU4_1)?, &channels, 0)),
                        false => adain::transfer(&context, &encoder, &teacher, &channels, folders, &settings, on_layer),
                    }
                }
                None if resumed => AdainDecoderWeights::random(&encoder, 0),
                None => adain::start(&context, &encoder, folders, &settings, on_layer),
            };
            spinner.finish_and_clear();
            made?
        }
    };
    let net = |weights: &Vgg19Weights| Vgg19::new(&context, weights, Pooling::Max);
    let encoder = net(&encoder)?;
    let fingerprint = encoder.fingerprint().to_string();
    let nets = Nets {
        encoder,
        loss: loss_net.as_ref().map(net).transpose()?,
        teacher: teacher.map(|weights| AdainDecoder::new(&context, weights)).transpose()?,
    };
    let trained_on = format!("{} photos, {} paintings", folders[0].len(), folders[1].len());
    let trainer = Adain::new(nets, weights, folders, settings)?;
    teach(&args.training, &context, &trainer, &defaults, || {
        let metadata = BTreeMap::from([
            ("architecture".to_string(), "adain_decoder".to_string()),
            ("encoder".to_string(), fingerprint.clone()),
            ("trained_on".to_string(), trained_on.clone()),
        ]);
        Ok((trainer.weights()?.tensors(), metadata))
    })
}

/// Output channels of each layer of the decoder except the last.
fn channels(args: &Args, teacher: &AdainDecoderWeights) -> Result<[usize; 8]> {
    if !(args.width > 0.0 && args.width <= 1.0) {
        return Err(Error::argument("train", "--width", "above 0, at most 1", args.width));
    }
    let wide = teacher.layer_channels();
    Ok(args
        .channels
        .as_slice()
        .try_into()
        .unwrap_or_else(|_| wide.map(|channels| ((channels as f32 * args.width).round() as usize).max(1))))
}
