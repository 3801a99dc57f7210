//! Training without files and threads: for short runs, and for where there are none.

use std::ops::ControlFlow;

use super::training::choose_micro_batch;
use super::{Loader, Trainer, Training, TrainingSettings};
use crate::gpu::Context;
use crate::{Error, Result};

/// State of a run after a step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Completed steps.
    pub step: u64,
    /// Loss of the batch, the sum of the terms.
    pub loss: f64,
    /// Name and value of each loss term.
    pub terms: Vec<(String, f64)>,
    /// Global norm of the gradients before clipping.
    pub gradient_norm: f32,
}

/// Trains for `steps` steps, or until `observer`, called after every step, stops it. Pictures are decoded and cropped
/// between the steps, and there are no checkpoints. `memory_bytes` is the device memory that the automatic choice of the
/// micro-batch may plan for. With the same micro-batch, the result has the bits of `train`. Afterwards the trainer's
/// parameters are the moving averages, if there are any.
///
/// # Errors
/// Settings out of range; a memory plan that does not fit; a non-finite loss or gradient; pictures that cannot be read;
/// errors of the device and of `observer`.
pub async fn train_in_memory_async(
    context: &Context,
    trainer: &dyn Trainer,
    settings: &TrainingSettings,
    steps: u64,
    memory_bytes: u64,
    mut observer: impl FnMut(&Step) -> Result<ControlFlow<()>>,
) -> Result<()> {
    settings.check()?;
    if steps == 0 {
        return Err(Error::argument("train", "steps", "at least 1", 0));
    }
    let micro = choose_micro_batch(context, trainer, settings, memory_bytes)?;
    let mut training = Training::new(context, trainer, settings.clone(), micro).await?;
    let mut loaders = Vec::new();
    for (index, (folder, crops)) in trainer.streams().into_iter().enumerate() {
        loaders.push(Loader::start(folder, crops, settings.seed.wrapping_add(index as u64), 0, 0)?);
    }
    let names = trainer.terms();
    while training.step < steps {
        let next = |input: usize, number| match loaders.get_mut(input) {
            Some(loader) => trainer.picture(input, number, loader.next()?),
            None => Ok(trainer.labels(number)),
        };
        let (values, gradient_norm) = training.step(steps, next).await?;
        let terms = names.iter().cloned().zip(values).collect();
        let step = Step { step: training.step, loss: training.loss, terms, gradient_norm };
        if observer(&step)?.is_break() {
            break;
        }
    }
    training.take_averages(context, trainer).await
}
