//! `impasto eval feed-forward`

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use impasto::eval::adain::Judge as Teacher;
use impasto::eval::feed_forward::{Judge, Learned, Standing as Losses};
use impasto::eval::marks::{Marks, Seen};
use impasto::eval::{median, ssim};
use impasto::io::{Picture, WeightFile};
use impasto::nets::Tap;
use impasto::nets::image_transform_net::Weights;
use impasto::ops::pool::Kind;
use impasto::sheet::{self, Cell, stem};
use impasto::weights::ENCODERS;
use impasto::{Error, Result};

use super::Photos;
use super::standing::{EXPLANATION, HEADINGS, Standing, Unit};
use crate::cli::file_name;
use crate::cli::models::find;
use crate::cli::progress::bar;
use crate::cli::stylize::InitName;
use crate::cli::table::print_table;
use crate::cli::weights::load_vgg;
use crate::cli::{DeviceArgs, print_line};

/// Arguments of `impasto eval feed-forward`.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  impasto eval feed-forward --model mine.safetensors --style painting.jpg --photos photos/ --hold-out 20
  impasto eval feed-forward --model starry-night --style starry_night.jpg --photos photos/ --limit 5 --steps 100 --json
  impasto eval feed-forward --model mine.safetensors --style painting.jpg --photos photos/ --pictures out/
  impasto eval feed-forward --model body.safetensors:wave --style wave.jpg --photos photos/
  impasto eval feed-forward --model mine.safetensors --style painting.jpg --photos photos/ --init noise

The net's file says which loss it learned by. Each photo is measured with it four times: as it is, painted by a net of the same
shape that has learned nothing, painted by the net, and optimised by Gatys' method. net/Gatys near 1 is as good as optimising;
net/untrained is how much was learned; `caught up` is after how many evaluations Gatys' method is where the net is at once,
`-` if it does not get there.

A teacher then judges the photo itself, what the net and what Gatys' method made of it, and the style itself, a square of the photo's
size cut from the middle of its picture: the ends between which every method lies.

{EXPLANATION}

worst quarter     the mean style distance of the quarter of the photos (rounded up) in which it is largest
In JSON `marks` has these figures, of `photo`, `net`, `gatys` and `style`."))]
pub struct Args {
    /// The net: a name that `impasto models` lists, or a file that `impasto train` wrote; of one with many styles BODY:STYLE
    #[arg(long, value_name = "NAME|FILE[:STYLE]")]
    model: String,
    /// The picture whose style it learned
    #[arg(long, value_name = "PICTURE")]
    style: PathBuf,
    #[command(flatten)]
    photos: Photos,
    /// At most N pictures of each folder
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Evaluations of Gatys' method for each photo
    #[arg(long, value_name = "N", default_value_t = 50)]
    steps: usize,
    /// What Gatys' method starts from: the photo gets it further sooner than noise, which its paper starts from
    #[arg(long, value_enum, default_value = "content")]
    init: InitName,
    /// The net that measures, as it was when the net learned [default: what its file says, if that comes with
    /// impasto]
    #[arg(long, value_name = "FILE")]
    vgg: Option<String>,
    /// The net that judges style and content, best the same for all nets that are compared: VGG-19 weights (.safetensors,
    /// .pth), best in the normalised convention, or `compact` [default: the net by which the model learned]
    #[arg(long, value_name = "FILE")]
    teacher: Option<String>,
    /// Write each photo, what the net and what Gatys' method made of it, as one picture
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Which net measures: the one that is named, else what the file says, if that comes with impasto.
pub fn measured_by<'a>(command: &str, vgg: Option<&'a str>, learned: &'a Learned) -> Result<&'a str> {
    match vgg {
        Some(named) => Ok(named),
        None if ENCODERS.contains(&learned.measured_by.as_str()) => Ok(&learned.measured_by),
        None => {
            let expected = format!("given: the net learned by `{}`, which is known by name alone", learned.measured_by);
            Err(Error::argument(command, "--vgg", expected, "none"))
        }
    }
}

/// Says so where a net is measured by a style that goes by another name than the one it learned: no error, since files are
/// renamed, but its loss would mean little.
pub fn warn_of_other_style(model: &str, learned: &Learned, style: &Path) {
    if style.file_name().is_none_or(|name| name != learned.style.as_str()) {
        tracing::warn!("{model} learned the style of {}; it is measured by that of {}", learned.style, style.display());
    }
}

/// What the file says of the loss the net learned by, which must be something.
fn learned(file: &WeightFile) -> Result<Learned> {
    let nothing = "its metadata names no `loss` that it learned by; use a net that `impasto train` wrote";
    Learned::of(file)?.ok_or_else(|| Error::weights(&file.path, nothing))
}

/// A line of the table: the figures of a photo, or their medians.
#[derive(serde::Serialize)]
struct Line {
    photo: String,
    photo_loss: f64,
    untrained_loss: f64,
    net_loss: f64,
    gatys_loss: f64,
    net_to_gatys: f64,
    net_to_untrained: f64,
    /// Evaluations after which Gatys' method is at the net's loss.
    caught_up: Option<f64>,
}

impl Line {
    fn of(photo: String, standing: &Losses) -> Self {
        Line {
            photo,
            photo_loss: standing.photo,
            untrained_loss: standing.untrained,
            net_loss: standing.net,
            gatys_loss: standing.gatys,
            net_to_gatys: standing.net / standing.gatys,
            net_to_untrained: standing.net / standing.untrained,
            caught_up: standing.caught_up.map(|evaluations| evaluations as f64),
        }
    }

    fn medians(lines: &[Line]) -> Self {
        let of = |figure: fn(&Line) -> f64| median(lines.iter().map(figure).collect());
        // Who never gets there is last.
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
    let photos = args.photos.files(&args.photos.photos, Some(args.limit))?;
    if photos.is_empty() {
        return Err(Error::argument("eval", "photos", "at least one picture", "none"));
    }
    let file = find("eval", "--model", std::slice::from_ref(&args.model))?;
    let (learned, weights) = (learned(&file)?, Weights::of(&file)?);
    warn_of_other_style(&args.model, &learned, &args.style);
    let vgg = measured_by("eval", args.vgg.as_deref(), &learned)?;
    let style = Picture::load(&args.style)?;
    let context = args.device.open()?;
    let teacher_name = args.teacher.as_deref().unwrap_or(vgg);
    let [vgg, teacher] =
        [load_vgg(&context, Some(vgg), Kind::Max)?, load_vgg(&context, Some(teacher_name), Kind::Max)?];
    let style_size = learned.style_size;
    let mut judge = Judge::new(&vgg, weights, learned.clone(), &style)?;
    let least = judge.least_side().max(teacher.least_side(Tap::RELU4_1)).max(ssim::WINDOW);
    if size < least {
        return Err(Error::argument("eval", "--size", format!("at least {least} px"), size));
    }
    // As large as the net knows it.
    let style = style.fit(style_size);
    let goal = Teacher::new(&teacher, style.width, style.height)?.see(&style)?;
    let teacher = Teacher::new(&teacher, size, size)?;
    let style_itself = style.square().middle(size, size).resize(size, size);
    let style_itself = Seen::by(&teacher, style_itself)?;
    if let Some(folder) = &args.pictures {
        std::fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, error))?;
    }
    let progress = bar(photos.len() as u64).with_message("photos");
    let mut lines = Vec::new();
    let model = file_name(Path::new(&args.model)).replace(".safetensors", "");
    let mut standings = ["photo", "net", "gatys", "style"].map(|name| (name, Standing::new(Unit::Photo)));
    for (number, path) in photos.iter().enumerate() {
        let (photo, name) = (args.photos.middle(path)?, stem(path));
        let losses = judge.measure(&photo, args.init.into(), args.steps, |done| {
            progress.set_message(format!("photos  {name}: Gatys {}/{}", done.min(args.steps), args.steps));
        })?;
        lines.push(Line::of(name.clone(), &losses));
        let [painted, optimised] = losses.pictures;
        if let Some(folder) = &args.pictures {
            let cells = [(&photo, name.as_str()), (&painted, &model), (&optimised, "Gatys")]
                .map(|(picture, caption)| Cell::picture(picture, size, caption));
            sheet::sheet(&[cells.to_vec()])?.save(&folder.join(format!("{number:02}-{name}.png")))?;
        }
        let photo = Seen::by(&teacher, photo)?;
        let [painted, optimised] = [Seen::by(&teacher, painted)?, Seen::by(&teacher, optimised)?];
        let seen = [&photo, &painted, &optimised, &style_itself];
        for ((_, standing), seen) in standings.iter_mut().zip(seen) {
            standing.push((number, &name), (0, &stem(&args.style)), Marks::of(seen, &photo, &goal)?);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let medians = Line::medians(&lines);
    let init = args.init.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default();
    if args.json {
        let marks = standings.iter().map(|(name, standing)| (name.to_string(), standing.results()));
        return print_line(serde_json::json!({
            "model": args.model, "size": size, "steps": args.steps, "init": init, "photos": lines, "median": medians,
            "teacher": file_name(Path::new(teacher_name)), "marks": serde_json::Map::from_iter(marks),
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
