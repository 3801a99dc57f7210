//! The training loop that all trainers share.

use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::training::{Training, choose_micro_batch};
use super::{Checkpoint, Loader, Trainer, TrainingSettings};
use crate::gpu::Context;
use crate::io::Picture;
use crate::{Error, Result};

/// Duration and location of a run. These settings may differ when a run is resumed.
#[derive(Clone, Debug)]
pub struct Run {
    /// Total steps, including those of earlier runs; also the length of the schedule.
    pub steps: u64,
    /// Time limit of this run, checked after each step.
    pub limit: Option<Duration>,
    /// Folder of the checkpoints.
    pub folder: PathBuf,
    /// Whether to resume from the newest checkpoint in `folder`.
    pub resume: bool,
    /// Steps between checkpoints; 0 counts as 1.
    pub checkpoint_every: u64,
    /// Threads per stream that decode pictures, at least 1.
    pub workers: usize,
    /// Device memory in bytes that the automatic choice of the micro-batch may plan for. An explicit micro-batch, or
    /// that of the checkpoint, is kept.
    pub memory_bytes: u64,
}

/// State of the training run after a step.
pub struct Progress<'a> {
    /// Completed steps and total steps.
    pub steps: [u64; 2],
    /// Loss of the batch.
    pub loss: f64,
    /// Name and value of each loss term.
    pub terms: &'a [(String, f64)],
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Global norm of the gradients before clipping.
    pub gradient_norm: f32,
    /// Training time in seconds, including earlier runs.
    pub seconds: f64,
    /// Pictures of each stream per second, in this run.
    pub pictures_a_second: f64,
    /// Share of this run's time spent waiting for pictures.
    pub loader_share: f64,
    trainer: &'a dyn Trainer,
}

impl Progress<'_> {
    /// A sample picture of the current results; runs the net on fixed inputs.
    pub fn sample(&self) -> Result<Picture> {
        self.trainer.sample()
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All steps are completed.
    Finished,
    /// The time limit was reached.
    TimeLimit,
    /// The observer stopped the run.
    Interrupted,
}

/// Result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Why the run ended.
    pub end: End,
    /// Completed steps, including earlier runs.
    pub step: u64,
    /// Training time in seconds, including earlier runs.
    pub seconds: f64,
    /// Loss of the last step, possibly of an earlier run; NaN before the first step.
    pub loss: f64,
    /// Path of the last checkpoint.
    pub checkpoint: PathBuf,
    /// Pictures per micro-batch.
    pub micro_batch: usize,
    /// Planned peak of device memory in bytes.
    pub peak_bytes: u64,
    /// Bytes allocated by the driver; `None` if the backend cannot report them.
    pub allocated_bytes: Option<u64>,
    /// Share of the run's time spent waiting for pictures.
    pub loader_share: f64,
    /// Number of files that could not be read.
    pub broken: usize,
}

/// Checks the settings and loads the checkpoint to resume from, if the run is a resumed one.
fn begin(settings: &TrainingSettings, run: &Run) -> Result<Option<(u64, Checkpoint)>> {
    settings.check()?;
    if run.steps == 0 {
        return Err(Error::argument("train", "steps", "at least 1", 0));
    }
    if run.workers == 0 {
        return Err(Error::argument("train", "workers", "at least 1", 0));
    }
    match (Checkpoint::latest(&run.folder)?, run.resume) {
        (Some(found), true) => Ok(Some(found)),
        (None, true) => {
            let help = "start a new training instead of resuming one";
            Err(Error::weights(&run.folder, "has no checkpoint to continue from").with_help(help))
        }
        (Some((step, _)), false) => {
            let help = "resume that training, or remove the folder";
            Err(Error::weights(&run.folder, format!("has a checkpoint of step {step}")).with_help(help))
        }
        (None, false) => Ok(None),
    }
}

/// Makes the checks of [`train`] that need no trainer: to be called before a trainer is built, which may take long.
///
/// # Errors
/// Settings out of range; a checkpoint that is missing, damaged, or present in a run that is not resumed.
pub fn check(settings: &TrainingSettings, run: &Run) -> Result<()> {
    begin(settings, run).map(drop)
}

/// The lock of a training's folder. It ends with the file, and so with the process.
struct Lock(#[allow(dead_code, reason = "open for as long as the run")] Option<File>);

impl Lock {
    /// Locks the folder, which is created if necessary.
    fn of(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, error))?;
        let path = folder.join(".lock");
        let file = File::create(&path).map_err(|error| Error::file("create", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(Some(file))),
            Err(TryLockError::WouldBlock) => {
                let reason = io::Error::new(io::ErrorKind::ResourceBusy, "another training writes into this folder");
                Err(Error::file("write", folder, reason).with_help("wait for its end, or name another output"))
            }
            // Some network disks have no locks.
            Err(TryLockError::Error(error)) => {
                tracing::debug!("{}: no lock: {error}", path.display());
                Ok(Lock(None))
            }
        }
    }
}

/// Trains until all steps are completed, the time limit is reached or `observer`, called after every step, stops the
/// run. A checkpoint is written in each case. With the same device, files and settings the result has the same bits,
/// whether the run was interrupted and resumed or not. Afterwards the trainer's parameters are the moving averages, if
/// there are any.
///
/// # Errors
/// Those of [`check`]; a folder in which another run trains at this time; a folder without readable pictures; settings that differ from those of the resumed checkpoint; a
/// memory plan that does not fit; a non-finite loss or gradient, in which case the last checkpoint is kept; errors of
/// files, of the device and of `observer`.
pub fn train(
    context: &Context,
    trainer: &dyn Trainer,
    settings: &TrainingSettings,
    run: &Run,
    mut observer: impl FnMut(&Progress) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    let found = begin(settings, run)?;
    let mut settings = settings.clone();
    if let Some((_, checkpoint)) = &found {
        // A micro-batch that was chosen automatically is kept: another one would change the bits of the result.
        let then = &checkpoint.header["settings"];
        settings.micro_batch = settings.micro_batch.or(then["micro_batch"].as_u64().map(|micro| micro as usize));
    }
    let micro_batch = choose_micro_batch(context, trainer, &settings, run.memory_bytes)?;
    settings.micro_batch = Some(micro_batch);
    if let Some((_, checkpoint)) = &found {
        settings.check_same(trainer, &run.folder, &checkpoint.header)?;
    }
    let _lock = Lock::of(&run.folder)?;
    let mut training = context.block_on(Training::new(context, trainer, settings.clone(), micro_batch))?;
    if let Some((step, checkpoint)) = &found {
        training.restore(context, trainer, &run.folder, *step, checkpoint)?;
    }
    let mut loaders = Vec::new();
    for (index, (folder, crops)) in trainer.streams().into_iter().enumerate() {
        let first = training.step * settings.batch as u64;
        loaders.push(Loader::start(folder, crops, settings.seed.wrapping_add(index as u64), first, run.workers)?);
    }
    let (began, before, first_step) = (Instant::now(), training.seconds, training.step);
    let waited_share = |loaders: &[Loader]| {
        loaders.iter().map(Loader::waited).sum::<Duration>().as_secs_f64() / began.elapsed().as_secs_f64()
    };
    let (mut end, mut saved) = (End::Finished, None);
    let names = trainer.terms();
    while training.step < run.steps {
        let learning_rate = training.learning_rate(run.steps);
        let next = |input: usize, number| match loaders.get_mut(input) {
            Some(loader) => trainer.picture(input, number, loader.next()?),
            None => Ok(trainer.labels(number)),
        };
        let (values, gradient_norm) = context.block_on(training.step(run.steps, next))?;
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
            trainer,
        };
        let stop = observer(&progress)?.is_break();
        let out_of_time = run.limit.is_some_and(|limit| began.elapsed() >= limit);
        let last = stop || out_of_time || training.step == run.steps;
        if last || training.step.is_multiple_of(run.checkpoint_every.max(1)) {
            saved = Some(training.save(&run.folder, trainer)?);
        }
        if training.step < run.steps && (stop || out_of_time) {
            end = if stop { End::Interrupted } else { End::TimeLimit };
            break;
        }
    }
    let checkpoint = match saved {
        Some(path) => path,
        None => training.save(&run.folder, trainer)?,
    };
    context.block_on(training.take_averages(context, trainer))?;
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
