//! Adam for the parameters of a net: all of them in one program, their gradients clipped by the norm of them all.

use super::AdamOptions;
use crate::gpu::{Context, DeviceTensor, Program, Recorder, Uniform};
use crate::ops::adam::{self, Params};
use crate::ops::clip;
use crate::ops::vector;
use crate::{Error, Result};

/// A trained tensor and the gradient that a backward pass adds to.
#[derive(Clone)]
pub struct Parameter {
    /// Its name in weight files and checkpoints.
    pub name: String,
    /// The tensor, of any shape.
    pub value: DeviceTensor,
    /// Its gradient, of the same shape; zero before a backward pass.
    pub gradient: DeviceTensor,
}

impl Parameter {
    /// A parameter called as `value` is, with a gradient of zeros.
    pub fn new(context: &Context, value: DeviceTensor) -> Self {
        let gradient = DeviceTensor::new(context, format!("{} gradient", value.name()), value.shape());
        Parameter { name: value.name().into(), value, gradient }
    }
}

/// Adam's state for the parameters of a net.
pub struct ParameterAdam {
    parameters: Vec<Parameter>,
    /// First and second, for each parameter.
    moments: Vec<[DeviceTensor; 2]>,
    /// Of each parameter's gradient alone.
    squares: DeviceTensor,
    /// The norm of all gradients, and what they were multiplied with.
    norm: DeviceTensor,
    options: AdamOptions,
    params: Option<Uniform<Params>>,
}

impl ParameterAdam {
    /// An optimiser of `parameters`, whose moments are zero.
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

    /// Takes down the norm, one clipped step for every parameter, and the zeroing of every gradient; to be recorded once.
    pub fn record(&mut self, rec: &mut Recorder) -> Result<()> {
        let gradients: Vec<_> = self.parameters.iter().map(|parameter| rec.pin(&parameter.gradient)).collect();
        // Without a limit the norm is still made: it is told, and one that is not finite must show.
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

    /// Makes the next run of `program`, which holds the recorded step, step `step` (counted from 1) of size `learning_rate`.
    ///
    /// # Panics
    /// With a program of another recording, or before [`ParameterAdam::record`].
    pub fn set(&self, program: &Program, step: u64, learning_rate: f32) {
        let params = self.params.expect("a step that was recorded");
        program.set(params, &Params::at(&AdamOptions { learning_rate, ..self.options }, step));
    }

    /// The norm of all gradients at the last step, before they were clipped. Waits for the device.
    pub fn norm(&self) -> Result<f32> {
        Ok(self.norm.read()?[0])
    }

    /// The square of each parameter's own norm of the gradient at the last step. Waits for the device.
    pub fn squares(&self) -> Result<Vec<f32>> {
        self.squares.read()
    }

    /// The moments of every parameter by name: with the step's number, all that a checkpoint has to keep.
    pub fn state(&self) -> Vec<(String, DeviceTensor)> {
        self.moments.iter().flatten().map(|moment| (moment.name().to_string(), moment.clone())).collect()
    }
}
