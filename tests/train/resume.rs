//! Resuming from a checkpoint.

use std::ops::ControlFlow;
use std::path::Path;

use impasto::nets::vgg19::Vgg19Weights;
use impasto::train::encoder::{Encoder, EncoderTrainerSettings, Painting};
use impasto::train::{Checkpoint, End, Folder, Run, TrainingSettings, train};

use crate::{TEACHER, choices, context, latest, photos, run, settings, student, teacher};

/// Tensors that must agree bit by bit: the checkpoint's and the exported ones.
type Bits = Vec<(String, Vec<usize>, Vec<u32>)>;

fn bits(encoder: &Encoder, folder: &Path) -> Bits {
    let (_, checkpoint) = latest(folder);
    let exported = encoder.weights().unwrap().tensors();
    let all =
        checkpoint.tensors.into_iter().chain(exported.into_iter().map(|(name, t)| (format!("exported {name}"), t)));
    all.map(|(name, t)| (name, t.shape, t.data.iter().map(|v| v.to_bits()).collect())).collect()
}

/// Trains a student, new or resumed from the run's checkpoint, until its observer stops the run after step `stop`.
fn teach(folder: &Folder, settings: &TrainingSettings, run: &Run, stop: Option<u64>) -> (Encoder, End) {
    teach_with(choices(), folder, settings, run, stop)
}

fn teach_with(
    choices: EncoderTrainerSettings,
    folder: &Folder,
    settings: &TrainingSettings,
    run: &Run,
    stop: Option<u64>,
) -> (Encoder, End) {
    let encoder = if run.resume {
        let (_, checkpoint) = latest(&run.folder);
        Encoder::resumed(context(), teacher(TEACHER, 1), None, &checkpoint, folder.clone(), choices).unwrap()
    } else {
        student(folder, choices)
    };
    let outcome = train(context(), &encoder, settings, run, |progress| {
        let stop = stop == Some(progress.steps[0]);
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    (encoder, outcome.unwrap().end)
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    let (_photos, folder) = photos(5, 40);
    let [whole, parts, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (encoder, end) = teach(&folder, &settings(), &run(5, whole.path()), None);
    assert_eq!(end, End::Finished);
    let expected = bits(&encoder, whole.path());
    // Weight and bias of nine layers and four lifts, with two moments and an average each; the scales of the teacher's
    // layers; the exported net, which has one further layer in front and no lifts.
    assert_eq!(expected.len(), 4 * 2 * (9 + 4) + 9 + 2 * 10);

    let (stopped, end) = teach(&folder, &settings(), &run(5, parts.path()), Some(2));
    assert_eq!((end, latest(parts.path()).0), (End::Interrupted, 2));
    assert!(bits(&stopped, parts.path()) != expected);
    let (resumed, end) = teach(&folder, &settings(), &Run { resume: true, ..run(5, parts.path()) }, None);
    assert_eq!((end, latest(parts.path()).0), (End::Finished, 5));
    let got = bits(&resumed, parts.path());
    for (got, expected) in got.iter().zip(&expected) {
        assert!(got == expected, "{} {:?} differs", got.0, got.1);
    }
    assert_eq!(got.len(), expected.len());

    let (encoder, _) = teach(&folder, &TrainingSettings { seed: 4, ..settings() }, &run(5, other.path()), None);
    let trained = |(name, ..): &&(String, Vec<usize>, Vec<u32>)| {
        !name.starts_with("exported conv0") && !name.starts_with("teacher")
    };
    for (got, expected) in bits(&encoder, other.path()).iter().zip(&expected).filter(|(got, _)| trained(got)) {
        assert!(got != expected, "{} is the same with another seed", got.0);
    }
}

#[test]
fn a_resumed_painting_student_with_full_taps_has_the_same_bits() {
    let (_photos, folder) = photos(5, 40);
    let [whole, parts, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    // Paintings are due in the first, third and fifth step, also in the middle of a batch.
    let painting = Some(Painting { every: 9, steps: 3, ..Painting::of(folder.clone()) });
    let choices = || EncoderTrainerSettings { painting: painting.clone(), full: crate::full_taps(), ..choices() };
    let teach = |run: &Run, stop| teach_with(choices(), &folder, &settings(), run, stop);
    let (encoder, _) = teach(&run(5, whole.path()), None);
    let expected = bits(&encoder, whole.path());
    let painted = |(name, ..): &&(String, Vec<usize>, Vec<u32>)| name.starts_with("painted ");
    let filled = expected.iter().filter(painted).filter(|(.., bits)| bits.iter().any(|bits| *bits != 0)).count();
    assert_eq!((expected.iter().filter(painted).count(), filled), (4 * 16, 4 * 3));

    teach(&run(5, parts.path()), Some(2));
    let (resumed, _) = teach(&Run { resume: true, ..run(5, parts.path()) }, None);
    let got = bits(&resumed, parts.path());
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(&expected) {
        assert!(got == expected, "{} {:?} differs", got.0, got.1);
    }

    // The paintings affect the training.
    let plain = EncoderTrainerSettings { painting: None, ..choices() };
    let (encoder, _) = teach_with(plain.clone(), &folder, &settings(), &run(5, other.path()), None);
    let unpainted = bits(&encoder, other.path());
    let first = |all: &Bits| all.iter().find(|(name, ..)| name == "conv1_1.weight").cloned().unwrap();
    assert!(first(&unpainted) != first(&expected));
    let other = Run { resume: true, ..run(6, parts.path()) };
    let refused = train(context(), &student(&folder, plain), &settings(), &other, |_| Ok(ControlFlow::Continue(())));
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains("encoder.painting {\"every\":9,\"steps\":3,\"styles\":5}, but null is given now"),
        "{message}"
    );
}

#[test]
fn other_settings_and_missing_or_unexpected_checkpoints_are_refused() {
    let (_photos, folder) = photos(4, 40);
    let kept = tempfile::tempdir().unwrap();
    let first = run(1, kept.path());
    let encoder = student(&folder, choices());
    let go = |encoder: &Encoder, settings: &TrainingSettings, run: &Run| {
        train(context(), encoder, settings, run, |_| Ok(ControlFlow::Continue(()))).map(|outcome| outcome.step)
    };
    let refused = |encoder: &Encoder, settings: TrainingSettings, run: &Run, words: &[&str]| {
        let before = Checkpoint::latest(&run.folder).unwrap();
        let error = go(encoder, &settings, run).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "`{word}` is not in\n{error}");
        }
        assert!(Checkpoint::latest(&run.folder).unwrap() == before);
    };
    let on = Run { resume: true, ..run(2, kept.path()) };
    refused(&encoder, settings(), &on, &["no checkpoint to continue from", "start a new training"]);
    assert_eq!(go(&encoder, &settings(), &first).unwrap(), 1);
    refused(&encoder, settings(), &first, &["has a checkpoint of step 1", "resume that training"]);
    refused(&encoder, settings(), &run(2, kept.path()), &["has a checkpoint of step 1", "resume that training"]);

    let other = TrainingSettings { learning_rate: 1e-3, ..settings() };
    refused(&encoder, other, &on, &["was trained with learning_rate 0.002", "0.001 is given now"]);
    refused(
        &encoder,
        TrainingSettings { clip: None, ..settings() },
        &on,
        &["was trained with clip 1.0", "null is given now"],
    );
    refused(&encoder, TrainingSettings { seed: 9, ..settings() }, &on, &["was trained with seed 3", "9 is given now"]);
    refused(
        &encoder,
        TrainingSettings { micro_batch: Some(1), ..settings() },
        &on,
        &["micro_batch 2", "1 is given now"],
    );
    let wider = student(&folder, EncoderTrainerSettings { width: 0.07, ..choices() });
    refused(&wider, settings(), &on, &["was trained with encoder.width 0.05, but 0.07 is given now"]);
    let (_more, more) = photos(5, 40);
    refused(&student(&more, choices()), settings(), &on, &["was trained with pictures 4", "5 is given now"]);

    // A student cannot be resumed for a teacher with other layers than the checkpoint's.
    let resumed = |teacher: Vgg19Weights, choices: EncoderTrainerSettings| {
        Encoder::resumed(context(), teacher, None, &latest(kept.path()).1, folder.clone(), choices)
    };
    resumed(teacher(TEACHER, 1), choices()).unwrap();
    let error = resumed(teacher(0.2, 1), choices()).err().unwrap().to_string();
    assert!(
        error.contains("teacher relu1_1.scale of shape [13]") && error.contains("one of another training"),
        "{error}"
    );

    // Nor for another teacher with the same shapes.
    let astray = resumed(teacher(TEACHER, 2), choices()).unwrap();
    refused(&astray, settings(), &on, &["was trained with teacher", "is given now"]);

    // Settings that were chosen automatically need not be given again.
    assert_eq!(go(&encoder, &TrainingSettings { micro_batch: None, ..settings() }, &on).unwrap(), 2);
}

#[test]
fn a_trained_net_has_the_moving_average_of_its_weights() {
    let (_photos, folder) = photos(5, 40);
    let kept = tempfile::tempdir().unwrap();
    let settings = TrainingSettings { average: Some(0.75), learning_rate: 0.1, ..settings() };
    let values = |encoder: &Encoder| -> Vec<Vec<f32>> {
        let parameters = impasto::train::Trainer::parameters(encoder);
        parameters.iter().map(|parameter| parameter.value.read().unwrap()).collect()
    };
    let before = values(&student(&folder, choices()));
    let (encoder, _) = teach(&folder, &settings, &run(1, kept.path()), None);
    let (_, checkpoint) = latest(kept.path());
    let parameters = impasto::train::Trainer::parameters(&encoder);
    for ((parameter, before), trained) in parameters.iter().zip(before).zip(values(&encoder)) {
        let after = checkpoint.get(&parameter.name).unwrap();
        assert!(after.data != before, "{} is as it was", parameter.name);
        for ((before, after), trained) in before.iter().zip(&after.data).zip(trained) {
            let expected = 0.75 * before + 0.25 * after;
            assert!((trained - expected).abs() <= 1e-6 * (before.abs() + after.abs()), "{trained}, not {expected}");
        }
    }
}
