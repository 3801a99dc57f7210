//! The state of a training run, and one step of it.

#[cfg(feature = "train")]
use std::path::{Path, PathBuf};

#[cfg(feature = "train")]
use super::Checkpoint;
use super::{Trainer, TrainingSettings};
use crate::gpu::{Context, DeviceTensor, Memory, Precision, Program, Recorder};
#[cfg(feature = "train")]
use crate::io::HostTensor;
use crate::ops::vector;
use crate::optim::{AdamOptions, Parameter, ParameterAdam};
use crate::{Error, Result};

/// The recorded program of one micro-batch.
struct Pass {
    program: Program,
    /// The pictures of each stream, then the labels, if the trainer has any.
    inputs: Vec<DeviceTensor>,
    losses: DeviceTensor,
}

fn record_pass(
    context: &Context,
    trainer: &dyn Trainer,
    batch: usize,
    micro: usize,
) -> Result<(Recorder, Vec<DeviceTensor>, DeviceTensor)> {
    let mut inputs: Vec<_> = trainer
        .streams()
        .iter()
        .enumerate()
        .map(|(index, (_, crops))| {
            DeviceTensor::new(context, format!("pictures {index}"), [micro, 3, crops.size, crops.size])
        })
        .collect();
    let labels = trainer.labels(0).len();
    if labels > 0 {
        inputs.push(DeviceTensor::new(context, "labels", [micro, labels]));
    }
    let losses = DeviceTensor::new(context, "loss terms", [trainer.terms().len()]);
    let mut rec = Recorder::new(context);
    let pinned: Vec<_> = inputs.iter().map(|tensor| rec.pin(tensor)).collect();
    let slots = rec.pin(&losses);
    trainer.record(&mut rec, &pinned, slots, micro as f32 / batch as f32)?;
    Ok((rec, inputs, losses))
}

/// The forward and backward pass of a whole batch without the parameter update, for benchmarks.
pub(crate) fn passes(context: &Context, trainer: &dyn Trainer, batch: usize) -> Result<Program> {
    record_pass(context, trainer, batch, batch)?.0.finish()
}

/// The largest divisor of the batch whose memory plan fits; 1 if none fits.
pub(super) fn choose_micro_batch(
    context: &Context,
    trainer: &dyn Trainer,
    settings: &TrainingSettings,
    memory_bytes: u64,
) -> Result<usize> {
    if let Some(micro) = settings.micro_batch {
        return Ok(micro);
    }
    for micro in (2..=settings.batch).rev().filter(|micro| settings.batch.is_multiple_of(*micro)) {
        let memory = record_pass(context, trainer, settings.batch, micro).and_then(|(rec, ..)| rec.memory());
        match memory {
            Ok(memory) if memory.peak_bytes() <= memory_bytes => return Ok(micro),
            Ok(_) | Err(Error::TooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(1)
}

/// Records an update of the moving average of each parameter. The averages start at the current parameters.
async fn average(rec: &mut Recorder, parameters: &[Parameter], decay: f32) -> Result<Vec<DeviceTensor>> {
    let mut averages = Vec::new();
    for parameter in parameters {
        let name = format!("{}.average", parameter.name);
        let values = parameter.value.read_async().await?;
        let kept = DeviceTensor::from_values(rec.context(), name, parameter.value.shape(), &values)?;
        let (average, value) = (rec.pin(&kept), rec.pin(&parameter.value));
        let next = rec.transient("average", average.shape);
        vector::affine(rec, decay, average, 1.0 - decay, value, next)?;
        vector::copy(rec, next, average)?;
        averages.push(kept);
    }
    Ok(averages)
}

/// The state of a training run: the tensors that a checkpoint stores, and the programs that update them.
pub(crate) struct Training {
    parameters: Vec<Parameter>,
    settings: TrainingSettings,
    /// Pictures per micro-batch.
    micro: usize,
    pass: Pass,
    adam: ParameterAdam,
    update: Program,
    /// The moving average of each parameter; empty if averaging is off.
    averages: Vec<DeviceTensor>,
    /// All tensors that a checkpoint stores, by name.
    kept: Vec<(String, DeviceTensor)>,
    /// Completed steps.
    pub(super) step: u64,
    /// Training time in seconds.
    pub(super) seconds: f64,
    /// Loss of the last step; NaN before the first.
    pub(super) loss: f64,
}

impl Training {
    pub(crate) async fn new(
        context: &Context,
        trainer: &dyn Trainer,
        settings: TrainingSettings,
        micro: usize,
    ) -> Result<Self> {
        if context.precision() != Precision::F32 {
            return Err(Error::argument("train", "precision", "f32, because f16 is too coarse for small steps", "f16"));
        }
        let (rec, inputs, losses) = record_pass(context, trainer, settings.batch, micro)?;
        let pass = Pass { program: rec.finish()?, inputs, losses };
        let parameters = trainer.parameters();
        let options = AdamOptions {
            learning_rate: settings.learning_rate as f32,
            weight_decay: settings.weight_decay,
            clip: settings.clip,
            ..AdamOptions::default()
        };
        let mut adam = ParameterAdam::new(context, &parameters, options)?;
        let mut rec = Recorder::new(context);
        adam.record(&mut rec)?;
        let averages = match settings.average {
            Some(decay) => average(&mut rec, &parameters, decay).await?,
            None => Vec::new(),
        };
        trainer.refresh(&mut rec)?;
        let update = rec.finish()?;
        let mut kept: Vec<_> = parameters.iter().map(|p| (p.name.clone(), p.value.clone())).collect();
        kept.extend(adam.state());
        kept.extend(trainer.state());
        kept.extend(averages.iter().map(|average| (average.name().to_string(), average.clone())));
        let (step, seconds, loss) = (0, 0.0, f64::NAN);
        Ok(Training { parameters, settings, micro, pass, adam, update, averages, kept, step, seconds, loss })
    }

    /// Replaces the parameters with their moving averages, if there are any. Training cannot continue from this state,
    /// only from an earlier checkpoint.
    pub(super) async fn take_averages(&self, context: &Context, trainer: &dyn Trainer) -> Result<()> {
        let mut rec = Recorder::new(context);
        for (parameter, average) in self.parameters.iter().zip(&self.averages) {
            let (average, value) = (rec.pin(average), rec.pin(&parameter.value));
            vector::copy(&mut rec, average, value)?;
        }
        trainer.refresh(&mut rec)?;
        rec.finish()?.run_async().await
    }

    #[cfg(feature = "train")]
    pub(super) fn save(&self, folder: &Path, trainer: &dyn Trainer) -> Result<PathBuf> {
        let tensors = self
            .kept
            .iter()
            .map(|(name, tensor)| Ok((name.clone(), HostTensor::new(tensor.shape().dims(), tensor.read()?)?)));
        let mut header = self.settings.with_lesson(trainer);
        header["seconds"] = self.seconds.into();
        header["loss"] = self.loss.into();
        let checkpoint = Checkpoint { header, tensors: tensors.collect::<Result<_>>()? };
        checkpoint.save(folder, self.step, 2)
    }

    /// Restores a checkpoint: tensors, step, training time and loss.
    #[cfg(feature = "train")]
    pub(super) fn restore(
        &mut self,
        context: &Context,
        trainer: &dyn Trainer,
        folder: &Path,
        step: u64,
        checkpoint: &Checkpoint,
    ) -> Result<()> {
        for (name, tensor) in &self.kept {
            let Some(found) = checkpoint.get(name).filter(|found| found.shape == tensor.shape().dims()) else {
                let shape = tensor.shape();
                let reason = format!("has no tensor {name} of shape {shape}: it belongs to a different training");
                return Err(Error::weights(folder, reason));
            };
            tensor.write(&found.data)?;
        }
        self.step = step;
        self.seconds = checkpoint.header["seconds"].as_f64().unwrap_or(0.0);
        self.loss = checkpoint.header["loss"].as_f64().unwrap_or(f64::NAN);
        let mut rec = Recorder::new(context);
        trainer.refresh(&mut rec)?;
        rec.finish()?.run()
    }

    /// Runs one step of a run of `steps`: all micro-batches, then the parameter update. `next` supplies the data of an
    /// input for a picture number: inputs are the streams in order, then the labels. Returns the loss terms and the
    /// norm of the gradients.
    pub(crate) async fn step(
        &mut self,
        steps: u64,
        mut next: impl FnMut(usize, u64) -> Result<Vec<f32>>,
    ) -> Result<(Vec<f64>, f32)> {
        let mut sums = vec![0.0; self.pass.losses.shape().count()];
        for pass in 0..self.passes() {
            let first = self.step * self.settings.batch as u64 + (pass * self.micro) as u64;
            for (input, tensor) in self.pass.inputs.iter().enumerate() {
                let mut values = Vec::with_capacity(tensor.shape().count());
                for number in first..first + self.micro as u64 {
                    values.extend(next(input, number)?);
                }
                tensor.write(&values)?;
            }
            self.pass.program.submit()?;
            for (sum, value) in sums.iter_mut().zip(self.pass.losses.read_async().await?) {
                *sum += f64::from(value);
            }
            if sums.iter().any(|value| !value.is_finite()) {
                return Err(self.blame_loss().await?);
            }
        }
        self.loss = sums.iter().sum();
        self.adam.set(&self.update, self.step + 1, self.learning_rate(steps) as f32);
        self.update.submit()?;
        self.step += 1;
        let norm = self.adam.norm_async().await?;
        if !norm.is_finite() {
            return Err(self.blame_gradient().await?);
        }
        Ok((sums, norm))
    }

    /// Floating-point operations and bytes accessed per step.
    pub(crate) fn work(&self) -> [u64; 2] {
        [Program::flops, Program::bytes].map(|of| self.passes() as u64 * of(&self.pass.program) + of(&self.update))
    }

    /// Micro-batches per step.
    fn passes(&self) -> usize {
        self.settings.batch / self.micro
    }

    pub(super) fn learning_rate(&self, steps: u64) -> f64 {
        self.settings.schedule.at(self.settings.learning_rate, self.step, steps)
    }

    /// Finds the dispatch that produced a non-finite loss in the current step.
    async fn blame_loss(&self) -> Result<Error> {
        self.pass.losses.write(&vec![0.0; self.pass.losses.shape().count()])?;
        let place =
            self.pass.program.find_non_finite_async().await?.unwrap_or_else(|| "the sum of the loss terms".into());
        Ok(self.not_finite("the loss", self.step + 1, place))
    }

    /// Finds the parameter whose gradient was not finite in the step just completed.
    async fn blame_gradient(&self) -> Result<Error> {
        let squares = self.adam.squares_async().await?;
        let broken = self.parameters.iter().zip(squares).find(|(_, square)| !square.is_finite());
        let place = broken.map_or("the global norm".into(), |(parameter, _)| format!("that of {}", parameter.name));
        Ok(self.not_finite("the gradient", self.step, place))
    }

    fn not_finite(&self, what: &str, step: u64, place: String) -> Error {
        let help =
            "lower the learning rate or the clipping norm; the run can be resumed from its last checkpoint".into();
        Error::NonFinite { what: format!("{what} at step {step}"), place, help }
    }

    pub(super) fn memory(&self) -> Memory {
        self.pass.program.memory().clone().join(self.update.memory().clone())
    }
}
