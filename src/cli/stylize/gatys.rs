//! `impasto stylize --method gatys`: optimises the pixels.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::ValueEnum;

use impasto::gpu::{Context, Profile};
use impasto::io::picture::scaled_size;
use impasto::io::{Picture, SaveOptions, check_space};
use impasto::methods::Area;
use impasto::methods::gatys::{
    self, GatysSettings, Init, Normalization, Optimizer, PictureLoss, Preset, WindowProgress,
};
use impasto::nets::{Tap, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::{Error, Result};

use super::{Args, choice, enlarged, suffixed, weighted};
use crate::cli::log::Log;
use crate::cli::photos::jobs::single;
use crate::cli::progress::bar;
use crate::cli::standard::{self, is_standard};
use crate::cli::weights::load_gatys_vgg;
use crate::cli::{interrupt, print_line};

/// The options of Gatys' method.
#[derive(Clone, Default, clap::Args)]
#[group(id = "optimised", multiple = true, conflicts_with = "model")]
#[command(next_help_heading = "Options of Gatys' method (--method gatys)")]
pub struct GatysArgs {
    /// Set of defaults for the options below; an option that is given as well overrides it [default: default]
    #[arg(long, value_enum)]
    preset: Option<PresetName>,
    /// Evaluations of loss and gradient at each scale, at least 1. L-BFGS finishes the iteration it is in [default:
    /// 100; preset neural-style: 1000; at most 20 at a scale that is painted in windows (see --memory) and begins with
    /// the result of a smaller one]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Number of scales from small to large, 1 to 20, each √2 larger than the one before [default: from 128 px up, at
    /// most 5; preset neural-style: 1]
    #[arg(long, value_name = "N")]
    scales: Option<usize>,
    /// Weight of the style loss, 0 or more. Higher values give more of the style [default: 30; preset neural-style:
    /// 100]
    #[arg(long, value_name = "W")]
    style_weight: Option<f32>,
    /// Weight of the content loss, 0 or more. Higher values keep more of the photo [default: 1; preset neural-style: 5]
    #[arg(long, value_name = "W")]
    content_weight: Option<f32>,
    /// Weight of the total variation, 0 or more. Higher values give a smoother picture [default: 1; preset
    /// neural-style: 65]
    #[arg(long, value_name = "W")]
    tv_weight: Option<f32>,
    /// Long side of the style picture relative to the result's, above 0 and at most 8. Values above 1 give larger
    /// strokes [default: 1]
    #[arg(long, value_name = "F")]
    style_scale: Option<f32>,
    /// VGG-19 layer (tap) for the content loss, such as relu4_1 or relu3_1:0.5; may be repeated [default: relu4_1;
    /// preset neural-style: relu4_2; first-five: relu3_1]
    #[arg(long, value_name = "TAP[:WEIGHT]")]
    content_tap: Vec<String>,
    /// VGG-19 layer (tap) for the style loss; may be repeated [default: relu1_1 relu2_1 relu3_1 relu4_1; preset
    /// neural-style: also relu5_1; first-five: relu1_1 relu1_2 relu2_1 relu2_2 relu3_1]
    #[arg(long, value_name = "TAP[:WEIGHT]")]
    style_tap: Vec<String>,
    /// Unit of each tap's loss [default: relative; preset neural-style: plain]
    #[arg(long, value_enum)]
    normalization: Option<NormalizationName>,
    /// Initial picture: content (the photo), noise, style (the first style picture), or a picture file, such as an
    /// earlier result, which --scales 1 refines [default: content; preset neural-style: noise]
    #[arg(long, value_name = "content|noise|style|FILE")]
    init: Option<String>,
    /// Optimiser of the pixels [default: lbfgs]
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerName>,
    /// Step size of Adam, above 0, for pixels between 0 and 1 [default: 0.02]
    #[arg(long, value_name = "A")]
    learning_rate: Option<f32>,
    /// Steps that L-BFGS remembers, at least 1. Each takes the memory of two pictures (f32) [default: 50]
    #[arg(long, value_name = "N")]
    history: Option<usize>,
    /// Seed of --init noise [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Pooling between the blocks of VGG-19; average gives smoother results [default: max]
    #[arg(long, value_enum)]
    pool: Option<PoolName>,
    /// Also write the picture every N evaluations, with their number in the file name: out-00050.png for out.png
    #[arg(long, value_name = "N")]
    save_every: Option<usize>,
    /// Write the loss and its terms after each iteration to FILE as JSON lines
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Measure one more evaluation: print time, GFLOP/s and GB/s of every dispatch, and write them to FILE as a trace
    /// for chrome://tracing or Perfetto. Of a picture in windows, measure one window
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

choice!(PresetName => Preset {
    /// Layers up to relu4_1, several scales
    Default => Preset::Default,
    /// The settings of jcjohnson/neural-style; needs a VGG-19 up to relu5_1
    NeuralStyle => Preset::NeuralStyle,
    /// Only the first five convolutions of VGG-19: faster
    FirstFive => Preset::FirstFive,
});
choice!(InitName => Init {
    /// The photo; keeps its layout and converges fastest
    Content => Init::Content,
    /// Noise, as in the paper
    Noise => Init::Noise,
    /// The first style picture
    Style => Init::Style,
});
choice!(OptimizerName => Optimizer {
    /// Quasi-Newton method; needs the fewest evaluations
    Lbfgs => Optimizer::Lbfgs,
    /// First-order method; needs the least memory
    Adam => Optimizer::Adam,
});
choice!(NormalizationName => Normalization {
    /// Divide by the mean square of the target; weights then mean the same for every net
    Relative => Normalization::Relative,
    /// Mean squares without a division
    Plain => Normalization::Plain,
});
choice!(PoolName => Pooling {
    /// The maximum of each window
    Max => Pooling::Max,
    /// The mean of each window
    Average => Pooling::Average,
});

/// The taps that the command line names, with their weights.
pub fn taps(list: &[String]) -> Result<Vec<(Tap, f32)>> {
    list.iter().map(|text| weighted(text)).map(|(name, weight)| Ok((name.parse()?, weight))).collect()
}

/// The arguments of a run.
struct Call<'a> {
    args: &'a Args,
    options: &'a GatysArgs,
    output: PathBuf,
}

impl Call<'_> {
    fn settings(&self, content: &Picture) -> Result<GatysSettings> {
        let mut settings = self.options.preset.map_or(Preset::Default, Preset::from).settings();
        let natural = content.width.max(content.height).min(settings.size);
        settings.size = self.args.size.unwrap_or(natural);
        settings.seed = self.options.seed.unwrap_or(0);
        settings.keep_color = self.args.keep_color.into();
        settings.scales = self.options.scales.or(settings.scales);
        settings.steps = self.options.steps.unwrap_or(settings.steps);
        settings.window_steps = self.options.steps.unwrap_or(settings.window_steps);
        settings.memory = Some(self.args.files.budget().device);
        settings.style_weight = self.options.style_weight.unwrap_or(settings.style_weight);
        settings.content_weight = self.options.content_weight.unwrap_or(settings.content_weight);
        settings.tv_weight = self.options.tv_weight.unwrap_or(settings.tv_weight);
        settings.style_scale = self.options.style_scale.unwrap_or(settings.style_scale);
        settings.learning_rate = self.options.learning_rate.unwrap_or(settings.learning_rate);
        settings.history = self.options.history.unwrap_or(settings.history);
        if let Some(init) = &self.options.init {
            settings.init = match InitName::from_str(init, false) {
                Ok(name) => name.into(),
                Err(_) if !Path::new(init).exists() => {
                    let expected = "content, noise, style or a picture that exists";
                    return Err(Error::argument("stylize", "--init", expected, init));
                }
                Err(_) => Init::Picture(Picture::load(Path::new(init))?),
            };
        }
        settings.optimizer = self.options.optimizer.map_or(settings.optimizer, Optimizer::from);
        settings.normalization = self.options.normalization.map_or(settings.normalization, Normalization::from);
        if !self.options.content_tap.is_empty() {
            settings.content_taps = taps(&self.options.content_tap)?;
        }
        if !self.options.style_tap.is_empty() {
            settings.style_taps = taps(&self.options.style_tap)?;
        }
        Ok(settings)
    }

    /// Refuses output files that cannot be written, before any work is done.
    fn check_outputs(&self) -> Result<()> {
        if is_standard(&self.output) && self.options.save_every.is_some() {
            return Err(Error::argument("stylize", "--save-every", "without -o -, which names no file", "both"));
        }
        let others = self.options.log.iter().chain(&self.options.profile).map(PathBuf::as_path);
        let output = Some(self.output.as_path()).filter(|output| !is_standard(output));
        let all: Vec<_> = output.into_iter().chain(others).collect();
        self.args.files.overwrite.check_all("--output, --log and --profile", &all)?;
        match self.options.save_every {
            Some(0) => Err(Error::argument("stylize", "--save-every", "at least 1", 0)),
            Some(_) => self.args.files.overwrite.check_numbered(&self.output),
            None => Ok(()),
        }
    }

    /// The output file with a number: `out-00050.png`.
    fn numbered(&self, evaluations: usize) -> PathBuf {
        suffixed(&self.output, &format!("{evaluations:05}"))
    }
}

impl Args {
    /// The areas of the masks, and that of --style.
    fn areas(&self) -> Result<Vec<Area<Picture>>> {
        let load = |text: &str| {
            let (name, weight) = weighted(text);
            Result::Ok((Picture::load(Path::new(name))?, weight))
        };
        let masked = self.masks()?.into_iter().map(|(place, style)| Ok(Area { styles: vec![load(style)?], place }));
        let mut areas = masked.collect::<Result<Vec<_>>>()?;
        let styles = self.style.iter().map(|text| load(text)).collect::<Result<Vec<_>>>()?;
        if !styles.is_empty() {
            areas.push(Area { styles, place: self.rest() });
        }
        Ok(areas)
    }
}

pub fn run(args: &Args, options: &GatysArgs) -> Result<()> {
    let [photo] = &args.files.photos[..] else {
        let expected = "one photo with --method gatys";
        return Err(Error::argument("stylize", "PHOTO", expected, args.files.photos.len()));
    };
    let call = Call { args, options, output: single("stylize", photo, &args.files.output)? };
    if args.files.skip_existing && call.output.exists() {
        let [photo, output] = [photo, &call.output].map(|path| path.display().to_string());
        return match args.files.json {
            true => print_line(serde_json::json!({ "photo": photo, "output": output, "skipped": true })),
            false => print_line(format_args!("{output}: kept")),
        };
    }
    call.check_outputs()?;
    let (content, metadata) = standard::load_picture(photo)?;
    let written = args.files.save_options(metadata);
    let areas = args.areas()?;
    let settings = call.settings(&content)?;
    if !is_standard(&call.output) {
        let (width, height) = scaled_size(content.width, content.height, settings.size);
        let size = [width, height].map(|side| side.saturating_mul(args.enlarge.unwrap_or(1)));
        check_space(&call.output, size, content.alpha.is_some(), &written.metadata)?;
    }
    let context = args.device.open()?;
    let vgg = load_gatys_vgg(&context, args.vgg.as_deref(), options.pool.map_or(Pooling::Max, Pooling::from))?;
    let began = Instant::now();
    let (outcome, lost) = paint(&call, &vgg, &content, &areas, &settings, &written)?;
    // After Ctrl-C the picture is kept as it is.
    let enlarged = if outcome.interrupted { Ok(None) } else { enlarged::picture(args, &context, &outcome.picture) };
    // A picture that cannot be enlarged is kept as it is, too.
    let (picture, lost) = match enlarged {
        Ok(enlarged) => (enlarged, lost),
        Err(error) => (None, Some(error)),
    };
    let picture = picture.as_ref().unwrap_or(&outcome.picture);
    save(picture, &call.output, &written)?;
    let seconds = began.elapsed().as_secs_f64();
    if let Some(path) = &options.profile {
        let measured = [("evaluation".to_string(), profile(&vgg, &outcome.picture, &content, &areas, &settings)?)];
        crate::cli::profile::write(path, &measured)?;
        if !args.files.json && !is_standard(&call.output) {
            measured.iter().try_for_each(crate::cli::profile::print)?;
        }
    }
    if !is_standard(&call.output) {
        report(&call, &context, &outcome, [picture.width, picture.height], seconds)?;
    }
    if outcome.interrupted {
        let [width, height] = outcome.scale;
        let enlarged = match [outcome.picture.width, outcome.picture.height] == outcome.scale {
            true => String::new(),
            false => format!(", enlarged from {width}x{height}"),
        };
        return Err(Error::Interrupted(format!("; the picture so far is in {}{enlarged}", call.output.display())));
    }
    lost.map_or(Ok(()), |error| Err(error.with_help(format!("the picture is in {}", call.output.display()))))
}

fn paint(
    call: &Call,
    vgg: &Vgg19,
    content: &Picture,
    areas: &[Area<Picture>],
    settings: &GatysSettings,
    written: &SaveOptions,
) -> Result<(gatys::Outcome, Option<Error>)> {
    let interrupted = interrupt::flag();
    let mut log = call.options.log.as_deref().map(Log::new);
    // A log or a snapshot that cannot be written must not end the work: nothing more of its kind is written.
    let mut lost: Option<Error> = None;
    let mut keep = |written: Result<()>| {
        let error = written.err();
        if let Some(error) = &error {
            tracing::warn!("{error}; the picture is painted without more of these");
        }
        let failed = error.is_some();
        lost = lost.take().or(error);
        !failed
    };
    let bar = bar(1);
    let mut next_save = call.options.save_every;
    let mut last = (0, Instant::now());
    // The last scale whose windows were described.
    let mut announced = None;
    let outcome = gatys::stylize(vgg, content, areas, settings, |progress| {
        let [done, most] = progress.evaluations;
        let [scale, scales] = progress.scale;
        let [width, height] = progress.size;
        bar.set_length(most as u64);
        bar.set_position(done.min(most) as u64);
        let place = format!("scale {}/{scales} {width}x{height}", scale + 1);
        let flow = match interrupted.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        if let Some(windows) = progress.windows {
            if announced != Some(scale) {
                announced = Some(scale);
                bar.suspend(|| eprintln!("impasto: {place} in {}", described(&windows)));
            }
            bar.set_message(format!("{place}  window {}/{}", windows.done, windows.count * windows.passes));
            return Ok(flow);
        }
        let pace = last.1.elapsed().as_secs_f64() / (done - last.0).max(1) as f64;
        last = (done, Instant::now());
        bar.set_message(format!("{place}  loss {:.4e}  {pace:.2} s per evaluation", progress.loss));
        if let Some(open) = &mut log {
            let terms: serde_json::Map<_, _> =
                progress.terms.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
            let line = serde_json::json!({
                "evaluations": done, "scale": scale, "width": width, "height": height,
                "loss": progress.loss, "terms": terms, "seconds": progress.seconds,
            });
            if !keep(open.write(&line)) {
                log = None;
            }
        }
        if let Some(due) = next_save.filter(|due| done >= *due) {
            let saved = keep(progress.picture()?.save_with(&call.numbered(done), written));
            let every = call.options.save_every.filter(|_| saved);
            next_save = every.map(|every| (due / every + 1) * every).map(|next| next.max(done + 1));
        }
        Ok(flow)
    });
    bar.finish_and_clear();
    Ok((outcome?, lost))
}

/// The windows of a scale, in words.
fn described(windows: &WindowProgress) -> String {
    let WindowProgress { size: [width, height], count, passes, bytes, .. } = windows;
    let passes = if *passes == 1 { "1 pass".into() } else { format!("{passes} passes") };
    let mebibytes = bytes.div_ceil(1 << 20);
    format!("{count} windows of {width}x{height} px, {passes} per evaluation, {mebibytes} MiB of device memory")
}

/// Writes the picture. If that fails, for example because the disk is full, the picture goes to the folder of temporary
/// files, and the error says where it is.
fn save(picture: &Picture, output: &Path, options: &SaveOptions) -> Result<()> {
    let Err(error) = standard::save(picture, output, options) else { return Ok(()) };
    let rescued = tempfile::Builder::new().prefix("impasto-").suffix(".png").tempfile();
    let Ok((_, path)) = rescued.and_then(|file| file.keep().map_err(|error| error.error)) else { return Err(error) };
    match picture.save_with(&path, options) {
        Ok(()) => Err(error.with_help(format!("the picture is in {}", path.display()))),
        Err(_) => {
            // Nothing more can be done about the empty file.
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

/// Measures one evaluation of the picture's loss, dispatch by dispatch.
fn profile(
    vgg: &Vgg19,
    picture: &Picture,
    content: &Picture,
    areas: &[Area<Picture>],
    settings: &GatysSettings,
) -> Result<Profile> {
    let content = content.resize(picture.width, picture.height);
    let side = (settings.style_scale * settings.size as f32).round().max(1.0) as usize;
    let fit = |(style, weight): &(Picture, f32)| (style.fit(side), *weight);
    let fitted = |area: &Area<Picture>| Area { styles: area.styles.iter().map(fit).collect(), ..area.clone() };
    let areas: Vec<_> = areas.iter().map(fitted).collect();
    let mut loss = PictureLoss::new(vgg, &content, &areas, settings)?;
    loss.picture().write(&picture.rgb)?;
    loss.evaluate()?;
    loss.profile()
}

fn report(
    call: &Call,
    context: &Context,
    outcome: &gatys::Outcome,
    [width, height]: [usize; 2],
    seconds: f64,
) -> Result<()> {
    let [first, last] = outcome.loss;
    let output = call.output.display();
    if call.args.files.json {
        let terms: serde_json::Map<_, _> =
            outcome.terms.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
        return print_line(serde_json::json!({
            "output": output.to_string(), "width": width, "height": height, "first_loss": first, "last_loss": last,
            "terms": terms, "evaluations": outcome.evaluations, "seconds": seconds,
            "peak_bytes": outcome.peak_bytes, "allocated_bytes": outcome.allocated_bytes,
            "device": context.name(), "driver": context.driver(), "interrupted": outcome.interrupted,
        }));
    }
    print_line(format_args!(
        "{output}: {width}x{height}, loss {first:.4e} -> {last:.4e} at the last scale, \
         {} evaluations in {seconds:.1} s",
        outcome.evaluations
    ))
}
