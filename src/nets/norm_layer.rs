//! A normalisation with its scale and shift on the device, frozen or trained.

use crate::Result;
use crate::gpu::{Context, DeviceTensor, Recorder, Tensor};
use crate::ops::load::Input;
use crate::ops::norm::{self, Affine, Moments, Norm, Over, Statistics};
use crate::optim::Parameter;

/// How far running statistics move toward those of a batch.
const MOMENTUM: f32 = 0.1;

/// Instance or batch norm, affine, with the batch's own statistics. (Batch norm by its running statistics is part of the
/// convolution before it, see [`super::image_transform_net::Weights`].)
pub struct NormLayer {
    norm: Norm,
    gamma: DeviceTensor,
    beta: DeviceTensor,
    /// Mean and variance over many batches, of a batch norm that is trained.
    running: Option<[DeviceTensor; 2]>,
    trained: Option<[Parameter; 2]>,
}

impl NormLayer {
    /// Instance norm whose `[C]` scales and shifts stay as they are.
    pub fn frozen(context: &Context, name: &str, relu: bool, affine: [&[f32]; 2]) -> Result<Self> {
        let norm = Norm { over: Over::Instance, relu };
        Ok(NormLayer { trained: None, ..Self::trainable(context, name, norm, affine, [&[], &[]])? })
    }

    /// A norm that is trained from scales and shifts (`[C]`), called `name.weight` and `name.bias`; batch norm goes on with
    /// `running` mean and variance, `[C]`.
    pub fn trainable(
        context: &Context,
        name: &str,
        norm: Norm,
        affine: [&[f32]; 2],
        running: [&[f32]; 2],
    ) -> Result<Self> {
        let tensor = |kind: &str, values: &[f32]| {
            DeviceTensor::from_values(context, format!("{name}.{kind}"), [values.len()], values)
        };
        let (gamma, beta) = (tensor("weight", affine[0])?, tensor("bias", affine[1])?);
        let running = match norm.over {
            Over::Instance => None,
            Over::Batch => Some([tensor("running_mean", running[0])?, tensor("running_var", running[1])?]),
        };
        let trained = Some([&gamma, &beta].map(|tensor| Parameter::new(context, tensor.clone())));
        Ok(NormLayer { norm, gamma, beta, running, trained })
    }

    fn affine(&self, rec: &mut Recorder) -> Affine {
        Affine { gamma: rec.pin(&self.gamma), beta: rec.pin(&self.beta) }
    }

    /// `y` of `x` (`[N, C, H, W]`) with its moments, if they are known, and `addend` on top, if there is one; and what its
    /// gradient needs. Running statistics move.
    pub fn forward(
        &self,
        rec: &mut Recorder,
        x: Tensor,
        moments: Option<Moments>,
        addend: Option<Tensor>,
    ) -> Result<(Tensor, Statistics)> {
        let affine = self.affine(rec);
        let statistics = self.norm.statistics(rec, x, moments)?;
        let y = self.norm.apply(rec, x, statistics, affine, addend)?;
        if let Some([mean, variance]) = &self.running {
            let [n, _, height, width] = x.shape.nchw("norm", "x")?;
            let running = Statistics { mean: rec.pin(mean), variance: rec.pin(variance) };
            norm::track(rec, statistics, n * height * width, MOMENTUM, running)?;
        }
        Ok((y, statistics))
    }

    /// `y` of a frozen layer for a reader that makes it of `x` as it loads that, where the layer has a ReLU: it takes no
    /// pass of its own.
    pub fn deferred(&self, rec: &mut Recorder, x: Tensor, moments: Option<Moments>) -> Result<Option<Input>> {
        if self.trained.is_some() || !self.norm.relu {
            return Ok(None);
        }
        let affine = self.affine(rec);
        let statistics = self.norm.statistics(rec, x, moments)?;
        self.norm.defer(rec, x, statistics, affine).map(Some)
    }

    /// The gradient to the input `x`; adds to the parameters' gradients.
    ///
    /// # Panics
    /// On a frozen layer.
    pub fn backward(&self, rec: &mut Recorder, x: Tensor, statistics: Statistics, dy: Tensor) -> Result<Tensor> {
        let affine = self.affine(rec);
        let [dgamma, dbeta] = self.trained.as_ref().expect("a norm that is trained");
        let gradients = Affine { gamma: rec.pin(&dgamma.gradient), beta: rec.pin(&dbeta.gradient) };
        self.norm.backward(rec, x, statistics, affine, dy, gradients)
    }

    /// Scale and shift, if it is trained.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.trained.iter().flatten().cloned().collect()
    }

    /// Running mean and variance by name, of a batch norm.
    pub fn state(&self) -> Vec<(String, DeviceTensor)> {
        self.running.iter().flatten().map(|tensor| (tensor.name().to_string(), tensor.clone())).collect()
    }
}
