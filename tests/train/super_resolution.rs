//! Training of super-resolution nets: losses, gradients, and what is refused.

use impasto::gpu::{DeviceTensor, Recorder};
use impasto::nets::Vgg19;
use impasto::nets::super_resolution_net::SuperResolutionWeights;
use impasto::ops::pool::Pooling;
use impasto::train::super_resolution::{SuperResolution, SuperResolutionTrainerSettings};
use impasto::train::{Crops, Folder, Loader, Trainer as _};

use crate::{SIZE, TEACHER, context, photos, teacher};

fn settings(weights: [f32; 2]) -> SuperResolutionTrainerSettings {
    SuperResolutionTrainerSettings {
        crops: Crops { size: SIZE, share: None, flip: true },
        pixel_weight: weights[0],
        feature_weight: weights[1],
        ..SuperResolutionTrainerSettings::default()
    }
}

fn trainer(folder: &Folder, weights: [f32; 2]) -> impasto::Result<SuperResolution> {
    let vgg = Vgg19::new(context(), &teacher(TEACHER, 1), Pooling::Max).unwrap();
    let net = SuperResolutionWeights::random(4, 1.0 / 16.0, 2);
    SuperResolution::new(context(), Some(vgg), net, folder.clone(), settings(weights))
}

/// Both losses add up, and so do their gradients, over micro-batches too.
#[test]
fn losses_and_micro_batches_add_up() {
    const BATCH: usize = 4;
    let (_photos, folder) = photos(BATCH as u64, 40);
    let mut loader = Loader::start(folder.clone(), settings([1.0, 0.0]).crops, 1, 0, 1).unwrap();
    let pictures: Vec<Vec<f32>> = (0..BATCH).map(|_| loader.next().unwrap()).collect();
    let accumulated = |weights: [f32; 2], micro: usize| {
        let trainer = trainer(&folder, weights).unwrap();
        let input = DeviceTensor::new(context(), "pictures", [micro, 3, SIZE, SIZE]);
        let losses = DeviceTensor::new(context(), "losses", [trainer.terms().len()]);
        let mut rec = Recorder::new(context());
        let (x, slots) = (rec.pin(&input), rec.pin(&losses));
        trainer.record(&mut rec, &[x], slots, micro as f32 / BATCH as f32).unwrap();
        let program = rec.finish().unwrap();
        let mut terms = vec![0.0; trainer.terms().len()];
        for part in pictures.chunks(micro) {
            input.write(&part.concat()).unwrap();
            program.run().unwrap();
            terms.iter_mut().zip(losses.read().unwrap()).for_each(|(sum, value)| *sum += value);
        }
        let gradients: Vec<f32> = trainer.parameters().iter().flat_map(|p| p.gradient.read().unwrap()).collect();
        (terms, gradients)
    };
    let close = |a: &[f32], b: &[f32]| {
        let largest = a.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let error = a.iter().zip(b).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(a.len() == b.len() && largest > 0.0 && error <= 1e-5 * largest, "{error} of {largest}");
    };
    let [pixels, features, both] = [[1.0, 0.0], [0.0, 0.5], [1.0, 0.5]].map(|weights| accumulated(weights, BATCH));
    close(&[pixels.0[0], features.0[0]], &both.0);
    let sums: Vec<f32> = pixels.1.iter().zip(&features.1).map(|(a, b)| a + b).collect();
    close(&sums, &both.1);
    let parts = accumulated([1.0, 0.5], 1);
    close(&both.0, &parts.0);
    close(&both.1, &parts.1);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let (_photos, folder) = photos(2, 40);
    let message = |weights| trainer(&folder, weights).err().unwrap().to_string();
    assert!(message([0.0, 0.0]).contains("pixel-weight must be above 0"), "{}", message([0.0, 0.0]));
    assert!(message([-1.0, 1.0]).contains("pixel-weight must be a number from 0 up"), "{}", message([-1.0, 1.0]));
    let refused = |size, vgg: bool| {
        let vgg = vgg.then(|| Vgg19::new(context(), &teacher(TEACHER, 1), Pooling::Max).unwrap());
        let settings =
            SuperResolutionTrainerSettings { crops: Crops { size, share: None, flip: true }, ..settings([1.0, 1.0]) };
        let net = SuperResolutionWeights::random(8, 1.0 / 16.0, 2);
        SuperResolution::new(context(), vgg, net, folder.clone(), settings).err().unwrap().to_string()
    };
    assert!(refused(44, true).contains("crop must be a multiple of 8"), "{}", refused(44, true));
    assert!(refused(32, true).contains("from 40 px up"), "{}", refused(32, true));
    assert!(refused(48, false).contains("vgg must be a loss net"), "{}", refused(48, false));
}
