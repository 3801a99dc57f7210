//! A norm with scale and shift on the device, frozen or trainable.

use crate::gpu::{Context, DeviceTensor, Recorder, Shape, Tensor};
use crate::io::HostTensor;
use crate::ops::load::Input;
use crate::ops::norm::{self, Affine, Moments, Norm, Over, Statistics};
use crate::ops::{rows, vector};
use crate::optim::Parameter;
use crate::{Error, Result};

/// Momentum of the running statistics.
const MOMENTUM: f32 = 0.1;

/// Affine instance or batch norm with the statistics of the batch. (Batch norm with running statistics is folded into
/// the convolution before it, see [`super::image_transform_net::ImageTransformNetWeights`].) In a net of many styles,
/// scales and shifts are tables `[S, C]`, and each image selects or mixes rows (arXiv:1610.07629).
pub struct NormLayer {
    norm: Norm,
    gamma: DeviceTensor,
    beta: DeviceTensor,
    /// Running mean and variance of a trainable batch norm.
    running: Option<[DeviceTensor; 2]>,
    trained: Option<[Parameter; 2]>,
}

impl NormLayer {
    /// Instance norm with frozen scales and shifts, `[C]`, or `[N, C]` for those of each image.
    pub fn frozen(context: &Context, name: &str, relu: bool, affine: [&HostTensor; 2]) -> Result<Self> {
        let norm = Norm { over: Over::Instance, relu };
        Ok(NormLayer { trained: None, ..Self::trainable(context, name, norm, affine, [&[], &[]])? })
    }

    /// A trainable norm with initial scales and shifts (`[C]`, or `[S, C]` for an instance norm), named `name.weight`
    /// and `name.bias`. Batch norm continues the `running` mean and variance, `[C]`.
    pub fn trainable(
        context: &Context,
        name: &str,
        norm: Norm,
        affine: [&HostTensor; 2],
        running: [&[f32]; 2],
    ) -> Result<Self> {
        let tensor = |kind: &str, shape: &[usize], values: &[f32]| {
            DeviceTensor::from_values(context, format!("{name}.{kind}"), Shape::new(shape), values)
        };
        let [gamma, beta] = affine;
        let (gamma, beta) = (tensor("weight", &gamma.shape, &gamma.data)?, tensor("bias", &beta.shape, &beta.data)?);
        let running = match norm.over {
            Over::Instance => None,
            Over::Batch => {
                let tensor = |kind: &str, values: &[f32]| tensor(kind, &[values.len()], values);
                Some([tensor("running_mean", running[0])?, tensor("running_var", running[1])?])
            }
        };
        let trained = Some([&gamma, &beta].map(|tensor| Parameter::new(context, tensor.clone())));
        Ok(NormLayer { norm, gamma, beta, running, trained })
    }

    /// Scales and shifts on the device, called `name.weight` and `name.bias`.
    pub(crate) fn tensors(&self) -> [&DeviceTensor; 2] {
        [&self.gamma, &self.beta]
    }

    /// Whether scales and shifts are tables with one row per style.
    fn has_rows(&self) -> bool {
        self.trained.is_some() && self.gamma.shape().dims().len() == 2
    }

    /// Scales and shifts. For tables, those of each image by its weights `styles` (`[N, S]`).
    fn affine(&self, rec: &mut Recorder, styles: Option<Tensor>) -> Result<Affine> {
        let [gamma, beta] = [&self.gamma, &self.beta].map(|tensor| rec.pin(tensor));
        if !self.has_rows() {
            return Ok(Affine { gamma, beta });
        }
        let styles =
            styles.ok_or_else(|| Error::argument("norm", "styles", "weights of the styles, [N, S]", "none"))?;
        Ok(Affine { gamma: rows::mix(rec, styles, gamma)?, beta: rows::mix(rec, styles, beta)? })
    }

    /// The statistics of `x` (`[N, C, H, W]`). `moments` of `x` save a pass. Running statistics are updated.
    pub fn statistics(&self, rec: &mut Recorder, x: Tensor, moments: Option<Moments>) -> Result<Statistics> {
        let statistics = self.norm.statistics(rec, x, moments)?;
        if let Some([mean, variance]) = &self.running {
            let [n, _, height, width] = x.shape.nchw("norm", "x")?;
            let running = Statistics { mean: rec.pin(mean), variance: rec.pin(variance) };
            norm::track(rec, statistics, n * height * width, MOMENTUM, running)?;
        }
        Ok(statistics)
    }

    /// The statistics of `x` with `weights` (`[H, W]`, with a mean of 1) for the pixels of every plane.
    pub fn weighted_statistics(&self, rec: &mut Recorder, x: Tensor, weights: Tensor) -> Result<Statistics> {
        self.norm.weighted_statistics(rec, x, weights)
    }

    /// `y` from `x` (`[N, C, H, W]`) and `statistics`, plus `addend` if there is one. Tables need each image's weights
    /// `styles` (`[N, S]`).
    pub fn forward(
        &self,
        rec: &mut Recorder,
        x: Tensor,
        styles: Option<Tensor>,
        statistics: Statistics,
        addend: Option<Tensor>,
    ) -> Result<Tensor> {
        let affine = self.affine(rec, styles)?;
        self.norm.apply(rec, x, statistics, affine, addend)
    }

    /// `y` of a frozen layer with a ReLU, to be computed by its reader as it loads `x`, without a pass of its own.
    /// `None` for other layers.
    pub fn deferred(&self, rec: &mut Recorder, x: Tensor, statistics: Statistics) -> Result<Option<Input>> {
        if self.trained.is_some() || !self.norm.relu {
            return Ok(None);
        }
        let affine = self.affine(rec, None)?;
        self.norm.defer(rec, x, statistics, affine).map(Some)
    }

    /// Gradient of the input `x`. Accumulates the parameter gradients.
    ///
    /// # Panics
    /// If the layer is frozen.
    pub fn backward(
        &self,
        rec: &mut Recorder,
        x: Tensor,
        styles: Option<Tensor>,
        statistics: Statistics,
        dy: Tensor,
    ) -> Result<Tensor> {
        let affine = self.affine(rec, styles)?;
        let trained = self.trained.as_ref().expect("a norm that is trained");
        let [dgamma, dbeta] = trained.each_ref().map(|parameter| rec.pin(&parameter.gradient));
        let Some(styles) = styles.filter(|_| self.has_rows()) else {
            let gradients = Affine { gamma: dgamma, beta: dbeta };
            return self.norm.backward(rec, x, statistics, affine, dy, gradients);
        };
        // Gradients of each image's own scales and shifts, which are then distributed to the rows.
        let mut zeros = |name| -> Result<Tensor> {
            let tensor = rec.transient(name, affine.gamma.shape);
            vector::fill(rec, tensor, 0.0).map(|()| tensor)
        };
        let own = Affine { gamma: zeros("own scale gradients")?, beta: zeros("own shift gradients")? };
        let dx = self.norm.backward(rec, x, statistics, affine, dy, own)?;
        rows::mix_gradient(rec, styles, own.gamma, dgamma)?;
        rows::mix_gradient(rec, styles, own.beta, dbeta)?;
        Ok(dx)
    }

    /// The trainable parameters: scale and shift; none if the layer is frozen.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.trained.iter().flatten().cloned().collect()
    }

    /// Running mean and variance of a batch norm, by name.
    pub fn state(&self) -> Vec<(String, DeviceTensor)> {
        self.running.iter().flatten().map(|tensor| (tensor.name().to_string(), tensor.clone())).collect()
    }
}
