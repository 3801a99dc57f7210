//! Training pictures that the student paints.
//!
//! Gatys' method optimises a picture against the net's features, so it exposes errors of the net that photos do not.
//! The student therefore repaints a picture at regular intervals, in its current state. Every other training picture is
//! then one of these paintings, finished or at an intermediate stage.

use std::cell::RefCell;
use std::ops::ControlFlow;

use super::EncoderTrainerSettings;
use crate::Result;
use crate::gpu::{Context, DeviceTensor};
use crate::io::Picture;
use crate::methods::gatys::{self, GatysSettings};
use crate::nets::Vgg19;
use crate::train::dataset::{Purpose, below, generator};
use crate::train::{Folder, Loader};

/// Settings of the student's paintings.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Painting {
    /// Source of the style pictures; the content pictures are the training pictures.
    #[serde(serialize_with = "count")]
    pub styles: Folder,
    /// Training pictures between two paintings, at least 1.
    pub every: u64,
    /// Evaluations of Gatys' method for a painting, at least 1.
    pub steps: usize,
}

fn count<S: serde::Serializer>(folder: &Folder, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(folder.len() as u64)
}

impl Painting {
    /// Paintings in the styles of a folder: one for every 128 training pictures, with 40 evaluations.
    pub fn of(styles: Folder) -> Self {
        Painting { styles, every: 128, steps: 40 }
    }
}

/// Pictures stored of each painting; the last is the finished one.
const STAGES: usize = 4;
/// Number of paintings stored.
const PAINTINGS: usize = 16;

/// The most recent paintings, and the sources of the next ones.
pub(super) struct PaintingPool {
    choices: Painting,
    seed: u64,
    /// Loaders of contents and styles, positioned at the next painting's number.
    sources: RefCell<Option<[Loader; 2]>>,
    /// A ring buffer of paintings with `STAGES` pictures each.
    pictures: Vec<DeviceTensor>,
}

impl PaintingPool {
    pub(super) fn new(context: &Context, choices: Painting, settings: &EncoderTrainerSettings) -> Self {
        let size = settings.crops.size;
        let picture = |number| DeviceTensor::new(context, format!("painted {number}"), [1, 3, size, size]);
        let pictures = (0..STAGES * PAINTINGS).map(picture).collect();
        PaintingPool { choices, seed: settings.seed, sources: RefCell::default(), pictures }
    }

    /// Tensors that a checkpoint must store.
    pub(super) fn state(&self) -> Vec<(String, DeviceTensor)> {
        self.pictures.iter().map(|tensor| (tensor.name().to_string(), tensor.clone())).collect()
    }

    /// The number of the painting that is due before training picture `number`, if one is.
    pub(super) fn due(&self, number: u64) -> Option<u64> {
        number.is_multiple_of(self.choices.every).then_some(number / self.choices.every)
    }

    /// Paints picture `number` with the features of `net`, the current student.
    pub(super) fn paint(
        &self,
        number: u64,
        net: &Vgg19,
        contents: &Folder,
        settings: &EncoderTrainerSettings,
    ) -> Result<()> {
        let [content, style] = self.sources(number, contents, settings)?;
        let mut stages = Vec::new();
        let choices = GatysSettings {
            content_taps: vec![(settings.deepest()?, 1.0)],
            style_taps: settings.taps.iter().map(|(tap, _)| (*tap, 1.0)).collect(),
            steps: self.choices.steps,
            size: settings.crops.size,
            scales: Some(1),
            ..GatysSettings::default()
        };
        let painted = gatys::stylize(net, &content, &[style.into()], &choices, |progress| {
            let [done, most] = progress.evaluations;
            let is_due = stages.len() + 1 < STAGES && done * STAGES >= most * (stages.len() + 1);
            if is_due && progress.windows.is_none() {
                stages.push(progress.picture()?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        stages.resize(STAGES, painted.picture);
        let first = number as usize % PAINTINGS * STAGES;
        self.pictures[first..].iter().zip(stages).try_for_each(|(tensor, stage)| tensor.write(&stage.rgb))
    }

    fn sources(&self, number: u64, contents: &Folder, settings: &EncoderTrainerSettings) -> Result<[Picture; 2]> {
        let mut sources = self.sources.borrow_mut();
        let size = settings.crops.size;
        // The loaders are restarted if a run starts at another number, or if several runs use the same trainer.
        let ready = sources.take().filter(|loaders| loaders[0].number() == number);
        let start = |folder: &Folder, purpose: u64| {
            Loader::start(folder.clone(), settings.crops.clone(), self.seed ^ purpose, number, 1)
        };
        let loaders = match ready {
            Some(loaders) => sources.insert(loaders),
            None => sources.insert([start(contents, 0xc0)?, start(&self.choices.styles, 0x57)?]),
        };
        let [content, style] = loaders.each_mut().map(Loader::next);
        Ok([Picture::from_rgb(size, size, content?)?, Picture::from_rgb(size, size, style?)?])
    }

    /// Training picture `number`: every other one is a random painting, the others are `found`.
    pub(super) fn picture(&self, number: u64, found: Vec<f32>) -> Result<Vec<f32>> {
        if number.is_multiple_of(2) {
            return Ok(found);
        }
        let filled = (1 + number / self.choices.every).min(PAINTINGS as u64) as usize * STAGES;
        self.pictures[below(generator(self.seed, Purpose::Painted, number).bits(), filled)].read()
    }

    /// The finished pictures of all paintings stored; black where none has been painted yet.
    pub(super) fn finished(&self) -> impl Iterator<Item = &DeviceTensor> {
        self.pictures.iter().skip(STAGES - 1).step_by(STAGES)
    }
}
