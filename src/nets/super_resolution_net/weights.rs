//! The net's weights on the host, and their names in files.

use std::collections::BTreeMap;

use crate::Result;
use crate::io::{DType, HostTensor, WeightFile};
use crate::nets::named::Named;
use crate::ops::conv2d::{Conv2d, Padding};
use crate::ops::pad::Border;
use crate::random::Random;

/// Factors by which a net can enlarge.
pub const SCALES: [usize; 2] = [4, 8];

/// Number of residual blocks.
pub(super) const BLOCKS: usize = 4;

/// Channels of the paper's net.
const CHANNELS: f32 = 64.0;

/// Value of `architecture` in the metadata of a file.
const ARCHITECTURE: &str = "super_resolution_net";

/// The net's weights on the host, for pictures in RGB 0..1.
#[derive(Clone, Debug)]
pub struct SuperResolutionWeights {
    /// Factor of the enlargement, one of [`SCALES`].
    pub scale: usize,
    /// Channels of every layer but the last, 64 in the paper.
    pub channels: usize,
    /// Weight and bias of each convolution, in the order of the net: `conv1.weight`, `conv1.bias`,
    /// `block1.conv1.weight`, ..., `up1.weight`, ..., `conv2.bias`.
    pub tensors: Vec<(String, HostTensor)>,
}

/// Names and shapes of the convolutions, in order.
fn layers(scale: usize, channels: usize) -> Vec<(String, Conv2d)> {
    let padding = Padding::Same(Border::Reflect);
    let inner = Conv2d {
        channels_in: channels,
        channels_out: channels,
        kernel: 3,
        stride: 1,
        padding,
        upsample: false,
        relu: true,
    };
    let mut all = vec![("conv1".to_string(), Conv2d { channels_in: 3, kernel: 9, ..inner })];
    for block in 1..=BLOCKS {
        all.push((format!("block{block}.conv1"), inner));
        all.push((format!("block{block}.conv2"), Conv2d { relu: false, ..inner }));
    }
    all.extend((1..=scale.ilog2()).map(|up| (format!("up{up}"), Conv2d { upsample: true, ..inner })));
    all.push(("conv2".to_string(), Conv2d { channels_out: 3, kernel: 9, relu: false, ..inner }));
    all
}

impl SuperResolutionWeights {
    /// Whether a file has such a net, by its names.
    pub fn is_in(file: &WeightFile) -> bool {
        file.get("block1.conv1.weight").is_some() && file.get("up1.weight").is_some()
    }

    /// Finds the net in a file. The number of channels follows from the shapes, the scale from the number of enlarging
    /// layers.
    ///
    /// # Errors
    /// A file that is not such a net, or has further tensors; the message names the tensor.
    pub fn of(file: &WeightFile) -> Result<Self> {
        let named = Named::new(file, "use a net that `impasto train super-resolution` wrote");
        let channels = named.read("conv1.weight")?.shape.first().copied().unwrap_or(0);
        let has = |up: usize| named.peek(&format!("up{up}.weight")).is_some();
        let scale = if has(3) { 8 } else { 4 };
        let mut tensors = Vec::new();
        for (name, shape) in shapes(scale, channels) {
            let tensor = named.read(&name)?;
            if tensor.shape != shape || tensor.data.is_empty() {
                return Err(named.wrong(format!("tensor {name} must have shape {shape:?}, got {:?}", tensor.shape)));
            }
            tensors.push((name, tensor.clone()));
        }
        named.check_all_read("a super-resolution net of four residual blocks", |_| false)?;
        Ok(SuperResolutionWeights { scale, channels, tensors })
    }

    /// Seeded random weights of a net to be trained, with `width` times the paper's channels. It starts close to
    /// bicubic enlargement.
    pub fn random(scale: usize, width: f32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let channels = ((CHANNELS * width).round() as usize).max(1);
        let fill = |(name, shape): (String, Vec<usize>)| {
            let count: usize = shape.iter().product();
            let data = match shape[..] {
                [_, inputs, rows, columns] => {
                    // The branches of the blocks, and the last layer, add little to what they are added to.
                    let gain = if name.ends_with(".conv2.weight") || name == "conv2.weight" { 0.1 } else { 1.0 };
                    let deviation = gain * (2.0 / (inputs * rows * columns) as f32).sqrt();
                    (0..count).map(|_| deviation * random.normal()).collect()
                }
                _ => vec![0.0; count],
            };
            (name, HostTensor { shape, dtype: DType::F32, data })
        };
        SuperResolutionWeights { scale, channels, tensors: shapes(scale, channels).into_iter().map(fill).collect() }
    }

    /// Width relative to the paper's net.
    pub fn width(&self) -> f32 {
        self.channels as f32 / CHANNELS
    }

    pub(super) fn layers(&self) -> Vec<(String, Conv2d)> {
        layers(self.scale, self.channels)
    }

    /// Weight and bias of each convolution.
    pub(super) fn values(&self) -> impl Iterator<Item = [&[f32]; 2]> {
        self.tensors.chunks_exact(2).map(|pair| [&pair[0].1.data[..], &pair[1].1.data[..]])
    }

    /// Metadata for a file of these weights.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let text = |text: &str| text.to_string();
        [("architecture", text(ARCHITECTURE)), ("scale", self.scale.to_string()), ("range", text("0..1"))]
            .map(|(key, value)| (key.to_string(), value))
            .into()
    }
}

/// Names and shapes of all tensors, in the order of the net.
fn shapes(scale: usize, channels: usize) -> Vec<(String, Vec<usize>)> {
    let of = |(name, conv): (String, Conv2d)| {
        let weight = vec![conv.channels_out, conv.channels_in, conv.kernel, conv.kernel];
        [(format!("{name}.weight"), weight), (format!("{name}.bias"), vec![conv.channels_out])]
    };
    layers(scale, channels).into_iter().flat_map(of).collect()
}
