//! `impasto compare`: several methods on one photo and style, measured by one loss, as a page.

mod contest;
mod logs;
mod page;

use std::path::{Path, PathBuf};

use impasto::sheet::{self, Cell};
use impasto::train::curve;
use impasto::{Error, Result};

use super::table::print_table;
use super::{PainterArgs, print_line};
use contest::{Contest, Method, Plan};
use logs::Training;
use page::Page;

/// Arguments of `impasto compare`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto compare photo.jpg painting.jpg --methods gatys,ulyanov --ulyanov mine.safetensors -o comparison/
  impasto compare photo.jpg painting.jpg --johnson bn.safetensors --ulyanov in.safetensors --steps 500 -o comparison/
  impasto compare photo.jpg painting.jpg --ulyanov mine.safetensors --adain adain.safetensors -o comparison/
  impasto compare photo.jpg starry_night.jpg --ulyanov starry-night --vgg vgg19.safetensors --size 512 -o comparison/
  impasto compare --training-logs bn.safetensors.training/log.jsonl in.safetensors.training/log.jsonl -o comparison/

Every method is measured by the same loss: the one that the first net learned by, as its file says (without a net of one style:
that of `stylize`). DIR/index.html holds all pictures, figures and plots; results.json has the figures; methods.png shows
photo, style and results side by side at the size they have, for strokes to be seen with --size 768. Seconds are those of one
picture: `cold` is the first one, with the nets' loading, the recording and the compiling of kernels, `warm` is another one, for
AdaIN in the same style.
--training-logs draws the losses of training runs over their steps, and gives the mean of each tenth.")]
pub struct Args {
    /// The photo
    #[arg(value_name = "CONTENT", required_unless_present = "training_logs", requires = "style")]
    content: Option<PathBuf>,
    /// The picture whose style is painted, and which the nets of one style learned
    #[arg(value_name = "STYLE")]
    style: Option<PathBuf>,
    /// Where the page, the pictures and the figures go; made if it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// What is compared [default: gatys, and each method whose net is given]
    #[arg(long, value_enum, value_delimiter = ',', requires = "content")]
    methods: Vec<Method>,
    /// A net with batch norm: a name that `impasto models` lists, or a file
    #[arg(long, value_name = "MODEL", requires = "content")]
    johnson: Option<String>,
    /// A net with instance norm: a name that `impasto models` lists, or a file; of one with many styles BODY:STYLE
    #[arg(long, value_name = "MODEL", requires = "content")]
    ulyanov: Option<String>,
    /// AdaIN's decoder, which paints in any style: a file, or `adain` or `adain-fast`, which come with impasto
    #[arg(long, value_name = "FILE", requires = "content")]
    adain: Option<String>,
    /// The encoder that the decoder was trained with: VGG-19 weights (.safetensors, .pth) [default: the one of those that
    /// come with impasto that the decoder's file names]
    #[arg(long, value_name = "FILE", requires = "adain")]
    adain_encoder: Option<String>,
    /// Evaluations of Gatys' method
    #[arg(long, value_name = "N", default_value_t = 200)]
    steps: usize,
    /// Long side of the pictures in pixels
    #[arg(long, value_name = "N", default_value_t = 256)]
    size: usize,
    /// The net that measures, as it was when the nets learned [default: what the first net's file says, if that comes with
    /// impasto; without nets the imported weights, else `half`]
    #[arg(long, value_name = "FILE")]
    vgg: Option<String>,
    /// Also compare training runs: the log.jsonl of each
    #[arg(long, value_name = "LOG", num_args = 1..)]
    training_logs: Vec<PathBuf>,
    /// What the runs are called [default: as their nets are]
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
        (Some(content), Some(style)) => Some(Plan::new(args, content, style)?),
        _ => None,
    };
    let folder = &args.output;
    if folder.exists() && !folder.is_dir() {
        return Err(refused("--output", "a folder", folder.display()));
    }
    std::fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, error))?;
    impasto::io::atomic::check_writable(&folder.join("index.html"))?;
    let contest = plan.map(|plan| plan.run(args)).transpose()?;
    write(folder, contest.as_ref(), training.as_ref())?;
    print_line(folder.join("index.html").display())
}

/// Prints the figures, and writes them, the pictures, the plots and the page that holds all of it.
fn write(folder: &Path, contest: Option<&Contest>, training: Option<&Training>) -> Result<()> {
    let mut results = serde_json::Map::new();
    let mut page = Page::new(contest.map_or("Training", |contest| &contest.title));
    if let Some(contest) = contest {
        page.text(&contest.conditions());
        let (pictures, mut cells) = (contest.pictures(), Vec::new());
        // The style's may be of another size.
        let side = pictures.first().map_or(1, |(.., content)| content.width.max(content.height));
        for (name, caption, picture) in pictures {
            let path = folder.join(format!("{name}.png"));
            picture.save(&path)?;
            page.picture(&caption, &path)?;
            cells.push(Cell::picture(picture, side, name));
        }
        sheet::sheet(&[cells])?.save(&folder.join("methods.png"))?;
        let table = contest.table();
        print_table(&table)?;
        page.table(&table);
        for (name, title, axis, series) in contest.plots() {
            let path = folder.join(format!("{name}.png"));
            curve::draw_exact(&path, title, [axis, "loss"], &series, true)?;
            page.plot(title, &path)?;
        }
        results.extend(contest.results());
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
        impasto::io::atomic::write(&folder.join(name), |file| std::io::Write::write_all(file, text.as_bytes()))?;
    }
    Ok(())
}
