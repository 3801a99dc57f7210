//! `impasto train johnson` and `impasto train ulyanov`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use impasto::io::{Picture, WeightFile};
use impasto::nets::Vgg19;
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;
use impasto::train::feed_forward::{FeedForward, FeedForwardTrainerSettings};
use impasto::train::{Crops, Schedule, Trainer as _};
use impasto::{Error, Result};

use super::{Defaults, LoopArgs, NET, teach};
use crate::cli::file_name;
use crate::cli::progress::spinner;
use crate::cli::stylize::taps;
use crate::cli::weights::{find_vgg, inspected, vgg_name};

/// Arguments of `impasto train johnson` and `impasto train ulyanov`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train ulyanov --style a.jpg --photos photos/ -o a.safetensors
  impasto train ulyanov --style a.jpg --photos photos/ --width 0.5 --minutes 20 -o small.safetensors
  impasto train ulyanov --style b.jpg --photos photos/ --init a.safetensors -o b.safetensors
  impasto train johnson --style a.jpg --photos photos/ --form paper -o paper.safetensors

`impasto stylize PHOTO --model FILE` then repaints any photo in one pass.

--init starts from the weights of another net. A net that was first trained to reproduce photos (--style-weight 0 \
--tv-weight 0 --content-tap relu1_1:2 --content-tap relu2_1 --content-tap relu3_1) keeps more of their colours than \
one that starts from random weights.")]
pub struct Args {
    /// The style picture
    #[arg(long, value_name = "PICTURE")]
    style: PathBuf,
    /// Kind of upsampling and padding
    #[arg(long, value_enum, default_value = "resize")]
    form: FormName,
    #[command(flatten)]
    net: NetArgs,
    #[command(flatten)]
    training: LoopArgs,
}

/// The options of the loss of every feed-forward net.
#[derive(clap::Args)]
pub struct LossArgs {
    /// Folders of training photos
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    photos: Vec<PathBuf>,
    /// VGG-19 that measures the loss: a file (.safetensors, .pth), `half`, `fast`, `compact` or `random[:WIDTH]`
    /// [default: the imported weights, else `compact`, for body and style `half`]
    #[arg(long, value_name = "FILE")]
    vgg: Option<String>,
    /// Long side of the style pictures in pixels. Higher values give larger strokes [default: 256, for body and style
    /// 448]
    #[arg(long, value_name = "PX")]
    style_size: Option<usize>,
    /// Weight of the style loss, 0 or more [default: 2]
    #[arg(long, value_name = "W")]
    style_weight: Option<f32>,
    /// Weight of the content loss, 0 or more [default: 1]
    #[arg(long, value_name = "W")]
    content_weight: Option<f32>,
    /// Weight of the total variation, 0 or more. Higher values give smoother pictures [default: 0.5, for body and style
    /// 10]
    #[arg(long, value_name = "W")]
    tv_weight: Option<f32>,
    /// VGG-19 layer (tap) for the content loss, such as relu3_1 or relu2_1:0.5; may be repeated [default: relu2_2
    /// relu3_1, for body and style relu3_1]
    #[arg(long, value_name = "TAP[:WEIGHT]")]
    content_tap: Vec<String>,
    /// VGG-19 layer (tap) for the style loss; may be repeated [default: relu1_1 relu2_1 relu3_1 relu4_1]
    #[arg(long, value_name = "TAP[:WEIGHT]")]
    style_tap: Vec<String>,
    /// Photo for the sample pictures [default: three of the training photos]
    #[arg(long, value_name = "PHOTO")]
    preview: Option<PathBuf>,
}

/// The options of a new net.
#[derive(clap::Args)]
pub struct NetArgs {
    #[command(flatten)]
    pub loss: LossArgs,
    /// Channels of every layer relative to the paper's (32 in the first layer), above 0 and at most 4 [default: 1, for
    /// body 0.5]
    #[arg(long, value_name = "F")]
    width: Option<f32>,
    /// Net to start from, of the same form and norm. A narrower one is widened by additional channels
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
}

/// The values of `--form`.
#[derive(Clone, Copy, ValueEnum)]
enum FormName {
    /// As in the paper: reflection padding of the picture only, transposed convolutions, tanh
    Paper,
    /// Reflection padding at every convolution, nearest-neighbour upsampling: avoids checkerboard patterns
    Resize,
}

/// Long side of a preview in pixels.
const PREVIEW_SIZE: usize = 512;

/// Defaults, start and styles of a feed-forward trainer.
pub struct Trainers<'a> {
    pub defaults: Defaults,
    /// All settings but the crops, which the arguments and `defaults` determine.
    pub settings: FeedForwardTrainerSettings,
    /// The initial weights.
    pub weights: ImageTransformNetWeights,
    /// The included encoder that measures the loss if none is named or imported.
    pub vgg: &'a str,
    /// The style pictures, in the order of the net's styles.
    pub styles: Vec<PathBuf>,
    /// The name of the body if only a style of it is written, not the whole net.
    pub style_of: Option<String>,
}

// The first gradients are about a thousand times as large as later ones. Without clipping they would dominate Adam's
// second moments, and keep the steps small, for a long time. Later, crops without detail sometimes have large gradients
// too.
pub const CLIP: Option<f32> = Some(10.0);

pub fn run(args: &Args, norm: Over) -> Result<()> {
    let settings = FeedForwardTrainerSettings::default();
    let defaults = Defaults {
        steps: 4000,
        batch: 4,
        learning_rate: 1e-3,
        schedule: Schedule::Cosine { warmup: 20 },
        clip: CLIP,
        crops: settings.crops.clone(),
    };
    let form = match args.form {
        FormName::Paper => Form::Paper,
        FormName::Resize => Form::Resize,
    };
    args.training.check(&defaults, NET)?;
    let weights = args.net.start((form, norm, 1.0), &[], args.training.seed)?;
    let trainers =
        Trainers { defaults, settings, weights, vgg: "compact", styles: vec![args.style.clone()], style_of: None };
    learn(&args.net.loss, &args.training, trainers)
}

impl LossArgs {
    fn settings(&self, crops: Crops, defaults: FeedForwardTrainerSettings) -> Result<FeedForwardTrainerSettings> {
        let weight = |name, given: Option<f32>, default| match given.unwrap_or(default) {
            weight if weight >= 0.0 && weight.is_finite() => Ok(weight),
            weight => Err(Error::argument("train", name, "a number from 0 up", weight)),
        };
        let taps_or = |given: &[String], default| if given.is_empty() { Ok(default) } else { taps(given) };
        Ok(FeedForwardTrainerSettings {
            crops,
            style_weight: weight("--style-weight", self.style_weight, defaults.style_weight)?,
            content_weight: weight("--content-weight", self.content_weight, defaults.content_weight)?,
            tv_weight: weight("--tv-weight", self.tv_weight, defaults.tv_weight)?,
            content_taps: taps_or(&self.content_tap, defaults.content_taps)?,
            style_taps: taps_or(&self.style_tap, defaults.style_taps)?,
            style_size: self.style_size.unwrap_or(defaults.style_size),
            ..defaults
        })
    }
}

impl NetArgs {
    /// The initial weights of a net with this form, norm and default width. With `names`, a body with these styles.
    pub fn start(
        &self,
        (form, norm, usual): (Form, Over, f32),
        names: &[String],
        seed: u64,
    ) -> Result<ImageTransformNetWeights> {
        let width = self.width.unwrap_or(usual);
        if !(width > 0.0 && width <= 4.0) {
            return Err(Error::argument("train", "--width", "above 0, at most 4", width));
        }
        let mut weights = ImageTransformNetWeights::random(form, norm, width, seed);
        if let Some(path) = &self.init {
            let init = ImageTransformNetWeights::of(&WeightFile::load(path)?).map_err(inspected)?;
            if (init.form, init.norm) != (form, norm) || init.channels > weights.channels {
                let most = weights.channels;
                let expected = format!("a net with form {form:?}, norm {norm:?} and at most {most} channels");
                let got = format!("form {:?}, norm {:?} and {} channels", init.form, init.norm, init.channels);
                return Err(Error::argument("train", "--init", expected, got));
            }
            if !init.styles.is_empty() && names.is_empty() {
                let got = format!("a body with the styles {}", init.styles.join(", "));
                return Err(Error::argument("train", "--init", "a net of one style", got));
            }
            if init.channels < weights.channels {
                tracing::info!("widened from {} to {} channels", init.channels, weights.channels);
            }
            weights = init.widened(width, seed)?;
        }
        if names.is_empty() { Ok(weights) } else { weights.with_styles(names) }
    }
}

/// Trains a net for one or many styles, and writes it.
pub fn learn(args: &LossArgs, training: &LoopArgs, trainers: Trainers) -> Result<()> {
    let Trainers { defaults, weights, style_of, .. } = trainers;
    let settings = args.settings(training.crops(&defaults), trainers.settings)?;
    let folder = training.pictures(&args.photos)?;
    let styles = trainers.styles.iter().map(|path| Picture::load(path)).collect::<Result<Vec<_>>>()?;
    let preview = args.preview.as_deref().map(Picture::load).transpose()?;
    let preview = preview.map(|photo| photo.fit(PREVIEW_SIZE.min(photo.width.max(photo.height))));
    let context = training.device.open()?;
    let vgg = Vgg19::new(&context, &find_vgg(args.vgg.as_deref(), trainers.vgg)?, Pooling::Max)?;
    let (pictures, style_size) = (folder.len(), settings.style_size);
    let (width, is_body) = (weights.channels as f32 / 32.0, !weights.styles.is_empty());
    let spinner = spinner();
    spinner.set_message("measuring the unit of the content loss");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let trainer = FeedForward::new(vgg, weights, &styles, folder, settings, preview);
    spinner.finish_and_clear();
    let trainer = trainer?;
    tracing::info!(
        parameters = trainer.parameters().iter().map(|p| p.value.shape().count()).sum::<usize>(),
        "training"
    );
    let (losses, style) = (trainer.losses(), trainers.styles.iter().map(|path| file_name(path)).collect::<Vec<_>>());
    // In the metadata of a body, the loss and the style are lists.
    let text = |text: serde_json::Result<String>| text.map_err(|error| Error::argument("train", "loss", "JSON", error));
    let (loss, style) = match is_body {
        true => (text(serde_json::to_string(&losses))?, serde_json::json!(style).to_string()),
        false => (text(serde_json::to_string(&losses[0]))?, style[0].clone()),
    };
    teach(training, &context, &trainer, &defaults, || {
        let weights = trainer.weights()?;
        let (tensors, entries) = match &style_of {
            Some(body) => {
                let style = weights.style(body)?;
                (style.tensors.clone(), style.metadata().to_vec())
            }
            None => (weights.tensors.clone(), weights.metadata()),
        };
        let mut metadata: BTreeMap<_, _> = entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        metadata.extend([
            ("width".to_string(), width.to_string()),
            ("style".to_string(), style.clone()),
            ("style_size".to_string(), style_size.to_string()),
            ("trained_on".to_string(), format!("{pictures} photos")),
            ("loss".to_string(), loss.clone()),
            ("measured_by".to_string(), vgg_name(args.vgg.as_deref(), trainers.vgg)),
        ]);
        Ok((tensors, metadata))
    })
}
