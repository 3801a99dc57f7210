//! `impasto eval adain`

use std::path::{Path, PathBuf};

use impasto::eval::adain::{Teacher, reconstruction};
use impasto::eval::scores::{Measured, Scores};
use impasto::eval::{median, ssim};
use impasto::nets::adain_painter::Region;
use impasto::nets::{AdainDecoder, AdainPainter, Tap, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::sheet::{self, Cell, stem};
use impasto::{Error, Result};
use serde_json::{Map, Value, json};

use super::Photos;
use super::standing::{EXPLANATION, HEADINGS, Standing, Unit};
use crate::cli::file_name;
use crate::cli::outputs::Overwrite;
use crate::cli::progress::bar;
use crate::cli::table::{Table, print_table};
use crate::cli::weights::{load_pair, load_vgg};
use crate::cli::{DeviceArgs, print_line};

/// Arguments of `impasto eval adain`.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  impasto eval adain --teacher vgg19.pth --photos photos/ --paintings paintings/ --hold-out 20
  impasto eval adain --teacher vgg19.pth --photos photos/ --paintings paintings/ --pictures out/
  impasto eval adain --teacher vgg19.pth --photos a/ --paintings b/ --beside-decoder adain-fast

Paints every photo in the style of every painting, and measures the results with the teacher. The unchanged photos and \
paintings are measured too, for reference: the photo has none of the style, the painting none of the photo's content.

{EXPLANATION}
  worst quarter: the style distance of a painting is its median over the photos; this column is the mean over the \
quarter of the paintings (rounded up) where it is largest. A second table lists all paintings, the worst first.
  reconstruction: peak signal-to-noise ratio of a photo painted with itself as the style, in dB.

In JSON, `ends` has the figures of the photos and the paintings, `worst_quarter` and `paintings` those of the worst \
quarter and of each painting. -v prints the figures of each picture, too.

A teacher favours the pair that was trained with it."))]
pub struct Args {
    #[command(flatten)]
    photos: Photos,
    /// Folders of paintings
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    paintings: Vec<PathBuf>,
    /// Use at most N photos of each folder
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Use at most N paintings of each folder
    #[arg(long, value_name = "N", default_value_t = 10)]
    style_limit: usize,
    /// VGG-19 that measures the results: a file (.safetensors, .pth), preferably in the normalised convention, or an
    /// included encoder (`half`, `fast`, `compact`)
    #[arg(long, value_name = "FILE")]
    teacher: String,
    /// Encoder: a file (.safetensors, .pth) or an included encoder [default: the included encoder that fits the
    /// decoder]
    #[arg(long, value_name = "FILE")]
    encoder: Option<String>,
    /// Decoder: a file, or one of the included decoders `adain` and `adain-fast`
    #[arg(long, value_name = "FILE", default_value = "adain")]
    decoder: String,
    /// Encoder of a second pair [default: --encoder, else the included encoder that fits its decoder]
    #[arg(long, value_name = "FILE", requires = "beside_decoder")]
    beside_encoder: Option<String>,
    /// Decoder of a second pair, for comparison
    #[arg(long, value_name = "FILE")]
    beside_decoder: Option<String>,
    /// Write all results to the contact sheet DIR/adain.png, with style distance and SSIM: a row for each photo, a
    /// column for each painting, and the second pair's results to the right of the first's
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Print JSON, with the figures of each picture
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// A pair of encoder and decoder, and its figures.
struct Pair {
    /// The encoder's name, if the user gave one.
    encoder: Option<String>,
    decoder: String,
    painter: AdainPainter,
    /// The style of each painting.
    styles: Vec<Region>,
    standing: Standing,
    /// Signal-to-noise ratio of each photo painted with itself as the style, in dB.
    reconstructions: Vec<f64>,
}

impl Pair {
    fn new(nets: (&Vgg19, AdainDecoder), encoder: Option<&String>, decoder: &str) -> Result<Self> {
        let painter = AdainPainter::new(nets.0, nets.1)?;
        let (encoder, decoder) = (encoder.map(|name| file_name(Path::new(name))), file_name(Path::new(decoder)));
        let standing = Standing::new(Unit::Painting);
        Ok(Pair { encoder, decoder, painter, styles: Vec::new(), standing, reconstructions: Vec::new() })
    }

    fn name(&self) -> String {
        match &self.encoder {
            Some(encoder) => format!("{encoder} with {}", self.decoder),
            None => self.decoder.clone(),
        }
    }

    fn reconstruction(&self) -> f64 {
        median(self.reconstructions.clone())
    }

    /// The reconstruction of the photo of each picture.
    fn each_reconstruction(&self) -> impl Iterator<Item = f64> {
        self.reconstructions.iter().flat_map(|db| std::iter::repeat_n(*db, self.styles.len()))
    }

    fn results(&self) -> Value {
        let mut results = self.standing.results();
        for (picture, db) in self.each_reconstruction().enumerate() {
            results["pictures"][picture]["reconstruction_db"] = json!(db);
        }
        results["median"]["reconstruction_db"] = json!(self.reconstruction());
        results["encoder"] = json!(self.encoder);
        results["decoder"] = json!(self.decoder);
        results
    }
}

/// The first pair's figures divided by the second's.
#[derive(serde::Serialize)]
struct Ratio {
    style_distance: f64,
    worst_quarter: f64,
    content_distance: f64,
    ssim: f64,
    mesh: f64,
    /// The difference, because decibels are logarithms.
    reconstruction_db: f64,
}

impl Ratio {
    fn of(first: &Pair, second: &Pair) -> Self {
        let [a, b] = [first, second].map(|pair| pair.standing.median());
        let [worst_a, worst_b] = [first, second].map(|pair| pair.standing.worst_quarter());
        Ratio {
            style_distance: a.style_distance / b.style_distance,
            worst_quarter: worst_a / worst_b,
            content_distance: a.content_distance / b.content_distance,
            ssim: a.ssim / b.ssim,
            mesh: a.mesh.strength() / b.mesh.strength(),
            reconstruction_db: first.reconstruction() - second.reconstruction(),
        }
    }

    fn line(&self) -> Vec<String> {
        let Ratio { style_distance, worst_quarter, content_distance, ssim, mesh, .. } = self;
        let ratios = [style_distance, worst_quarter, content_distance, ssim].map(|ratio| format!("{ratio:.4}"));
        let last = [format!("{mesh:.3}"), format!("{:.2}", self.reconstruction_db)];
        ["first over second (dB: difference)".to_string()].into_iter().chain(ratios).chain(last).collect()
    }
}

pub fn run(args: &Args) -> Result<()> {
    let size = args.photos.size;
    let photos = args.photos.files(&args.photos.folders.photos, Some(args.limit))?;
    let paintings = args.photos.files(&args.paintings, Some(args.style_limit))?;
    for (what, files) in [("photos", &photos), ("paintings", &paintings)] {
        if files.is_empty() {
            return Err(Error::argument("eval", what, "at least one picture", "none"));
        }
    }
    let context = args.device.open()?;
    let teacher = load_vgg(&context, Some(&args.teacher), Pooling::Max)?;
    let beside =
        args.beside_decoder.as_ref().map(|decoder| (args.beside_encoder.as_ref().or(args.encoder.as_ref()), decoder));
    let chosen: Vec<_> = [(args.encoder.as_ref(), &args.decoder)].into_iter().chain(beside).collect();
    let loaded = chosen.iter().map(|(encoder, decoder)| load_pair(&context, encoder.map(String::as_str), decoder));
    let (encoders, decoders): (Vec<_>, Vec<_>) = loaded.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let pairs = encoders.iter().zip(decoders).zip(&chosen);
    let pairs = pairs.map(|(nets, (encoder, decoder))| Pair::new(nets, *encoder, decoder));
    let mut pairs = pairs.collect::<Result<Vec<_>>>()?;
    let least = encoders.iter().chain([&teacher]).map(|net| net.least_side(Tap::RELU4_1)).chain([ssim::WINDOW]).max();
    let least = least.unwrap_or(1);
    if size < least {
        return Err(Error::argument("eval", "--size", format!("at least {least} px"), size));
    }
    if let Some(folder) = &args.pictures {
        args.overwrite.check_folder(folder)?;
    }

    let meter = Teacher::new(&teacher, size, size)?;
    let several = pairs.len() > 1;
    let mut goals: Vec<(Measured, String)> = Vec::new();
    let mut sheet = vec![vec![Cell::words(["AdaIN", "paintings across", "photos down", "style distance, SSIM"])]];
    for path in &paintings {
        let painting = args.photos.middle(path)?;
        for pair in &mut pairs {
            let decoder = stem(Path::new(&pair.decoder));
            let caption = if several { format!("{}, {decoder}", stem(path)) } else { stem(path) };
            sheet[0].push(Cell::head(&painting, size, caption));
            pair.styles.push(pair.painter.style(&painting)?.into());
        }
        goals.push((Measured::by(&meter, painting)?, stem(path)));
    }
    let [mut as_photo, mut as_painting] = [Unit::Painting; 2].map(Standing::new);
    let progress = bar((photos.len() * paintings.len() * pairs.len()) as u64).with_message("pictures");
    for (index, path) in photos.iter().enumerate() {
        let (photo, name) = (Measured::by(&meter, args.photos.middle(path)?)?, stem(path));
        for pair in &mut pairs {
            pair.reconstructions.push(reconstruction(&mut pair.painter, &photo.picture)?);
        }
        let mut row = vec![Cell::picture(&photo.picture, size, &name)];
        for (number, (goal, title)) in goals.iter().enumerate() {
            let (from, to) = ((index, name.as_str()), (number, title.as_str()));
            let scores = |seen: &Measured| Scores::of(seen, &photo, &goal.features);
            as_photo.push(from, to, scores(&photo)?);
            as_painting.push(from, to, scores(goal)?);
            for pair in &mut pairs {
                let style = std::slice::from_ref(&pair.styles[number]);
                let painted = Measured::by(&meter, pair.painter.paint(&photo.picture, style)?)?;
                let scores = scores(&painted)?;
                let caption = format!("{:.2}, {:.2}", scores.style_distance, scores.ssim);
                row.push(Cell::picture(&painted.picture, size, caption));
                pair.standing.push(from, to, scores);
                progress.inc(1);
            }
        }
        // Keeps the pictures in memory only if they are written.
        if args.pictures.is_some() {
            sheet.push(row);
        }
    }
    progress.finish_and_clear();
    if let Some(folder) = &args.pictures {
        sheet::sheet(&sheet)?.save(&folder.join("adain.png"))?;
    }

    let ratio = (pairs.len() == 2).then(|| Ratio::of(&pairs[0], &pairs[1]));
    let ends = [("photo", &as_photo), ("painting", &as_painting)];
    if args.json {
        let ends = ends.map(|(end, standing)| (end.to_string(), standing.results()));
        return print_line(json!({
            "photos": photos.len(), "paintings": paintings.len(), "size": size,
            "teacher": file_name(Path::new(&args.teacher)),
            "ends": Map::from_iter(ends), "pairs": pairs.iter().map(Pair::results).collect::<Vec<_>>(), "ratio": ratio,
            "device": context.name(),
        }));
    }
    let [photos, paintings] = [photos.len(), paintings.len()];
    print_line(format_args!("{photos} photos x {paintings} paintings at {size} x {size} px"))?;
    print_table(&medians(&pairs, [&as_photo, &as_painting], ratio.as_ref()))?;
    print_line("")?;
    print_table(&by_painting(&pairs, &as_photo))
}

/// The figures of the photos, the paintings and the pairs; with -v also those of each picture.
fn medians(pairs: &[Pair], [photo, painting]: [&Standing; 2], ratio: Option<&Ratio>) -> Table {
    let with = |mut line: Vec<String>, last: String| {
        line.push(last);
        line
    };
    let decibels = |db: f64| format!("{db:.2}");
    let mut table = vec![with(HEADINGS.map(String::from).to_vec(), "reconstruction dB".into())];
    if tracing::enabled!(tracing::Level::INFO) {
        let lines = pairs.iter().flat_map(|pair| pair.standing.lines().zip(pair.each_reconstruction()));
        table.extend(lines.map(|(line, db)| with(line, decibels(db))));
    }
    table.push(with(photo.line("the photo itself"), String::new()));
    table.extend(pairs.iter().map(|pair| with(pair.standing.line(pair.name()), decibels(pair.reconstruction()))));
    table.push(with(painting.line("the painting itself"), String::new()));
    table.extend(ratio.map(Ratio::line));
    table
}

/// The style distance of each painting, starting with the first pair's largest.
fn by_painting(pairs: &[Pair], photo: &Standing) -> Table {
    let headings = ["style distance to", "the photo itself"].map(String::from);
    let mut table = vec![headings.into_iter().chain(pairs.iter().map(Pair::name)).collect()];
    let mut columns = vec![photo.units()];
    columns.extend(pairs.iter().map(|pair| pair.standing.units()));
    let mut order: Vec<usize> = (0..columns[0].len()).collect();
    order.sort_by(|a, b| columns[1][*b].1.total_cmp(&columns[1][*a].1));
    for painting in order {
        let figures = columns.iter().map(|units| format!("{:.4}", units[painting].1));
        table.push([columns[0][painting].0.to_string()].into_iter().chain(figures).collect());
    }
    table
}
