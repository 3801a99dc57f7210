//! Micro-batches.

use impasto::gpu::{DeviceTensor, Recorder};
use impasto::train::{Loader, Trainer as _};

use crate::{SIZE, choices, context, photos, student};

#[test]
fn micro_batches_give_the_gradients_of_the_batch_in_less_memory() {
    const BATCH: usize = 8;
    let (_photos, folder) = photos(BATCH as u64, 40);
    let encoder = student(&folder, choices());
    let mut loader = Loader::start(folder, choices().crops, 1, 0, 1).unwrap();
    let pictures: Vec<Vec<f32>> = (0..BATCH).map(|_| loader.next().unwrap()).collect();
    let parameters = encoder.parameters();
    let terms = encoder.terms();
    assert_eq!(terms.len(), 12);

    // Sums of the loss terms, the gradients, and the planned bytes.
    let accumulated = |micro: usize| {
        for parameter in &parameters {
            parameter.gradient.write(&vec![0.0; parameter.gradient.shape().count()]).unwrap();
        }
        let input = DeviceTensor::new(context(), "pictures", [micro, 3, SIZE, SIZE]);
        let losses =
            DeviceTensor::from_values(context(), "losses", [terms.len()], &vec![f32::NAN; terms.len()]).unwrap();
        let mut rec = Recorder::new(context());
        let (x, slots) = (rec.pin(&input), rec.pin(&losses));
        encoder.record(&mut rec, &[x], slots, micro as f32 / BATCH as f32).unwrap();
        let bytes = rec.memory().unwrap().peak_bytes();
        let program = rec.finish().unwrap();
        let mut sums = vec![0.0; terms.len()];
        for part in pictures.chunks(micro) {
            input.write(&part.concat()).unwrap();
            program.run().unwrap();
            sums.iter_mut().zip(losses.read().unwrap()).for_each(|(sum, value)| *sum += f64::from(value));
        }
        let gradients: Vec<Vec<f32>> = parameters.iter().map(|p| p.gradient.read().unwrap()).collect();
        (sums, gradients, bytes)
    };
    let (losses, gradients, bytes) = accumulated(BATCH);
    for micro in [1, 2] {
        let (other_losses, other_gradients, other_bytes) = accumulated(micro);
        // Every term is a mean over pictures, also for means and deviations, so the sum over micro-batches is the
        // whole.
        for ((name, a), b) in terms.iter().zip(&losses).zip(&other_losses) {
            assert!(*a > 0.0 && (a - b).abs() <= 1e-5 * a, "{name}: {b} by {micro}, {a} at once");
        }
        for ((parameter, a), b) in parameters.iter().zip(&gradients).zip(&other_gradients) {
            let largest = a.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            let error = a.iter().zip(b).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(largest > 0.0 && error <= 1e-5 * largest, "{} by {micro}: {error} of {largest}", parameter.name);
        }
        println!("{other_bytes} bytes by {micro}, {bytes} at once");
        assert!(micro > 1 || other_bytes < bytes / 2, "{other_bytes} bytes by {micro}, {bytes} at once");
    }
}
