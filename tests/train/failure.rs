//! Non-finite losses and gradients.

use std::ops::ControlFlow;

use impasto::gpu::{Context, ContextOptions, DeviceTensor, Precision, Recorder, Tensor};
use impasto::io::Picture;
use impasto::loss;
use impasto::ops::square_loss::Weight;
use impasto::ops::vector;
use impasto::optim::Parameter;
use impasto::train::{Crops, Folder, Loader, Run, Schedule, Trainer, TrainingSettings, train};
use impasto::{Error, Result};

use crate::{context, latest, run};

const SIDE: usize = 8;
const CROPS: Crops = Crops { size: SIDE, share: Some([1.0, 1.0]), flip: false };

/// A parameter that is trained toward `gain` times the picture, after a parameter that does not change. Black pictures
/// are harmless; a white one causes the failure.
struct Fragile {
    folder: Folder,
    parameters: [Parameter; 2],
    gain: f32,
    /// Factor by which the gradient is too large.
    slope: f32,
}

impl Fragile {
    fn new(folder: &Folder, gain: f32, slope: f32) -> Self {
        let parameters = ["calm", "tone"].map(|name| {
            let value = DeviceTensor::from_values(context(), name, [1, 3, SIDE, SIDE], &[1e-4; 3 * SIDE * SIDE]);
            Parameter::new(context(), value.unwrap())
        });
        Fragile { folder: folder.clone(), parameters, gain, slope }
    }
}

impl Trainer for Fragile {
    fn streams(&self) -> Vec<(Folder, Crops)> {
        vec![(self.folder.clone(), CROPS)]
    }

    fn terms(&self) -> Vec<String> {
        vec!["distance".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.parameters.to_vec()
    }

    fn record(&self, rec: &mut Recorder, pictures: &[Tensor], losses: Tensor, share: f32) -> Result<()> {
        let [_, Parameter { value, gradient, .. }] = &self.parameters;
        let (value, gradient) = (rec.pin(value), rec.pin(gradient));
        let target = rec.transient("target", pictures[0].shape);
        vector::affine(rec, self.gain, pictures[0], 0.0, pictures[0], target)?;
        let weight = Weight::new(rec, share);
        let dvalue = loss::content(rec, value, target, weight, losses, 0)?(rec)?;
        vector::axpy(rec, self.slope, dvalue, gradient)
    }

    fn refresh(&self, _: &mut Recorder) -> Result<()> {
        Ok(())
    }

    fn sample(&self) -> Result<Picture> {
        Ok(Picture::new(SIDE, SIDE))
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "gain": self.gain })
    }
}

#[test]
fn a_non_finite_value_ends_the_run_and_keeps_the_last_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..9 {
        let shade = if number == 4 { 1.0 } else { 0.0 };
        let picture = Picture::from_rgb(SIDE, SIDE, vec![shade; 3 * SIDE * SIDE]).unwrap();
        picture.save(&directory.path().join(format!("{number}.png"))).unwrap();
    }
    let folder = Folder::scan(&[directory.path().into()]).unwrap();
    // The step with the white picture, for a seed with which it is neither the first nor the last.
    let fatal = |seed| {
        let mut loader = Loader::start(folder.clone(), CROPS, seed, 0, 1).unwrap();
        (1..=9).find(|_| loader.next().unwrap()[0] > 0.5).unwrap()
    };
    let (seed, step) = (0..).map(|seed| (seed, fatal(seed))).find(|(_, step)| (4..=7).contains(step)).unwrap();
    let settings = TrainingSettings {
        batch: 1,
        micro_batch: Some(1),
        learning_rate: 1e-5,
        schedule: Schedule::Constant,
        weight_decay: 0.0,
        clip: None,
        average: None,
        seed,
    };
    // The square of 1e20 is infinite in f32. The square of 1e18 is finite, but 1e21 times its derivative is not.
    for (gain, slope, what, place) in [(1e20, 1.0, "the loss", "square loss"), (1e18, 1e21, "the gradient", "tone")] {
        let kept = tempfile::tempdir().unwrap();
        let trainer = Fragile::new(&folder, gain, slope);
        let begin = Run { checkpoint_every: 1, ..run(9, kept.path()) };
        let mut seen = Vec::new();
        let error = train(context(), &trainer, &settings, &begin, |progress| {
            seen.push((progress.steps[0], trainer.parameters[1].value.read()?));
            Ok(ControlFlow::Continue(()))
        });
        let error = error.unwrap_err();
        assert!(matches!(error, Error::NonFinite { .. }), "{error}");
        let message = error.to_string();
        for word in [format!("{what} at step {step} is not finite"), place.into(), "resumed".into()] {
            assert!(message.contains(&word), "`{word}` is not in\n{message}");
        }
        assert_eq!(seen.iter().map(|(step, _)| *step).collect::<Vec<_>>(), (1..step).collect::<Vec<_>>());

        // The checkpoint has the finite values of the last good step, and training resumes from it to the same result.
        let (last, checkpoint) = latest(kept.path());
        assert_eq!(last, step - 1);
        let (name, tone) = &checkpoint.tensors[1];
        assert_eq!((name.as_str(), &tone.data), ("tone", &seen.last().unwrap().1));
        assert!(tone.data.iter().all(|v| v.is_finite() && *v != 1e-4), "the steps before moved it");
        let mut again = 0;
        let resumed =
            train(context(), &Fragile::new(&folder, gain, slope), &settings, &Run { resume: true, ..begin }, |_| {
                again += 1;
                Ok(ControlFlow::Continue(()))
            });
        assert_eq!((resumed.unwrap_err().to_string(), again), (message, 0));
        assert!(latest(kept.path()) == (last, checkpoint));
    }
}

/// Storage in f16 is for inference only.
#[test]
fn training_in_f16_is_refused() {
    if !context().has_half() {
        eprintln!("skipped: this adapter cannot store f16");
        return;
    }
    let options = ContextOptions { precision: Precision::F16, ..ContextOptions::default() };
    let half = Context::new(&options).unwrap();
    let steps: Vec<_> = impasto::bench::training(32).into_iter().filter(|plan| plan.name.contains(" step")).collect();
    assert_eq!(steps.len(), 2);
    for plan in steps {
        let name = plan.name.clone();
        let error = plan.make(&half).err().unwrap_or_else(|| panic!("{name} was made")).to_string();
        assert!(error.contains("precision") && error.contains("f32"), "{name}: {error}");
    }
}
