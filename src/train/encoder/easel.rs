//! Pictures that the student paints, to learn from.
//!
//! Gatys' method seeks what a net cannot tell from a painting, so it finds the net's mistakes where photos make none. To learn
//! of them the student, as it stands, repaints a picture every so often, and from then on every other picture that it learns
//! from is one that it painted, whole or half done.

use std::cell::RefCell;
use std::ops::ControlFlow;

use super::Settings;
use crate::Result;
use crate::gpu::{Context, DeviceTensor};
use crate::io::Picture;
use crate::methods::gatys;
use crate::nets::Vgg19;
use crate::train::dataset::{Purpose, below, generator};
use crate::train::{Folder, Loader};

/// What can be chosen.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Painting {
    /// Where styles come from; contents come from the pictures to learn from.
    #[serde(serialize_with = "count")]
    pub styles: Folder,
    /// Pictures learned from between one painting and the next, at least 1.
    pub every: u64,
    /// Evaluations of Gatys' method for a painting.
    pub steps: usize,
}

fn count<S: serde::Serializer>(folder: &Folder, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(folder.len() as u64)
}

impl Painting {
    /// In the styles of a folder, as the net was trained that Gatys' method sees by.
    pub fn of(styles: Folder) -> Self {
        Painting { styles, every: 128, steps: 40 }
    }
}

/// Pictures kept of each painting: the last is the finished one.
const STAGES: usize = 4;
/// Paintings kept.
const PAINTINGS: usize = 16;

/// The pictures painted last, and what the next ones are made from.
pub(super) struct Easel {
    choices: Painting,
    seed: u64,
    /// Contents and styles for the paintings from that number on.
    sources: RefCell<Option<[Loader; 2]>>,
    /// Painting `n` fills the `n`th group of stages, over and over.
    pictures: Vec<DeviceTensor>,
}

impl Easel {
    pub(super) fn new(context: &Context, choices: Painting, settings: &Settings) -> Self {
        let size = settings.crops.size;
        let picture = |number| DeviceTensor::new(context, format!("painted {number}"), [1, 3, size, size]);
        let pictures = (0..STAGES * PAINTINGS).map(picture).collect();
        Easel { choices, seed: settings.seed, sources: RefCell::default(), pictures }
    }

    /// What training that goes on must have again.
    pub(super) fn state(&self) -> Vec<(String, DeviceTensor)> {
        self.pictures.iter().map(|tensor| (tensor.name().to_string(), tensor.clone())).collect()
    }

    /// The number of the painting that is due before picture `number` is learned from.
    pub(super) fn due(&self, number: u64) -> Option<u64> {
        number.is_multiple_of(self.choices.every).then_some(number / self.choices.every)
    }

    /// Makes painting `number`, with `net` as it sees now.
    pub(super) fn paint(&self, number: u64, net: &Vgg19, contents: &Folder, settings: &Settings) -> Result<()> {
        let [content, style] = self.sources(number, contents, settings)?;
        let mut stages = Vec::new();
        let choices = gatys::Settings {
            content_taps: vec![(settings.deepest()?, 1.0)],
            style_taps: settings.taps.iter().map(|(tap, _)| (*tap, 1.0)).collect(),
            steps: self.choices.steps,
            size: settings.crops.size,
            scales: Some(1),
            ..gatys::Settings::default()
        };
        let painted = gatys::stylize(net, &content, &[(style, 1.0)], &choices, |progress| {
            let [done, most] = progress.evaluations;
            if stages.len() + 1 < STAGES && done * STAGES >= most * (stages.len() + 1) {
                stages.push(progress.picture()?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        stages.resize(STAGES, painted.picture);
        let first = number as usize % PAINTINGS * STAGES;
        self.pictures[first..].iter().zip(stages).try_for_each(|(tensor, stage)| tensor.write(&stage.rgb))
    }

    fn sources(&self, number: u64, contents: &Folder, settings: &Settings) -> Result<[Picture; 2]> {
        let mut sources = self.sources.borrow_mut();
        let size = settings.crops.size;
        // A run may begin anywhere, and one lesson be taught in several.
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

    /// What is learned from as picture `number`: one that was painted, every other time.
    pub(super) fn picture(&self, number: u64, found: Vec<f32>) -> Result<Vec<f32>> {
        if number.is_multiple_of(2) {
            return Ok(found);
        }
        let filled = (1 + number / self.choices.every).min(PAINTINGS as u64) as usize * STAGES;
        self.pictures[below(generator(self.seed, Purpose::Painted, number).bits(), filled)].read()
    }

    /// The paintings that are kept, finished ones alone; black where there are none yet.
    pub(super) fn finished(&self) -> impl Iterator<Item = &DeviceTensor> {
        self.pictures.iter().skip(STAGES - 1).step_by(STAGES)
    }
}
