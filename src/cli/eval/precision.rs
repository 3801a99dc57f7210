//! `impasto eval precision`

use std::ops::ControlFlow;
use std::path::PathBuf;

use impasto::eval::{median, signal_to_noise};
use impasto::gpu::Context;
use impasto::io::Picture;
use impasto::methods::gatys::{self, GatysSettings};
use impasto::nets::adain_painter::AdainPainter;
use impasto::nets::image_transform_net::{ImageTransformNet, ImageTransformNetWeights, Painter};
use impasto::ops::pool::Pooling;
use impasto::weights::PAIRS;
use impasto::{Error, Result};

use super::Photos;
use crate::cli::models;
use crate::cli::progress::bar;
use crate::cli::weights::{load_pair, load_vgg};
use crate::cli::{DeviceArgs, open as open_context, print_line};

/// Arguments of `impasto eval precision`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto eval precision --photos photos/ --style painting.jpg
  impasto eval precision --photos photos/ --style painting.jpg --model scream --vgg half --json

Paints each photo with each method in f32, in f16 and, if the adapter has cooperative matrices, in f16-matrix. \
Columns, compared with f32:
  PSNR: median peak signal-to-noise ratio in dB. Above 48 dB the pictures differ by less than one of 255 steps on \
average.
  least: the smallest PSNR of all photos.
  difference: the largest difference of a colour value, in steps of 1/255.
  f32 MB, MB: planned device memory in f32 and in this precision.
  loss: the loss over that in f32, for Gatys' method. After a small difference its iterations diverge, so that the \
loss tells more than the PSNR.")]
pub struct Args {
    #[command(flatten)]
    photos: Photos,
    /// Style picture for AdaIN and Gatys' method
    #[arg(long, value_name = "PICTURE")]
    style: PathBuf,
    /// Trained net: a name that `impasto models` lists, or a file; BODY:STYLE chooses a style of a body; may be
    /// repeated
    #[arg(long, value_name = "NAME|FILE[:STYLE]", default_values = ["mosaic-batch", "wave"])]
    model: Vec<String>,
    /// VGG-19 for Gatys' method: a file (.safetensors, .pth), or an included encoder (`half`, `fast`, `compact`)
    #[arg(long, value_name = "FILE", default_value = "compact")]
    vgg: String,
    /// Use at most N photos of each folder
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Evaluations of loss and gradient by Gatys' method
    #[arg(long, value_name = "N", default_value_t = 50)]
    steps: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The result of a method for a photo.
struct Painted {
    picture: Picture,
    peak_bytes: u64,
    /// The loss, for Gatys' method only.
    loss: Option<f64>,
}

/// A row of the table: the results of a method in one precision compared with f32, over all photos.
#[derive(serde::Serialize)]
struct Line {
    method: String,
    precision: &'static str,
    /// The median and the smallest, in dB.
    psnr: [f64; 2],
    /// The largest difference of all colour values, in steps of 1/255.
    largest_difference: f64,
    /// Planned device memory in f32 and in this precision.
    peak_bytes: [u64; 2],
    /// Median of the loss over that in f32.
    loss_ratio: Option<f64>,
}

impl Line {
    /// Compares the results of all photos in f32 (`wholes`) and in another precision (`others`).
    fn of(method: &str, precision: &'static str, wholes: &[Painted], others: &[Painted]) -> Self {
        let pairs = || wholes.iter().zip(others);
        let psnr: Vec<f64> = pairs().map(|(whole, other)| signal_to_noise(&other.picture, &whole.picture)).collect();
        let differences = pairs().flat_map(|(whole, other)| whole.picture.rgb.iter().zip(&other.picture.rgb));
        let losses: Option<Vec<f64>> = pairs().map(|(whole, other)| Some(other.loss? / whole.loss?)).collect();
        let peak = |painted: &[Painted]| painted.iter().map(|one| one.peak_bytes).max().unwrap_or(0);
        Line {
            method: method.into(),
            precision,
            psnr: [median(psnr.clone()), psnr.iter().copied().fold(f64::INFINITY, f64::min)],
            largest_difference: differences.map(|(a, b)| f64::from((a - b).abs()) * 255.0).fold(0.0, f64::max),
            peak_bytes: [peak(wholes), peak(others)],
            loss_ratio: losses.map(median),
        }
    }

    fn text(&self) -> String {
        let [whole, other] = self.peak_bytes.map(|bytes| bytes as f64 / 1e6);
        let loss = self.loss_ratio.map_or("-".into(), |ratio| format!("{ratio:.4}"));
        let [middle, least] = self.psnr;
        format!(
            "{:20} {:12} {middle:9.1} {least:9.1} {:11.2} {whole:9.1} {other:9.1} {loss:>9}",
            self.method, self.precision, self.largest_difference
        )
    }
}

pub fn run(args: &Args) -> Result<()> {
    let files = args.photos.files(&args.photos.folders.photos, Some(args.limit))?;
    if files.is_empty() {
        return Err(Error::argument("eval", "photos", "at least one picture", "none"));
    }
    let photos = files.iter().map(|path| args.photos.middle(path)).collect::<Result<Vec<_>>>()?;
    let style = Picture::load(&args.style)?;
    let open = |precision: &str| open_context(args.device.options().in_precision(precision)?);
    let mut contexts = vec![open("f32")?, open("f16")?];
    match open("f16-matrix") {
        Ok(context) if context.matrices().is_some() => contexts.push(context),
        Ok(_) => {}
        Err(error) => tracing::info!("{error}"),
    }
    let progress = bar((contexts.len() * photos.len() * (args.model.len() + 2)) as u64).with_message("pictures");
    // The rows of a method: paints every photo in each context, and compares with the first context.
    let all = |method: &str, paint: &dyn Fn(&Context) -> Result<Vec<Painted>>| -> Result<Vec<Line>> {
        let whole = paint(&contexts[0])?;
        let others = contexts[1..].iter();
        others.map(|context| Ok(Line::of(method, context.precision_name(), &whole, &paint(context)?))).collect()
    };
    let each = |paint: &mut dyn FnMut(&Picture) -> Result<Painted>| -> Result<Vec<Painted>> {
        photos.iter().map(|photo| paint(photo).inspect(|_| progress.inc(1))).collect()
    };
    let mut lines = Vec::new();
    for model in &args.model {
        let weights = ImageTransformNetWeights::of(&models::find("eval", "--model", std::slice::from_ref(model))?)?;
        lines.extend(all(model, &|context| {
            let mut painter = Painter::new(ImageTransformNet::new(context, weights.clone())?);
            each(&mut |photo| {
                let peak_bytes = painter.plan(photo.width, photo.height)?.peak_bytes();
                Ok(Painted { picture: painter.paint(photo)?, peak_bytes, loss: None })
            })
        })?);
    }
    lines.extend(all("AdaIN", &|context| {
        let (encoder, decoder) = load_pair(context, None, PAIRS[0].name)?;
        let mut painter = AdainPainter::new(&encoder, decoder)?;
        let region = painter.style(&style.fit(args.photos.size))?.into();
        each(&mut |photo| {
            let peak_bytes = painter.plan(photo.width, photo.height, 1)?.peak_bytes();
            Ok(Painted { picture: painter.paint(photo, std::slice::from_ref(&region))?, peak_bytes, loss: None })
        })
    })?);
    lines.extend(all("Gatys", &|context| {
        let vgg = load_vgg(context, Some(&args.vgg), Pooling::Max)?;
        let default = GatysSettings::default();
        let settings = GatysSettings { size: args.photos.size, scales: Some(1), steps: args.steps, ..default };
        each(&mut |photo| {
            let done =
                gatys::stylize(&vgg, photo, &[style.clone().into()], &settings, |_| Ok(ControlFlow::Continue(())))?;
            Ok(Painted { picture: done.picture, peak_bytes: done.peak_bytes, loss: Some(done.loss[1]) })
        })
    })?);
    progress.finish_and_clear();
    let size = args.photos.size;
    if args.json {
        return print_line(serde_json::json!({
            "size": size, "photos": photos.len(), "steps": args.steps, "methods": lines, "device": contexts[0].name(),
        }));
    }
    let count = photos.len();
    print_line(format_args!(
        "{count} photos at {size} x {size} px, against f32; Gatys with {} evaluations",
        args.steps
    ))?;
    let headings = ["PSNR dB", "least", "f32 MB", "MB", "loss"].map(|heading| format!("{heading:>9}"));
    let [psnr, least, whole, other, loss] = headings;
    print_line(format_args!("{:33} {psnr} {least}  difference {whole} {other} {loss}", ""))?;
    lines.iter().try_for_each(|line| print_line(line.text()))
}
