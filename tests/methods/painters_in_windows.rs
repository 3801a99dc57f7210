//! A picture that is painted in windows is the same as one that is painted whole.

use std::ops::Range;

use impasto::gpu::Context;
use impasto::io::Picture;
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::adain_painter::{AdainStyle, Region};
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights, Painter, Sampling};
use impasto::nets::tiles::{Budget, Paint, Progress, Watch};
use impasto::nets::vgg19::{Convention, Vgg19Weights};
use impasto::nets::{AdainDecoder, AdainPainter, ImageTransformNet, Place, Vgg19};
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;

use crate::adain::Scene;
use crate::context;

/// Largest difference of two results that are the same but for rounding.
const BOUND: f32 = 1e-5;

/// A picture without a period, with smooth areas and edges.
fn photo(width: usize, height: usize) -> Picture {
    let mut picture = Picture::new(width, height);
    // Fractions of multiples of an irrational number.
    let number = |index: usize| (index as f32 * 0.754_877_7).fract();
    let waves: Vec<[f32; 5]> = (0..9).map(|wave| [0, 1, 2, 3, 4].map(|at| number(5 * wave + at + 1))).collect();
    for (index, value) in picture.rgb.iter_mut().enumerate() {
        let (channel, pixel) = (index / (width * height), index % (width * height));
        let [x, y] = [pixel % width, pixel / width].map(|at| at as f32);
        let wave = |[a, b, c, d, e]: &[f32; 5]| ((a - 0.5) * x * 0.4 + (b - 0.5) * y * 0.4 + 6.0 * c).sin() * d * e;
        let sum: f32 = waves[3 * channel..][..3].iter().map(wave).sum();
        let edge = if (x * 0.7 + y * 0.3) % 61.0 < 20.0 { 0.2f32 } else { -0.1 };
        *value = (0.5 + 0.3 * sum + edge).clamp(0.0, 1.0);
    }
    picture
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// A budget of windows of that side.
fn windows(side: usize) -> Budget {
    Budget { window: Some(side), ..Budget::default() }
}

/// What `run` paints with a watch and a receiver of parts, and the number of windows.
fn collected(photo: &Picture, run: impl FnOnce(&mut Watch, &mut Paint) -> impasto::Result<()>) -> (Picture, usize) {
    let (mut painted, mut count) = (Picture::new(photo.width, photo.height), 0);
    painted.rgb.fill(f32::NAN);
    let mut watch = |progress: &Progress| {
        assert_eq!(progress.at, count);
        count += 1;
        Ok(())
    };
    let mut paint = |rows: Range<usize>, columns: Range<usize>, part: Picture| {
        assert_eq!((part.height, part.width), (rows.len(), columns.len()));
        painted.paste(&part, [columns.start, rows.start]);
        Ok(())
    };
    run(&mut watch, &mut paint).unwrap_or_else(|error| panic!("{error}"));
    (painted, count)
}

fn in_windows(painter: &mut AdainPainter, photo: &Picture, regions: &[Region], budget: Budget) -> (Picture, usize) {
    let context = painter.encoder().context().clone();
    collected(photo, |watch, paint| context.block_on(painter.paint_parts_async(photo, regions, &budget, watch, paint)))
}

struct Adain {
    painter: AdainPainter,
    styles: [AdainStyle; 2],
}

impl Adain {
    fn new(scene: &Scene) -> Self {
        let painter = scene.painter();
        let styles = scene.paintings.each_ref().map(|painting| painter.style(painting).unwrap());
        Adain { painter, styles }
    }
}

#[test]
fn adain_in_windows_is_adain() {
    let scene = Scene::new(context());
    let Adain { mut painter, styles: [first, second] } = Adain::new(&scene);
    let plain = [Region::from(first.clone())];
    let half = Picture::from_rgb(2, 1, vec![1.0, 0.0, 1.0, 0.0, 1.0, 0.0]).unwrap();
    let masked = [
        Region { place: Place::Mask(half), ..first.clone().into() },
        Region { place: Place::Rest, strength: 0.6, ..second.into() },
    ];
    let mut transparent = photo(171, 133);
    let alpha = (0..171 * 133).map(|index| if index % 171 > 90 { 0.0 } else { (index % 7) as f32 / 6.0 }).collect();
    transparent.alpha = Some(alpha);
    transparent = transparent.filled().into_owned();
    let cases: [(Picture, &[Region], usize); 4] = [
        (photo(243, 211), &plain, 176),
        (photo(37, 301), &plain, 150),
        (photo(203, 100), &masked, 160),
        (transparent, &plain, 144),
    ];
    for (photo, regions, side) in &cases {
        let whole = painter.paint(photo, regions).unwrap();
        for host in [0, 256 << 20] {
            let name = format!("{}x{}, {host} bytes of features", photo.width, photo.height);
            let (painted, count) = in_windows(&mut painter, photo, regions, Budget { host, ..windows(*side) });
            assert!(count > 2, "{name}: {count} windows");
            let difference = largest_difference(&painted.rgb, &whole.rgb);
            assert!(difference <= BOUND, "{name}: {difference}");
        }
    }
}

/// Halos that are a step too small show.
#[test]
fn a_halo_too_small_is_noticed() {
    let scene = Scene::new(context());
    let Adain { mut painter, styles: [style, _] } = Adain::new(&scene);
    let (photo, regions) = (photo(243, 211), [Region::from(style)]);
    let whole = painter.paint(&photo, &regions).unwrap();
    for host in [0, 256 << 20] {
        let budget = Budget { host, lack: 1, ..windows(144) };
        let (painted, _) = in_windows(&mut painter, &photo, &regions, budget);
        assert!(largest_difference(&painted.rgb, &whole.rgb) > BOUND, "{host} bytes of features");
    }
}

fn in_net_windows(painter: &mut Painter, photo: &Picture, sampling: Sampling, budget: Budget) -> (Picture, usize) {
    let context = painter.net().context().clone();
    collected(photo, |watch, paint| context.block_on(painter.paint_parts_async(photo, sampling, &budget, watch, paint)))
}

fn net(form: Form, norm: Over) -> Painter {
    let mut weights = ImageTransformNetWeights::random(form, norm, 0.25, 5);
    // Norms with scales and shifts that are not 1 and 0, and running statistics.
    for (index, (name, tensor)) in weights.tensors.iter_mut().enumerate() {
        if name.contains("in") || name.contains("bn") {
            let value = |at: usize| ((index * 31 + at) as f32 * 0.754_877_7).fract();
            tensor.data.iter_mut().enumerate().for_each(|(at, old)| *old += 0.4 * value(at));
        }
        // A norm with running statistics does not restore the contrast that layers lose.
        if name.contains("bn") && name.ends_with(".weight") {
            tensor.data.iter_mut().for_each(|value| *value *= 2.0);
        }
    }
    Painter::new(ImageTransformNet::new(context(), weights).unwrap())
}

#[test]
fn nets_in_windows_are_exact() {
    let cases = [(171, 137, 136), (253, 50, 160), (402, 303, 192)];
    for (form, norm) in [(Form::Resize, Over::Instance), (Form::Paper, Over::Instance), (Form::Paper, Over::Batch)] {
        let (mut painter, mut exact) = (net(form, norm), 0f32);
        for (width, height, side) in &cases[..if norm == Over::Batch { 3 } else { 2 }] {
            let photo = photo(*width, *height);
            let whole = painter.paint(&photo).unwrap();
            let (painted, count) = in_net_windows(&mut painter, &photo, Sampling::Exact, windows(*side));
            assert!(count > if norm == Over::Batch { 2 } else { 16 }, "{form:?} {norm:?}: {count} windows");
            let difference = largest_difference(&painted.rgb, &whole.rgb);
            exact = exact.max(difference);
            assert!(difference <= BOUND, "{form:?} {norm:?} {width}x{height}: {difference}");
        }
        let (photo, lack) = (photo(171, 137), Budget { lack: 1, ..windows(136) });
        let whole = painter.paint(&photo).unwrap();
        let sampling = Sampling::Thumbnail(171);
        let (painted, _) = in_net_windows(&mut painter, &photo, sampling, lack);
        let difference = largest_difference(&painted.rgb, &whole.rgb);
        assert!(difference > 4.0 * exact, "{form:?} {norm:?} with a smaller halo: {difference}, else {exact}");
    }
}

/// With the statistics of the picture itself as its thumbnail, one pass is exact too.
#[test]
fn the_statistics_of_a_thumbnail_are_used() {
    let (mut painter, photo) = (net(Form::Resize, Over::Instance), photo(171, 137));
    let whole = painter.paint(&photo).unwrap();
    let differences = [171, 64].map(|thumbnail| {
        let (painted, count) = in_net_windows(&mut painter, &photo, Sampling::Thumbnail(thumbnail), windows(136));
        assert!((2..16).contains(&count), "{count} windows");
        largest_difference(&painted.rgb, &whole.rgb)
    });
    assert!(differences[0] <= BOUND && differences[1] > 1e-3, "{differences:?}");
}

/// Other conventions of VGG-19 leave out the pixels that do not fill a pool.
#[test]
fn an_encoder_that_rounds_sizes_down_measures_and_paints_what_it_can() {
    let mut weights = Vgg19Weights::random(0.05, 1);
    weights.convention = Convention::Torchvision;
    let encoder = Vgg19::new(context(), &weights, Pooling::Max).unwrap();
    let decoder = AdainDecoder::new(context(), AdainDecoderWeights::random(&weights, 1).unwrap()).unwrap();
    let mut painter = AdainPainter::new(&encoder, decoder).unwrap();
    // The last 7 rows and 3 columns have no features: their pixels reach the statistics through their neighbours alone.
    let style = painter.style(&photo(43, 39)).unwrap();
    assert!(style.mean.iter().any(|mean| *mean > 0.0));
    let regions = [Region::from(style)];
    let fits = photo(240, 56);
    let whole = painter.paint(&fits, &regions).unwrap();
    let (painted, _) = in_windows(&mut painter, &fits, &regions, windows(150));
    assert!(largest_difference(&painted.rgb, &whole.rgb) <= BOUND);
    let (mut watch, mut paint) = (|_: &Progress| Ok(()), |_, _, _| Ok(()));
    let (odd, budget) = (photo(243, 59), windows(150));
    let refused = painter.paint_parts_async(&odd, &regions, &budget, &mut watch, &mut paint);
    let error = context().block_on(refused).unwrap_err().to_string();
    assert!(error.contains("at most 240x56 px") && error.contains("243x59"), "{error}");
}

/// Windows are as large as the memory allows, and the device is not asked for more.
#[test]
fn memory_is_bounded() {
    let context = Context::new(&Default::default()).unwrap();
    let scene = Scene::new(&context);
    let Adain { mut painter, styles: [style, _] } = Adain::new(&scene);
    let Some(before) = context.allocated_bytes() else { return };
    let (photo, regions) = (photo(640, 480), [Region::from(style)]);
    let memory = painter.plan(640, 480, 1).unwrap().peak_bytes();
    let budget = Budget { device: before + memory / 2, ..Budget::default() };
    let (mut most, mut planned) = (0, 0);
    let mut watch = |progress: &Progress| {
        most = most.max(context.allocated_bytes().unwrap());
        planned = progress.bytes;
        assert!(progress.windows > 2 && planned <= budget.device);
        Ok(())
    };
    let mut paint = |_, _, _| Ok(());
    context.block_on(painter.paint_parts_async(&photo, &regions, &budget, &mut watch, &mut paint)).unwrap();
    assert!((budget.device / 2..=budget.device).contains(&most), "{most} of {}", budget.device);
    assert!((most as f64 / planned as f64 - 1.0).abs() < 0.05, "{most} allocated, {planned} planned");
    let little = Budget { device: before, ..budget };
    let error = context.block_on(painter.paint_parts_async(&photo, &regions, &little, &mut |_| Ok(()), &mut paint));
    assert!(error.unwrap_err().to_string().contains("MiB of memory"));
}
