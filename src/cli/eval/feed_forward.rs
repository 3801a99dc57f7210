//! `impasto eval feed-forward`

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use impasto::eval::adain::Teacher;
use impasto::eval::feed_forward::{Evaluator, Learned, PhotoLosses};
use impasto::eval::scores::{Measured, Scores};
use impasto::eval::{median, ssim};
use impasto::io::{Picture, WeightFile};
use impasto::nets::Tap;
use impasto::nets::image_transform_net::ImageTransformNetWeights;
use impasto::ops::pool::Pooling;
use impasto::sheet::{self, Cell, stem};
use impasto::weights::ENCODERS;
use impasto::{Error, Result};

use super::Photos;
use super::standing::{EXPLANATION, HEADINGS, Standing, Unit};
use crate::cli::file_name;
use crate::cli::models::find;
use crate::cli::outputs::Overwrite;
use crate::cli::progress::bar;
use crate::cli::stylize::InitName;
use crate::cli::table::print_table;
use crate::cli::weights::load_vgg;
use crate::cli::{DeviceArgs, print_line};

/// Arguments of `impasto eval feed-forward`.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  impasto eval feed-forward --model a.safetensors --style a.jpg --photos photos/ --hold-out 20
  impasto eval feed-forward --model starry-night --style starry_night.jpg --photos photos/
  impasto eval feed-forward --model a.safetensors --style a.jpg --photos photos/ --pictures out/
  impasto eval feed-forward --model body.safetensors:wave --style wave.jpg --photos photos/
  impasto eval feed-forward --model a.safetensors --style a.jpg --photos photos/ --init noise

The first table has the loss by which the net was trained, according to its file: for the unchanged photo (`as is`), \
for an untrained net of the same shape, for the net, and for Gatys' method. net/Gatys near 1 means that the net is as \
good as the optimisation. net/untrained shows how much the net has learned. `caught up` is the number of evaluations \
after which Gatys' method reaches the net's loss; `-` if it does not.

The second table has the figures of a teacher: for the unchanged photo, for the results of the net and of Gatys' \
method, and for the style picture itself (its central part, as large as the photo). The photo and the style picture \
are the two extremes.

{EXPLANATION}
  worst quarter: the mean style distance of the quarter of the photos (rounded up) where it is largest.

In JSON, `scores` has the figures of the second table, for `photo`, `net`, `gatys` and `style`."))]
pub struct Args {
    /// Net to measure: a name that `impasto models` lists, or a file that `impasto train` wrote; BODY:STYLE chooses a
    /// style of a body
    #[arg(long, value_name = "NAME|FILE[:STYLE]")]
    model: String,
    /// Style picture for which the net was trained
    #[arg(long, value_name = "PICTURE")]
    style: PathBuf,
    #[command(flatten)]
    photos: Photos,
    /// Use at most N photos of each folder
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Evaluations of loss and gradient by Gatys' method for each photo, at least 1
    #[arg(long, value_name = "N", default_value_t = 50)]
    steps: usize,
    /// Initial picture of Gatys' method. It makes faster progress from the photo (content); the paper starts from noise
    #[arg(long, value_enum, default_value = "content")]
    init: InitName,
    /// VGG-19 that measures the loss; it should be the one with which the net was trained [default: the one that the
    /// net's file names, if it is included]
    #[arg(long, value_name = "FILE")]
    vgg: Option<String>,
    /// VGG-19 for the second table; use the same one for all nets that you compare: a file (.safetensors, .pth),
    /// preferably in the normalised convention, or an included encoder [default: that of --vgg]
    #[arg(long, value_name = "FILE")]
    teacher: Option<String>,
    /// Write a contact sheet for each photo: the photo, the net's result, the result of Gatys' method
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

/// The net that measures the loss: the one that `--vgg` names, else the one that the file names, if it is included.
pub fn measured_by<'a>(command: &str, vgg: Option<&'a str>, learned: &'a Learned) -> Result<&'a str> {
    match vgg {
        Some(named) => Ok(named),
        None if ENCODERS.contains(&learned.measured_by.as_str()) => Ok(&learned.measured_by),
        None => {
            let vgg = &learned.measured_by;
            let expected = format!("given, because the net was trained with `{vgg}`, which is not included");
            Err(Error::argument(command, "--vgg", expected, "none"))
        }
    }
}

/// Warns if the name of the style picture is not that of the training: the loss of another style would mean little. It
/// is no error, because files may be renamed.
pub fn warn_of_other_style(model: &str, learned: &Learned, style: &Path) {
    if style.file_name().is_none_or(|name| name != learned.style.as_str()) {
        let (trained_for, style) = (&learned.style, style.display());
        tracing::warn!("{model} was trained for the style of {trained_for}, but is measured with that of {style}");
    }
}

/// The loss by which the net was trained, from the file's metadata.
fn learned(file: &WeightFile) -> Result<Learned> {
    let help = "use a net that `impasto train` wrote";
    let reason = "its metadata has no `loss` of the training";
    Learned::of(file)?.ok_or_else(|| Error::weights(&file.path, reason).with_help(help))
}

/// A row of the first table: the figures of a photo, or the medians.
#[derive(serde::Serialize)]
struct Line {
    photo: String,
    photo_loss: f64,
    untrained_loss: f64,
    net_loss: f64,
    gatys_loss: f64,
    net_to_gatys: f64,
    net_to_untrained: f64,
    /// Evaluations after which Gatys' method reaches the net's loss; `None` if it does not.
    caught_up: Option<f64>,
}

impl Line {
    fn of(photo: String, losses: &PhotoLosses) -> Self {
        Line {
            photo,
            photo_loss: losses.photo,
            untrained_loss: losses.untrained,
            net_loss: losses.net,
            gatys_loss: losses.gatys,
            net_to_gatys: losses.net / losses.gatys,
            net_to_untrained: losses.net / losses.untrained,
            caught_up: losses.caught_up.map(|evaluations| evaluations as f64),
        }
    }

    fn medians(lines: &[Line]) -> Self {
        let of = |figure: fn(&Line) -> f64| median(lines.iter().map(figure).collect());
        // A photo where Gatys' method never reaches the net's loss counts as infinite.
        let caught_up = of(|line| line.caught_up.unwrap_or(f64::INFINITY));
        Line {
            photo: "median".into(),
            photo_loss: of(|line| line.photo_loss),
            untrained_loss: of(|line| line.untrained_loss),
            net_loss: of(|line| line.net_loss),
            gatys_loss: of(|line| line.gatys_loss),
            net_to_gatys: of(|line| line.net_to_gatys),
            net_to_untrained: of(|line| line.net_to_untrained),
            caught_up: Some(caught_up).filter(|evaluations| evaluations.is_finite()),
        }
    }

    fn text(&self) -> String {
        format!(
            "{:20} {:9.4} {:10.4} {:9.4} {:9.4} {:10.3} {:14.3} {:>10}",
            self.photo,
            self.photo_loss,
            self.untrained_loss,
            self.net_loss,
            self.gatys_loss,
            self.net_to_gatys,
            self.net_to_untrained,
            self.caught_up.map_or("-".into(), |evaluations| evaluations.to_string())
        )
    }
}

pub fn run(args: &Args) -> Result<()> {
    let size = args.photos.size;
    if args.steps == 0 {
        return Err(Error::argument("eval", "--steps", "at least 1", 0));
    }
    let photos = args.photos.files(&args.photos.folders.photos, Some(args.limit))?;
    if photos.is_empty() {
        return Err(Error::argument("eval", "photos", "at least one picture", "none"));
    }
    let file = find("eval", "--model", std::slice::from_ref(&args.model))?;
    let (learned, weights) = (learned(&file)?, ImageTransformNetWeights::of(&file)?);
    warn_of_other_style(&args.model, &learned, &args.style);
    let vgg = measured_by("eval", args.vgg.as_deref(), &learned)?;
    let style = Picture::load(&args.style)?;
    let context = args.device.open()?;
    let teacher_name = args.teacher.as_deref().unwrap_or(vgg);
    let [vgg, teacher] =
        [load_vgg(&context, Some(vgg), Pooling::Max)?, load_vgg(&context, Some(teacher_name), Pooling::Max)?];
    let style_size = learned.style_size;
    let mut evaluator = Evaluator::new(&vgg, weights, learned.clone(), &style)?;
    let least = evaluator.least_side().max(teacher.least_side(Tap::RELU4_1)).max(ssim::WINDOW);
    if size < least {
        return Err(Error::argument("eval", "--size", format!("at least {least} px"), size));
    }
    // The style picture has the size that it had in the training.
    let style = style.fit(style_size);
    let goal = Teacher::new(&teacher, style.width, style.height)?.measure(&style)?;
    let teacher = Teacher::new(&teacher, size, size)?;
    let style_itself = style.square().middle(size, size).resize(size, size);
    let style_itself = Measured::by(&teacher, style_itself)?;
    if let Some(folder) = &args.pictures {
        args.overwrite.check_folder(folder)?;
    }
    let progress = bar(photos.len() as u64).with_message("photos");
    let mut lines = Vec::new();
    let model = file_name(Path::new(&args.model)).replace(".safetensors", "");
    let mut standings = ["photo", "net", "gatys", "style"].map(|name| (name, Standing::new(Unit::Photo)));
    for (number, path) in photos.iter().enumerate() {
        let (photo, name) = (args.photos.middle(path)?, stem(path));
        let losses = evaluator.measure(&photo, args.init.into(), args.steps, |done| {
            progress.set_message(format!("photos  {name}: Gatys {}/{}", done.min(args.steps), args.steps));
        })?;
        lines.push(Line::of(name.clone(), &losses));
        let [painted, optimised] = losses.pictures;
        if let Some(folder) = &args.pictures {
            let cells = [(&photo, name.as_str()), (&painted, &model), (&optimised, "Gatys")]
                .map(|(picture, caption)| Cell::picture(picture, size, caption));
            sheet::sheet(&[cells.to_vec()])?.save(&folder.join(format!("{number:02}-{name}.png")))?;
        }
        let photo = Measured::by(&teacher, photo)?;
        let [painted, optimised] = [Measured::by(&teacher, painted)?, Measured::by(&teacher, optimised)?];
        let seen = [&photo, &painted, &optimised, &style_itself];
        for ((_, standing), seen) in standings.iter_mut().zip(seen) {
            standing.push((number, &name), (0, &stem(&args.style)), Scores::of(seen, &photo, &goal)?);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let medians = Line::medians(&lines);
    let init = args.init.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default();
    if args.json {
        let scores = standings.iter().map(|(name, standing)| (name.to_string(), standing.results()));
        return print_line(serde_json::json!({
            "model": args.model, "size": size, "steps": args.steps, "init": init, "photos": lines, "median": medians,
            "teacher": file_name(Path::new(teacher_name)), "scores": serde_json::Map::from_iter(scores),
            "device": context.name(),
        }));
    }
    let gatys = format_args!("Gatys from {init} with {} evaluations", args.steps);
    print_line(format_args!("{} photos at {size} x {size} px, {gatys}", photos.len()))?;
    print_line("photo                    as is  untrained       net     Gatys  net/Gatys  net/untrained  caught up")?;
    lines.iter().chain([&medians]).try_for_each(|line| print_line(line.text()))?;
    print_line(format_args!("\njudged by {}", file_name(Path::new(teacher_name))))?;
    let names = ["the photo itself", &model, "Gatys", "the style itself"];
    let lines = names.iter().zip(&standings).map(|(name, (_, standing))| standing.line(*name));
    print_table(&[HEADINGS.map(String::from).to_vec()].into_iter().chain(lines).collect())
}
