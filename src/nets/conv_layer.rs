//! A convolution, plain or transposed, with its weights on the device, frozen or trained.

use crate::Result;
use crate::gpu::{DeviceTensor, KernelClass, Recorder, Tensor};
use crate::ops::conv2d::{Conv2d, ConvTranspose2d};
use crate::ops::load::Input;
use crate::ops::norm::Moments;
use crate::optim::Parameter;

/// A convolution of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convolution {
    /// One that keeps the size, makes it smaller or takes an enlarged input.
    Plain(Conv2d),
    /// One that enlarges.
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

/// The same call on whichever it is.
macro_rules! either {
    ($convolution:expr, $conv:ident => $call:expr) => {
        match $convolution {
            Convolution::Plain($conv) => $call,
            Convolution::Transposed($conv) => $call,
        }
    };
}

impl Convolution {
    /// The shape of its weights.
    pub fn weight_shape(&self) -> [usize; 4] {
        match self {
            Convolution::Plain(conv) => [conv.channels_out, conv.channels_in, conv.kernel, conv.kernel],
            Convolution::Transposed(conv) => [conv.channels_in, conv.channels_out, 3, 3],
        }
    }

    /// The same with a ReLU behind it, or without.
    pub fn with_relu(self, relu: bool) -> Self {
        match self {
            Convolution::Plain(conv) => Convolution::Plain(Conv2d { relu, ..conv }),
            Convolution::Transposed(conv) => Convolution::Transposed(ConvTranspose2d { relu, ..conv }),
        }
    }

    /// Channels of its output.
    pub fn channels_out(&self) -> usize {
        either!(self, conv => conv.channels_out)
    }

    /// Height and width of the output for an input of `[height, width]`.
    pub fn output_size(&self, size: [usize; 2]) -> Result<[usize; 2]> {
        either!(self, conv => conv.output_size(size))
    }

    /// Floating-point operations of one forward pass over that many images of `[height, width]` outputs.
    pub fn flops(&self, images: usize, output: [usize; 2]) -> u64 {
        either!(self, conv => conv.flops(images, output))
    }

    fn packed_count(&self, class: KernelClass) -> [usize; 2] {
        either!(self, conv => conv.packed_count(class))
    }
}

/// A convolution with its bias. What the kernels read are packed copies of the weights; a frozen layer keeps only those.
pub struct ConvLayer {
    conv: Convolution,
    /// Packed for forward, and for the gradient to the input.
    packed: [DeviceTensor; 2],
    bias: DeviceTensor,
    /// Weight, and bias if that is learned too, with their gradients, of a layer that is trained.
    trained: Option<(Parameter, Option<Parameter>)>,
}

impl ConvLayer {
    /// A layer whose weights (of the convolution's `weight_shape`) and bias (`[M]`) stay as they are. Records their packing:
    /// the layer is of use once that has run.
    pub fn frozen(
        rec: &mut Recorder,
        name: &str,
        conv: impl Into<Convolution>,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Self> {
        Ok(ConvLayer { trained: None, ..Self::trainable(rec, name, conv, weights, bias)? })
    }

    /// A layer that is trained from weights (of the convolution's `weight_shape`) and bias (`[M]`); parameters are called
    /// `name.weight` and `name.bias`. Records the packing, as [`ConvLayer::frozen`] does.
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

    /// The same with a bias that stays as it is: before a norm, which takes it away, a bias has no gradient but rounding,
    /// and Adam would follow that.
    pub fn with_fixed_bias(mut self) -> Self {
        self.trained = self.trained.map(|(weight, _)| (weight, None));
        self
    }

    /// Its shape.
    pub fn conv(&self) -> &Convolution {
        &self.conv
    }

    /// Records the packing of the weights as they are at that point; nothing for a frozen layer.
    pub fn repack(&self, rec: &mut Recorder) -> Result<()> {
        let Some((weight, _)) = &self.trained else { return Ok(()) };
        let source = rec.pin(&weight.value);
        for (packed, gradient) in self.packed.iter().zip([false, true]) {
            let packed = rec.pin(packed);
            either!(&self.conv, conv => conv.pack(rec, source, gradient, packed))?;
        }
        Ok(())
    }

    /// `y` (`[N, M, H', W']`) of `x` (`[N, C, H, W]`).
    pub fn forward(&self, rec: &mut Recorder, x: impl Into<Input>) -> Result<Tensor> {
        let (packed, bias) = (rec.pin(&self.packed[0]), rec.pin(&self.bias));
        either!(&self.conv, conv => conv.forward(rec, x, packed, Some(bias)))
    }

    /// The same before a norm: with the moments of `y`, where they come on the way.
    pub fn forward_measured(&self, rec: &mut Recorder, x: impl Into<Input>) -> Result<(Tensor, Option<Moments>)> {
        let Convolution::Plain(conv) = &self.conv else { return Ok((self.forward(rec, x)?, None)) };
        let (packed, bias) = (rec.pin(&self.packed[0]), rec.pin(&self.bias));
        conv.forward_measured(rec, x, packed, Some(bias))
    }

    /// The gradient to an input of `size` `[H, W]`, from `dy` and, if there is a ReLU, the output `y`.
    pub fn backward(&self, rec: &mut Recorder, dy: Tensor, y: Option<Tensor>, size: [usize; 2]) -> Result<Tensor> {
        let packed = rec.pin(&self.packed[1]);
        either!(&self.conv, conv => conv.backward(rec, dy, y, packed, size))
    }

    /// Adds to the parameters' gradients; nothing for a frozen layer.
    pub fn backward_parameters(&self, rec: &mut Recorder, x: Tensor, dy: Tensor, y: Option<Tensor>) -> Result<()> {
        let Some((weight, bias)) = &self.trained else { return Ok(()) };
        let dweight = rec.pin(&weight.gradient);
        let dbias = bias.as_ref().map(|bias| rec.pin(&bias.gradient));
        either!(&self.conv, conv => conv.backward_parameters(rec, x, dy, y, dweight, dbias))
    }

    /// Weight and bias, as far as they are trained.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.trained.iter().flat_map(|(weight, bias)| [Some(weight), bias.as_ref()]).flatten().cloned().collect()
    }
}
