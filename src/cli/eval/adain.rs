//! `impasto eval adain`

use std::path::{Path, PathBuf};

use impasto::eval::adain::{Judge, Sight, reconstruction};
use impasto::io::Picture;
use impasto::nets::adain_painter::{Region, deepest};
use impasto::nets::{AdainPainter, Vgg19};
use impasto::ops::pool::Kind;
use impasto::{Error, Result};

use super::{Photos, median, stem};
use crate::cli::file_name;
use crate::cli::progress::bar;
use crate::cli::table::print_table;
use crate::cli::weights::{load_decoder, load_vgg};
use crate::cli::{DeviceArgs, print_line};

/// Arguments of `impasto eval adain`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto eval adain --teacher vgg19.safetensors --photos photos/ --paintings paintings/ --hold-out 20
  impasto eval adain --teacher vgg19.safetensors --decoder mine.safetensors --photos photos/ --paintings paintings/
  --beside-encoder vgg19.safetensors --beside-decoder public.safetensors --pictures out/

Every photo is painted like every painting, and the teacher measures how far the result is from the painting's style (means and
deviations at relu1_1 to relu4_1) and from the photo's content (features at relu4_1, with the painting's means and deviations):
the losses of arXiv:1703.06868, whichever nets painted. `reconstruction` is how near a photo that is its own style comes back, as
a peak signal-to-noise ratio. Medians are printed, and with -v each picture's figures. A teacher favours the pair that learned
by it.")]
pub struct Args {
    #[command(flatten)]
    photos: Photos,
    /// A folder of paintings; may be given again, or several at once
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    paintings: Vec<PathBuf>,
    /// At most N pictures of each folder of photos
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// At most N pictures of each folder of paintings
    #[arg(long, value_name = "N", default_value_t = 10)]
    style_limit: usize,
    /// The net that measures: VGG-19 weights (.safetensors, .pth), best in the normalised convention, or `compact`
    #[arg(long, value_name = "FILE")]
    teacher: String,
    /// The encoder: VGG-19 weights (.safetensors, .pth), or `compact`
    #[arg(long, value_name = "FILE", default_value = "compact")]
    encoder: String,
    /// The decoder that was trained with it: a file, or `compact`
    #[arg(long, value_name = "FILE", default_value = "compact")]
    decoder: String,
    /// The encoder of a pair to compare with [default: the same]
    #[arg(long, value_name = "FILE", requires = "beside_decoder")]
    beside_encoder: Option<String>,
    /// The decoder of a pair to compare with
    #[arg(long, value_name = "FILE")]
    beside_decoder: Option<String>,
    /// Write what was painted as one picture, DIR/adain.png: photos down the left, paintings along the top; what the other
    /// pair painted to the right of each
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Print JSON, with the figures of each picture
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// What is measured of a painted picture, or medians of it.
#[derive(Clone, Copy, serde::Serialize)]
struct Figures {
    style_distance: f64,
    content_distance: f64,
    /// Of the photo as its own style.
    reconstruction_db: f64,
}

impl Figures {
    fn medians(rows: &[Row]) -> Self {
        let of = |figure: fn(&Figures) -> f64| median(rows.iter().map(|row| figure(&row.figures)).collect());
        Figures {
            style_distance: of(|figures| figures.style_distance),
            content_distance: of(|figures| figures.content_distance),
            reconstruction_db: of(|figures| figures.reconstruction_db),
        }
    }

    fn line(&self, what: String) -> Vec<String> {
        let Figures { style_distance, content_distance, reconstruction_db } = self;
        vec![what, format!("{style_distance:.4}"), format!("{content_distance:.4}"), format!("{reconstruction_db:.2}")]
    }
}

/// A painted picture.
#[derive(serde::Serialize)]
struct Row {
    photo: String,
    painting: String,
    #[serde(flatten)]
    figures: Figures,
}

/// An encoder and a decoder at work.
struct Pair<'a> {
    encoder: String,
    decoder: String,
    painter: AdainPainter<'a>,
    /// Each painting's.
    styles: Vec<Region>,
    rows: Vec<Row>,
}

impl<'a> Pair<'a> {
    fn new(encoder: &'a Vgg19, name: &str, decoder: &str) -> Result<Self> {
        let painter = AdainPainter::new(encoder, load_decoder(encoder, decoder)?)?;
        let [encoder, decoder] = [name, decoder].map(|name| file_name(Path::new(name)));
        Ok(Pair { encoder, decoder, painter, styles: Vec::new(), rows: Vec::new() })
    }

    fn results(&self) -> serde_json::Value {
        let median = Figures::medians(&self.rows);
        serde_json::json!({
            "encoder": self.encoder, "decoder": self.decoder, "median": median, "pictures": self.rows,
        })
    }
}

pub fn run(args: &Args) -> Result<()> {
    let size = args.photos.size;
    let photos = args.photos.files(&args.photos.photos, Some(args.limit))?;
    let paintings = args.photos.files(&args.paintings, Some(args.style_limit))?;
    for (what, files) in [("photos", &photos), ("paintings", &paintings)] {
        if files.is_empty() {
            return Err(Error::argument("eval", what, "at least one picture", "none"));
        }
    }
    let context = args.device.open()?;
    let load = |name: &str| load_vgg(&context, Some(name), Kind::Max);
    let teacher = load(&args.teacher)?;
    let beside = args.beside_decoder.as_ref().map(|path| (args.beside_encoder.as_ref().unwrap_or(&args.encoder), path));
    let chosen: Vec<_> = [(&args.encoder, &args.decoder)].into_iter().chain(beside).collect();
    let encoders = chosen.iter().map(|(encoder, _)| load(encoder)).collect::<Result<Vec<_>>>()?;
    let pairs = encoders.iter().zip(&chosen).map(|(encoder, (name, decoder))| Pair::new(encoder, name, decoder));
    let mut pairs = pairs.collect::<Result<Vec<_>>>()?;
    let least = encoders.iter().chain([&teacher]).map(|net| net.least_side(deepest())).max().unwrap_or(1);
    if size < least {
        return Err(Error::argument("eval", "--size", format!("at least {least} px"), size));
    }
    if let Some(folder) = &args.pictures {
        std::fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, error))?;
    }

    let judge = Judge::new(&teacher, size)?;
    let sides = [1 + paintings.len() * pairs.len(), 1 + photos.len()].map(|cells| cells * size);
    let mut sheet = args.pictures.as_ref().map(|_| Picture::new(sides[0], sides[1]));
    let mut set = |picture: &Picture, [column, row]: [usize; 2]| {
        if let Some(sheet) = &mut sheet {
            sheet.paste(picture, [column * size, row * size]);
        }
    };
    let count = pairs.len();
    let mut goals: Vec<Sight> = Vec::new();
    for (number, path) in paintings.iter().enumerate() {
        let painting = args.photos.middle(path)?;
        set(&painting, [1 + number * count, 0]);
        goals.push(judge.see(&painting)?);
        for pair in &mut pairs {
            pair.styles.push(pair.painter.style(&painting)?.into());
        }
    }
    let progress = bar((photos.len() * paintings.len() * count) as u64).with_message("pictures");
    for (row, path) in (1..).zip(&photos) {
        let photo = args.photos.middle(path)?;
        set(&photo, [0, row]);
        let seen = judge.see(&photo)?;
        for (index, pair) in pairs.iter_mut().enumerate() {
            let reconstruction_db = reconstruction(&mut pair.painter, &photo)?;
            for (number, (goal, style)) in goals.iter().zip(&pair.styles).enumerate() {
                let painted = pair.painter.paint(&photo, std::slice::from_ref(style))?;
                set(&painted, [1 + number * count + index, row]);
                let sight = judge.see(&painted)?;
                let figures = Figures {
                    style_distance: sight.style_distance(goal),
                    content_distance: sight.content_distance(&seen, goal),
                    reconstruction_db,
                };
                pair.rows.push(Row { photo: stem(path), painting: stem(&paintings[number]), figures });
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();
    if let (Some(folder), Some(sheet)) = (&args.pictures, sheet) {
        sheet.save(&folder.join("adain.png"))?;
    }

    let medians: Vec<_> = pairs.iter().map(|pair| Figures::medians(&pair.rows)).collect();
    // Of decibels, which are logarithms, the difference is what a ratio is of the others.
    let ratio = medians.get(1).map(|beside| Figures {
        style_distance: medians[0].style_distance / beside.style_distance,
        content_distance: medians[0].content_distance / beside.content_distance,
        reconstruction_db: medians[0].reconstruction_db - beside.reconstruction_db,
    });
    if args.json {
        return print_line(serde_json::json!({
            "photos": photos.len(), "paintings": paintings.len(), "size": size, "teacher": file_name(Path::new(&args.teacher)),
            "pairs": pairs.iter().map(Pair::results).collect::<Vec<_>>(), "ratio": ratio, "device": context.name(),
        }));
    }
    let [photos, paintings] = [photos.len(), paintings.len()];
    print_line(format_args!("{photos} photos x {paintings} paintings at {size} x {size} px"))?;
    let mut table = vec![["", "style distance", "content distance", "reconstruction dB"].map(String::from).to_vec()];
    for (pair, median) in pairs.iter().zip(&medians) {
        if tracing::enabled!(tracing::Level::INFO) {
            let rows = pair.rows.iter();
            table.extend(rows.map(|row| row.figures.line(format!("{} x {}", row.photo, row.painting))));
        }
        table.push(median.line(format!("median of {} with {}", pair.encoder, pair.decoder)));
    }
    table.extend(ratio.map(|ratio| ratio.line("first over second (dB: difference)".into())));
    print_table(&table)
}
