//! The gradients of the encoder's loss against finite differences.

use impasto::gpu::{DeviceTensor, Recorder};
use impasto::train::encoder::EncoderTrainerSettings;
use impasto::train::{Loader, Trainer as _};

use crate::{SIZE, choices, context, full_taps, photos, student};

fn l2_norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// A step along its gradient changes the loss by the gradient's norm: for each parameter, with lifts and without.
#[test]
fn gradients_predict_the_change_of_the_loss() {
    const BATCH: usize = 2;
    let (_photos, folder) = photos(4, 40);
    for full in [vec![], full_taps()] {
        let lifts = 4 - full.len();
        let encoder = student(&folder, EncoderTrainerSettings { full, ..choices() });
        let mut loader = Loader::start(folder.clone(), choices().crops, 1, 0, 1).unwrap();
        let pictures = [loader.next().unwrap(), loader.next().unwrap()].concat();
        let input = DeviceTensor::from_values(context(), "pictures", [BATCH, 3, SIZE, SIZE], &pictures).unwrap();
        let losses = DeviceTensor::new(context(), "losses", [encoder.terms().len()]);
        let mut rec = Recorder::new(context());
        let (x, slots) = (rec.pin(&input), rec.pin(&losses));
        encoder.refresh(&mut rec).unwrap();
        encoder.record(&mut rec, &[x], slots, 1.0).unwrap();
        let program = rec.finish().unwrap();
        let loss = || {
            program.run().unwrap();
            losses.read().unwrap().iter().map(|value| f64::from(*value)).sum::<f64>()
        };
        let parameters = encoder.parameters();
        // Nine layers, and lifts where the student has fewer channels than the teacher.
        assert_eq!(parameters.len(), 2 * (9 + lifts));
        for parameter in &parameters {
            parameter.gradient.write(&vec![0.0; parameter.gradient.shape().count()]).unwrap();
        }
        let before = loss();
        let gradients: Vec<Vec<f32>> = parameters.iter().map(|parameter| parameter.gradient.read().unwrap()).collect();
        for (parameter, gradient) in parameters.iter().zip(&gradients) {
            let (values, slope) = (parameter.value.read().unwrap(), l2_norm(gradient));
            let at = |step: f64| {
                let moved = values.iter().zip(gradient).map(|(v, g)| v + (step * f64::from(*g) / slope) as f32);
                parameter.value.write(&moved.collect::<Vec<_>>()).unwrap();
                loss()
            };
            // Large steps cross the kinks of ReLUs and small ones are dominated by rounding, so the best of three
            // counts.
            let by_difference = [1e-3, 2e-4, 4e-5].map(|share| {
                let step = share * before / slope;
                (at(step) - at(-step)) / (2.0 * step)
            });
            parameter.value.write(&values).unwrap();
            let error = by_difference.iter().fold(f64::INFINITY, |least, d| least.min((d / slope - 1.0).abs()));
            assert!(error < 0.02, "{}: {by_difference:?} by differences, {slope}", parameter.name);
        }
    }
}
