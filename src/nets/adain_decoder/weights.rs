//! The decoder's weights on the host, and their names in files.

use crate::Result;
use crate::io::{DType, HostTensor, WeightFile};
use crate::nets::Tap;
use crate::nets::named::Named;
use crate::nets::vgg19::Vgg19Weights;
use crate::ops::conv2d::{Conv2d, Padding};
use crate::ops::pad::Border;
use crate::random::Random;

/// Name of each convolution, and whether its input is enlarged by 2.
pub(super) const LAYERS: [(&str, bool); 9] = [
    ("d4_1", false),
    ("d3_4", true),
    ("d3_3", false),
    ("d3_2", false),
    ("d3_1", false),
    ("d2_2", true),
    ("d2_1", false),
    ("d1_2", true),
    (LAST, false),
];

/// The convolution that outputs the picture, without a ReLU.
const LAST: &str = "d1_1";

/// The decoder's weights on the host.
#[derive(Clone, Debug)]
pub struct AdainDecoderWeights {
    /// Weights `[M, C, 3, 3]` and bias `[M]` of the nine convolutions, deep to shallow.
    pub convolutions: Vec<[HostTensor; 2]>,
}

impl AdainDecoderWeights {
    /// Finds the convolutions in a file by the names `d4_1.weight` to `d1_1.weight`, or by the order of their numbers
    /// if the file is of a PyTorch `Sequential`.
    ///
    /// # Errors
    /// A file that is not such a decoder, or has further tensors (but for counters); the message names the tensor.
    pub fn of(file: &WeightFile) -> Result<Self> {
        let named = Named::new(file, "use an AdaIN decoder");
        let wrong = |reason: String| named.wrong(reason);
        let mut stems: Vec<String> = LAYERS.iter().map(|(name, _)| name.to_string()).collect();
        if named.peek("d4_1.weight").is_none() {
            let number = |name: &str| name.strip_suffix(".weight")?.parse::<usize>().ok();
            let mut numbers: Vec<usize> = named.all().filter_map(|(name, _)| number(name)).collect();
            numbers.sort_unstable();
            if numbers.len() != LAYERS.len() {
                return Err(wrong("has neither d4_1.weight nor nine numbered convolutions".into()));
            }
            stems = numbers.iter().map(usize::to_string).collect();
        }
        let mut convolutions: Vec<[HostTensor; 2]> = Vec::new();
        for (stem, (layer, _)) in stems.iter().zip(LAYERS) {
            let find = |kind: &str| named.read(&format!("{stem}.{kind}")).cloned();
            let (weight, bias) = (find("weight")?, find("bias")?);
            let read = match convolutions.last() {
                Some([before, _]) => before.shape[0],
                None => weight.shape.get(1).copied().unwrap_or(0),
            };
            let made = if layer == LAST { 3 } else { weight.shape.first().copied().unwrap_or(0) };
            if weight.shape != [made, read, 3, 3] || bias.shape != [made] || made * read == 0 {
                let got = format!("{:?} and {:?}", weight.shape, bias.shape);
                let reason = format!("{stem} must have shapes [{made}, {read}, 3, 3] and [{made}], got {got}");
                return Err(wrong(reason));
            }
            convolutions.push([weight, bias]);
        }
        named.check_all_read("AdaIN's decoder", |_| false)?;
        Ok(AdainDecoderWeights { convolutions })
    }

    /// Seeded random weights of a decoder that mirrors `encoder`, to be trained.
    ///
    /// # Errors
    /// An encoder that does not reach relu4_1.
    pub fn random(encoder: &Vgg19Weights, seed: u64) -> Result<Self> {
        let read = encoder.channels(Tap::RELU4_1)?;
        let mirrored = encoder.convolutions[..LAYERS.len()].iter().rev();
        let behind: Vec<usize> = mirrored.map(|[weight, _]| weight.shape[1]).collect();
        Ok(Self::seeded(read, &behind, seed))
    }

    /// Seeded random weights of a decoder to be trained. It has `read` input channels and `behind[i]` output channels
    /// of layer i, deep to shallow; the last layer always has 3.
    pub fn seeded(read: usize, behind: &[usize], seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut read = read;
        let convolutions = LAYERS.iter().enumerate().map(|(index, (name, _))| {
            let made = if *name == LAST { 3 } else { behind[index] };
            // A ReLU halves the energy. The last layer starts with a nearly uniform grey picture.
            let (gain, bias) = if *name == LAST { (0.1, 0.5) } else { (1.0, 0.0) };
            let deviation = gain * (2.0 / (9 * read) as f32).sqrt();
            let weight = (0..made * read * 9).map(|_| deviation * random.normal()).collect();
            let tensor = |shape: &[usize], data| HostTensor { shape: shape.to_vec(), dtype: DType::F32, data };
            let layer = [tensor(&[made, read, 3, 3], weight), tensor(&[made], vec![bias; made])];
            read = made;
            layer
        });
        AdainDecoderWeights { convolutions: convolutions.collect() }
    }

    /// Output channels of each layer but the last, deep to shallow.
    pub fn layer_channels(&self) -> [usize; 8] {
        std::array::from_fn(|layer| self.convolutions[layer][0].shape[0])
    }

    /// Channels of the input features.
    pub fn channels(&self) -> usize {
        self.convolutions[0][0].shape[1]
    }

    /// Names and shapes of the convolutions.
    pub(crate) fn layers(&self) -> impl Iterator<Item = (&'static str, Conv2d)> {
        LAYERS.iter().zip(&self.convolutions).map(|(&(name, upsample), [weight, _])| {
            let [channels_out, channels_in] = [weight.shape[0], weight.shape[1]];
            let padding = Padding::Same(Border::Reflect);
            (name, Conv2d { channels_in, channels_out, kernel: 3, stride: 1, padding, upsample, relu: name != LAST })
        })
    }

    /// Names (`d4_1.weight`, ...) and tensors as stored in a file.
    pub fn tensors(&self) -> Vec<(String, HostTensor)> {
        let named = |((stem, _), [weight, bias]): (&(&str, bool), &[HostTensor; 2])| {
            [(format!("{stem}.weight"), weight.clone()), (format!("{stem}.bias"), bias.clone())]
        };
        LAYERS.iter().zip(&self.convolutions).flat_map(named).collect()
    }
}
