//! The loop that every trainer shares.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::training::{Training, choose_micro_batch};
use super::{Checkpoint, Lesson, Loader, Settings};
use crate::gpu::Context;
use crate::io::Picture;
use crate::{Error, Result};

/// How long and where: may change when training goes on.
#[derive(Clone, Debug)]
pub struct Run {
    /// Steps in all, those of earlier runs included; the schedule's length.
    pub steps: u64,
    /// Time limit of this run.
    pub limit: Option<Duration>,
    /// Where checkpoints are kept.
    pub folder: PathBuf,
    /// Go on from the newest checkpoint there.
    pub resume: bool,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Threads that decode pictures.
    pub workers: usize,
    /// Device memory that an automatic micro-batch may plan for; one that was chosen stays.
    pub memory_bytes: u64,
}

/// Where training stands, after every step.
pub struct Progress<'a> {
    /// Steps done, and steps in all.
    pub steps: [u64; 2],
    /// The batch's loss.
    pub loss: f64,
    /// Name and value of each term of the loss.
    pub terms: &'a [(String, f64)],
    /// Step size of this step.
    pub learning_rate: f64,
    /// Global norm of the gradients, before clipping.
    pub gradient_norm: f32,
    /// Seconds of training, those of earlier runs included.
    pub seconds: f64,
    /// Pictures of each stream a second, in this run.
    pub pictures_a_second: f64,
    /// Share of this run's time that was spent waiting for pictures.
    pub loader_share: f64,
    lesson: &'a dyn Lesson,
}

impl Progress<'_> {
    /// A picture of what has been learned; costs a pass over the fixed inputs.
    pub fn sample(&self) -> Result<Picture> {
        self.lesson.sample()
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All steps are done.
    Finished,
    /// The time limit was reached.
    TimeLimit,
    /// The observer stopped it.
    Interrupted,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Why it ended.
    pub end: End,
    /// Steps done, those of earlier runs included.
    pub step: u64,
    /// Seconds of training, those of earlier runs included.
    pub seconds: f64,
    /// The last step's loss, be it an earlier run's; NaN before the first step.
    pub loss: f64,
    /// The checkpoint that training can go on from.
    pub checkpoint: PathBuf,
    /// Pictures at a time on the device.
    pub micro_batch: usize,
    /// Peak device memory in bytes, as planned.
    pub peak_bytes: u64,
    /// What the driver has handed out, where the backend can tell.
    pub allocated_bytes: Option<u64>,
    /// Share of the run's time that was spent waiting for pictures.
    pub loader_share: f64,
    /// Pictures that could not be read.
    pub broken: usize,
}

/// The checkpoint to go on from, if the run is to go on from one.
fn begin(settings: &Settings, run: &Run) -> Result<Option<(u64, Checkpoint)>> {
    settings.check()?;
    if run.workers == 0 {
        return Err(Error::argument("train", "workers", "at least 1", 0));
    }
    match (Checkpoint::latest(&run.folder)?, run.resume) {
        (Some(found), true) => Ok(Some(found)),
        (None, true) => {
            let reason = "has no checkpoint to continue from; leave out --resume to start a new training";
            Err(Error::weights(&run.folder, reason))
        }
        (Some((step, _)), false) => {
            let reason =
                format!("has a checkpoint of step {step}; continue from it with --resume, or remove the folder");
            Err(Error::weights(&run.folder, reason))
        }
        (None, false) => Ok(None),
    }
}

/// Finds what [`train`] would refuse whatever the lesson: to be called before a lesson is made, which may take long.
///
/// # Errors
/// Choices out of range, a checkpoint that is missing, damaged or in the way.
pub fn check(settings: &Settings, run: &Run) -> Result<()> {
    begin(settings, run).map(drop)
}

/// Trains until the steps are done, the time is up or `observer`, which sees every step, stops it; a checkpoint is left in
/// any case. With the same device, files and choices the result has the same bits, interrupted and resumed or not.
///
/// # Errors
/// A folder without pictures; choices that are not those of the checkpoint to go on from; a plan that does not fit; a loss or
/// a gradient that is not finite, in which case the last checkpoint is kept; errors of files and device.
pub fn train(
    context: &Context,
    lesson: &dyn Lesson,
    settings: &Settings,
    run: &Run,
    mut observer: impl FnMut(&Progress) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    let found = begin(settings, run)?;
    let mut settings = settings.clone();
    if let Some((_, checkpoint)) = &found {
        // What was chosen by itself stays as it was chosen: other micro-batches would give other bits.
        let then = &checkpoint.header["settings"];
        settings.micro_batch = settings.micro_batch.or(then["micro_batch"].as_u64().map(|micro| micro as usize));
    }
    let micro_batch = choose_micro_batch(context, lesson, &settings, run.memory_bytes)?;
    settings.micro_batch = Some(micro_batch);
    if let Some((_, checkpoint)) = &found {
        settings.check_same(lesson, &run.folder, &checkpoint.header)?;
    }
    let mut training = Training::new(context, lesson, settings.clone(), micro_batch)?;
    if let Some((step, checkpoint)) = &found {
        training.restore(context, lesson, &run.folder, *step, checkpoint)?;
    }
    let mut loaders = Vec::new();
    for (index, (folder, crops)) in lesson.streams().into_iter().enumerate() {
        let first = training.step * settings.batch as u64;
        loaders.push(Loader::start(folder, crops, settings.seed.wrapping_add(index as u64), first, run.workers)?);
    }
    let (began, before, first_step) = (Instant::now(), training.seconds, training.step);
    let waited_share = |loaders: &[Loader]| {
        loaders.iter().map(Loader::waited).sum::<Duration>().as_secs_f64() / began.elapsed().as_secs_f64()
    };
    let (mut end, mut saved) = (End::Finished, None);
    let names = lesson.terms();
    while training.step < run.steps {
        let learning_rate = training.learning_rate(run.steps);
        let (values, gradient_norm) = training.step(run.steps, |input, number| match loaders.get_mut(input) {
            Some(loader) => lesson.picture(input, number, loader.next()?),
            None => Ok(lesson.labels(number)),
        })?;
        let elapsed = began.elapsed().as_secs_f64();
        training.seconds = before + elapsed;
        let terms: Vec<_> = names.iter().cloned().zip(values).collect();
        let progress = Progress {
            steps: [training.step, run.steps],
            loss: training.loss,
            terms: &terms,
            learning_rate,
            gradient_norm,
            seconds: training.seconds,
            pictures_a_second: ((training.step - first_step) * settings.batch as u64) as f64 / elapsed,
            loader_share: waited_share(&loaders),
            lesson,
        };
        let stop = observer(&progress)?.is_break();
        let out_of_time = run.limit.is_some_and(|limit| began.elapsed() >= limit);
        let last = stop || out_of_time || training.step == run.steps;
        if last || training.step.is_multiple_of(run.checkpoint_every.max(1)) {
            saved = Some(training.save(&run.folder, lesson)?);
        }
        if training.step < run.steps && (stop || out_of_time) {
            end = if stop { End::Interrupted } else { End::TimeLimit };
            break;
        }
    }
    let checkpoint = match saved {
        Some(path) => path,
        None => training.save(&run.folder, lesson)?,
    };
    training.take_averages(context, lesson)?;
    Ok(Outcome {
        end,
        step: training.step,
        seconds: training.seconds,
        loss: training.loss,
        checkpoint,
        micro_batch,
        peak_bytes: training.memory().peak_bytes(),
        allocated_bytes: context.allocated_bytes(),
        loader_share: waited_share(&loaders),
        broken: loaders.iter().map(Loader::broken).sum(),
    })
}
