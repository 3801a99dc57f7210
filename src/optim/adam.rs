//! Adam (arXiv:1412.6980) with decoupled weight decay (arXiv:1711.05101); its moments stay on the device.

use super::Objective;
use crate::Result;
use crate::gpu::{Context, DeviceTensor, Memory, Program, Recorder, Uniform};
use crate::ops::adam::{self, Params};
use crate::ops::clip;

/// Hyperparameters of Adam.
#[derive(Clone, Copy, Debug)]
pub struct AdamOptions {
    /// α, the step size.
    pub learning_rate: f32,
    /// β₁, the decay of the first moment.
    pub beta1: f32,
    /// β₂, the decay of the second moment.
    pub beta2: f32,
    /// ε, added to the square root of the second moment.
    pub epsilon: f32,
    /// `[low, high]`: every element is clamped to this range after a step.
    pub range: [f32; 2],
    /// λ of the weight decay: every step subtracts α·λ·x.
    pub weight_decay: f32,
    /// Limit of the gradient's l2 norm, above which the gradient is scaled down; `None` for no limit.
    pub clip: Option<f32>,
}

impl Default for AdamOptions {
    /// The paper's hyperparameters, without range, weight decay or clipping.
    fn default() -> Self {
        AdamOptions {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            range: [f32::MIN, f32::MAX],
            weight_decay: 0.0,
            clip: None,
        }
    }
}

/// Adam's state for one vector.
pub struct Adam {
    program: Program,
    params: Uniform<Params>,
    options: AdamOptions,
    steps: u64,
}

impl Adam {
    /// An optimiser that moves `x` against the gradient `g`; both have the same number of elements.
    pub fn new(context: &Context, x: &DeviceTensor, g: &DeviceTensor, options: AdamOptions) -> Result<Self> {
        let moments = ["first moment", "second moment"].map(|name| DeviceTensor::new(context, name, x.shape()));
        let mut rec = Recorder::new(context);
        let params = rec.uniform(&Params::at(&options, 1));
        let (point, gradient) = (rec.pin(x), rec.pin(g));
        let pinned = [rec.pin(&moments[0]), rec.pin(&moments[1])];
        let clip = options.clip.map(|limit| {
            let (squares, norm) = (rec.transient("square", [1]), rec.transient("norm", [2]));
            clip::norm(&mut rec, &[gradient], limit, squares, norm).map(|()| norm)
        });
        adam::step(&mut rec, point, gradient, pinned, clip.transpose()?, params)?;
        Ok(Adam { program: rec.finish()?, params, options, steps: 0 })
    }

    /// Bytes of device memory for vectors of that many elements, besides the point and the gradient.
    pub fn bytes(elements: usize) -> u64 {
        4 * 2 * elements.next_multiple_of(4) as u64
    }

    /// Device memory, including the point and the gradient.
    pub fn memory(&self) -> &Memory {
        self.program.memory()
    }

    /// Changes the step size from the next step on.
    pub fn set_learning_rate(&mut self, learning_rate: f32) {
        self.options.learning_rate = learning_rate;
    }

    /// One step with the current gradient. Does not wait for the device.
    pub fn step(&mut self) -> Result<()> {
        self.steps += 1;
        self.program.set(self.params, &Params::at(&self.options, self.steps));
        self.program.submit()
    }

    /// Evaluates the objective, then steps. Gives the value before the step. If it is not finite there is no step, so
    /// that its cause can still be found.
    pub async fn iterate_async(&mut self, objective: &mut impl Objective) -> Result<f64> {
        let value = objective.evaluate_async().await?;
        if value.is_finite() {
            self.step()?;
        }
        Ok(value)
    }

    /// [`iterate_async`](Adam::iterate_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn iterate(&mut self, objective: &mut impl Objective) -> Result<f64> {
        let context = self.program.context().clone();
        context.block_on(self.iterate_async(objective))
    }
}

impl Params {
    /// The parameters of step `step`, counted from 1.
    pub(super) fn at(options: &AdamOptions, step: u64) -> Self {
        // In f64, because 1 − 0.999 has only four exact digits in f32.
        let exponent = i32::try_from(step).unwrap_or(i32::MAX);
        let correction = |beta: f32| (1.0 - f64::from(beta).powi(exponent)) as f32;
        Params {
            learning_rate: options.learning_rate,
            beta1: options.beta1,
            beta2: options.beta2,
            epsilon: options.epsilon,
            correction1: correction(options.beta1),
            correction2: correction(options.beta2),
            low: options.range[0],
            high: options.range[1],
            weight_decay: options.weight_decay,
        }
    }
}
