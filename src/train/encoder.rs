//! The compact encoder: VGG-19's shape at a fraction of its width, distilled from the real net.
//!
//! At every tap a 1×1 convolution lifts the student's channels to the teacher's. With t the teacher's features, each channel
//! over its deviation, and u the lifted ones, μ and σ the channels' means and deviations in a picture, the loss is
//!
//! ```text
//! L = Σ_taps λ_tap [ mean (u − t)² + λ_s ( mean (μ(u) − μ(t))² + mean (σ(u) − σ(t))² ) ]
//! ```

mod start;

use start::Start;

use crate::gpu::{Context, DeviceTensor, Later, Program, Recorder, Tensor};
use crate::io::{HostTensor, Picture};
use crate::loss;
use crate::nets::vgg19::{Activations, Weights, scaled_channels};
use crate::nets::{ConvLayer, Tap, Vgg19, packed};
use crate::ops::conv2d::{Conv2d, Padding};
use crate::ops::pool::Kind;
use crate::ops::square_loss::Weight;
use crate::ops::{mean_std, vector};
use crate::optim::Parameter;
use crate::train::closed_form::Walk;
use crate::train::{Checkpoint, Crops, Folder, Lesson, Loader};
use crate::{Error, Result};

/// What can be chosen.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Settings {
    /// Channels over VGG-19's.
    pub width: f32,
    /// How pictures are cut out.
    pub crops: Crops,
    /// Weight of each tap's loss.
    #[serde(serialize_with = "by_name")]
    pub taps: Vec<(Tap, f32)>,
    /// λ_s, weight of the means and deviations beside the features.
    pub statistics_weight: f32,
    /// Crops that the closed-form start is made from.
    pub calibration: usize,
    /// Seed of those crops.
    pub seed: u64,
}

fn by_name<S: serde::Serializer>(taps: &[(Tap, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(taps.iter().map(|(tap, weight)| (tap.to_string(), weight)))
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            width: 0.25,
            crops: Crops { size: 112, share: [0.5, 1.0], flip: true },
            // relu2_1 has the narrowest way to go through.
            taps: Tap::style().zip([1.0, 3.0, 3.0, 2.0]).collect(),
            statistics_weight: 0.1,
            calibration: 128,
            seed: 0,
        }
    }
}

impl Settings {
    /// The same with the taps in the net's order, if a student of `teacher` can be trained so.
    fn checked(mut self, teacher: &Weights) -> Result<Self> {
        let refuse =
            |argument, expected: &str, got: String| Err(Error::argument("train encoder", argument, expected, got));
        if !(self.width > 0.0 && self.width <= 1.0) {
            return refuse("--width", "above 0, at most 1", self.width.to_string());
        }
        self.taps.sort_by_key(|(tap, _)| *tap);
        let deepest = self.deepest()?;
        let least = 2 * deepest.reduction();
        if self.crops.size < least {
            return refuse("--crop", &format!("at least {least} px"), self.crops.size.to_string());
        }
        if teacher.deepest() < Some(deepest) {
            return refuse("--teacher", &format!("weights to {deepest}"), "a shallower net".into());
        }
        Ok(self)
    }

    fn deepest(&self) -> Result<Tap> {
        self.layers().pop().ok_or_else(|| Error::argument("train encoder", "taps", "at least one", "none"))
    }

    /// All layers down to the deepest tap.
    fn layers(&self) -> Vec<Tap> {
        let deepest = self.taps.iter().map(|(tap, _)| *tap).max();
        Tap::all().take_while(|tap| Some(*tap) <= deepest).collect()
    }

    /// The crops that the start, the samples and the exported channels' scale are made from.
    fn calibration(&self, folder: &Folder) -> Result<Vec<Vec<f32>>> {
        let mut loader = Loader::start(folder.clone(), self.crops.clone(), self.seed ^ 0xca11, 0, 1)?;
        (0..self.calibration.max(1)).map(|_| loader.next()).collect()
    }
}

/// The lesson: teacher, student and lifts on the device.
pub struct Encoder {
    context: Context,
    settings: Settings,
    folder: Folder,
    teacher: Vgg19,
    student: Vgg19,
    lifts: Vec<ConvLayer>,
    /// What each layer of the teacher was multiplied with, by name.
    scales: Vec<(String, DeviceTensor)>,
    /// What is trained, on the host as it started: shapes and the convolution in front.
    shape: Weights,
    calibration: Vec<Vec<f32>>,
}

/// Rows of the sample picture.
const SAMPLES: usize = 4;

impl Encoder {
    /// A student of `teacher` on the pictures of `folder`: `init` as deep as it goes, its closed-form start from there on;
    /// `on_layer` is told of each layer done.
    ///
    /// # Errors
    /// A teacher that does not reach the deepest tap, a width that is not in 0..=1, crops too small for the deepest tap.
    pub fn new(
        context: &Context,
        teacher: Weights,
        init: Option<&Weights>,
        folder: Folder,
        settings: Settings,
        on_layer: impl FnMut(Tap) -> Result<()>,
    ) -> Result<Self> {
        let settings = settings.checked(&teacher)?;
        let calibration = settings.calibration(&folder)?;
        let start = start::start(context, teacher, init, &calibration, &settings, on_layer)?;
        Self::build(context, start, folder, calibration, settings)
    }

    /// The student of a run that goes on from `checkpoint`, without another closed-form start. Its parameters are zero until
    /// [`train`](crate::train::train) takes them up.
    ///
    /// # Errors
    /// Those of [`Encoder::new`]; a checkpoint of another net's training.
    pub fn resumed(
        context: &Context,
        teacher: Weights,
        init: Option<&Weights>,
        checkpoint: &Checkpoint,
        folder: Folder,
        settings: Settings,
    ) -> Result<Self> {
        let settings = settings.checked(&teacher)?;
        let calibration = settings.calibration(&folder)?;
        let mut scales = Vec::new();
        for (tap, [_, bias]) in settings.layers().into_iter().zip(&teacher.convolutions) {
            let name = scale_name(tap);
            let fits = |found: &&HostTensor| found.shape == bias.shape && found.data.iter().all(|scale| *scale > 0.0);
            let Some(found) = checkpoint.get(&name).filter(fits) else {
                let expected = format!("of the same teacher and taps, with {name} of shape {:?}", bias.shape);
                return Err(Error::argument("train encoder", "checkpoint", expected, "another training's"));
            };
            scales.push(found.data.clone());
        }
        Self::build(context, Start::blank(teacher, scales, init, &settings), folder, calibration, settings)
    }

    /// A student of random weights and a teacher of random weights at full width, without pictures: for measuring.
    pub(crate) fn random(context: &Context, settings: Settings) -> Result<Self> {
        let (teacher, student) = (Weights::random(1.0, 1), Weights::random(settings.width, 2));
        let mut lifts = Vec::new();
        for (tap, _) in &settings.taps {
            let [from, to] = [settings.width, 1.0].map(|width| scaled_channels(*tap, width));
            lifts.push([
                HostTensor::new(&[to, from, 1, 1], vec![0.1; from * to])?,
                HostTensor::new(&[to], vec![0.0; to])?,
            ]);
        }
        let start = Start { teacher, scales: Vec::new(), student, lifts };
        Self::build(context, start, Folder::default(), Vec::new(), settings)
    }

    fn build(
        context: &Context,
        start: Start,
        folder: Folder,
        calibration: Vec<Vec<f32>>,
        settings: Settings,
    ) -> Result<Self> {
        let Start { teacher, scales, student: shape, lifts } = start;
        let scales = settings.layers().into_iter().zip(scales).map(|(tap, scale)| {
            let name = scale_name(tap);
            Ok((name.clone(), DeviceTensor::from_values(context, name, [scale.len()], &scale)?))
        });
        let lifts = settings.taps.iter().zip(lifts).map(|((tap, _), [weight, bias])| {
            let [channels_out, channels_in] = [weight.shape[0], weight.shape[1]];
            let conv = Conv2d {
                channels_in,
                channels_out,
                kernel: 1,
                stride: 1,
                padding: Padding::None,
                upsample: false,
                relu: false,
            };
            (format!("lift {tap}"), conv, weight, bias)
        });
        let lifts = packed(context, |rec| {
            let lift = |(name, conv, weight, bias): (String, Conv2d, HostTensor, HostTensor)| {
                ConvLayer::trainable(rec, &name, conv, &weight.data, &bias.data)
            };
            lifts.map(lift).collect()
        })?;
        Ok(Encoder {
            context: context.clone(),
            lifts,
            scales: scales.collect::<Result<_>>()?,
            teacher: Vgg19::new(context, &teacher, Kind::Max)?,
            student: Vgg19::trainable(context, &shape, Kind::Max)?,
            folder,
            shape,
            calibration,
            settings,
        })
    }

    /// The student as it stands, scaled so that the mean activation of every channel is 1 over the calibration's pictures.
    pub fn weights(&self) -> Result<Weights> {
        let mut weights = self.shape.clone();
        let read = |parameter: &Parameter| parameter.value.read();
        let trained = self.student.parameters().iter().map(read).collect::<Result<Vec<_>>>()?;
        for (values, tensor) in trained.into_iter().zip(weights.convolutions.iter_mut().flatten()) {
            tensor.data = values;
        }
        weights.loadings = self.loadings()?;
        normalise(&self.context, &mut weights, &self.calibration, self.settings.crops.size)?;
        Ok(weights)
    }

    /// The length of each column of the lifts, in the teacher's units.
    fn loadings(&self) -> Result<Vec<(Tap, HostTensor)>> {
        let of = |(lift, (tap, _)): (&ConvLayer, &(Tap, f32))| {
            let weight = &lift.parameters()[0].value;
            let [wide, narrow, ..] = weight.shape().nchw("encoder", "lift")?;
            let name = scale_name(*tap);
            let scale = self.scales.iter().find(|(known, _)| *known == name);
            let scale = scale.map_or_else(|| Ok(vec![1.0; wide]), |(_, scale)| scale.read())?;
            let mut squares = vec![0.0f64; narrow];
            for (row, scale) in weight.read()?.chunks(narrow).zip(scale) {
                squares.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(value / scale).powi(2));
            }
            // A channel that tells nothing still has to count for something.
            let least = 1e-6 * squares.iter().sum::<f64>() / squares.len() as f64;
            let loading = squares.iter().map(|square| square.max(least).sqrt() as f32).collect();
            Ok((*tap, HostTensor::new(&[narrow], loading)?))
        };
        self.lifts.iter().zip(&self.settings.taps).map(of).collect()
    }

    /// The student's features at a tap, lifted to the teacher's channels.
    fn lifted(&self, rec: &mut Recorder, narrow: &Activations, index: usize) -> Result<Tensor> {
        self.lifts[index].forward(rec, narrow.at(self.settings.taps[index].0)?)
    }

    /// The gradient of the student's features at a tap, from that of what they are lifted to; and, added to what is there,
    /// the gradients of the lift.
    fn lowered(
        &self,
        rec: &mut Recorder,
        narrow: &Activations,
        index: usize,
        dlifted: Tensor,
    ) -> Result<(Tap, Later<'static>)> {
        let (tap, lift) = (self.settings.taps[index].0, &self.lifts[index]);
        let features = narrow.at(tap)?;
        lift.backward_parameters(rec, features, dlifted, None)?;
        let [_, _, height, width] = features.shape.nchw("encoder", "features")?;
        // The narrow net's gradients are small, what they are made of is not: none of it waits.
        let gradient = lift.backward(rec, dlifted, None, [height, width])?;
        Ok((tap, Box::new(move |_: &mut _| Ok(gradient))))
    }

    /// The passes of a step on a batch on their own, for measuring: the teacher's forward pass, and the student's forward
    /// and backward passes with its lifts, from gradients that are given.
    pub(crate) fn passes(&self, batch: usize) -> Result<[Program; 2]> {
        let size = self.settings.crops.size;
        let pictures = DeviceTensor::new(&self.context, "pictures", [batch, 3, size, size]);
        let mut rec = Recorder::new(&self.context);
        let x = rec.pin(&pictures);
        self.teacher.forward(&mut rec, x, self.settings.deepest()?)?;
        let teacher = rec.finish()?;
        let mut rec = Recorder::new(&self.context);
        let x = rec.pin(&pictures);
        let narrow = self.student.forward(&mut rec, x, self.settings.deepest()?)?;
        let mut gradients = Vec::new();
        for index in 0..self.lifts.len() {
            let lifted = self.lifted(&mut rec, &narrow, index)?;
            let given = rec.pin(&DeviceTensor::new(&self.context, "gradient", lifted.shape));
            gradients.push(self.lowered(&mut rec, &narrow, index, given)?);
        }
        self.student.backward_parameters(&mut rec, &narrow, gradients)?;
        Ok([teacher, rec.finish()?])
    }
}

fn scale_name(tap: Tap) -> String {
    format!("teacher {tap}.scale")
}

/// Scales the channels of every layer so that their mean activation over `pictures` (`[3, size, size]`, RGB 0..1) is 1.
/// A channel that (nearly) never fires stays as it is.
fn normalise(context: &Context, weights: &mut Weights, pictures: &[Vec<f32>], size: usize) -> Result<()> {
    let mut walk = Walk::new(context, weights, pictures, size)?;
    let mut factors = Vec::new();
    for ([weight, bias], next) in weights.convolutions.iter().zip(Tap::all().skip(1)) {
        let linear = walk.convolve(weight, bias)?;
        factors.push(start::unit_means(&linear));
        walk.advance(&linear, Some(next))?;
    }
    for (tap, factors) in Tap::all().zip(&factors) {
        weights.rescale(tap, factors);
    }
    Ok(())
}

impl Lesson for Encoder {
    fn streams(&self) -> Vec<(Folder, Crops)> {
        vec![(self.folder.clone(), self.settings.crops.clone())]
    }

    fn terms(&self) -> Vec<String> {
        let of = |(tap, _): &(Tap, f32)| ["features", "means", "deviations"].map(|kind| format!("{kind} {tap}"));
        self.settings.taps.iter().flat_map(of).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.student.parameters().into_iter().chain(self.lifts.iter().flat_map(ConvLayer::parameters)).collect()
    }

    fn state(&self) -> Vec<(String, DeviceTensor)> {
        self.scales.clone()
    }

    fn record(&self, rec: &mut Recorder, pictures: &[Tensor], losses: Tensor, share: f32) -> Result<()> {
        let exact = self.teacher.forward(rec, pictures[0], self.settings.deepest()?)?;
        let narrow = self.student.forward(rec, pictures[0], self.settings.deepest()?)?;
        let mut gradients = Vec::new();
        // A tap at a time: what is lifted is as wide as the teacher.
        for (index, (tap, tap_weight)) in self.settings.taps.iter().enumerate() {
            let (lifted, target) = (self.lifted(rec, &narrow, index)?, exact.at(*tap)?);
            let mean = |count: usize, weight: f32| share * weight / count as f32;
            let weight = Weight::new(rec, mean(lifted.shape.count(), *tap_weight));
            let dfeatures = loss::content(rec, lifted, target, weight, losses, 3 * index)?(rec)?;
            let statistics = mean_std::forward(rec, target, loss::EPSILON)?;
            let weight = tap_weight * self.settings.statistics_weight;
            let weight = Weight::new(rec, mean(statistics.0.shape.count(), weight));
            let slots = [3 * index + 1, 3 * index + 2];
            let dstatistics = loss::mean_std_style(rec, lifted, statistics, weight, losses, slots)?(rec)?;
            let dlifted = vector::add(rec, dfeatures, dstatistics)?;
            gradients.push(self.lowered(rec, &narrow, index, dlifted)?);
        }
        self.student.backward_parameters(rec, &narrow, gradients)
    }

    fn refresh(&self, rec: &mut Recorder) -> Result<()> {
        self.student.repack(rec)?;
        self.lifts.iter().try_for_each(|lift| lift.repack(rec))
    }

    /// A row for each of some pictures: the picture, then for each tap one of the teacher's channels (in bright and dark of
    /// its own range) and the lifted channel beside it.
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
        for (index, (tap, _)) in self.settings.taps.iter().enumerate() {
            for symbol in [exact.at(*tap)?, self.lifted(&mut rec, &narrow, index)?] {
                let tensor = DeviceTensor::new(&self.context, "features", symbol.shape);
                let into = rec.pin(&tensor);
                vector::copy(&mut rec, symbol, into)?;
                kept.push(tensor);
            }
        }
        rec.finish()?.run()?;
        let mut sheet = Picture::new((1 + kept.len()) * size, rows * size);
        for (row, picture) in self.calibration[..rows].iter().enumerate() {
            paste(&mut sheet, [row, 0], size, |channel, i, j| picture[(channel * size + i) * size + j]);
        }
        for (pair, columns) in kept.chunks_exact(2).zip((1..).step_by(2)) {
            let [_, channels, height, width] = pair[0].shape().nchw("sample", "features")?;
            let values = [pair[0].read()?, pair[1].read()?];
            for row in 0..rows {
                let plane = |which: usize, channel: usize| {
                    &values[which][(row * channels + channel) * height * width..][..height * width]
                };
                let energy = |channel: &usize| plane(0, *channel).iter().map(|v| v * v).sum::<f32>();
                let mut order: Vec<usize> = (0..channels).collect();
                order.sort_by(|a, b| energy(b).total_cmp(&energy(a)));
                let shown = order[row % channels];
                let brightest = plane(0, shown).iter().fold(f32::MIN_POSITIVE, |most, v| most.max(*v));
                for which in [0, 1] {
                    paste(&mut sheet, [row, columns + which], size, |_, i, j| {
                        (plane(which, shown)[i * height / size * width + j * width / size] / brightest).clamp(0.0, 1.0)
                    });
                }
            }
        }
        Ok(sheet)
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "encoder": &self.settings, "pictures": self.folder.len(), "teacher": self.teacher.fingerprint(),
        })
    }
}

/// Fills the square at `[row, column]` of a sheet of squares.
fn paste(sheet: &mut Picture, [row, column]: [usize; 2], size: usize, value: impl Fn(usize, usize, usize) -> f32) {
    let (width, plane) = (sheet.width, sheet.pixels());
    for channel in 0..3 {
        for i in 0..size {
            for j in 0..size {
                sheet.rgb[channel * plane + (row * size + i) * width + column * size + j] = value(channel, i, j);
            }
        }
    }
}
