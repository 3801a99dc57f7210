//! A normalisation with its scale and shift on the device, frozen or trained.

use crate::gpu::{Context, DeviceTensor, Recorder, Shape, Tensor};
use crate::io::HostTensor;
use crate::ops::load::Input;
use crate::ops::norm::{self, Affine, Moments, Norm, Over, Statistics};
use crate::ops::{rows, vector};
use crate::optim::Parameter;
use crate::{Error, Result};

/// How far running statistics move toward those of a batch.
const MOMENTUM: f32 = 0.1;

/// Instance or batch norm, affine, with the batch's own statistics. (Batch norm by its running statistics is part of the
/// convolution before it, see [`super::image_transform_net::Weights`].) In a net of many styles scales and shifts are tables
/// `[S, C]`, from whose rows each image takes its own (arXiv:1610.07629).
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
    pub fn frozen(context: &Context, name: &str, relu: bool, affine: [&HostTensor; 2]) -> Result<Self> {
        let norm = Norm { over: Over::Instance, relu };
        Ok(NormLayer { trained: None, ..Self::trainable(context, name, norm, affine, [&[], &[]])? })
    }

    /// A norm that is trained from scales and shifts (`[C]`, or an instance norm's `[S, C]`), called `name.weight` and `name.bias`; batch norm goes on with
    /// `running` mean and variance, `[C]`.
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

    /// Whether each image takes its scales and shifts from the rows of tables.
    fn has_rows(&self) -> bool {
        self.gamma.shape().dims().len() == 2
    }

    /// Scales and shifts; of a layer with tables, the images' own by their weights `styles` (`[N, S]`).
    fn affine(&self, rec: &mut Recorder, styles: Option<Tensor>) -> Result<Affine> {
        let [gamma, beta] = [&self.gamma, &self.beta].map(|tensor| rec.pin(tensor));
        if !self.has_rows() {
            return Ok(Affine { gamma, beta });
        }
        let styles = styles.ok_or_else(|| Error::argument("norm", "styles", "weights of the rows, [N, S]", "none"))?;
        Ok(Affine { gamma: rows::mix(rec, styles, gamma)?, beta: rows::mix(rec, styles, beta)? })
    }

    /// `y` of `x` (`[N, C, H, W]`) with its moments, if they are known, and `addend` on top, if there is one; and what its
    /// gradient needs. Running statistics move. `styles` (`[N, S]`) are each image's weights of the rows of a layer with tables.
    pub fn forward(
        &self,
        rec: &mut Recorder,
        x: Tensor,
        styles: Option<Tensor>,
        moments: Option<Moments>,
        addend: Option<Tensor>,
    ) -> Result<(Tensor, Statistics)> {
        let affine = self.affine(rec, styles)?;
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
        let affine = self.affine(rec, None)?;
        let statistics = self.norm.statistics(rec, x, moments)?;
        self.norm.defer(rec, x, statistics, affine).map(Some)
    }

    /// The gradient to the input `x`; adds to the parameters' gradients.
    ///
    /// # Panics
    /// On a frozen layer.
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
        // The images' own gradients, which then go to the rows that each was made of.
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

    /// Scale and shift, if it is trained.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.trained.iter().flatten().cloned().collect()
    }

    /// Running mean and variance by name, of a batch norm.
    pub fn state(&self) -> Vec<(String, DeviceTensor)> {
        self.running.iter().flatten().map(|tensor| (tensor.name().to_string(), tensor.clone())).collect()
    }
}
