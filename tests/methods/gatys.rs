//! Gatys' method: loss, gradient and optimiser steps against PyTorch; complete runs against a golden picture.

use std::ops::ControlFlow;
use std::path::Path;

use impasto::gpu::Context;
use impasto::io::{Picture, WeightFile};
use impasto::methods::Area;
use impasto::methods::color::{KeepColor, chrominance};
use impasto::methods::gatys::{GatysSettings, Init, Normalization, Optimizer, Outcome, PictureLoss, stylize};
use impasto::nets::{Place, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::optim::{Adam, AdamOptions, Lbfgs, LbfgsOptions};

use crate::reference::compare;
use crate::{array, context, contexts, data, fixture, vgg_of};

fn picture(file: &WeightFile, name: &str) -> Picture {
    let tensor = file.get(name).unwrap();
    Picture::from_rgb(tensor.shape[3], tensor.shape[2], tensor.data.clone()).unwrap()
}

/// The fixture's loss: content 5, style 100, unnormalised mean squares; total variation 0.01 as a sum over the 0..1
/// picture.
fn fixture_settings(file: &WeightFile) -> GatysSettings {
    let number = |key: &str| file.metadata[key].parse::<f32>().unwrap();
    let values = picture(file, "start").rgb.len() as f32;
    GatysSettings {
        content_weight: number("content_weight"),
        style_weight: number("style_weight"),
        tv_weight: number("tv_weight") * values,
        normalization: Normalization::Plain,
        ..GatysSettings::default()
    }
}

fn fixture_loss(context: &Context, file: &WeightFile, pool: Pooling) -> PictureLoss {
    let vgg = Vgg19::load(context, &vgg_of(file), pool).unwrap();
    let styles = [picture(file, "style").into()];
    let loss = PictureLoss::new(&vgg, &picture(file, "content"), &styles, &fixture_settings(file)).unwrap();
    loss.picture().write(&picture(file, "start").rgb).unwrap();
    loss
}

fn close(what: &str, got: f64, wanted: f64, tolerance: f64) {
    let error = (got - wanted).abs() / wanted.abs();
    assert!(error <= tolerance, "{what}: {got} instead of {wanted}, relative error {error:.2e} over {tolerance:.0e}");
}

#[test]
fn loss_and_pixel_gradient_agree_with_pytorch() {
    let file = fixture("gatys.safetensors");
    for context in contexts() {
        for (pool, prefix) in [(Pooling::Max, "max"), (Pooling::Average, "avg")] {
            let mut loss = fixture_loss(context, &file, pool);
            impasto::internal::poison(loss.program());
            let total = loss.evaluate().unwrap();
            let of = |name: &str| {
                let terms = loss.terms().iter().filter(|(term, _)| term.starts_with(name));
                terms.map(|(_, value)| value).sum::<f64>()
            };
            for (name, key) in [("content", "content"), ("style", "style"), ("total variation", "tv")] {
                let wanted = array(&file, &format!("{prefix}.loss.{key}")).data[0];
                close(&format!("{prefix} {name}"), of(name), wanted, 1e-4);
            }
            close(prefix, total, array(&file, &format!("{prefix}.loss.total")).data[0], 1e-4);
            let wanted = array(&file, &format!("{prefix}.grad.total"));
            let gradient = loss.gradient().read().unwrap();
            // f32 against f64, through nine layers and back.
            compare(&gradient, &wanted, 1e-4).unwrap_or_else(|e| panic!("{prefix} {:?}: {e}", context.class()));
            let mut broken = gradient;
            broken[1234] += 2e-3 * wanted.data.iter().fold(0f64, |m, v| m.max(v.abs())) as f32;
            assert!(compare(&broken, &wanted, 1e-3).is_err(), "a broken gradient must be noticed");
        }
    }
}

/// From the second iteration on (direction, evaluations, line search), no buffer, bind group or pipeline is created.
#[test]
fn further_iterations_create_no_objects() {
    let context = Context::new(&Default::default()).unwrap();
    let file = fixture("gatys.safetensors");
    let mut loss = fixture_loss(&context, &file, Pooling::Max);
    let options = LbfgsOptions { history: 3, ..LbfgsOptions::default() };
    let mut optimizer = Lbfgs::new(&context, loss.picture(), loss.gradient(), options).unwrap();
    let mut made = Vec::new();
    for _ in 0..8 {
        let before = impasto::internal::objects_made(&context);
        optimizer.iterate(&mut loss).unwrap();
        made.push(impasto::internal::objects_made(&context) - before);
    }
    assert!(made[0] > 0, "the loss terms are read for the first time");
    assert_eq!(made[1..], [0; 7]);
}

#[test]
fn ten_adam_steps_agree_with_pytorch() {
    let file = fixture("gatys.safetensors");
    for (pool, prefix) in [(Pooling::Max, "max"), (Pooling::Average, "avg")] {
        let mut loss = fixture_loss(context(), &file, pool);
        let options = AdamOptions { learning_rate: 0.02, range: [0.0, 1.0], ..AdamOptions::default() };
        let mut adam = Adam::new(context(), loss.picture(), loss.gradient(), options).unwrap();
        let wanted = array(&file, &format!("{prefix}.adam.losses")).data;
        for (step, &wanted) in wanted[..10].iter().enumerate() {
            close(&format!("{prefix} step {step}"), adam.iterate(&mut loss).unwrap(), wanted, 1e-3);
        }
        close(&format!("{prefix} the end"), loss.evaluate().unwrap(), wanted[10], 1e-3);
        compare(&loss.picture().read().unwrap(), &array(&file, &format!("{prefix}.adam.x")), 1e-3).unwrap();
    }
}

#[test]
fn lbfgs_reaches_the_loss_of_pytorch() {
    let file = fixture("gatys.safetensors");
    let wanted = array(&file, "max.lbfgs.losses").data;
    let mut loss = fixture_loss(context(), &file, Pooling::Max);
    let options = LbfgsOptions { history: 20, ..LbfgsOptions::default() };
    let mut optimizer = Lbfgs::new(context(), loss.picture(), loss.gradient(), options).unwrap();
    let mut evaluations = 0;
    let mut last = f64::INFINITY;
    while evaluations < wanted.len() {
        let step = optimizer.iterate(&mut loss).unwrap();
        evaluations += step.evaluations;
        last = step.value;
        // Ten evaluations agree to 2e-6 in f32 and f64; later ones amplify rounding errors.
        if evaluations <= 10 {
            close(&format!("evaluation {evaluations}"), last, wanted[evaluations - 1], 1e-4);
        }
    }
    let best = wanted.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(last <= 1.02 * best, "{last:.5e} after {evaluations} evaluations, PyTorch {best:.5e}");
}

fn small_settings() -> GatysSettings {
    GatysSettings { steps: 12, size: 64, ..GatysSettings::default() }
}

fn run(settings: &GatysSettings) -> Outcome {
    let file = fixture("gatys.safetensors");
    let vgg = Vgg19::load(context(), &vgg_of(&file), Pooling::Max).unwrap();
    let styles = [picture(&file, "style").into()];
    stylize(&vgg, &picture(&file, "content"), &styles, settings, |_| Ok(ControlFlow::Continue(()))).unwrap()
}

/// Structural similarity of luminance, mean over 8×8 windows (Wang et al. 2004, uniform windows).
fn ssim(a: &Picture, b: &Picture) -> f64 {
    let luma = |p: &Picture, x: usize, y: usize| {
        let at = |c: usize| f64::from(p.rgb[(c * p.height + y) * p.width + x]);
        0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2)
    };
    let (mut total, mut windows) = (0.0, 0.0);
    for top in (0..a.height - 7).step_by(4) {
        for left in (0..a.width - 7).step_by(4) {
            let pairs: Vec<_> = (0..64).map(|i| (left + i % 8, top + i / 8)).collect();
            let values: Vec<_> = pairs.iter().map(|&(x, y)| (luma(a, x, y), luma(b, x, y))).collect();
            let mean = |f: &dyn Fn(&(f64, f64)) -> f64| values.iter().map(f).sum::<f64>() / 64.0;
            let (ma, mb) = (mean(&|v| v.0), mean(&|v| v.1));
            let (va, vb) = (mean(&|v| (v.0 - ma).powi(2)), mean(&|v| (v.1 - mb).powi(2)));
            let covariance = mean(&|v| (v.0 - ma) * (v.1 - mb));
            let (c1, c2) = (1e-4, 9e-4);
            total += (2.0 * ma * mb + c1) * (2.0 * covariance + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
            windows += 1.0;
        }
    }
    total / windows
}

/// Compares with tests/golden/NAME.png; `IMPASTO_BLESS=1` overwrites it.
fn golden(name: &str, actual: &Picture) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.png"));
    if std::env::var_os("IMPASTO_BLESS").is_some() {
        actual.save(&path).unwrap();
    }
    let wanted = Picture::load(&path).unwrap();
    assert_eq!((actual.width, actual.height), (wanted.width, wanted.height), "{name}");
    let similarity = ssim(actual, &wanted);
    if !(similarity >= 0.98) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let mut difference = actual.clone();
        for (value, wanted) in difference.rgb.iter_mut().zip(&wanted.rgb) {
            *value = (0.5 + 4.0 * (*value - wanted)).clamp(0.0, 1.0);
        }
        actual.save(&folder.join(format!("{name}-actual.png"))).unwrap();
        difference.save(&folder.join(format!("{name}-difference.png"))).unwrap();
        panic!("{name}: SSIM {similarity:.4} to the golden picture; actual and difference are in {}", folder.display());
    }
}

#[test]
fn a_whole_run_lowers_the_loss_and_gives_the_golden_picture() {
    let outcome = run(&GatysSettings { style_weight: 100.0, ..small_settings() });
    let [first, last] = outcome.loss;
    assert!(last < 0.7 * first, "{first} -> {last}");
    assert!(!outcome.interrupted && outcome.evaluations >= 12);
    golden("gatys", &outcome.picture);
    // The measure must distinguish another picture.
    let content = picture(&fixture("gatys.safetensors"), "content").resize(64, 53);
    assert!(ssim(&outcome.picture, &content) < 0.95, "{}", ssim(&outcome.picture, &content));
}

#[test]
fn the_reported_loss_is_that_of_the_returned_picture() {
    let file = fixture("gatys.safetensors");
    let vgg = Vgg19::load(context(), &vgg_of(&file), Pooling::Max).unwrap();
    // A very strong style drives pixels out of 0..1, so clamping must affect the loss.
    for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
        let settings = GatysSettings { scales: Some(1), size: 48, style_weight: 1000.0, optimizer, ..small_settings() };
        let outcome = run(&settings);
        let styles = [picture(&file, "style").fit(48).into()];
        let mut loss = PictureLoss::new(&vgg, &picture(&file, "content"), &styles, &settings).unwrap();
        loss.picture().write(&outcome.picture.rgb).unwrap();
        close(&format!("{optimizer:?}"), outcome.loss[1], loss.evaluate().unwrap(), 1e-5);
    }
}

#[test]
fn the_same_run_gives_the_same_bits() {
    for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
        let settings = GatysSettings { init: Init::Noise, seed: 3, optimizer, steps: 6, ..small_settings() };
        let [a, b] =
            [run(&settings), run(&settings)].map(|o| o.picture.rgb.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        assert_eq!(a, b, "{optimizer:?}");
        let other = run(&GatysSettings { seed: 4, ..settings }).picture;
        assert_ne!(a, other.rgb.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), "{optimizer:?}");
    }
}

#[test]
fn scales_grow_by_the_root_of_two_and_start_from_the_previous_one() {
    let file = fixture("gatys.safetensors");
    let vgg = Vgg19::load(context(), &vgg_of(&file), Pooling::Max).unwrap();
    let styles = [picture(&file, "style").into()];
    let settings = GatysSettings { scales: Some(3), steps: 4, ..small_settings() };
    let mut sizes = Vec::new();
    let outcome = stylize(&vgg, &picture(&file, "content"), &styles, &settings, |progress| {
        sizes.push(progress.size);
        Ok(ControlFlow::Continue(()))
    });
    sizes.dedup();
    assert_eq!(sizes, [[32, 27], [45, 38], [64, 53]]);
    let single = run(&GatysSettings { scales: Some(1), steps: 4, ..small_settings() });
    assert!(outcome.unwrap().loss[0] < single.loss[0], "a warm start must begin lower");
}

#[test]
fn stopping_early_returns_the_current_picture() {
    let file = fixture("gatys.safetensors");
    let vgg = Vgg19::load(context(), &vgg_of(&file), Pooling::Max).unwrap();
    let styles = [picture(&file, "style").into()];
    let stop = |progress: &impasto::methods::gatys::Progress| {
        Ok(if progress.evaluations[0] >= 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    let outcome = stylize(&vgg, &picture(&file, "content"), &styles, &small_settings(), stop).unwrap();
    assert!(outcome.interrupted && outcome.evaluations < 12);
    assert!(outcome.picture.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
}

#[test]
fn luminance_mode_keeps_the_contents_chrominance() {
    let outcome = run(&GatysSettings { keep_color: KeepColor::Luminance, ..small_settings() });
    let content = picture(&fixture("gatys.safetensors"), "content").resize(64, 53);
    let pairs = chrominance(&outcome.picture).into_iter().zip(chrominance(&content));
    let worst = pairs.map(|(a, b)| (a[0] - b[0]).abs().max((a[1] - b[1]).abs())).fold(0.0, f32::max);
    assert!(worst <= 1e-3, "chrominance differs by {worst}");
}

#[test]
fn a_style_of_weight_zero_is_refused_and_equal_styles_blend_to_themselves() {
    let file = fixture("gatys.safetensors");
    let vgg = Vgg19::load(context(), &vgg_of(&file), Pooling::Max).unwrap();
    let content = picture(&file, "content");
    let go = |styles: &[(Picture, f32)]| {
        stylize(&vgg, &content, &[Area::everywhere(styles.to_vec())], &small_settings(), |_| {
            Ok(ControlFlow::Continue(()))
        })
    };
    let style = picture(&file, "style");
    assert!(go(&[(style.clone(), 1.0), (content.clone(), 0.0)]).is_err());
    let single = go(&[(style.clone(), 5.0)]).unwrap();
    let doubled = go(&[(style.clone(), 2.0), (style, 2.0)]).unwrap();
    assert_eq!(single.picture.rgb, doubled.picture.rgb);
}

#[test]
fn real_weights_repaint_a_real_photo() {
    let Some(data) = data() else { return };
    let file = WeightFile::load(&data.join("vgg19/vgg19_caffe_to_relu4_1.safetensors")).unwrap();
    let vgg = Vgg19::load(context(), &vgg_of(&file), Pooling::Max).unwrap();
    let content = Picture::load(&data.join("classics/content/tubingen.jpg")).unwrap();
    let style = Picture::load(&data.join("classics/style/starry_night_google.jpg")).unwrap();
    let settings = GatysSettings {
        normalization: Normalization::Plain,
        content_weight: 5.0,
        style_weight: 100.0,
        tv_weight: 0.0,
        steps: 30,
        size: 128,
        scales: Some(1),
        ..GatysSettings::default()
    };
    let outcome = stylize(&vgg, &content, &[style.into()], &settings, |_| Ok(ControlFlow::Continue(()))).unwrap();
    let [first, last] = outcome.loss;
    assert!(last < first / 5.0, "{first:.4e} -> {last:.4e}");
    assert!(outcome.picture.rgb.iter().all(|v| v.is_finite()));
}

/// Two areas and a transparent corner: the gradient is the slope of the loss, and each term sees only its area.
#[test]
fn areas_have_gram_matrices_of_their_own() {
    let file = fixture("gatys.safetensors");
    let vgg = Vgg19::load(context(), &vgg_of(&file), Pooling::Max).unwrap();
    let mut content = picture(&file, "content");
    let (width, height) = (content.width, content.height);
    let corner = |pixel: usize| pixel % width < width / 4 && pixel / width < height / 4;
    content.alpha = Some((0..width * height).map(|pixel| if corner(pixel) { 0.0 } else { 1.0 }).collect());
    let mut mask = Picture::new(width, height);
    mask.rgb.iter_mut().enumerate().for_each(|(index, value)| *value = ((index % width) < width / 2) as u8 as f32);
    let [style, other] = [picture(&file, "style"), picture(&file, "start")];
    let areas = [
        Area { styles: vec![(style, 1.0)], place: Place::Mask(mask) },
        Area { styles: vec![(other, 1.0)], place: Place::Rest },
    ];
    let settings = GatysSettings { content_weight: 0.0, tv_weight: 0.0, ..GatysSettings::default() };
    let mut loss = PictureLoss::new(&vgg, &content, &areas, &settings).unwrap();
    let at = picture(&file, "start").rgb;
    let mut value = |rgb: &[f32]| {
        loss.picture().write(rgb).unwrap();
        let value = loss.evaluate().unwrap();
        (value, loss.gradient().read().unwrap(), loss.terms().to_vec())
    };
    let (_, gradient, terms) = value(&at);
    let square: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum();
    let step = 2e-3 / square.sqrt();
    let moved = |by: f64| -> Vec<f32> {
        at.iter().zip(&gradient).map(|(x, g)| (f64::from(*x) + by * f64::from(*g)) as f32).collect()
    };
    let slope = (value(&moved(step)).0 - value(&moved(-step)).0) / (2.0 * step);
    close("slope along the gradient", slope, square, 2e-2);
    // Another picture in the right corner changes the terms of the second area alone; one that is hidden, neither.
    let mut changed = |inside: &dyn Fn(usize) -> bool| {
        let mut rgb = at.clone();
        let pixels = width * height;
        rgb.iter_mut().enumerate().filter(|(index, _)| inside(index % pixels)).for_each(|(_, v)| *v = 1.0 - *v);
        let (_, _, now) = value(&rgb);
        let apart = |area: &str| {
            let of = terms.iter().zip(&now).filter(|((name, _), _)| name == &format!("style relu1_1 of area {area}"));
            of.map(|((_, before), (_, after))| ((after - before) / before).abs()).sum::<f64>()
        };
        [apart("1"), apart("2")]
    };
    let [first, second] = changed(&|pixel| pixel % width > width * 3 / 4);
    assert!(first < 1e-6 && second > 1e-2, "{first} {second}");
    let [first, second] = changed(&|pixel| pixel % width < width / 4 - 3 && pixel / width < height / 4 - 3);
    assert!(first < 1e-6 && second < 1e-6, "{first} {second}");
}
