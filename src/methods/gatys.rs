//! Gatys' method (arXiv:1508.06576): optimises the pixels of a picture until its features match those of a photo and
//! its Gram matrices match those of a painting.

mod fit;
mod optimizer;
mod plan;
mod problem;
mod settings;
mod style;
mod terms;
mod windows;

use optimizer::PixelOptimizer;
use plan::{Scale, plan, style_side};
pub use problem::PictureLoss;
pub use settings::{GatysSettings, Init, Normalization, Optimizer, Preset};

use std::ops::ControlFlow;

use web_time::Instant;

use super::color::{self, KeepColor};
use super::{Area, advice, areas};
use crate::gpu::DeviceTensor;
use crate::io::Picture;
use crate::nets::tiles::Tiling;
use crate::nets::{Place, Vgg19, check_detail};
use crate::optim::Objective;
use crate::random::Random;
use crate::{Error, Result};

/// The windows in which a scale is painted that does not fit into the device memory in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowProgress {
    /// Width and height of a window, in pixels.
    pub size: [usize; 2],
    /// Number of windows.
    pub count: usize,
    /// How often an evaluation runs each window.
    pub passes: usize,
    /// Windows run so far in this evaluation, from 0 to `count` times `passes`.
    pub done: usize,
    /// Planned peak of device memory at this scale, in bytes.
    pub bytes: u64,
}

/// State of the optimisation after an optimiser step, or between two windows of an evaluation.
pub struct Progress<'a> {
    /// Index of the current scale, from 0, and the number of scales.
    pub scale: [usize; 2],
    /// Width and height of the picture at this scale, in pixels.
    pub size: [usize; 2],
    /// Evaluations so far over all scales, and their maximum.
    pub evaluations: [usize; 2],
    /// The windows of an evaluation that has not ended; `None` after an optimiser step.
    pub windows: Option<WindowProgress>,
    /// Current loss; NaN before the first step of a scale.
    pub loss: f64,
    /// Name and value of each loss term.
    pub terms: &'a [(String, f64)],
    /// Seconds since the start.
    pub seconds: f64,
    picture: &'a DeviceTensor,
    content: &'a Picture,
    areas: &'a [Area<Picture>],
    keep_color: KeepColor,
}

impl Progress<'_> {
    /// The current picture in its final form, read back from the device. Between two windows, it is what the optimiser
    /// tries.
    pub async fn picture_async(&self) -> Result<Picture> {
        let picture = read_picture(self.picture, self.size, self.content).await?;
        Ok(finished(picture, self.content, self.areas, self.keep_color))
    }

    /// [`picture_async`](Progress::picture_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn picture(&self) -> Result<Picture> {
        self.picture.context().block_on(self.picture_async())
    }
}

/// Result of the optimisation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The picture at the size asked for, RGB 0..1, with the content's alpha.
    pub picture: Picture,
    /// Width and height of the last scale that was optimised, in pixels. It is smaller than `picture` if the observer
    /// stopped an earlier scale; the picture is then enlarged.
    pub scale: [usize; 2],
    /// Loss at the start of the last scale, and loss of the result. If the observer stopped a scale in windows, that of
    /// the last step; NaN if there was none.
    pub loss: [f64; 2],
    /// Name and value of each loss term of the result.
    pub terms: Vec<(String, f64)>,
    /// Number of evaluations of loss and gradient.
    pub evaluations: usize,
    /// Whether the observer stopped the optimisation.
    pub interrupted: bool,
    /// Planned peak of device memory during the optimisation, in bytes.
    pub peak_bytes: u64,
    /// Maximum of the bytes allocated by the driver, including layers of the net that are not used; `None` if the
    /// backend cannot report them.
    pub allocated_bytes: Option<u64>,
}

async fn read_picture(x: &DeviceTensor, [width, height]: [usize; 2], content: &Picture) -> Result<Picture> {
    let mut rgb = x.read_async().await?;
    if let Some(at) = rgb.iter().position(|v| !v.is_finite()) {
        let place = format!("pixel {} of the picture", at % (width * height));
        let help = "lower the weight of the style, or use Adam".into();
        return Err(Error::NonFinite { what: "the picture".into(), place, help });
    }
    check_detail(x.context(), content, &rgb);
    rgb.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    Picture::from_rgb(width, height, rgb)
}

/// Completes an optimised picture with the content's alpha, its pixels where no area applies and, with
/// [`KeepColor::Luminance`], its chrominance.
fn finished(picture: Picture, content: &Picture, areas: &[Area<Picture>], keep_color: KeepColor) -> Picture {
    let places: Vec<_> = areas.iter().map(|area| &area.place).collect();
    areas::over(content, keep_color.keep(picture, content), &places)
}

/// `area` with style pictures of a long side of `side`, and a mask of `size` (width and height).
fn fitted(area: &Area<Picture>, side: usize, size: Option<[usize; 2]>) -> Area<Picture> {
    let place = match (&area.place, size) {
        (Place::Mask(mask), Some([width, height])) => Place::Mask(mask.resize(width, height)),
        (place, _) => place.clone(),
    };
    Area { styles: area.styles.iter().map(|(style, weight)| (style.fit(side), *weight)).collect(), place }
}

fn start(content: &Picture, style: &Picture, settings: &GatysSettings) -> Picture {
    let mut picture = content.clone();
    match &settings.init {
        Init::Content => {}
        Init::Picture(from) => picture.rgb = from.resize(content.width, content.height).rgb,
        Init::Style => picture.rgb = style.resize(content.width, content.height).rgb,
        Init::Noise => {
            let mut random = Random::new(settings.seed);
            picture.rgb.iter_mut().for_each(|v| *v = (0.5 + 0.1 * random.normal()).clamp(0.0, 1.0));
        }
    }
    picture
}

/// Repaints `content` in the styles of `areas` and keeps its alpha. Where no area applies, the result has the content's
/// own pixels. Pictures are RGB 0..1.
///
/// `observer` is called after every optimiser step and can stop the optimisation; the result is then the current
/// picture. A scale that does not fit into [`GatysSettings::memory`] is painted in windows: the result is the same, and
/// an evaluation takes longer. `observer` is then also called between windows ([`Progress::windows`]). The vectors of the
/// whole picture, 12 bytes for each pixel, must each fit in a tensor of the device: with the least limit of WebGPU, 128
/// MiB, those are 11 megapixels.
///
/// A narrow net gives nearly the result of the full-width net if it has all channels at the taps ([`full`]).
///
/// [`full`]: crate::train::encoder::EncoderTrainerSettings::full
///
/// # Errors
/// Before anything is allocated: settings out of range, a tap that the net does not have, a picture too small for the
/// taps at one of the scales, a size that does not fit the device (with the largest that does). Later: a non-finite
/// loss, with the first dispatch that produced it; a non-finite pixel; a uniform picture from a content with detail;
/// device errors; errors of `observer`.
pub async fn stylize_async(
    vgg: &Vgg19,
    content: &Picture,
    areas: &[Area<Picture>],
    settings: &GatysSettings,
    mut observer: impl AsyncFnMut(&Progress<'_>) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    settings.check(areas.iter().map(|area| area.styles.iter().map(|(_, weight)| *weight)))?;
    content.check("gatys", "content")?;
    areas::check(areas.iter().map(|area| &area.place))?;
    areas.iter().flat_map(|area| &area.styles).try_for_each(|(style, _)| style.check("gatys", "style"))?;
    if let Init::Picture(picture) = &settings.init {
        picture.check("gatys", "init")?;
    }
    let plan_at = |size| {
        let settings = GatysSettings { size, scales: Some(1), ..settings.clone() };
        plan::check(vgg, content, areas, &settings).map(|()| Vec::new())
    };
    let scales = advice::or_largest(plan(vgg, content, areas, settings), settings.size, plan_at)?;
    let peak_bytes = scales.iter().map(|scale| scale.bytes).max().unwrap_or(0);
    let [width, height] = scales.last().map_or([content.width, content.height], |scale| scale.size);
    tracing::info!(width, height, peak_mib = peak_bytes >> 20, "planned");
    scales.iter().for_each(|scale| plan::announce(scale, settings));

    let began = Instant::now();
    // Pictures can be much larger than the largest scale, so they are reduced to it first.
    let content = content.resize(width, height);
    let largest = style_side([width, height], settings);
    let areas: Vec<_> = areas.iter().map(|area| fitted(area, largest, Some([width, height]))).collect();
    // The picture at the last scale that was optimised.
    let mut reached: Option<Picture> = None;
    let mut outcome = Outcome {
        picture: Picture::new(1, 1),
        scale: [1; 2],
        loss: [0.0; 2],
        terms: Vec::new(),
        evaluations: 0,
        interrupted: false,
        peak_bytes,
        allocated_bytes: None,
    };
    let most = scales.iter().fold(0, |sum: usize, scale| sum.saturating_add(scale.steps));
    for (index, scale) in scales.iter().enumerate() {
        let [width, height] = scale.size;
        let content = content.resize(width, height);
        let mut fitting: Vec<_> =
            areas.iter().map(|area| fitted(area, style_side([width, height], settings), None)).collect();
        if settings.keep_color == KeepColor::Match {
            let styles = fitting.iter_mut().flat_map(|area| &mut area.styles);
            styles.for_each(|(style, _)| *style = color::with_colors_of(style, &content));
        }
        let kept = windows::KEPT_ON_HOST;
        let mut loss = PictureLoss::in_windows_async(vgg, &content, &fitting, settings, &scale.tiling, kept).await?;
        let from = match &reached {
            Some(coarser) => coarser.resize(width, height),
            None => start(&content, &fitting[0].styles[0].0, settings),
        };
        loss.picture().write(&from.rgb)?;
        let mut optimizer = PixelOptimizer::new(vgg.context(), &loss, settings, scale)?;
        outcome.peak_bytes = outcome.peak_bytes.max(loss.memory().join(optimizer.memory()).peak_bytes());
        outcome.allocated_bytes = outcome.allocated_bytes.max(vgg.context().allocated_bytes());
        let mut stage = Stage {
            scale: [index, scales.len()],
            plan: scale,
            evaluations: [outcome.evaluations, most],
            loss: f64::NAN,
            terms: loss.terms().to_vec(),
            began,
            picture: loss.picture().clone(),
            content: &content,
            areas: &areas,
            keep_color: settings.keep_color,
        };
        let (before, mut first) = (outcome.evaluations, None);
        while outcome.evaluations - before < scale.steps {
            optimizer.clamp_if_due(&loss)?;
            stage.evaluations[0] = outcome.evaluations;
            let mut watched = Watched { loss: &mut loss, observer: &mut observer, stage: &mut stage, stopped: false };
            let step = optimizer.iterate(&mut watched).await;
            if watched.stopped {
                optimizer.retreat()?;
                outcome.evaluations = stage.evaluations[0];
                outcome.interrupted = true;
                break;
            }
            let (value, evaluations, converged) = step?;
            if !value.is_finite() {
                return Err(loss.blame().await);
            }
            outcome.evaluations += evaluations;
            first.get_or_insert(loss.first());
            stage.evaluations[0] = outcome.evaluations;
            (stage.loss, stage.terms) = (value, loss.terms().to_vec());
            outcome.interrupted = observer(&stage.progress(None)).await?.is_break();
            if outcome.interrupted || converged {
                break;
            }
        }
        if first.is_none() && reached.is_some() {
            // Stopped in the first step: the result is that of the scale before.
            break;
        }
        loss.clamp()?;
        // The reported loss is that of the result: after the last step and after clamping. After a stop, an evaluation in
        // windows would take too long.
        if !outcome.interrupted || loss.windows().is_none() {
            stage.loss = loss.evaluate_async().await?;
            stage.terms = loss.terms().to_vec();
        }
        outcome.loss = [first.unwrap_or(f64::NAN), stage.loss];
        outcome.terms = stage.terms;
        outcome.scale = [width, height];
        reached = Some(read_picture(loss.picture(), outcome.scale, &content).await?);
        if outcome.interrupted {
            break;
        }
    }
    if let Some(picture) = reached {
        let picture = picture.resize(content.width, content.height);
        outcome.picture = finished(picture, &content, &areas, settings.keep_color);
    }
    Ok(outcome)
}

/// [`stylize_async`], waited for.
///
/// # Errors
/// Those of [`stylize_async`].
#[cfg(feature = "blocking")]
pub fn stylize(
    vgg: &Vgg19,
    content: &Picture,
    areas: &[Area<Picture>],
    settings: &GatysSettings,
    mut observer: impl FnMut(&Progress) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    let observer = async |progress: &Progress<'_>| observer(progress);
    vgg.context().block_on(stylize_async(vgg, content, areas, settings, observer))
}

/// What is known of a scale between two calls of the observer.
struct Stage<'a> {
    scale: [usize; 2],
    plan: &'a Scale,
    evaluations: [usize; 2],
    loss: f64,
    terms: Vec<(String, f64)>,
    began: Instant,
    picture: DeviceTensor,
    content: &'a Picture,
    areas: &'a [Area<Picture>],
    keep_color: KeepColor,
}

impl Stage<'_> {
    fn progress(&self, windows: Option<WindowProgress>) -> Progress<'_> {
        Progress {
            scale: self.scale,
            size: self.plan.size,
            evaluations: self.evaluations,
            windows,
            loss: self.loss,
            terms: &self.terms,
            seconds: self.began.elapsed().as_secs_f64(),
            picture: &self.picture,
            content: self.content,
            areas: self.areas,
            keep_color: self.keep_color,
        }
    }
}

/// The loss as the optimiser evaluates it: the observer sees every window.
struct Watched<'a, 'b, O> {
    loss: &'a mut PictureLoss,
    observer: &'a mut O,
    stage: &'a mut Stage<'b>,
    /// Whether the observer stopped the evaluation.
    stopped: bool,
}

impl<O: AsyncFnMut(&Progress<'_>) -> Result<ControlFlow<()>>> Objective for Watched<'_, '_, O> {
    async fn evaluate_async(&mut self) -> Result<f64> {
        let Watched { loss, observer, stage, stopped } = self;
        let Scale { tiling, bytes, .. } = stage.plan;
        let ([height, width], count) = (tiling.window(), tiling.count());
        let passes = loss.windows().map_or(1, |windows| windows.passes());
        let value = loss.evaluate_watched(async |done| {
            let windows = WindowProgress { size: [width, height], count, passes, done, bytes: *bytes };
            match observer(&stage.progress(Some(windows))).await? {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => {
                    *stopped = true;
                    Err(Error::Interrupted(" between two windows".into()))
                }
            }
        });
        let value = value.await?;
        stage.evaluations[0] += 1;
        Ok(value)
    }
}
