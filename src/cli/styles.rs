//! `impasto style`, and the search for a style by its name.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use impasto::io::{Picture, WeightFile};
use impasto::methods::adain::{AdainSettings, Source};
use impasto::nets::adain_painter::{self, AdainStyle};
use impasto::nets::tiles::Budget;
use impasto::ops::pool::Pooling;
use impasto::{Error, Result};

use super::outputs::Overwrite;
use super::weights::load_vgg;
use super::{DeviceArgs, data_directory, print_line};

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  impasto style save painting.jpg -o painting.style
  impasto style save painting.jpg
  impasto style list
  impasto stylize photo.jpg --style painting -o out.png

A style is what AdaIN needs to know of a picture: the mean and the standard deviation of each channel of the encoder, \
a few KB. Without -o it is stored in the folder `styles` of the user's data directory, and `stylize --style` accepts \
its name. A style belongs to its encoder: save styles for `adain-fast` with --vgg fast.")]
pub enum Command {
    /// Save the style of a picture for later
    Save(SaveArgs),
    /// List the saved styles in the user's data directory
    List,
}

/// Arguments of `impasto style save`.
#[derive(clap::Args)]
pub struct SaveArgs {
    /// The style picture: PNG, JPEG, WebP, TIFF, JPEG XL or (feature `avif`) AVIF
    picture: PathBuf,
    /// Output file; its name must end in .style [default: the picture's name, in the user's data directory]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Long side in pixels to which a larger picture is reduced first
    #[arg(long, value_name = "PX", default_value_t = AdainSettings::default().style_size)]
    style_size: usize,
    /// Encoder that measures the style: `half` for the pair `adain`, `fast` for `adain-fast`, or a file of VGG-19
    /// weights
    #[arg(long, value_name = "FILE", default_value = "half")]
    vgg: String,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The ending of style files.
const ENDING: &str = "style";

fn folder() -> Result<PathBuf> {
    Ok(data_directory()?.join("styles"))
}

/// Names and paths of the styles in the user's data directory.
fn installed() -> Vec<(String, PathBuf)> {
    let entries = folder().ok().and_then(|folder| std::fs::read_dir(folder).ok());
    let mut paths: Vec<_> = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
    paths.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    paths.into_iter().map(|path| (name(&path), path)).collect()
}

/// Whether a style with this name is in the user's data directory.
pub fn is_saved(name: &str) -> bool {
    installed().iter().any(|(known, _)| known == name)
}

/// The style that `--style` names: a picture, a style file, or a style in the user's data directory.
pub fn find(name: &str) -> Result<Source> {
    let path = Path::new(name);
    let known = installed().into_iter().find(|(known, _)| known == name && !path.exists());
    let path = known.map_or_else(|| path.to_path_buf(), |(_, path)| path);
    if path.extension().is_some_and(|ending| ending == ENDING) {
        return Ok(Source::Style(AdainStyle::of(&WeightFile::load(&path)?)?));
    }
    Ok(Source::Picture(Picture::load(&path)?))
}

pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Save(args) => save(args),
        Command::List => {
            for (name, path) in installed() {
                print_line(format_args!("{name}: {}", path.display()))?;
            }
            print_line(format_args!("Saved styles are in {}.", folder()?.display()))
        }
    }
}

fn save(args: &SaveArgs) -> Result<()> {
    if args.style_size == 0 {
        return Err(Error::argument("style", "--style-size", "at least 1", 0));
    }
    let output = match &args.output {
        Some(output) => output.clone(),
        None => {
            let folder = folder()?;
            std::fs::create_dir_all(&folder).map_err(|error| Error::file("create", &folder, error))?;
            // Appended: `with_extension` would take `.1` of `monet.1.png` for an extension.
            let mut name = args.picture.file_stem().unwrap_or_default().to_os_string();
            name.push(format!(".{ENDING}"));
            folder.join(name)
        }
    };
    if output.extension().is_none_or(|ending| ending != ENDING) {
        return Err(Error::argument("style", "--output", "a name that ends in .style", output.display()));
    }
    args.overwrite.check(&output)?;
    let source = Source::Picture(Picture::load(&args.picture)?);
    let context = args.device.open()?;
    let encoder = load_vgg(&context, Some(&args.vgg), Pooling::Max)?;
    let style = source.measured(&encoder, args.style_size, &Budget::default())?;
    let picture = args.picture.file_name().unwrap_or_default().to_string_lossy().into_owned();
    style.save(&output, &[("picture", picture), ("style_size", args.style_size.to_string())])?;
    let encoder = adain_painter::short(&style.encoder);
    print_line(format_args!("{}: {} channels of encoder {encoder}", output.display(), style.mean.len()))
}
