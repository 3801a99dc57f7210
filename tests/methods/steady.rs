//! Frames of a video: in slices, with smoothed statistics, and with the previous result that follows the motion.

#[path = "../../examples/steady/painting.rs"]
mod painting;
#[path = "../../examples/steady/scene.rs"]
mod scene;

use impasto::eval::steadiness::warping_error;
use impasto::gpu::{Context, DeviceTensor, Recorder};
use impasto::io::Picture;
use impasto::nets::ImageTransformNet;
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::nets::steady::Steadiness;
use impasto::ops::norm::{Norm, Over, Smoothing};
use impasto::wgpu;
use painting::Net;
use scene::{Scene, View};

use crate::reference::Array;
use crate::{context, kept};

/// A small feed-forward net with random weights.
fn net(context: &Context) -> ImageTransformNet {
    let weights = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.25, 7);
    ImageTransformNet::new(context, weights).unwrap()
}

#[test]
fn a_frame_in_slices_has_the_bits_of_one_encoding() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let (device, queue) = pollster::block_on(adapter.request_device(&Default::default())).unwrap();
    let context = &Context::from_host(device.clone(), queue.clone(), &Default::default()).unwrap();
    let net = net(context);
    let photo = Array::random(&[1, 3, 40, 48], 5).to_f32();
    let photo = DeviceTensor::from_values(context, "photo", [1, 3, 40, 48], &photo).unwrap();
    let record = || {
        let mut rec = Recorder::new(context);
        let x = rec.pin(&photo);
        let picture = net.forward(&mut rec, x).unwrap().picture;
        let painted = kept(&mut rec, picture);
        (rec.finish().unwrap(), painted)
    };
    let ((program, painted), (other, _)) = (record(), record());
    program.run().unwrap();
    let expected = painted.read().unwrap();
    assert!(expected.iter().all(|value| value.is_finite()));
    painted.write(&vec![f32::NAN; expected.len()]).unwrap();

    let whole = program.slices(f64::INFINITY);
    assert_eq!((whole.len(), whole[0].dispatches()), (1, program.dispatches()));
    let budget = whole[0].gflop() / 8.0;
    let slices = program.slices(budget);
    assert!(slices.len() >= 8, "{}", slices.len());
    assert!(slices.iter().all(|slice| slice.gflop() <= budget || slice.dispatches() == 1));
    let sum: f64 = slices.iter().map(|slice| slice.gflop()).sum();
    assert!((sum / whole[0].gflop() - 1.0).abs() < 1e-9);
    assert_eq!(program.slices(0.0).len(), program.dispatches());
    for slice in &slices {
        assert!(painted.read().unwrap().iter().all(|value| value.is_nan()), "the last slice writes the result");
        let mut encoder = device.create_command_encoder(&Default::default());
        program.encode_slice(&mut encoder, slice).unwrap();
        queue.submit([encoder.finish()]);
        // A host's other programs run in between.
        other.submit().unwrap();
    }
    assert_eq!(painted.read().unwrap(), expected);
}

#[test]
fn statistics_move_toward_those_of_each_frame_and_a_reset_forgets_all() {
    let context = context();
    let mut rec = Recorder::new(context);
    let frame = DeviceTensor::new(context, "frame", [1, 2, 3, 5]);
    let x = rec.pin(&frame);
    let statistics = Norm::default().statistics(&mut rec, x, None).unwrap();
    let smoothing = Smoothing::new(&mut rec);
    let average = smoothing.average(&mut rec, statistics).unwrap();
    let outputs = [average.mean, average.variance].map(|tensor| kept(&mut rec, tensor));
    let program = rec.finish().unwrap();
    let run = |values: &[f32], weight: f32| {
        frame.write(values).unwrap();
        smoothing.set(&program, weight).unwrap();
        program.run().unwrap();
        outputs.each_ref().map(|output| output.read().unwrap()).concat()
    };
    let [first, second] = [1, 2].map(|seed| Array::random(&[1, 2, 3, 5], seed).to_f32());
    let (of_first, of_second) = (run(&first, 1.0), run(&second, 1.0));
    assert_eq!(run(&first, 1.0), of_first, "a weight of 1 forgets the second frame");
    for ((mixed, first), second) in run(&second, 0.25).into_iter().zip(&of_first).zip(&of_second) {
        assert!((mixed - (first + 0.25 * (second - first))).abs() < 1e-6);
    }
    assert!(run(&[f32::NAN; 30], 0.25).iter().all(|value| value.is_nan()));
    assert!(run(&second, 0.25).iter().all(|value| value.is_nan()), "NaN stays");
    assert_eq!(run(&second, 1.0), of_second, "until a reset");
    assert!(smoothing.set(&program, 1.5).unwrap_err().to_string().contains("weight"));
}

#[test]
fn smoothing_without_a_past_paints_as_without_smoothing() {
    let net = net(context());
    let paint = |is_smoothed: bool| {
        let mut rec = Recorder::new(context());
        let photo = Array::random(&[1, 3, 21, 28], 6).to_f32();
        let photo = DeviceTensor::from_values(context(), "photo", [1, 3, 21, 28], &photo).unwrap();
        let x = rec.pin(&photo);
        let smoothing = Smoothing::new(&mut rec);
        let picture = match is_smoothed {
            true => net.forward_smoothed(&mut rec, x, None, smoothing).unwrap().picture,
            false => net.forward(&mut rec, x).unwrap().picture,
        };
        let painted = kept(&mut rec, picture);
        rec.finish().unwrap().run().unwrap();
        painted.read().unwrap()
    };
    assert_eq!(paint(true), paint(false));
}

fn wave() -> Net {
    Net::load(context(), "wave", &Picture::new(1, 1)).unwrap()
}

const NONE: Steadiness = Steadiness { statistics: 0.0, history: 0.0, tolerance: 0.1 };

/// Whether no pixel around the earlier place of a pixel shows its surface.
fn is_uncovered(at: usize, view: &View, before: &View) -> bool {
    let (side, pixels) = (view.picture.width, view.picture.pixels());
    let place = [(at % side) as f32 + view.motion[at], (at / side) as f32 + view.motion[at + pixels]];
    let taps = [[0, 0], [1, 0], [0, 1], [1, 1]]
        .map(|step: [isize; 2]| [0, 1].map(|axis| place[axis].floor() as isize + step[axis]));
    let inside = |tap: &[isize; 2]| tap.iter().all(|place| (0..side as isize).contains(place));
    let mut inside = taps.iter().filter(|tap| inside(tap)).map(|tap| tap[1] as usize * side + tap[0] as usize);
    inside.all(|tap| before.depth[tap] != view.depth[at])
}

/// The video is more than twice as steady, and behind the moving ball there is nothing of the ball.
#[test]
fn the_previous_frame_steadies_the_video_and_leaves_no_ghost() {
    let net = wave();
    let views: Vec<_> = (0..4).map(|frame| Scene::new(64).view(frame)).collect();
    let paint = |steadiness: Steadiness| {
        let mut video = net.video(64, steadiness).unwrap();
        views.iter().map(|view| video.paint(view, false).unwrap()).collect::<Vec<_>>()
    };
    let alone = paint(NONE);
    let steady = paint(Steadiness { history: Steadiness::default().history, ..NONE });
    assert_eq!(steady[0], alone[0]);
    let error = |frames: &[Picture]| -> f64 {
        let errors = (1..4)
            .map(|at| warping_error(&frames[at], &frames[at - 1], &views[at].motion, &views[at].visible).unwrap());
        errors.sum()
    };
    assert!(error(&steady) < error(&alone) / 2.0, "{} {}", error(&steady), error(&alone));
    let mut count = 0;
    for at in 1..4 {
        for pixel in (0..64 * 64).filter(|pixel| is_uncovered(*pixel, &views[at], &views[at - 1])) {
            for plane in 0..3 {
                let index = plane * 64 * 64 + pixel;
                assert!((steady[at].rgb[index] - alone[at].rgb[index]).abs() < 1e-5, "frame {at}, pixel {pixel}");
            }
            count += 1;
        }
    }
    assert!(count > 50, "{count} pixels are uncovered");
}

#[test]
fn a_reset_begins_a_new_video_even_after_a_broken_frame() {
    let net = wave();
    let views: Vec<_> = (0..2).map(|frame| Scene::new(64).view(frame)).collect();
    let mut broken = Scene::new(64).view(1);
    broken.picture.rgb[100] = f32::NAN;
    let mut video = net.video(64, Steadiness { statistics: 0.5, ..Steadiness::default() }).unwrap();
    let first = video.paint(&views[0], false).unwrap();
    assert!(video.paint(&broken, false).unwrap().rgb.iter().any(|value| value.is_nan()));
    assert!(video.paint(&views[0], false).unwrap().rgb.iter().any(|value| value.is_nan()));
    assert_eq!(video.paint(&views[0], true).unwrap(), first);
    assert_ne!(video.paint(&views[1], false).unwrap(), video.paint(&views[1], true).unwrap());
}
