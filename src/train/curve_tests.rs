//! Tests of `curve.rs`. With a folder in `IMPASTO_KEEP`, the plots are kept there for inspection.

use super::*;
use crate::io::Picture;
use crate::plot::INK;
use crate::random::Random;

fn falling(name: &str, from: f64, power: f64, count: usize) -> Series {
    let mut random = Random::new(name.len() as u64);
    let mut loss =
        |step: usize| from * (step as f64 + 1.0).powf(power) * (1.0 + 0.2 * f64::from(random.normal())).max(0.1);
    Series { name: name.into(), points: (0..count).map(|step| (step as f64, loss(step))).collect() }
}

fn drawn(name: &str, series: &[Series], log_x: bool) -> Picture {
    let directory = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("IMPASTO_KEEP").map_or(directory.path().to_owned(), Into::into);
    let path = folder.join(name);
    draw(&path, "johnson mosaic", ["step", "loss"], series, log_x).unwrap();
    let picture = Picture::load(&path).unwrap();
    assert_eq!((picture.width, picture.height), SIZE);
    picture
}

/// Number of pixels with nearly this colour.
fn count(picture: &Picture, colour: RGBColor) -> usize {
    let wanted = [colour.0, colour.1, colour.2].map(|value| f32::from(value) / 255.0);
    let is_near =
        |pixel: &usize| (0..3).all(|plane| (picture.rgb[plane * picture.pixels() + pixel] - wanted[plane]).abs() < 0.1);
    (0..picture.pixels()).filter(is_near).count()
}

#[test]
fn every_series_is_drawn_in_its_colour_and_the_data_show() {
    let series =
        [falling("total", 4e5, -0.3, 5000), falling("content", 1e5, -0.1, 5000), falling("style", 2e5, -0.5, 5000)];
    let picture = drawn("three.png", &series, false);
    for (index, colour) in COLOURS.into_iter().enumerate() {
        assert_eq!(count(&picture, colour) > 500, index < 3, "{colour:?}: {}", count(&picture, colour));
    }
    assert!(count(&picture, WHITE) > picture.pixels() / 2);
    assert!(count(&picture, INK) > 1000, "axes and text: {}", count(&picture, INK));
    assert_eq!(drawn("again.png", &series, false), picture, "the same data make the same picture");
    assert_ne!(drawn("log.png", &series, true), picture);
    assert_ne!(drawn("two.png", &series[..2], false), picture);
    let mut other = series.clone();
    other[0].points.iter_mut().for_each(|point| point.1 *= 1.5);
    assert_ne!(drawn("other.png", &other, false), picture);
}

#[test]
fn what_cannot_be_shown_is_left_out() {
    let good = falling("loss", 3.0, -0.05, 40);
    let mut bad = good.clone();
    let strays =
        [(5.0, 0.0), (5.0, -1.0), (5.0, f64::NAN), (5.0, f64::INFINITY), (f64::NAN, 1.0), (f64::INFINITY, 1.0)];
    strays.into_iter().for_each(|stray| bad.points.insert(7, stray));
    assert_eq!(drawn("bad.png", &[bad.clone()], false), drawn("good.png", std::slice::from_ref(&good), false));
    // A logarithmic axis has no step 0.
    let mut later = good.clone();
    later.points.remove(0);
    assert_eq!(drawn("bad.png", &[bad], true), drawn("good.png", &[later], true));
}

#[test]
fn a_single_point_is_a_dot() {
    let dot = Series { name: "one".into(), points: vec![(3.0, 7.0)] };
    let picture = drawn("one.png", &[dot], false);
    // One dot in the middle of the chart, one in the legend.
    let area = 2.0 * std::f64::consts::PI * 6.0 * 6.0;
    assert!((count(&picture, COLOURS[0]) as f64 / area - 1.0).abs() < 0.25, "{}", count(&picture, COLOURS[0]));
}

#[test]
fn exact_lines_reach_their_points_and_smoothed_ones_do_not() {
    // A loss that alternates between 1 and 10.
    let points = (0..500).map(|step| (f64::from(step), if step % 50 < 25 { 1.0 } else { 10.0 })).collect();
    let series = [Series { name: "x".into(), points }];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exact.png");
    draw_exact(&path, "johnson mosaic", ["step", "loss"], &series, false).unwrap();
    let (exact, smooth) = (Picture::load(&path).unwrap(), drawn("smooth.png", &series, false));
    assert!(exact != smooth);
    // The top and the bottom, which only the unsmoothed line reaches.
    assert!(count(&exact, COLOURS[0]) > count(&smooth, COLOURS[0]) + 500);
}

#[test]
fn nothing_to_draw_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("curve.png");
    let empty = |points: &[(f64, f64)]| Series { name: "x".into(), points: points.into() };
    for series in [vec![], vec![empty(&[])], vec![empty(&[(1.0, 0.0), (2.0, f64::NAN)]), empty(&[(3.0, -1.0)])]] {
        let message = draw(&path, "", ["", ""], &series, false).unwrap_err().to_string();
        assert!(message.contains("finite loss above 0"), "{message}");
    }
    let zero = empty(&[(0.0, 1.0)]);
    assert!(draw(&path, "", ["", ""], std::slice::from_ref(&zero), true).is_err());
    assert!(!path.exists());
    let missing = directory.path().join("none/curve.png");
    assert!(draw(&missing, "", ["", ""], &[zero], false).unwrap_err().to_string().contains("create it first"));
}

#[test]
fn smoothing_takes_the_noise_and_keeps_the_place() {
    // Noise of half a decade around a loss that falls by one decade.
    let loss = |step: usize| 10f64.powf(3.0 - step as f64 / 1000.0 + if step.is_multiple_of(2) { 0.5 } else { -0.5 });
    let series = Series { name: "x".into(), points: (0..1000).map(|step| (step as f64, loss(step))).collect() };
    let smoothed = Line::new(&series, false).smoothed();
    assert_eq!(smoothed.len(), 1000);
    for (step, &(x, y)) in smoothed.iter().enumerate().skip(100) {
        assert!(x == step as f64 && (y - (3.0 - x / 1000.0)).abs() < 0.06, "{y} at {x}");
    }
    // Very few points are not smoothed.
    let few = Series { name: "x".into(), points: vec![(1.0, 10.0), (2.0, 1000.0), (3.0, 100.0)] };
    assert_eq!(Line::new(&few, false).smoothed(), [(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)]);
}
