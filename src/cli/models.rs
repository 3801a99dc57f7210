//! `impasto models`

mod find;

pub use find::{find, is_net, start};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use impasto::io::{Picture, WeightFile};
use impasto::nets::ImageTransformNet;
use impasto::nets::image_transform_net::{BodyStyle, Form, ImageTransformNetWeights, Painter};
use impasto::nets::super_resolution_net::SuperResolutionWeights;
use impasto::ops::norm::Over;
use impasto::sheet::{self, Cell};
use impasto::weights::{self, ENLARGERS, PAIRS};
use impasto::{Error, Result};

use super::outputs::Overwrite;
use super::weights::inspected;
use super::{DeviceArgs, print_line};
use find::Model;

/// An installed net by its name, whatever its kind.
pub fn installed(name: &str) -> Option<Result<WeightFile>> {
    find::all().into_iter().find(|model| model.path.is_some() && model.name == name).map(|model| model.file)
}

/// Arguments of `impasto models`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto models
  impasto models --thumbnails photo.jpg -o sheet.png

The first column is what `stylize --model` accepts, or `enlarge --model` where the line says so. A net of many styles (a body) has one line for each style, as \
BODY:STYLE.

To install a net, a body or a style of a body, copy its file to the folder `models` in the user's data directory, \
which the last line names. It is then known by the file's name without the ending.")]
pub struct Args {
    /// Paint this photo with every net that needs no style picture, on one contact sheet
    #[arg(long, value_name = "PHOTO", requires = "output")]
    thumbnails: Option<PathBuf>,
    /// Output file of the contact sheet: .png, .jpg, .webp or .tif
    #[arg(short, long, value_name = "OUT", requires = "thumbnails")]
    output: Option<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Long side of each picture on the contact sheet, in pixels
    #[arg(long, value_name = "N", default_value_t = 256)]
    size: usize,
    /// Print the list as JSON, one object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// A line of the list.
struct Entry {
    name: String,
    place: String,
    net: Result<Listed>,
}

struct Listed {
    /// A short description of the style.
    title: Option<String>,
    /// The kind of net.
    form: String,
    metadata: BTreeMap<String, String>,
    /// The net, if it paints in one style. `None` for AdaIN, which needs a style picture, and for nets that enlarge.
    weights: Option<ImageTransformNetWeights>,
}

impl Listed {
    fn of(file: WeightFile) -> Result<Self> {
        let weights = find::weights(&file)?;
        let title = file.metadata.get("style_title").or(file.metadata.get("style")).cloned();
        Ok(Listed { title, form: describe(&weights), metadata: file.metadata, weights: Some(weights) })
    }

    /// A net for `enlarge`.
    fn enlarging(file: WeightFile, title: Option<&str>) -> Result<Self> {
        let weights = SuperResolutionWeights::of(&file).map_err(inspected)?;
        let form = format!("for enlarge: x{}, {} channels", weights.scale, weights.channels);
        Ok(Listed { title: title.map(String::from), form, metadata: file.metadata, weights: None })
    }
}

/// Nets of one style, the styles of bodies, and AdaIN's pairs.
fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for Model { name, path, file } in find::all() {
        let place = path.map_or("built in".into(), |path| path.display().to_string());
        let mut push = |name, net| entries.push(Entry { name, place: place.clone(), net });
        match file {
            Ok(file) if SuperResolutionWeights::is_in(&file) => push(name, Listed::enlarging(file, None)),
            Ok(file) if BodyStyle::is_in(&file) => push(name, find::in_its_body(&file).and_then(Listed::of)),
            Ok(file) => match find::weights(&file) {
                Ok(body) if !body.styles.is_empty() => {
                    for style in &body.styles {
                        push(format!("{name}:{style}"), body.alone(style, &file).and_then(Listed::of));
                    }
                }
                _ => push(name, Listed::of(file)),
            },
            Err(error) => push(name, Err(error)),
        }
    }
    let pairs = PAIRS.iter().map(|pair| {
        let listed = |decoder: WeightFile| Listed {
            title: Some(pair.title.into()),
            form: "AdaIN, with --style".into(),
            metadata: decoder.metadata,
            weights: None,
        };
        Entry { name: pair.name.into(), place: "built in".into(), net: pair.decoder().map(listed) }
    });
    entries.extend(pairs);
    entries.extend(ENLARGERS.iter().map(|net| {
        let listed = weights::enlarger(net.name).and_then(|file| Listed::enlarging(file, Some(net.title)));
        Entry { name: net.name.into(), place: "built in".into(), net: listed }
    }));
    entries
}

/// A description of the net, such as `resize, instance norm, 16 channels`.
fn describe(weights: &ImageTransformNetWeights) -> String {
    let form = if weights.form == Form::Paper { "paper" } else { "resize" };
    let norm = if weights.norm == Over::Batch { "batch" } else { "instance" };
    format!("{form}, {norm} norm, {} channels", weights.channels)
}

pub fn run(args: &Args) -> Result<()> {
    let entries = entries();
    if let (Some(photo), Some(output)) = (&args.thumbnails, &args.output) {
        thumbnails(args, &entries, photo, output)?;
    }
    let width = entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0).max(16);
    for Entry { name, place, net } in &entries {
        if args.json {
            let (listed, error) = (net.as_ref().ok(), net.as_ref().err().map(Error::to_string));
            print_line(serde_json::json!({
                "name": name, "place": place, "title": listed.map(|net| &net.title), "net": listed.map(|net| &net.form),
                "metadata": listed.map(|net| &net.metadata), "error": error,
            }))?;
            continue;
        }
        match net {
            Ok(Listed { title, form, .. }) => {
                let title = title.as_ref().map(|title| format!("{title}; ")).unwrap_or_default();
                print_line(format_args!("{name:width$}  {title}{form}  ({place})"))?;
            }
            Err(error) => print_line(format_args!("{name:width$}  cannot be used: {error}"))?,
        }
    }
    if !args.json {
        print_line(format_args!("Installed nets are in {}.", find::folder()?.display()))?;
    }
    Ok(())
}

/// Writes a contact sheet: the photo, then the result of every net that needs no style picture.
fn thumbnails(args: &Args, entries: &[Entry], path: &Path, output: &Path) -> Result<()> {
    args.overwrite.check_picture(output)?;
    let photo = Picture::load(path)?.fit(args.size);
    let context = args.device.open()?;
    let mut cells = vec![Cell::picture(&photo, args.size, sheet::stem(path))];
    for entry in entries {
        let Some(weights) = entry.net.as_ref().ok().and_then(|net| net.weights.clone()) else { continue };
        let painted = Painter::new(ImageTransformNet::new(&context, weights)?).paint(&photo)?;
        cells.push(Cell::picture(&painted, args.size, &entry.name));
    }
    let columns = (cells.len() as f64).sqrt().ceil() as usize;
    sheet::sheet(&cells.chunks(columns).map(<[Cell]>::to_vec).collect::<Vec<_>>())?.save(output)
}
