//! The loss of a picture against a content and styles, and its gradient with respect to the pixels, as one program.

use super::fit::{Fit, Search, budget, reach, search};
use super::terms::{self, Layout, Recorded, Squares, Term, TermKind, deepest, masks, wanted, wanted_of};
use super::windows::{KEPT_ON_HOST, Windows};
use super::{GatysSettings, Tiling, style, windows};
#[cfg(feature = "blocking")]
use crate::gpu::Profile;
use crate::gpu::{DeviceTensor, Memory, Program, Recorder};
use crate::io::Picture;
use crate::loss;
use crate::methods::Area;
use crate::nets::Vgg19;
use crate::ops::square_loss::Weight;
use crate::ops::{total_variation, vector};
use crate::optim::Objective;
use crate::{Error, Result};

/// Loss and pixel gradient of a picture. One evaluation is one program, or a run of its sections for each window, and one
/// read-back of the loss terms.
pub struct PictureLoss {
    program: Program,
    clamp: Program,
    picture: DeviceTensor,
    gradient: DeviceTensor,
    slots: DeviceTensor,
    terms: Vec<(String, f64)>,
    first: Option<f64>,
    /// `None`: the whole picture in one piece.
    windows: Option<Windows>,
}

/// Features of the content at the taps of its loss.
async fn features(vgg: &Vgg19, content: &Picture, settings: &GatysSettings) -> Result<Vec<Vec<f32>>> {
    let taps = wanted_of(settings, TermKind::Content);
    if taps.is_empty() {
        return Ok(Vec::new());
    }
    let shape = [1, 3, content.height, content.width];
    let pixels = DeviceTensor::from_values(vgg.context(), "picture", shape, &content.filled().rgb)?;
    let (rec, results) = vgg.measure(&pixels, &taps, |_, features| Ok(features))?;
    rec.finish()?.submit()?;
    let mut values = Vec::new();
    for result in &results {
        values.push(result.read_async().await?);
    }
    Ok(values)
}

/// Records the evaluation of a whole picture of `[height, width]`.
fn record(vgg: &Vgg19, [height, width]: [usize; 2], layout: Layout, settings: &GatysSettings) -> Result<Recorded> {
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
        let (size, layout) = ([content.height, content.width], Layout::of(content, areas));
        let Fit { tiling, .. } = Self::fit(vgg, size, layout, settings)?;
        Self::memory_in(vgg, size, layout, settings, &tiling)
    }

    /// Device memory for pictures of `[height, width]` in these windows.
    pub(super) fn memory_in(
        vgg: &Vgg19,
        size: [usize; 2],
        layout: Layout,
        settings: &GatysSettings,
        tiling: &Tiling,
    ) -> Result<Memory> {
        match tiling.count() {
            1 => record(vgg, size, layout, settings)?.recorder.memory(),
            _ => windows::record(vgg, size, layout, settings, tiling)?.0.recorder.memory(),
        }
    }

    /// The largest windows within the memory of the settings.
    fn fit(vgg: &Vgg19, size: [usize; 2], layout: Layout, settings: &GatysSettings) -> Result<Fit> {
        search(size, reach(deepest(settings)), Search::Largest(0), budget(settings), |tiling| {
            Ok(Self::memory_in(vgg, size, layout, settings, tiling)?.peak_bytes())
        })
    }

    /// The loss of pictures of `content`'s size against its features and the Gram matrices of the styles of `areas`.
    ///
    /// Each area has Gram matrices of its own, in which its pixels count by its share of them and by alpha. They are
    /// divided by the sum of these weights, and the area's loss is multiplied by their mean. So an area has as strong an
    /// effect on its pixels as the only style of a whole picture.
    ///
    /// A picture that takes more than [`GatysSettings::memory`] in one piece is evaluated in windows. The loss is the
    /// same, and an evaluation takes longer.
    pub async fn new_async(
        vgg: &Vgg19,
        content: &Picture,
        areas: &[Area<Picture>],
        settings: &GatysSettings,
    ) -> Result<Self> {
        let Fit { tiling, .. } = Self::fit(vgg, [content.height, content.width], Layout::of(content, areas), settings)?;
        Self::in_windows_async(vgg, content, areas, settings, &tiling, KEPT_ON_HOST).await
    }

    /// [`new_async`](PictureLoss::new_async) in these windows, with at most `kept` bytes of the content's features on the
    /// host.
    #[doc(hidden)]
    pub async fn in_windows_async(
        vgg: &Vgg19,
        content: &Picture,
        areas: &[Area<Picture>],
        settings: &GatysSettings,
        tiling: &Tiling,
        kept: u64,
    ) -> Result<Self> {
        let (size, layout) = ([content.height, content.width], Layout::of(content, areas));
        let styles = style::targets(vgg, areas, settings).await?;
        let mut targets = Vec::new();
        let (recorded, mut windows) = match tiling.count() {
            1 => {
                targets = features(vgg, content, settings).await?;
                (record(vgg, size, layout, settings)?, None)
            }
            _ => {
                let (recorded, windows) = windows::record(vgg, size, layout, settings, tiling)?;
                (recorded, Some(windows))
            }
        };
        let Recorded { recorder, picture, gradient, slots, terms } = recorded;
        let program = recorder.finish()?;
        let mut squares: Vec<_> = targets.iter().chain(&styles).map(|values| Squares::of(values)).collect();
        if let Some(windows) = &mut windows {
            squares.splice(..0, windows.prepare(&program, content, areas, kept).await?);
        }
        // Windows write the targets of the content themselves.
        let (of_content, of_style) = terms.split_at(terms.len() - styles.len());
        for (term, values) in of_content.iter().zip(&targets).chain(of_style.iter().zip(&styles)) {
            term.target.write(values)?;
        }
        let mut names = Vec::new();
        let mut masks_of = std::collections::HashMap::new();
        for ((term, squares), (_, _, weight)) in terms.iter().zip(squares).zip(wanted(settings, areas.len())) {
            let mut weight = squares.per_element(weight, settings.normalization);
            if let (TermKind::Style(area), true) = (term.kind, layout.weighted) {
                let size = vgg.feature_size(term.tap, size)?;
                let all = masks_of.entry(size).or_insert_with(|| masks(content, areas, size));
                let (values, share) = &all[area];
                if let Some(mask) = &term.mask {
                    mask.write(values)?;
                }
                weight *= *share;
            }
            term.weight.set(&program, weight);
            names.push((terms::name(term.kind, term.tap, areas.len()), 0.0));
        }
        names.push(("total variation".into(), 0.0));
        let clamp = {
            let mut rec = Recorder::new(vgg.context());
            let pixels = rec.pin(&picture);
            vector::clamp(&mut rec, pixels, 0.0, 1.0)?;
            rec.finish()?
        };
        Ok(PictureLoss { program, clamp, picture, gradient, slots, terms: names, first: None, windows })
    }

    /// [`in_windows_async`](PictureLoss::in_windows_async), waited for.
    #[doc(hidden)]
    #[cfg(feature = "blocking")]
    pub fn in_windows(
        vgg: &Vgg19,
        content: &Picture,
        areas: &[Area<Picture>],
        settings: &GatysSettings,
        tiling: &Tiling,
        kept: u64,
    ) -> Result<Self> {
        vgg.context().block_on(Self::in_windows_async(vgg, content, areas, settings, tiling, kept))
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

    /// Runs one evaluation and measures the time of each dispatch. Of a picture in windows, it runs the last window.
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
        let found = match (cleared, &self.windows) {
            (Ok(()), Some(windows)) => windows.find_non_finite(&self.program).await,
            (Ok(()), None) => self.program.find_non_finite_async().await,
            (Err(error), _) => Err(error),
        };
        let place = match found {
            Err(error) => return error,
            Ok(place) => place.unwrap_or_else(|| "the sum of the loss terms".into()),
        };
        let help = "check the weight file, or lower the weight of the style".into();
        Error::NonFinite { what: "the loss".into(), place, help }
    }

    /// The windows of an evaluation, if it is not done in one piece.
    pub(super) fn windows(&self) -> Option<&Windows> {
        self.windows.as_ref()
    }

    /// One evaluation. In windows, `watch` is called before the first and after each, with the number of windows run.
    pub(super) async fn evaluate_watched(&mut self, watch: impl AsyncFnMut(usize) -> Result<()>) -> Result<f64> {
        match &self.windows {
            Some(windows) => windows.run(&self.program, watch).await?,
            None => self.program.submit()?,
        }
        let values = self.slots.read_async().await?;
        for ((_, term), value) in self.terms.iter_mut().zip(values) {
            *term = f64::from(value);
        }
        let total = self.terms.iter().map(|(_, value)| value).sum();
        self.first.get_or_insert(total);
        Ok(total)
    }
}

impl Objective for PictureLoss {
    async fn evaluate_async(&mut self) -> Result<f64> {
        self.evaluate_watched(async |_| Ok(())).await
    }
}
