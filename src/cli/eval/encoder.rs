//! `impasto eval encoder`

use std::collections::BTreeMap;
use std::path::PathBuf;

use impasto::eval::encoder;
use impasto::io::{Picture, WeightFile};
use impasto::methods::gatys::{GatysSettings, Preset};
use impasto::nets::{Tap, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::sheet::{self, Cell, stem};
use impasto::{Error, Result};

use super::Photos;
use crate::cli::outputs::Overwrite;
use crate::cli::progress::bar;
use crate::cli::weights::load_vgg;
use crate::cli::{DeviceArgs, print_line};

/// Arguments of `impasto eval encoder`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto eval encoder --teacher vgg19.pth --photos photos/ --hold-out 20
  impasto eval encoder --teacher vgg19.pth --encoder mine.safetensors --photos photos/ --json
  impasto eval encoder --teacher vgg19.pth --photos photos/ --styles paintings/ --pairs 10

The first table compares the encoder's features at each tap with the teacher's. Rows: `given` are the encoder's own \
channels, if it has as many as the teacher; `lifted` are its channels after a 1x1 convolution and a ReLU that map them \
to the teacher's. This convolution is fitted to one half of the pictures and measured on the other, both ways.
  correlation: over all channels, each divided by its standard deviation.
  raw: over all channels, not divided.
  by channel: mean of the correlations of single channels.
  relative error: norm of the difference over the norm of the teacher's features, each channel divided by its standard \
deviation.

--pairs paints photos with Gatys' method twice, with the encoder and with the teacher, and measures both results with \
the teacher. `removed` is the share of the way from the photo's style loss to that of the teacher's result which the \
encoder's result covers, on a logarithmic scale.")]
pub struct Args {
    /// The original VGG-19 (.safetensors or .pth)
    #[arg(long, value_name = "VGG")]
    teacher: PathBuf,
    /// Encoder: a file (.safetensors, .pth), or an included encoder (`half`, `fast`, `compact`)
    #[arg(long, value_name = "FILE", default_value = "compact")]
    encoder: String,
    #[command(flatten)]
    photos: Photos,
    /// Use at most N pictures of each folder [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Folders of style pictures for --pairs
    #[arg(long, value_name = "DIR", num_args = 1..)]
    styles: Vec<PathBuf>,
    /// Number of pairs of photo and style to paint with both nets
    #[arg(long, value_name = "N", default_value_t = 0, requires = "styles")]
    pairs: usize,
    /// Long side of the painted pictures in pixels
    #[arg(long, value_name = "PX", default_value_t = 192)]
    pair_size: usize,
    /// Evaluations of loss and gradient for each painted picture
    #[arg(long, value_name = "N", default_value_t = 100)]
    steps: usize,
    /// Weight of the style loss for --pairs; the content loss has weight 1 [default: that of `stylize`, 30]
    #[arg(long, value_name = "W")]
    style_weight: Option<f32>,
    /// Write a contact sheet for each pair: photo, style, result with the encoder, result with the teacher
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &Args) -> Result<()> {
    let photos = args.photos.files(&args.photos.folders.photos, args.limit)?;
    let styles = if args.pairs > 0 { args.photos.files(&args.styles, args.limit)? } else { Vec::new() };
    let size = args.photos.size;
    if let Some(folder) = &args.pictures {
        args.overwrite.check_folder(folder)?;
    }
    let context = args.device.open()?;
    let teacher = Vgg19::load(&context, &WeightFile::load(&args.teacher)?, Pooling::Max)?;
    let narrow = load_vgg(&context, Some(&args.encoder), Pooling::Max)?;
    let taps: Vec<Tap> = Tap::style().collect();
    let least = taps.iter().map(|tap| narrow.least_side(*tap).max(teacher.least_side(*tap))).max().unwrap_or(1);
    if size < least {
        return Err(Error::argument("eval", "--size", format!("at least {least} px"), size));
    }
    let progress = bar(photos.len() as u64).with_message("pictures");
    let pictures = photos.iter().map(|path| args.photos.middle(path));
    let agreements = encoder::features(&narrow, &teacher, &taps, pictures, || progress.inc(1))?;
    progress.finish_and_clear();

    let mut settings =
        GatysSettings { size: args.pair_size, steps: args.steps, scales: Some(1), ..Preset::Default.settings() };
    settings.style_weight = args.style_weight.unwrap_or(settings.style_weight);
    let progress = bar(args.pairs as u64).with_message("pairs");
    let mut services = Vec::new();
    for pair in 0..args.pairs {
        // Pairs are spread over the lists, so that they differ.
        let photo = &photos[pair * photos.len() / args.pairs];
        let style = &styles[pair * styles.len() / args.pairs];
        let [content, painting] = [Picture::load(photo)?, Picture::load(style)?];
        let service = encoder::service(&narrow, &teacher, &content, &painting, &settings)?;
        if let Some(folder) = &args.pictures {
            let name = format!("{pair:02}-{}-{}.png", stem(photo), stem(style));
            let [a, b] = service.pictures.clone();
            let pictures =
                [(content, stem(photo)), (painting, stem(style)), (a, "the encoder".into()), (b, "the teacher".into())];
            let cells = pictures.map(|(picture, caption)| Cell::picture(&picture, args.pair_size, caption));
            sheet::sheet(&[cells.to_vec()])?.save(&folder.join(name))?;
        }
        services.push((photo.clone(), style.clone(), service));
        progress.inc(1);
    }
    progress.finish_and_clear();

    if args.json {
        let pairs: Vec<_> = services
            .iter()
            .map(|(photo, style, service)| {
                serde_json::json!({
                    "photo": photo, "style": style, "removed": service.removed(),
                    "style_loss": service.style, "content_loss": service.content,
                    "terms": service.terms.iter().cloned().collect::<BTreeMap<_, _>>(),
                })
            })
            .collect();
        return print_line(serde_json::json!({
            "pictures": photos.len(), "taps": agreements, "pairs": pairs, "device": context.name(),
        }));
    }
    print_line(format_args!("{} pictures at {size} x {size} px", photos.len()))?;
    print_line("tap             correlation     raw  by channel  relative error")?;
    for at in &agreements {
        for (how, quality) in [("given", at.given), ("lifted", Some(at.lifted))] {
            let Some(quality) = quality else { continue };
            print_line(format_args!(
                "{:8} {how:6} {:11.4} {:7.4} {:11.4} {:15.4}",
                at.tap,
                quality.correlation,
                quality.raw_correlation,
                quality.channel_correlation,
                quality.relative_error
            ))?;
        }
    }
    if !services.is_empty() {
        print_line(
            "\npair                            style loss: photo  encoder  teacher  removed   content: encoder  \
             teacher",
        )?;
        for (photo, style, service) in &services {
            print_line(format_args!(
                "{:31} {:17.3} {:8.4} {:8.4} {:7.1}% {:18.4} {:8.4}",
                format!("{} x {}", stem(photo), stem(style)),
                service.style[0],
                service.style[1],
                service.style[2],
                100.0 * service.removed(),
                service.content[1],
                service.content[2]
            ))?;
        }
        let mean = services.iter().map(|(_, _, service)| service.removed()).sum::<f64>() / services.len() as f64;
        let least = services.iter().map(|(_, _, service)| service.removed()).fold(f64::INFINITY, f64::min);
        print_line(format_args!("removed: {:.1}% on average, {:.1}% at least", 100.0 * mean, 100.0 * least))?;
    }
    Ok(())
}
