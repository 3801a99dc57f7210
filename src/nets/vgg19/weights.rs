//! The net's weights on the host, their conventions, and their names in files.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{Tap, beyond};
use crate::io::{DType, HostTensor, WeightFile};
use crate::nets::named::Named;
use crate::ops::pad::Border;
use crate::ops::pool::{Pool, Pooling};
use crate::random::Random;
use crate::{Error, Result};

/// The input that weights expect, and their padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// RGB 0..1, minus ImageNet's mean, divided by its deviation; zero padding.
    Torchvision,
    /// BGR 0..255, minus ImageNet's mean; zero padding. As used by Gatys and by Johnson.
    Caffe,
    /// RGB 0..1 through a 1×1 convolution of the file; reflection padding. Weights are scaled to a mean activation of 1
    /// per channel.
    Normalised,
}

impl Convention {
    /// The convention by its name on the command line and in metadata.
    pub fn from_name(name: &str) -> Result<Self> {
        [Convention::Torchvision, Convention::Caffe, Convention::Normalised]
            .into_iter()
            .find(|convention| convention.to_string() == name)
            .ok_or_else(|| Error::argument("vgg19", "convention", "torchvision, caffe or normalised", name))
    }

    /// Weights `[3, 3, 1, 1]` and bias `[3]` from RGB 0..1 to the net's input. Not for the normalised convention, which
    /// has its own.
    pub(crate) fn input(self) -> (Vec<f32>, Vec<f32>) {
        match self {
            Convention::Torchvision => {
                let (mean, std) = ([0.485, 0.456, 0.406], [0.229f32, 0.224, 0.225]);
                let weights = (0..9).map(|i| if i % 4 == 0 { 1.0 / std[i / 4] } else { 0.0 });
                (weights.collect(), (0..3).map(|c| -mean[c] / std[c]).collect())
            }
            _ => {
                let weights = vec![0.0, 0.0, 255.0, 0.0, 255.0, 0.0, 255.0, 0.0, 0.0];
                (weights, vec![-103.939, -116.779, -123.68])
            }
        }
    }

    /// The pooling of the net. Normalised weights come from AdaIN's encoder, which pools in ceil mode.
    pub(crate) fn pool(self, kind: Pooling) -> Pool {
        Pool { kind, ceil: self == Convention::Normalised }
    }

    pub(crate) fn border(self) -> Border {
        if self == Convention::Normalised { Border::Reflect } else { Border::Zero }
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Convention::Torchvision => "torchvision",
            Convention::Caffe => "caffe",
            Convention::Normalised => "normalised",
        })
    }
}

/// The net's weights on the host, in the order of the net, and their convention.
#[derive(Clone, Debug)]
pub struct Vgg19Weights {
    /// The input that they expect.
    pub convention: Convention,
    /// Weights `[3, 3, 1, 1]` and bias `[3]` of the 1×1 convolution in front; only in the normalised convention.
    pub input: Option<[HostTensor; 2]>,
    /// Weights `[M, C, 3, 3]` and bias `[M]` of conv1_1, conv1_2 and so on; the depth may be less than VGG-19's.
    pub convolutions: Vec<[HostTensor; 2]>,
}

/// Beginnings of the names of tensors that files have beside the convolutions, and that change nothing of what they
/// compute: the classifier of torchvision's and Caffe's files, and `scale1_1` and so on, the ratios by which a file in the
/// normalised convention was made from one in Caffe's.
const BESIDE: [&str; 5] = ["classifier.", "fc6.", "fc7.", "fc8.", "scale"];

/// The number in names as `features.0.weight` (torchvision) or `0.weight`.
fn numbered(name: &str) -> Option<usize> {
    let stem = name.strip_suffix(".weight")?;
    let number = stem.strip_prefix("features.").unwrap_or(stem);
    number.parse().ok()
}

impl Vgg19Weights {
    /// Finds the convolutions in a file by name and shape: `conv1_1.weight` (Caffe; normalised if there is a `conv0`),
    /// `features.0.weight` (torchvision) or `0.weight` (normalised if the first is 1×1, else torchvision). A
    /// `convention` in the metadata overrides this. The classifier (`classifier.`, `fc6.` to `fc8.`), counters and the
    /// ratios of a normalisation (`scale1_1`, ...) are ignored.
    ///
    /// # Errors
    /// A file that is not VGG-19, or has further tensors; the message names the tensor.
    pub fn of(file: &WeightFile) -> Result<Self> {
        let named = Named::new(file, "use another file");
        let refuse = |reason: String| Err(named.wrong(reason));
        let pair = |stem: &str| -> Result<[HostTensor; 2]> {
            let find = |kind: &str| named.read(&format!("{stem}.{kind}")).cloned();
            Ok([find("weight")?, find("bias")?])
        };
        let mut stems: Vec<String> = Tap::all().map(Tap::conv_name).collect();
        stems.retain(|stem| named.peek(&format!("{stem}.weight")).is_some());
        let mut input_stem = named.peek("conv0.weight").map(|_| "conv0".to_string());
        let mut numbers: Vec<(usize, String)> = Vec::new();
        if stems.is_empty() {
            for (name, tensor) in named.all() {
                if let Some(number) = numbered(name).filter(|_| tensor.shape.len() == 4) {
                    numbers.push((number, name.trim_end_matches(".weight").to_string()));
                }
            }
            numbers.sort();
            stems = numbers.into_iter().map(|(_, stem)| stem).collect();
            if let Some(first) =
                stems.first().cloned().filter(|stem| pair(stem).is_ok_and(|[w, _]| w.shape == [3, 3, 1, 1]))
            {
                stems.remove(0);
                input_stem = Some(first);
            }
        }
        if stems.is_empty() {
            let names = "conv1_1.weight, features.0.weight or 0.weight";
            return refuse(format!("it has no convolution called {names}, so it is not VGG-19"));
        }
        let convention = match (file.metadata.get("convention"), &input_stem) {
            (Some(name), _) => Convention::from_name(name).map_err(|error| Error::weights(&file.path, error))?,
            (None, Some(_)) => Convention::Normalised,
            (None, None) if stems[0].starts_with("conv") => Convention::Caffe,
            (None, None) => Convention::Torchvision,
        };
        if (convention == Convention::Normalised) != input_stem.is_some() {
            let has = if input_stem.is_some() { "begins" } else { "does not begin" };
            let reason = format!(
                "the net {has} with a 1x1 convolution, which only the normalised convention has, but its convention is \
                 said to be {convention}"
            );
            return Err(Error::weights(&file.path, reason).with_help("import it with the other convention"));
        }
        let mut channels = 3;
        let mut convolutions = Vec::new();
        for (tap, stem) in Tap::all().zip(&stems) {
            if stem.starts_with("conv") && *stem != tap.conv_name() {
                return refuse(format!("has {stem} but lacks {}", tap.conv_name()));
            }
            if input_stem.is_none() && numbered(&format!("{stem}.weight")).is_some_and(|number| number != tap.number())
            {
                return refuse(format!(
                    "has {stem}.weight where VGG-19 has number {}; it may be VGG-16 or a net with batch norm",
                    tap.number()
                ));
            }
            let [weight, bias] = pair(stem)?;
            let expected = [weight.shape.first().copied().unwrap_or(0), channels, 3, 3];
            if weight.shape != expected || expected[0] == 0 {
                let name = format!("{stem}.weight ({})", tap.conv_name());
                return refuse(format!("{name} must have shape [any, {channels}, 3, 3], got {:?}", weight.shape));
            }
            channels = expected[0];
            if bias.shape != [channels] {
                return refuse(format!("{stem}.bias must have shape [{channels}], got {:?}", bias.shape));
            }
            convolutions.push([weight, bias]);
        }
        let input = input_stem.map(|stem| pair(&stem)).transpose()?;
        if let Some([weight, bias]) = &input
            && (weight.shape != [3, 3, 1, 1] || bias.shape != [3])
        {
            let got = format!("{:?} and {:?}", weight.shape, bias.shape);
            return refuse(format!("conv0 must have shapes [3, 3, 1, 1] and [3], got {got}"));
        }
        named.check_all_read("VGG-19", |name| BESIDE.iter().any(|part| name.starts_with(part)))?;
        Ok(Vgg19Weights { convention, input, convolutions })
    }

    /// Seeded random weights up to relu4_1 (He initialisation, zero bias), with `width` times VGG-19's channels. Random
    /// filters represent style as well (He, Wang & Hopcroft 2016), though less than trained ones.
    pub fn random(width: f32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut channels = 3;
        let mut convolutions = Vec::new();
        for tap in Tap::all().take_while(|tap| tap.block < 4 || tap.index == 1) {
            let out = scaled_channels(tap, width);
            let deviation = (2.0 / (channels * 9) as f32).sqrt();
            let weights = (0..out * channels * 9).map(|_| random.normal() * deviation).collect();
            convolutions.push([tensor(&[out, channels, 3, 3], weights), tensor(&[out], vec![0.0; out])]);
            channels = out;
        }
        Vgg19Weights { convention: Convention::Torchvision, input: None, convolutions }
    }

    /// The 1×1 convolution from RGB 0..1 to the net's input.
    pub(crate) fn input(&self) -> [HostTensor; 2] {
        self.input.clone().unwrap_or_else(|| {
            let (weight, bias) = self.convention.input();
            [tensor(&[3, 3, 1, 1], weight), tensor(&[3], bias)]
        })
    }

    /// The deepest tap of the weights.
    pub fn deepest(&self) -> Option<Tap> {
        Tap::all().take(self.convolutions.len()).last()
    }

    /// Channels at a tap.
    ///
    /// # Errors
    /// A tap beyond the weights.
    pub fn channels(&self, tap: Tap) -> Result<usize> {
        let found = self.convolutions.get(tap.position());
        found.map(|[_, bias]| bias.data.len()).ok_or_else(|| beyond(tap, self.deepest()))
    }

    /// SHA-256 (64 hexadecimal digits) of the convention and the weights. Features of nets with different fingerprints
    /// are not comparable.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.convention.to_string());
        for (name, tensor) in self.tensors() {
            hash.update(name);
            hash.update(bytemuck::cast_slice::<f32, u8>(&tensor.data));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Multiplies the channels at `tap` by `scale` and divides the weights that read them by it. All other taps are
    /// unchanged, since ReLU and pooling commute with positive factors.
    ///
    /// # Panics
    /// Unless `scale` has a positive factor for every channel.
    pub fn rescale(&mut self, tap: Tap, scale: &[f32]) {
        let position = tap.position();
        let [weight, bias] = &mut self.convolutions[position];
        assert!(scale.len() == bias.data.len() && scale.iter().all(|&s| s > 0.0), "a positive factor a channel");
        let filter = weight.data.len() / scale.len();
        for (row, s) in weight.data.chunks_mut(filter).zip(scale) {
            row.iter_mut().for_each(|w| *w *= s);
        }
        bias.data.iter_mut().zip(scale).for_each(|(b, s)| *b *= s);
        if let Some([next, _]) = self.convolutions.get_mut(position + 1) {
            divide(next, scale);
        }
    }

    /// Names (`conv1_1.weight`, ...) and tensors as stored in a file.
    pub fn tensors(&self) -> Vec<(String, HostTensor)> {
        let input = self.input.iter().flat_map(|pair| named("conv0", pair));
        let convolutions = Tap::all().zip(&self.convolutions);
        input.chain(convolutions.flat_map(|(tap, pair)| named(&tap.conv_name(), pair))).collect()
    }
}

fn named(stem: &str, [weight, bias]: &[HostTensor; 2]) -> [(String, HostTensor); 2] {
    [(format!("{stem}.weight"), weight.clone()), (format!("{stem}.bias"), bias.clone())]
}

/// Divides the weights that read each input channel by that channel's factor.
fn divide(weight: &mut HostTensor, factors: &[f32]) {
    let window = weight.shape[2] * weight.shape[3];
    for row in weight.data.chunks_mut(window * factors.len()) {
        for (window, factor) in row.chunks_mut(window).zip(factors) {
            window.iter_mut().for_each(|w| *w /= factor);
        }
    }
}

/// Channels at a tap of a net with `width` times VGG-19's channels, at least 1.
pub fn scaled_channels(tap: Tap, width: f32) -> usize {
    let full = 64 << (tap.block - 1).min(3);
    ((full as f32 * width).round() as usize).max(1)
}

fn tensor(shape: &[usize], data: Vec<f32>) -> HostTensor {
    HostTensor { shape: shape.to_vec(), dtype: DType::F32, data }
}
