//! Settings of Gatys' method and named presets.

use crate::io::Picture;
use crate::methods::color::KeepColor;
use crate::nets::Tap;
use crate::{Error, Result};

/// Initial picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Init {
    /// The content: keeps its layout and converges fastest.
    #[default]
    Content,
    /// Seeded Gaussian noise around mid-grey, as in the paper.
    Noise,
    /// The (first) style picture.
    Style,
    /// A picture of any size, RGB 0..1, which is resized: an earlier result, for example.
    Picture(Picture),
}

/// Optimiser of the pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Optimizer {
    /// L-BFGS with a strong-Wolfe line search.
    #[default]
    Lbfgs,
    /// Adam, with pixels clamped to 0..1 after every step.
    Adam,
}

/// Unit of a tap's loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalization {
    /// Mean square: the effect of a weight depends on the net.
    Plain,
    /// Mean square divided by the target's mean square: weights mean the same for every net, tap and style.
    #[default]
    Relative,
}

/// Settings of Gatys' method. All weights are at least 0.
#[derive(Clone, Debug)]
pub struct GatysSettings {
    /// Content taps with a weight each.
    pub content_taps: Vec<(Tap, f32)>,
    /// Style taps with a weight each.
    pub style_taps: Vec<(Tap, f32)>,
    /// Weight of the content loss.
    pub content_weight: f32,
    /// Weight of the style loss.
    pub style_weight: f32,
    /// Weight of the total variation, which is divided by the number of the picture's values.
    pub tv_weight: f32,
    /// Unit of the losses at the taps.
    pub normalization: Normalization,
    /// Initial picture.
    pub init: Init,
    /// Seed of the initial noise.
    pub seed: u64,
    /// Optimiser of the pixels.
    pub optimizer: Optimizer,
    /// Adam's learning rate for pixel values 0..1.
    pub learning_rate: f32,
    /// Number of (s, y) pairs in L-BFGS's history, at least 1.
    pub history: usize,
    /// Evaluations of loss and gradient at each scale, at least 1. An Adam step is one evaluation; an L-BFGS iteration
    /// is one or a few.
    pub steps: usize,
    /// Largest number of evaluations at a scale that is painted in windows and begins with the result of a smaller one,
    /// at least 1.
    pub window_steps: usize,
    /// Bytes of device memory that may be used; `None` for 2 GiB. A scale that needs more is painted in windows. If even
    /// the optimiser's vectors need more, L-BFGS remembers fewer steps, or Adam replaces it.
    pub memory: Option<u64>,
    /// Long side of the result in pixels, 1 to 30,000.
    pub size: usize,
    /// Number of scales, each √2 larger than the previous one, 1 to 20. `None`: from at least 128 px, at most five.
    pub scales: Option<usize>,
    /// Long side of the style picture relative to that of the result, above 0 and at most 8.
    pub style_scale: f32,
    /// Whether and how the content's colours are kept.
    pub keep_color: KeepColor,
}

/// Maximum side of a picture in pixels.
const MOST_PIXELS_A_SIDE: usize = 30_000;
/// Twenty scales reach from 30,000 px down to a few dozen.
const MOST_SCALES: usize = 20;

/// A named set of settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Impasto's defaults: taps up to relu4_1, which every weight file contains, and several scales.
    #[default]
    Default,
    /// jcjohnson/neural-style: content at relu4_2, style at the first tap of each of the five blocks.
    NeuralStyle,
    /// Style at the first five convolutions only: converges faster at similar quality.
    FirstFive,
}

fn taps(list: &[&str]) -> Vec<(Tap, f32)> {
    let known = |name: &&str| Tap::all().find(|tap| tap.to_string() == **name);
    list.iter().filter_map(known).map(|tap| (tap, 1.0)).collect()
}

impl Preset {
    /// The preset's settings.
    pub fn settings(self) -> GatysSettings {
        let base = GatysSettings {
            content_taps: taps(&["relu4_1"]),
            style_taps: taps(&["relu1_1", "relu2_1", "relu3_1", "relu4_1"]),
            content_weight: 1.0,
            style_weight: 30.0,
            tv_weight: 1.0,
            normalization: Normalization::Relative,
            init: Init::Content,
            seed: 0,
            optimizer: Optimizer::Lbfgs,
            learning_rate: 0.02,
            history: 50,
            steps: 100,
            window_steps: 20,
            memory: None,
            size: 512,
            scales: None,
            style_scale: 1.0,
            keep_color: KeepColor::No,
        };
        match self {
            Preset::Default => base,
            Preset::NeuralStyle => GatysSettings {
                content_taps: taps(&["relu4_2"]),
                style_taps: taps(&["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]),
                content_weight: 5.0,
                style_weight: 100.0,
                // neural-style sums with a weight of 1e-3 over values of 0..255.
                tv_weight: 65.0,
                normalization: Normalization::Plain,
                init: Init::Noise,
                steps: 1000,
                scales: Some(1),
                ..base
            },
            Preset::FirstFive => GatysSettings {
                content_taps: taps(&["relu3_1"]),
                style_taps: taps(&["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"]),
                ..base
            },
        }
    }
}

impl Default for GatysSettings {
    fn default() -> Self {
        Preset::Default.settings()
    }
}

impl GatysSettings {
    /// All content and style taps.
    pub(super) fn taps(&self) -> impl Iterator<Item = Tap> {
        self.content_taps.iter().chain(&self.style_taps).map(|(tap, _)| *tap)
    }

    pub(super) fn check(&self, areas: impl Iterator<Item = impl Iterator<Item = f32>>) -> Result<()> {
        let refuse =
            |argument: &str, expected: &str, got: String| Err(Error::argument("stylize", argument, expected, got));
        let tap_weights = |name, taps: &[(Tap, f32)]| taps.iter().map(|(_, w)| (name, *w)).collect::<Vec<_>>();
        let weights = [
            tap_weights("content-tap", &self.content_taps),
            tap_weights("style-tap", &self.style_taps),
            vec![("content-weight", self.content_weight), ("style-weight", self.style_weight)],
            vec![("tv-weight", self.tv_weight)],
        ];
        for (name, weight) in weights.concat() {
            if !(weight >= 0.0 && weight.is_finite()) {
                let name = if name.ends_with("tap") { format!("the weight of a {name}") } else { name.into() };
                return refuse(&name, "a number from 0 up", weight.to_string());
            }
        }
        let areas: Vec<Vec<f32>> = areas.map(Iterator::collect).collect();
        let is_wrong = |weights: &Vec<f32>| weights.is_empty() || weights.iter().any(|w| !(*w > 0.0 && w.is_finite()));
        if areas.is_empty() || areas.iter().any(is_wrong) {
            let weights = areas.into_iter().find(is_wrong).unwrap_or_default();
            return refuse("style", "at least one picture, each of a weight above 0", format!("{weights:?}"));
        }
        if self.taps().next().is_none() {
            return refuse("taps", "at least one", "none".into());
        }
        let counts = [
            ("size", self.size, MOST_PIXELS_A_SIDE),
            ("steps", self.steps, usize::MAX),
            ("steps in windows", self.window_steps, usize::MAX),
            ("scales", self.scales.unwrap_or(1), MOST_SCALES),
            ("history", self.history, usize::MAX),
        ];
        for (name, count, most) in counts {
            if !(1..=most).contains(&count) {
                let expected = if most == usize::MAX { "at least 1".into() } else { format!("from 1 to {most}") };
                return refuse(name, &expected, count.to_string());
            }
        }
        if !(self.style_scale > 0.0 && self.style_scale <= 8.0) {
            return refuse("style-scale", "above 0, at most 8", self.style_scale.to_string());
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return refuse("learning-rate", "above 0", self.learning_rate.to_string());
        }
        Ok(())
    }
}
