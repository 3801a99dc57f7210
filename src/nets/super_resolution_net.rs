//! Super-resolution in one pass (arXiv:1603.08155, section 4.2): a photo enlarged by 4 or 8.
//!
//! ```text
//! x -> 9×9, c | 4 × (h + [3×3, 3×3](h)), c | 2 or 3 × (×2 3×3, c) | 9×9, 3 -> + bicubic(x)
//! ```
//! c is 64 in the paper. A ReLU follows every convolution but the second of a block and the last. Two things differ from
//! the paper:
//!
//! - The convolutions after nearest-neighbour enlargement replace transposed ones, whose outputs depend unevenly on
//!   their inputs and show checkerboards (Odena, Dumoulin and Olah, "Deconvolution and checkerboard artifacts", 2016).
//! - There is no norm: it would tie the contrast of the result to the statistics of a batch (arXiv:1707.02921). Instead,
//!   the net learns only what bicubic enlargement lacks (arXiv:1511.04587), so that it starts as good as that.

mod enlarger;
mod reduction;
mod weights;

pub use enlarger::{Enlarger, FACTORS};
pub use reduction::Reduction;
pub use weights::{SCALES, SuperResolutionWeights};

use super::tiles::Reach;
use super::{ConvLayer, NewLayer, packed};
use crate::gpu::{Context, Recorder, Tensor};
use crate::io::Interpolation;
use crate::ops::conv2d::Conv2d;
use crate::ops::resample::{self, Table, Taps};
use crate::ops::vector;
use crate::optim::Parameter;
use crate::{Error, Result};
use weights::BLOCKS;

const NAME: &str = "super-resolution net";

/// The table that enlarges or reduces a side of `from` pixels to `to` pixels by bicubic interpolation.
fn cubic(context: &Context, from: usize, to: usize) -> Result<Table> {
    Table::new(context, from, &taps(from, to))
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let weights = Interpolation::Bicubic.weights(from, to);
    weights.into_iter().map(|(first, weights)| Taps { first, weights }).collect()
}

/// The net on a device.
pub struct SuperResolutionNet {
    context: Context,
    weights: SuperResolutionWeights,
    layers: Vec<ConvLayer>,
}

/// What the backward pass needs from a forward pass.
pub struct Activations {
    /// Input and output of each convolution.
    layers: Vec<[Tensor; 2]>,
    /// The output, `[N, 3, sH, sW]`: RGB 0..1, not clamped.
    pub picture: Tensor,
}

impl SuperResolutionNet {
    /// A net with frozen weights.
    ///
    /// # Errors
    /// Those of the device.
    pub fn new(context: &Context, weights: SuperResolutionWeights) -> Result<Self> {
        Self::build(context, weights, ConvLayer::frozen)
    }

    /// A trainable net.
    ///
    /// # Errors
    /// Those of the device.
    pub fn trainable(context: &Context, weights: SuperResolutionWeights) -> Result<Self> {
        Self::build(context, weights, ConvLayer::trainable)
    }

    fn build(context: &Context, weights: SuperResolutionWeights, new: NewLayer) -> Result<Self> {
        let layer = |rec: &mut Recorder, ((name, conv), [weight, bias]): ((String, Conv2d), [&[f32]; 2])| {
            new(rec, &name, conv, weight, bias)
        };
        let layers = packed(context, |rec| {
            weights.layers().into_iter().zip(weights.values()).map(|of| layer(rec, of)).collect()
        })?;
        Ok(SuperResolutionNet { context: context.clone(), weights, layers })
    }

    /// The context of the net.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The factor by which it enlarges.
    pub fn scale(&self) -> usize {
        self.weights.scale
    }

    /// Minimum side of a photo in pixels: what the reflection padding of the first convolution needs.
    pub fn least_side(&self) -> usize {
        5
    }

    /// Floating-point operations of the convolutions for one photo of `size` `[height, width]`.
    ///
    /// # Errors
    /// A photo too small for reflection padding.
    pub fn flops(&self, size: [usize; 2]) -> Result<u64> {
        let (mut at, mut total) = (size, 0);
        for (_, conv) in self.weights.layers() {
            at = conv.output_size(at)?;
            total += conv.flops(1, at);
        }
        Ok(total)
    }

    /// What windows of a photo need, in its own pixels, if the result is then reduced by `reduction`, 1 or more, with a
    /// bicubic filter.
    pub(crate) fn reach(&self, reduction: usize) -> Reach {
        let layers = self.weights.layers();
        Reach::of(1, |result| {
            let enlarged = if reduction > 1 { result.windowed(4 * reduction, reduction) } else { result };
            layers.iter().rev().fold(enlarged, |outputs, (_, conv)| {
                let reads = outputs.windowed(conv.kernel, 1);
                if conv.upsample { reads.repeated() } else { reads }
            })
        })
    }

    /// Records the net on `photo` (`[N, 3, H, W]`, RGB 0..1).
    ///
    /// # Errors
    /// A photo too small for reflection padding.
    pub fn forward(&self, rec: &mut Recorder, photo: Tensor) -> Result<Activations> {
        let [_, _, height, width] = photo.shape.nchw(NAME, "photo")?;
        let least = self.least_side();
        if height < least || width < least {
            let expected = format!("at least {least} px on each side");
            return Err(Error::argument(NAME, "photo", expected, format!("{width}x{height}")));
        }
        let mut layers = Vec::new();
        let mut run = |rec: &mut Recorder, x: Tensor| -> Result<Tensor> {
            let y = self.layers[layers.len()].forward(rec, x)?;
            layers.push([x, y]);
            Ok(y)
        };
        let x = vector::stored(rec, photo, self.context.precision())?;
        let mut seen = run(rec, x)?;
        for _ in 0..BLOCKS {
            let inner = run(rec, seen)?;
            let branch = run(rec, inner)?;
            seen = vector::add(rec, seen, branch)?;
        }
        for _ in 1 + 2 * BLOCKS..self.layers.len() {
            seen = run(rec, seen)?;
        }
        let tables = [height, width].map(|side| cubic(&self.context, side, self.scale() * side));
        let [rows, columns] = tables;
        let bicubic = resample::forward(rec, photo, [&rows?, &columns?])?;
        let picture = vector::add(rec, bicubic, seen)?;
        Ok(Activations { layers, picture })
    }

    /// Records the parameter gradients, accumulated into those of [`SuperResolutionNet::parameters`], from the gradient
    /// of the output.
    ///
    /// # Errors
    /// A gradient of another shape than the output.
    pub fn backward_parameters(&self, rec: &mut Recorder, activations: &Activations, dpicture: Tensor) -> Result<()> {
        let mut layers = self.layers.iter().zip(&activations.layers).enumerate().rev();
        let mut dy = dpicture;
        // The gradient of the input of the next layer, from the last to the first; that of the photo is not needed.
        let mut back = |rec: &mut Recorder, dy: Tensor| -> Result<Option<Tensor>> {
            let (index, (layer, [x, y])) = layers.next().expect("as many layers as the net has");
            let y = self.has_relu(index).then_some(*y);
            layer.backward_parameters(rec, *x, dy, y)?;
            let [_, _, height, width] = x.shape.nchw(NAME, "x")?;
            (index > 0).then(|| layer.backward(rec, dy, y, [height, width])).transpose()
        };
        for _ in 1 + 2 * BLOCKS..self.layers.len() {
            dy = back(rec, dy)?.unwrap_or(dy);
        }
        for _ in 0..BLOCKS {
            let dinner = back(rec, dy)?.unwrap_or(dy);
            let dbranch = back(rec, dinner)?.unwrap_or(dinner);
            dy = vector::add(rec, dy, dbranch)?;
        }
        back(rec, dy).map(drop)
    }

    fn has_relu(&self, index: usize) -> bool {
        self.weights.layers()[index].1.relu
    }

    /// The trainable parameters, in the order of the net; none if it is frozen.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.layers.iter().flat_map(ConvLayer::parameters).collect()
    }

    /// Records the packing of trained weights for the kernels. Required after every change of the weights.
    ///
    /// # Errors
    /// Those of recording.
    pub fn repack(&self, rec: &mut Recorder) -> Result<()> {
        self.layers.iter().try_for_each(|layer| layer.repack(rec))
    }

    /// The weights that the net was created with.
    pub fn shape(&self) -> &SuperResolutionWeights {
        &self.weights
    }

    /// Reads the current weights from the device.
    ///
    /// # Errors
    /// Those of the device.
    #[cfg(feature = "blocking")]
    pub fn weights(&self) -> Result<SuperResolutionWeights> {
        let mut weights = self.weights.clone();
        for parameter in self.parameters() {
            if let Some((_, tensor)) = weights.tensors.iter_mut().find(|(name, _)| *name == parameter.name) {
                tensor.data = parameter.value.read()?;
            }
        }
        Ok(weights)
    }
}
