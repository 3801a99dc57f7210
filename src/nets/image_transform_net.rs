//! Feed-forward style transfer in one pass (arXiv:1603.08155; with instance norm, arXiv:1607.08022).
//!
//! ```text
//! 9×9, c | 3×3 /2, 2c | 3×3 /2, 4c | 5 × (x + [3×3, 3×3](x)), 4c | ×2 3×3, 2c | ×2 3×3, c | 9×9, 3        c = 32 · width
//! ```
//! A norm follows every convolution but the last. A ReLU follows every norm but the second of a residual block.

mod body;
mod painter;
mod style;
mod styles;
mod weights;
mod windows;

pub use painter::Painter;
pub use style::BodyStyle;
pub use weights::{Form, ImageTransformNetWeights};
pub use windows::Sampling;

use std::ops::Range;

use weights::BLOCKS;

use super::{ConvLayer, Convolution, NewLayer, NormLayer, packed};
use crate::gpu::{Context, DeviceTensor, Recorder, Tensor};
use crate::io::HostTensor;
use crate::ops::load::Input;
use crate::ops::norm::{Norm, Over, Smoothing, Statistics};
use crate::ops::pad::{self, Border, Placement};
use crate::ops::{tanh, vector};
use crate::optim::Parameter;
use crate::{Error, Result};

/// Reflection padding of the picture in the paper's form: 5 residual blocks lose 2 rows each at a quarter of the size.
const MARGIN: usize = 40;

/// Rows and columns that a residual block without padding loses on each side, one for each of its convolutions.
const EATEN: usize = 2;

/// The units of the residual blocks, two for each.
const BLOCK_UNITS: Range<usize> = 3..3 + 2 * BLOCKS;

/// A convolution and its norm.
struct Unit {
    conv: ConvLayer,
    norm: Option<NormLayer>,
}

/// How the output of a unit is used.
enum Use {
    /// Only a convolution reads it, so its norm can be fused into that.
    Convolved,
    /// It is stored.
    Stored,
    /// It is added to the cropped input of a residual block, and stored.
    AddedTo(Tensor),
}

/// What the gradient of a unit needs; unused if the net is frozen.
#[derive(Clone, Copy)]
struct Kept {
    x: Tensor,
    /// Weights of the styles for each image, in a net of many styles.
    styles: Option<Tensor>,
    /// Output of the convolution, input of the norm.
    z: Tensor,
    statistics: Option<Statistics>,
}

/// What the norms use besides their inputs.
#[derive(Clone, Copy, Default)]
struct Norms<'a> {
    /// Weights of the styles for each image, `[N, S]`, in a net of many styles.
    styles: Option<Tensor>,
    /// Statistics of the first norms, which do not measure their own inputs.
    given: &'a [Statistics],
    /// How the other norms smooth the statistics that they measure.
    smoothing: Option<Smoothing>,
}

impl Unit {
    /// The `index`-th unit of the net on `x`.
    fn forward(
        &self,
        rec: &mut Recorder,
        index: usize,
        x: Input,
        norms: Norms<'_>,
        becomes: Use,
    ) -> Result<(Input, Kept)> {
        let styles = norms.styles;
        let kept = |z, statistics| Kept { x: x.tensor, styles, z, statistics };
        let skip = |rec: &mut Recorder, z: Tensor| -> Result<Option<Tensor>> {
            let Use::AddedTo(skip) = becomes else { return Ok(None) };
            let [_, _, height, width] = z.shape.nchw("image transform net", "branch")?;
            pad::cut(rec, skip, EATEN, [height, width]).map(Some)
        };
        let Some(norm) = &self.norm else {
            let z = self.conv.forward(rec, x)?;
            let y = match skip(rec, z)? {
                Some(skip) => vector::add(rec, skip, z)?,
                None => z,
            };
            return Ok((y.into(), kept(z, None)));
        };
        let (z, statistics) = match norms.given.get(index) {
            Some(statistics) => (self.conv.forward(rec, x)?, *statistics),
            None => {
                let (z, moments) = self.conv.forward_measured(rec, x)?;
                let measured = norm.statistics(rec, z, moments)?;
                (z, norms.smoothing.map_or(Ok(measured), |smoothing| smoothing.average(rec, measured))?)
            }
        };
        if matches!(becomes, Use::Convolved)
            && let Some(y) = norm.deferred(rec, z, statistics)?
        {
            return Ok((y, kept(z, Some(statistics))));
        }
        let skip = skip(rec, z)?;
        let y = norm.forward(rec, z, styles, statistics, skip)?;
        Ok((y.into(), kept(z, Some(statistics))))
    }

    /// Accumulates the parameter gradients, and gives the gradient of the norm's input.
    fn backward_parameters(&self, rec: &mut Recorder, kept: Kept, dy: Tensor) -> Result<Tensor> {
        let dz = match (&self.norm, kept.statistics) {
            (Some(norm), Some(statistics)) => norm.backward(rec, kept.z, kept.styles, statistics, dy)?,
            _ => dy,
        };
        self.conv.backward_parameters(rec, kept.x, dz, None)?;
        Ok(dz)
    }

    fn backward(&self, rec: &mut Recorder, kept: Kept, dy: Tensor) -> Result<Tensor> {
        let dz = self.backward_parameters(rec, kept, dy)?;
        let [_, _, height, width] = kept.x.shape.nchw("image transform net", "x")?;
        self.conv.backward(rec, dz, None, [height, width])
    }
}

/// The net on a device.
pub struct ImageTransformNet {
    context: Context,
    weights: ImageTransformNetWeights,
    units: Vec<Unit>,
}

/// What the backward pass needs from a forward pass.
pub struct Activations {
    units: Vec<Kept>,
    /// Output before cropping to the size of the picture.
    uncut: Tensor,
    /// The output, `[N, 3, H, W]`: RGB 0..1, not clamped in the resize form.
    pub picture: Tensor,
}

/// The scales or shifts of a norm for each of that many images.
fn repeated(tensor: &HostTensor, images: usize) -> HostTensor {
    match images {
        1 => tensor.clone(),
        _ => HostTensor { shape: vec![images, tensor.data.len()], data: tensor.data.repeat(images), ..tensor.clone() },
    }
}

impl ImageTransformNet {
    /// A frozen net. Batch norm uses its running statistics.
    ///
    /// # Errors
    /// Weights of many styles; use [`ImageTransformNetWeights::blend`] first.
    pub fn new(context: &Context, weights: ImageTransformNetWeights) -> Result<Self> {
        Self::for_images(context, weights, 1)
    }

    /// [`new`](Self::new) for that number of images, each of which can have scales and shifts of its own
    /// ([`set_norms`](Self::set_norms)).
    pub(crate) fn for_images(context: &Context, weights: ImageTransformNetWeights, images: usize) -> Result<Self> {
        if !weights.styles.is_empty() {
            let got = format!("one of {}", weights.styles.join(", "));
            return Err(Error::argument("image transform net", "weights", "a net of one style", got));
        }
        let unit = |rec: &mut Recorder, layer: &weights::Layer| {
            let [weight, bias] = weights.folded(layer);
            let name = format!("{}.conv2d", layer.name);
            let folded = weights.norm == Over::Batch && layer.norm.is_some();
            let convolution = layer.conv.with_relu(folded && layer.relu);
            let conv = ConvLayer::frozen(rec, &name, convolution, &weight, &bias)?;
            let norm = layer.norm_name(weights.norm).filter(|_| !folded).map(|name| {
                let affine = ["weight", "bias"].map(|kind| repeated(weights.tensor(&format!("{name}.{kind}")), images));
                NormLayer::frozen(context, &name, layer.relu, affine.each_ref())
            });
            Ok(Unit { conv, norm: norm.transpose()? })
        };
        let units = packed(context, |rec| weights.layers().iter().map(|layer| unit(rec, layer)).collect())?;
        Ok(ImageTransformNet { context: context.clone(), weights, units })
    }

    /// A trainable net. Batch norm uses the statistics of the batch and updates its running statistics.
    pub fn trainable(context: &Context, weights: ImageTransformNetWeights) -> Result<Self> {
        Self::trained(context, weights, ConvLayer::trainable)
    }

    /// A net with frozen convolutions, whose norms' scales and shifts are trainable.
    pub fn trainable_norms(context: &Context, weights: ImageTransformNetWeights) -> Result<Self> {
        Self::trained(context, weights, ConvLayer::frozen)
    }

    fn trained(context: &Context, weights: ImageTransformNetWeights, new: NewLayer<Convolution>) -> Result<Self> {
        let unit = |rec: &mut Recorder, layer: &weights::Layer| {
            let name = format!("{}.conv2d", layer.name);
            let [weight, bias] = ["weight", "bias"].map(|kind| weights.values(&format!("{name}.{kind}")));
            let conv = new(rec, &name, layer.conv, weight, bias)?;
            let conv = if layer.norm.is_some() { conv.with_fixed_bias() } else { conv };
            let norm = layer.norm_name(weights.norm).map(|name| {
                let affine = ["weight", "bias"].map(|kind| weights.tensor(&format!("{name}.{kind}")));
                let running = ["running_mean", "running_var"].map(|kind| weights.values(&format!("{name}.{kind}")));
                NormLayer::trainable(context, &name, Norm { over: weights.norm, relu: layer.relu }, affine, running)
            });
            Ok(Unit { conv, norm: norm.transpose()? })
        };
        let units = packed(context, |rec| weights.layers().iter().map(|layer| unit(rec, layer)).collect())?;
        Ok(ImageTransformNet { context: context.clone(), weights, units })
    }

    /// The context of the net.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Minimum side of a picture, in pixels.
    pub fn least_side(&self) -> usize {
        match self.weights.form {
            Form::Paper => MARGIN + 1,
            // Reflection padding of 4 needs 5 px. A quarter of 5, rounded up, is 2, enough for a padding of 1.
            Form::Resize => 5,
        }
    }

    /// Floating-point operations of the convolutions for one picture of `size` `[height, width]`.
    ///
    /// # Errors
    /// A picture too small for reflection padding.
    pub fn flops(&self, size: [usize; 2]) -> Result<u64> {
        let margin = if self.weights.form == Form::Paper { 2 * MARGIN } else { 0 };
        let (mut at, mut total) = (size.map(|side| side + margin), 0);
        for layer in self.weights.layers() {
            at = layer.conv.output_size(at)?;
            total += layer.conv.flops(1, at);
        }
        Ok(total)
    }

    /// Records the net on `picture` (`[N, 3, H, W]`, RGB 0..1).
    ///
    /// # Errors
    /// A picture too small for reflection padding; a net of many styles.
    pub fn forward(&self, rec: &mut Recorder, picture: Tensor) -> Result<Activations> {
        self.forward_in(rec, picture, None)
    }

    /// [`ImageTransformNet::forward`] with the weights of the styles for each picture, `styles` (`[N, S]`). A net of
    /// one style needs none.
    ///
    /// # Errors
    /// A picture too small for reflection padding; missing `styles`.
    pub fn forward_in(&self, rec: &mut Recorder, picture: Tensor, styles: Option<Tensor>) -> Result<Activations> {
        self.forward_with(rec, picture, Norms { styles, ..Norms::default() })
    }

    /// [`ImageTransformNet::forward_in`] for the frames of a video: the statistics of its instance norms are smoothed
    /// over the runs of the program.
    ///
    /// # Errors
    /// Those of [`ImageTransformNet::forward_in`].
    pub fn forward_smoothed(
        &self,
        rec: &mut Recorder,
        picture: Tensor,
        styles: Option<Tensor>,
        smoothing: Smoothing,
    ) -> Result<Activations> {
        self.forward_with(rec, picture, Norms { styles, smoothing: Some(smoothing), ..Norms::default() })
    }

    fn forward_with(&self, rec: &mut Recorder, picture: Tensor, norms: Norms<'_>) -> Result<Activations> {
        let [_, _, height, width] = picture.shape.nchw("image transform net", "picture")?;
        let mut kept = Vec::new();
        let mut uncut = self.run(rec, picture, norms, self.units.len(), &mut kept)?.tensor;
        if self.weights.form == Form::Paper {
            uncut = tanh::forward(rec, uncut)?;
        }
        // Strides round sizes up, so the output may be larger than the picture.
        let picture = pad::cut(rec, uncut, 0, [height, width])?;
        Ok(Activations { units: kept, uncut, picture })
    }

    /// Records the first `count` units on `picture`. Gives the input of the next unit.
    fn run(
        &self,
        rec: &mut Recorder,
        picture: Tensor,
        norms: Norms<'_>,
        count: usize,
        kept: &mut Vec<Kept>,
    ) -> Result<Input> {
        let [_, _, height, width] = picture.shape.nchw("image transform net", "picture")?;
        let least = self.least_side();
        if height < least || width < least {
            let expected = format!("at least {least} px on each side");
            return Err(Error::argument("image transform net", "picture", expected, format!("{width}x{height}")));
        }
        let mut x = vector::stored(rec, picture, self.context.precision())?;
        if self.weights.form == Form::Paper {
            let at = Placement { before: MARGIN, size: [height, width].map(|side| side + 2 * MARGIN), scale: 1 };
            x = pad::forward(rec, x, Border::Reflect, at)?;
        }
        let mut seen: Input = x.into();
        let mut block = x;
        for (index, unit) in self.units[..count].iter().enumerate() {
            let becomes = match index {
                _ if !BLOCK_UNITS.contains(&index) => {
                    match index + 1 == BLOCK_UNITS.start || index + 1 == self.units.len() {
                        true => Use::Stored,
                        false => Use::Convolved,
                    }
                }
                _ if (index - BLOCK_UNITS.start).is_multiple_of(2) => {
                    block = seen.tensor;
                    Use::Convolved
                }
                _ => Use::AddedTo(block),
            };
            let (y, left) = unit.forward(rec, index, seen, norms, becomes)?;
            kept.push(left);
            seen = y;
        }
        Ok(seen)
    }

    /// Records the parameter gradients, accumulated into those of [`ImageTransformNet::parameters`], from the gradient
    /// of the output.
    pub fn backward_parameters(&self, rec: &mut Recorder, activations: &Activations, dpicture: Tensor) -> Result<()> {
        let Activations { units: kept, uncut, .. } = activations;
        let mut dy = pad::cut_gradient(rec, dpicture, 0, *uncut)?;
        if self.weights.form == Form::Paper {
            dy = tanh::backward(rec, *uncut, dy)?;
        }
        let mut units = self.units.iter().zip(kept).rev();
        let mut next = || units.next().expect("as many units as layers");
        for _ in 0..3 {
            let (unit, kept) = next();
            dy = unit.backward(rec, *kept, dy)?;
        }
        for _ in 0..BLOCKS {
            let ((second, second_kept), (first, first_kept)) = (next(), next());
            let dinner = second.backward(rec, *second_kept, dy)?;
            let dbranch = first.backward(rec, *first_kept, dinner)?;
            let dskip = pad::cut_gradient(rec, dy, EATEN, first_kept.x)?;
            dy = vector::add(rec, dskip, dbranch)?;
        }
        for _ in 0..2 {
            let (unit, kept) = next();
            dy = unit.backward(rec, *kept, dy)?;
        }
        let (first, kept) = next();
        first.backward_parameters(rec, *kept, dy).map(drop)
    }

    /// The trainable parameters, in the order of the net; none if it is frozen.
    pub fn parameters(&self) -> Vec<Parameter> {
        let of = |unit: &Unit| {
            let norm = unit.norm.as_ref().map(NormLayer::parameters).unwrap_or_default();
            [unit.conv.parameters(), norm].concat()
        };
        self.units.iter().flat_map(of).collect()
    }

    /// Running statistics of batch norms, by name.
    pub fn state(&self) -> Vec<(String, DeviceTensor)> {
        self.units.iter().filter_map(|unit| unit.norm.as_ref()).flat_map(NormLayer::state).collect()
    }

    /// Replaces scales and shifts of norms, by name, in all programs with this net: those of all images, one after the
    /// other.
    ///
    /// # Errors
    /// A name that is not of a norm of the net; those of [`DeviceTensor::write`].
    pub(crate) fn set_norms<'v>(&self, values: impl Iterator<Item = (&'v str, Vec<f32>)>) -> Result<()> {
        let tensors: Vec<_> =
            self.units.iter().filter_map(|unit| unit.norm.as_ref()).flat_map(NormLayer::tensors).collect();
        for (name, values) in values {
            let tensor = tensors.iter().find(|tensor| tensor.name() == name);
            let unknown = || Error::argument("image transform net", "norms", "scales and shifts of its norms", name);
            tensor.ok_or_else(unknown)?.write(&values)?;
        }
        Ok(())
    }

    /// Records the packing of trained weights for the kernels. Required after every change of the weights.
    pub fn repack(&self, rec: &mut Recorder) -> Result<()> {
        self.units.iter().try_for_each(|unit| unit.conv.repack(rec))
    }

    /// The weights that the net was created with.
    pub fn shape(&self) -> &ImageTransformNetWeights {
        &self.weights
    }

    /// Reads the current weights from the device.
    pub async fn weights_async(&self) -> Result<ImageTransformNetWeights> {
        let mut weights = self.weights.clone();
        let trained = self.parameters().into_iter().map(|parameter| (parameter.name, parameter.value));
        let device: Vec<_> = trained.chain(self.state()).collect();
        for (name, tensor) in &mut weights.tensors {
            if let Some((_, found)) = device.iter().find(|(known, _)| known == name) {
                tensor.data = found.read_async().await?;
            }
        }
        Ok(weights)
    }

    /// [`weights_async`](ImageTransformNet::weights_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn weights(&self) -> Result<ImageTransformNetWeights> {
        self.context.block_on(self.weights_async())
    }
}
