//! The loss of a picture against a content and styles, and its gradient with respect to the pixels, as one program.

use super::{GatysSettings, Normalization};
#[cfg(feature = "blocking")]
use crate::gpu::Profile;
use crate::gpu::{DeviceTensor, Memory, Program, Recorder};
use crate::io::Picture;
use crate::loss;
use crate::methods::Area;
use crate::nets::{Place, Tap, Vgg19, normalised, shares, visible_mask};
use crate::ops::square_loss::Weight;
use crate::ops::{total_variation, vector};
use crate::optim::Objective;
use crate::{Error, Result};

/// What a loss term compares.
#[derive(Clone, Copy, Debug, PartialEq)]
enum TermKind {
    Content,
    /// The style of the area with this index.
    Style(usize),
}

/// The loss at a tap. Mask, target and weight are set when the target has been computed.
struct Term {
    kind: TermKind,
    tap: Tap,
    /// The area's pixels in the Gram matrix of the picture.
    mask: Option<DeviceTensor>,
    target: DeviceTensor,
    weight: Weight,
}

/// What the program depends on besides its size: the number of areas, and whether their pixels are weighted.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    areas: usize,
    weighted: bool,
}

impl Layout {
    pub(super) fn of(content: &Picture, areas: &[Area<Picture>]) -> Self {
        let weighted = content.alpha.is_some() || areas.iter().any(|area| !matches!(area.place, Place::Everywhere));
        Layout { areas: areas.len(), weighted }
    }
}

/// The mask of each area in `content` for features of `[height, width]`, and the mean of its weights: the area's share
/// of each pixel times alpha.
fn masks(content: &Picture, areas: &[Area<Picture>], size: [usize; 2]) -> Vec<(Vec<f32>, f32)> {
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

/// Loss and pixel gradient of a picture. One evaluation is one program and one read-back of the loss terms.
pub struct PictureLoss {
    program: Program,
    clamp: Program,
    picture: DeviceTensor,
    gradient: DeviceTensor,
    slots: DeviceTensor,
    terms: Vec<(String, f64)>,
    first: Option<f64>,
}

/// The terms with a positive weight: kind, tap and total weight. The taps of each kind are in the order of the settings.
fn wanted(settings: &GatysSettings, areas: usize) -> Vec<(TermKind, Tap, f32)> {
    let of = |kind, taps: &[(Tap, f32)], all: f32| -> Vec<_> {
        taps.iter().map(|&(tap, weight)| (kind, tap, weight * all)).filter(|(_, _, weight)| *weight > 0.0).collect()
    };
    let content = of(TermKind::Content, &settings.content_taps, settings.content_weight);
    let style = |area| of(TermKind::Style(area), &settings.style_taps, settings.style_weight);
    std::iter::once(content).chain((0..areas).map(style)).flatten().collect()
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

/// The taps of one kind with a positive weight.
fn wanted_of(settings: &GatysSettings, kind: TermKind) -> Vec<Tap> {
    wanted(settings, 1).into_iter().filter(|(of, _, _)| *of == kind).map(|(_, tap, _)| tap).collect()
}

/// Records the net on `picture` (`[1, 3, H, W]`). Also returns the tensors that will hold each tap's Gram matrix, of the
/// features under what `mask` gives for their `[height, width]`.
fn record_grams(
    vgg: &Vgg19,
    picture: &DeviceTensor,
    taps: &[Tap],
    mask: impl Fn([usize; 2]) -> Result<Option<DeviceTensor>>,
) -> Result<(Recorder, Vec<DeviceTensor>)> {
    vgg.measure(picture, taps, |rec, features| {
        let [_, _, height, width] = features.shape.nchw("gram", "features")?;
        let mask = mask([height, width])?.map(|mask| rec.pin(&mask));
        loss::masked_gram(rec, features, mask)
    })
}

/// Each tap's Gram matrix of the visible pixels of `style`.
async fn grams(vgg: &Vgg19, style: &Picture, taps: &[Tap]) -> Result<Vec<Vec<f32>>> {
    let record =
        |picture: &DeviceTensor| record_grams(vgg, picture, taps, |size| visible_mask(vgg.context(), style, size));
    results(vgg, style, taps, record).await
}

/// Runs what `record` records on `picture`, unless there are no taps, and reads the results.
async fn results(
    vgg: &Vgg19,
    picture: &Picture,
    taps: &[Tap],
    record: impl Fn(&DeviceTensor) -> Result<(Recorder, Vec<DeviceTensor>)>,
) -> Result<Vec<Vec<f32>>> {
    if taps.is_empty() {
        return Ok(Vec::new());
    }
    let shape = [1, 3, picture.height, picture.width];
    let pixels = DeviceTensor::from_values(vgg.context(), "picture", shape, &picture.filled().rgb)?;
    let (rec, results) = record(&pixels)?;
    rec.finish()?.submit()?;
    let mut values = Vec::new();
    for result in &results {
        values.push(result.read_async().await?);
    }
    Ok(values)
}

/// The targets of all terms, in the order of [`wanted`].
async fn targets(
    vgg: &Vgg19,
    content: &Picture,
    areas: &[Area<Picture>],
    settings: &GatysSettings,
) -> Result<Vec<Vec<f32>>> {
    let taps = wanted_of(settings, TermKind::Content);
    let features = |picture: &DeviceTensor| vgg.measure(picture, &taps, |_, features| Ok(features));
    let mut all = results(vgg, content, &taps, features).await?;
    for Area { styles, .. } in areas {
        // With weights that sum to 1, Σₖ wₖ|G − Aₖ|² and |G − Σₖ wₖAₖ|² differ only by a constant.
        let total: f32 = styles.iter().map(|(_, weight)| weight).sum();
        let mut blended: Vec<Vec<f32>> = Vec::new();
        for (style, weight) in styles {
            let matrices = grams(vgg, style, &wanted_of(settings, TermKind::Style(0))).await?;
            blended.resize(matrices.len(), Vec::new());
            for (sum, matrix) in blended.iter_mut().zip(matrices) {
                sum.resize(matrix.len(), 0.0);
                sum.iter_mut().zip(matrix).for_each(|(sum, value)| *sum += weight / total * value);
            }
        }
        all.extend(blended);
    }
    Ok(all)
}

/// Weight of the sum of squared differences from `target`, for a mean square or a relative mean square.
fn per_element(target: &[f32], weight: f32, normalization: Normalization) -> f32 {
    let unit = match normalization {
        Normalization::Plain => target.len() as f64,
        // The bound avoids a division by zero for a target of zeros (a black style picture).
        Normalization::Relative => {
            target.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().max(1e-12 * target.len() as f64)
        }
    };
    (f64::from(weight) / unit) as f32
}

/// A recorded evaluation. Masks, targets and weights are not set yet, and nothing is allocated.
struct Recorded {
    recorder: Recorder,
    picture: DeviceTensor,
    gradient: DeviceTensor,
    slots: DeviceTensor,
    terms: Vec<Term>,
}

fn record(vgg: &Vgg19, [width, height]: [usize; 2], layout: Layout, settings: &GatysSettings) -> Result<Recorded> {
    let context = vgg.context();
    let mut rec = Recorder::new(context);
    let wanted = wanted(settings, layout.areas);
    let picture = DeviceTensor::new(context, "picture", [1, 3, height, width]);
    let slots = DeviceTensor::new(context, "loss terms", [wanted.len() + 1]);
    let (x, losses) = (rec.pin(&picture), rec.pin(&slots));

    let roughness = settings.tv_weight / picture.shape().count() as f32;
    total_variation::forward(&mut rec, x, roughness, losses, wanted.len())?;
    let Some(deepest) = wanted.iter().map(|(_, tap, _)| *tap).max() else {
        let smoothing = total_variation::backward(&mut rec, x, roughness)?;
        let gradient = rec.output(smoothing)?;
        return Ok(Recorded { recorder: rec, picture, gradient, slots, terms: Vec::new() });
    };
    let activations = vgg.forward(&mut rec, x, deepest)?;
    let mut terms = Vec::new();
    let mut gradients = Vec::new();
    for (slot, (kind, tap, _)) in wanted.into_iter().enumerate() {
        let features = activations.at(tap)?;
        let channels = vgg.channels(tap)?;
        let weight = Weight::new(&mut rec, 0.0);
        let [_, _, height, width] = features.shape.nchw("gatys", "features")?;
        let (mask, target) = match kind {
            TermKind::Content => (None, DeviceTensor::new(context, "content target", features.shape)),
            TermKind::Style(_) => {
                let mask = layout.weighted.then(|| DeviceTensor::new(context, "mask", [height, width]));
                (mask, DeviceTensor::new(context, "style target", [1, channels, channels]))
            }
        };
        let goal = rec.pin(&target);
        let gradient = match kind {
            TermKind::Content => loss::content(&mut rec, features, goal, weight, losses, slot)?,
            TermKind::Style(_) => {
                let mask = mask.as_ref().map(|mask| rec.pin(mask));
                loss::gram_style(&mut rec, features, mask, goal, weight, losses, slot)?
            }
        };
        gradients.push((tap, gradient));
        terms.push(Term { kind, tap, mask, target, weight });
    }
    let dx = vgg.backward(&mut rec, &activations, gradients)?;
    let smoothing = total_variation::backward(&mut rec, x, roughness)?;
    let sum = vector::add(&mut rec, dx, smoothing)?;
    let gradient = rec.output(sum)?;
    Ok(Recorded { recorder: rec, picture, gradient, slots, terms })
}

impl PictureLoss {
    /// Device memory of [`new`](PictureLoss::new). Allocates nothing. Returns an error if such a picture cannot be
    /// computed.
    pub fn plan(vgg: &Vgg19, content: &Picture, areas: &[Area<Picture>], settings: &GatysSettings) -> Result<Memory> {
        Self::plan_at(vgg, [content.width, content.height], Layout::of(content, areas), settings)
    }

    /// Device memory for pictures of `[width, height]`.
    pub(super) fn plan_at(vgg: &Vgg19, size: [usize; 2], layout: Layout, settings: &GatysSettings) -> Result<Memory> {
        record(vgg, size, layout, settings)?.recorder.memory()
    }

    /// Device memory for computing the targets of `style` at `[width, height]`, which happens before the optimisation.
    pub(super) fn plan_style(
        vgg: &Vgg19,
        style: &Picture,
        [width, height]: [usize; 2],
        settings: &GatysSettings,
    ) -> Result<Memory> {
        let picture = DeviceTensor::new(vgg.context(), "style picture", [1, 3, height, width]);
        let mask = |size| Ok(style.alpha.as_ref().map(|_| DeviceTensor::new(vgg.context(), "visible pixels", size)));
        record_grams(vgg, &picture, &wanted_of(settings, TermKind::Style(0)), mask)?.0.memory()
    }

    /// The loss of pictures of `content`'s size against its features and the Gram matrices of the styles of `areas`.
    ///
    /// Each area has Gram matrices of its own, in which its pixels count by its share of them and by alpha. They are
    /// divided by the sum of these weights, and the area's loss is multiplied by their mean. So an area has as strong an
    /// effect on its pixels as the only style of a whole picture.
    pub async fn new_async(
        vgg: &Vgg19,
        content: &Picture,
        areas: &[Area<Picture>],
        settings: &GatysSettings,
    ) -> Result<Self> {
        let targets = targets(vgg, content, areas, settings).await?;
        let Recorded { recorder, picture, gradient, slots, terms } =
            record(vgg, [content.width, content.height], Layout::of(content, areas), settings)?;
        let program = recorder.finish()?;
        let mut names = Vec::new();
        let mut masks_of = std::collections::HashMap::new();
        for ((term, values), (_, _, weight)) in terms.iter().zip(&targets).zip(wanted(settings, areas.len())) {
            term.target.write(values)?;
            let mut weight = per_element(values, weight, settings.normalization);
            if let (TermKind::Style(area), Some(mask)) = (term.kind, &term.mask) {
                let size = [mask.shape().dims()[0], mask.shape().dims()[1]];
                let all = masks_of.entry(size).or_insert_with(|| masks(content, areas, size));
                let (values, share) = &all[area];
                mask.write(values)?;
                weight *= *share;
            }
            term.weight.set(&program, weight);
            names.push(match term.kind {
                TermKind::Content => (format!("content {}", term.tap), 0.0),
                TermKind::Style(_) if areas.len() == 1 => (format!("style {}", term.tap), 0.0),
                TermKind::Style(area) => (format!("style {} of area {}", term.tap, area + 1), 0.0),
            });
        }
        names.push(("total variation".into(), 0.0));
        let clamp = {
            let mut rec = Recorder::new(vgg.context());
            let pixels = rec.pin(&picture);
            vector::clamp(&mut rec, pixels, 0.0, 1.0)?;
            rec.finish()?
        };
        Ok(PictureLoss { program, clamp, picture, gradient, slots, terms: names, first: None })
    }

    /// [`new_async`](PictureLoss::new_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn new(vgg: &Vgg19, content: &Picture, areas: &[Area<Picture>], settings: &GatysSettings) -> Result<Self> {
        vgg.context().block_on(Self::new_async(vgg, content, areas, settings))
    }

    /// The picture to evaluate, `[1, 3, H, W]`, RGB 0..1.
    pub fn picture(&self) -> &DeviceTensor {
        &self.picture
    }

    /// Clamps the picture to 0..1.
    pub fn clamp(&self) -> Result<()> {
        self.clamp.submit()
    }

    /// The gradient of the last evaluation, `[1, 3, H, W]`.
    pub fn gradient(&self) -> &DeviceTensor {
        &self.gradient
    }

    /// Name and value of each loss term at the last evaluation.
    pub fn terms(&self) -> &[(String, f64)] {
        &self.terms
    }

    /// Device memory of the program.
    pub fn memory(&self) -> Memory {
        self.program.memory().clone()
    }

    /// Runs one evaluation and measures the time of each dispatch.
    #[cfg(feature = "blocking")]
    pub fn profile(&self) -> Result<Profile> {
        self.program.profile()
    }

    /// One evaluation of the loss and its gradient, waited for.
    #[cfg(feature = "blocking")]
    pub fn evaluate(&mut self) -> Result<f64> {
        let context = self.program.context().clone();
        context.block_on(self.evaluate_async())
    }

    /// The recorded program, for host programs and benchmarks that run it themselves.
    pub fn program(&self) -> &Program {
        &self.program
    }

    pub(super) fn first(&self) -> f64 {
        self.first.unwrap_or(f64::NAN)
    }

    /// Finds the dispatch that produced a non-finite value.
    pub(super) async fn blame(&self) -> Error {
        // The loss terms are cleared so that the search finds the dispatch and not the failed evaluation's terms.
        let cleared = self.slots.write(&vec![0.0; self.terms.len()]);
        let found = match cleared {
            Ok(()) => self.program.find_non_finite_async().await,
            Err(error) => Err(error),
        };
        let place = match found {
            Err(error) => return error,
            Ok(place) => place.unwrap_or_else(|| "the sum of the loss terms".into()),
        };
        let help = "check the weight file, or lower the weight of the style".into();
        Error::NonFinite { what: "the loss".into(), place, help }
    }
}

impl Objective for PictureLoss {
    async fn evaluate_async(&mut self) -> Result<f64> {
        self.program.submit()?;
        let values = self.slots.read_async().await?;
        for ((_, term), value) in self.terms.iter_mut().zip(values) {
            *term = f64::from(value);
        }
        let total = self.terms.iter().map(|(_, value)| value).sum();
        self.first.get_or_insert(total);
        Ok(total)
    }
}
