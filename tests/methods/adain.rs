//! AdaIN against PyTorch: the loss, the decoder's gradients, ten training steps, and painted pictures.

use impasto::gpu::Context;
use impasto::gpu::{DeviceTensor, Recorder};
use impasto::io::{Picture, WeightFile};
use impasto::methods::Area;
use impasto::methods::adain::{self, AdainSettings, Source};
use impasto::methods::color::{KeepColor, chrominance, with_colors_of};
use impasto::methods::feed_forward::{self, FeedForwardSettings};
use impasto::methods::gatys::{self, GatysSettings};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::adain_painter::{AdainStyle, Region};
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights, Painter};
use impasto::nets::vgg19::Vgg19Weights;
use impasto::nets::{AdainDecoder, AdainPainter, ImageTransformNet, Place, Tap, Vgg19};
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;
use impasto::optim::{AdamOptions, ParameterAdam};
use impasto::train::adain::{Adain, AdainTrainerSettings};
use impasto::train::{Crops, Folder, Trainer};

use crate::reference::{Array, compare};
use crate::{array, context, contexts, device, fixture, tensors_of, vgg_of};

fn file() -> WeightFile {
    fixture("adain.safetensors")
}

fn decoder_of(file: &WeightFile) -> WeightFile {
    tensors_of(file, &["d4_", "d3_", "d2_", "d1_"])
}

/// A folder with one picture, for training whose pictures the test supplies itself.
fn folder() -> (tempfile::TempDir, Folder) {
    let dir = tempfile::tempdir().unwrap();
    Picture::new(64, 64).save(&dir.path().join("1.png")).unwrap();
    let folder = Folder::scan(&[dir.path().to_path_buf()]).unwrap();
    (dir, folder)
}

fn settings(file: &WeightFile) -> AdainTrainerSettings {
    let weight = |name: &str| file.metadata[name].parse().unwrap();
    let crops = Crops { size: 32, share: Some([0.5, 1.0]), flip: false };
    AdainTrainerSettings {
        style_crops: crops.clone(),
        crops,
        content_weight: weight("content"),
        style_weight: weight("style"),
        tv_weight: weight("tv"),
        identity_weight: weight("identity"),
        ..AdainTrainerSettings::default()
    }
}

#[test]
fn ten_steps_of_training_agree_with_pytorch() {
    let file = file();
    for context in contexts() {
        let (_dir, folder) = folder();
        let encoder = Vgg19::load(context, &vgg_of(&file), Pooling::Max).unwrap();
        let trainer = Adain::new(
            encoder,
            AdainDecoderWeights::of(&decoder_of(&file)).unwrap(),
            [folder.clone(), folder],
            settings(&file),
        )
        .unwrap();
        let [photos, paintings] = ["photos", "paintings"].map(|name| device(context, &array(&file, name)));
        let losses = DeviceTensor::new(context, "losses", [trainer.terms().len()]);
        let mut rec = Recorder::new(context);
        let (pictures, into) = ([rec.pin(&photos), rec.pin(&paintings)], rec.pin(&losses));
        trainer.record(&mut rec, &pictures, into, 1.0).unwrap();
        let pass = rec.finish().unwrap();
        let mut adam = ParameterAdam::new(context, &trainer.parameters(), AdamOptions::default()).unwrap();
        let mut rec = Recorder::new(context);
        adam.record(&mut rec).unwrap();
        trainer.refresh(&mut rec).unwrap();
        let update = rec.finish().unwrap();
        let mut got = Vec::new();
        for step in 1..=10 {
            pass.run().unwrap();
            got.push(losses.read().unwrap().iter().sum::<f32>());
            if step == 1 {
                let parameters = trainer.parameters();
                assert_eq!(parameters.len(), 18);
                for parameter in parameters {
                    let name = format!("gradient.{}", parameter.name);
                    let gradient = parameter.gradient.read().unwrap();
                    compare(&gradient, &array(&file, &name), 1e-3)
                        .unwrap_or_else(|e| panic!("{:?}, {name}: {e}", context.class()));
                }
            }
            adam.set(&update, step, 1e-3);
            update.run().unwrap();
        }
        compare(&got, &array(&file, "losses"), 1e-3).unwrap_or_else(|e| panic!("{:?}: {e}", context.class()));
    }
}

/// Picture `index` of a batch `[N, 3, H, W]`.
fn picture(stack: &Array, index: usize) -> Picture {
    let [_, _, height, width] = stack.dims();
    let count = 3 * height * width;
    Picture::from_rgb(width, height, stack.to_f32()[index * count..][..count].to_vec()).unwrap()
}

fn assert_painted(painted: &Picture, file: &WeightFile, name: &str) {
    let expected = array(file, name);
    let count = painted.rgb.len();
    let clamped: Vec<f32> = expected.to_f32()[..count].iter().map(|v| v.clamp(0.0, 1.0)).collect();
    compare(&painted.rgb, &Array::from_f32(&[count], &clamped), 1e-3).unwrap_or_else(|e| panic!("{name}: {e}"));
}

pub struct Scene {
    file: WeightFile,
    encoder: Vgg19,
    photo: Picture,
    pub paintings: [Picture; 2],
}

impl Scene {
    pub fn new(context: &Context) -> Self {
        let file = file();
        let encoder = Vgg19::load(context, &vgg_of(&file), Pooling::Max).unwrap();
        let [photos, paintings] = ["photos", "paintings"].map(|name| array(&file, name));
        Scene { encoder, photo: picture(&photos, 0), paintings: [0, 1].map(|i| picture(&paintings, i)), file }
    }

    pub fn painter(&self) -> AdainPainter {
        let decoder =
            AdainDecoder::new(self.encoder.context(), AdainDecoderWeights::of(&decoder_of(&self.file)).unwrap())
                .unwrap();
        AdainPainter::new(&self.encoder, decoder).unwrap()
    }
}

/// Pictures agree with PyTorch's: plain, with α = ½, with two mixed styles, and with a mask.
#[test]
fn pictures_agree_with_pytorch() {
    for context in contexts() {
        let scene = Scene::new(context);
        let mut painter = scene.painter();
        let [first, second] = scene.paintings.each_ref().map(|painting| painter.style(painting).unwrap());
        let mut paint = |regions: &[Region]| painter.paint(&scene.photo, regions).unwrap();
        assert_painted(&paint(&[first.clone().into()]), &scene.file, "y");
        let half = Region { strength: 0.5, ..second.clone().into() };
        assert_painted(&paint(&[half]), &scene.file, "half");
        let mixed = AdainStyle::mix(&[(first.clone(), 1.0), (second, 2.0)]).unwrap();
        assert_painted(&paint(&[mixed.into()]), &scene.file, "mixed");
        // A mask of the size of the features: 5 wide for a photo of 35 px.
        let mut mask = Picture::new(5, 3);
        mask.rgb.iter_mut().enumerate().for_each(|(at, value)| *value = 1.0 - (at % 5) as f32 / 4.0);
        assert_painted(&paint(&[Region { place: Place::Mask(mask), ..first.into() }]), &scene.file, "masked");
    }
}

/// The fields of a picture are public, so its planes can be too short. Every method refuses such a picture.
#[test]
fn pictures_with_short_planes_are_refused() {
    let context = Context::new(&Default::default()).unwrap();
    let Scene { encoder, photo, paintings: [painting, _], file } = &Scene::new(&context);
    let decoder = AdainDecoder::new(&context, AdainDecoderWeights::of(&decoder_of(file)).unwrap()).unwrap();
    let mut painter = AdainPainter::new(encoder, decoder).unwrap();
    let short = |of: &Picture| Picture { rgb: of.rgb[1..].to_vec(), ..of.clone() };
    let no_alpha = |of: &Picture| Picture { alpha: Some(vec![1.0; of.pixels() - 1]), ..of.clone() };
    let refused = |argument: &str, result: impasto::Result<Picture>| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(&format!(": {argument} must be")) && error.contains("values"), "{error}");
    };

    let mut adain = |photo: Picture, style: Picture, place: Place| {
        let area = Area { styles: vec![(Source::Picture(style), 1.0)], place };
        adain::stylize(&mut painter, &photo, &[area], &AdainSettings::default())
    };
    refused("photo", adain(short(photo), painting.clone(), Place::Everywhere));
    refused("photo", adain(no_alpha(photo), painting.clone(), Place::Everywhere));
    refused("style", adain(photo.clone(), short(painting), Place::Everywhere));
    refused("mask", adain(photo.clone(), painting.clone(), Place::Mask(short(photo))));

    let gatys = |content: Picture, style: Picture| {
        let styles = [style.into()];
        let outcome = gatys::stylize(encoder, &content, &styles, &GatysSettings::default(), |_| {
            Ok(std::ops::ControlFlow::Break(()))
        });
        outcome.map(|outcome| outcome.picture)
    };
    refused("content", gatys(short(photo), painting.clone()));
    refused("style", gatys(photo.clone(), no_alpha(painting)));

    let weights = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.0625, 1);
    let mut painter = Painter::new(ImageTransformNet::new(&context, weights).unwrap());
    refused("photo", feed_forward::stylize(&mut painter, &short(photo), &FeedForwardSettings::default()));
}

/// From the second frame of a size on, no buffer, bind group or pipeline is created, whatever the style.
#[test]
fn further_frames_create_no_objects() {
    let context = Context::new(&Default::default()).unwrap();
    let scene = Scene::new(&context);
    let mut painter = scene.painter();
    let styles = scene.paintings.each_ref().map(|painting| painter.style(painting).unwrap());
    let mut frame = |photo: &Picture, style: &AdainStyle| {
        let before = impasto::internal::objects_made(&context);
        painter.paint(photo, &[style.clone().into()]).unwrap();
        impasto::internal::objects_made(&context) - before
    };
    assert!(frame(&scene.photo, &styles[0]) > 0);
    assert_eq!(frame(&scene.photo, &styles[0]), 0);
    assert_eq!(frame(&scene.photo, &styles[1]), 0);
    let larger = scene.photo.resize(scene.photo.width + 8, scene.photo.height);
    assert!(frame(&larger, &styles[1]) > 0, "another size has a program of its own");
}

#[test]
fn limits_of_alpha_weights_and_masks_agree() {
    let scene = Scene::new(context());
    let mut painter = scene.painter();
    let [first, second] = scene.paintings.each_ref().map(|painting| painter.style(painting).unwrap());
    let own = painter.style(&scene.photo).unwrap();
    let mut paint = |regions: &[Region]| painter.paint(&scene.photo, regions).unwrap();
    let close = |a: &Picture, b: &Picture| a.rgb.iter().zip(&b.rgb).all(|(a, b)| (a - b).abs() < 1e-4);
    let plain = paint(&[first.clone().into()]);
    let other = paint(&[second.clone().into()]);
    assert!(!close(&plain, &other), "the style changes the picture");
    // α = 0 gives the reconstruction: the photo's own features through the decoder, as with the photo's own style.
    let nothing = paint(&[Region { strength: 0.0, ..first.clone().into() }]);
    assert!(close(&nothing, &paint(&[own.into()])) && !close(&nothing, &plain));
    // Weights 1 and 0 give the first style alone.
    let mixed = AdainStyle::mix(&[(first.clone(), 1.0), (second.clone(), 0.0)]).unwrap();
    assert_eq!(paint(&[mixed.into()]), plain);
    // A white mask has no effect; a black one leaves the photo.
    let mask = |value: f32| {
        let mut mask = Picture::new(7, 9);
        mask.rgb.fill(value);
        Place::Mask(mask)
    };
    assert!(close(&paint(&[Region { place: mask(1.0), ..first.clone().into() }]), &plain));
    assert!(close(&paint(&[Region { place: mask(0.0), ..first.clone().into() }]), &nothing));
    // Two regions with the same mask share its area.
    let [a, b] = [first, second].map(|style| Region { place: mask(1.0), ..style.into() });
    let halves = AdainStyle::mix(&[(a.style.clone(), 1.0), (b.style.clone(), 1.0)]).unwrap();
    assert!(close(&paint(&[a.clone(), b.clone()]), &paint(&[halves.into()])));
    // The rest of a black mask is the whole picture; the rest of a white mask is empty.
    let rest = |style: &AdainStyle| Region { place: Place::Rest, ..style.clone().into() };
    assert!(close(&paint(&[a.clone(), rest(&b.style)]), &plain));
    assert!(close(&paint(&[Region { place: mask(0.0), ..a }, rest(&b.style)]), &other));
}

#[test]
fn keep_color_keeps_the_colours_of_the_photo() {
    let scene = Scene::new(context());
    let mut painter = scene.painter();
    let mut paint = |keep_color| {
        let source = Source::Picture(scene.paintings[0].clone());
        let area = Area { styles: vec![(source, 1.0)], place: Place::Everywhere };
        let settings = AdainSettings { keep_color, ..AdainSettings::default() };
        adain::stylize(&mut painter, &scene.photo, &[area], &settings).unwrap()
    };
    // Largest difference of chrominance from the photo.
    let apart = |picture: &Picture| {
        let pairs = chrominance(picture).into_iter().zip(chrominance(&scene.photo));
        pairs.map(|(a, b)| (a[0] - b[0]).abs().max((a[1] - b[1]).abs())).fold(0.0, f32::max)
    };
    let [plain, luminance, matched] = [KeepColor::No, KeepColor::Luminance, KeepColor::Match].map(&mut paint);
    assert!(apart(&luminance) < 1e-3 && apart(&plain) > 0.01, "{} {}", apart(&luminance), apart(&plain));
    // Matching colours equals measuring the style of the recoloured picture.
    let recoloured = with_colors_of(&scene.paintings[0], &scene.photo);
    let style = painter.style(&recoloured).unwrap();
    assert_eq!(painter.paint(&scene.photo, &[style.into()]).unwrap(), matched);
    assert_ne!(matched, plain);
}

#[test]
fn a_saved_style_gives_the_same_bits() {
    let scene = Scene::new(context());
    let mut painter = scene.painter();
    let style = painter.style(&scene.paintings[0]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.style");
    style.save(&path, &[("picture", "a".into())]).unwrap();
    let loaded = AdainStyle::of(&WeightFile::load(&path).unwrap()).unwrap();
    assert_eq!(loaded, style);
    let [a, b] = [style, loaded].map(|style| painter.paint(&scene.photo, &[style.into()]).unwrap());
    assert_eq!(a, b);
}

#[test]
fn unsuitable_photos_regions_and_nets_are_refused() {
    let scene = Scene::new(context());
    let mut painter = scene.painter();
    let style = painter.style(&scene.paintings[0]).unwrap();
    let mut refused = |photo: &Picture, regions: &[Region], telling: &str| {
        let error = painter.paint(photo, regions).unwrap_err().to_string();
        assert!(error.contains(telling), "{error}");
    };
    let region = Region::from(style.clone());
    refused(&scene.photo, &[], "at least one");
    refused(&scene.photo, &[Region { strength: 1.5, ..region.clone() }], "alpha");
    refused(&scene.photo, &[Region { strength: f32::NAN, ..region.clone() }], "alpha");
    refused(&Picture::new(15, 40), std::slice::from_ref(&region), "at least 16");
    let other = AdainStyle { encoder: "0123456789abcdef".into(), ..style.clone() };
    refused(&scene.photo, &[other.clone().into()], "0123456789ab");
    let mixed = |styles: &[(AdainStyle, f32)]| AdainStyle::mix(styles).unwrap_err().to_string();
    assert!(mixed(&[]).contains("at least one"));
    assert!(mixed(&[(style.clone(), 0.0)]).contains("not all"));
    assert!(mixed(&[(style.clone(), -1.0), (style.clone(), 2.0)]).contains("from 0 up"));
    assert!(mixed(&[(style.clone(), 1.0), (other, 1.0)]).contains("encoder"));
    let narrow =
        AdainDecoder::new(context(), AdainDecoderWeights::random(&Vgg19Weights::random(0.1, 1), 1).unwrap()).unwrap();
    assert!(AdainPainter::new(&scene.encoder, narrow).err().unwrap().to_string().contains("16 channels"));
}

#[test]
fn files_that_are_not_a_decoder_are_refused() {
    let refused = |change: &dyn Fn(&mut WeightFile), telling: &str| {
        let mut file = decoder_of(&file());
        change(&mut file);
        let error = AdainDecoderWeights::of(&file).unwrap_err().to_string();
        assert!(error.contains(telling), "{error}");
    };
    refused(&|file| file.tensors.retain(|(name, _)| name != "d3_1.bias"), "lacks the tensor d3_1.bias");
    refused(&|file| file.tensors.retain(|(name, _)| name != "d4_1.weight"), "neither d4_1.weight nor nine");
    let misshape = |file: &mut WeightFile| {
        let tensor = &mut file.tensors.iter_mut().find(|(name, _)| name == "d2_2.weight").unwrap().1;
        tensor.shape = vec![4, 4, 9, 1];
    };
    refused(&misshape, "d2_2 must have shapes [4, 4, 3, 3] and [4]");
    let deeper = |file: &mut WeightFile| {
        let weight = file.get("d4_1.weight").unwrap().clone();
        file.tensors.push(("d4_2.weight".into(), weight));
    };
    refused(&deeper, "has no place for the tensor d4_2.weight");
    // With numbered names, as in a PyTorch `Sequential`.
    let mut numbered = decoder_of(&file());
    for (number, layer) in ["d4_1", "d3_4", "d3_3", "d3_2", "d3_1", "d2_2", "d2_1", "d1_2", "d1_1"].iter().enumerate() {
        for (name, _) in &mut numbered.tensors {
            *name = name.replace(&format!("{layer}."), &format!("{}.", 3 * number + 1));
        }
    }
    assert_eq!(
        AdainDecoderWeights::of(&numbered).unwrap().tensors(),
        AdainDecoderWeights::of(&decoder_of(&file())).unwrap().tensors()
    );
}

/// Every embedded pair was trained together and reconstructs a picture with its own style.
#[test]
fn embedded_pairs_reconstruct_pictures() {
    for pair in impasto::weights::PAIRS {
        let encoder = Vgg19Weights::of(&impasto::weights::encoder(pair.encoder).unwrap()).unwrap();
        let decoder = pair.decoder().unwrap();
        assert_eq!(decoder.metadata["encoder"], encoder.fingerprint());
        let encoder = Vgg19::new(context(), &encoder, Pooling::Max).unwrap();
        let decoder = AdainDecoder::new(context(), AdainDecoderWeights::of(&decoder).unwrap()).unwrap();
        let mut painter = AdainPainter::new(&encoder, decoder).unwrap();
        let mut photo = Picture::new(96, 96);
        // Hills under a sky in soft light.
        for (at, value) in photo.rgb.iter_mut().enumerate() {
            let (channel, i, j) = (at / 9216, at / 96 % 96, at % 96);
            let (x, y) = (j as f32 / 96.0, i as f32 / 96.0);
            let ground = y > 0.55 + 0.15 * (5.0 * x).sin();
            let colour = if ground { [0.25, 0.4 - 0.2 * y, 0.15] } else { [0.45, 0.6, 0.75 + 0.2 * x - 0.3 * y] };
            *value = colour[channel];
        }
        let own = painter.style(&photo).unwrap();
        let back = painter.paint(&photo, &[own.into()]).unwrap();
        let squares = photo.rgb.iter().zip(&back.rgb).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        let decibels = -10.0 * (squares / photo.rgb.len() as f64).log10();
        println!("{}: {decibels:.1} dB", pair.name);
        assert!(decibels > 18.0, "{}: {decibels:.1} dB", pair.name);
    }
}

/// Pixels count in a style's mean and deviation as much as they are opaque.
#[test]
fn transparent_pixels_have_no_part_in_a_style() {
    let scene = Scene::new(context());
    let painter = scene.painter();
    let mut half = scene.paintings[0].resize(64, 64);
    half.alpha = Some((0..64 * 64).map(|pixel| if pixel % 64 < 40 { 1.0 } else { 0.0 }).collect());
    let style = painter.style(&half).unwrap();
    let filled = half.filled();
    let input = DeviceTensor::from_values(context(), "picture", [1, 3, 64, 64], &filled.rgb).unwrap();
    let (rec, features) = scene.encoder.measure(&input, &[Tap::RELU4_1], |_, features| Ok(features)).unwrap();
    rec.finish().unwrap().run().unwrap();
    let size = features[0].shape().dims()[2..].to_vec();
    let weights = half.alpha_at(size[1], size[0]).unwrap();
    let statistics = |weights: &[f32]| {
        let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        let features = features[0].read().unwrap();
        let of = |plane: &[f32]| {
            let mean_of = |value: &dyn Fn(f64) -> f64| {
                plane.iter().zip(weights).map(|(x, weight)| f64::from(*weight) * value(f64::from(*x))).sum::<f64>()
                    / total
            };
            let mean = mean_of(&|x| x);
            (mean as f32, (mean_of(&|x| (x - mean).powi(2)) + 1e-5).sqrt() as f32)
        };
        let (mean, deviation): (Vec<_>, Vec<_>) = features.chunks(weights.len()).map(of).unzip();
        [mean, deviation].map(|values| Array::from_f32(&[values.len()], &values))
    };
    let [mean, deviation] = statistics(&weights);
    compare(&style.mean, &mean, 1e-4).unwrap();
    compare(&style.deviation, &deviation, 1e-4).unwrap();
    let [mean, deviation] = statistics(&vec![1.0; weights.len()]);
    assert!(compare(&style.mean, &mean, 1e-2).is_err() && compare(&style.deviation, &deviation, 1e-2).is_err());
    // The photo is normalised by its visible pixels: with its own style, it is reproduced.
    let mut paint = scene.painter();
    let own = paint.style(&half).unwrap();
    let [same, plain] =
        [1.0, 0.0].map(|strength| paint.paint(&half, &[Region { strength, ..own.clone().into() }]).unwrap().rgb);
    assert!(same.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-3));
}
