//! AdaIN's decoder (arXiv:1703.06868): the mirrored encoder, from features at relu4_1 to a picture.
//!
//! ```text
//! 8c→4c | ×2 4c→4c, 4c→4c, 4c→4c, 4c→2c | ×2 2c→2c, 2c→c | ×2 c→c, c→3        c = 64 · width
//! ```
//! All convolutions are 3×3 with reflection padding; a ReLU follows each but the last. There is no norm, which would
//! remove the style. The nearest-neighbour ×2 is fused into the convolution that follows it.

mod weights;

pub use weights::AdainDecoderWeights;

use weights::LAYERS;

use super::tiles::Reach;
use super::{ConvLayer, packed};
use crate::gpu::{Context, Recorder, Tensor};
use crate::ops::pad;
use crate::optim::Parameter;
use crate::{Error, Result};

/// The decoder on a device.
pub struct AdainDecoder {
    weights: AdainDecoderWeights,
    layers: Vec<ConvLayer>,
}

/// What the backward pass needs from a forward pass.
pub struct Activations {
    /// Input of each layer.
    inputs: Vec<Tensor>,
    /// Output before cropping to the size of the picture.
    uncut: Tensor,
    /// The picture, `[N, 3, H, W]`: RGB 0..1, not clamped.
    pub picture: Tensor,
}

impl Activations {
    /// Output of a layer.
    fn output(&self, layer: usize) -> Tensor {
        self.inputs.get(layer + 1).copied().unwrap_or(self.uncut)
    }
}

impl AdainDecoder {
    /// A decoder with frozen weights.
    pub fn new(context: &Context, weights: AdainDecoderWeights) -> Result<Self> {
        Self::build(context, weights, ConvLayer::frozen)
    }

    /// A decoder with trainable weights.
    pub fn trainable(context: &Context, weights: AdainDecoderWeights) -> Result<Self> {
        Self::build(context, weights, ConvLayer::trainable)
    }

    fn build(context: &Context, weights: AdainDecoderWeights, layer: super::NewLayer) -> Result<Self> {
        let layers = packed(context, |rec| {
            let layers = weights.layers().zip(&weights.convolutions);
            layers.map(|((name, conv), [weight, bias])| layer(rec, name, conv, &weight.data, &bias.data)).collect()
        })?;
        Ok(AdainDecoder { layers, weights })
    }

    /// Channels of the input features.
    pub fn channels(&self) -> usize {
        self.weights.channels()
    }

    /// Floating-point operations for one picture from features of `size` `[height, width]`.
    pub fn flops(&self, size: [usize; 2]) -> Result<u64> {
        let (mut at, mut total) = (size, 0);
        for layer in &self.layers {
            at = layer.conv().output_size(at)?;
            total += layer.conv().flops(1, at);
        }
        Ok(total)
    }

    /// What windows of the features need.
    pub fn reach(&self) -> Reach {
        Reach::of(1, |picture| self.layers.iter().rev().fold(picture, |outputs, layer| layer.conv().reads(outputs)))
    }

    /// Records the decoder on `features` (`[N, 8c, h, w]`), with the output cropped to `size` `[height, width]`.
    ///
    /// # Errors
    /// Other channels; a side of `size` above 8 times that of the features.
    pub fn forward(&self, rec: &mut Recorder, features: Tensor, size: [usize; 2]) -> Result<Activations> {
        let [_, channels, height, width] = features.shape.nchw("AdaIN decoder", "features")?;
        if channels != self.channels() {
            let expected = format!("{} channels", self.channels());
            return Err(Error::argument("AdaIN decoder", "features", expected, channels));
        }
        if size[0] > 8 * height || size[1] > 8 * width {
            let expected = format!("at most {}x{}", 8 * width, 8 * height);
            return Err(Error::argument("AdaIN decoder", "size", expected, format!("{}x{}", size[1], size[0])));
        }
        let (mut x, mut inputs) = (features, Vec::new());
        for layer in &self.layers {
            inputs.push(x);
            x = layer.forward(rec, x)?;
        }
        Ok(Activations { inputs, uncut: x, picture: pad::cut(rec, x, 0, size)? })
    }

    /// Records the parameter gradients, accumulated into those of [`AdainDecoder::parameters`], from the gradient of
    /// the picture. Gives the gradient of the first layer's output.
    pub fn backward_parameters(&self, rec: &mut Recorder, acts: &Activations, dpicture: Tensor) -> Result<Tensor> {
        let mut dy = pad::cut_gradient(rec, dpicture, 0, acts.uncut)?;
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let (x, y) = (acts.inputs[index], (index + 1 < LAYERS.len()).then(|| acts.output(index)));
            layer.backward_parameters(rec, x, dy, y)?;
            if index == 0 {
                break;
            }
            let [_, _, height, width] = x.shape.nchw("AdaIN decoder", "x")?;
            dy = layer.backward(rec, dy, y, [height, width])?;
        }
        Ok(dy)
    }

    /// [`AdainDecoder::backward_parameters`], continued to the gradient of the features, which it gives.
    pub fn backward(&self, rec: &mut Recorder, acts: &Activations, dpicture: Tensor) -> Result<Tensor> {
        let dy = self.backward_parameters(rec, acts, dpicture)?;
        let [_, _, height, width] = acts.inputs[0].shape.nchw("AdaIN decoder", "features")?;
        self.layers[0].backward(rec, dy, Some(acts.output(0)), [height, width])
    }

    /// The trainable parameters, deep to shallow; none if the decoder is frozen.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.layers.iter().flat_map(ConvLayer::parameters).collect()
    }

    /// Records the packing of trained weights for the kernels. Required after every change of the weights.
    pub fn repack(&self, rec: &mut Recorder) -> Result<()> {
        self.layers.iter().try_for_each(|layer| layer.repack(rec))
    }

    /// Reads the current weights from the device.
    #[cfg(feature = "blocking")]
    pub fn weights(&self) -> Result<AdainDecoderWeights> {
        let mut weights = self.weights.clone();
        let values = self.parameters().into_iter().map(|parameter| parameter.value);
        for (value, tensor) in values.zip(weights.convolutions.iter_mut().flatten()) {
            tensor.data = value.read()?;
        }
        Ok(weights)
    }
}
