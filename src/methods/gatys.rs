//! Gatys' method (arXiv:1508.06576): optimises the pixels of a picture until its features match those of a photo and
//! its Gram matrices match those of a painting.

mod problem;
mod settings;

use problem::Layout;
pub use problem::PictureLoss;
pub use settings::{GatysSettings, Init, Normalization, Optimizer, Preset};

use std::ops::ControlFlow;

use web_time::Instant;

use super::color::{self, KeepColor};
use super::{Area, advice, areas};
use crate::gpu::{Context, DeviceTensor, Memory};
use crate::io::{Picture, picture::scaled_size};
use crate::nets::{Place, Vgg19, check_detail};
use crate::optim::{Adam, AdamOptions, Lbfgs, LbfgsOptions, Objective as _};
use crate::random::Random;
use crate::{Error, Result};

/// State of the optimisation after an optimiser step.
pub struct Progress<'a> {
    /// Index of the current scale, from 0, and the number of scales.
    pub scale: [usize; 2],
    /// Width and height of the picture at this scale, in pixels.
    pub size: [usize; 2],
    /// Evaluations so far over all scales, and their maximum.
    pub evaluations: [usize; 2],
    /// Current loss.
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
    /// The current picture in its final form, read back from the device.
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
    /// Loss at the start of the last scale, and loss of the result.
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

/// Widths and heights of the scales in ascending order. Each scale is √2 larger than the previous one; the last has a
/// long side of `settings.size`.
fn scales(content: &Picture, settings: &GatysSettings) -> Vec<(usize, usize)> {
    let size = |back: usize| (settings.size as f64 / std::f64::consts::SQRT_2.powi(back as i32)).round() as usize;
    let count = settings.scales.unwrap_or_else(|| 1 + (1..).take_while(|&back| size(back) >= 128).count().min(4));
    let sizes = (0..count.max(1)).rev().map(|back| scaled_size(content.width, content.height, size(back)));
    let mut sizes: Vec<_> = sizes.collect();
    sizes.dedup();
    sizes
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

/// Long side of the style picture for a result of the given size.
fn style_side((width, height): (usize, usize), settings: &GatysSettings) -> usize {
    (settings.style_scale * width.max(height) as f32).round().max(1.0) as usize
}

/// Peak of device memory over all scales, in bytes. Allocates nothing. Returns an error if a scale cannot be computed.
fn plan(vgg: &Vgg19, content: &Picture, areas: &[Area<Picture>], settings: &GatysSettings) -> Result<u64> {
    let mut peak = 0;
    let layout = Layout::of(content, areas);
    for (width, height) in scales(content, settings) {
        problem::check_sides(vgg, "content", [width, height], settings)?;
        peak = peak.max(PictureLoss::plan_at(vgg, [width, height], layout, settings)?.peak_bytes());
        for (index, (style, _)) in areas.iter().flat_map(|area| &area.styles).enumerate() {
            let (width, height) = scaled_size(style.width, style.height, style_side((width, height), settings));
            problem::check_sides(vgg, &format!("style {}", index + 1), [width, height], settings)?;
            peak = peak.max(PictureLoss::plan_style(vgg, style, [width, height], settings)?.peak_bytes());
        }
    }
    Ok(peak)
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
/// picture. A narrow net gives nearly the result of the full-width net if it has all channels at the taps ([`full`]).
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
    let sizes = scales(content, settings);
    let plan_at = |size| plan(vgg, content, areas, &GatysSettings { size, scales: Some(1), ..settings.clone() });
    let peak_bytes = advice::or_largest(plan(vgg, content, areas, settings), settings.size, plan_at)?;
    let &(width, height) = sizes.last().unwrap_or(&(content.width, content.height));
    tracing::info!(width, height, peak_mib = peak_bytes >> 20, "planned");

    let began = Instant::now();
    // Pictures can be much larger than the largest scale, so they are reduced to it first.
    let content = content.resize(width, height);
    let largest = style_side((width, height), settings);
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
    let most = settings.steps.saturating_mul(sizes.len());
    for (index, &(width, height)) in sizes.iter().enumerate() {
        let content = content.resize(width, height);
        let mut fitting: Vec<_> =
            areas.iter().map(|area| fitted(area, style_side((width, height), settings), None)).collect();
        if settings.keep_color == KeepColor::Match {
            let styles = fitting.iter_mut().flat_map(|area| &mut area.styles);
            styles.for_each(|(style, _)| *style = color::with_colors_of(style, &content));
        }
        let mut loss = PictureLoss::new_async(vgg, &content, &fitting, settings).await?;
        let from = match &reached {
            Some(coarser) => coarser.resize(width, height),
            None => start(&content, &fitting[0].styles[0].0, settings),
        };
        loss.picture().write(&from.rgb)?;
        let mut optimizer = PixelOptimizer::new(vgg.context(), &loss, settings)?;
        outcome.peak_bytes = outcome.peak_bytes.max(loss.memory().join(optimizer.memory()).peak_bytes());
        outcome.allocated_bytes = outcome.allocated_bytes.max(vgg.context().allocated_bytes());
        let (before, mut first) = (outcome.evaluations, None);
        while outcome.evaluations - before < settings.steps {
            let (value, evaluations, converged) = optimizer.iterate(&mut loss).await?;
            if !value.is_finite() {
                return Err(loss.blame().await);
            }
            outcome.evaluations += evaluations;
            outcome.loss = [*first.get_or_insert(loss.first()), value];
            let progress = Progress {
                scale: [index, sizes.len()],
                size: [width, height],
                evaluations: [outcome.evaluations, most],
                loss: value,
                terms: loss.terms(),
                seconds: began.elapsed().as_secs_f64(),
                picture: loss.picture(),
                content: &content,
                areas: &areas,
                keep_color: settings.keep_color,
            };
            outcome.interrupted = observer(&progress).await?.is_break();
            if outcome.interrupted || converged {
                break;
            }
        }
        // The reported loss is that of the result: after the last step and after clamping.
        loss.clamp()?;
        outcome.loss[1] = loss.evaluate_async().await?;
        outcome.terms = loss.terms().to_vec();
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

/// L-BFGS is unbounded, so the picture is clamped to 0..1 every so many iterations. Otherwise pixels drift out of
/// range, and clamping only at the end loses much of what a strong style gained.
const CLAMP_EVERY: usize = 20;

/// The optimiser of the pixels.
enum PixelOptimizer {
    /// The optimiser, and the number of its iterations so far.
    Lbfgs(Box<Lbfgs>, usize),
    Adam(Box<Adam>),
}

impl PixelOptimizer {
    fn new(context: &Context, loss: &PictureLoss, settings: &GatysSettings) -> Result<Self> {
        let (x, g) = (loss.picture(), loss.gradient());
        Ok(match settings.optimizer {
            Optimizer::Lbfgs => {
                let options = LbfgsOptions { history: settings.history, ..LbfgsOptions::default() };
                PixelOptimizer::Lbfgs(Box::new(Lbfgs::new(context, x, g, options)?), 0)
            }
            Optimizer::Adam => {
                let learning_rate = settings.learning_rate;
                let options = AdamOptions { learning_rate, range: [0.0, 1.0], ..AdamOptions::default() };
                PixelOptimizer::Adam(Box::new(Adam::new(context, x, g, options)?))
            }
        })
    }

    /// Runs one iteration. Returns the loss, the number of evaluations and whether the optimiser has converged.
    async fn iterate(&mut self, loss: &mut PictureLoss) -> Result<(f64, usize, bool)> {
        match self {
            PixelOptimizer::Lbfgs(lbfgs, iterations) => {
                if *iterations > 0 && iterations.is_multiple_of(CLAMP_EVERY) {
                    loss.clamp()?;
                    lbfgs.moved();
                }
                *iterations += 1;
                let step = lbfgs.iterate_async(loss).await?;
                Ok((step.value, step.evaluations, step.converged))
            }
            PixelOptimizer::Adam(adam) => Ok((adam.iterate_async(loss).await?, 1, false)),
        }
    }

    fn memory(&self) -> Memory {
        match self {
            PixelOptimizer::Lbfgs(lbfgs, _) => lbfgs.memory(),
            PixelOptimizer::Adam(adam) => adam.memory().clone(),
        }
    }
}
