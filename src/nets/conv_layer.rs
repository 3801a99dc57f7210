//! A plain or transposed convolution with weights on the device, frozen or trainable.

use super::tiles::Reads;
use crate::Result;
use crate::gpu::{DeviceTensor, KernelClass, Recorder, Tensor};
use crate::ops::conv2d::{Conv2d, ConvTranspose2d};
use crate::ops::load::Input;
use crate::ops::norm::Moments;
use crate::optim::Parameter;

/// A plain or transposed convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convolution {
    /// A convolution, possibly with a stride or an enlarged input.
    Plain(Conv2d),
    /// A transposed convolution, which enlarges.
    Transposed(ConvTranspose2d),
}

impl From<Conv2d> for Convolution {
    fn from(conv: Conv2d) -> Self {
        Convolution::Plain(conv)
    }
}

impl From<ConvTranspose2d> for Convolution {
    fn from(conv: ConvTranspose2d) -> Self {
        Convolution::Transposed(conv)
    }
}

/// Calls the same function of either variant.
macro_rules! either {
    ($convolution:expr, $conv:ident => $call:expr) => {
        match $convolution {
            Convolution::Plain($conv) => $call,
            Convolution::Transposed($conv) => $call,
        }
    };
}

impl Convolution {
    /// Shape of the weights: `[M, C, K, K]`, transposed `[C, M, 3, 3]`.
    pub fn weight_shape(&self) -> [usize; 4] {
        match self {
            Convolution::Plain(conv) => [conv.channels_out, conv.channels_in, conv.kernel, conv.kernel],
            Convolution::Transposed(conv) => [conv.channels_in, conv.channels_out, 3, 3],
        }
    }

    /// The same convolution with or without a fused ReLU.
    pub fn with_relu(self, relu: bool) -> Self {
        match self {
            Convolution::Plain(conv) => Convolution::Plain(Conv2d { relu, ..conv }),
            Convolution::Transposed(conv) => Convolution::Transposed(ConvTranspose2d { relu, ..conv }),
        }
    }

    /// The inputs that outputs depend on.
    pub(super) fn reads(&self, outputs: Reads) -> Reads {
        match self {
            Convolution::Plain(conv) => {
                let reads = outputs.windowed(conv.kernel, conv.stride);
                if conv.upsample { reads.repeated() } else { reads }
            }
            Convolution::Transposed(_) => outputs.transposed(),
        }
    }

    /// Factor by which it enlarges its input.
    pub fn enlargement(&self) -> usize {
        match self {
            Convolution::Plain(conv) if !conv.upsample => 1,
            Convolution::Plain(_) | Convolution::Transposed(_) => 2,
        }
    }

    /// Factor by which it reduces its input.
    pub fn stride(&self) -> usize {
        match self {
            Convolution::Plain(conv) => conv.stride,
            Convolution::Transposed(_) => 1,
        }
    }

    /// Channels of the output.
    pub fn channels_out(&self) -> usize {
        either!(self, conv => conv.channels_out)
    }

    /// Height and width of the output for an input of `[height, width]`.
    pub fn output_size(&self, size: [usize; 2]) -> Result<[usize; 2]> {
        either!(self, conv => conv.output_size(size))
    }

    /// Floating-point operations of one forward pass over `images` images with outputs of `[height, width]`.
    pub fn flops(&self, images: usize, output: [usize; 2]) -> u64 {
        either!(self, conv => conv.flops(images, output))
    }

    fn packed_count(&self, class: KernelClass) -> [usize; 2] {
        either!(self, conv => conv.packed_count(class))
    }
}

/// A convolution with its bias. Kernels read packed copies of the weights; a frozen layer keeps only those.
#[derive(Clone)]
pub struct ConvLayer {
    conv: Convolution,
    /// Weights packed for forward, and for the input gradient.
    packed: [DeviceTensor; 2],
    bias: DeviceTensor,
    /// Weight and bias of a trainable layer; no bias if that is fixed.
    trained: Option<(Parameter, Option<Parameter>)>,
}

impl ConvLayer {
    /// A layer with frozen weights (shaped as `weight_shape`) and bias (`[M]`). Records the packing of the weights,
    /// which must run before the layer is used.
    pub fn frozen(
        rec: &mut Recorder,
        name: &str,
        conv: impl Into<Convolution>,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Self> {
        Ok(ConvLayer { trained: None, ..Self::trainable(rec, name, conv, weights, bias)? })
    }

    /// A trainable layer with initial weights (shaped as `weight_shape`) and bias (`[M]`). The parameters are named
    /// `name.weight` and `name.bias`. Records the packing as [`ConvLayer::frozen`] does.
    pub fn trainable(
        rec: &mut Recorder,
        name: &str,
        conv: impl Into<Convolution>,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Self> {
        let (conv, context) = (conv.into(), &rec.context().clone());
        let weight_name = format!("{name}.weight");
        let weight = DeviceTensor::from_values(context, &weight_name, conv.weight_shape(), weights)?;
        let bias = DeviceTensor::from_values(context, format!("{name}.bias"), [bias.len()], bias)?;
        let [forward, backward] = conv.packed_count(context.class());
        let packed =
            [(format!("{weight_name}, packed"), forward), (format!("{weight_name}, flipped and packed"), backward)]
                .map(|(name, count)| DeviceTensor::stored(context, context.precision(), name, [count]));
        let [weight, trained_bias] = [&weight, &bias].map(|tensor| Parameter::new(context, tensor.clone()));
        let layer = ConvLayer { conv, packed, bias, trained: Some((weight, Some(trained_bias))) };
        layer.repack(rec)?;
        Ok(layer)
    }

    /// The same layer with a fixed bias, to be used before a norm. The norm cancels the bias, so its gradient would be
    /// nothing but rounding errors, which Adam would scale up to full steps.
    pub fn with_fixed_bias(mut self) -> Self {
        self.trained = self.trained.map(|(weight, _)| (weight, None));
        self
    }

    /// The convolution.
    pub fn conv(&self) -> &Convolution {
        &self.conv
    }

    /// Records the packing of the current weights; nothing for a frozen layer.
    pub fn repack(&self, rec: &mut Recorder) -> Result<()> {
        let Some((weight, _)) = &self.trained else { return Ok(()) };
        let source = rec.pin(&weight.value);
        for (packed, gradient) in self.packed.iter().zip([false, true]) {
            let packed = rec.pin(packed);
            either!(&self.conv, conv => conv.pack(rec, source, gradient, packed))?;
        }
        Ok(())
    }

    /// Output `y` (`[N, M, H', W']`) from `x` (`[N, C, H, W]`).
    pub fn forward(&self, rec: &mut Recorder, x: impl Into<Input>) -> Result<Tensor> {
        let (packed, bias) = (rec.pin(&self.packed[0]), rec.pin(&self.bias));
        either!(&self.conv, conv => conv.forward(rec, x, packed, Some(bias)))
    }

    /// [`ConvLayer::forward`] before a norm, with the moments of `y` if the kernel can measure them.
    pub fn forward_measured(&self, rec: &mut Recorder, x: impl Into<Input>) -> Result<(Tensor, Option<Moments>)> {
        let Convolution::Plain(conv) = &self.conv else { return Ok((self.forward(rec, x)?, None)) };
        let (packed, bias) = (rec.pin(&self.packed[0]), rec.pin(&self.bias));
        conv.forward_measured(rec, x, packed, Some(bias))
    }

    /// Gradient of an input of `size` `[H, W]` from `dy` and, if there is a fused ReLU, its output `y`.
    pub fn backward(&self, rec: &mut Recorder, dy: Tensor, y: Option<Tensor>, size: [usize; 2]) -> Result<Tensor> {
        let packed = rec.pin(&self.packed[1]);
        either!(&self.conv, conv => conv.backward(rec, dy, y, packed, size))
    }

    /// Accumulates the gradients of the parameters; nothing for a frozen layer.
    pub fn backward_parameters(&self, rec: &mut Recorder, x: Tensor, dy: Tensor, y: Option<Tensor>) -> Result<()> {
        let Some((weight, bias)) = &self.trained else { return Ok(()) };
        let dweight = rec.pin(&weight.gradient);
        let dbias = bias.as_ref().map(|bias| rec.pin(&bias.gradient));
        either!(&self.conv, conv => conv.backward_parameters(rec, x, dy, y, dweight, dbias))
    }

    /// The trainable parameters: weight, and bias unless it is fixed.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.trained.iter().flat_map(|(weight, bias)| [Some(weight), bias.as_ref()]).flatten().cloned().collect()
    }
}
