//! `impasto stylize`

mod gatys;
mod model;

pub use gatys::taps;

use std::path::PathBuf;

use impasto::methods::color::KeepColor;
use impasto::{Error, Result};

use super::DeviceArgs;

/// Declares a command-line choice and what each name stands for.
macro_rules! choice {
    ($name:ident => $target:ty { $($(#[$doc:meta])* $variant:ident => $value:expr),* $(,)? }) => {
        #[derive(Clone, Copy, clap::ValueEnum)]
        enum $name { $($(#[$doc])* $variant),* }

        impl From<$name> for $target {
            fn from(name: $name) -> $target {
                match name { $($name::$variant => $value),* }
            }
        }
    };
}
use choice;

/// Arguments of `impasto stylize`.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  impasto stylize photo.jpg --style painting.jpg -o out.png
  impasto stylize photo.jpg --style painting.jpg --keep-color luminance --size 1024 -o out.png
  impasto stylize photo.jpg --style a.jpg:2 --style b.jpg:1 --init noise --seed 7 -o out.png
  impasto stylize photo.jpg --style painting.jpg --preset first-five --log loss.jsonl -o out.png
  impasto stylize photo.jpg --model starry-night -o out.png
  impasto stylize holiday/ more/*.jpg --model mine.safetensors -o painted/

With --style the picture is optimised (Gatys): any style, slowly. A larger --style-weight paints more freely; a --style-scale
above 1 makes larger strokes. With --model a net that has learned one style repaints each photo in one pass; `impasto models`
lists those there are."
)]
pub struct Args {
    /// The photo: PNG, JPEG, WebP or TIFF; with --model several, and folders, may be given
    #[arg(value_name = "PHOTO", required = true)]
    photos: Vec<PathBuf>,
    /// Where the result goes; the ending says the format (png, jpg, webp, tif). For several photos: a folder
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// A trained net: a name that `impasto models` lists, or a file (.safetensors, .pth)
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Long side of the result in pixels [default: the photo's; for Gatys at most 512]
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// Keep the photo's colours: its chrominance, or (not with --model) by matching the style's colours to it
    #[arg(long, value_enum, default_value = "no")]
    keep_color: KeepColorName,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gatys: gatys::GatysArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

choice!(KeepColorName => KeepColor {
    /// The style's colours
    No => KeepColor::No,
    /// The result's luminance, the content's chrominance
    Luminance => KeepColor::Luminance,
    /// The style picture is recoloured first
    Match => KeepColor::Match,
});

pub fn run(args: &Args) -> Result<()> {
    if let Some(model) = &args.model {
        return model::run(args, model);
    }
    match &args.photos[..] {
        [photo] => gatys::run(args, photo),
        several => {
            let got = format!("{}", several.len());
            Err(Error::argument("stylize", "PHOTO", "one photo at a time with --style; several need --model", got))
        }
    }
}
