//! Gatys' method (arXiv:1508.06576): optimise the pixels until their features match a photo and their Gram matrices a
//! painting.

mod problem;
mod settings;

pub use problem::PictureLoss;
pub use settings::{Init, Normalization, Optimizer, Preset, Settings};

use std::ops::ControlFlow;
use std::time::Instant;

use super::color::{self, KeepColor};
use crate::gpu::{Context, DeviceTensor, Memory};
use crate::io::{Picture, picture::scaled_size};
use crate::nets::Vgg19;
use crate::optim::{Adam, AdamOptions, Lbfgs, LbfgsOptions, Objective};
use crate::random::Random;
use crate::{Error, Result};

/// Where the work stands, after every step.
pub struct Progress<'a> {
    /// The scale being worked at, from 0, and how many there are.
    pub scale: [usize; 2],
    /// Width and height of the picture at this scale.
    pub size: [usize; 2],
    /// Evaluations so far over all scales, and the most there will be.
    pub evaluations: [usize; 2],
    /// The loss, and its terms by name.
    pub loss: f64,
    /// Name and value of each term of the loss.
    pub terms: &'a [(String, f64)],
    /// Seconds since the start.
    pub seconds: f64,
    picture: &'a DeviceTensor,
}

impl Progress<'_> {
    /// The picture as it stands; costs a read-back.
    pub fn picture(&self) -> Result<Picture> {
        read_picture(self.picture, self.size)
    }
}

/// The end of the work.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The result, RGB 0..1, with the content's alpha.
    pub picture: Picture,
    /// The loss at the first and at the last evaluation of the last scale.
    pub loss: [f64; 2],
    /// Name and value of each term of the last loss.
    pub terms: Vec<(String, f64)>,
    /// Evaluations of loss and gradient.
    pub evaluations: usize,
    /// Whether the observer stopped it early.
    pub interrupted: bool,
    /// Peak device memory in bytes, as planned.
    pub peak_bytes: u64,
}

/// Widths and heights, small to large: each √2 larger than the one before, the last `settings.size` on its long side.
fn scales(content: &Picture, settings: &Settings) -> Vec<(usize, usize)> {
    let size = |back: usize| (settings.size as f64 / std::f64::consts::SQRT_2.powi(back as i32)).round() as usize;
    let count = settings.scales.unwrap_or_else(|| 1 + (1..).take_while(|&back| size(back) >= 128).count().min(4));
    let sizes = (0..count.max(1)).rev().map(|back| scaled_size(content.width, content.height, size(back)));
    let mut sizes: Vec<_> = sizes.collect();
    sizes.dedup();
    sizes
}

fn read_picture(x: &DeviceTensor, [width, height]: [usize; 2]) -> Result<Picture> {
    let mut rgb = x.read()?;
    if let Some(at) = rgb.iter().position(|v| !v.is_finite()) {
        let place = format!("pixel {} of the picture", at % (width * height));
        let help = "lower --style-weight or use --optimizer adam".into();
        return Err(Error::NonFinite { what: "the picture".into(), place, help });
    }
    rgb.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    Picture::from_rgb(width, height, rgb)
}

fn start(content: &Picture, style: &Picture, settings: &Settings) -> Picture {
    let mut picture = content.clone();
    match settings.init {
        Init::Content => {}
        Init::Style => picture.rgb = style.resize(content.width, content.height).rgb,
        Init::Noise => {
            let mut random = Random::new(settings.seed);
            picture.rgb.iter_mut().for_each(|v| *v = (0.5 + 0.1 * random.normal()).clamp(0.0, 1.0));
        }
    }
    picture
}

/// Repaints `content` in the style of `styles` (picture and weight each; weights are taken relative to their sum).
///
/// `observer` sees every step and may stop the work; what was reached is then the outcome. Pictures are RGB 0..1.
///
/// # Errors
/// Before anything is allocated: a tap that the net does not reach, a picture too small for the taps, a size that does not
/// fit the device. Later: a loss that is not finite, named with the first dispatch that made it; device errors.
pub fn stylize(
    vgg: &Vgg19,
    content: &Picture,
    styles: &[(Picture, f32)],
    settings: &Settings,
    mut observer: impl FnMut(&Progress) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    settings.check(styles.iter().map(|(_, weight)| *weight))?;
    let sizes = scales(content, settings);
    let &(width, height) = sizes.last().unwrap_or(&(content.width, content.height));
    let planned = PictureLoss::plan(vgg, [width, height], settings)?;
    tracing::info!(width, height, peak_mib = planned.peak_bytes() >> 20, "planned");

    let began = Instant::now();
    let mut result: Option<Picture> = None;
    let mut outcome = Outcome {
        picture: Picture::new(1, 1),
        loss: [0.0; 2],
        terms: Vec::new(),
        evaluations: 0,
        interrupted: false,
        peak_bytes: planned.peak_bytes(),
    };
    let most = settings.steps * sizes.len();
    for (index, &(width, height)) in sizes.iter().enumerate() {
        let content = content.resize(width, height);
        let styles: Vec<_> = styles
            .iter()
            .map(|(style, weight)| {
                let style = style.fit((settings.style_scale * width.max(height) as f32).round().max(1.0) as usize);
                let matched = settings.keep_color == KeepColor::Match;
                (if matched { color::with_colors_of(&style, &content) } else { style }, *weight)
            })
            .collect();
        let mut loss = PictureLoss::new(vgg, &content, &styles, settings)?;
        let from = match &result {
            Some(coarser) => coarser.resize(width, height),
            None => start(&content, &styles[0].0, settings),
        };
        loss.picture().write(&from.rgb)?;
        let mut optimizer = PixelOptimizer::new(vgg.context(), &loss, settings)?;
        outcome.peak_bytes = outcome.peak_bytes.max(loss.memory().join(optimizer.memory()).peak_bytes());
        let (before, mut first) = (outcome.evaluations, None);
        while outcome.evaluations - before < settings.steps {
            let (value, evaluations, converged) = optimizer.iterate(&mut loss)?;
            if !value.is_finite() {
                return Err(loss.blame());
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
            };
            outcome.interrupted = observer(&progress)?.is_break();
            if outcome.interrupted || converged {
                break;
            }
        }
        outcome.terms = loss.terms().to_vec();
        result = Some(read_picture(loss.picture(), [width, height])?);
        if outcome.interrupted {
            break;
        }
    }
    let mut picture = result.unwrap_or_else(|| content.clone());
    if settings.keep_color == KeepColor::Luminance {
        picture = color::with_chrominance_of(&picture, &content.resize(picture.width, picture.height));
    }
    picture.alpha = content.resize(picture.width, picture.height).alpha;
    outcome.picture = picture;
    Ok(outcome)
}

/// Either optimiser, on pixels.
enum PixelOptimizer {
    Lbfgs(Box<Lbfgs>),
    Adam(Box<Adam>),
}

impl PixelOptimizer {
    fn new(context: &Context, loss: &PictureLoss, settings: &Settings) -> Result<Self> {
        let (x, g) = (loss.picture(), loss.gradient());
        Ok(match settings.optimizer {
            Optimizer::Lbfgs => {
                let options = LbfgsOptions { history: settings.history, ..LbfgsOptions::default() };
                PixelOptimizer::Lbfgs(Box::new(Lbfgs::new(context, x, g, options)?))
            }
            Optimizer::Adam => {
                let learning_rate = settings.learning_rate;
                let options = AdamOptions { learning_rate, range: [0.0, 1.0], ..AdamOptions::default() };
                PixelOptimizer::Adam(Box::new(Adam::new(context, x, g, options)?))
            }
        })
    }

    /// The loss, evaluations used, and whether there is nothing more to gain.
    fn iterate(&mut self, loss: &mut impl Objective) -> Result<(f64, usize, bool)> {
        match self {
            PixelOptimizer::Lbfgs(lbfgs) => {
                let step = lbfgs.iterate(loss)?;
                Ok((step.value, step.evaluations, step.converged))
            }
            PixelOptimizer::Adam(adam) => Ok((adam.iterate(loss)?, 1, false)),
        }
    }

    fn memory(&self) -> Memory {
        match self {
            PixelOptimizer::Lbfgs(lbfgs) => lbfgs.memory(),
            PixelOptimizer::Adam(adam) => adam.memory().clone(),
        }
    }
}
