//! Frames in slices, and frames that are steady in time.

use half::f16;
use impasto::embed::{Blend, DepthKind, Frame, Net, Options, Steadiness, Stylizer};
use impasto::gpu::{DeviceTensor, Recorder};
use impasto::io::Picture;
use impasto::nets::ImageTransformNet;
use impasto::nets::steady::Steady;
use wgpu::TextureFormat as Format;
use wgpu::TextureUsages as Usage;

use crate::host::{Host, Texel, difference, packed, picture, scene, small_net, unpacked};

const SIZE: [u32; 2] = [64, 64];
const FORMAT: Format = Format::Rgba8Unorm;
const STYLE: [Blend; 1] = [Blend { weights: &[1.0], alpha: 1.0 }];

impl Host {
    /// A texture of that format, filled.
    fn filled(&self, format: Format, texels: impl Iterator<Item = Vec<u8>>) -> wgpu::TextureView {
        let view = self.texture(format, SIZE, Usage::TEXTURE_BINDING);
        self.fill(&view, texels);
        view
    }

    fn fill(&self, view: &wgpu::TextureView, texels: impl Iterator<Item = Vec<u8>>) {
        let bytes: Vec<u8> = texels.flatten().collect();
        let bytes_per_row = Some(bytes.len() as u32 / SIZE[1]);
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image: None };
        self.queue.write_texture(view.texture().as_image_copy(), &bytes, layout, view.texture().size());
    }

    fn output(&self) -> wgpu::TextureView {
        self.texture(FORMAT, SIZE, Usage::STORAGE_BINDING)
    }

    fn texels(&self, view: &wgpu::TextureView) -> Vec<Texel> {
        self.read(view).iter().map(|bytes| unpacked(FORMAT, bytes, 1.0)).collect()
    }
}

fn net() -> Net {
    Net::feed_forward(small_net()).unwrap()
}

/// The scene, moved by that many texels to the right.
fn moved(texels: usize) -> Vec<Texel> {
    let all = scene(SIZE);
    (0..all.len()).map(|at| all[at - at % 64 + (at % 64 + 64 - texels) % 64]).collect()
}

fn bytes(texels: &[Texel]) -> impl Iterator<Item = Vec<u8>> {
    texels.iter().map(|texel| packed(FORMAT, *texel, 1.0))
}

/// The last slice writes the output; what changes in the frame's texture after the first one has no effect on the
/// painting. A frame that is given up leaves no trace.
#[test]
fn a_frame_in_slices_is_that_of_one_encoding() {
    let host = Host::new();
    let options = Options::new(SIZE, [FORMAT; 2]);
    let (mut whole, mut sliced) = (host.stylizer(net(), &options), host.stylizer(net(), &options));
    let (color, output) = (host.filled(FORMAT, bytes(&scene(SIZE))), host.output());
    host.paint(&mut whole, &Frame::new(&color, &output, SIZE, &STYLE)).unwrap();
    let expected = host.read(&output);

    let (total, output) = (sliced.gflop().unwrap(), host.output());
    let before = host.read(&output);
    let frame = Frame::new(&color, &output, SIZE, &STYLE);
    let slice = |stylizer: &mut Stylizer, budget: f64| {
        let mut encoder = host.device.create_command_encoder(&Default::default());
        let progress = stylizer.encode_slice(&mut encoder, &frame, budget).unwrap();
        host.queue.submit([encoder.finish()]);
        progress
    };
    let first = slice(&mut sliced, total / 8.0);
    assert!(first.slices >= 8 && first.encoded == 1, "{first:?}");
    // The same alpha, other colours.
    let grey = scene(SIZE).into_iter().map(|[.., alpha]| [0.3, 0.3, 0.3, alpha]).collect::<Vec<_>>();
    host.fill(&color, bytes(&grey));
    for number in 2..first.slices {
        let progress = slice(&mut sliced, total / 8.0);
        assert!(progress.encoded == number && !progress.is_complete());
    }
    assert_eq!(host.read(&output), before);
    assert!(slice(&mut sliced, total / 8.0).is_complete());
    assert_eq!(host.read(&output), expected);

    host.fill(&color, bytes(&scene(SIZE)));
    assert_eq!(slice(&mut sliced, total / 4.0).encoded, 1);
    host.paint(&mut sliced, &frame).unwrap();
    assert_eq!(host.read(&output), expected);
    assert_eq!(slice(&mut sliced, f64::INFINITY).slices, 1);
}

const MOTION: [f32; 2] = [-3.0, 0.5];

/// The frames painted by the library with the same steadiness, from planes.
fn by_the_library(host: &Host, frames: &[Picture], depth: &[f32], steadiness: Steadiness) -> Vec<Picture> {
    let context = host.context();
    let net = ImageTransformNet::new(&context, small_net()).unwrap();
    let mut rec = Recorder::new(&context);
    let tensor = |name: &str, channels: usize| DeviceTensor::new(&context, name, [1, channels, 64, 64]);
    let (frame, motion, now) = (tensor("frame", 3), tensor("motion", 2), tensor("depth", 1));
    motion.write(&MOTION.map(|step| vec![step; 64 * 64]).concat()).unwrap();
    now.write(depth).unwrap();
    let [x, motion, now] = [&frame, &motion, &now].map(|tensor| rec.pin(tensor));
    let mut steady = Steady::new(&mut rec, steadiness).unwrap();
    let painted = net.forward_smoothed(&mut rec, x, None, steady.smoothing()).unwrap().picture;
    let result = steady.follow(&mut rec, painted, motion, Some(now)).unwrap();
    let output = rec.output(result).unwrap();
    let program = rec.finish().unwrap();
    let paint = |picture: &Picture| {
        frame.write(&picture.rgb).unwrap();
        steady.begin(&program, [1.0; 2], false).unwrap();
        program.run().unwrap();
        let rgb = output.read().unwrap().iter().map(|value| value.clamp(0.0, 1.0)).collect();
        Picture::from_rgb(64, 64, rgb).unwrap()
    };
    frames.iter().map(paint).collect()
}

/// Motion and depth come from textures of both kinds; a reset begins a new video.
#[test]
fn steady_frames_are_those_of_the_library() {
    let host = Host::new();
    let steadiness = Steadiness { statistics: 0.5, history: 0.5, ..Steadiness::default() };
    let colors: Vec<Vec<Texel>> = [0, 3, 6]
        .map(moved)
        .into_iter()
        .map(|texels| bytes(&texels).map(|bytes| unpacked(FORMAT, &bytes, 1.0)).collect())
        .collect();
    let pictures: Vec<_> = colors.iter().map(|texels| picture(texels, SIZE)).collect();
    // Half of the motion's unit, downwards negative.
    let half = |value: f32| f16::from_f32(value).to_le_bytes();
    let stored = [half(2.0 * MOTION[0]), half(-2.0 * MOTION[1])].concat();
    let motion = host.filled(Format::Rg16Float, std::iter::repeat_n(stored, 64 * 64));
    let near = |at: usize| if at % 64 < 40 { 0.5f32 } else { 0.25 };
    let depths: Vec<f32> = (0..64 * 64).map(near).collect();
    let distances = host.filled(Format::R32Float, depths.iter().map(|depth| depth.to_le_bytes().to_vec()));
    let flat = host.texture(Format::Depth32Float, SIZE, Usage::RENDER_ATTACHMENT | Usage::TEXTURE_BINDING);
    let mut encoder = host.device.create_command_encoder(&Default::default());
    let ops = wgpu::Operations { load: wgpu::LoadOp::Clear(0.5), store: wgpu::StoreOp::Store };
    let depth_stencil_attachment =
        Some(wgpu::RenderPassDepthStencilAttachment { view: &flat, depth_ops: Some(ops), stencil_ops: None });
    encoder.begin_render_pass(&wgpu::RenderPassDescriptor { depth_stencil_attachment, ..Default::default() });
    host.queue.submit([encoder.finish()]);

    for (kind, view, depths) in
        [(DepthKind::Float, &distances, depths.clone()), (DepthKind::Depth, &flat, vec![0.5; 64 * 64])]
    {
        let wanted = by_the_library(&host, &pictures, &depths, steadiness);
        let options = Options {
            steadiness: Some(steadiness),
            motion: true,
            depth: Some(kind),
            ..Options::new(SIZE, [FORMAT; 2])
        };
        let mut stylizer = host.stylizer(net(), &options);
        let output = host.output();
        let mut paint = |texels: &[Texel], reset: bool| {
            let color = host.filled(FORMAT, bytes(texels));
            let frame = Frame {
                motion: Some(&motion),
                motion_scale: [0.5, -0.5],
                depth: Some(view),
                reset,
                ..Frame::new(&color, &output, SIZE, &STYLE)
            };
            host.paint(&mut stylizer, &frame).unwrap();
            host.texels(&output)
        };
        for (number, wanted) in wanted.iter().enumerate() {
            let painted = paint(&colors[number], false);
            assert!(difference(&painted, wanted) < 0.6 / 255.0, "{kind:?}, frame {number}");
        }
        assert!(difference(&paint(&colors[0], false), &wanted[0]) > 2.0 / 255.0, "history has an effect");
        assert!(difference(&paint(&colors[0], true), &wanted[0]) < 0.6 / 255.0, "a reset has none");
    }
}

#[test]
fn motion_and_depth_are_as_the_options_say() {
    let host = Host::new();
    let plain = Options::new(SIZE, [FORMAT; 2]);
    let steadiness = Some(Steadiness::default());
    let refused = |options: &Options, name: &str| {
        let error = Stylizer::new(&host.device, &host.queue, net(), options).err().unwrap().to_string();
        assert!(error.contains(name), "{error}");
    };
    refused(&Options { motion: true, ..plain.clone() }, "motion");
    refused(&Options { steadiness, depth: Some(DepthKind::Float), ..plain.clone() }, "depth");
    let endless = Some(Steadiness { history: 1.0, ..Steadiness::default() });
    refused(&Options { steadiness: endless, ..plain.clone() }, "history");

    let mut stylizer = host.stylizer(net(), &Options { steadiness, motion: true, ..plain });
    let color = host.filled(FORMAT, bytes(&scene(SIZE)));
    let motion = host.filled(Format::Rg32Float, std::iter::repeat_n(vec![0; 8], 64 * 64));
    let output = host.output();
    let frame = Frame { motion: Some(&motion), ..Frame::new(&color, &output, SIZE, &STYLE) };
    host.paint(&mut stylizer, &frame).unwrap();
    for (frame, name) in [
        (Frame { motion: None, ..frame }, "motion"),
        (Frame { depth: Some(&motion), ..frame }, "depth"),
        (Frame { motion_scale: [1.0, f32::NAN], ..frame }, "motion_scale"),
    ] {
        let error = host.paint(&mut stylizer, &frame).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}
