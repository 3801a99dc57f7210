//! `impasto stylize`

mod adain;
mod gatys;
mod many;
mod model;

pub use gatys::{InitName, taps};

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use impasto::methods::color::KeepColor;
use impasto::{Error, Result};

use super::PainterArgs;
use super::weights::pair_names;

/// Declares a command-line choice and what each name stands for.
macro_rules! choice {
    ($name:ident => $target:ty { $($(#[$doc:meta])* $variant:ident => $value:expr),* $(,)? }) => {
        #[derive(Clone, Copy, clap::ValueEnum)]
        pub enum $name { $($(#[$doc])* $variant),* }

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
  impasto stylize photo.jpg --style a.jpg:0.7 --style b.jpg:0.3 --alpha 0.8 -o out.png
  impasto stylize photo.jpg --mask sky.png=a.jpg --style b.jpg --keep-color luminance -o out.png
  impasto stylize holiday/ --style a.jpg --style b.jpg --grid -o painted/
  impasto stylize photo.jpg --style painting.jpg --model adain-fast -o out.png
  impasto stylize photo.jpg --model starry-night -o out.png
  impasto stylize photo.jpg --model impressions:wave -o out.png
  impasto stylize photo.jpg --model impressions:wave:0.6 --model impressions:scream:0.4 -o out.png
  impasto stylize holiday/ more/*.jpg --model mine.safetensors -o painted/
  impasto stylize photo.jpg --style painting.jpg --method gatys --size 1024 -o out.png
  impasto stylize photo.jpg --style painting.jpg --method gatys --preset first-five --log loss.jsonl -o out.png

With --style any picture's style is taken in one pass (AdaIN), or, with --method gatys, the photo is optimised: slow, and the
reference for quality. With --model a net that has learned one style, or many, repaints each photo in one pass; `impasto models` lists
those there are."
)]
pub struct Args {
    /// The photo: PNG, JPEG, WebP or TIFF; several, and folders, may be given, but for --method gatys
    #[arg(value_name = "PHOTO", required = true)]
    photos: Vec<PathBuf>,
    /// Where the result goes; the ending says the format (png, jpg, webp, tif). For several photos: a folder
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// A picture whose style is taken, or a style that `impasto style save` kept (a file or a name); with a weight if there
    /// are several; may be given again
    #[arg(long, value_name = "STYLE[:WEIGHT]", required_unless_present_any = ["model", "mask"])]
    style: Vec<String>,
    /// How it is done [default: gatys if one of its options is given, else adain]
    #[arg(long, value_enum, conflicts_with = "model")]
    method: Option<Method>,
    /// A trained net: a name that `impasto models` lists, or a file (.safetensors, .pth, .style); of one with many styles
    /// BODY:STYLE; with a weight if styles of one body are mixed; may be given again. `adain` and `adain-fast` paint in the
    /// styles of --style
    #[arg(long, value_name = "NAME|FILE[:STYLE][:WEIGHT]")]
    model: Vec<String>,
    /// Long side of the result in pixels [default: the photo's; for Gatys at most 512]
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// VGG-19 weights (.safetensors, .pth), `half`, `fast` or `compact` (narrow ones that come with impasto) or
    /// `random[:WIDTH]` [default: what the decoder was trained with; for Gatys the imported ones, else `half`]
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    vgg: Option<String>,
    /// Keep the photo's colours: its chrominance, or (not with --model) by matching the style's colours to it
    #[arg(long, value_enum, default_value = "no")]
    keep_color: KeepColorName,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adain: Option<adain::AdainArgs>,
    #[command(flatten)]
    gatys: Option<gatys::GatysArgs>,
    #[command(flatten)]
    device: PainterArgs,
}

/// How any style is painted.
#[derive(Clone, Copy, ValueEnum)]
enum Method {
    /// One pass, any style (arXiv:1703.06868)
    Adain,
    /// Optimises the pixels: slow, the reference for quality (arXiv:1508.06576)
    Gatys,
}

choice!(KeepColorName => KeepColor {
    /// The style's colours
    No => KeepColor::No,
    /// The result's luminance, the content's chrominance
    Luminance => KeepColor::Luminance,
    /// The style picture is recoloured first
    Match => KeepColor::Match,
});

/// `NAME` or `NAME:WEIGHT`; a file whose name ends in a colon and a number is still a file.
fn weighted(text: &str) -> (&str, f32) {
    match text.rsplit_once(':').and_then(|(name, weight)| Some((name, weight.parse().ok()?))) {
        Some((name, weight)) if !name.is_empty() && !Path::new(text).exists() => (name, weight),
        _ => (text, 1.0),
    }
}

/// `out.png` with a text: `out-text.png`.
fn suffixed(output: &Path, text: &str) -> PathBuf {
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let ending = output.extension().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!("{stem}-{text}.{ending}"))
}

pub fn run(args: &Args) -> Result<()> {
    if !args.model.is_empty() {
        let is_pair = |model: &String| pair_names().contains(&model.as_str());
        if args.model.len() == 1 && is_pair(&args.model[0]) {
            return adain::run(args, args.adain.as_ref());
        }
        if !args.style.is_empty() || args.adain.is_some() || args.model.iter().any(is_pair) {
            let expected = format!("{} with --style and AdaIN's options, by itself", pair_names().join(" or "));
            return Err(Error::argument("stylize", "--model", expected, args.model.join(", ")));
        }
        return model::run(args);
    }
    let optimised = args.gatys.is_some() && args.adain.is_none();
    match (args.method.unwrap_or(if optimised { Method::Gatys } else { Method::Adain }), &args.adain, &args.gatys) {
        (Method::Adain, options, None) => adain::run(args, options.as_ref()),
        (Method::Gatys, None, options) => gatys::run(args, &options.clone().unwrap_or_default()),
        (Method::Adain, ..) => refuse("gatys for the options by which a picture is optimised", "adain"),
        (Method::Gatys, ..) => {
            refuse("adain for --alpha, --mask, --grid, --style-size, --coarse-size and --decoder", "gatys")
        }
    }
}

fn refuse(expected: &str, got: &str) -> Result<()> {
    Err(Error::argument("stylize", "--method", expected, got))
}
