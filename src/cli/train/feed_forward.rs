//! `impasto train johnson` and `impasto train ulyanov`

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use impasto::io::{Picture, WeightFile};
use impasto::nets::image_transform_net::{Form, Weights};
use impasto::ops::norm::Over;
use impasto::ops::pool::Kind;
use impasto::train::feed_forward::{FeedForward, Settings};
use impasto::train::{Lesson as _, Schedule};
use impasto::{Error, Result};

use super::{Defaults, LoopArgs, teach};
use crate::cli::progress::spinner;
use crate::cli::stylize::taps;
use crate::cli::weights::load_vgg;

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
    /// A folder of photos to learn on; may be given again, or several at once
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    photos: Vec<PathBuf>,
    /// How the net enlarges, and what it does at borders
    #[arg(long, value_enum, default_value = "resize")]
    form: FormName,
    /// Channels over the paper's 32
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    width: f32,
    /// A net of the same form and norm to start from; channels are added to one that is narrower
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// The net that measures: VGG-19 weights (.safetensors, .pth), `compact` or `random[:WIDTH]` [default: the imported
    /// ones, else `compact`]
    #[arg(long, value_name = "FILE")]
    vgg: Option<String>,
    /// Long side of the style picture in pixels: larger strokes when larger
    #[arg(long, value_name = "PX", default_value_t = Settings::default().style_size)]
    style_size: usize,
    /// Weight of the style loss
    #[arg(long, value_name = "W", default_value_t = Settings::default().style_weight)]
    style_weight: f32,
    /// Weight of the content loss
    #[arg(long, value_name = "W", default_value_t = Settings::default().content_weight)]
    content_weight: f32,
    /// Weight of the total variation: smooths
    #[arg(long, value_name = "W", default_value_t = Settings::default().tv_weight)]
    tv_weight: f32,
    /// A tap for content, such as relu3_1 or relu2_1:0.5; may be given again [default: relu2_2 relu3_1]
    #[arg(long, value_name = "TAP[:WEIGHT]")]
    content_tap: Vec<String>,
    /// A tap for style; may be given again [default: relu1_1 relu2_1 relu3_1 relu4_1]
    #[arg(long, value_name = "TAP[:WEIGHT]")]
    style_tap: Vec<String>,
    /// The photo that samples are painted of [default: three of the photos]
    #[arg(long, value_name = "PHOTO")]
    preview: Option<PathBuf>,
    #[command(flatten)]
    training: LoopArgs,
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

pub fn run(args: &Args, norm: Over) -> Result<()> {
    let crops = Settings::default().crops;
    // The first gradients are a thousand times those that follow; unclipped, Adam's second moments would be slow for as long
    // as they remember them. Later a flat crop now and then makes one as large.
    let defaults = Defaults {
        steps: 4000,
        batch: 4,
        learning_rate: 1e-3,
        schedule: Schedule::Cosine { warmup: 20 },
        clip: Some(10.0),
        crop: crops.size,
    };
    args.training.check(&defaults)?;
    if !(args.width > 0.0 && args.width <= 4.0) {
        return Err(Error::argument("train", "--width", "above 0, at most 4", args.width));
    }
    for (name, weight) in [
        ("--style-weight", args.style_weight),
        ("--content-weight", args.content_weight),
        ("--tv-weight", args.tv_weight),
    ] {
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(Error::argument("train", name, "a number from 0 up", weight));
        }
    }
    let folder = args.training.pictures(&args.photos)?;
    let style = Picture::load(&args.style)?;
    let preview = args.preview.as_deref().map(Picture::load).transpose()?;
    let preview = preview.map(|photo| photo.fit(PREVIEW_SIZE.min(photo.width.max(photo.height))));
    let form = match args.form {
        FormName::Paper => Form::Paper,
        FormName::Resize => Form::Resize,
    };
    let mut weights = Weights::random(form, norm, args.width, args.training.seed);
    if let Some(path) = &args.init {
        let init = Weights::of(&WeightFile::load(path)?)?;
        if (init.form, init.norm) != (form, norm) || init.channels > weights.channels {
            let expected = format!("a net of form {form:?}, {norm:?} norm and at most {} channels", weights.channels);
            let got = format!("{:?}, {:?} and {}", init.form, init.norm, init.channels);
            return Err(Error::argument("train", "--init", expected, got));
        }
        if init.channels < weights.channels {
            tracing::info!("{} of {} channels are new", weights.channels - init.channels, weights.channels);
        }
        weights = init.widened(args.width, args.training.seed)?;
    }
    let context = args.training.device.open()?;
    let vgg = load_vgg(&context, args.vgg.as_deref(), Kind::Max)?;
    let defaults_of = Settings::default();
    let or = |given: &[String], default| if given.is_empty() { Ok(default) } else { taps(given) };
    let settings = Settings {
        crops: args.training.crops(&defaults),
        content_taps: or(&args.content_tap, defaults_of.content_taps)?,
        style_taps: or(&args.style_tap, defaults_of.style_taps)?,
        content_weight: args.content_weight,
        style_weight: args.style_weight,
        tv_weight: args.tv_weight,
        style_size: args.style_size,
        ..defaults_of
    };
    let pictures = folder.len();
    let spinner = spinner();
    spinner.set_message("the unit of content");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let lesson = FeedForward::new(vgg, weights, &style, folder, settings, preview);
    spinner.finish_and_clear();
    let lesson = lesson?;
    tracing::info!(parameters = lesson.parameters().iter().map(|p| p.value.shape().count()).sum::<usize>(), "start");
    let loss = serde_json::to_string(lesson.loss()).map_err(|error| Error::argument("train", "loss", "JSON", error))?;
    teach(&args.training, &context, &lesson, &defaults, || {
        let weights = lesson.weights()?;
        let file = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut metadata: std::collections::BTreeMap<_, _> =
            weights.metadata().into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        metadata.extend([
            ("width".to_string(), args.width.to_string()),
            ("style".to_string(), file(&args.style)),
            ("style_size".to_string(), args.style_size.to_string()),
            ("trained_on".to_string(), format!("{pictures} photos")),
            ("loss".to_string(), loss.clone()),
            ("measured_by".to_string(), args.vgg.clone().map_or("default".into(), |name| file(&name.into()))),
        ]);
        Ok((weights.tensors, metadata))
    })
}
