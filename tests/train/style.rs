//! Training a further style of a body: the convolutions stay frozen, and the style's file is complete.

use std::ops::ControlFlow;

use impasto::io::{DType, Picture, WeightFile};
use impasto::nets::Vgg19;
use impasto::nets::image_transform_net::{BodyStyle, Form, ImageTransformNetWeights};
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;
use impasto::train::feed_forward::{FeedForward, FeedForwardTrainerSettings};
use impasto::train::{End, Folder, Run, Step, Trainer as _, train, train_in_memory_async};

use crate::body::{STYLES, assert_near, bits, body, losses_and_gradients, one_hot, styles};
use crate::{SIZE, TEACHER, choices, context, photos, picture, run, settings, teacher};

fn trainer(weights: ImageTransformNetWeights, style: &Picture, folder: &Folder, norms_alone: bool) -> FeedForward {
    let vgg = Vgg19::new(context(), &teacher(TEACHER, 1), Pooling::Max).unwrap();
    let settings = FeedForwardTrainerSettings {
        crops: choices().crops,
        style_size: SIZE,
        calibration: 3,
        norms_alone,
        ..FeedForwardTrainerSettings::default()
    };
    FeedForward::new(vgg, weights, std::slice::from_ref(style), folder.clone(), settings, None).unwrap()
}

/// The start of a new style.
fn mean() -> ImageTransformNetWeights {
    body().blend(&[1.0; STYLES]).unwrap()
}

/// Saves the style to a file and loads it again.
fn through_a_file(style: &BodyStyle) -> BodyStyle {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.style");
    let metadata = style.metadata().map(|(key, value)| (key.to_string(), value)).into();
    WeightFile::save(&path, DType::F16, &style.tensors, &metadata).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 10_000);
    BodyStyle::of(&WeightFile::load(&path).unwrap()).unwrap()
}

#[test]
fn norms_alone_have_the_gradients_of_full_training() {
    let (_photos, folder) = photos(3, 40);
    let photo = picture(SIZE, 7);
    let [all, alone] = [false, true].map(|norms_alone| {
        let trainer = trainer(mean(), &styles()[1], &folder, norms_alone);
        let labels = trainer.labels(0);
        losses_and_gradients(&trainer, &photo.rgb, &labels, 1.0)
    });
    assert_eq!(all.0, alone.0);
    // Fifteen of the sixteen convolutions have a norm with a scale and a shift.
    assert_eq!(alone.1.len(), 30);
    assert!(all.1.keys().any(|name| name.ends_with("conv2d.weight")));
    for (name, gradient) in &alone.1 {
        assert!(!name.contains("conv2d"), "{name} learns");
        // The next norm removes the shift at the end of a residual block, so its gradient is zero up to rounding.
        if !(name.starts_with("res") && name.ends_with(".in2.bias")) {
            assert_near(name, gradient, &all.1[name]);
        }
    }
}

#[test]
fn training_a_style_leaves_the_convolutions_unchanged() {
    let (_photos, folder) = photos(5, 40);
    let [whole, parts, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let teach = |weights: ImageTransformNetWeights, run: &Run, stop: Option<u64>| {
        let trainer = trainer(weights, &styles()[1], &folder, true);
        let outcome = train(context(), &trainer, &settings(), run, |progress| {
            let stop = stop == Some(progress.steps[0]);
            Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        outcome.map(|outcome| (trainer.weights().unwrap(), outcome.end))
    };
    let (learned, end) = teach(mean(), &run(4, whole.path()), None).unwrap();
    assert_eq!((end, learned.fingerprint()), (End::Finished, body().fingerprint()));
    for ((name, now), (_, then)) in learned.tensors.iter().zip(&mean().tensors) {
        assert_eq!(now.data == then.data, name.contains("conv2d"), "{name}");
    }
    assert_eq!(teach(mean(), &run(4, parts.path()), Some(1)).unwrap().1, End::Interrupted);
    let resumed = Run { resume: true, ..run(4, parts.path()) };
    // A checkpoint contains no convolutions, so they must be the same when the run is resumed.
    let mut another = mean();
    another.tensors[0].1.data[0] += 0.5;
    let error = teach(another, &resumed, None).err().unwrap().to_string();
    assert!(error.contains("was trained with body"), "{error}");
    assert_eq!(teach(mean(), &resumed, None).unwrap().1, End::Finished);
    assert!(bits(parts.path()) == bits(whole.path()));

    // Without files, from pictures in memory.
    let pictures = folder.files().iter().map(|file| Picture::load(file).unwrap()).collect();
    let memory = trainer(mean(), &styles()[1], &Folder::of_pictures(pictures).unwrap(), true);
    let mut seen = Vec::new();
    let observer = |step: &Step| {
        seen.push(step.step);
        Ok(ControlFlow::Continue(()))
    };
    context().block_on(train_in_memory_async(context(), &memory, &settings(), 4, 1 << 30, observer)).unwrap();
    assert_eq!((seen, memory.weights().unwrap().tensors == learned.tensors), (vec![1, 2, 3, 4], true));

    // Training of all weights continues from the style.
    let refined = trainer(learned.clone(), &styles()[1], &folder, false);
    train(context(), &refined, &settings(), &run(1, other.path()), |_| Ok(ControlFlow::Continue(()))).unwrap();
    assert_ne!(refined.weights().unwrap().fingerprint(), learned.fingerprint());
}

#[test]
fn a_style_file_restores_the_net_in_its_style() {
    let body = body();
    let nets: Vec<_> = (0..STYLES).map(|style| body.blend(&one_hot(style)).unwrap()).collect();
    let style = nets[1].style("waves and more").unwrap();
    assert_eq!((style.body.as_str(), style.body.len()), (body.fingerprint().as_str(), 64));
    let read = through_a_file(&style);
    assert_eq!((&read.body, read.body_name.as_str()), (&style.body, "waves and more"));
    // In f16, with the body or with another of its styles.
    let painter = body.in_style(&read).unwrap();
    assert_eq!(painter.tensors, nets[0].in_style(&read).unwrap().tensors);
    assert!(painter.styles.is_empty() && through_a_file(&painter.style("").unwrap()).tensors == read.tensors);
    for ((name, got), (_, expected)) in painter.tensors.iter().zip(&nets[1].tensors) {
        let close = got.data.iter().zip(&expected.data).all(|(a, b)| (a - b).abs() <= b.abs() / 2048.0);
        assert!(got.shape == expected.shape && close, "{name}");
    }
    // In f32 the style is unchanged.
    assert_eq!(body.in_style(&style).unwrap().tensors, nets[1].tensors);
}

#[test]
fn mixing_nets_equals_blending_their_styles() {
    let body = body();
    let net = |style| body.blend(&one_hot(style)).unwrap();
    let mixed = ImageTransformNetWeights::mix(&[(net(2), 0.6), (net(0), 0.2)]).unwrap();
    assert_eq!(mixed.tensors, body.blend(&[0.2, 0.0, 0.6]).unwrap().tensors);
    assert_eq!(ImageTransformNetWeights::mix(&[(net(1), 7.0)]).unwrap().tensors, net(1).tensors);

    let refused =
        |nets: &[(ImageTransformNetWeights, f32)]| ImageTransformNetWeights::mix(nets).err().unwrap().to_string();
    let other = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.125, 9);
    assert!(refused(&[(net(1), 1.0), (other, 1.0)]).contains("other convolutions (net 2)"));
    assert!(refused(&[(net(1), 1.0), (body.clone(), 1.0)]).contains("a whole body (net 2)"));
    assert!(refused(&[]).contains("none"));
    assert!(refused(&[(net(1), 0.0)]).contains("weights must be a number from 0 up for each style (1)"));
}

#[test]
fn invalid_styles_and_style_files_are_refused() {
    let body = body();
    let net = body.blend(&one_hot(0)).unwrap();
    let style = net.style("mine").unwrap();
    let error = |result: impasto::Result<ImageTransformNetWeights>| result.err().unwrap().to_string();
    let other = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.125, 9);
    assert!(error(other.in_style(&style)).contains("must be one of this body, got one of mine"));
    let mut lacking = style.clone();
    lacking.tensors.remove(0);
    assert!(error(body.in_style(&lacking)).contains("a tensor in1.weight of shape [4], got none"));
    let mut wrong = style.clone();
    wrong.tensors[1].1.shape = vec![1, 4];
    assert!(error(body.in_style(&wrong)).contains("a tensor in1.bias of shape [4], got [1, 4]"));

    let refused = |weights: &ImageTransformNetWeights| weights.style("mine").err().unwrap().to_string();
    assert!(refused(&body).contains("got a whole body"));
    assert!(
        refused(&ImageTransformNetWeights::random(Form::Resize, Over::Batch, 0.125, 1))
            .contains("got one with batch norm")
    );
    let file = |metadata: &[(&'static str, String)]| WeightFile {
        path: "mine.style".into(),
        format: impasto::io::Format::Safetensors,
        tensors: style.tensors.clone(),
        metadata: metadata.iter().map(|(key, value)| (key.to_string(), value.clone())).collect(),
    };
    let unread = |metadata: &[(&'static str, String)]| BodyStyle::of(&file(metadata)).err().unwrap().to_string();
    assert!(BodyStyle::of(&file(&style.metadata())).unwrap() == style);
    assert!(unread(&style.metadata()[..2]).contains("does not name the body of this style"));
    assert!(unread(&style.metadata()[1..]).contains("not a style of a body"));
}
