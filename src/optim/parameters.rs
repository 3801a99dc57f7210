//! Adam for all parameters of a net in one program, with clipping by their global gradient norm.

use super::AdamOptions;
use crate::gpu::{Context, DeviceTensor, Program, Recorder, Uniform};
use crate::ops::adam::{self, Params};
use crate::ops::clip;
use crate::ops::vector;
use crate::{Error, Result};

/// A trained tensor and its gradient, which backward passes accumulate.
#[derive(Clone)]
pub struct Parameter {
    /// Name in weight files and checkpoints.
    pub name: String,
    /// The tensor, of any shape.
    pub value: DeviceTensor,
    /// The gradient, of the same shape. Zero before the first backward pass of a step.
    pub gradient: DeviceTensor,
}

impl Parameter {
    /// A parameter with the name of `value` and a zero gradient.
    pub fn new(context: &Context, value: DeviceTensor) -> Self {
        let gradient = DeviceTensor::new(context, format!("{} gradient", value.name()), value.shape());
        Parameter { name: value.name().into(), value, gradient }
    }
}

/// Adam's state for the parameters of a net.
pub struct ParameterAdam {
    parameters: Vec<Parameter>,
    /// First and second moment of each parameter.
    moments: Vec<[DeviceTensor; 2]>,
    /// Squared gradient norm of each parameter.
    squares: DeviceTensor,
    /// Norm of all gradients, and the clipping factor.
    norm: DeviceTensor,
    options: AdamOptions,
    params: Option<Uniform<Params>>,
}

impl ParameterAdam {
    /// An optimiser of `parameters` with zero moments.
    ///
    /// # Errors
    /// A gradient whose shape is not that of its parameter.
    pub fn new(context: &Context, parameters: &[Parameter], options: AdamOptions) -> Result<Self> {
        for Parameter { name, value, gradient } in parameters {
            if value.shape() != gradient.shape() {
                let expected = format!("shaped as {name}, {}", value.shape());
                return Err(Error::argument("adam", "gradient", expected, gradient.shape()));
            }
        }
        let moments = |parameter: &Parameter| {
            let name = |moment: &str| format!("{}.{moment}", parameter.name);
            ["first_moment", "second_moment"].map(|m| DeviceTensor::new(context, name(m), parameter.value.shape()))
        };
        Ok(ParameterAdam {
            moments: parameters.iter().map(moments).collect(),
            parameters: parameters.to_vec(),
            squares: DeviceTensor::new(context, "squares of gradients", [parameters.len()]),
            norm: DeviceTensor::new(context, "gradient norm", [2]),
            options,
            params: None,
        })
    }

    /// Records one step: the gradient norm, a clipped update of every parameter, and the zeroing of every gradient. To
    /// be called once.
    pub fn record(&mut self, rec: &mut Recorder) -> Result<()> {
        let gradients: Vec<_> = self.parameters.iter().map(|parameter| rec.pin(&parameter.gradient)).collect();
        // The norm is computed without a limit, too: it is reported, and must reveal gradients that are not finite.
        let limit = self.options.clip.unwrap_or(f32::MAX);
        let (squares, norm) = (rec.pin(&self.squares), rec.pin(&self.norm));
        clip::norm(rec, &gradients, limit, squares, norm)?;
        let params = rec.uniform(&Params::at(&self.options, 1));
        for ((parameter, moments), &gradient) in self.parameters.iter().zip(&self.moments).zip(&gradients) {
            let value = rec.pin(&parameter.value);
            let moments = [rec.pin(&moments[0]), rec.pin(&moments[1])];
            adam::step(rec, value, gradient, moments, Some(norm), params)?;
            vector::fill(rec, gradient, 0.0)?;
        }
        self.params = Some(params);
        Ok(())
    }

    /// Sets the step number (counted from 1) and the learning rate for the next run of `program`, which contains the
    /// recorded step.
    ///
    /// # Panics
    /// If `program` is of another recording, or before [`ParameterAdam::record`].
    pub fn set(&self, program: &Program, step: u64, learning_rate: f32) {
        let params = self.params.expect("a step that was recorded");
        program.set(params, &Params::at(&AdamOptions { learning_rate, ..self.options }, step));
    }

    /// Norm of all gradients in the last step, before clipping.
    pub async fn norm_async(&self) -> Result<f32> {
        Ok(self.norm.read_async().await?[0])
    }

    /// [`norm_async`](ParameterAdam::norm_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn norm(&self) -> Result<f32> {
        Ok(self.norm.read()?[0])
    }

    /// Squared gradient norm of each parameter in the last step.
    pub async fn squares_async(&self) -> Result<Vec<f32>> {
        self.squares.read_async().await
    }

    /// Moments of every parameter by name. Together with the step number, they are the whole state for a checkpoint.
    pub fn state(&self) -> Vec<(String, DeviceTensor)> {
        self.moments.iter().flatten().map(|moment| (moment.name().to_string(), moment.clone())).collect()
    }
}
