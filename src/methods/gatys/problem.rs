//! The loss of a picture against a content and styles, and its gradient with respect to the pixels, as one program.

use super::{GatysSettings, Normalization};
#[cfg(feature = "blocking")]
use crate::gpu::Profile;
use crate::gpu::{DeviceTensor, Later, Memory, Program, Recorder, Tensor};
use crate::io::Picture;
use crate::loss;
use crate::nets::{Tap, Vgg19};
use crate::ops::square_loss::Weight;
use crate::ops::{gram, total_variation, vector};
use crate::optim::Objective;
use crate::{Error, Result};

/// What a loss term compares.
#[derive(Clone, Copy, Debug, PartialEq)]
enum TermKind {
    Content,
    Style,
}

/// The loss at a tap. Target and weight are set when the target has been computed.
struct Term {
    kind: TermKind,
    tap: Tap,
    target: DeviceTensor,
    weight: Weight,
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

/// Taps with a positive weight, with their kind and total weight.
fn wanted(settings: &GatysSettings) -> Vec<(TermKind, Tap, f32)> {
    let of = |kind, taps: &[(Tap, f32)], all: f32| -> Vec<_> {
        taps.iter().map(|&(tap, weight)| (kind, tap, weight * all)).filter(|(_, _, weight)| *weight > 0.0).collect()
    };
    let content = of(TermKind::Content, &settings.content_taps, settings.content_weight);
    let style = of(TermKind::Style, &settings.style_taps, settings.style_weight);
    [content, style].concat()
}

/// Returns an error if a picture, named `what`, is too small for its taps.
pub(super) fn check_sides(
    vgg: &Vgg19,
    what: &str,
    [width, height]: [usize; 2],
    settings: &GatysSettings,
) -> Result<()> {
    let mut taps: Vec<_> = wanted(settings);
    taps.retain(|(kind, _, _)| what == "content" || *kind == TermKind::Style);
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
    wanted(settings).into_iter().filter(|(of, _, _)| *of == kind).map(|(_, tap, _)| tap).collect()
}

/// Records the net on `picture` (`[1, 3, H, W]`). Also returns the tensors that will hold each tap's features (content)
/// or Gram matrix (style).
fn record_features(
    vgg: &Vgg19,
    picture: &DeviceTensor,
    kind: TermKind,
    taps: &[Tap],
) -> Result<(Recorder, Vec<DeviceTensor>)> {
    vgg.measure(picture, taps, |rec, features| match kind {
        TermKind::Content => Ok(features),
        TermKind::Style => gram::forward(rec, features, gram::scale(features)),
    })
}

/// Runs the net on `picture` and returns each tap's features (content) or Gram matrix (style).
async fn features(vgg: &Vgg19, picture: &Picture, kind: TermKind, taps: &[Tap]) -> Result<Vec<Vec<f32>>> {
    if taps.is_empty() {
        return Ok(Vec::new());
    }
    let shape = [1, 3, picture.height, picture.width];
    let pixels = DeviceTensor::from_values(vgg.context(), "picture", shape, &picture.rgb)?;
    let (rec, results) = record_features(vgg, &pixels, kind, taps)?;
    rec.finish()?.submit()?;
    let mut values = Vec::new();
    for result in &results {
        values.push(result.read_async().await?);
    }
    Ok(values)
}

/// The targets of all taps with a positive weight, in the order of [`wanted`].
async fn targets(
    vgg: &Vgg19,
    content: &Picture,
    styles: &[(Picture, f32)],
    settings: &GatysSettings,
) -> Result<Vec<Vec<f32>>> {
    let mut all = features(vgg, content, TermKind::Content, &wanted_of(settings, TermKind::Content)).await?;
    // With weights that sum to 1, Σₖ wₖ|G − Aₖ|² and |G − Σₖ wₖAₖ|² differ only by a constant.
    let total: f32 = styles.iter().map(|(_, weight)| weight).sum();
    let mut blended: Vec<Vec<f32>> = Vec::new();
    for (style, weight) in styles {
        let matrices = features(vgg, style, TermKind::Style, &wanted_of(settings, TermKind::Style)).await?;
        blended.resize(matrices.len(), Vec::new());
        for (sum, matrix) in blended.iter_mut().zip(matrices) {
            sum.resize(matrix.len(), 0.0);
            sum.iter_mut().zip(matrix).for_each(|(sum, value)| *sum += weight / total * value);
        }
    }
    all.extend(blended);
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

/// A recorded evaluation. Targets and weights are not set yet, and nothing is allocated.
struct Recorded {
    recorder: Recorder,
    picture: DeviceTensor,
    gradient: DeviceTensor,
    slots: DeviceTensor,
    terms: Vec<Term>,
}

fn record(vgg: &Vgg19, [width, height]: [usize; 2], settings: &GatysSettings) -> Result<Recorded> {
    let context = vgg.context();
    let mut rec = Recorder::new(context);
    let wanted = wanted(settings);
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
        let (target, record): (_, LossFn) = match kind {
            TermKind::Content => (DeviceTensor::new(context, "content target", features.shape), loss::content),
            TermKind::Style => (DeviceTensor::new(context, "style target", [1, channels, channels]), loss::gram_style),
        };
        let symbol = rec.pin(&target);
        gradients.push((tap, record(&mut rec, features, symbol, weight, losses, slot)?));
        terms.push(Term { kind, tap, target, weight });
    }
    let dx = vgg.backward(&mut rec, &activations, gradients)?;
    let smoothing = total_variation::backward(&mut rec, x, roughness)?;
    let sum = vector::add(&mut rec, dx, smoothing)?;
    let gradient = rec.output(sum)?;
    Ok(Recorded { recorder: rec, picture, gradient, slots, terms })
}

/// Records a loss on features and returns the recording of its gradient.
type LossFn = fn(&mut Recorder, Tensor, Tensor, Weight, Tensor, usize) -> Result<Later<'static>>;

impl PictureLoss {
    /// Device memory for pictures of `[width, height]`. Allocates nothing. Returns an error if such a picture cannot be
    /// computed.
    pub fn plan(vgg: &Vgg19, size: [usize; 2], settings: &GatysSettings) -> Result<Memory> {
        record(vgg, size, settings)?.recorder.memory()
    }

    /// Device memory for computing the targets of a style picture of `[width, height]`, which happens before the
    /// optimisation.
    pub(super) fn plan_style(vgg: &Vgg19, [width, height]: [usize; 2], settings: &GatysSettings) -> Result<Memory> {
        let picture = DeviceTensor::new(vgg.context(), "style picture", [1, 3, height, width]);
        record_features(vgg, &picture, TermKind::Style, &wanted_of(settings, TermKind::Style))?.0.memory()
    }

    /// The loss of pictures of `content`'s size against its features and the Gram matrices of `styles` (picture and
    /// weight each).
    pub async fn new_async(
        vgg: &Vgg19,
        content: &Picture,
        styles: &[(Picture, f32)],
        settings: &GatysSettings,
    ) -> Result<Self> {
        let targets = targets(vgg, content, styles, settings).await?;
        let Recorded { recorder, picture, gradient, slots, terms } =
            record(vgg, [content.width, content.height], settings)?;
        let program = recorder.finish()?;
        let mut names = Vec::new();
        for ((term, values), (_, _, weight)) in terms.iter().zip(&targets).zip(wanted(settings)) {
            term.target.write(values)?;
            term.weight.set(&program, per_element(values, weight, settings.normalization));
            let kind = if term.kind == TermKind::Content { "content" } else { "style" };
            names.push((format!("{kind} {}", term.tap), 0.0));
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
    pub fn new(vgg: &Vgg19, content: &Picture, styles: &[(Picture, f32)], settings: &GatysSettings) -> Result<Self> {
        vgg.context().block_on(Self::new_async(vgg, content, styles, settings))
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
