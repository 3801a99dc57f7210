//! Nets with many styles: what each style learns, and its equivalence to a single-style net.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use impasto::gpu::{DeviceTensor, Recorder};
use impasto::internal::Random;
use impasto::io::{DType, Picture, WeightFile};
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::nets::{ImageTransformNet, Vgg19};
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;
use impasto::ops::vector;
use impasto::train::feed_forward::{FeedForward, FeedForwardTrainerSettings};
use impasto::train::{End, Folder, Run, Trainer as _, train};

use crate::{SIZE, TEACHER, choices, context, latest, photos, picture, run, settings, teacher};

pub const STYLES: usize = 3;

pub fn names() -> Vec<String> {
    ["waves", "dots", "lines"].map(String::from).into()
}

/// A narrow body with different styles.
pub fn body() -> ImageTransformNetWeights {
    let mut body =
        ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.125, 1).with_styles(&names()).unwrap();
    let mut random = Random::new(2);
    for (_, tensor) in body.tensors.iter_mut().filter(|(_, tensor)| tensor.shape.len() == 2) {
        tensor.data.iter_mut().for_each(|value| *value += 0.3 * random.normal());
    }
    body
}

pub fn one_hot(style: usize) -> Vec<f32> {
    (0..STYLES).map(|at| f32::from(at == style)).collect()
}

/// Style pictures of different contrast, and therefore different normalisation of their losses.
pub fn styles() -> Vec<Picture> {
    let faint = |(number, contrast): (u64, f32)| {
        let mut style = picture(SIZE, 20 + number);
        style.rgb.iter_mut().for_each(|value| *value = 0.2 + contrast * (*value - 0.2));
        style
    };
    [(0, 1.0), (1, 0.3), (2, 0.6)].map(faint).into()
}

pub fn trainer(weights: ImageTransformNetWeights, styles: &[Picture], folder: &Folder) -> FeedForward {
    let vgg = Vgg19::new(context(), &teacher(TEACHER, 1), Pooling::Max).unwrap();
    let settings = FeedForwardTrainerSettings {
        crops: choices().crops,
        style_size: SIZE,
        calibration: 3,
        ..FeedForwardTrainerSettings::default()
    };
    FeedForward::new(vgg, weights, styles, folder.clone(), settings, None).unwrap()
}

/// The loss terms and the gradients of all parameters, for photos in the given styles.
pub fn losses_and_gradients(
    trainer: &FeedForward,
    photos: &[f32],
    labels: &[f32],
    share: f32,
) -> (Vec<f32>, BTreeMap<String, Vec<f32>>) {
    let images = photos.len() / (3 * SIZE * SIZE);
    let input = DeviceTensor::from_values(context(), "photos", [images, 3, SIZE, SIZE], photos).unwrap();
    let labels = DeviceTensor::from_values(context(), "labels", [images, labels.len() / images], labels).unwrap();
    let losses = DeviceTensor::new(context(), "losses", [trainer.terms().len()]);
    let mut rec = Recorder::new(context());
    let [x, styles, slots] = [&input, &labels, &losses].map(|tensor| rec.pin(tensor));
    trainer.record(&mut rec, &[x, styles], slots, share).unwrap();
    let parameters = trainer.parameters();
    for parameter in &parameters {
        parameter.gradient.write(&vec![0.0; parameter.gradient.shape().count()]).unwrap();
    }
    rec.finish().unwrap().run().unwrap();
    let gradients = parameters.iter().map(|p| (p.name.clone(), p.gradient.read().unwrap()));
    (losses.read().unwrap(), gradients.collect())
}

fn max_abs(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, v| most.max(v.abs()))
}

/// Asserts that `got` is `expected` up to rounding.
pub fn assert_near(what: &str, got: &[f32], expected: &[f32]) {
    let largest = max_abs(expected);
    assert!(got.len() == expected.len() && largest > 0.0, "{what}");
    let error = got.iter().zip(expected).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(error <= 1e-4 * largest, "{what}: {error} of {largest}");
}

/// Two photos in two of three styles. Convolutions learn from both photos. Each style's rows learn from its own photo
/// what a single-style net would learn, and the third style's rows learn nothing.
#[test]
fn each_style_gets_the_gradients_of_a_single_style_net() {
    let (_photos, folder) = photos(3, 40);
    let (body, styles) = (body(), styles());
    let photos = [picture(SIZE, 7).rgb, picture(SIZE, 8).rgb];
    let labels = [one_hot(2), one_hot(0)].concat();
    let (losses, gradients) =
        losses_and_gradients(&trainer(body.clone(), &styles, &folder), &photos.concat(), &labels, 1.0);
    let alone = [(&photos[0], 2), (&photos[1], 0)].map(|(photo, style)| {
        let single = trainer(body.blend(&one_hot(style)).unwrap(), &styles[style..=style], &folder);
        losses_and_gradients(&single, photo, &single.labels(0), 0.5)
    });
    let sum = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>();
    assert_near("losses", &losses, &sum(&alone[0].0, &alone[1].0));
    for (name, gradient) in &gradients {
        // The next norm removes the shift at the end of a residual block, so its gradient is zero up to rounding.
        if name.starts_with("res") && name.ends_with(".in2.bias") {
            assert!(max_abs(gradient) < 1e-5, "{name}: {gradient:?}");
            continue;
        }
        let [last, first] = [&alone[0].1[name], &alone[1].1[name]];
        if gradient.len() == first.len() {
            assert_near(name, gradient, &sum(last, first));
            continue;
        }
        let rows: Vec<_> = gradient.chunks(first.len()).collect();
        assert_near(name, rows[0], first);
        assert!(rows[1].iter().all(|value| *value == 0.0), "{name}: the style that no photo had");
        assert_near(name, rows[2], last);
    }
}

#[test]
fn an_extracted_style_paints_the_same_bits_as_the_body() {
    let body = body();
    let photo = picture(SIZE, 7);
    let input = DeviceTensor::from_values(context(), "photo", [1, 3, SIZE, SIZE], &photo.rgb).unwrap();
    let paint = |weights: &ImageTransformNetWeights, styles: Option<Vec<f32>>| {
        let net = ImageTransformNet::trainable(context(), weights.clone()).unwrap();
        let kept = DeviceTensor::new(context(), "painted", input.shape());
        let mut rec = Recorder::new(context());
        let styles = styles.map(|styles| DeviceTensor::from_values(context(), "styles", [1, STYLES], &styles).unwrap());
        let styles = styles.map(|styles| rec.pin(&styles));
        let [x, into] = [&input, &kept].map(|tensor| rec.pin(tensor));
        let painted = net.forward_in(&mut rec, x, styles).unwrap().picture;
        vector::copy(&mut rec, painted, into).unwrap();
        rec.finish().unwrap().run().unwrap();
        kept.read().unwrap()
    };
    let painted: Vec<_> = (0..STYLES).map(|style| paint(&body, Some(one_hot(style)))).collect();
    for (style, whole) in painted.iter().enumerate() {
        assert!(*whole == paint(&body.blend(&one_hot(style)).unwrap(), None), "style {style}");
        assert!((0..style).all(|other| painted[other] != *whole), "style {style} is like another");
    }
    let mixed = paint(&body, Some(vec![0.25, 0.0, 0.75]));
    assert!(mixed == paint(&body.blend(&[1.0, 0.0, 3.0]).unwrap(), None));

    // Functions for single-style nets return an error.
    let error = ImageTransformNet::new(context(), body).err().unwrap().to_string();
    assert!(error.contains("a net of one style") && error.contains("waves, dots, lines"), "{error}");
}

#[test]
fn every_style_is_trained_equally_often() {
    let (_photos, folder) = photos(3, 40);
    let trainer = trainer(body(), &styles(), &folder);
    let rounds: Vec<Vec<_>> = (0..20)
        .map(|round| (0..STYLES as u64).map(|at| trainer.labels(round * STYLES as u64 + at)).collect())
        .collect();
    for round in &rounds {
        let mut sorted = round.clone();
        sorted.sort_by(|a, b| b.partial_cmp(a).unwrap());
        assert_eq!(sorted, (0..STYLES).map(one_hot).collect::<Vec<_>>());
    }
    assert!(rounds.iter().any(|round| *round != rounds[0]), "always in the same order");
}

/// All tensors of a checkpoint, as bits.
pub fn bits(folder: &Path) -> Vec<(String, Vec<u32>)> {
    let (_, checkpoint) = latest(folder);
    checkpoint.tensors.into_iter().map(|(name, t)| (name, t.data.iter().map(|v| v.to_bits()).collect())).collect()
}

#[test]
fn a_resumed_body_has_the_same_bits() {
    let (_photos, folder) = photos(5, 40);
    let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let teach = |run: &Run, stop: Option<u64>| {
        let trainer = trainer(body(), &styles(), &folder);
        let outcome = train(context(), &trainer, &settings(), run, |progress| {
            let stop = stop == Some(progress.steps[0]);
            Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        (trainer.weights().unwrap(), outcome.unwrap().end)
    };
    let (weights, end) = teach(&run(4, whole.path()), None);
    assert_eq!(end, End::Finished);
    let before = body();
    for ((name, now), (_, then)) in weights.tensors.iter().zip(&before.tensors).filter(|((_, t), _)| t.shape.len() == 2)
    {
        let changed = now.data.iter().zip(&then.data).filter(|(now, then)| now != then).count();
        assert!(changed > now.data.len() / 2, "{name}: {changed} of {} were learned", now.data.len());
    }
    assert_eq!(teach(&run(4, parts.path()), Some(1)).1, End::Interrupted);
    assert!(bits(parts.path()) != bits(whole.path()));
    assert_eq!(teach(&Run { resume: true, ..run(4, parts.path()) }, None).1, End::Finished);
    assert!(bits(parts.path()) == bits(whole.path()));
}

#[test]
fn a_file_keeps_the_styles_and_other_styles_start_from_their_mean() {
    let body = body();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body.safetensors");
    let metadata = body.metadata().into_iter().map(|(key, value)| (key.to_string(), value)).collect();
    WeightFile::save(&path, DType::F32, &body.tensors, &metadata).unwrap();
    let read = ImageTransformNetWeights::of(&WeightFile::load(&path).unwrap()).unwrap();
    assert_eq!((&read.styles, &read.tensors), (&body.styles, &body.tensors));

    let more = body.with_styles(&["lines", "new"].map(String::from)).unwrap();
    assert!(more.blend(&[1.0, 0.0]).unwrap().tensors == body.blend(&one_hot(2)).unwrap().tensors);
    let mean = body.blend(&[1.0; STYLES]).unwrap();
    assert!(more.blend(&[0.0, 1.0]).unwrap().tensors == mean.tensors);
    let again = mean.with_styles(&names()).unwrap();
    assert!((0..STYLES).all(|style| again.blend(&one_hot(style)).unwrap().tensors == mean.tensors));

    // After widening, the first channels are unchanged.
    let wide = body.widened(0.25, 3).unwrap();
    assert_eq!((&wide.styles, wide.channels), (&body.styles, 8));
    let table = |weights: &ImageTransformNetWeights| {
        weights.tensors.iter().find(|(name, _)| name == "in1.weight").unwrap().1.clone()
    };
    for (wide, narrow) in table(&wide).data.chunks(8).zip(table(&body).data.chunks(4)) {
        assert_eq!(wide, [narrow, &[1.0; 4]].concat());
    }
}

#[test]
fn invalid_style_weights_and_names_are_refused() {
    let body = body();
    for weights in [&[1.0, 1.0][..], &[0.0; 3], &[1.0, -0.5, 1.0], &[1.0, f32::NAN, 1.0]] {
        let error = body.blend(weights).err().unwrap().to_string();
        assert!(error.contains("weights must be a number from 0 up for each style (3)"), "{error}");
    }
    for names in [&[][..], &["a", "a"], &["a", ""]] {
        let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
        assert!(body.with_styles(&names).err().unwrap().to_string().contains("names"));
    }
    let batch = ImageTransformNetWeights::random(Form::Resize, Over::Batch, 0.125, 1);
    assert!(batch.with_styles(&names()).err().unwrap().to_string().contains("one with instance norm"));

    // Files with inconsistent styles.
    let file = |styles: &str| WeightFile {
        path: "body.safetensors".into(),
        format: impasto::io::Format::Safetensors,
        tensors: body.tensors.clone(),
        metadata: BTreeMap::from([("range".to_string(), "0..1".to_string()), ("styles".into(), styles.into())]),
    };
    for (styles, words) in [
        ("waves", "must be a list of names in JSON"),
        ("[]", "must name one style or more"),
        (r#"["a","b","a"]"#, "must name each style once, got `a`"),
        (r#"["a","b"]"#, "tensor in1.weight must have shape [2, 4], got [3, 4]"),
    ] {
        let error = ImageTransformNetWeights::of(&file(styles)).err().unwrap().to_string();
        assert!(error.contains(words) && error.contains("use a net of Johnson's"), "{error}");
    }
    let mut plain = file("[]");
    plain.metadata.remove("styles");
    let error = ImageTransformNetWeights::of(&plain).err().unwrap().to_string();
    assert!(error.contains("tensor in1.weight must have shape [4], got [3, 4]"), "{error}");
}
