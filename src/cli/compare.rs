//! `impasto compare`: paints a photo with several methods, measures all results by one loss, and writes a page.

mod comparison;
mod logs;
mod page;

use std::path::{Path, PathBuf};

use impasto::sheet::{self, Cell};
use impasto::train::curve;
use impasto::{Error, Result};

use super::outputs::Overwrite;
use super::table::print_table;
use super::{PainterArgs, print_line};
use comparison::{Comparison, ComparisonPlan, Method};
use logs::Training;
use page::Page;

/// Arguments of `impasto compare`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto compare photo.jpg painting.jpg --methods gatys,ulyanov --ulyanov mine.safetensors -o out/
  impasto compare photo.jpg painting.jpg --johnson bn.safetensors --ulyanov in.safetensors -o out/
  impasto compare photo.jpg painting.jpg --ulyanov mine.safetensors --adain adain-fast -o out/
  impasto compare photo.jpg starry_night.jpg --ulyanov starry-night --size 512 -o out/
  impasto compare --training-logs a.training/log.jsonl b.training/log.jsonl -o out/

All results are measured by the same loss: the one by which the first trained net learned, according to its file. \
Without a net trained for one style it is the loss of `stylize --method gatys`.

DIR/index.html shows all pictures, figures and plots. DIR/results.json has the figures, and DIR/methods.png the photo, \
the style and the results side by side; with --size 768 or more it shows brush strokes.

Seconds are those of one picture. `cold` is the first picture, with loading the net, recording programs and compiling \
kernels. `warm` is a further picture, for AdaIN in the same style.

--training-logs draws the losses of training runs over the steps, and prints their mean over each tenth of the steps.")]
pub struct Args {
    /// The photo
    #[arg(value_name = "CONTENT", required_unless_present = "training_logs", requires = "style")]
    content: Option<PathBuf>,
    /// The style picture, for which the nets of --johnson and --ulyanov were trained
    #[arg(value_name = "STYLE")]
    style: Option<PathBuf>,
    /// Output folder for the page, the pictures and the figures: a new or empty one
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Methods to compare, separated by commas [default: gatys, and each method whose net is given]
    #[arg(long, value_enum, value_delimiter = ',', requires = "content")]
    methods: Vec<Method>,
    /// Net with batch norm: a name that `impasto models` lists, or a file
    #[arg(long, value_name = "MODEL", requires = "content")]
    johnson: Option<String>,
    /// Net with instance norm: a name that `impasto models` lists, or a file; BODY:STYLE chooses a style of a body
    #[arg(long, value_name = "MODEL", requires = "content")]
    ulyanov: Option<String>,
    /// Decoder for AdaIN: a file, or one of the included decoders `adain` and `adain-fast`
    #[arg(long, value_name = "FILE", requires = "content")]
    adain: Option<String>,
    /// Encoder with which the decoder of --adain was trained: a file (.safetensors, .pth), or an included encoder
    /// [default: the included encoder that fits the decoder]
    #[arg(long, value_name = "FILE", requires = "adain")]
    adain_encoder: Option<String>,
    /// Evaluations of loss and gradient by Gatys' method, at least 1
    #[arg(long, value_name = "N", default_value_t = 200)]
    steps: usize,
    /// Long side of the pictures in pixels
    #[arg(long, value_name = "PX", default_value_t = 256)]
    size: usize,
    /// VGG-19 that measures the loss; it should be the one with which the nets were trained [default: the one that the
    /// first net's file names, if it is included; without nets the imported weights, else `half`]
    #[arg(long, value_name = "FILE")]
    vgg: Option<String>,
    /// Logs (log.jsonl) of training runs to compare
    #[arg(long, value_name = "LOG", num_args = 1..)]
    training_logs: Vec<PathBuf>,
    /// Names of the training runs, separated by commas [default: the names of their nets]
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "training_logs")]
    names: Vec<String>,
    #[command(flatten)]
    device: PainterArgs,
}

/// An error about an argument of this command.
fn refused(argument: &str, expected: impl Into<String>, got: impl std::fmt::Display) -> Error {
    Error::argument("compare", argument, expected, got)
}

pub fn run(args: &Args) -> Result<()> {
    let training = match args.training_logs.is_empty() {
        false => Some(Training::read(&args.training_logs, &args.names)?),
        true => None,
    };
    let plan = match (&args.content, &args.style) {
        (Some(content), Some(style)) => Some(ComparisonPlan::new(args, content, style)?),
        _ => None,
    };
    let folder = &args.output;
    if folder.exists() && !folder.is_dir() {
        return Err(refused("--output", "a folder", folder.display()));
    }
    args.overwrite.check_folder(folder)?;
    impasto::internal::atomic::check_writable(&folder.join("index.html"))?;
    let comparison = plan.map(|plan| plan.run(args)).transpose()?;
    write(folder, comparison.as_ref(), training.as_ref())?;
    print_line(folder.join("index.html").display())
}

/// Prints the figures, and writes figures, pictures, plots and the page with all of them.
fn write(folder: &Path, comparison: Option<&Comparison>, training: Option<&Training>) -> Result<()> {
    let mut results = serde_json::Map::new();
    let mut page = Page::new(comparison.map_or("Training", |comparison| &comparison.title));
    if let Some(comparison) = comparison {
        page.text(&comparison.conditions());
        let (pictures, mut cells) = (comparison.pictures(), Vec::new());
        // Cells are as large as the content; the style picture may have another size.
        let side = pictures.first().map_or(1, |(.., content)| content.width.max(content.height));
        for (name, caption, picture) in pictures {
            let path = folder.join(format!("{name}.png"));
            picture.save(&path)?;
            page.picture(&caption, &path)?;
            cells.push(Cell::picture(picture, side, name));
        }
        sheet::sheet(&[cells])?.save(&folder.join("methods.png"))?;
        let table = comparison.table();
        print_table(&table)?;
        page.table(&table);
        for (name, title, axis, series) in comparison.plots() {
            let path = folder.join(format!("{name}.png"));
            curve::draw_exact(&path, title, [axis, "loss"], &series, true)?;
            page.plot(title, &path)?;
        }
        results.extend(comparison.results());
    }
    if let Some(training) = training {
        let title = "Loss over the steps of training";
        let path = folder.join("training.png");
        curve::draw(&path, title, ["step", "loss"], &training.runs, false)?;
        page.plot(title, &path)?;
        let table = training.table();
        print_table(&table)?;
        page.table(&table);
        results.insert("training".into(), training.results());
    }
    let text = serde_json::to_string_pretty(&results).map_err(|error| Error::file("write", folder, error))?;
    for (name, text) in [("results.json", text), ("index.html", page.finish())] {
        impasto::internal::atomic::write(&folder.join(name), |file| std::io::Write::write_all(file, text.as_bytes()))?;
    }
    Ok(())
}
