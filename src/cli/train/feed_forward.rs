//! `impasto train johnson` and `impasto train ulyanov`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use impasto::io::{Picture, WeightFile};
use impasto::nets::Vgg19;
use impasto::nets::image_transform_net::{Form, Weights};
use impasto::ops::norm::Over;
use impasto::ops::pool::Kind;
use impasto::train::feed_forward::{FeedForward, Settings};
use impasto::train::{Crops, Lesson as _, Schedule};
use impasto::{Error, Result};

use super::{Defaults, LoopArgs, NET, teach};
use crate::cli::file_name;
use crate::cli::progress::spinner;
use crate::cli::stylize::taps;
use crate::cli::weights::{find_vgg, vgg_name};

/// Arguments of `impasto train johnson` and `impasto train ulyanov`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto train ulyanov --style painting.jpg --photos photos/ -o painting.safetensors
  impasto train ulyanov --style painting.jpg --photos photos/ --width 0.5 --crop 128 --minutes 20 -o small.safetensors
  impasto train ulyanov --style other.jpg --photos photos/ --init painting.safetensors --steps 500 -o other.safetensors
  impasto train johnson --style painting.jpg --photos photos/ --form paper --preview me.jpg -o paper.safetensors

`impasto stylize PHOTO --model FILE` then repaints any photo in one pass. A net may start as another's (--init): one that has
learned to give photos back (--style-weight 0 --tv-weight 0 --content-tap relu1_1:2 --content-tap relu2_1 --content-tap relu3_1)
keeps more of their colours than one that starts from nothing.")]
pub struct Args {
    /// The picture whose style is learned
    #[arg(long, value_name = "PICTURE")]
    style: PathBuf,
    /// How the net enlarges, and what it does at borders
    #[arg(long, value_enum, default_value = "resize")]
    form: FormName,
    #[command(flatten)]
    net: NetArgs,
    #[command(flatten)]
    training: LoopArgs,
}

/// What every feed-forward net lets one choose: what it learns by.
#[derive(clap::Args)]
pub struct LossArgs {
    /// A folder of photos to learn on; may be given again, or several at once
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    photos: Vec<PathBuf>,
    /// The net that measures: VGG-19 weights (.safetensors, .pth), `compact`, `half` or `random[:WIDTH]` [default: the
    /// imported ones, else `compact`, or `half` for a body and its styles]
    #[arg(long, value_name = "FILE")]
    vgg: Option<String>,
    /// Long side of the style pictures in pixels: larger strokes when larger [default: 256, or 384 for a body and its styles]
    #[arg(long, value_name = "PX")]
    style_size: Option<usize>,
    /// Weight of the style loss [default: 2]
    #[arg(long, value_name = "W")]
    style_weight: Option<f32>,
    /// Weight of the content loss [default: 1, or 5 for a body and its styles]
    #[arg(long, value_name = "W")]
    content_weight: Option<f32>,
    /// Weight of the total variation: smooths [default: 0.5, or 0.1 for a body and its styles]
    #[arg(long, value_name = "W")]
    tv_weight: Option<f32>,
    /// A tap for content, such as relu3_1 or relu2_1:0.5; may be given again [default: relu2_2 relu3_1, or relu3_1 for
    /// a body and its styles]
    #[arg(long, value_name = "TAP[:WEIGHT]")]
    content_tap: Vec<String>,
    /// A tap for style; may be given again [default: relu1_1 relu2_1 relu3_1 relu4_1]
    #[arg(long, value_name = "TAP[:WEIGHT]")]
    style_tap: Vec<String>,
    /// The photo that samples are painted of [default: three of the photos]
    #[arg(long, value_name = "PHOTO")]
    preview: Option<PathBuf>,
}

/// And of a new one how wide it is, and what it starts from.
#[derive(clap::Args)]
pub struct NetArgs {
    #[command(flatten)]
    pub loss: LossArgs,
    /// Channels over the paper's 32 [default: 1, or 0.5 for a body]
    #[arg(long, value_name = "F")]
    width: Option<f32>,
    /// A net of the same form and norm to start from; channels are added to one that is narrower
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
}

/// The net's form, on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum FormName {
    /// The paper's: reflection round the picture, transposed convolutions, tanh
    Paper,
    /// Reflection at every convolution, nearest-neighbour ×2 and a convolution: no checkerboards
    Resize,
}

/// Long side of a preview in pixels.
const PREVIEW_SIZE: usize = 512;

/// What a feed-forward trainer recommends, and what it learns.
pub struct Lessons<'a> {
    pub defaults: Defaults,
    /// Without the crops, which the arguments and `defaults` say.
    pub settings: Settings,
    /// What the net starts as.
    pub weights: Weights,
    /// The net that measures, if none is named or imported.
    pub vgg: &'a str,
    /// The pictures whose styles are learned, in the order of the net's.
    pub styles: Vec<PathBuf>,
    /// The body of which a style is kept, instead of the whole net.
    pub style_of: Option<String>,
}

// The first gradients are a thousand times those that follow; unclipped, Adam's second moments would be slow for as long as they
// remember them. Later a flat crop now and then makes one as large.
pub const CLIP: Option<f32> = Some(10.0);

pub fn run(args: &Args, norm: Over) -> Result<()> {
    let settings = Settings::default();
    let defaults = Defaults {
        steps: 4000,
        batch: 4,
        learning_rate: 1e-3,
        schedule: Schedule::Cosine { warmup: 20 },
        clip: CLIP,
        crop: settings.crops.size,
    };
    let form = match args.form {
        FormName::Paper => Form::Paper,
        FormName::Resize => Form::Resize,
    };
    args.training.check(&defaults, NET)?;
    let weights = args.net.start((form, norm, 1.0), &[], args.training.seed)?;
    let lessons =
        Lessons { defaults, settings, weights, vgg: "compact", styles: vec![args.style.clone()], style_of: None };
    learn(&args.net.loss, &args.training, lessons)
}

impl LossArgs {
    fn settings(&self, crops: Crops, defaults: Settings) -> Result<Settings> {
        let weight = |name, given: Option<f32>, default| match given.unwrap_or(default) {
            weight if weight >= 0.0 && weight.is_finite() => Ok(weight),
            weight => Err(Error::argument("train", name, "a number from 0 up", weight)),
        };
        let taps_or = |given: &[String], default| if given.is_empty() { Ok(default) } else { taps(given) };
        Ok(Settings {
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
    /// The weights that a net of that form, norm and usual width starts from, in the styles of these names, if it has many.
    pub fn start(&self, (form, norm, usual): (Form, Over, f32), names: &[String], seed: u64) -> Result<Weights> {
        let width = self.width.unwrap_or(usual);
        if !(width > 0.0 && width <= 4.0) {
            return Err(Error::argument("train", "--width", "above 0, at most 4", width));
        }
        let mut weights = Weights::random(form, norm, width, seed);
        if let Some(path) = &self.init {
            let init = Weights::of(&WeightFile::load(path)?)?;
            if (init.form, init.norm) != (form, norm) || init.channels > weights.channels {
                let expected =
                    format!("a net of form {form:?}, {norm:?} norm and at most {} channels", weights.channels);
                let got = format!("{:?}, {:?} and {}", init.form, init.norm, init.channels);
                return Err(Error::argument("train", "--init", expected, got));
            }
            if !init.styles.is_empty() && names.is_empty() {
                let got = format!("one of {}", init.styles.join(", "));
                return Err(Error::argument("train", "--init", "a net of one style", got));
            }
            if init.channels < weights.channels {
                tracing::info!("{} of {} channels are new", weights.channels - init.channels, weights.channels);
            }
            weights = init.widened(width, seed)?;
        }
        if names.is_empty() { Ok(weights) } else { weights.with_styles(names) }
    }
}

/// Trains a net in one style or in many, and writes it.
pub fn learn(args: &LossArgs, training: &LoopArgs, lessons: Lessons) -> Result<()> {
    let Lessons { defaults, weights, style_of, .. } = lessons;
    let settings = args.settings(training.crops(&defaults), lessons.settings)?;
    let folder = training.pictures(&args.photos)?;
    let styles = lessons.styles.iter().map(|path| Picture::load(path)).collect::<Result<Vec<_>>>()?;
    let preview = args.preview.as_deref().map(Picture::load).transpose()?;
    let preview = preview.map(|photo| photo.fit(PREVIEW_SIZE.min(photo.width.max(photo.height))));
    let context = training.device.open()?;
    let vgg = Vgg19::new(&context, &find_vgg(args.vgg.as_deref(), lessons.vgg)?, Kind::Max)?;
    let (pictures, style_size) = (folder.len(), settings.style_size);
    let (width, is_body) = (weights.channels as f32 / 32.0, !weights.styles.is_empty());
    let spinner = spinner();
    spinner.set_message("the unit of content");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let lesson = FeedForward::new(vgg, weights, &styles, folder, settings, preview);
    spinner.finish_and_clear();
    let lesson = lesson?;
    tracing::info!(parameters = lesson.parameters().iter().map(|p| p.value.shape().count()).sum::<usize>(), "start");
    let (losses, style) = (lesson.losses(), lessons.styles.iter().map(|path| file_name(path)).collect::<Vec<_>>());
    // What a net of one style has a body has a list of.
    let text = |text: serde_json::Result<String>| text.map_err(|error| Error::argument("train", "loss", "JSON", error));
    let (loss, style) = match is_body {
        true => (text(serde_json::to_string(&losses))?, serde_json::json!(style).to_string()),
        false => (text(serde_json::to_string(&losses[0]))?, style[0].clone()),
    };
    teach(training, &context, &lesson, &defaults, || {
        let weights = lesson.weights()?;
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
            ("measured_by".to_string(), vgg_name(args.vgg.as_deref(), lessons.vgg)),
        ]);
        Ok((tensors, metadata))
    })
}
