//! The weights that training exports.

use impasto::gpu::{DeviceTensor, Recorder};
use impasto::internal::Random;
use impasto::nets::vgg19::{Convention, Vgg19Weights};
use impasto::nets::{Tap, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::ops::vector;
use impasto::train::encoder::EncoderTrainerSettings;
use impasto::train::{Crops, Folder, Loader};

use crate::start::agreements;
use crate::{SIZE, TEACHER, choices, context, layers, photos, student, teacher};

/// Features of these pictures at every layer: channels, and values `[N, C, h, w]`.
fn activations(weights: &Vgg19Weights, pictures: &[Vec<f32>]) -> Vec<(Tap, usize, Vec<f32>)> {
    let vgg = Vgg19::new(context(), weights, Pooling::Max).unwrap();
    let input = DeviceTensor::from_values(context(), "x", [pictures.len(), 3, SIZE, SIZE], &pictures.concat()).unwrap();
    let mut rec = Recorder::new(context());
    let x = rec.pin(&input);
    let activations = vgg.forward(&mut rec, x, *layers().last().unwrap()).unwrap();
    let mut kept = Vec::new();
    for tap in layers() {
        let symbol = activations.at(tap).unwrap();
        let tensor = DeviceTensor::new(context(), "kept", symbol.shape);
        let into = rec.pin(&tensor);
        vector::copy(&mut rec, symbol, into).unwrap();
        kept.push((tap, symbol.shape.dims()[1], tensor));
    }
    rec.finish().unwrap().run().unwrap();
    kept.into_iter().map(|(tap, channels, tensor)| (tap, channels, tensor.read().unwrap())).collect()
}

/// The uncropped pictures of a folder.
fn whole(folder: &Folder) -> (Crops, Vec<Vec<f32>>) {
    let crops = Crops { size: SIZE, share: Some([1.0, 1.0]), flip: false };
    let mut loader = Loader::start(folder.clone(), crops.clone(), 0, 0, 1).unwrap();
    (crops, (0..folder.len()).map(|_| loader.next().unwrap()).collect())
}

fn factors(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| 0.2 + 5.0 * random.uniform()).collect()
}

#[test]
fn exported_channels_have_a_mean_activation_of_one() {
    let (_photos, folder) = photos(6, SIZE);
    // Without cropping, the calibration has every picture exactly once.
    let (crops, pictures) = whole(&folder);
    let weights = student(&folder, EncoderTrainerSettings { crops, calibration: 6, ..choices() }).weights().unwrap();
    assert_eq!(weights.convention, Convention::Normalised);
    for (tap, channels, values) in activations(&weights, &pictures) {
        let plane = values.len() / pictures.len() / channels;
        for channel in 0..channels {
            let of = |picture: usize| &values[(picture * channels + channel) * plane..][..plane];
            let sum: f64 = (0..pictures.len()).flat_map(of).map(|&v| f64::from(v)).sum();
            let mean = sum / (plane * pictures.len()) as f64;
            // Rounding errors grow from layer to layer.
            assert!((mean - 1.0).abs() < 1e-4, "{tap}, channel {channel}: {mean}");
        }
    }
}

#[test]
fn scaling_a_layer_changes_that_layer_alone() {
    let (_photos, folder) = photos(2, SIZE);
    let (_, pictures) = whole(&folder);
    let weights = teacher(TEACHER, 1);
    let plain = activations(&weights, &pictures);
    let mut random = Random::new(5);
    for scaled in layers() {
        let mut other = weights.clone();
        let count = plain.iter().find(|(tap, ..)| *tap == scaled).unwrap().1;
        let factors = factors(&mut random, count);
        other.rescale(scaled, &factors);
        for ((tap, channels, a), (_, _, b)) in plain.iter().zip(&activations(&other, &pictures)) {
            let plane = a.len() / pictures.len() / channels;
            let factor = |index: usize| if *tap == scaled { factors[index / plane % channels] } else { 1.0 };
            let largest = a.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            let error = (0..a.len()).fold(0.0f32, |most, i| most.max((a[i] * factor(i) - b[i]).abs() / factor(i)));
            assert!(error <= 1e-5 * largest, "{tap} when {scaled} is scaled: {error} of {largest}");
        }
    }
}

#[test]
fn agreement_does_not_depend_on_the_scale_of_channels() {
    let (_photos, folder) = photos(8, SIZE);
    let mut weights = student(&folder, choices()).weights().unwrap();
    let teacher = teacher(TEACHER, 1);
    let plain = agreements(&weights, &teacher);
    let mut random = Random::new(6);
    for tap in layers() {
        let count = weights.convolutions[layers().iter().position(|other| *other == tap).unwrap()][1].data.len();
        weights.rescale(tap, &factors(&mut random, count));
    }
    for (a, b) in plain.iter().zip(&agreements(&weights, &teacher)) {
        assert!(a.correlation < 0.999, "{a:?} leaves nothing to see");
        assert!((a.correlation - b.correlation).abs() < 1e-4, "{a:?} {b:?}");
        assert!((a.relative_error - b.relative_error).abs() < 1e-4, "{a:?} {b:?}");
    }
}
