//! The feed-forward net in both forms and with both norms against PyTorch: its picture, gradients, ten training steps,
//! and batch norm with running statistics.

use std::collections::BTreeMap;

use impasto::gpu::{Context, DeviceTensor, Recorder};
use impasto::io::{HostTensor, Picture, WeightFile};
use impasto::nets::ImageTransformNet;
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights, Painter};
use impasto::ops::norm::Over;
use impasto::ops::square_loss::{self, Weight};
use impasto::optim::{AdamOptions, ParameterAdam};

use crate::reference::{Array, compare};
use crate::{array, context, contexts, data, device, fixture};

const CASES: [(&str, Form, Over); 4] = [
    ("resize.in", Form::Resize, Over::Instance),
    ("resize.bn", Form::Resize, Over::Batch),
    ("paper.in", Form::Paper, Over::Instance),
    ("paper.bn", Form::Paper, Over::Batch),
];

/// The tensors whose names start with `prefix.`, as a file.
fn part(file: &WeightFile, prefix: &str) -> WeightFile {
    let tensors = file.tensors.iter().filter_map(|(name, tensor)| {
        let name = name.strip_prefix(prefix)?.strip_prefix('.')?;
        let is_of_net = ["conv", "res", "deconv", "in", "bn"].iter().any(|part| name.starts_with(part));
        is_of_net.then(|| (name.to_string(), tensor.clone()))
    });
    let metadata = BTreeMap::from([("range".to_string(), "0..1".to_string())]);
    WeightFile { tensors: tensors.collect(), metadata, ..file.clone() }
}

fn weights(file: &WeightFile, case: &str) -> ImageTransformNetWeights {
    ImageTransformNetWeights::of(&part(file, case)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn form_and_norm_are_detected_from_the_weights() {
    let file = fixture("image_transform_net.safetensors");
    for (case, form, norm) in CASES {
        let weights = weights(&file, case);
        assert_eq!((weights.form, weights.norm, weights.channels), (form, norm, 2), "{case}");
    }
}

#[test]
fn ten_steps_of_training_agree_with_pytorch() {
    let file = fixture("image_transform_net.safetensors");
    for context in contexts() {
        for (case, form, norm) in CASES {
            let what = format!("{:?}, {case}", context.class());
            let prefix = if form == Form::Paper { "paper" } else { "resize" };
            let [x, target] = ["x", "target"].map(|name| device(context, &array(&file, &format!("{prefix}.{name}"))));
            let net = ImageTransformNet::trainable(context, weights(&file, case)).unwrap();
            let (loss, y) = (DeviceTensor::new(context, "loss", [1]), DeviceTensor::new(context, "y", x.shape()));
            let mut rec = Recorder::new(context);
            let (xs, targets, losses, ys) = (rec.pin(&x), rec.pin(&target), rec.pin(&loss), rec.pin(&y));
            let activations = net.forward(&mut rec, xs).unwrap();
            impasto::ops::vector::copy(&mut rec, activations.picture, ys).unwrap();
            let weight = Weight::new(&mut rec, 1.0 / x.shape().count() as f32);
            square_loss::forward(&mut rec, activations.picture, targets, weight, losses, 0).unwrap();
            let dy = square_loss::backward(&mut rec, activations.picture, targets, weight).unwrap();
            net.backward_parameters(&mut rec, &activations, dy).unwrap();
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
                    let expected = array(&file, &format!("{case}.y"));
                    compare(&y.read().unwrap(), &expected, 1e-4).unwrap_or_else(|e| panic!("{what}, y: {e}"));
                    check_gradients(&file, case, &net, &what);
                }
                adam.set(&update, step, 1e-3);
                update.run().unwrap();
            }
            let expected = array(&file, &format!("{case}.losses"));
            compare(&got, &expected, 1e-4).unwrap_or_else(|e| panic!("{what}, losses: {e}"));
            if norm == Over::Batch {
                check_running(&file, case, context, &net, &x, &what);
            }
        }
    }
}

fn check_gradients(file: &WeightFile, case: &str, net: &ImageTransformNet, what: &str) {
    let mut checked = 0;
    for parameter in net.parameters() {
        let name = format!("{case}.gradient.{}", parameter.name);
        let got = parameter.gradient.read().unwrap();
        if file.get(&name).is_none() {
            // The next norm removes the effect of such a bias.
            let rounding = got.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            assert!(parameter.name.ends_with(".bias") && rounding < 1e-5, "{what}, {name}: {rounding}");
            continue;
        }
        compare(&got, &array(file, &name), 1e-4).unwrap_or_else(|e| panic!("{what}, {name}: {e}"));
        checked += 1;
    }
    // All weights and scales, and the biases that have an effect.
    assert!(checked > 16 + 15, "{what}: only {checked} gradients held against PyTorch's");
}

/// Checks the running statistics after the ten steps, and the picture of a frozen net with the first weights and these
/// statistics.
fn check_running(
    file: &WeightFile,
    case: &str,
    context: &Context,
    net: &ImageTransformNet,
    x: &DeviceTensor,
    what: &str,
) {
    for (name, tensor) in net.state() {
        let expected = array(file, &format!("{case}.running.{name}"));
        compare(&tensor.read().unwrap(), &expected, 1e-4).unwrap_or_else(|e| panic!("{what}, {name}: {e}"));
    }
    let mut start = weights(file, case);
    for (name, tensor) in &mut start.tensors {
        if let Some(running) = file.get(&format!("{case}.running.{name}")) {
            tensor.data.clone_from(&running.data);
        }
    }
    let frozen = ImageTransformNet::new(context, start).unwrap();
    assert!(frozen.parameters().is_empty() && frozen.state().is_empty());
    let y = DeviceTensor::new(context, "y", x.shape());
    let mut rec = Recorder::new(context);
    let (xs, ys) = (rec.pin(x), rec.pin(&y));
    let picture = frozen.forward(&mut rec, xs).unwrap().picture;
    impasto::ops::vector::copy(&mut rec, picture, ys).unwrap();
    rec.finish().unwrap().run().unwrap();
    let expected = array(file, &format!("{case}.running.y"));
    compare(&y.read().unwrap(), &expected, 1e-4).unwrap_or_else(|e| panic!("{what}, by running statistics: {e}"));
}

#[test]
fn a_frozen_net_paints_like_the_trained_one() {
    let file = fixture("image_transform_net.safetensors");
    for context in contexts() {
        for case in ["resize.in", "paper.in"] {
            let x = array(&file, &format!("{}.x", case.split('.').next().unwrap()));
            let expected = array(&file, &format!("{case}.y"));
            let [height, width] = [x.shape[2], x.shape[3]];
            let count = 3 * height * width;
            let photo = Picture::from_rgb(width, height, x.to_f32()[..count].to_vec()).unwrap();
            let net = ImageTransformNet::new(context, weights(&file, case)).unwrap();
            let painted = Painter::new(net).paint(&photo).unwrap();
            let clamped: Vec<f32> = expected.to_f32()[..count].iter().map(|v| v.clamp(0.0, 1.0)).collect();
            let expected = Array::from_f32(&[count], &clamped);
            compare(&painted.rgb, &expected, 1e-4).unwrap_or_else(|e| panic!("{:?}, {case}: {e}", context.class()));
        }
    }
}

#[test]
fn a_widened_net_paints_as_before() {
    let file = fixture("image_transform_net.safetensors");
    for (case, form, _) in CASES {
        let narrow = weights(&file, case);
        let wide = narrow.widened(0.1, 5).unwrap();
        assert_eq!((wide.form, wide.norm, wide.channels), (form, narrow.norm, 3), "{case}");
        let mut photo = Picture::new(48, 44);
        photo.rgb.iter_mut().enumerate().for_each(|(i, v)| *v = (i * i % 23) as f32 / 23.0);
        let paint = |weights: &ImageTransformNetWeights| {
            let net = ImageTransformNet::new(context(), weights.clone()).unwrap();
            Painter::new(net).paint(&photo).unwrap().rgb
        };
        let (before, after) = (paint(&narrow), paint(&wide));
        let before = Array::from_f32(&[before.len()], &before);
        compare(&after, &before, 1e-5).unwrap_or_else(|e| panic!("{case}: {e}"));
        // Rules out that all tensors are zero.
        let of =
            |name: &str| wide.tensors.iter().find(|(known, _)| known == name).map(|(_, t)| t.data.clone()).unwrap();
        let first = of("conv1.conv2d.weight");
        assert!(first[2 * 3 * 81..].iter().all(|&w| w != 0.0), "{case}: the new channel");
        let error = wide.widened(0.0625, 0).unwrap_err().to_string();
        assert!(error.contains("at most 2 channels") && error.contains("got 3"), "{error}");
    }
}

#[test]
fn pictures_of_any_size_keep_their_size() {
    for (form, least) in [(Form::Resize, 5), (Form::Paper, 41)] {
        let weights = ImageTransformNetWeights::random(form, Over::Instance, 0.0625, 1);
        let mut painter = Painter::new(ImageTransformNet::new(context(), weights).unwrap());
        for (width, height) in [(least, least), (least + 1, least + 2), (least + 3, least + 8)] {
            let mut photo = Picture::new(width, height);
            photo.rgb.iter_mut().enumerate().for_each(|(i, v)| *v = (i % 7) as f32 / 7.0);
            photo.alpha = Some(vec![0.5; width * height]);
            assert!(!painter.is_ready(width, height));
            let painted = painter.paint(&photo).unwrap();
            assert!(painter.is_ready(width, height) && !painter.is_ready(height + 1, width));
            assert_eq!((painted.width, painted.height, &painted.alpha), (width, height, &photo.alpha), "{form:?}");
            // A size used before gives the same bits, whatever was painted in between.
            assert_eq!(painter.paint(&photo).unwrap(), painted, "{form:?} {width}x{height}");
        }
        let error = painter.paint(&Picture::new(least - 1, 64)).unwrap_err().to_string();
        assert!(error.contains(&format!("at least {least} px")), "{error}");
    }
}

#[test]
fn files_that_are_not_such_a_net_are_refused() {
    let file = fixture("image_transform_net.safetensors");
    let refused = |change: &dyn Fn(&mut WeightFile), telling: &str| {
        let mut file = part(&file, "resize.in");
        change(&mut file);
        let error = ImageTransformNetWeights::of(&file).unwrap_err().to_string();
        assert!(error.contains(telling), "{error}");
    };
    refused(&|file| file.tensors.retain(|(name, _)| name != "res3.in2.bias"), "lacks the tensor res3.in2.bias");
    refused(&|file| file.tensors.clear(), "lacks the tensor conv1.conv2d.weight");
    let misshape = |file: &mut WeightFile| {
        let tensor = &mut file.tensors.iter_mut().find(|(name, _)| name == "res1.conv1.conv2d.weight").unwrap().1;
        tensor.shape = vec![8, 8, 9, 1];
    };
    refused(&misshape, "res1.conv1.conv2d.weight must have shape [8, 8, 3, 3]");
    // Six residual blocks, also in the names of a wrapper.
    let deeper = |file: &mut WeightFile| {
        let sixth: Vec<_> = file
            .tensors
            .iter()
            .filter(|(name, _)| name.starts_with("res5."))
            .map(|(name, tensor)| (name.replace("res5", "res6"), tensor.clone()))
            .collect();
        file.tensors.extend(sixth);
    };
    refused(&deeper, "has no place for the tensor res6.conv1.conv2d.bias and 7 more");
    let wrapped = |file: &mut WeightFile| {
        deeper(file);
        file.tensors.iter_mut().for_each(|(name, _)| *name = format!("module.{name}"));
    };
    refused(&wrapped, "has no place for the tensor module.res6.conv1.conv2d.bias");
}

#[test]
fn prefixes_of_wrappers_and_counters_are_no_part_of_the_net() {
    let file = part(&fixture("image_transform_net.safetensors"), "resize.in");
    let plain = ImageTransformNetWeights::of(&file).unwrap();
    for prefix in ["module.", "_orig_mod.module.", "model.", "net._orig_mod."] {
        let mut wrapped = file.clone();
        wrapped.tensors.iter_mut().for_each(|(name, _)| *name = format!("{prefix}{name}"));
        let count = HostTensor::new(&[], vec![3.0]).unwrap();
        wrapped.tensors.push(("n_averaged".into(), count.clone()));
        wrapped.tensors.push((format!("{prefix}in1.num_batches_tracked"), count));
        let read = ImageTransformNetWeights::of(&wrapped).unwrap_or_else(|error| panic!("{error}"));
        assert!(read.tensors == plain.tensors, "{prefix}");
        // One name without the prefix: the prefix is not removed.
        wrapped.tensors[0].0 = file.tensors[0].0.clone();
        assert!(ImageTransformNetWeights::of(&wrapped).is_err(), "{prefix}");
    }
}

#[test]
fn public_nets_load_as_they_are() {
    let Some(data) = data() else { return };
    for (name, channels) in [("mosaic.pth", 32), ("mosaic_nc8_legacy.pth", 8)] {
        let mut file = WeightFile::load(&data.join("reference").join(name)).unwrap();
        // Old files contain running statistics that instance norm never uses.
        let gamma = file.get("in1.weight").unwrap().clone();
        file.tensors.push(("in1.running_mean".into(), gamma));
        let weights = ImageTransformNetWeights::of(&file).unwrap();
        assert_eq!((weights.form, weights.norm, weights.channels), (Form::Resize, Over::Instance, channels));
        let mut photo = Picture::new(45, 30);
        photo.rgb.iter_mut().enumerate().for_each(|(i, v)| *v = ((i * i) % 97) as f32 / 97.0);
        let painted = Painter::new(ImageTransformNet::new(context(), weights).unwrap()).paint(&photo).unwrap();
        let mean = painted.rgb.iter().sum::<f32>() / painted.rgb.len() as f32;
        let spread = painted.rgb.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / painted.rgb.len() as f32;
        // Values in another range would give a black, white or flat picture.
        assert!((0.2..0.8).contains(&mean) && spread > 0.01, "{name}: mean {mean}, variance {spread}");
    }
}
