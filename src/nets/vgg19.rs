//! VGG-19 (arXiv:1409.1556) as a feature extractor, with gradients with respect to the picture and the weights.

mod weights;

pub use weights::{Convention, Vgg19Weights, scaled_channels};

use std::fmt;
use std::str::FromStr;

use super::tiles::Reach;
use super::{ConvLayer, NewLayer, packed};
use crate::gpu::{Context, DeviceTensor, Later, Recorder, Tensor};
use crate::io::{HostTensor, WeightFile};
use crate::ops::conv2d::{Conv2d, Padding};
use crate::ops::pad::Border;
use crate::ops::pool::{Pool, Pooling};
use crate::ops::vector;
use crate::optim::Parameter;
use crate::{Error, Result};

/// Convolutions per block; a pool separates blocks.
const BLOCKS: [usize; 5] = [2, 2, 4, 4, 4];

/// A feature map: the output of a convolution and its ReLU, by block and position in the block, both counted from 1
/// (`relu3_1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tap {
    block: usize,
    index: usize,
}

impl Tap {
    /// The last layer of AdaIN's encoder (arXiv:1703.06868, section 6.1), whose features the decoder reads.
    pub const RELU4_1: Tap = Tap { block: 4, index: 1 };

    /// The 16 taps, shallow to deep.
    pub fn all() -> impl Iterator<Item = Tap> {
        (1..).zip(BLOCKS).flat_map(|(block, count)| (1..=count).map(move |index| Tap { block, index }))
    }

    /// The four taps of style losses: relu1_1, relu2_1, relu3_1 and relu4_1.
    pub fn style() -> impl Iterator<Item = Tap> {
        (1..=4).map(|block| Tap { block, index: 1 })
    }

    /// Index of its convolution in the net, from 0.
    fn position(self) -> usize {
        BLOCKS[..self.block - 1].iter().sum::<usize>() + self.index - 1
    }

    /// Factor by which the picture's sides are reduced at the tap.
    pub fn reduction(self) -> usize {
        1 << (self.block - 1)
    }

    /// Index of its convolution in torchvision's `features`, which counts convolutions, ReLUs and pools.
    fn number(self) -> usize {
        2 * self.position() + self.block - 1
    }

    /// Whether its convolution reads a pooled feature map.
    pub fn begins_block(self) -> bool {
        self.index == 1 && self.block > 1
    }

    fn conv_name(self) -> String {
        format!("conv{}_{}", self.block, self.index)
    }
}

impl fmt::Display for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "relu{}_{}", self.block, self.index)
    }
}

impl serde::Serialize for Tap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Tap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Tap {
    type Err = Error;

    fn from_str(name: &str) -> Result<Tap> {
        Tap::all().find(|tap| tap.to_string() == name).ok_or_else(|| {
            Error::argument("vgg19", "tap", "one of relu1_1 relu1_2 relu2_1 relu2_2 relu3_1 ... relu5_4", name)
        })
    }
}

/// The net on a device, as deep as its weights. Channels follow from the weights, so narrower nets can be loaded.
/// Clones share the weights.
#[derive(Clone)]
pub struct Vgg19 {
    context: Context,
    convention: Convention,
    fingerprint: String,
    pool: Pool,
    /// 1×1 convolution from RGB 0..1 to the input of the convention.
    input: ConvLayer,
    layers: Vec<ConvLayer>,
}

/// The error for a tap beyond the weights.
fn beyond(tap: Tap, deepest: Option<Tap>) -> Error {
    let deepest = deepest.map_or("nothing".into(), |tap| tap.to_string());
    Error::argument("vgg19", "tap", format!("at most {deepest}, where this weight file ends"), tap)
}

/// What the backward pass needs from a forward pass.
pub struct Activations {
    size: [usize; 2],
    /// Output of the ReLU of each layer.
    outputs: Vec<Tensor>,
    /// Input of each layer, after pooling.
    inputs: Vec<Tensor>,
}

impl Vgg19 {
    /// The net of a weight file with the given kind of pooling.
    pub fn load(context: &Context, file: &WeightFile, pool: Pooling) -> Result<Self> {
        Self::new(context, &Vgg19Weights::of(file)?, pool)
    }

    /// A net with frozen weights.
    pub fn new(context: &Context, weights: &Vgg19Weights, pool: Pooling) -> Result<Self> {
        Self::build(context, weights, pool, ConvLayer::frozen)
    }

    /// A net with trainable convolutions. The 1×1 convolution in front is frozen.
    pub fn trainable(context: &Context, weights: &Vgg19Weights, pool: Pooling) -> Result<Self> {
        Self::build(context, weights, pool, ConvLayer::trainable)
    }

    fn build(context: &Context, weights: &Vgg19Weights, kind: Pooling, layer: NewLayer) -> Result<Self> {
        let border = Padding::Same(weights.convention.border());
        let conv = |weight: &HostTensor, relu| {
            let [channels_out, channels_in, kernel] = [0, 1, 2].map(|side| weight.shape[side]);
            let padding = if kernel == 1 { Padding::None } else { border };
            Conv2d { channels_in, channels_out, kernel, stride: 1, padding, upsample: false, relu }
        };
        let [weight, bias] = weights.input();
        let (input, layers) = packed(context, |rec| {
            let input = ConvLayer::frozen(rec, "conv0", conv(&weight, false), &weight.data, &bias.data)?;
            let layers = Tap::all().zip(&weights.convolutions).map(|(tap, [weight, bias])| {
                layer(rec, &tap.conv_name(), conv(weight, true), &weight.data, &bias.data)
            });
            Ok((input, layers.collect::<Result<_>>()?))
        })?;
        let pool = weights.convention.pool(kind);
        let fingerprint = weights.fingerprint();
        Ok(Vgg19 { context: context.clone(), convention: weights.convention, fingerprint, pool, input, layers })
    }

    /// The context of the net.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Convention of the weights. [`Vgg19::forward`] takes RGB 0..1 for every convention.
    pub fn convention(&self) -> Convention {
        self.convention
    }

    /// [`Vgg19Weights::fingerprint`] of its weights.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The deepest tap of its weights.
    pub fn deepest(&self) -> Option<Tap> {
        Tap::all().take(self.layers.len()).last()
    }

    /// Channels at a tap.
    ///
    /// # Errors
    /// A tap beyond the weights.
    pub fn channels(&self, tap: Tap) -> Result<usize> {
        let layer = self.layers.get(tap.position());
        layer.map(|layer| layer.conv().channels_out()).ok_or_else(|| beyond(tap, self.deepest()))
    }

    /// Height and width of the features at `tap` for a picture of `size` `[height, width]`.
    ///
    /// # Errors
    /// A picture that is too small.
    pub fn feature_size(&self, tap: Tap, size: [usize; 2]) -> Result<[usize; 2]> {
        (1..tap.block).try_fold(size, |size, _| self.pool.output_size(size))
    }

    /// Floating-point operations of the convolutions up to `tap` for one picture of `size` `[height, width]`.
    pub fn flops(&self, tap: Tap, size: [usize; 2]) -> Result<u64> {
        let mut total = self.input.conv().flops(1, size);
        for (tap, layer) in Tap::all().zip(&self.layers).take(tap.position() + 1) {
            total += layer.conv().flops(1, self.feature_size(tap, size)?);
        }
        Ok(total)
    }

    /// Minimum side in pixels of a picture for which `tap` can be computed.
    pub fn least_side(&self, tap: Tap) -> usize {
        // Reflection padding needs two pixels.
        tap.reduction() * if self.convention.border() == Border::Reflect { 2 } else { 1 }
    }

    /// What windows of a picture need for the features at `tap`.
    pub fn reach(tap: Tap) -> Reach {
        let layers: Vec<_> = Tap::all().take(tap.position() + 1).collect();
        Reach::of(tap.reduction(), |features| {
            layers.iter().rev().fold(features, |outputs, tap| {
                let reads = outputs.windowed(3, 1);
                if tap.begins_block() { reads.windowed(2, 2) } else { reads }
            })
        })
    }

    /// Records the net on `picture` (`[N, 3, H, W]`, RGB 0..1) up to the tap `deepest`.
    ///
    /// # Errors
    /// A tap beyond the weights; a picture that is too small.
    pub fn forward(&self, rec: &mut Recorder, picture: Tensor, deepest: Tap) -> Result<Activations> {
        self.channels(deepest)?;
        let [_, _, height, width] = picture.shape.nchw("vgg19", "picture")?;
        let least = self.least_side(deepest);
        if height < least || width < least {
            let expected = format!("at least {least} x {least} px for {deepest}");
            return Err(Error::argument("vgg19", "picture", expected, format!("{width} x {height}")));
        }
        let mut acts = Activations { size: [height, width], outputs: Vec::new(), inputs: Vec::new() };
        let picture = vector::stored(rec, picture, self.context.precision())?;
        let mut x = self.input.forward(rec, picture)?;
        for (tap, layer) in Tap::all().zip(&self.layers).take(deepest.position() + 1) {
            if tap.begins_block() {
                x = self.pool.forward(rec, x)?;
            }
            acts.inputs.push(x);
            x = layer.forward(rec, x)?;
            acts.outputs.push(x);
        }
        Ok(acts)
    }

    /// Records the net on `picture` and applies `of` to the features at each of `taps`. Gives the recording and the
    /// tensors that will hold the results.
    pub fn measure(
        &self,
        picture: &DeviceTensor,
        taps: &[Tap],
        of: impl Fn(&mut Recorder, Tensor) -> Result<Tensor>,
    ) -> Result<(Recorder, Vec<DeviceTensor>)> {
        let mut rec = Recorder::new(&self.context);
        let mut results = Vec::new();
        let Some(&deepest) = taps.iter().max() else { return Ok((rec, results)) };
        let x = rec.pin(picture);
        let activations = self.forward(&mut rec, x, deepest)?;
        for &tap in taps {
            let value = of(&mut rec, activations.at(tap)?)?;
            results.push(rec.output(value)?);
        }
        Ok((rec, results))
    }

    /// Records the gradient with respect to the picture, from gradients at taps of the forward pass. Each of these is
    /// recorded when the backward pass reaches its tap.
    ///
    /// # Errors
    /// No gradient at a tap of the forward pass.
    pub fn backward(&self, rec: &mut Recorder, acts: &Activations, gradients: Vec<(Tap, Later<'_>)>) -> Result<Tensor> {
        match self.descend(rec, acts, gradients, false)? {
            Some(dx) => self.input.backward(rec, dx, None, acts.size),
            None => Err(Error::argument("vgg19 gradient", "gradients", "at least one tap of the forward pass", "none")),
        }
    }

    /// Records the parameter gradients of a trainable net, accumulated into those of [`Vgg19::parameters`].
    pub fn backward_parameters(
        &self,
        rec: &mut Recorder,
        acts: &Activations,
        gradients: Vec<(Tap, Later<'_>)>,
    ) -> Result<()> {
        self.descend(rec, acts, gradients, true).map(drop)
    }

    /// The backward pass from the deepest gradient to the input of conv1_1. With `parameters`, it accumulates parameter
    /// gradients and ends at the weights of conv1_1.
    fn descend(
        &self,
        rec: &mut Recorder,
        acts: &Activations,
        mut gradients: Vec<(Tap, Later<'_>)>,
        parameters: bool,
    ) -> Result<Option<Tensor>> {
        let mut running: Option<Tensor> = None;
        for (position, tap) in Tap::all().enumerate().take(acts.outputs.len()).collect::<Vec<_>>().into_iter().rev() {
            let (here, above): (Vec<_>, _) = gradients.into_iter().partition(|(at, _)| *at == tap);
            gradients = above;
            for (_, gradient) in here {
                let gradient = gradient(rec)?;
                running = Some(match running {
                    None => gradient,
                    Some(sum) => vector::add(rec, sum, gradient)?,
                });
            }
            let Some(dy) = running else { continue };
            let (layer, input, output) = (&self.layers[position], acts.inputs[position], Some(acts.outputs[position]));
            if parameters {
                layer.backward_parameters(rec, input, dy, output)?;
                if position == 0 {
                    return Ok(None);
                }
            }
            let [_, _, height, width] = input.shape.nchw("vgg19", "x")?;
            let mut dx = layer.backward(rec, dy, output, [height, width])?;
            if tap.begins_block() {
                dx = self.pool.backward(rec, acts.outputs[position - 1], dx)?;
            }
            running = Some(dx);
        }
        Ok(running)
    }

    /// The trainable parameters, from conv1_1 on; none if the net is frozen.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.layers.iter().flat_map(ConvLayer::parameters).collect()
    }

    /// Records the packing of trained weights for the kernels. Required after every change of the weights.
    pub fn repack(&self, rec: &mut Recorder) -> Result<()> {
        self.layers.iter().try_for_each(|layer| layer.repack(rec))
    }
}

impl Activations {
    /// Features at a tap of the forward pass, `[N, C, h, w]`.
    ///
    /// # Errors
    /// A tap that the forward pass did not reach.
    pub fn at(&self, tap: Tap) -> Result<Tensor> {
        self.outputs
            .get(tap.position())
            .copied()
            .ok_or_else(|| Error::argument("vgg19", "tap", "one that the forward pass reached", tap))
    }
}
