//! The closed-form initialisation of a student and of AdaIN's decoder.

use impasto::eval::encoder::{Quality, features};
use impasto::io::Picture;
use impasto::methods::gatys::{GatysSettings, Normalization, PictureLoss};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::vgg19::Vgg19Weights;
use impasto::nets::{AdainDecoder, AdainPainter, Tap, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::train::adain::{self, AdainTrainerSettings};
use impasto::train::encoder::{Encoder, EncoderTrainerSettings};
use impasto::train::{Crops, Folder, TrainingSettings, train};

use crate::{POSITIONS, SIZE, TEACHER, choices, context, full_taps, photos, picture, run, student, teacher};

/// Agreement of the lifted features of a net with the teacher's, on hold-out photos.
pub fn agreements(narrow: &Vgg19Weights, teacher: &Vgg19Weights) -> Vec<Quality> {
    let [narrow, real] = [narrow, teacher].map(|weights| Vgg19::new(context(), weights, Pooling::Max).unwrap());
    let taps: Vec<Tap> = Tap::style().collect();
    let pictures = (0..64).map(|number| Ok(picture(SIZE, 5000 + number)));
    let agreements = features(&narrow, &real, &taps, pictures, || ()).unwrap();
    let names: Vec<_> = agreements.iter().map(|at| at.tap.as_str()).collect();
    assert_eq!(names, ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]);
    agreements.into_iter().map(|at| at.lifted).collect()
}

#[test]
fn features_of_pictures_of_different_sizes_are_refused() {
    let net = Vgg19::new(context(), &teacher(TEACHER, 1), Pooling::Max).unwrap();
    let taps: Vec<Tap> = Tap::style().collect();
    let pictures = [[32, 16], [16, 32]].map(|[width, height]| Ok(Picture::new(width, height)));
    let message = features(&net, &net, &taps, pictures.into_iter(), || ()).unwrap_err().to_string();
    assert!(message.contains("photos must be all of shape") && message.contains("32, 16"), "{message}");
}

fn start(
    teacher: &Vgg19Weights,
    folder: &Folder,
    settings: EncoderTrainerSettings,
    init: Option<&Vgg19Weights>,
) -> Vgg19Weights {
    let encoder = Encoder::new(context(), teacher.clone(), init, folder.clone(), settings, |_| Ok(())).unwrap();
    encoder.weights().unwrap()
}

/// The net with every channel duplicated, once unchanged and once halved; later layers read both.
fn with_duplicated_channels(mut weights: Vgg19Weights) -> Vgg19Weights {
    let mut inputs = 3;
    for [weight, bias] in &mut weights.convolutions {
        let rows: Vec<f32> = if inputs == 3 {
            weight.data.clone()
        } else {
            // 0.6 of a channel plus 0.8 of its half is the channel.
            weight
                .data
                .chunks(9)
                .flat_map(|window| [0.6, 0.8].map(|part| window.iter().map(move |w| part * w)))
                .flatten()
                .collect()
        };
        let width = if inputs == 3 { 27 } else { 18 * weight.shape[1] };
        let twice = |row: &[f32]| [1.0, 0.5].map(|scale| row.iter().map(|v| scale * v).collect::<Vec<_>>()).concat();
        weight.data = rows.chunks(width).flat_map(twice).collect();
        bias.data = bias.data.chunks(1).flat_map(twice).collect();
        weight.shape = vec![bias.data.len(), width / 9, 3, 3];
        bias.shape = vec![bias.data.len()];
        inputs = bias.data.len();
    }
    weights
}

#[test]
fn full_width_start_is_the_teacher_and_half_width_beats_random_weights() {
    let (_photos, folder) = photos(96, SIZE);
    let settings = |width| EncoderTrainerSettings { width, calibration: 96, ..choices() };
    let teacher = teacher(TEACHER, 1);
    for at in agreements(&start(&teacher, &folder, settings(TEACHER), None), &teacher) {
        assert!(at.correlation > 0.999, "{at:?}");
    }
    let half = agreements(&start(&teacher, &folder, settings(TEACHER / 2.0), None), &teacher);
    let chance = agreements(&Vgg19Weights::random(TEACHER / 2.0, 9), &teacher);
    // Channels of a random net are linearly independent, so half of them cannot represent all.
    for (half, chance) in half.iter().zip(&chance) {
        println!("{half:?}\n  by chance {chance:?}");
        assert!(half.correlation > 1.5 * chance.correlation.max(0.05), "{half:?} {chance:?}");
        assert!(half.relative_error < chance.relative_error, "{half:?} {chance:?}");
    }
}

#[test]
fn half_width_start_reproduces_a_teacher_with_duplicated_channels() {
    let (_photos, folder) = photos(96, SIZE);
    let twins = with_duplicated_channels(teacher(TEACHER / 2.0, 1));
    let settings = EncoderTrainerSettings { calibration: 96, ..choices() };
    let start = start(&twins, &folder, settings, None);
    assert_eq!(start.convolutions[8][1].data.len() * 2, twins.convolutions[8][1].data.len());
    let chance = agreements(&Vgg19Weights::random(TEACHER / 2.0, 9), &twins);
    for (at, chance) in agreements(&start, &twins).iter().zip(&chance) {
        assert!(at.correlation > 0.999 && at.relative_error < 0.02, "{at:?}");
        assert!(chance.correlation < 0.9 && chance.relative_error > 0.3, "{chance:?}");
    }
}

/// Style loss of `picture` relative to `style` at each style tap from relu2_1 on.
fn style_distances(net: &Vgg19, [picture, style]: &[Picture; 2]) -> Vec<f64> {
    let plain = Normalization::Plain;
    let settings = GatysSettings {
        content_taps: vec![],
        style_taps: Tap::style().skip(1).map(|tap| (tap, 1.0)).collect(),
        tv_weight: 0.0,
        normalization: plain,
        ..GatysSettings::default()
    };
    let mut loss = PictureLoss::new(net, picture, &[style.clone().into()], &settings).unwrap();
    loss.picture().write(&picture.rgb).unwrap();
    loss.evaluate().unwrap();
    loss.terms().iter().take(3).map(|(_, value)| *value).collect()
}

#[test]
fn full_taps_reproduce_the_style_distances_of_the_teacher() {
    let (_photos, folder) = photos(96, SIZE);
    let pictures = [1, 2].map(|seed| picture(SIZE, 7000 + seed));
    let teacher = with_duplicated_channels(teacher(TEACHER / 2.0, 1));
    let of =
        |weights: &Vgg19Weights| style_distances(&Vgg19::new(context(), weights, Pooling::Max).unwrap(), &pictures);
    let [narrow, full] = [vec![], full_taps()].map(|full| {
        let settings = EncoderTrainerSettings { full, calibration: 96, ..choices() };
        of(&start(&teacher, &folder, settings, None))
    });
    for ((exact, full), narrow) in of(&teacher).iter().zip(&full).zip(&narrow) {
        let share = |value: &f64| (value / exact - 1.0).abs();
        assert!(share(full) < 0.02, "{full} by a student with all channels, {exact} by the teacher");
        assert!(share(narrow) > 0.2, "{narrow} by a student with half of them, {exact} by the teacher");
    }
}

/// Channels at each style tap.
fn channels(weights: &Vgg19Weights) -> Vec<usize> {
    let layers = Tap::all().zip(&weights.convolutions).filter(|(tap, _)| Tap::style().any(|style| style == *tap));
    layers.map(|(_, [_, bias])| bias.data.len()).collect()
}

#[test]
fn full_taps_reproduce_the_channels_of_the_teacher() {
    let (_photos, folder) = photos(96, SIZE);
    let twins = with_duplicated_channels(teacher(TEACHER / 2.0, 1));
    let settings = || EncoderTrainerSettings { full: full_taps(), calibration: 96, ..choices() };
    let narrow = start(&twins, &folder, EncoderTrainerSettings { calibration: 96, ..choices() }, None);
    let full = start(&twins, &folder, settings(), None);
    let [of_narrow, of_full, of_twins] = [&narrow, &full, &twins].map(channels);
    assert_eq!(([of_full[0]], &of_full[1..]), ([of_narrow[0]], &of_twins[1..]));

    let [student, real] = [&full, &twins].map(|weights| Vgg19::new(context(), weights, Pooling::Max).unwrap());
    let taps: Vec<Tap> = Tap::style().collect();
    let pictures = (0..64).map(|number| Ok(picture(SIZE, 5000 + number)));
    let agreements = features(&student, &real, &taps, pictures, || ()).unwrap();
    assert!(agreements[0].given.is_none(), "it has other channels there");
    for at in &agreements[1..] {
        let given = at.given.unwrap();
        assert!(given.correlation > 0.999 && given.relative_error < 0.02, "{at:?}");
    }

    // Initialised again from its own weights, the student is the same.
    let again = start(&twins, &folder, settings(), Some(&full));
    for ((name, expected), (_, got)) in full.tensors().iter().zip(&again.tensors()) {
        let largest = expected.data.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let error = expected.data.iter().zip(&got.data).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(error <= 1e-4 * largest, "{name}: {error} of {largest}");
    }
}

#[test]
fn start_refits_layers_whose_channels_or_inputs_differ() {
    let (_photos, folder) = photos(8, 40);
    let of = |seed: u64, full: &[Tap], init: Option<&Vgg19Weights>| {
        start(&teacher(TEACHER, seed), &folder, EncoderTrainerSettings { full: full.to_vec(), ..choices() }, init)
    };
    // A 3×3 kernel counts as unchanged if it only differs by the scales of its input and output channels.
    let is_kept = |given: &Vgg19Weights, got: &Vgg19Weights| -> Vec<bool> {
        let same = |a: &[f32], b: &[f32]| {
            let of = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            of(a, b) > 0.9999 * (of(a, a) * of(b, b)).sqrt()
        };
        let layers = given.convolutions.iter().zip(&got.convolutions);
        layers
            .map(|([a, _], [b, _])| {
                a.shape == b.shape && a.data.chunks(9).zip(b.data.chunks(9)).all(|(a, b)| same(a, b))
            })
            .collect()
    };
    // From another teacher, so that the layers cannot agree by other means.
    let given = of(2, &full_taps(), None);
    let of = |full: &[Tap], init: Option<&Vgg19Weights>| of(1, full, init);
    assert_eq!(is_kept(&given, &of(&full_taps(), Some(&given))), [true; 9]);
    // relu2_2 has more channels, and relu3_1 reads them. The layer after relu3_1 reads all of the teacher's channels
    // and is kept.
    let wider = [full_taps(), vec!["relu2_2".parse().unwrap()]].concat();
    let kept = is_kept(&given, &of(&wider, Some(&given)));
    assert_eq!(kept, [true, true, true, false, false, true, true, true, true]);
    // Without a full layer, the channels that the next layer reads are unknown.
    let kept = is_kept(&given, &of(&[], Some(&given)));
    assert_eq!(kept, [true, true, false, false, false, false, false, false, false]);
}

#[test]
fn start_keeps_given_layers_and_refuses_another_width() {
    let (_photos, folder) = photos(8, 40);
    // From another teacher, so that the layers cannot agree by other means.
    let whole = start(&teacher(TEACHER, 2), &folder, choices(), None);
    let shallow = Vgg19Weights { convolutions: whole.convolutions[..4].to_vec(), ..whole.clone() };
    let names = |weights: &Vgg19Weights| {
        let tensors = weights.tensors().into_iter();
        tensors.map(|(name, t)| (name, t.shape)).collect::<Vec<_>>()
    };
    let mut told = Vec::new();
    let encoder = Encoder::new(context(), teacher(TEACHER, 1), Some(&shallow), folder.clone(), choices(), |tap| {
        told.push(tap);
        Ok(())
    });
    assert_eq!(told, crate::layers());
    let encoder = encoder.unwrap();
    let parameters = impasto::train::Trainer::parameters(&encoder);
    for (index, (parameter, given)) in parameters.iter().zip(shallow.convolutions.iter().flatten()).enumerate() {
        assert!(parameter.value.read().unwrap() == given.data, "{index}: {}", parameter.name);
    }
    assert_eq!(names(&encoder.weights().unwrap()), names(&whole));

    let other = Vgg19Weights::random(0.07, 3);
    let refused = Encoder::new(context(), teacher(TEACHER, 1), Some(&other), folder.clone(), choices(), |_| Ok(()));
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("init must be a net of 3 channels, got 4 at relu1_1"), "{message}");
    // A student cannot be wider than its teacher.
    let wide = EncoderTrainerSettings { width: 0.2, ..choices() };
    let refused = Encoder::new(context(), teacher(TEACHER, 1), None, folder, wide, |_| Ok(()));
    let message = refused.err().expect("a student wider than its teacher").to_string();
    assert!(message.contains("width") && message.contains("relu1_1"), "{message}");
}

#[test]
fn crops_and_teachers_that_do_not_reach_the_deepest_tap_are_refused() {
    let (_photos, folder) = photos(2, 40);
    let refused = |teacher: Vgg19Weights, settings: EncoderTrainerSettings, words: &str| {
        let message = Encoder::new(context(), teacher, None, folder.clone(), settings, |_| Ok(())).err().unwrap();
        assert!(message.to_string().contains(words), "`{words}` is not in\n{message}");
    };
    let crop = |size| EncoderTrainerSettings { crops: impasto::train::Crops { size, ..choices().crops }, ..choices() };
    refused(teacher(TEACHER, 1), crop(15), "crop must be at least 16 px, got 15");
    refused(
        teacher(TEACHER, 1),
        EncoderTrainerSettings { width: 0.0, ..choices() },
        "width must be above 0, at most 1, got 0",
    );
    refused(teacher(TEACHER, 1), EncoderTrainerSettings { width: f32::NAN, ..choices() }, "width must be");
    let mut shallow = teacher(TEACHER, 1);
    shallow.convolutions.truncate(8);
    refused(shallow, choices(), "teacher must be weights to relu4_1, got a shallower net");
    // The smallest crop allowed.
    student(&folder, crop(16));
}

/// Share of the photos' variance that is lost through encoder and decoder.
fn reconstruction_error(encoder: &Vgg19Weights, decoder: AdainDecoderWeights) -> f32 {
    let encoder = Vgg19::new(context(), encoder, Pooling::Max).unwrap();
    let decoder = AdainDecoder::new(context(), decoder).unwrap();
    let mut painter = AdainPainter::new(&encoder, decoder).unwrap();
    let photos: Vec<_> = (0..16).map(|number| picture(2 * SIZE, 5000 + number)).collect();
    let values = || photos.iter().flat_map(|photo| &photo.rgb);
    let mean = values().sum::<f32>() / values().count() as f32;
    let mut error = 0.0;
    for photo in &photos {
        let own = painter.style(photo).unwrap();
        let back = painter.paint(photo, &[own.into()]).unwrap();
        error += photo.rgb.iter().zip(&back.rgb).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    }
    error / values().map(|value| (value - mean).powi(2)).sum::<f32>()
}

#[test]
fn decoder_start_reconstructs_photos() {
    let (_photos, folder) = photos(96, 2 * SIZE);
    // A trained encoder, because random filters lose too much of a picture.
    let encoder = Vgg19Weights::of(&impasto::weights::encoder("compact").unwrap()).unwrap();
    // Reduced to a multiple of 8.
    let crops = Crops { size: 2 * SIZE + 3, share: Some([1.0, 1.0]), flip: true };
    let settings =
        AdainTrainerSettings { style_crops: crops.clone(), crops, calibration: 192, ..AdainTrainerSettings::default() };
    let mut layers = Vec::new();
    let start = adain::start(context(), &encoder, [&folder, &folder], &settings, |layer| {
        layers.push(layer.to_string());
        Ok(())
    });
    let started = reconstruction_error(&encoder, start.unwrap());
    let chance = reconstruction_error(&encoder, AdainDecoderWeights::random(&encoder, 1).unwrap());
    println!("lost of the variance: {started} with the start, {chance} by chance");
    assert!(started < 0.8 && chance > 1.0, "{started}, by chance {chance}");
    assert_eq!((layers.len(), layers[0].as_str(), layers[8].as_str()), (9, "d4_1", "d1_1"));
    let small = AdainTrainerSettings { crops: Crops { size: 15, ..settings.crops.clone() }, ..settings };
    let refused = adain::start(context(), &encoder, [&folder, &folder], &small, |_| Ok(())).unwrap_err().to_string();
    assert!(refused.contains("at least 16 px"), "{refused}");
}

/// A narrow encoder and a decoder for it, both with random weights.
fn random_pair() -> (Vgg19Weights, AdainDecoderWeights) {
    let encoder = teacher(TEACHER, 1);
    let decoder = AdainDecoderWeights::random(&encoder, 4).unwrap();
    (encoder, decoder)
}

fn pair_settings() -> AdainTrainerSettings {
    let crops = Crops { size: 2 * SIZE, share: Some([0.5, 1.0]), flip: true };
    AdainTrainerSettings {
        style_crops: crops.clone(),
        crops,
        calibration: 64,
        positions: POSITIONS,
        ..AdainTrainerSettings::default()
    }
}

/// Mean squared difference of the pictures of two decoders, relative to the variance of the first one's.
fn difference_of_pictures(encoder: &Vgg19Weights, [a, b]: [&AdainDecoderWeights; 2]) -> f32 {
    let encoder = Vgg19::new(context(), encoder, Pooling::Max).unwrap();
    let [a, b] = [a, b].map(|decoder| {
        let decoder = AdainDecoder::new(context(), decoder.clone()).unwrap();
        let mut painter = AdainPainter::new(&encoder, decoder).unwrap();
        let paint = |number: u64| {
            let style = painter.style(&picture(2 * SIZE, 6000 + number)).unwrap();
            painter.paint(&picture(2 * SIZE, 5000 + number), &[style.into()]).unwrap().rgb
        };
        (0..8).flat_map(paint).collect::<Vec<f32>>()
    });
    let mean = a.iter().sum::<f32>() / a.len() as f32;
    let squares = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    squares / a.iter().map(|a| (a - mean).powi(2)).sum::<f32>()
}

#[test]
fn transfer_copies_a_decoder_and_approximates_it_with_fewer_channels() {
    let (_photos, folder) = photos(64, 2 * SIZE);
    let (encoder, decoder) = random_pair();
    let of = |channels: &[usize; 8]| {
        let teacher = adain::Pair { encoder: &encoder, decoder: &decoder };
        let folders = [&folder, &folder];
        adain::transfer(context(), &encoder, &teacher, channels, folders, &pair_settings(), |_| Ok(()))
    };
    let all = decoder.layer_channels();
    let same = of(&all).unwrap();
    let exact = difference_of_pictures(&encoder, [&decoder, &same]);
    let fewer = of(&all.map(|channels| (2 * channels).div_ceil(3))).unwrap();
    let near = difference_of_pictures(&encoder, [&decoder, &fewer]);
    let chance = difference_of_pictures(&encoder, [&decoder, &AdainDecoderWeights::random(&encoder, 5).unwrap()]);
    println!("{exact} with all channels, {near} with two thirds, {chance} by chance");
    assert!(exact < 1e-3 && near < 0.5 && chance > 1.0, "{exact}, {near}, {chance}");
    assert_eq!(fewer.layer_channels(), all.map(|channels| (2 * channels).div_ceil(3)));

    let refused = of(&all.map(|channels| channels + 1)).unwrap_err().to_string();
    assert!(refused.contains("1 to the teacher's") && refused.contains("d4_1"), "{refused}");
}

#[test]
fn a_decoder_is_distilled_from_another() {
    let (_photos, folder) = photos(8, 2 * SIZE);
    let (encoder, decoder) = random_pair();
    let choices = AdainTrainerSettings {
        content_weight: 0.0,
        style_weight: 0.0,
        pixel_weight: 100.0,
        feature_weight: 1.0,
        ..pair_settings()
    };
    let nets = |teacher: bool| adain::Nets {
        encoder: Vgg19::new(context(), &encoder, Pooling::Max).unwrap(),
        loss: None,
        teacher: teacher.then(|| AdainDecoder::new(context(), decoder.clone()).unwrap()),
    };
    let losses = |start: &AdainDecoderWeights| {
        let folders = [folder.clone(), folder.clone()];
        let trainer = adain::Adain::new(nets(true), start.clone(), folders, choices.clone()).unwrap();
        let kept = tempfile::tempdir().unwrap();
        let mut losses = Vec::new();
        let settings =
            TrainingSettings { batch: 2, micro_batch: Some(2), learning_rate: 1e-3, ..TrainingSettings::default() };
        train(context(), &trainer, &settings, &run(8, kept.path()), |progress| {
            let teachers = progress.terms.iter().filter(|(name, _)| name.starts_with("teacher's"));
            assert_eq!(teachers.count(), 5, "{:?}", progress.terms);
            losses.push(progress.loss);
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
        losses
    };
    assert!(losses(&decoder)[0] < 1e-8, "the teacher is at no distance from itself");
    let losses = losses(&AdainDecoderWeights::random(&encoder, 5).unwrap());
    assert!(losses[7] < 0.8 * losses[0], "{losses:?}");

    let refused = adain::Adain::new(nets(false), decoder.clone(), [folder.clone(), folder.clone()], choices.clone());
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("teacher-decoder must be given if the distance"), "{refused}");
}
