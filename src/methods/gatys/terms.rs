//! The terms of the loss: what each compares, at which tap, and how much it counts.

use super::{GatysSettings, Normalization};
use crate::gpu::{DeviceTensor, Recorder};
use crate::io::Picture;
use crate::methods::Area;
use crate::nets::{Place, Tap, Vgg19, normalised, shares};
use crate::ops::square_loss::Weight;
use crate::{Error, Result};

/// What a loss term compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TermKind {
    Content,
    /// The style of the area with this index.
    Style(usize),
}

/// The loss at a tap. Mask, target and weight are set when the target has been computed.
pub(super) struct Term {
    pub kind: TermKind,
    pub tap: Tap,
    /// The area's pixels in the Gram matrix of the picture.
    pub mask: Option<DeviceTensor>,
    pub target: DeviceTensor,
    pub weight: Weight,
}

/// A recorded evaluation. Masks, targets and weights are not set yet, and nothing is allocated.
pub(super) struct Recorded {
    pub recorder: Recorder,
    pub picture: DeviceTensor,
    pub gradient: DeviceTensor,
    pub slots: DeviceTensor,
    pub terms: Vec<Term>,
}

/// What the program depends on besides its size: the number of areas, and whether their pixels are weighted.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub areas: usize,
    pub weighted: bool,
}

impl Layout {
    pub fn of(content: &Picture, areas: &[Area<Picture>]) -> Self {
        let weighted = content.alpha.is_some() || areas.iter().any(|area| !matches!(area.place, Place::Everywhere));
        Layout { areas: areas.len(), weighted }
    }
}

/// The mask of each area in `content` for features of `[height, width]`, and the mean of its weights: the area's share
/// of each pixel times alpha.
pub(super) fn masks(content: &Picture, areas: &[Area<Picture>], size: [usize; 2]) -> Vec<(Vec<f32>, f32)> {
    let (mut shares, _) = shares(&areas.iter().map(|area| &area.place).collect::<Vec<_>>(), size);
    if let Some(alpha) = content.alpha_at(size[1], size[0]) {
        shares.iter_mut().for_each(|share| share.iter_mut().zip(&alpha).for_each(|(share, alpha)| *share *= alpha));
    }
    let mask = |share| {
        let (weights, mean) = normalised(share);
        (weights.into_iter().map(f32::sqrt).collect(), mean)
    };
    shares.into_iter().map(mask).collect()
}

/// The terms with a positive weight: kind, tap and total weight. The content comes first, then the areas in their
/// order. The taps of each kind are in the order of the settings.
pub(super) fn wanted(settings: &GatysSettings, areas: usize) -> Vec<(TermKind, Tap, f32)> {
    let of = |kind, taps: &[(Tap, f32)], all: f32| -> Vec<_> {
        taps.iter().map(|&(tap, weight)| (kind, tap, weight * all)).filter(|(_, _, weight)| *weight > 0.0).collect()
    };
    let content = of(TermKind::Content, &settings.content_taps, settings.content_weight);
    let style = |area| of(TermKind::Style(area), &settings.style_taps, settings.style_weight);
    std::iter::once(content).chain((0..areas).map(style)).flatten().collect()
}

/// The deepest tap of the loss.
pub(super) fn deepest(settings: &GatysSettings) -> Option<Tap> {
    wanted(settings, 1).iter().map(|(_, tap, _)| *tap).max()
}

/// The taps of one kind with a positive weight.
pub(super) fn wanted_of(settings: &GatysSettings, kind: TermKind) -> Vec<Tap> {
    wanted(settings, 1).into_iter().filter(|(of, _, _)| *of == kind).map(|(_, tap, _)| tap).collect()
}

/// The name of a term, for reports.
pub(super) fn name(kind: TermKind, tap: Tap, areas: usize) -> String {
    match kind {
        TermKind::Content => format!("content {tap}"),
        TermKind::Style(_) if areas == 1 => format!("style {tap}"),
        TermKind::Style(area) => format!("style {tap} of area {}", area + 1),
    }
}

/// Returns an error if a picture, named `what`, is too small for its taps.
pub(super) fn check_sides(
    vgg: &Vgg19,
    what: &str,
    [width, height]: [usize; 2],
    settings: &GatysSettings,
) -> Result<()> {
    let mut taps: Vec<_> = wanted(settings, 1);
    taps.retain(|(kind, _, _)| what == "content" || *kind != TermKind::Content);
    let Some(deepest) = taps.iter().map(|(_, tap, _)| *tap).max() else { return Ok(()) };
    let least = vgg.least_side(deepest);
    if width.min(height) >= least {
        return Ok(());
    }
    let expected = format!(
        "at least {least} px on its short side at every scale, for the layer {deepest} (choose a larger size, fewer \
         scales or earlier layers)"
    );
    Err(Error::argument("stylize", what, expected, format!("{width}x{height}")))
}

/// Number of values of a target, and the sum of their squares.
#[derive(Clone, Copy)]
pub(super) struct Squares {
    pub count: usize,
    pub sum: f64,
}

impl Squares {
    pub fn of(values: &[f32]) -> Self {
        Squares { count: values.len(), sum: values.iter().map(|&v| f64::from(v).powi(2)).sum() }
    }

    /// Weight of the sum of squared differences from the target, for a mean square or a relative mean square.
    pub fn per_element(self, weight: f32, normalization: Normalization) -> f32 {
        let unit = match normalization {
            Normalization::Plain => self.count as f64,
            // The bound avoids a division by zero for a target of zeros (a black style picture).
            Normalization::Relative => self.sum.max(1e-12 * self.count as f64),
        };
        (f64::from(weight) / unit) as f32
    }
}
