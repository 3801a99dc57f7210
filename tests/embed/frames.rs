//! What a frame costs and what it refuses; lost devices, and stylizers that are dropped.

use super::host::*;
use impasto::Error;
use impasto::embed::{Blend, Frame, MaskKind, Net, Options, Stylizer};
use impasto::internal::objects_made;
use wgpu::TextureFormat as Format;
use wgpu::TextureUsages as Usage;

/// Frames that cycle through three inputs and two outputs, as those of an engine do, create no object, while styles and
/// strengths change. Textures that are not used any more are let go.
#[test]
fn steady_frames_create_nothing() {
    let host = Host::new();
    let formats = [Format::Bgra8Unorm; 2];
    let pair = Pair::new(&host.context());
    let mut stylizer = host.stylizer(pair.net(), &Options::new([32, 32], formats));
    let colors: Vec<_> = (0..3).map(|_| host.frame(formats[0], [32, 32], 1.0).0).collect();
    let targets: Vec<_> = (0..2).map(|_| host.texture(formats[1], [32, 32], Usage::RENDER_ATTACHMENT)).collect();
    let mut spent = std::time::Duration::ZERO;
    let mut frame = |stylizer: &mut Stylizer, number: usize, color: &wgpu::TextureView| {
        let weights = [1.0, (number / 10) as f32];
        let blend = [Blend { weights: &weights, alpha: 0.5 + 0.5 / (1.0 + number as f32) }];
        let mut encoder = host.device.create_command_encoder(&Default::default());
        let began = std::time::Instant::now();
        let target = &targets[number % targets.len()];
        stylizer.encode(&mut encoder, &Frame::new(color, target, [32, 32], &blend)).unwrap();
        spent += began.elapsed();
        host.queue.submit([encoder.finish()]);
    };
    for number in 0..6 {
        frame(&mut stylizer, number, &colors[number % 3]);
    }
    let before = objects_made(stylizer.context());
    for number in 6..106 {
        frame(&mut stylizer, number, &colors[number % 3]);
    }
    assert_eq!(objects_made(stylizer.context()), before);
    for _ in 0..40 {
        frame(&mut stylizer, 0, &colors[0]);
    }
    assert_eq!(objects_made(stylizer.context()), before);
    frame(&mut stylizer, 0, &host.frame(formats[0], [32, 32], 1.0).0);
    frame(&mut stylizer, 0, &colors[1]);
    assert!(objects_made(stylizer.context()) > before + 2, "bind groups with textures of old frames are kept");
    println!("{:.3} ms to encode a frame", spent.as_secs_f64() * 1e3 / 148.0);
}

/// Engines keep a stylizer where types have to be `Send` and `Sync`.
const fn assert_shareable<T: Send + Sync>() {}
const _: () = assert_shareable::<Stylizer>();

/// An included net is found by its name and has the names of its styles.
#[test]
#[cfg(feature = "weights-impressions")]
fn included_nets_are_found_by_name() {
    let body = Net::included("impressions").unwrap();
    assert_eq!(body.style_names().len(), body.styles());
    assert!(body.style_names().iter().any(|name| name == "wave"), "{:?}", body.style_names());
    let error = Net::included("adain").unwrap_err();
    assert!(matches!(&error, Error::Argument { argument, .. } if argument == "name"), "{error}");
    assert!(error.to_string().contains("impressions"), "{error}");
}

/// What is planned before there is a device is what a device with these features and limits then holds.
#[test]
fn requirements_are_what_a_device_then_needs() {
    let host = Host::new();
    let pair = Pair::new(&host.context());
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let formats = [Format::Rgba16Float, Format::Rgba8Unorm];
    for (net, scale) in [(pair.net(), 1.0), (small(), 0.5)] {
        let options = Options { scale, ..Options::new([96, 64], formats) };
        let needs = Stylizer::requirements(&adapter, &net, &options).unwrap();
        assert_eq!(needs.painting, [96.0 * scale, 64.0 * scale].map(|side| side as u32));
        assert_eq!(needs.limits, wgpu::Limits::default());
        let descriptor = wgpu::DeviceDescriptor {
            required_features: needs.features,
            required_limits: needs.limits.clone(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        let mut stylizer = Stylizer::new(&device, &queue, net, &options).unwrap();
        stylizer.wait().unwrap();
        assert_eq!(stylizer.bytes().unwrap(), needs.bytes);
        assert_eq!(stylizer.gflop().unwrap(), needs.gflop);
        assert!(needs.bytes > 96 * 64 * 24 / 4 && needs.gflop > 0.0, "{needs:?}");
    }
    let wide = adapter.limits().max_texture_dimension_2d + 1;
    let options = Options { scale: 0.004, ..Options::new([wide, 16_000], formats) };
    let error = Stylizer::requirements(&adapter, &small(), &options).unwrap_err().to_string();
    assert!(error.contains("max_texture_dimension_2d") && error.contains(&wide.to_string()), "{error}");
}

/// A host that destroys its device gets an error from then on, while kernels are compiled and between frames.
#[test]
fn a_lost_device_is_an_error() {
    for before in [true, false] {
        let host = Host::new();
        let formats = [Format::Rgba8Unorm; 2];
        let (color, _) = host.frame(formats[0], SIZE, 1.0);
        let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
        let frame = Frame::new(&color, &target, SIZE, &ONE);
        let mut stylizer = Stylizer::new(&host.device, &host.queue, small(), &Options::new(SIZE, formats)).unwrap();
        if !before {
            stylizer.wait().unwrap();
            host.paint(&mut stylizer, &frame).unwrap();
        }
        host.device.destroy();
        if before {
            let made = stylizer.wait();
            println!("while it is made: {made:?}");
        }
        let mut encoder = host.device.create_command_encoder(&Default::default());
        for _ in 0..2 {
            let error = stylizer.encode(&mut encoder, &frame).unwrap_err();
            println!("{error}");
            assert!(matches!(error, Error::DeviceLost(_)) || before && error.to_string().contains("lost"), "{error:?}");
        }
        // What the host's own commands on a lost device report is the host's.
        host.errors.lock().unwrap().clear();
    }
}

/// A stylizer may be dropped while its frame is encoded, submitted or being compiled.
#[test]
fn a_stylizer_can_be_dropped_at_any_time() {
    let host = Host::new();
    let formats = [Format::Rgba8Unorm; 2];
    let (color, _) = host.frame(formats[0], SIZE, 1.0);
    let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
    let frame = Frame::new(&color, &target, SIZE, &ONE);
    let mut first = host.stylizer(small(), &Options::new(SIZE, formats));
    host.paint(&mut first, &frame).unwrap();
    let wanted = host.read(&target);
    let mut results = Vec::new();
    for early in [true, false] {
        host.write(&target, &[0; 64 * 64 * 4]);
        let mut stylizer = first.another(small(), first.options()).unwrap();
        stylizer.wait().unwrap();
        let mut encoder = host.device.create_command_encoder(&Default::default());
        stylizer.encode(&mut encoder, &frame).unwrap();
        let late = if early { None } else { Some(stylizer) };
        host.queue.submit([encoder.finish()]);
        drop(late);
        results.push(host.read(&target));
    }
    assert!(results.iter().all(|result| *result == wanted));
    drop(first.another(small(), first.options()).unwrap());
    drop(first);
    host.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
}

/// Options and frames that do not fit are refused by the name of what is wrong.
#[test]
fn what_does_not_fit_is_refused_by_its_name() {
    let host = Host::new();
    let formats = [Format::Rgba8Unorm; 2];
    let options = Options::new(SIZE, formats);
    let make = |options: Options| match Stylizer::new(&host.device, &host.queue, small(), &options) {
        Ok(mut stylizer) => stylizer.wait().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    for (options, words) in [
        (Options { scale: 0.0, ..options.clone() }, "scale must be above 0"),
        (Options { scale: f32::NAN, ..options.clone() }, "scale must be above 0"),
        (Options { max_size: [0, 9], ..options.clone() }, "max_size must be at least 1x1"),
        (Options { color: Format::R8Unorm, ..options.clone() }, "color must be one of Rgba8Unorm"),
        (Options { output: Format::Depth32Float, ..options.clone() }, "output must be one of"),
        (Options { regions: 2, ..options.clone() }, "regions must be 1"),
        (Options { precision: impasto::gpu::Precision::F16, ..options.clone() }, "precision must be f32"),
        (Options { max_size: [64, 3], ..options.clone() }, "at least 5 px"),
    ] {
        let message = make(options);
        assert!(message.contains(words), "{message}");
    }
    let mut stylizer = host.stylizer(small(), &options);
    let color = host.texture(formats[0], SIZE, Usage::TEXTURE_BINDING);
    let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
    let other = host.texture(Format::Rgba16Float, SIZE, Usage::TEXTURE_BINDING | Usage::STORAGE_BINDING);
    let less = host.texture(formats[0], [32, 64], Usage::TEXTURE_BINDING);
    let frame = Frame::new(&color, &target, SIZE, &ONE);
    let [none, negative] = [[0.0], [-1.0]];
    let blends = |weights, alpha| [Blend { weights, alpha }];
    let wrong = [blends(&none, 1.0), blends(&negative, 1.0), blends(&[1.0, 1.0], 1.0), blends(&[1.0], 1.5)];
    for (frame, words) in [
        (Frame { size: [65, 64], ..frame }, "size must be 1x1 to 64x64, got 65x64"),
        (Frame { size: [0, 64], ..frame }, "size must be 1x1"),
        (Frame { exposure: 0.0, ..frame }, "exposure must be above 0"),
        (Frame { styles: &[], ..frame }, "styles must be 1"),
        (Frame { styles: &wrong[0], ..frame }, "weights must be 1 numbers"),
        (Frame { styles: &wrong[1], ..frame }, "weights must be 1 numbers"),
        (Frame { styles: &wrong[2], ..frame }, "weights must be 1 numbers"),
        (Frame { styles: &wrong[3], ..frame }, "alpha must be 0 to 1"),
        (Frame { mask: Some(&color), ..frame }, "mask must be none"),
        (Frame { color: &target, ..frame }, "color must be a texture with the usage TextureUsages(TEXTURE_BINDING)"),
        (Frame { output: &color, ..frame }, "output must be a texture with the usage"),
        (Frame { color: &less, ..frame }, "color must be at least 64x64, the frame's size, got 32x64"),
        (Frame { color: &other, ..frame }, "color must be of the format Rgba8Unorm, got Rgba16Float"),
        (Frame { output: &other, ..frame }, "output must be of the format Rgba8Unorm"),
    ] {
        let message = host.paint(&mut stylizer, &frame).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    host.paint(&mut stylizer, &frame).unwrap();
    let masked = Options { mask: Some(MaskKind::Ids), ..options };
    let mut stylizer = stylizer.another(small(), &masked).unwrap();
    stylizer.wait().unwrap();
    let message = host.paint(&mut stylizer, &Frame { mask: Some(&color), ..frame }).unwrap_err().to_string();
    assert!(message.contains("mask must be of a format with unsigned integer values, got Rgba8Unorm"), "{message}");
}
