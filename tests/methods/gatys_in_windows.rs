//! Gatys' method in windows: loss, gradient and results are those of the whole picture, with less memory.

use std::ops::ControlFlow;

use impasto::Error;
use impasto::gpu::{Context, ContextOptions, Precision};
use impasto::io::Picture;
use impasto::methods::Area;
use impasto::methods::gatys::{GatysSettings, Normalization, Optimizer, PictureLoss, stylize};
use impasto::nets::tiles::{Reach, Tiling};
use impasto::nets::{Place, Tap, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::optim::{Lbfgs, LbfgsOptions};

use crate::{context, contexts, fixture, vgg_of};

const KEEP_ALL: u64 = u64::MAX;

/// Waves and noise of every scale, so that each part of the picture differs from the others.
fn picture(width: usize, height: usize, seed: usize) -> Picture {
    let mut picture = Picture::new(width, height);
    for (index, value) in picture.rgb.iter_mut().enumerate() {
        let (x, y, c) = (index % width, index / width % height, index / (width * height));
        let phase = 0.07 * (x * (seed + 1)) as f32 + 0.11 * y as f32 + c as f32;
        let noise = ((index + 1) * (seed + 7) * 2_654_435_761 % 1009) as f32 / 1009.0;
        *value = 0.5 + 0.25 * phase.sin() + 0.2 * (noise - 0.5) + 0.1 * ((x * y) as f32 * 0.002).cos();
    }
    picture
}

fn vgg(context: &Context, name: &str, pool: Pooling) -> Vgg19 {
    Vgg19::load(context, &vgg_of(&fixture(name)), pool).unwrap()
}

/// A photo with its areas, and a picture at which the loss is evaluated.
struct Problem {
    content: Picture,
    areas: Vec<Area<Picture>>,
    settings: GatysSettings,
}

impl Problem {
    fn new(width: usize, height: usize) -> Self {
        let areas = vec![Area::everywhere(vec![(picture(90, 131, 3), 1.0)])];
        Problem { content: picture(width, height, 1), areas, settings: GatysSettings::default() }
    }

    /// Loss, terms and gradient in the windows of `tiling`.
    fn evaluate(&self, vgg: &Vgg19, tiling: &Tiling, kept: u64) -> (f64, Vec<(String, f64)>, Vec<f32>) {
        let Problem { content, areas, settings } = self;
        let mut loss = PictureLoss::in_windows(vgg, content, areas, settings, tiling, kept).unwrap();
        impasto::internal::poison(loss.program());
        let at = picture(content.width, content.height, 2);
        loss.picture().write(&at.rgb).unwrap();
        // A second evaluation must not see sums of the first.
        let value = loss.evaluate().unwrap();
        assert_eq!(loss.evaluate().unwrap(), value);
        (value, loss.terms().to_vec(), loss.gradient().read().unwrap())
    }

    /// The relative error of the loss, the largest of its terms, and that of the gradient relative to its largest element,
    /// in windows against one piece.
    fn errors(&self, vgg: &Vgg19, tiling: &Tiling, kept: u64) -> [f64; 3] {
        let whole = Tiling::new([self.content.height, self.content.width], usize::MAX, Vgg19::reach(Tap::RELU4_1));
        let (value, terms, gradient) = self.evaluate(vgg, tiling, kept);
        let (whole_value, whole_terms, whole_gradient) = self.evaluate(vgg, &whole.unwrap(), kept);
        let apart = |a: f64, b: f64| (a - b).abs() / b.abs();
        let pairs = terms.iter().zip(&whole_terms).map(|((name, a), (other, b))| {
            assert_eq!(name, other);
            apart(*a, *b)
        });
        let term = pairs.fold(0.0, f64::max);
        let largest = whole_gradient.iter().fold(0f32, |most, g| most.max(g.abs()));
        let difference = gradient.iter().zip(&whole_gradient).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        [apart(value, whole_value), term, f64::from(difference / largest)]
    }

    fn assert_equal(&self, label: &str, vgg: &Vgg19, tiling: &Tiling, kept: u64) {
        let [loss, term, gradient] = self.errors(vgg, tiling, kept);
        let errors = format!("loss {loss:.1e}, terms {term:.1e}, gradient {gradient:.1e}");
        println!("{label}: {} windows of {:?}, {errors}", tiling.count(), tiling.window());
        // A term is a sum of f32 products; the sums of windows are rounded in another order than that of the whole.
        assert!(tiling.count() > 1 && loss <= 1e-6 && term <= 1e-5 && gradient <= 1e-4, "{label}: {errors}");
    }
}

fn tiling(problem: &Problem, most: usize) -> Tiling {
    Tiling::new([problem.content.height, problem.content.width], most, Vgg19::reach(Tap::RELU4_1)).unwrap()
}

#[test]
fn the_reach_covers_the_receptive_field_of_a_feature() {
    let of = |name: &str| Vgg19::reach(name.parse().unwrap());
    assert_eq!(of("relu1_1"), Reach { halo: 1, alignment: 1 });
    assert_eq!(of("relu2_1"), Reach { halo: 1 + 1 + 2, alignment: 2 });
    assert_eq!(of("relu4_1"), Reach { halo: 2 + 2 * 2 + 4 * 4 + 8, alignment: 8 });
}

#[test]
fn loss_and_gradient_in_windows_are_those_of_the_whole_picture() {
    let odd = Problem::new(150, 106);
    for context in contexts() {
        for pool in [Pooling::Max, Pooling::Average] {
            let vgg = vgg(context, "gatys.safetensors", pool);
            odd.assert_equal(&format!("{pool:?}, {:?}", context.class()), &vgg, &tiling(&odd, 96), KEEP_ALL);
        }
    }
    let caffe = vgg(context(), "gatys.safetensors", Pooling::Max);
    odd.assert_equal("targets computed again", &caffe, &tiling(&odd, 111), 0);
    odd.assert_equal("mostly halo", &caffe, &tiling(&odd, Vgg19::reach(Tap::RELU4_1).least_window()), KEEP_ALL);
    let mut strip = Problem::new(300, 40);
    strip.settings.normalization = Normalization::Plain;
    strip.assert_equal("a strip", &caffe, &tiling(&strip, 128), KEEP_ALL);
    // Reflection at the edge, and pools that keep the last row or column.
    let odd = Problem::new(151, 109);
    let ceil = vgg(context(), "normalised.safetensors", Pooling::Max);
    odd.assert_equal("ceil mode", &ceil, &tiling(&odd, 96), KEEP_ALL);
}

#[test]
fn a_halo_that_is_one_step_too_small_is_noticed() {
    let problem = Problem::new(150, 106);
    let vgg = vgg(context(), "gatys.safetensors", Pooling::Max);
    let reach = Vgg19::reach(Tap::RELU4_1);
    let narrow = Reach { halo: reach.halo.next_multiple_of(reach.alignment) - reach.alignment, ..reach };
    let [loss, _, gradient] = problem.errors(&vgg, &Tiling::new([106, 150], 96, narrow).unwrap(), KEEP_ALL);
    println!("loss {loss:.1e}, gradient {gradient:.1e}");
    assert!(loss > 1e-6 && gradient > 1e-4, "loss {loss:.1e}, gradient {gradient:.1e}");
}

/// Two areas, one of them under a mask with a soft edge, and a photo with a transparent corner.
#[test]
fn areas_and_transparency_work_in_windows() {
    let vgg = vgg(context(), "gatys.safetensors", Pooling::Max);
    let mut problem = Problem::new(150, 106);
    let (width, height) = (150, 106);
    let mut mask = Picture::new(width, height);
    for (index, value) in mask.rgb.iter_mut().enumerate() {
        *value = ((index % width) as f32 / 40.0 - 1.0).clamp(0.0, 1.0);
    }
    let style = |seed, weight| (picture(70, 64, seed), weight);
    problem.areas = vec![
        Area { styles: vec![style(4, 1.0), style(5, 2.0)], place: Place::Mask(mask) },
        Area { styles: vec![style(6, 1.0)], place: Place::Rest },
    ];
    problem.assert_equal("areas", &vgg, &tiling(&problem, 96), KEEP_ALL);

    let corner = |pixel: usize| pixel % width < 70 && pixel / width < 50;
    let alpha = (0..width * height).map(|pixel| if corner(pixel) { 0.0 } else { 0.5 + 0.5 * (pixel % 2) as f32 });
    problem.content.alpha = Some(alpha.collect());
    problem.assert_equal("areas in a transparent photo", &vgg, &tiling(&problem, 96), KEEP_ALL);
}

/// With f16 activations, windows differ by roundings of features to 11 bits.
#[test]
fn windows_work_with_halves() {
    if !context().has_half() {
        return;
    }
    let options = ContextOptions { precision: Precision::F16, ..ContextOptions::default() };
    let context = Context::new(&options).unwrap();
    let vgg = vgg(&context, "gatys.safetensors", Pooling::Max);
    let problem = Problem::new(150, 106);
    let [loss, _, gradient] = problem.errors(&vgg, &tiling(&problem, 96), KEEP_ALL);
    println!("halves: loss {loss:.1e}, gradient {gradient:.1e}");
    assert!(loss < 1e-3 && gradient < 1e-2, "loss {loss:.1e}, gradient {gradient:.1e}");
}

/// 30 iterations of L-BFGS from the same picture, in one piece and in windows.
#[test]
fn lbfgs_reaches_the_loss_of_the_whole_picture_in_windows() {
    let vgg = vgg(context(), "gatys.safetensors", Pooling::Max);
    let problem = Problem::new(256, 200);
    let run = |most| {
        let (Problem { content, areas, settings }, tiling) = (&problem, tiling(&problem, most));
        let mut loss = PictureLoss::in_windows(&vgg, content, areas, settings, &tiling, KEEP_ALL).unwrap();
        loss.picture().write(&content.rgb).unwrap();
        let options = LbfgsOptions { history: 10, ..LbfgsOptions::default() };
        let mut optimizer = Lbfgs::new(context(), loss.picture(), loss.gradient(), options).unwrap();
        let losses: Vec<_> = (0..30).map(|_| optimizer.iterate(&mut loss).unwrap().value).collect();
        (losses, loss.memory().peak_bytes(), optimizer.memory().peak_bytes())
    };
    let ((whole, bytes, state), (parts, fewer, _)) = (run(256), run(128));
    println!("loss {:?} and {:?}; {bytes} and {fewer} bytes; L-BFGS {state}", whole[29], parts[29]);
    // Rounding errors grow with the iterations.
    let apart = |step: usize| (parts[step] / whole[step] - 1.0).abs();
    assert!(apart(4) < 1e-4 && apart(29) < 1e-2, "{parts:?} {whole:?}");
    assert!(whole[29] < 0.1 * whole[0] && fewer < bytes * 2 / 3);
    // The vectors, which the plan counts, and a few values.
    let vectors = Lbfgs::bytes(3 * 256 * 200, 10) + 2 * 4 * 3 * 256 * 200;
    assert!(state.abs_diff(vectors) < state / 50, "{state} {vectors}");
}

/// Settings whose halo is small, so that a small picture has windows.
fn shallow() -> GatysSettings {
    let taps = |names: &[&str]| names.iter().map(|name| (name.parse().unwrap(), 1.0)).collect();
    let (content_taps, style_taps) = (taps(&["relu2_1"]), taps(&["relu1_1", "relu2_1"]));
    GatysSettings { content_taps, style_taps, size: 128, scales: Some(1), steps: 6, ..GatysSettings::default() }
}

/// The less memory there is, the more a run does without; in the end it says how large a picture fits.
#[test]
fn memory_decides_on_windows_history_and_optimiser() {
    let vgg = vgg(context(), "gatys.safetensors", Pooling::Max);
    let problem = Problem::new(128, 96);
    let run = |memory| {
        let (settings, mut windows) = (GatysSettings { memory: Some(memory), ..shallow() }, 0);
        let outcome = stylize(&vgg, &problem.content, &problem.areas, &settings, |progress| {
            windows = progress.windows.map_or(windows, |windows| windows.count);
            Ok(ControlFlow::Continue(()))
        });
        outcome.map(|outcome| (outcome, windows))
    };
    let (whole, none) = run(u64::MAX).unwrap();
    assert_eq!(none, 0);
    let (mut all, mut refused) = (Vec::new(), 0);
    for share in (2..=20).rev() {
        let memory = whole.peak_bytes * share / 20;
        match run(memory) {
            Ok((outcome, windows)) => {
                println!("{share}/20: {windows} windows, loss {:?}, {} of {memory}", outcome.loss, outcome.peak_bytes);
                assert!(outcome.peak_bytes <= memory && outcome.loss[1] < outcome.loss[0]);
                assert!((outcome.loss[0] / whole.loss[0] - 1.0).abs() < 1e-5, "the loss at the start is the same");
                all.push((windows, outcome.peak_bytes));
            }
            Err(error @ Error::TooLarge { largest, .. }) => {
                println!("{share}/20: {error}");
                assert!(error.to_string().contains("of memory") && largest.is_none_or(|side| side < 128), "{error}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(all.is_sorted_by(|(_, more), (_, fewer)| more >= fewer) && refused > 0, "{all:?}");
    // L-BFGS takes at least 16 vectors, with the picture and the gradient, and a window; Adam takes four.
    let (with_lbfgs, with_adam): (Vec<_>, Vec<_>) =
        all.iter().copied().partition(|(_, bytes)| *bytes > 18 * 4 * 3 * 128 * 96);
    assert_eq!(with_lbfgs[0], (0, whole.peak_bytes));
    assert!(with_lbfgs.iter().any(|(windows, _)| *windows > 1) && with_adam.iter().any(|(windows, _)| *windows > 1));
}

/// A stop between two windows gives the picture of the last step.
#[test]
fn a_run_stops_between_windows() {
    let vgg = vgg(context(), "gatys.safetensors", Pooling::Max);
    let problem = Problem::new(128, 96);
    let whole = stylize(&vgg, &problem.content, &problem.areas, &shallow(), |_| Ok(ControlFlow::Continue(()))).unwrap();
    for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
        let memory = Some(whole.peak_bytes * if optimizer == Optimizer::Lbfgs { 16 } else { 8 } / 20);
        let settings = GatysSettings { memory, optimizer, steps: 30, style_weight: 1000.0, ..shallow() };
        let (mut steps, mut last, mut calls) = (0, None, Vec::new());
        let outcome = stylize(&vgg, &problem.content, &problem.areas, &settings, |progress| {
            match progress.windows {
                None => {
                    steps += 1;
                    last = Some((progress.picture()?, progress.loss));
                }
                Some(windows) => calls.push((windows.done, windows.count * windows.passes)),
            }
            let stop = steps == 3 && progress.windows.is_some_and(|windows| windows.done == 2);
            Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        let (outcome, (picture, loss)) = (outcome.unwrap(), last.unwrap());
        assert!(outcome.interrupted && steps == 3, "{steps}");
        assert_eq!((outcome.picture.rgb, outcome.loss[1]), (picture.rgb, loss), "{optimizer:?}");
        let all = calls[0].1;
        assert_eq!(calls[..all + 1], (0..=all).map(|done| (done, all)).collect::<Vec<_>>());
    }
}
