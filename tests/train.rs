//! Tests of training on tiny nets and pictures: a resumed run gives the same bits as an uninterrupted one; the
//! micro-batch affects only memory; failures keep the last checkpoint; and the closed-form initialisation and the
//! exported weights are correct.

#[path = "train/batches.rs"]
mod batches;
#[path = "train/beyond.rs"]
mod beyond;
#[path = "train/body.rs"]
mod body;
#[path = "train/failure.rs"]
mod failure;
#[path = "train/gradients.rs"]
mod gradients;
#[path = "train/limits.rs"]
mod limits;
#[path = "train/painting.rs"]
mod painting;
#[path = "train/resume.rs"]
mod resume;
#[path = "train/start.rs"]
mod start;
#[path = "train/style.rs"]
mod style;
#[path = "train/super_resolution.rs"]
mod super_resolution;
#[path = "train/weights.rs"]
mod weights;

use std::path::Path;
use std::sync::OnceLock;

use impasto::gpu::{Context, ContextOptions};
use impasto::internal::Random;
use impasto::io::{DType, HostTensor, Picture};
use impasto::nets::Tap;
use impasto::nets::vgg19::{Convention, Vgg19Weights};
use impasto::train::encoder::{Encoder, EncoderTrainerSettings};
use impasto::train::{Checkpoint, Crops, Folder, Run, Schedule, TrainingSettings};
use tempfile::TempDir;

/// Side of the training pictures.
const SIZE: usize = 32;
/// Width of the teachers relative to VGG-19.
const TEACHER: f32 = 0.1;

/// One context, shared by all tests.
fn context() -> &'static Context {
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    CONTEXT.get_or_init(|| Context::new(&ContextOptions::default()).unwrap_or_else(|error| panic!("{error}")))
}

/// Waves of random colours with noise.
fn picture(side: usize, seed: u64) -> Picture {
    let mut random = Random::new(seed);
    let mut rgb = Vec::new();
    for _ in 0..3 {
        let [level, across, down, phase] = [0.6, 0.8, 0.8, 6.0].map(|range| range * random.uniform());
        for pixel in 0..side * side {
            let (x, y) = ((pixel % side) as f32, (pixel / side) as f32);
            let wave = (across * x + down * y + phase).sin();
            rgb.push((0.2 + level + 0.25 * wave + 0.15 * random.normal()).clamp(0.0, 1.0));
        }
    }
    Picture::from_rgb(side, side, rgb).unwrap()
}

/// A folder of `count` square photos.
fn photos(count: u64, side: usize) -> (TempDir, Folder) {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..count {
        picture(side, 100 + number).save(&directory.path().join(format!("{number:03}.png"))).unwrap();
    }
    let folder = Folder::scan(&[directory.path().into()]).unwrap();
    (directory, folder)
}

/// A narrow VGG-19 with random weights and a student's padding, so that a student can match it. The filters have mean
/// 0; since all inputs are positive, many channels would otherwise be always or never active.
fn teacher(width: f32, seed: u64) -> Vgg19Weights {
    let tensor = |shape: &[usize], data| HostTensor { shape: shape.to_vec(), dtype: DType::F32, data };
    let eye = (0..9).map(|index| if index % 4 == 0 { 4.0 } else { 0.0 }).collect();
    let input = [tensor(&[3, 3, 1, 1], eye), tensor(&[3], vec![-2.0; 3])];
    let mut weights = Vgg19Weights::random(width, seed);
    for [weight, _] in &mut weights.convolutions {
        let count = weight.data.len() / weight.shape[0];
        for filter in weight.data.chunks_mut(count) {
            let mean = filter.iter().sum::<f32>() / count as f32;
            filter.iter_mut().for_each(|w| *w -= mean);
        }
    }
    Vgg19Weights { convention: Convention::Normalised, input: Some(input), ..weights }
}

/// Pixels at which closed-form starts are fitted: several for each of the unknowns that these narrow nets have.
const POSITIONS: usize = 4_000;

/// A student half as wide as the teachers.
fn choices() -> EncoderTrainerSettings {
    EncoderTrainerSettings {
        width: TEACHER / 2.0,
        crops: Crops { size: SIZE, share: Some([0.5, 1.0]), flip: true },
        calibration: 8,
        positions: POSITIONS,
        ..EncoderTrainerSettings::default()
    }
}

/// All style taps but relu1_1.
fn full_taps() -> Vec<Tap> {
    Tap::style().skip(1).collect()
}

fn student(folder: &Folder, choices: EncoderTrainerSettings) -> Encoder {
    Encoder::new(context(), teacher(TEACHER, 1), None, folder.clone(), choices, |_| Ok(())).unwrap()
}

/// Every setting has an effect: the schedule and the weight decay on later steps, the micro-batch on the order of
/// summation.
fn settings() -> TrainingSettings {
    TrainingSettings {
        batch: 4,
        micro_batch: Some(2),
        learning_rate: 2e-3,
        schedule: Schedule::Cosine { warmup: 2 },
        weight_decay: 1e-3,
        clip: Some(1.0),
        average: Some(0.5),
        seed: 3,
    }
}

fn run(steps: u64, folder: &Path) -> Run {
    Run {
        steps,
        limit: None,
        folder: folder.into(),
        resume: false,
        checkpoint_every: 1000,
        workers: 2,
        memory_bytes: 1 << 30,
    }
}

fn latest(folder: &Path) -> (u64, Checkpoint) {
    Checkpoint::latest(folder).unwrap().expect("a checkpoint")
}

/// All taps of the students.
fn layers() -> Vec<Tap> {
    Tap::all().take(9).collect()
}
