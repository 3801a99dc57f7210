//! Super-resolution nets against PyTorch: small photos, pictures, gradients and ten training steps; and enlargement in
//! windows against that of the whole.

use impasto::Result;
use impasto::gpu::{DeviceTensor, Recorder};
use impasto::io::{HostTensor, Picture, WeightFile};
use impasto::methods::super_resolution;
use impasto::nets::SuperResolutionNet;
use impasto::nets::super_resolution_net::{Enlarger, Reduction, SuperResolutionWeights};
use impasto::nets::tiles::Budget;
use impasto::ops::square_loss::{self, Weight};
use impasto::optim::{AdamOptions, ParameterAdam};

use crate::reference::{Array, compare};
use crate::{array, context, contexts, device, fixture};

const SCALES: [usize; 2] = [4, 8];

/// The net of a scale, as a file.
fn part(file: &WeightFile, scale: usize) -> WeightFile {
    let prefix = format!("x{scale}.");
    let tensors = file.tensors.iter().filter_map(|(name, tensor)| {
        let name = name.strip_prefix(&prefix)?;
        let is_of_net = ["conv", "block", "up"].iter().any(|part| name.starts_with(part));
        is_of_net.then(|| (name.to_string(), tensor.clone()))
    });
    WeightFile { tensors: tensors.collect(), ..file.clone() }
}

fn weights(file: &WeightFile, scale: usize) -> SuperResolutionWeights {
    SuperResolutionWeights::of(&part(file, scale)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn photos_are_reduced_as_by_pytorch() {
    let file = fixture("super_resolution.safetensors");
    for context in contexts() {
        for scale in SCALES {
            let photo = array(&file, &format!("x{scale}.photo"));
            let [_, _, height, width] = photo.dims();
            let photo = device(context, &photo);
            let mut rec = Recorder::new(context);
            let x = rec.pin(&photo);
            let small = Reduction::new(context, [height, width], scale).unwrap().forward(&mut rec, x).unwrap();
            let small = rec.output(small).unwrap();
            rec.finish().unwrap().run().unwrap();
            compare(&small.read().unwrap(), &array(&file, &format!("x{scale}.small")), 1e-6).unwrap();
            let error = Reduction::new(context, [height, width + 1], scale).err().unwrap().to_string();
            assert!(error.contains(&format!("multiples of {scale}")), "{error}");
        }
    }
}

#[test]
fn ten_steps_of_training_agree_with_pytorch() {
    let file = fixture("super_resolution.safetensors");
    for context in contexts() {
        for scale in SCALES {
            let what = format!("{:?}, x{scale}", context.class());
            let expected = |name: &str| array(&file, &format!("x{scale}.{name}"));
            let [x, target] = ["small", "photo"].map(|name| device(context, &expected(name)));
            let start = weights(&file, scale);
            assert_eq!((start.scale, start.channels), (scale, 4));
            let net = SuperResolutionNet::trainable(context, start).unwrap();
            let loss = DeviceTensor::new(context, "loss", [1]);
            let mut rec = Recorder::new(context);
            let (xs, targets, losses) = (rec.pin(&x), rec.pin(&target), rec.pin(&loss));
            let activations = net.forward(&mut rec, xs).unwrap();
            let weight = Weight::new(&mut rec, 1.0 / target.shape().count() as f32);
            square_loss::forward(&mut rec, activations.picture, targets, weight, losses, 0).unwrap();
            let dy = square_loss::backward(&mut rec, activations.picture, targets, weight).unwrap();
            net.backward_parameters(&mut rec, &activations, dy).unwrap();
            let y = rec.output(activations.picture).unwrap();
            let pass = rec.finish().unwrap();

            let parameters = net.parameters();
            let epsilon = file.metadata["epsilon"].parse().unwrap();
            let options = AdamOptions { epsilon, ..AdamOptions::default() };
            let mut adam = ParameterAdam::new(context, &parameters, options).unwrap();
            let mut rec = Recorder::new(context);
            adam.record(&mut rec).unwrap();
            net.repack(&mut rec).unwrap();
            let update = rec.finish().unwrap();

            let mut got = Vec::new();
            for step in 1..=10 {
                pass.run().unwrap();
                got.push(loss.read().unwrap()[0]);
                if step == 1 {
                    compare(&y.read().unwrap(), &expected("y"), 1e-4).unwrap_or_else(|e| panic!("{what}, y: {e}"));
                    assert_eq!(parameters.len(), 2 * (10 + scale.ilog2() as usize));
                    for parameter in &parameters {
                        let name = format!("gradient.{}", parameter.name);
                        let got = parameter.gradient.read().unwrap();
                        compare(&got, &expected(&name), 1e-3).unwrap_or_else(|e| panic!("{what}, {name}: {e}"));
                    }
                }
                adam.set(&update, step, 1e-3);
                update.run().unwrap();
            }
            compare(&got, &expected("losses"), 1e-3).unwrap_or_else(|e| panic!("{what}, losses: {e}"));
        }
    }
}

fn noise(width: usize, height: usize) -> Picture {
    let values = Array::random(&[3 * width * height], 7).to_f32();
    Picture::from_rgb(width, height, values.iter().map(|value| 0.5 + 0.4 * value).collect()).unwrap()
}

/// Enlarges with a net of random weights, whose last layer adds visible detail.
fn enlarged(photo: &Picture, scale: usize, factor: usize, budget: &Budget) -> Result<Picture> {
    let mut weights = SuperResolutionWeights::random(scale, 1.0 / 16.0, 3);
    let (_, last) = weights.tensors.iter_mut().find(|(name, _)| name == "conv2.weight").unwrap();
    last.data.iter_mut().for_each(|value| *value *= 2.0);
    let net = SuperResolutionNet::new(context(), weights)?;
    super_resolution::enlarge(&mut Enlarger::new(net), photo, factor, budget)
}

fn difference(a: &Picture, b: &Picture) -> f32 {
    assert_eq!([a.width, a.height], [b.width, b.height]);
    a.rgb.iter().zip(&b.rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn windows_have_no_seams() {
    let photo = noise(75, 47);
    for (scale, factor) in [(4, 4), (4, 2), (4, 8), (8, 8)] {
        let whole = enlarged(&photo, scale, factor, &Budget::default()).unwrap();
        assert_eq!([whole.width, whole.height], [75 * factor, 47 * factor]);
        let windows = Budget { window: Some(40), ..Budget::default() };
        let found = difference(&enlarged(&photo, scale, factor, &windows).unwrap(), &whole);
        assert!(found < 0.25 / 255.0, "x{factor} by x{scale}: {found}");
    }
    // Halos that are too small are noticed.
    let lacking = Budget { window: Some(40), lack: 12, ..Budget::default() };
    let whole = enlarged(&photo, 4, 4, &Budget::default()).unwrap();
    let found = difference(&enlarged(&photo, 4, 4, &lacking).unwrap(), &whole);
    assert!(found > 1.0 / 255.0, "{found}");
}

/// An untrained net whose last layer is zero enlarges by bicubic interpolation; so does alpha.
#[test]
fn nothing_is_added_to_bicubic_interpolation_by_a_net_of_zeros() {
    use impasto::io::Interpolation::Bicubic;
    let mut photo = noise(21, 13);
    photo.alpha = Some((0..21 * 13).map(|index| (index % 21) as f32 / 20.0).collect());
    let mut weights = SuperResolutionWeights::random(4, 1.0 / 16.0, 3);
    for (name, tensor) in &mut weights.tensors {
        if name.starts_with("conv2.") {
            tensor.data.fill(0.0);
        }
    }
    let net = SuperResolutionNet::new(context(), weights).unwrap();
    let got = super_resolution::enlarge(&mut Enlarger::new(net), &photo, 4, &Budget::default()).unwrap();
    let expected = photo.filled().resize_with(Bicubic, 84, 52);
    assert_eq!(got.alpha, expected.alpha);
    let opaque = Picture { alpha: None, ..photo.filled().into_owned() };
    assert!(difference(&got, &opaque.resize_with(Bicubic, 84, 52)) < 1e-5);
}

#[test]
fn other_nets_sizes_and_factors_are_refused() {
    let file = fixture("super_resolution.safetensors");
    type Tensors = Vec<(String, HostTensor)>;
    let refused = |change: &dyn Fn(&mut Tensors)| {
        let mut file = part(&file, 4);
        change(&mut file.tensors);
        SuperResolutionWeights::of(&file).unwrap_err().to_string()
    };
    let message = refused(&|tensors| tensors.retain(|(name, _)| name != "block2.conv1.bias"));
    assert!(message.contains("lacks the tensor block2.conv1.bias"), "{message}");
    let message = refused(&|tensors| {
        let tensor = tensors[0].1.clone();
        tensors.push(("block5.conv1.weight".into(), tensor));
    });
    assert!(message.contains("block5.conv1.weight"), "{message}");
    let message = refused(&|tensors| tensors.iter_mut().for_each(|(_, tensor)| tensor.shape.reverse()));
    assert!(message.contains("must have shape"), "{message}");
    let photo = noise(20, 4);
    let message = enlarged(&photo, 4, 4, &Budget::default()).unwrap_err().to_string();
    assert!(message.contains("at least 5 px") && message.contains("20x4"), "{message}");
    let message = enlarged(&noise(20, 20), 4, 3, &Budget::default()).unwrap_err().to_string();
    assert!(message.contains("2, 4 or 8"), "{message}");
    let message = enlarged(&noise(90, 90), 4, 4, &Budget { device: 1 << 20, ..Budget::default() });
    let message = message.unwrap_err().to_string();
    assert!(message.contains("allow more memory"), "{message}");
}
