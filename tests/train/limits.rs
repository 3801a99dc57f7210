//! The end of training, and its success.

use std::ops::ControlFlow;
use std::time::Duration;

use impasto::nets::Tap;
use impasto::nets::vgg19::Vgg19Weights;
use impasto::train::encoder::{Encoder, EncoderTrainerSettings};
use impasto::train::{Crops, End, Run, Schedule, TrainingSettings, train};

use crate::{SIZE, TEACHER, choices, context, latest, photos, run, settings, student, teacher};

#[test]
fn a_time_limit_writes_a_checkpoint_and_steps_are_not_repeated() {
    let (_photos, folder) = photos(4, 40);
    let kept = tempfile::tempdir().unwrap();
    let encoder = student(&folder, choices());
    let go = |run: Run| {
        let mut seen = Vec::new();
        let outcome = train(context(), &encoder, &settings(), &run, |progress| {
            seen.push(progress.steps);
            Ok(ControlFlow::Continue(()))
        });
        (outcome.unwrap(), seen)
    };
    let limit = Some(Duration::from_nanos(1));
    let (outcome, seen) = go(Run { limit, ..run(3, kept.path()) });
    assert_eq!((outcome.end, outcome.step, seen), (End::TimeLimit, 1, vec![[1, 3]]));
    assert_eq!(latest(kept.path()).0, 1);
    assert!(outcome.checkpoint.ends_with("step-00000001") && outcome.checkpoint.is_dir());
    assert_eq!(outcome.micro_batch, 2);

    let (outcome, seen) = go(Run { resume: true, ..run(3, kept.path()) });
    assert_eq!((outcome.end, outcome.step, seen), (End::Finished, 3, vec![[2, 3], [3, 3]]));
    let done = latest(kept.path());
    // A run that completes its last step is finished, whatever the time limit.
    let (outcome, seen) = go(Run { resume: true, limit, ..run(4, kept.path()) });
    assert_eq!((outcome.end, outcome.step, seen), (End::Finished, 4, vec![[4, 4]]));
    let loss = outcome.loss;
    let four = latest(kept.path());
    assert!(four.1.tensors != done.1.tensors);

    for steps in [4, 2] {
        let (outcome, seen) = go(Run { resume: true, limit, ..run(steps, kept.path()) });
        assert_eq!((outcome.end, outcome.step, seen), (End::Finished, 4, vec![]));
        assert_eq!(outcome.loss, loss, "that of the last step done");
        assert!(latest(kept.path()) == four, "nothing was done, nothing changed");
    }
}

#[test]
fn training_lowers_the_loss() {
    // Every step sees all pictures, and starts from random filters of a single layer, which can learn much.
    let (_photos, folder) = photos(4, SIZE);
    let kept = tempfile::tempdir().unwrap();
    let crops = Crops { size: SIZE, share: Some([1.0, 1.0]), flip: false };
    let taps = Tap::style().take(1).map(|tap| (tap, 1.0)).collect();
    let choices = EncoderTrainerSettings { crops, taps, calibration: 4, ..choices() };
    let random = Vgg19Weights::random(TEACHER / 2.0, 9);
    let encoder = Encoder::new(context(), teacher(TEACHER, 1), Some(&random), folder, choices, |_| Ok(())).unwrap();
    let settings = TrainingSettings { learning_rate: 1e-2, schedule: Schedule::Constant, clip: None, ..settings() };
    let mut losses = Vec::new();
    let outcome = train(context(), &encoder, &settings, &run(40, kept.path()), |progress| {
        let sum: f64 = progress.terms.iter().map(|(_, value)| value).sum();
        assert!((progress.loss - sum).abs() <= 1e-12 * sum && progress.gradient_norm > 0.0);
        losses.push(progress.loss);
        Ok(ControlFlow::Continue(()))
    });
    let outcome = outcome.unwrap();
    assert_eq!((losses.len(), outcome.loss), (40, losses[39]));
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let [first, last] = [mean(&losses[..5]), mean(&losses[35..])];
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
    assert!(last < 0.8 * first, "from {first} to {last}: {losses:?}");
}
