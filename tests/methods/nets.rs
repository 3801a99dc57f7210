//! VGG-19 in its three conventions against PyTorch, and properties of the embedded weights.

use impasto::gpu::Recorder;
use impasto::io::{DType, HostTensor, WeightFile};
use impasto::nets::Vgg19;
use impasto::nets::vgg19::{Convention, Tap, Vgg19Weights};
use impasto::ops::pool::Pooling;

use crate::reference::compare;
use crate::{array, context, contexts, data, device, fixture, kept, vgg_of};

fn assert_activations_agree(file: &WeightFile, picture: &str, taps: &[(Tap, String)], convention: Convention) {
    for context in contexts() {
        let vgg = Vgg19::load(context, &vgg_of(file), Pooling::Max).unwrap();
        assert_eq!(vgg.convention(), convention);
        let mut rec = Recorder::new(context);
        let x = rec.pin(&device(context, &array(file, picture)));
        let deepest = taps.iter().map(|(tap, _)| *tap).max().unwrap();
        let activations = vgg.forward(&mut rec, x, deepest).unwrap();
        let outputs: Vec<_> = taps.iter().map(|(tap, _)| kept(&mut rec, activations.at(*tap).unwrap())).collect();
        let program = rec.finish().unwrap();
        impasto::internal::poison(&program);
        program.run().unwrap();
        for ((tap, key), output) in taps.iter().zip(outputs) {
            let compared = compare(&output.read().unwrap(), &array(file, key), 2e-5);
            compared.unwrap_or_else(|e| panic!("{convention} {tap} with {:?}: {e}", context.class()));
        }
    }
}

fn taps(names: &[&str], prefix: &str) -> Vec<(Tap, String)> {
    names.iter().map(|name| (name.parse().unwrap(), format!("{prefix}{name}"))).collect()
}

#[test]
fn caffe_activations_agree_with_pytorch_at_every_layer() {
    let names = ["1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "3_4", "4_1"].map(|n| format!("relu{n}"));
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_activations_agree(
        &fixture("gatys.safetensors"),
        "content",
        &taps(&names, "max.content."),
        Convention::Caffe,
    );
}

#[test]
fn normalised_activations_agree_with_pytorch() {
    let names = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"];
    assert_activations_agree(&fixture("normalised.safetensors"), "picture", &taps(&names, ""), Convention::Normalised);
}

#[test]
fn torchvision_activations_agree_with_pytorch_to_the_last_layer() {
    let names = ["relu1_1", "relu2_2", "relu3_1", "relu4_2", "relu5_1", "relu5_4"];
    assert_activations_agree(
        &fixture("torchvision.safetensors"),
        "picture",
        &taps(&names, ""),
        Convention::Torchvision,
    );
}

#[test]
fn both_pth_formats_have_the_weights_of_the_safetensors_file() {
    let plain = fixture("torchvision.safetensors");
    for name in ["torchvision.pth", "torchvision_legacy.pth"] {
        let file = fixture(name);
        let weights = Vgg19Weights::of(&file).unwrap();
        assert_eq!(weights.convention, Convention::Torchvision, "{name}");
        assert_eq!(weights.convolutions.len(), 16, "{name}");
        for (tensor, values) in file.tensors.iter().filter(|(name, _)| name.starts_with("features.")) {
            assert_eq!(values.data, plain.get(tensor).unwrap().data, "{name} {tensor}");
        }
    }
}

#[test]
fn average_pooling_agrees_with_pytorch() {
    let file = fixture("gatys.safetensors");
    let vgg = Vgg19::load(context(), &vgg_of(&file), Pooling::Average).unwrap();
    let mut rec = Recorder::new(context());
    let x = rec.pin(&device(context(), &array(&file, "content")));
    let tap = "relu4_1".parse().unwrap();
    let activations = vgg.forward(&mut rec, x, tap).unwrap();
    let output = kept(&mut rec, activations.at(tap).unwrap());
    rec.finish().unwrap().run().unwrap();
    compare(&output.read().unwrap(), &array(&file, "avg.content.relu4_1"), 2e-5).unwrap();
}

fn tensor(shape: &[usize]) -> HostTensor {
    HostTensor::new(shape, vec![0.1; shape.iter().product()]).unwrap()
}

/// A file in memory with these tensors, saved and loaded again.
fn saved(tensors: &[(&str, HostTensor)], convention: Option<&str>) -> WeightFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect();
    let metadata = convention.map(|name| ("convention".to_string(), name.to_string())).into_iter().collect();
    WeightFile::save(&path, DType::F32, &tensors, &metadata).unwrap();
    WeightFile::load(&path).unwrap()
}

#[test]
fn conventions_are_detected_by_name_and_shape() {
    let weight = || tensor(&[4, 3, 3, 3]);
    let first = |stem: &str| [(format!("{stem}.weight"), weight()), (format!("{stem}.bias"), tensor(&[4]))];
    let conv0 = [("0.weight".to_string(), tensor(&[3, 3, 1, 1])), ("0.bias".to_string(), tensor(&[3]))];
    let named = |pairs: &[(String, HostTensor)], metadata: Option<&str>| {
        let pairs: Vec<_> = pairs.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
        Vgg19Weights::of(&saved(&pairs, metadata)).map(|weights| weights.convention)
    };
    assert_eq!(named(&first("conv1_1"), None).unwrap(), Convention::Caffe);
    assert_eq!(named(&first("features.0"), None).unwrap(), Convention::Torchvision);
    assert_eq!(named(&first("0"), None).unwrap(), Convention::Torchvision);
    assert_eq!(named(&[conv0.to_vec(), first("2").to_vec()].concat(), None).unwrap(), Convention::Normalised);
    assert_eq!(named(&first("features.0"), Some("caffe")).unwrap(), Convention::Caffe);
    let message = named(&first("encoder"), None).unwrap_err().to_string();
    assert!(message.contains("not VGG-19"), "{message}");
}

#[test]
fn a_wrong_shape_is_named() {
    let good = [("conv1_1.weight", tensor(&[4, 3, 3, 3])), ("conv1_1.bias", tensor(&[4]))];
    let bad = [("conv1_2.weight", tensor(&[4, 5, 3, 3])), ("conv1_2.bias", tensor(&[4]))];
    let file = saved(&[good.to_vec(), bad.to_vec()].concat(), None);
    let message = Vgg19Weights::of(&file).err().unwrap().to_string();
    assert!(message.contains("conv1_2.weight") && message.contains("[4, 5, 3, 3]"), "{message}");
}

#[test]
fn only_what_changes_nothing_may_be_left_over() {
    let good = [("net.conv1_1.weight", tensor(&[4, 3, 3, 3])), ("net.conv1_1.bias", tensor(&[4]))];
    let with = |name| Vgg19Weights::of(&saved(&[good.to_vec(), vec![(name, tensor(&[4]))]].concat(), None));
    for name in ["net.classifier.0.weight", "net.fc6.weight", "net.scale1_1"] {
        assert!(with(name).is_ok(), "{name}");
    }
    let message = with("net.bn1_1.weight").err().unwrap().to_string();
    assert!(message.contains("no place for the tensor net.bn1_1.weight"), "{message}");
}

#[test]
fn a_tap_beyond_the_last_layer_is_refused_with_its_name() {
    let vgg = Vgg19::load(context(), &vgg_of(&fixture("gatys.safetensors")), Pooling::Max).unwrap();
    let mut rec = Recorder::new(context());
    let x = rec.transient("x", [1, 3, 64, 64]);
    let message = vgg.forward(&mut rec, x, "relu5_1".parse().unwrap()).err().unwrap().to_string();
    assert!(message.contains("relu4_1") && message.contains("relu5_1"), "{message}");
}

#[test]
fn real_weights_and_real_checkpoints_load() {
    let Some(data) = data() else { return };
    let load = |name: &str| WeightFile::load(&data.join(name)).unwrap_or_else(|error| panic!("{error}"));
    let conventions = [
        ("vgg19/vgg19_caffe_to_relu4_1.safetensors", Convention::Caffe, 9),
        ("vgg19/vgg19_normalised_to_relu4_1.safetensors", Convention::Normalised, 9),
        ("reference/vgg_normalised_conv3_1.pth", Convention::Normalised, 5),
    ];
    for (name, convention, count) in conventions {
        let file = load(name);
        let weights = Vgg19Weights::of(&file).unwrap();
        assert_eq!((weights.convention, weights.convolutions.len()), (convention, count), "{name}");
    }
    for name in ["reference/mosaic.pth", "reference/mosaic_nc8_legacy.pth"] {
        let file = load(name);
        assert!(file.get("conv1.conv2d.weight").is_some(), "{name}: {:?}", file.tensors.first().map(|(n, _)| n));
        assert!(Vgg19Weights::of(&file).is_err(), "{name} is no VGG-19");
    }
}

#[cfg(feature = "embedded-weights")]
#[test]
fn the_embedded_encoder_loads() {
    let weights = Vgg19Weights::of(&impasto::weights::encoder("compact").unwrap()).unwrap();
    let channels: Vec<_> = weights.convolutions.iter().map(|[_, bias]| bias.data.len()).collect();
    assert_eq!((weights.convention, channels), (Convention::Normalised, vec![16, 16, 32, 32, 64, 64, 64, 64, 128]));
    assert_eq!(weights.deepest().map(|tap| tap.to_string()).as_deref(), Some("relu4_1"));
    let vgg = Vgg19::new(context(), &weights, Pooling::Max).unwrap();
    let picture = array(&fixture("normalised.safetensors"), "picture");
    let mut rec = Recorder::new(context());
    let x = rec.pin(&device(context(), &picture));
    let taps: Vec<Tap> = Tap::style().collect();
    let activations = vgg.forward(&mut rec, x, taps[3]).unwrap();
    let outputs: Vec<_> = taps.iter().map(|tap| kept(&mut rec, activations.at(*tap).unwrap())).collect();
    rec.finish().unwrap().run().unwrap();
    for (tap, output) in taps.iter().zip(outputs) {
        let values = output.read().unwrap();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        // 1 over the photos of the calibration.
        assert!(mean > 0.1 && mean < 10.0, "{tap}: {mean}");
    }
}
