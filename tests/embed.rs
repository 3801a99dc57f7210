//! The pass inside a host's frame against the painters of the library, on a device such as a host opens: without
//! features, with WebGPU's default limits. Every uncaptured error of wgpu fails the test.

use std::sync::{Arc, Mutex};

use half::f16;
use impasto::embed::{Blend, Frame, MaskKind, Net, Options, Stylizer};
use impasto::gpu::{Context, ContextOptions};
use impasto::io::Picture;
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::adain_painter::{AdainStyle, Region};
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights, Painter};
use impasto::nets::vgg19::Vgg19Weights;
use impasto::nets::{AdainDecoder, AdainPainter, ImageTransformNet, Place, Vgg19};
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;
use wgpu::TextureFormat as Format;
use wgpu::TextureUsages as Usage;

/// What a host has already.
struct Host {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// Errors that no scope caught.
    errors: Arc<Mutex<Vec<String>>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(*self.errors.lock().unwrap(), Vec::<String>::new());
        }
    }
}

/// A texel as shown: sRGB and alpha, 0..1.
type Texel = [f32; 4];

fn to_linear(value: f32) -> f32 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn to_srgb(value: f32) -> f32 {
    if value <= 0.0031308 { 12.92 * value } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }
}

fn levels(value: f32, most: f32) -> u32 {
    (value.clamp(0.0, 1.0) * most).round() as u32
}

/// The bytes of a texel.
fn packed(format: Format, texel: Texel, exposure: f32) -> Vec<u8> {
    let [r, g, b, a] = texel;
    match format {
        Format::Rgba8Unorm | Format::Rgba8UnormSrgb => texel.map(|value| levels(value, 255.0) as u8).to_vec(),
        Format::Bgra8Unorm | Format::Bgra8UnormSrgb => [b, g, r, a].map(|value| levels(value, 255.0) as u8).to_vec(),
        Format::Rgb10a2Unorm => {
            let [r, g, b] = [r, g, b].map(|value| levels(value, 1023.0));
            (r | g << 10 | b << 20 | levels(a, 3.0) << 30).to_le_bytes().to_vec()
        }
        Format::Rgba16Float => {
            let linear = [to_linear(r) / exposure, to_linear(g) / exposure, to_linear(b) / exposure, a];
            linear.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// The texel of those bytes.
fn unpacked(format: Format, bytes: &[u8], exposure: f32) -> Texel {
    let eight = || [0, 1, 2, 3].map(|channel| f32::from(bytes[channel]) / 255.0);
    match format {
        Format::Rgba8Unorm | Format::Rgba8UnormSrgb => eight(),
        Format::Bgra8Unorm | Format::Bgra8UnormSrgb => {
            let [b, g, r, a] = eight();
            [r, g, b, a]
        }
        Format::Rgb10a2Unorm => {
            let word = u32::from_le_bytes(bytes.try_into().unwrap());
            let part = |at: u32, most: u32| (word >> at & most) as f32 / most as f32;
            [part(0, 1023), part(10, 1023), part(20, 1023), part(30, 3)]
        }
        Format::Rgba16Float => {
            let [r, g, b, a] = [0, 2, 4, 6].map(|at| f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32());
            [to_srgb(r * exposure), to_srgb(g * exposure), to_srgb(b * exposure), a]
        }
        other => panic!("{other:?}"),
    }
}

fn bytes_of(format: Format) -> u32 {
    format.block_copy_size(None).unwrap()
}

/// The rounding of a format, in sRGB values of 0..1, and what f32 arithmetic adds.
fn rounding(format: Format) -> f32 {
    let half = match format {
        Format::Rgb10a2Unorm => 0.5 / 1023.0,
        // 11 significant bits of a linear value; the sRGB curve has a slope of 12.92 at most.
        Format::Rgba16Float => 0.5 / 1024.0,
        // Devices may convert to sRGB within 0.6 of a step.
        Format::Rgba8UnormSrgb | Format::Bgra8UnormSrgb => 0.6 / 255.0,
        _ => 0.5 / 255.0,
    };
    half + 2e-4
}

impl Host {
    fn new() -> Self {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
        let (device, queue) = pollster::block_on(adapter.request_device(&Default::default())).unwrap();
        let errors: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = errors.clone();
        device.on_uncaptured_error(Arc::new(move |error| seen.lock().unwrap().push(error.to_string())));
        Host { device, queue, errors }
    }

    /// A context on the same device, for the library's painters.
    fn context(&self) -> Context {
        Context::from_host(self.device.clone(), self.queue.clone(), &ContextOptions::default()).unwrap()
    }

    fn texture(&self, format: Format, [width, height]: [u32; 2], usage: Usage) -> wgpu::TextureView {
        let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
        let descriptor = wgpu::TextureDescriptor {
            label: None,
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: usage | Usage::COPY_SRC | Usage::COPY_DST,
            view_formats: &[],
        };
        self.device.create_texture(&descriptor).create_view(&Default::default())
    }

    fn write(&self, view: &wgpu::TextureView, bytes: &[u8]) {
        let texture = view.texture();
        let bytes_per_row = Some(texture.width() * bytes_of(texture.format()));
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image: None };
        self.queue.write_texture(texture.as_image_copy(), bytes, layout, texture.size());
    }

    /// A texture with a frame, and the texels that it stores.
    fn frame(&self, format: Format, size: [u32; 2], exposure: f32) -> (wgpu::TextureView, Vec<Texel>) {
        let bytes: Vec<_> = scene(size).into_iter().map(|texel| packed(format, texel, exposure)).collect();
        let stored = bytes.iter().map(|texel| unpacked(format, texel, exposure)).collect();
        let view = self.texture(format, size, Usage::TEXTURE_BINDING);
        self.write(&view, &bytes.concat());
        (view, stored)
    }

    /// The bytes of a texture.
    fn read(&self, view: &wgpu::TextureView) -> Vec<Vec<u8>> {
        let texture = view.texture();
        let texel = bytes_of(texture.format());
        let row = (texture.width() * texel).next_multiple_of(256);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: u64::from(row * texture.height()),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
        let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
        self.queue.submit([encoder.finish()]);
        buffer.slice(..).map_async(wgpu::MapMode::Read, |mapped| mapped.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let bytes = buffer.slice(..).get_mapped_range().unwrap().to_vec();
        let used = (texture.width() * texel) as usize;
        let rows = bytes.chunks(row as usize).flat_map(|row| row[..used].chunks(texel as usize));
        rows.map(<[u8]>::to_vec).collect()
    }

    /// Encodes and submits a frame.
    fn paint(&self, stylizer: &mut Stylizer, frame: &Frame) -> impasto::Result<()> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        stylizer.encode(&mut encoder, frame)?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// A stylizer that is ready.
    fn stylizer(&self, net: Net, options: &Options) -> Stylizer {
        let mut stylizer = Stylizer::new(&self.device, &self.queue, net, options).unwrap();
        stylizer.wait().unwrap();
        stylizer
    }
}

/// A picture with edges, gradients and all levels of alpha.
fn scene([width, height]: [u32; 2]) -> Vec<Texel> {
    let texel = |x: u32, y: u32| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let checker = if (x / 8 + y / 8) % 2 == 0 { 0.9 } else { 0.15 };
        [u, 0.5 * (v + checker), checker * (1.0 - u), (x % 4) as f32 / 3.0]
    };
    (0..height).flat_map(|y| (0..width).map(move |x| texel(x, y))).collect()
}

/// The picture of texels, opaque.
fn picture(texels: &[Texel], [width, height]: [u32; 2]) -> Picture {
    let plane = |channel: usize| texels.iter().map(move |texel| texel[channel]);
    let rgb = (0..3).flat_map(plane).collect();
    Picture::from_rgb(width as usize, height as usize, rgb).unwrap()
}

/// Largest difference of the colours.
fn difference(texels: &[Texel], wanted: &Picture) -> f32 {
    let count = texels.len();
    let of = |(index, texel): (usize, &Texel)| {
        (0..3).map(|c| (texel[c] - wanted.rgb[c * count + index]).abs()).fold(0.0, f32::max)
    };
    texels.iter().enumerate().map(of).fold(0.0, f32::max)
}

/// Fails unless the picture has some variety, without which a comparison proves little.
fn assert_varied(picture: &Picture) {
    let mean = picture.rgb.iter().sum::<f32>() / picture.rgb.len() as f32;
    let deviation = picture.rgb.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / picture.rgb.len() as f32;
    assert!(deviation.sqrt() > 0.05, "mean {mean}, variance {deviation}");
}

/// A small net whose pictures have contrast.
fn small_net() -> ImageTransformNetWeights {
    let mut net = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.125, 3);
    let last = net.tensors.iter_mut().filter(|(name, _)| name == "deconv3.conv2d.weight");
    last.for_each(|(_, tensor)| tensor.data.iter_mut().for_each(|value| *value *= 8.0));
    net
}

const SIZE: [u32; 2] = [64, 64];

/// Each of the formats in and out, with a storage texture where there is one and as a target; all within the rounding of
/// the output's format. Alpha is that of the frame.
#[test]
fn every_pair_of_formats_is_painted_as_the_library_paints() {
    let host = Host::new();
    let formats =
        [Format::Rgba8Unorm, Format::Rgba8UnormSrgb, Format::Bgra8Unorm, Format::Rgba16Float, Format::Rgb10a2Unorm];
    let mut painter = Painter::new(ImageTransformNet::new(&host.context(), small_net()).unwrap());
    let exposure = 0.4;
    let net = || Net::feed_forward(small_net()).unwrap();
    let first = host.stylizer(net(), &Options::new(SIZE, [formats[0]; 2]));
    for input in formats {
        let (color, stored) = host.frame(input, SIZE, exposure);
        let wanted = painter.paint(&picture(&stored, SIZE)).unwrap();
        assert_varied(&wanted);
        for output in formats {
            let options = Options::new(SIZE, [input, output]);
            let mut stylizer = first.another(net(), &options).unwrap();
            stylizer.wait().unwrap();
            let storable = [Format::Rgba8Unorm, Format::Rgba16Float].contains(&output);
            let usages = [Usage::RENDER_ATTACHMENT, Usage::STORAGE_BINDING];
            for usage in &usages[..1 + usize::from(storable)] {
                let target = host.texture(output, SIZE, *usage);
                let styles = [Blend { weights: &[1.0], alpha: 1.0 }];
                let frame = Frame { exposure, ..Frame::new(&color, &target, SIZE, &styles) };
                host.paint(&mut stylizer, &frame).unwrap();
                let painted: Vec<_> =
                    host.read(&target).iter().map(|texel| unpacked(output, texel, exposure)).collect();
                let most = difference(&painted, &wanted);
                println!("{input:?} to {output:?} by {usage:?}: {most}");
                assert!(most < rounding(output), "{input:?} to {output:?} by {usage:?}: {most}");
                for (painted, stored) in painted.iter().zip(&stored) {
                    assert!((painted[3] - stored[3]).abs() < 0.17, "{painted:?} {stored:?}");
                }
            }
        }
    }
}

/// A small pair of encoder and decoder, and two styles measured with it.
struct Pair {
    encoder: Vgg19Weights,
    decoder: AdainDecoderWeights,
    styles: Vec<AdainStyle>,
}

impl Pair {
    fn new(context: &Context) -> Self {
        let encoder = Vgg19Weights::random(0.125, 1);
        let mut decoder = AdainDecoderWeights::random(&encoder, 2).unwrap();
        let last = decoder.convolutions.last_mut().unwrap();
        last[0].data.iter_mut().for_each(|value| *value *= 8.0);
        let net = Vgg19::new(context, &encoder, Pooling::Max).unwrap();
        let measure = |size| AdainStyle::measure(&net, &picture(&scene(size), size)).unwrap();
        Pair { encoder, decoder, styles: vec![measure([32, 32]), measure([80, 32])] }
    }

    fn net(&self) -> Net {
        Net::adain(self.encoder.clone(), self.decoder.clone(), self.styles.clone()).unwrap()
    }
}

/// Blends of styles, their strength and masks of both kinds give what `AdainPainter` gives; what no region covers is the
/// frame's own.
#[test]
fn blends_and_masks_are_those_of_the_library() {
    let host = Host::new();
    let context = host.context();
    let pair = Pair::new(&context);
    let encoder = Vgg19::new(&context, &pair.encoder, Pooling::Max).unwrap();
    let decoder = AdainDecoder::new(&context, pair.decoder.clone()).unwrap();
    let mut painter = AdainPainter::new(&encoder, decoder).unwrap();
    let formats = [Format::Rgba8Unorm; 2];
    let (color, stored) = host.frame(formats[0], SIZE, 1.0);
    let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
    let photo = picture(&stored, SIZE);
    let read = || host.read(&target).iter().map(|texel| unpacked(formats[1], texel, 1.0)).collect::<Vec<_>>();

    let mut stylizer = host.stylizer(pair.net(), &Options::new(SIZE, formats));
    let mut results = Vec::new();
    for (weights, alpha) in [([1.0, 0.0], 1.0), ([0.0, 2.0], 1.0), ([0.5, 1.5], 0.7)] {
        host.paint(&mut stylizer, &Frame::new(&color, &target, SIZE, &[Blend { weights: &weights, alpha }])).unwrap();
        let mixed: Vec<_> = pair.styles.iter().cloned().zip(weights).collect();
        let region = Region { strength: alpha, ..AdainStyle::mix(&mixed).unwrap().into() };
        let wanted = painter.paint(&photo, &[region]).unwrap();
        assert_varied(&wanted);
        results.push(read());
        let most = difference(results.last().unwrap(), &wanted);
        assert!(most < rounding(formats[1]), "{weights:?}, {alpha}: {most}");
    }
    assert!(difference(&results[0], &picture(&results[1], SIZE)) > 0.1, "the styles differ");

    // Columns of features: the first style, both, the second, neither. A texel has the weights of its feature.
    let columns: [[f32; 2]; 8] = [[1., 0.], [1., 0.], [0.5, 0.5], [0.5, 0.5], [0., 1.], [0., 1.], [0., 0.], [0., 0.]];
    let masks = [0, 1].map(|style| {
        let rows = (0..8).flat_map(|_| columns.map(|weights| weights[style]));
        Place::Mask(Picture::from_rgb(8, 8, rows.collect::<Vec<_>>().repeat(3)).unwrap())
    });
    let strengths = [1.0, 0.6];
    let region = |style: usize, place| Region { style: pair.styles[style].clone(), place, strength: strengths[style] };
    let [first, second] = masks;
    let wanted = painter.paint(&photo, &[region(0, first), region(1, second)]).unwrap();
    let blends =
        [Blend { weights: &[1.0, 0.0], alpha: strengths[0] }, Blend { weights: &[0.0, 1.0], alpha: strengths[1] }];
    let weights = host.texture(Format::Rgba8Unorm, SIZE, Usage::TEXTURE_BINDING);
    let bytes = |texel: usize| columns[texel % 64 / 8].map(|weight| levels(weight, 255.0) as u8);
    // Blue and alpha belong to no region.
    host.write(
        &weights,
        &(0..64 * 64).flat_map(|texel| [bytes(texel)[0], bytes(texel)[1], 255, 255]).collect::<Vec<_>>(),
    );
    let options = Options { mask: Some(MaskKind::Weights), regions: 2, ..Options::new(SIZE, formats) };
    let mut stylizer = host.stylizer(pair.net(), &options);
    let frame = Frame { mask: Some(&weights), ..Frame::new(&color, &target, SIZE, &blends) };
    host.paint(&mut stylizer, &frame).unwrap();
    let painted = read();
    for (index, texel) in painted.iter().enumerate() {
        for channel in 0..3 {
            let value = match index % 64 / 8 {
                6.. => stored[index][channel],
                _ => wanted.rgb[channel * 64 * 64 + index],
            };
            // Half of a weight is 128 of 255.
            let most = rounding(formats[1]) + 3e-3;
            assert!((texel[channel] - value).abs() < most, "{index}: {texel:?}, {value}");
        }
    }

    // The same by numbers, of which 0 and 1 are regions and 7 is not, without the columns of both.
    let ids = host.texture(Format::R8Uint, SIZE, Usage::TEXTURE_BINDING);
    let id = |texel: usize| [0, 0, 0, 0, 1, 1, 7, 7][texel % 64 / 8];
    host.write(&ids, &(0..64 * 64).map(id).collect::<Vec<u8>>());
    let columns = [[1., 0.], [1., 0.], [1., 0.], [1., 0.], [0., 1.], [0., 1.], [0., 0.], [0.0f32, 0.]];
    let masks = [0, 1].map(|style| {
        let rows = (0..8).flat_map(|_| columns.map(|weights| weights[style]));
        Place::Mask(Picture::from_rgb(8, 8, rows.collect::<Vec<_>>().repeat(3)).unwrap())
    });
    let [first, second] = masks;
    let wanted = painter.paint(&photo, &[region(0, first), region(1, second)]).unwrap();
    let mut stylizer = host.stylizer(pair.net(), &Options { mask: Some(MaskKind::Ids), ..options });
    host.paint(&mut stylizer, &Frame { mask: Some(&ids), ..frame }).unwrap();
    for (index, texel) in read().iter().enumerate() {
        for channel in 0..3 {
            let value = match index % 64 / 8 {
                6.. => stored[index][channel],
                _ => wanted.rgb[channel * 64 * 64 + index],
            };
            assert!((texel[channel] - value).abs() < rounding(formats[1]), "{index}: {texel:?}, {value}");
        }
    }
}
