//! `impasto eval super-resolution`

use std::path::{Path, PathBuf};

use impasto::eval::super_resolution::{Figures, Judge};
use impasto::io::{Interpolation, Picture};
use impasto::nets::SuperResolutionNet;
use impasto::nets::super_resolution_net::{Enlarger, SuperResolutionWeights};
use impasto::ops::pool::Pooling;
use impasto::sheet::{self, Cell, stem};
use impasto::train::super_resolution::SuperResolutionTrainerSettings;
use impasto::{Error, Result};

use super::Folders;
use crate::cli::enlarge::{self, NET};
use crate::cli::outputs::Overwrite;
use crate::cli::progress::bar;
use crate::cli::table::print_table;
use crate::cli::weights::{inspected, load_vgg, vgg_name};
use crate::cli::{DeviceArgs, file_name, print_line};

/// Arguments of `impasto eval super-resolution`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto eval super-resolution --photos photos/ --hold-out 20 --vgg vgg19.safetensors
  impasto eval super-resolution --model a.safetensors --model b.safetensors --photos photos/ --pictures out/

Each photo is blurred, reduced by the scale of the nets with a bicubic filter and rounded to 8 bits, as in training. Then \
it is enlarged by bicubic interpolation, by Lanczos and by each net, and compared with the photo.

Columns (means over the photos):
  PSNR, SSIM: of the luma (Rec. 601, 16 to 235 of 255) without a border as wide as the scale.
  features: squared difference of the features of --vgg at --tap from the photo's, over the squares of the photo's.
  of bicubic: the same relative to bicubic interpolation.")]
pub struct Args {
    /// Net: the name of one that `impasto models` lists, or a file that `impasto train super-resolution` wrote; may be
    /// repeated
    #[arg(long, value_name = "NAME|FILE", default_value = NET)]
    model: Vec<String>,
    #[command(flatten)]
    folders: Folders,
    /// Use at most N photos of each folder
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// VGG-19 that gives the features: a file (.safetensors, .pth) or an included encoder [default: the imported
    /// weights, else `half`]
    #[arg(long, value_name = "FILE")]
    vgg: Option<String>,
    /// Write a sheet for each photo, the one that the first net improves least first: the part of 128 px with the most
    /// detail, each pixel enlarged to 2 x 2
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

/// Side of the parts that are shown, in pixels.
const PART: usize = 128;

/// The results for a photo: bicubic, Lanczos, and those of the nets.
struct Row {
    photo: String,
    figures: Vec<Figures>,
    sheet: Option<Picture>,
}

impl Row {
    /// By how much the first net is better than bicubic interpolation, in dB.
    fn gain(&self) -> f64 {
        self.figures[2].psnr - self.figures[0].psnr
    }
}

pub fn run(args: &Args) -> Result<()> {
    let photos = args.folders.files(&args.folders.photos, args.limit)?;
    if photos.is_empty() {
        return Err(Error::argument("eval", "photos", "at least one picture", "none"));
    }
    let load = |name: &String| SuperResolutionWeights::of(&enlarge::find(name)?).map_err(inspected);
    let weights = args.model.iter().map(load).collect::<Result<Vec<_>>>()?;
    let scale = weights[0].scale;
    if let Some(other) = weights.iter().position(|weights| weights.scale != scale) {
        let got = format!("{} with scale {}", args.model[other], weights[other].scale);
        return Err(Error::argument("eval", "--model", format!("nets with scale {scale}, as the first"), got));
    }
    let context = args.device.open()?;
    let vgg = load_vgg(&context, args.vgg.as_deref(), Pooling::Max)?;
    let tap = SuperResolutionTrainerSettings::default_tap();
    let nets = weights.into_iter().map(|weights| Ok(Enlarger::new(SuperResolutionNet::new(&context, weights)?)));
    let mut nets = nets.collect::<Result<Vec<_>>>()?;
    if let Some(folder) = &args.pictures {
        args.overwrite.check_folder(folder)?;
    }
    let models = args.model.iter().map(|name| file_name(Path::new(name)).replace(".safetensors", ""));
    let names: Vec<String> = ["bicubic".into(), "Lanczos".into()].into_iter().chain(models).collect();
    let progress = bar(photos.len() as u64).with_message("photos");
    let mut rows = Vec::new();
    for path in &photos {
        let judge = Judge::new(&vgg, tap, &Picture::load(path)?, scale).map_err(|error| of_photo(error, path))?;
        let interpolated = [Interpolation::Bicubic, Interpolation::Lanczos].map(|by| judge.interpolated(by));
        let mut pictures = Vec::from(interpolated);
        for net in &mut nets {
            pictures.push(judge.enlarged(net)?);
        }
        let figures = pictures.iter().map(|picture| judge.measure(picture)).collect::<Result<_>>()?;
        let sheet = args.pictures.as_ref().map(|_| shown(&judge, &pictures, &names, &stem(path))).transpose()?;
        rows.push(Row { photo: stem(path), figures, sheet });
        progress.inc(1);
    }
    progress.finish_and_clear();
    if let Some(folder) = &args.pictures {
        let mut worst: Vec<&Row> = rows.iter().collect();
        worst.sort_by(|a, b| a.gain().total_cmp(&b.gain()));
        for (number, row) in worst.iter().enumerate() {
            let Some(sheet) = &row.sheet else { continue };
            sheet.save(&folder.join(format!("{number:03}-{}.png", row.photo)))?;
        }
    }
    let of = |row: &Row, index: usize| row.figures[index];
    let all = |index: usize| rows.iter().map(|row| of(row, index)).collect::<Vec<_>>();
    let means: Vec<Figures> = (0..names.len()).map(|index| Figures::mean(&all(index))).collect();
    let vgg_name = vgg_name(args.vgg.as_deref(), "half");
    if args.json {
        let by_name = |all: &[Figures]| -> serde_json::Map<String, serde_json::Value> {
            names.iter().cloned().zip(all.iter().map(|figures| serde_json::json!(figures))).collect()
        };
        let photo = |row: &Row| serde_json::json!({ "photo": row.photo, "figures": by_name(&row.figures) });
        let photos: Vec<_> = rows.iter().map(photo).collect();
        return print_line(serde_json::json!({
            "scale": scale, "vgg": vgg_name, "tap": tap, "mean": by_name(&means), "photos": photos, "device": context.name(),
        }));
    }
    print_line(format_args!("{} photos, reduced by {scale}; features of {vgg_name} at {tap}", rows.len()))?;
    let line = |(name, figures): (&String, &Figures)| {
        let Figures { psnr, ssim, features } = figures;
        let relative = format!("{:.1}%", 100.0 * features / means[0].features);
        vec![name.clone(), format!("{psnr:.2} dB"), format!("{ssim:.4}"), format!("{features:.4}"), relative]
    };
    let headings = ["", "PSNR", "SSIM", "features", "of bicubic"].map(String::from).to_vec();
    print_table(&std::iter::once(headings).chain(names.iter().zip(&means).map(line)).collect())
}

/// An error about a photo, with its file.
fn of_photo(error: Error, path: &Path) -> Error {
    match error {
        Error::Argument { expected, got, .. } => {
            Error::argument("eval", "photos", format!("photos of {expected}"), format!("{} of {got}", path.display()))
        }
        error => error,
    }
}

/// The part of the photo with the most detail, beside that of each result.
fn shown(judge: &Judge, pictures: &[Picture], names: &[String], photo: &str) -> Result<Picture> {
    let [original, _] = judge.photos();
    let [height, width] = [original.height, original.width].map(|side| side.min(PART));
    let places = |side: usize, part: usize| (0..=side - part).step_by(PART / 4);
    let corners =
        places(original.height, height).flat_map(|top| places(original.width, width).map(move |left| [top, left]));
    let cut = |picture: &Picture, [top, left]: [usize; 2]| picture.cut(top..top + height, left..left + width);
    let detail = |corner: &[usize; 2]| {
        let part = cut(original, *corner);
        part.rgb.windows(2).map(|pair| f64::from((pair[0] - pair[1]).abs())).sum::<f64>()
    };
    let corner = corners.max_by(|a, b| detail(a).total_cmp(&detail(b))).unwrap_or([0, 0]);
    let cell = |picture: &Picture, name: &str| Cell::picture(&doubled(&cut(picture, corner)), 2 * PART, name);
    let cells = pictures.iter().zip(names).map(|(picture, name)| cell(picture, name));
    sheet::sheet(&[std::iter::once(cell(original, photo)).chain(cells).collect()])
}

/// Each pixel as 2 × 2 equal ones.
fn doubled(picture: &Picture) -> Picture {
    let mut large = Picture::new(2 * picture.width, 2 * picture.height);
    let width = large.width;
    for (index, value) in large.rgb.iter_mut().enumerate() {
        let (line, column) = (index / width, index % width);
        // The rows of the three planes follow each other.
        *value = picture.rgb[line / 2 * picture.width + column / 2];
    }
    large
}
