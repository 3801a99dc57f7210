//! `impasto stylize`

mod adain;
mod enlarged;
mod gatys;
mod masks;
mod model;
mod names;
mod sheets;

pub use gatys::{InitName, taps};

pub use names::suffixed;
use names::weighted;

use clap::ValueEnum;

use impasto::methods::color::KeepColor;
use impasto::{Error, Result};

use super::photos::PhotoArgs;
use super::weights::pair_names;
use super::{PainterArgs, models};

/// Declares the values of an option and the library value of each.
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
  impasto stylize photo.jpg --mask sky.png=starry-night --mask sea.png=wave -o out.png
  impasto stylize holiday/ --style a.jpg --style b.jpg --grid -o painted/
  impasto stylize photo.jpg --style painting.jpg --model adain-fast -o out.png
  impasto stylize photo.jpg --model starry-night -o out.png
  impasto stylize photo.jpg --model impressions:night-cafe -o out.png
  impasto stylize photo.jpg --model impressions:wave:0.6 --model mine.style:0.4 -o out.png
  impasto stylize holiday/ more/*.jpg --model mine.safetensors -o painted/
  impasto stylize photo.jpg --style painting.jpg --method gatys --size 1024 -o out.png
  cat photo.jpg | impasto stylize - --model wave -o - > out.png
  impasto stylize photo.jpg --style painting.jpg --preset first-five --log loss.jsonl -o out.png

--style takes the style of any picture. AdaIN, the default, paints it in one pass. --method gatys optimises the pixels \
instead: this is slow, takes one photo, and is the reference for quality. If its optimiser does not fit into --memory, \
L-BFGS remembers fewer steps, or Adam replaces it.

--model uses a net that was trained for one style or for many (a body). It repaints each photo in one pass; \
`impasto models` lists the nets."
)]
pub struct Args {
    #[command(flatten)]
    files: PhotoArgs,
    /// Style picture, or a style that `impasto style save` stored (a file or a name). Repeat it to mix styles in
    /// proportion to their weights [default weight: 1]
    #[arg(long, value_name = "STYLE[:WEIGHT]", required_unless_present_any = ["model", "mask"])]
    style: Vec<String>,
    /// Method for --style [default: gatys if one of its options is given, else adain]
    #[arg(long, value_enum, conflicts_with = "model")]
    method: Option<Method>,
    /// Trained net: a name that `impasto models` lists, or a file (.safetensors, .pth, .style); BODY:STYLE chooses a
    /// style of a body. Repeat it to mix styles of one body by weight. The nets `adain` and `adain-fast` also need
    /// --style
    #[arg(long, value_name = "NAME|FILE[:STYLE][:WEIGHT]")]
    model: Vec<String>,
    /// Paint in STYLE, or with NET, where the picture MASK, stretched over the photo, is bright and opaque; may be
    /// repeated. A NET is named as for --model, a STYLE as for --style. --style or --model paints the rest; without
    /// them, the rest keeps the photo's own pixels
    #[arg(long, value_name = "MASK=STYLE|MASK=NET")]
    mask: Vec<String>,
    /// Long side of the result in pixels [default: the photo's; for Gatys at most 512]
    #[arg(long, value_name = "PX")]
    size: Option<usize>,
    /// With --model, make a picture that is painted in windows exactly as one piece would be. This takes a pass for each
    /// norm of the net; without it, the norms use the statistics of a reduced photo
    #[arg(long, requires = "model")]
    exact: bool,
    /// VGG-19 weights: a file (.safetensors, .pth), an included encoder (`half`, `fast`, `compact`), or
    /// `random[:WIDTH]` [default: the encoder of the decoder; for Gatys the imported weights, else `half`]
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    vgg: Option<String>,
    /// Keep the photo's colours. `match` is not available with a trained or saved style
    #[arg(long, value_enum, default_value = "no")]
    keep_color: KeepColorName,
    /// Enlarge the painted picture by 2, 4 or 8 (see `impasto enlarge`)
    #[arg(long, value_name = "N")]
    enlarge: Option<usize>,
    #[command(flatten)]
    adain: Option<adain::AdainArgs>,
    #[command(flatten)]
    gatys: Option<gatys::GatysArgs>,
    #[command(flatten)]
    device: PainterArgs,
}

/// The methods that take any picture's style.
#[derive(Clone, Copy, ValueEnum)]
enum Method {
    /// An encoder and a decoder paint in one pass (arXiv:1703.06868)
    Adain,
    /// The pixels are optimised: slow, the reference for quality (arXiv:1508.06576)
    Gatys,
}

choice!(KeepColorName => KeepColor {
    /// Use the style's colours
    No => KeepColor::No,
    /// Combine the luminance of the result with the photo's chrominance
    Luminance => KeepColor::Luminance,
    /// Match the colours of the style picture to the photo's before painting
    Match => KeepColor::Match,
});

pub fn run(args: &Args) -> Result<()> {
    args.files.check("stylize")?;
    enlarged::check(args)?;
    // Masks without --style, --model and --method say by their names what they are for.
    let masked_nets = args.style.is_empty() && args.method.is_none() && args.masked_names().any(models::is_net);
    if args.model.is_empty() && masked_nets && args.adain.is_none() && args.gatys.is_none() {
        return model::run(args);
    }
    if !args.model.is_empty() {
        let is_pair = |model: &String| pair_names().contains(&model.as_str());
        if args.model.len() == 1 && is_pair(&args.model[0]) {
            return adain::run(args, args.adain.as_ref());
        }
        if !args.style.is_empty() || args.adain.is_some() || args.model.iter().any(is_pair) {
            let pairs = pair_names().join(" or ");
            let expected = format!("{pairs} alone (with --style), or nets without --style and AdaIN's options");
            return Err(Error::argument("stylize", "--model", expected, args.model.join(", ")));
        }
        return model::run(args);
    }
    let optimised = args.gatys.is_some() && args.adain.is_none();
    match (args.method.unwrap_or(if optimised { Method::Gatys } else { Method::Adain }), &args.adain, &args.gatys) {
        (Method::Adain, options, None) => adain::run(args, options.as_ref()),
        (Method::Gatys, None, options) => gatys::run(args, &options.clone().unwrap_or_default()),
        (Method::Adain, ..) => {
            refuse("gatys for options of Gatys' method such as --steps (do not combine them with AdaIN's)", "adain")
        }
        (Method::Gatys, ..) => {
            refuse("adain for --alpha, --grid, --cell, --style-size, --coarse-size and --decoder", "gatys")
        }
    }
}

fn refuse(expected: &str, got: &str) -> Result<()> {
    Err(Error::argument("stylize", "--method", expected, got))
}
