//! The loop that every trainer shares.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Checkpoint, Crops, Folder, Loader, Schedule};
use crate::gpu::{Context, DeviceTensor, Memory, Program, Recorder, Tensor};
use crate::io::{HostTensor, Picture};
use crate::optim::{AdamOptions, Parameter, ParameterAdam};
use crate::{Error, Result};

/// What a trainer adds to the shared loop: its pictures, its loss, its parameters.
pub trait Lesson {
    /// The pictures that a step reads: a stream for each kind, in the order in which [`Lesson::record`] gets them.
    fn streams(&self) -> Vec<(Folder, Crops)>;

    /// The names of the loss's terms. Their sum is the loss.
    fn terms(&self) -> Vec<String>;

    /// What is trained.
    fn parameters(&self) -> Vec<Parameter>;

    /// What else must be as it was when training goes on: statistics that a forward pass updates.
    fn state(&self) -> Vec<(String, DeviceTensor)> {
        Vec::new()
    }

    /// Records forward and backward of one micro-batch: the loss's terms into `losses`, the gradients added to those of the
    /// parameters, both times `share`, the micro-batch's part of the batch. `pictures` are `[N, 3, S, S]`, RGB 0..1.
    fn record(&self, rec: &mut Recorder, pictures: &[Tensor], losses: Tensor, share: f32) -> Result<()>;

    /// Records what is due when the parameters have changed: packing them for the kernels.
    fn refresh(&self, rec: &mut Recorder) -> Result<()>;

    /// A picture of what has been learned so far, on fixed inputs.
    fn sample(&self) -> Result<Picture>;

    /// Its choices: training goes on only with the same ones.
    fn settings(&self) -> serde_json::Value;
}

/// What can be chosen about the loop, and must stay the same for training to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Pictures a step, of each stream.
    pub batch: usize,
    /// Pictures at a time on the device, a divisor of `batch`; `None`: as many as fit [`Run::memory_bytes`].
    pub micro_batch: Option<usize>,
    /// Step size at the schedule's height.
    pub learning_rate: f64,
    /// How the step size changes.
    pub schedule: Schedule,
    /// Decoupled weight decay (arXiv:1711.05101).
    pub weight_decay: f32,
    /// Largest global norm of the gradients; larger ones are scaled down to it.
    pub clip: Option<f32>,
    /// Seed of the pictures' order and crops.
    pub seed: u64,
}

impl Default for Settings {
    /// Batches of 8 by Adam at 1e-3.
    fn default() -> Self {
        Settings {
            batch: 8,
            micro_batch: None,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            clip: None,
            seed: 0,
        }
    }
}

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
    /// The last step's loss; NaN if there was none.
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

/// One micro-batch as a program.
struct Pass {
    program: Program,
    pictures: Vec<DeviceTensor>,
    losses: DeviceTensor,
}

fn record_pass(
    context: &Context,
    lesson: &dyn Lesson,
    batch: usize,
    micro: usize,
) -> Result<(Recorder, Vec<DeviceTensor>, DeviceTensor)> {
    let pictures: Vec<_> = lesson
        .streams()
        .iter()
        .enumerate()
        .map(|(index, (_, crops))| {
            DeviceTensor::new(context, format!("pictures {index}"), [micro, 3, crops.size, crops.size])
        })
        .collect();
    let losses = DeviceTensor::new(context, "loss terms", [lesson.terms().len()]);
    let mut rec = Recorder::new(context);
    let inputs: Vec<_> = pictures.iter().map(|tensor| rec.pin(tensor)).collect();
    let slots = rec.pin(&losses);
    lesson.record(&mut rec, &inputs, slots, micro as f32 / batch as f32)?;
    Ok((rec, pictures, losses))
}

/// The largest divisor of the batch whose plan fits; one picture is tried whatever it needs.
fn choose_micro_batch(context: &Context, lesson: &dyn Lesson, settings: &Settings, memory_bytes: u64) -> Result<usize> {
    if let Some(micro) = settings.micro_batch {
        return Ok(micro);
    }
    for micro in (2..=settings.batch).rev().filter(|micro| settings.batch.is_multiple_of(*micro)) {
        let memory = record_pass(context, lesson, settings.batch, micro).and_then(|(rec, ..)| rec.memory());
        match memory {
            Ok(memory) if memory.peak_bytes() <= memory_bytes => return Ok(micro),
            Ok(_) | Err(Error::TooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(1)
}

impl Settings {
    fn check(&self) -> Result<()> {
        let refuse = |argument, expected, got: String| Err(Error::argument("train", argument, expected, got));
        if self.batch == 0 {
            return refuse("batch", "at least 1", "0".into());
        }
        if let Some(micro) = self.micro_batch.filter(|&micro| micro == 0 || !self.batch.is_multiple_of(micro)) {
            return refuse("micro-batch", "a divisor of the batch", format!("{micro} of {}", self.batch));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return refuse("learning-rate", "above 0", self.learning_rate.to_string());
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return refuse("weight-decay", "a number from 0 up", self.weight_decay.to_string());
        }
        match self.clip {
            Some(clip) if !(clip > 0.0 && clip.is_finite()) => refuse("clip", "above 0", clip.to_string()),
            _ => Ok(()),
        }
    }
}

/// The state of a run in memory: what a checkpoint keeps, and the programs that change it.
pub(crate) struct Training {
    parameters: Vec<Parameter>,
    settings: Settings,
    pass: Pass,
    adam: ParameterAdam,
    update: Program,
    /// Everything that a checkpoint keeps, by name.
    kept: Vec<(String, DeviceTensor)>,
    step: u64,
    seconds: f64,
}

impl Training {
    pub(crate) fn new(context: &Context, lesson: &dyn Lesson, settings: Settings, micro: usize) -> Result<Self> {
        let (rec, pictures, losses) = record_pass(context, lesson, settings.batch, micro)?;
        let pass = Pass { program: rec.finish()?, pictures, losses };
        let parameters = lesson.parameters();
        let options = AdamOptions {
            learning_rate: settings.learning_rate as f32,
            weight_decay: settings.weight_decay,
            clip: settings.clip,
            ..AdamOptions::default()
        };
        let mut adam = ParameterAdam::new(context, &parameters, options)?;
        let mut rec = Recorder::new(context);
        adam.record(&mut rec)?;
        lesson.refresh(&mut rec)?;
        let update = rec.finish()?;
        let mut kept: Vec<_> = parameters.iter().map(|p| (p.name.clone(), p.value.clone())).collect();
        kept.extend(adam.state());
        kept.extend(lesson.state());
        Ok(Training { parameters, settings, pass, adam, update, kept, step: 0, seconds: 0.0 })
    }

    fn header(&self, lesson: &dyn Lesson) -> Result<serde_json::Value> {
        let settings = serde_json::to_value(&self.settings);
        let settings = settings.map_err(|error| Error::argument("checkpoint", "settings", "JSON", error))?;
        Ok(serde_json::json!({
            "step": self.step, "seconds": self.seconds,
            "settings": settings, "lesson": lesson.settings(),
        }))
    }

    fn save(&self, run: &Run, lesson: &dyn Lesson) -> Result<PathBuf> {
        let tensors = self
            .kept
            .iter()
            .map(|(name, tensor)| Ok((name.clone(), HostTensor::new(tensor.shape().dims(), tensor.read()?)?)));
        let checkpoint = Checkpoint { header: self.header(lesson)?, tensors: tensors.collect::<Result<_>>()? };
        checkpoint.save(&run.folder, self.step, 2)
    }

    /// Takes up a checkpoint: its tensors, its step, its time.
    fn restore(
        &mut self,
        context: &Context,
        lesson: &dyn Lesson,
        folder: &std::path::Path,
        checkpoint: &Checkpoint,
    ) -> Result<()> {
        for (name, tensor) in &self.kept {
            let found = checkpoint.tensors.iter().find(|(other, _)| other == name).map(|(_, found)| found);
            let Some(found) = found.filter(|found| found.shape == tensor.shape().dims()) else {
                let reason = format!("holds no tensor {name} of shape {}; it is another training's", tensor.shape());
                return Err(Error::weights(folder, reason));
            };
            tensor.write(&found.data)?;
        }
        self.step = checkpoint.header["step"].as_u64().unwrap_or(0);
        self.seconds = checkpoint.header["seconds"].as_f64().unwrap_or(0.0);
        let mut rec = Recorder::new(context);
        lesson.refresh(&mut rec)?;
        rec.finish()?.run()
    }

    /// One step of `steps`: every micro-batch, then the update. `next` gives the next picture of a stream. Gives the loss's
    /// terms and the norm of the gradients.
    pub(crate) fn step(
        &mut self,
        steps: u64,
        mut next: impl FnMut(usize) -> Result<Vec<f32>>,
    ) -> Result<(Vec<f64>, f32)> {
        let mut sums = vec![0.0; self.pass.losses.shape().count()];
        let micro = self.pass.pictures.first().map_or(1, |tensor| tensor.shape().dims()[0]);
        for _ in 0..self.settings.batch / micro {
            for (stream, tensor) in self.pass.pictures.iter().enumerate() {
                let mut values = Vec::with_capacity(tensor.shape().count());
                for _ in 0..micro {
                    values.extend(next(stream)?);
                }
                tensor.write(&values)?;
            }
            self.pass.program.submit()?;
            for (sum, value) in sums.iter_mut().zip(self.pass.losses.read()?) {
                *sum += f64::from(value);
            }
            if sums.iter().any(|value| !value.is_finite()) {
                return Err(self.blame("the loss"));
            }
        }
        self.adam.set(&self.update, self.step + 1, self.learning_rate(steps) as f32);
        self.update.submit()?;
        self.step += 1;
        let norm = self.adam.norm()?;
        if !norm.is_finite() {
            return Err(self.blame_gradient());
        }
        Ok((sums, norm))
    }

    /// Floating-point operations and bytes touched of one step.
    pub(crate) fn work(&self) -> [u64; 2] {
        let micro = self.pass.pictures.first().map_or(1, |tensor| tensor.shape().dims()[0]);
        let passes = (self.settings.batch / micro) as u64;
        [Program::flops, Program::bytes].map(|of| passes * of(&self.pass.program) + of(&self.update))
    }

    fn learning_rate(&self, steps: u64) -> f64 {
        self.settings.schedule.at(self.settings.learning_rate, self.step, steps)
    }

    /// Finds which dispatch made a value that is not finite in the step under way.
    fn blame(&self, what: &str) -> Error {
        let cleared = self.pass.losses.write(&vec![0.0; self.pass.losses.shape().count()]);
        let place = match cleared.and_then(|()| self.pass.program.find_non_finite()) {
            Err(error) => return error,
            Ok(place) => place.unwrap_or_else(|| "the sum of the loss terms".into()),
        };
        self.not_finite(what, self.step + 1, place)
    }

    /// Finds which parameter's gradient was not finite in the step just done, by what it left in the moments: the gradients
    /// themselves are gone.
    fn blame_gradient(&self) -> Error {
        let mut place = "the global norm".to_string();
        let parameters = &self.parameters;
        for (parameter, moments) in parameters.iter().zip(self.adam.state().chunks(2)) {
            let mut broken = false;
            for (_, moment) in moments {
                match moment.read() {
                    Err(error) => return error,
                    Ok(values) => broken |= values.iter().any(|value| !value.is_finite()),
                }
            }
            if broken {
                place = format!("that of {}", parameter.name);
                break;
            }
        }
        self.not_finite("the gradient", self.step, place)
    }

    fn not_finite(&self, what: &str, step: u64, place: String) -> Error {
        let help = "lower --learning-rate or --clip; the last checkpoint is kept, --resume goes on from it".into();
        Error::NonFinite { what: format!("{what} at step {step}"), place, help }
    }

    fn memory(&self) -> Memory {
        self.pass.program.memory().clone().join(self.update.memory().clone())
    }
}

/// A choice as it was written: what was an f32 without the digits that f64 adds.
fn shown(value: &serde_json::Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && f64::from(number as f32) == number => format!("{:?}", number as f32),
        _ => value.to_string(),
    }
}

/// Refuses to go on with other choices than those a checkpoint was made with.
fn check_same(folder: &std::path::Path, then: &serde_json::Value, now: &serde_json::Value, path: &str) -> Result<()> {
    match (then, now) {
        (serde_json::Value::Object(a), serde_json::Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            let null = serde_json::Value::Null;
            let at = |map: &'_ serde_json::Map<String, serde_json::Value>, key: &String| map.get(key).cloned();
            for key in keys {
                let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let [then, now] = [at(a, key), at(b, key)].map(|value| value.unwrap_or_else(|| null.clone()));
                check_same(folder, &then, &now, &name)?;
            }
            Ok(())
        }
        _ if then == now => Ok(()),
        _ => {
            let [then, now] = [then, now].map(shown);
            let reason = format!(
                "was trained with {path} {then}, and {now} is asked for: --resume goes on with the same choices \
                 (remove the folder to begin anew)"
            );
            Err(Error::weights(folder, reason))
        }
    }
}

/// The checkpoint to go on from, if the run is to go on from one.
fn begin(settings: &Settings, run: &Run) -> Result<Option<Checkpoint>> {
    settings.check()?;
    if run.workers == 0 {
        return Err(Error::argument("train", "workers", "at least 1", 0));
    }
    match (Checkpoint::latest(&run.folder)?, run.resume) {
        (Some((_, checkpoint)), true) => Ok(Some(checkpoint)),
        (None, true) => {
            let reason = "holds no checkpoint to go on from; leave out --resume to begin";
            Err(Error::weights(&run.folder, reason))
        }
        (Some((step, _)), false) => {
            let reason = format!("holds a checkpoint of step {step}; --resume goes on from it, or remove the folder");
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
    if let Some(checkpoint) = &found {
        // What was chosen by itself stays as it was chosen: other micro-batches would give other bits.
        let then = &checkpoint.header["settings"];
        settings.micro_batch = settings.micro_batch.or(then["micro_batch"].as_u64().map(|micro| micro as usize));
    }
    settings.micro_batch = Some(choose_micro_batch(context, lesson, &settings, run.memory_bytes)?);
    let micro_batch = settings.micro_batch.unwrap_or(1);
    let mut training = Training::new(context, lesson, settings.clone(), micro_batch)?;
    if let Some(checkpoint) = &found {
        let now = training.header(lesson)?;
        for part in ["settings", "lesson"] {
            check_same(&run.folder, &checkpoint.header[part], &now[part], "")?;
        }
        training.restore(context, lesson, &run.folder, checkpoint)?;
    }
    let mut loaders = Vec::new();
    for (index, (folder, crops)) in lesson.streams().into_iter().enumerate() {
        let first = training.step * settings.batch as u64;
        loaders.push(Loader::start(folder, crops, settings.seed.wrapping_add(index as u64), first, run.workers)?);
    }
    let (began, before, first_step) = (Instant::now(), training.seconds, training.step);
    let mut saved = None;
    let mut outcome = Outcome {
        end: End::Finished,
        step: training.step,
        seconds: before,
        loss: f64::NAN,
        checkpoint: run.folder.clone(),
        micro_batch,
        peak_bytes: training.memory().peak_bytes(),
        allocated_bytes: None,
        loader_share: 0.0,
        broken: 0,
    };
    let names = lesson.terms();
    while training.step < run.steps {
        let learning_rate = training.learning_rate(run.steps);
        let (values, gradient_norm) = training.step(run.steps, |stream| loaders[stream].next())?;
        let elapsed = began.elapsed();
        training.seconds = before + elapsed.as_secs_f64();
        let waited: Duration = loaders.iter().map(Loader::waited).sum();
        let terms: Vec<_> = names.iter().cloned().zip(values).collect();
        outcome.loss = terms.iter().map(|(_, value)| value).sum();
        outcome.loader_share = waited.as_secs_f64() / elapsed.as_secs_f64();
        let progress = Progress {
            steps: [training.step, run.steps],
            loss: outcome.loss,
            terms: &terms,
            learning_rate,
            gradient_norm,
            seconds: training.seconds,
            pictures_a_second: ((training.step - first_step) * settings.batch as u64) as f64 / elapsed.as_secs_f64(),
            loader_share: outcome.loader_share,
            lesson,
        };
        let stop = observer(&progress)?.is_break();
        let out_of_time = run.limit.is_some_and(|limit| began.elapsed() >= limit);
        let last = stop || out_of_time || training.step == run.steps;
        if last || training.step.is_multiple_of(run.checkpoint_every.max(1)) {
            saved = Some(training.save(run, lesson)?);
        }
        if training.step < run.steps && (stop || out_of_time) {
            outcome.end = if stop { End::Interrupted } else { End::TimeLimit };
            break;
        }
    }
    outcome.checkpoint = match saved {
        Some(path) => path,
        None => training.save(run, lesson)?,
    };
    outcome.step = training.step;
    outcome.seconds = training.seconds;
    outcome.allocated_bytes = context.allocated_bytes();
    outcome.broken = loaders.iter().map(Loader::broken).sum();
    Ok(outcome)
}
