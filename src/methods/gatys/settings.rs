//! What can be chosen about Gatys' method, and the sets of choices that go by a name.

use crate::methods::color::KeepColor;
use crate::nets::Tap;
use crate::{Error, Result};

/// What the picture starts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Init {
    /// The content: keeps its layout, converges fastest.
    #[default]
    Content,
    /// Seeded noise round mid-grey: the paper's.
    Noise,
    /// The (first) style picture.
    Style,
}

/// What moves the pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Optimizer {
    /// L-BFGS with a strong-Wolfe line search.
    #[default]
    Lbfgs,
    /// Adam, pixels clamped to 0..1 after every step.
    Adam,
}

/// What a tap's loss is measured in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalization {
    /// Mean squares as they are: weights mean different things for different nets.
    Plain,
    /// Mean squares over the target's own mean square: weights mean the same for every net, tap and style.
    #[default]
    Relative,
}

/// What can be chosen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Taps whose features the content gives, with a weight each.
    pub content_taps: Vec<(Tap, f32)>,
    /// Taps whose Gram matrices the style gives, with a weight each.
    pub style_taps: Vec<(Tap, f32)>,
    /// Weight of the content loss.
    pub content_weight: f32,
    /// Weight of the style loss.
    pub style_weight: f32,
    /// Weight of the total variation, a mean over the picture's values.
    pub tv_weight: f32,
    /// What losses are measured in.
    pub normalization: Normalization,
    /// What the picture starts as.
    pub init: Init,
    /// Seed of the noise.
    pub seed: u64,
    /// What moves the pixels.
    pub optimizer: Optimizer,
    /// Adam's step size on pixels of 0..1.
    pub learning_rate: f32,
    /// Pairs that L-BFGS keeps.
    pub history: usize,
    /// Evaluations of loss and gradient at each scale (a step of Adam is one, an iteration of L-BFGS one or a few).
    pub steps: usize,
    /// Long side of the result in pixels.
    pub size: usize,
    /// Scales, each √2 larger; `None`: from at least 128 px up, five at most.
    pub scales: Option<usize>,
    /// Long side of the style picture over that of the result.
    pub style_scale: f32,
    /// Whether the content's colours are kept.
    pub keep_color: KeepColor,
}

/// The longest side that pictures are read and made with.
const MOST_PIXELS_A_SIDE: usize = 30_000;
/// From 30,000 px down to a few dozen.
const MOST_SCALES: usize = 20;

/// A set of choices that goes by a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Ours: taps to relu4_1, so that every weight file will do; coarse to fine.
    #[default]
    Default,
    /// jcjohnson/neural-style: content relu4_2, style at the first tap of each of five blocks.
    NeuralStyle,
    /// A survey's finding: the first five convolutions alone converge faster at similar quality.
    FirstFive,
}

fn taps(list: &[&str]) -> Vec<(Tap, f32)> {
    let known = |name: &&str| Tap::all().find(|tap| tap.to_string() == **name);
    list.iter().filter_map(known).map(|tap| (tap, 1.0)).collect()
}

impl Preset {
    /// Its choices.
    pub fn settings(self) -> Settings {
        let base = Settings {
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
            size: 512,
            scales: None,
            style_scale: 1.0,
            keep_color: KeepColor::No,
        };
        match self {
            Preset::Default => base,
            Preset::NeuralStyle => Settings {
                content_taps: taps(&["relu4_2"]),
                style_taps: taps(&["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]),
                content_weight: 5.0,
                style_weight: 100.0,
                // 1e-3 on values of 0..255, there a sum.
                tv_weight: 65.0,
                normalization: Normalization::Plain,
                init: Init::Noise,
                steps: 1000,
                scales: Some(1),
                ..base
            },
            Preset::FirstFive => Settings {
                content_taps: taps(&["relu3_1"]),
                style_taps: taps(&["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"]),
                ..base
            },
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Preset::Default.settings()
    }
}

impl Settings {
    /// Every tap that is asked for.
    pub(super) fn taps(&self) -> impl Iterator<Item = Tap> {
        self.content_taps.iter().chain(&self.style_taps).map(|(tap, _)| *tap)
    }

    pub(super) fn check(&self, style_weights: impl Iterator<Item = f32>) -> Result<()> {
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
        let style_weights: Vec<_> = style_weights.collect();
        if style_weights.is_empty() || style_weights.iter().any(|w| !(*w > 0.0 && w.is_finite())) {
            return refuse("style", "at least one picture, each of a weight above 0", format!("{style_weights:?}"));
        }
        if self.taps().next().is_none() {
            return refuse("taps", "at least one", "none".into());
        }
        let counts = [
            ("size", self.size, MOST_PIXELS_A_SIDE),
            ("steps", self.steps, usize::MAX),
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
