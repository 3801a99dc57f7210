//! Distillation of a compact encoder: VGG-19's layers with fewer channels, trained to predict the features of the
//! original.
//!
//! At every tap a lift, a 1×1 convolution with a ReLU, maps the student's channels to the teacher's, which come from a
//! ReLU too. A layer with all of the teacher's channels needs no lift. Let t be the teacher's features, each channel
//! divided by its standard deviation, u the lifted features, and μ and σ the means and standard deviations of the
//! channels of a picture. The loss is
//!
//! ```text
//! L = Σ_taps λ_tap [ mean (u − t)² + λ_s ( mean (μ(u) − μ(t))² + mean (σ(u) − σ(t))² ) ]
//! ```

mod lifts;
mod painting_pool;
mod start;

pub use painting_pool::Painting;

use lifts::Lifts;
use painting_pool::PaintingPool;
use start::Start;

use crate::gpu::{Context, DeviceTensor, Later, Program, Recorder, Tensor};
use crate::io::{HostTensor, Picture};
use crate::loss;
use crate::nets::vgg19::{Activations, Vgg19Weights, scaled_channels};
use crate::nets::{Tap, Vgg19};
use crate::ops::pool::Pooling;
use crate::ops::square_loss::Weight;
use crate::ops::{mean_std, vector};
use crate::optim::Parameter;
use crate::sheet::{self, Cell};
use crate::train::closed_form::{POSITIONS, Walk};
use crate::train::{Checkpoint, Crops, Folder, Loader, Trainer};
use crate::{Error, Result};

/// Settings of [`Encoder`], besides those of the training loop.
#[derive(Clone, Debug, serde::Serialize)]
pub struct EncoderTrainerSettings {
    /// Channels relative to VGG-19, above 0 and at most 1.
    pub width: f32,
    /// Layers with all of the teacher's channels, in the teacher's units. Taps among them need no lift.
    #[serde(serialize_with = "names")]
    pub full: Vec<Tap>,
    /// How pictures are cropped.
    pub crops: Crops,
    /// Weight of each tap's loss.
    #[serde(serialize_with = "by_name")]
    pub taps: Vec<(Tap, f32)>,
    /// Weight λ_s of the means and standard deviations, relative to the features.
    pub statistics_weight: f32,
    /// Number of crops for the closed-form initialisation.
    pub calibration: usize,
    /// Number of pixels, over all of those pictures, that each layer of the closed-form initialisation is fitted to.
    #[serde(skip)]
    pub positions: usize,
    /// Seed of those crops and of the student's paintings.
    pub seed: u64,
    /// Settings of training pictures that the student paints; `None`: photos only.
    pub painting: Option<Painting>,
}

fn by_name<S: serde::Serializer>(taps: &[(Tap, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(taps.iter().map(|(tap, weight)| (tap.to_string(), weight)))
}

fn names<S: serde::Serializer>(taps: &[Tap], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(taps.iter().map(Tap::to_string))
}

impl Default for EncoderTrainerSettings {
    fn default() -> Self {
        EncoderTrainerSettings {
            width: 0.25,
            full: Vec::new(),
            crops: Crops { size: 112, share: Some([0.5, 1.0]), flip: true },
            // relu2_1 is the narrowest layer relative to the teacher's information, so its weight is raised.
            taps: Tap::style().zip([1.0, 3.0, 3.0, 2.0]).collect(),
            statistics_weight: 0.1,
            calibration: 128,
            positions: POSITIONS,
            seed: 0,
            painting: None,
        }
    }
}

impl EncoderTrainerSettings {
    /// These settings with the taps in the net's order, if they are valid for `teacher`.
    fn checked(mut self, teacher: &Vgg19Weights) -> Result<Self> {
        let refuse =
            |argument, expected: &str, got: String| Err(Error::argument("train encoder", argument, expected, got));
        if !(self.width > 0.0 && self.width <= 1.0) {
            return refuse("width", "above 0, at most 1", self.width.to_string());
        }
        self.taps.sort_by_key(|(tap, _)| *tap);
        self.full.sort();
        self.full.dedup();
        let deepest = self.deepest()?;
        if let Some(beyond) = self.full.iter().find(|layer| **layer > deepest) {
            return refuse("full", &format!("layers down to {deepest}, the deepest tap"), beyond.to_string());
        }
        let least = 2 * deepest.reduction();
        if self.crops.size < least {
            return refuse("crop", &format!("at least {least} px"), self.crops.size.to_string());
        }
        if self.painting.as_ref().is_some_and(|painting| painting.every == 0 || painting.steps == 0) {
            return refuse("paint-every and paint-steps", "at least 1", "0".into());
        }
        if teacher.deepest() < Some(deepest) {
            return refuse("teacher", &format!("weights to {deepest}"), "a shallower net".into());
        }
        Ok(self)
    }

    fn deepest(&self) -> Result<Tap> {
        self.layers().pop().ok_or_else(|| Error::argument("train encoder", "taps", "at least one", "none"))
    }

    /// All layers up to the deepest tap.
    fn layers(&self) -> Vec<Tap> {
        let deepest = self.taps.iter().map(|(tap, _)| *tap).max();
        Tap::all().take_while(|tap| Some(*tap) <= deepest).collect()
    }

    /// Whether the student has all of the teacher's channels in a layer.
    fn has_all(&self, layer: Tap) -> bool {
        self.full.contains(&layer)
    }

    /// The student's channels in a layer in which the teacher has `teacher` channels.
    fn channels(&self, tap: Tap, teacher: usize) -> usize {
        if self.has_all(tap) { teacher } else { scaled_channels(tap, self.width) }
    }

    /// Whether a tap has a lift.
    fn lifts(&self, tap: Tap) -> bool {
        self.taps.iter().any(|(other, _)| *other == tap) && !self.has_all(tap)
    }

    /// Crops for the closed-form initialisation, the sample picture and the scale of the exported channels.
    fn calibration(&self, folder: &Folder) -> Result<Vec<Vec<f32>>> {
        let mut loader = Loader::start(folder.clone(), self.crops.clone(), self.seed ^ 0xca11, 0, 1)?;
        (0..self.calibration.max(1)).map(|_| loader.next()).collect()
    }
}

/// The training of an encoder: teacher, student and lifts on the device.
pub struct Encoder {
    context: Context,
    settings: EncoderTrainerSettings,
    folder: Folder,
    teacher: Vgg19,
    student: Vgg19,
    lifts: Lifts,
    /// Factors by which the channels of each teacher layer were multiplied, by name.
    scales: Vec<(String, DeviceTensor)>,
    /// The student's initial weights on the host, for their shapes and the first, 1×1 convolution.
    shape: Vgg19Weights,
    calibration: Vec<Vec<f32>>,
    painting_pool: Option<PaintingPool>,
}

/// Rows of the sample picture.
const SAMPLES: usize = 4;

impl Encoder {
    /// Trains a student of `teacher` on the pictures of `folder`. Layers of `init` with the right numbers of channels
    /// are kept; the others are initialised in closed form. `on_layer` is called after each layer.
    ///
    /// # Errors
    /// A teacher that does not reach the deepest tap; a width that is not above 0 and at most 1; more channels than the
    /// teacher's; crops too small for the deepest tap; an `init` with another number of channels in the first layer;
    /// errors of `on_layer`.
    pub fn new(
        context: &Context,
        teacher: Vgg19Weights,
        init: Option<&Vgg19Weights>,
        folder: Folder,
        settings: EncoderTrainerSettings,
        on_layer: impl FnMut(Tap) -> Result<()>,
    ) -> Result<Self> {
        let settings = settings.checked(&teacher)?;
        let calibration = settings.calibration(&folder)?;
        let start = start::start(context, teacher, init, &calibration, &settings, on_layer)?;
        Self::build(context, start, folder, calibration, settings)
    }

    /// A student for a run that resumes from `checkpoint`, without the closed-form initialisation. Its parameters are
    /// zero until [`train`](crate::train::train) restores the checkpoint.
    ///
    /// # Errors
    /// Those of [`Encoder::new`]; a checkpoint of another training.
    pub fn resumed(
        context: &Context,
        teacher: Vgg19Weights,
        init: Option<&Vgg19Weights>,
        checkpoint: &Checkpoint,
        folder: Folder,
        settings: EncoderTrainerSettings,
    ) -> Result<Self> {
        let settings = settings.checked(&teacher)?;
        let calibration = settings.calibration(&folder)?;
        let mut scales = Vec::new();
        for (tap, [_, bias]) in settings.layers().into_iter().zip(&teacher.convolutions) {
            let name = scale_name(tap);
            let fits = |found: &&HostTensor| found.shape == bias.shape && found.data.iter().all(|scale| *scale > 0.0);
            let Some(found) = checkpoint.get(&name).filter(fits) else {
                let expected = format!("one of the same teacher and taps, with {name} of shape {:?}", bias.shape);
                return Err(Error::argument("train encoder", "checkpoint", expected, "one of another training"));
            };
            scales.push(found.data.clone());
        }
        Self::build(context, Start::blank(teacher, scales, init, &settings), folder, calibration, settings)
    }

    /// A student and a full-width teacher with random weights, without pictures: for benchmarks.
    pub(crate) fn random(context: &Context, settings: EncoderTrainerSettings) -> Result<Self> {
        let (teacher, student) = (Vgg19Weights::random(1.0, 1), Vgg19Weights::random(settings.width, 2));
        let mut lifts = Vec::new();
        for (tap, _) in &settings.taps {
            let [from, to] = [settings.width, 1.0].map(|width| scaled_channels(*tap, width));
            let weight = HostTensor::new(&[to, from, 1, 1], vec![0.1; from * to])?;
            lifts.push((*tap, [weight, HostTensor::new(&[to], vec![0.0; to])?]));
        }
        let start = Start { teacher, scales: Vec::new(), student, lifts };
        Self::build(context, start, Folder::default(), Vec::new(), settings)
    }

    fn build(
        context: &Context,
        start: Start,
        folder: Folder,
        calibration: Vec<Vec<f32>>,
        settings: EncoderTrainerSettings,
    ) -> Result<Self> {
        let Start { teacher, scales, student: shape, lifts } = start;
        let scales = settings.layers().into_iter().zip(scales).map(|(tap, scale)| {
            let name = scale_name(tap);
            Ok((name.clone(), DeviceTensor::from_values(context, name, [scale.len()], &scale)?))
        });
        let painting_pool = settings.painting.clone().map(|painting| PaintingPool::new(context, painting, &settings));
        Ok(Encoder {
            context: context.clone(),
            painting_pool,
            scales: scales.collect::<Result<_>>()?,
            teacher: Vgg19::new(context, &teacher, Pooling::Max)?,
            student: Vgg19::trainable(context, &shape, Pooling::Max)?,
            lifts: Lifts::new(context, &lifts)?,
            folder,
            shape,
            calibration,
            settings,
        })
    }

    /// The weights of the current student. Channels are scaled to a mean activation of 1 over the calibration crops; in
    /// layers with all of the teacher's channels, they have the teacher's units.
    pub fn weights(&self) -> Result<Vgg19Weights> {
        let mut weights = self.trained()?;
        let narrow = |tap| !self.settings.has_all(tap);
        normalise(&self.context, &mut weights, narrow, &self.calibration, self.settings.crops.size)?;
        Ok(weights)
    }

    /// The weights of the current student, without that scaling of the narrow layers.
    fn trained(&self) -> Result<Vgg19Weights> {
        let mut weights = self.shape.clone();
        let tensors = weights.convolutions.iter_mut().flatten();
        for (parameter, tensor) in self.student.parameters().iter().zip(tensors) {
            tensor.data = parameter.value.read()?;
        }
        for (tap, (_, scale)) in self.settings.layers().into_iter().zip(&self.scales) {
            if self.settings.has_all(tap) {
                let units: Vec<_> = scale.read()?.into_iter().map(f32::recip).collect();
                weights.rescale(tap, &units);
            }
        }
        Ok(weights)
    }

    /// Records the gradient with respect to the student's activations at a tap, given the gradient of the lifted
    /// features, and accumulates the lift's gradients. The gradient is recorded at once, because lifted features are as
    /// wide as the teacher's and would occupy memory until later.
    fn lowered(
        &self,
        rec: &mut Recorder,
        narrow: &Activations,
        tap: Tap,
        lifted: Tensor,
        dlifted: Tensor,
    ) -> Result<(Tap, Later<'static>)> {
        let gradient = self.lifts.backward(rec, narrow, tap, [lifted, dlifted])?;
        Ok((tap, Box::new(move |_: &mut _| Ok(gradient))))
    }

    /// The teacher's forward pass on a batch, for benchmarks.
    pub(crate) fn teacher_pass(&self, batch: usize) -> Result<Program> {
        let mut rec = Recorder::new(&self.context);
        let x = self.blank(&mut rec, batch);
        self.teacher.forward(&mut rec, x, self.settings.deepest()?)?;
        rec.finish()
    }

    /// The student's forward and backward pass on a batch, with its lifts and given output gradients, for benchmarks.
    pub(crate) fn student_passes(&self, batch: usize) -> Result<Program> {
        let mut rec = Recorder::new(&self.context);
        let x = self.blank(&mut rec, batch);
        let narrow = self.student.forward(&mut rec, x, self.settings.deepest()?)?;
        let mut gradients = Vec::new();
        for (tap, _) in &self.settings.taps {
            let lifted = self.lifts.forward(&mut rec, &narrow, *tap)?;
            let given = rec.pin(&DeviceTensor::new(&self.context, "gradient", lifted.shape));
            gradients.push(self.lowered(&mut rec, &narrow, *tap, lifted, given)?);
        }
        self.student.backward_parameters(&mut rec, &narrow, gradients)?;
        rec.finish()
    }

    /// A batch of black pictures.
    fn blank(&self, rec: &mut Recorder, batch: usize) -> Tensor {
        let size = self.settings.crops.size;
        rec.pin(&DeviceTensor::new(&self.context, "pictures", [batch, 3, size, size]))
    }
}

fn scale_name(tap: Tap) -> String {
    format!("teacher {tap}.scale")
}

/// Scales the channels of every layer for which `is_scaled` holds to a mean activation of 1 over `pictures` (`[3, size,
/// size]`, RGB 0..1). A channel that is (nearly) always zero is left unchanged.
fn normalise(
    context: &Context,
    weights: &mut Vgg19Weights,
    is_scaled: impl Fn(Tap) -> bool,
    pictures: &[Vec<f32>],
    size: usize,
) -> Result<()> {
    let mut walk = Walk::new(context, weights, pictures, size)?;
    let mut factors = Vec::new();
    for ([weight, bias], next) in weights.convolutions.iter().zip(Tap::all().skip(1)) {
        let linear = walk.convolve(weight, bias)?;
        factors.push(start::unit_means(&linear));
        walk.advance(&linear, Some(next))?;
    }
    for (tap, factors) in Tap::all().zip(&factors).filter(|(tap, _)| is_scaled(*tap)) {
        weights.rescale(tap, factors);
    }
    Ok(())
}

impl Trainer for Encoder {
    fn streams(&self) -> Vec<(Folder, Crops)> {
        vec![(self.folder.clone(), self.settings.crops.clone())]
    }

    fn terms(&self) -> Vec<String> {
        let of = |(tap, _): &(Tap, f32)| ["features", "means", "deviations"].map(|kind| format!("{kind} {tap}"));
        self.settings.taps.iter().flat_map(of).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.student.parameters().into_iter().chain(self.lifts.parameters()).collect()
    }

    fn state(&self) -> Vec<(String, DeviceTensor)> {
        let painted = self.painting_pool.iter().flat_map(PaintingPool::state);
        self.scales.iter().cloned().chain(painted).collect()
    }

    fn picture(&self, _: usize, number: u64, found: Vec<f32>) -> Result<Vec<f32>> {
        let Some(painting_pool) = &self.painting_pool else { return Ok(found) };
        if let Some(painting) = painting_pool.due(number) {
            let net = Vgg19::new(&self.context, &self.trained()?, Pooling::Max)?;
            painting_pool.paint(painting, &net, &self.folder, &self.settings)?;
        }
        painting_pool.picture(number, found)
    }

    fn record(&self, rec: &mut Recorder, pictures: &[Tensor], losses: Tensor, share: f32) -> Result<()> {
        let exact = self.teacher.forward(rec, pictures[0], self.settings.deepest()?)?;
        let narrow = self.student.forward(rec, pictures[0], self.settings.deepest()?)?;
        let mut gradients = Vec::new();
        // Tap by tap: lifted features are as wide as the teacher's and should not occupy memory together.
        for (index, (tap, tap_weight)) in self.settings.taps.iter().enumerate() {
            let (lifted, target) = (self.lifts.forward(rec, &narrow, *tap)?, exact.at(*tap)?);
            let mean = |count: usize, weight: f32| share * weight / count as f32;
            let weight = Weight::new(rec, mean(lifted.shape.count(), *tap_weight));
            let dfeatures = loss::content(rec, lifted, target, weight, losses, 3 * index)?(rec)?;
            let statistics = mean_std::forward(rec, target, loss::EPSILON)?;
            let weight = tap_weight * self.settings.statistics_weight;
            let weight = Weight::new(rec, mean(statistics.0.shape.count(), weight));
            let slots = [3 * index + 1, 3 * index + 2];
            let dstatistics = loss::mean_std_style(rec, lifted, statistics, weight, losses, slots)?(rec)?;
            let dlifted = vector::add(rec, dfeatures, dstatistics)?;
            gradients.push(self.lowered(rec, &narrow, *tap, lifted, dlifted)?);
        }
        self.student.backward_parameters(rec, &narrow, gradients)
    }

    fn refresh(&self, rec: &mut Recorder) -> Result<()> {
        self.student.repack(rec)?;
        self.lifts.repack(rec)
    }

    /// A row for each of some pictures: the picture, then for each tap one channel of the teacher (relative to its
    /// maximum) and next to it the lifted channel. If the student paints, a last row shows its paintings.
    fn sample(&self) -> Result<Picture> {
        let size = self.settings.crops.size;
        let rows = SAMPLES.min(self.calibration.len());
        let pixels = self.calibration[..rows].concat();
        let input = DeviceTensor::from_values(&self.context, "pictures", [rows, 3, size, size], &pixels)?;
        let mut rec = Recorder::new(&self.context);
        let pictures = rec.pin(&input);
        let mut kept = Vec::new();
        let exact = self.teacher.forward(&mut rec, pictures, self.settings.deepest()?)?;
        let narrow = self.student.forward(&mut rec, pictures, self.settings.deepest()?)?;
        for (tap, _) in &self.settings.taps {
            for symbol in [exact.at(*tap)?, self.lifts.forward(&mut rec, &narrow, *tap)?] {
                kept.push(rec.output(symbol)?);
            }
        }
        rec.finish()?.run()?;
        let square = |value: &dyn Fn(usize) -> f32, caption: String| {
            let rgb = (0..3 * size * size).map(value).collect();
            Ok(Cell::picture(&Picture::from_rgb(size, size, rgb)?, size, caption))
        };
        let photo = |(number, picture): (usize, &Vec<f32>)| {
            Ok(vec![square(&|at| picture[at], format!("picture {}", number + 1))?])
        };
        let mut cells = self.calibration[..rows].iter().enumerate().map(photo).collect::<Result<Vec<_>>>()?;
        for (pair, (tap, _)) in kept.chunks_exact(2).zip(&self.settings.taps) {
            let [_, channels, height, width] = pair[0].shape().nchw("sample", "features")?;
            let values = [pair[0].read()?, pair[1].read()?];
            for (row, cells) in cells.iter_mut().enumerate() {
                let plane = |which: usize, channel: usize| {
                    &values[which][(row * channels + channel) * height * width..][..height * width]
                };
                let energy = |channel: &usize| plane(0, *channel).iter().map(|v| v * v).sum::<f32>();
                let mut order: Vec<usize> = (0..channels).collect();
                order.sort_by(|a, b| energy(b).total_cmp(&energy(a)));
                let shown = order[row % channels];
                let brightest = plane(0, shown).iter().fold(f32::MIN_POSITIVE, |most, v| most.max(*v));
                for (which, net) in ["teacher", "student"].into_iter().enumerate() {
                    let value = |at: usize| {
                        let (i, j) = (at / size % size, at % size);
                        plane(which, shown)[i * height / size * width + j * width / size] / brightest
                    };
                    cells.push(square(&|at| value(at).clamp(0.0, 1.0), format!("{tap}, {net}"))?);
                }
            }
        }
        let mut painted = Vec::new();
        for painting in self.painting_pool.iter().flat_map(PaintingPool::finished).take(1 + kept.len()) {
            let values = painting.read()?;
            // Not yet painted pictures are black.
            if values.iter().any(|value| *value > 0.0) {
                painted.push(square(&|at| values[at], "painted by it".into())?);
            }
        }
        cells.extend(Some(painted).filter(|row| !row.is_empty()));
        sheet::sheet(&cells)
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "encoder": &self.settings, "pictures": self.folder.len(), "teacher": self.teacher.fingerprint(),
        })
    }
}
