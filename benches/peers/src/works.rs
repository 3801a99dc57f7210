//! The works and their data: weights and pictures, all random with fixed seeds.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use impasto::internal::Random;
use impasto::io::{DType, HostTensor, WeightFile};
use impasto::nets::Tap;
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::nets::vgg19::Vgg19Weights;
use impasto::ops::norm::Over;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// VGG-19 (full width) to relu4_1.
    Vgg,
    /// The same, and the gradient of Σ dy·relu4_1 to the picture.
    VggGradient,
    /// Johnson's net in its resize form, with instance norm.
    Johnson,
    /// AdaIN: photo and style encoded, the photo's features given the style's statistics, decoded.
    Adain,
    /// A step of training Johnson's net: its loss in VGG-19's features, all gradients, Adam.
    JohnsonTraining,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Vgg, Kind::VggGradient, Kind::Johnson, Kind::Adain, Kind::JohnsonTraining];

    /// Sides of the pictures on a GPU.
    fn sizes(self) -> &'static [usize] {
        match self {
            Kind::Vgg | Kind::VggGradient => &[256, 512],
            Kind::Johnson | Kind::Adain => &[512],
            Kind::JohnsonTraining => &[256],
        }
    }

    /// Default sides of the pictures: half as large on a software adapter; with `quick`, one side, a quarter of the
    /// largest.
    pub fn default_sizes(self, software: bool, quick: bool) -> Vec<usize> {
        match (software, quick) {
            (_, true) => vec![self.sizes().iter().max().expect("a size") / 4],
            (true, false) => self.sizes().iter().map(|size| size / 2).collect(),
            (false, false) => self.sizes().to_vec(),
        }
    }

    fn has_gradient(self) -> bool {
        matches!(self, Kind::VggGradient | Kind::JohnsonTraining)
    }

    /// Magnitude of an output or of a difference: the largest absolute value or, for gradients, the root of the sum of
    /// squares. If rounding flips a ReLU or the maximum of a pool, a pixel's whole gradient changes.
    pub fn size(self, values: &[f32]) -> f64 {
        let values = values.iter().map(|value| f64::from(value.abs()));
        if self.has_gradient() {
            values.map(|value| value * value).sum::<f64>().sqrt()
        } else {
            values.fold(0.0, f64::max)
        }
    }

    /// Maximum relative difference of a peer's output from Impasto's, in single or half precision.
    pub fn tolerance(self, half: bool) -> f64 {
        match (self.has_gradient(), half) {
            (false, false) => 1e-3,
            (false, true) => 5e-2,
            (true, false) => 2e-2,
            (true, true) => 2e-1,
        }
    }

    /// Name on the command line and in peers.py.
    pub fn key(self) -> &'static str {
        match self {
            Kind::Vgg => "vgg",
            Kind::VggGradient => "vgg-gradient",
            Kind::Johnson => "johnson",
            Kind::Adain => "adain",
            Kind::JohnsonTraining => "johnson-training",
        }
    }
}

/// A work to measure.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Work {
    pub kind: Kind,
    /// Side of the pictures in pixels.
    pub size: usize,
}

impl Work {
    pub fn name(self) -> String {
        let what = match self.kind {
            Kind::Vgg => "VGG-19 to relu4_1",
            Kind::VggGradient => "VGG-19 and gradient",
            Kind::Johnson => "Johnson's net",
            Kind::Adain => "AdaIN",
            Kind::JohnsonTraining => "Johnson training step",
        };
        format!("{what} at {}²", self.size)
    }
}

/// Taps and weights of the training loss: content at relu3_1, style at the usual four taps; each term is a weighted
/// mean square.
pub const CONTENT_TAP: &str = "relu3_1";
pub const CONTENT_WEIGHT: f32 = 1.0;
pub const STYLE_WEIGHT: f32 = 100.0;
pub const LEARNING_RATE: f32 = 1e-3;

/// Channels at relu4_1.
const CHANNELS: usize = 512;

/// Tensors by name: `vgg.conv1_1.weight`, `net.conv1.conv2d.weight`, `decoder.d4_1.weight`, `photo`, `style`, `dy`.
pub struct Material(pub BTreeMap<String, HostTensor>);

impl Material {
    pub fn of(work: Work) -> Result<Self> {
        let mut all = BTreeMap::new();
        let mut add = |scope: &str, tensors: Vec<(String, HostTensor)>| {
            all.extend(tensors.into_iter().map(|(name, tensor)| (format!("{scope}.{name}"), tensor)));
        };
        let vgg = Vgg19Weights::random(1.0, 1);
        if matches!(work.kind, Kind::Johnson | Kind::JohnsonTraining) {
            add("net", ImageTransformNetWeights::random(Form::Resize, Over::Instance, 1.0, 2).tensors);
        }
        if work.kind == Kind::Adain {
            add("decoder", AdainDecoderWeights::random(&vgg, 3)?.tensors());
        }
        if work.kind != Kind::Johnson {
            let named = Tap::all().zip(vgg.convolutions).flat_map(|(tap, [weight, bias])| {
                let conv = tap.to_string().replace("relu", "conv");
                [(format!("{conv}.weight"), weight), (format!("{conv}.bias"), bias)]
            });
            add("vgg", named.collect());
        }
        // With biases of 0 and scales of 1, a peer that omits them would not be noticed.
        let mut random = Random::new(4);
        for tensor in all.values_mut().filter(|tensor| tensor.shape.len() == 1) {
            tensor.data.iter_mut().for_each(|value| *value += 0.1 * random.normal());
        }
        let mut picture = |name: &str, shape: &[usize], low: f32| {
            let count = shape.iter().product();
            let values = (0..count).map(|_| low + (1.0 - low) * random.uniform()).collect();
            Ok::<_, impasto::Error>(all.insert(name.to_string(), HostTensor::new(shape, values)?))
        };
        let size = work.size;
        picture("photo", &[1, 3, size, size], 0.0)?;
        picture("style", &[1, 3, size, size], 0.0)?;
        picture("dy", &[1, CHANNELS, size / Tap::RELU4_1.reduction(), size / Tap::RELU4_1.reduction()], -1.0)?;
        Ok(Material(all))
    }

    pub fn get(&self, name: &str) -> Result<&HostTensor> {
        self.0.get(name).with_context(|| format!("there is no tensor {name}"))
    }

    pub fn save(&self, path: &Path) -> Result<()> {
        let tensors: Vec<_> = self.0.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        Ok(WeightFile::save(path, DType::F32, &tensors, &BTreeMap::new())?)
    }
}
