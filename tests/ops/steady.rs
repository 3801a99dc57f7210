//! Blending with the previous frame, and smoothed statistics.

use impasto::gpu::{DeviceTensor, Precision, Recorder};
use impasto::internal::cases::steady as cases;
use impasto::nets::steady::{Steadiness, Steady};
use impasto::ops::steady::{self, Blend, Blending, History};

use crate::errors::{filled, refused};
use crate::harness::{check_case, contexts};
use crate::reference::Array;

#[test]
fn blending_matches_the_oracle() {
    for size in [[1, 1], [2, 9], [8, 8], [17, 13]] {
        for has_depth in [false, true] {
            check_case(&cases::blended(size, has_depth, Precision::F32));
        }
    }
}

#[test]
fn smoothed_statistics_match_the_oracle() {
    for shape in [[1, 3, 5, 7], [2, 70, 4, 4]] {
        check_case(&cases::smoothed(shape, Precision::F32));
    }
}

/// A program that blends a frame of 8×6 with a previous one in which nothing moves, with depths or without.
struct Scene {
    x: DeviceTensor,
    previous: DeviceTensor,
    depth: [DeviceTensor; 2],
    result: DeviceTensor,
    blending: Blending,
    program: impasto::gpu::Program,
}

const BLEND: Blend = Blend { weight: 0.5, scale: [1.0; 2], tolerance: 0.1 };

impl Scene {
    fn new(context: &impasto::gpu::Context, has_depth: bool) -> Self {
        let mut rec = Recorder::new(context);
        let input = |name: &str, channels: usize| DeviceTensor::new(context, name, [1, channels, 6, 8]);
        let (x, previous, motion) = (input("x", 3), input("previous", 3), input("motion", 2));
        let depth = ["now", "before"].map(|name| input(name, 1));
        let blending = Blending::new(&mut rec, [6, 8], BLEND).unwrap();
        let history = History {
            previous: rec.pin(&previous),
            motion: rec.pin(&motion),
            depth: has_depth.then(|| depth.each_ref().map(|depth| rec.pin(depth))),
        };
        let symbol = rec.pin(&x);
        let y = steady::blend(&mut rec, symbol, history, blending).unwrap();
        let result = rec.output(y).unwrap();
        Scene { x, previous, depth, result, blending, program: rec.finish().unwrap() }
    }

    fn run(&self) -> Vec<f32> {
        self.program.run().unwrap();
        self.result.read().unwrap()
    }
}

/// NaN in the frame or in the previous one shows in the result; without weight, nothing of the previous frame does.
#[test]
fn not_a_number_shows_and_ends_with_the_history() {
    for context in contexts() {
        let scene = Scene::new(context, false);
        let painted = Array::random(&[1, 3, 6, 8], 1).to_f32();
        let mut broken = painted.clone();
        broken[60] = f32::NAN;
        scene.x.write(&painted).unwrap();
        scene.previous.write(&painted).unwrap();
        assert!(scene.run().iter().zip(&painted).all(|(result, painted)| (result - painted).abs() < 1e-6));
        scene.previous.write(&broken).unwrap();
        assert!(scene.run()[60].is_nan());
        scene.blending.set(&scene.program, Blend { weight: 0.0, ..BLEND }).unwrap();
        assert_eq!(scene.run(), painted);
        scene.x.write(&broken).unwrap();
        assert!(scene.run()[60].is_nan());
    }
}

/// Where the depth differs by more than the tolerance, the result is the frame, to the bit; a sky of infinite depth
/// has a history.
#[test]
fn depths_decide_where_the_previous_frame_counts() {
    for context in contexts() {
        let scene = Scene::new(context, true);
        scene.x.write(&[0.25; 144]).unwrap();
        scene.previous.write(&[0.75; 144]).unwrap();
        let now: Vec<_> = (0..48).map(|at| if at % 8 == 7 { f32::INFINITY } else { 2.0 }).collect();
        let before: Vec<_> = now.iter().enumerate().map(|(at, depth)| if at % 8 < 4 { 2.5 } else { *depth }).collect();
        scene.depth[0].write(&now).unwrap();
        scene.depth[1].write(&before).unwrap();
        let result = scene.run();
        for (at, value) in result.iter().enumerate() {
            let expected = if at % 8 < 4 { 0.25 } else { 0.5 };
            assert!((value - expected).abs() < 1e-6, "{at}: {value}");
        }
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let blend = |rec: &mut Recorder, channels: [usize; 3], depths: [usize; 2]| {
        let [x, previous, motion] = channels.map(|channels| filled(rec, [1, channels, 4, 5]));
        let depth = Some(depths.map(|width| filled(rec, [1, 1, 4, width])));
        let blend = Blend { weight: 0.5, scale: [1.0; 2], tolerance: 0.1 };
        let blending = Blending::new(rec, [4, 5], blend)?;
        steady::blend(rec, x, History { previous, motion, depth }, blending)
    };
    refused("steady", "x", |rec| blend(rec, [4, 3, 2], [5, 5]));
    refused("steady", "previous", |rec| blend(rec, [3, 2, 2], [5, 5]));
    refused("steady", "motion", |rec| blend(rec, [3, 3, 3], [5, 5]));
    refused("steady", "depth", |rec| blend(rec, [3, 3, 2], [5, 4]));
    let with = |rec: &mut Recorder, weight: f32, scale: f32, tolerance: f32| {
        Blending::new(rec, [4, 5], Blend { weight, scale: [1.0, scale], tolerance })
    };
    refused("steady", "weight", |rec| with(rec, 1.0, 1.0, 0.1));
    refused("steady", "scale", |rec| with(rec, 0.5, f32::INFINITY, 0.1));
    refused("steady", "tolerance", |rec| with(rec, 0.5, 1.0, f32::NAN));
    for (name, statistics, history) in [("statistics", 1.0, 0.5), ("history", 0.5, f32::NAN)] {
        let steadiness = Steadiness { statistics, history, ..Default::default() };
        refused("steadiness", name, |rec| Steady::new(rec, steadiness));
    }
}
