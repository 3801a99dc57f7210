//! The pass inside a host's frame against the painters of the library, on a device such as a host opens: without
//! features, with WebGPU's default limits. Every uncaptured error of wgpu fails the test.

#[path = "embed/steady.rs"]
mod steady;

use std::sync::{Arc, Mutex};

use half::f16;
use impasto::Error;
use impasto::embed::{Blend, Frame, MaskKind, Net, Options, Stylizer};
use impasto::gpu::{Context, ContextOptions};
use impasto::internal::objects_made;
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
        // Mesa's software driver rounds down when it draws to this format.
        Format::Rgb10a2Unorm => 1.0 / 1023.0,
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
        Host::with(&adapter, wgpu::Features::empty())
    }

    fn with(adapter: &wgpu::Adapter, required_features: wgpu::Features) -> Self {
        let descriptor = wgpu::DeviceDescriptor { required_features, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
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
        let checker = if (x / 8 + y / 8).is_multiple_of(2) { 0.9 } else { 0.15 };
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

/// The whole of a style.
const ONE: [Blend<'static>; 1] = [Blend { weights: &[1.0], alpha: 1.0 }];

fn small() -> Net {
    Net::feed_forward(small_net()).unwrap()
}

/// The weights of the texels of one side of `from` in a pixel of the same side of `to`.
fn shares(from: usize, to: usize, at: usize) -> Vec<f64> {
    let ratio = from as f64 / to as f64;
    let [low, high] = [at as f64 * ratio, (at + 1) as f64 * ratio];
    (0..from).map(|texel| (high.min(texel as f64 + 1.0) - low.max(texel as f64)).max(0.0) / ratio).collect()
}

/// The mean of texels over the area of each pixel of `to` `[width, height]`.
fn reduced(texels: &[Texel], from: [u32; 2], to: [u32; 2]) -> Picture {
    let [from, to] = [from, to].map(|size| size.map(|side| side as usize));
    let mut rgb = Vec::new();
    for channel in 0..3 {
        for y in 0..to[1] {
            let rows = shares(from[1], to[1], y);
            for x in 0..to[0] {
                let columns = shares(from[0], to[0], x);
                let of = |row: usize, column: usize| f64::from(texels[row * from[0] + column][channel]);
                let row = |row: usize| (0..from[0]).map(|column| columns[column] * of(row, column)).sum::<f64>();
                rgb.push(
                    (0..from[1]).map(|at| if rows[at] > 0.0 { rows[at] * row(at) } else { 0.0 }).sum::<f64>() as f32
                );
            }
        }
    }
    Picture::from_rgb(to[0], to[1], rgb).unwrap()
}

/// Joint bilateral enlargement of `painted`, whose guide is `photo`, to texels of `size` `[width, height]`: the formula
/// of shaders/texture.wgsl.
fn enlarged(painted: &Picture, photo: &Picture, texels: &[Texel], size: [u32; 2]) -> Picture {
    let (width, height) = (painted.width, painted.height);
    let pixel = |of: &Picture, at: usize| [0, 1, 2].map(|channel| f64::from(of.rgb[channel * width * height + at]));
    let mut planes = vec![Vec::new(); 3];
    for (index, texel) in texels.iter().enumerate() {
        let at = [index % size[0] as usize, index / size[0] as usize];
        let centre =
            [0, 1].map(|axis| (at[axis] as f64 + 0.5) * [width, height][axis] as f64 / f64::from(size[axis]) - 0.5);
        let (mut sums, mut total) = ([0.0; 3], 0.0);
        for dy in -1..3 {
            for dx in -1..3 {
                let place = [centre[0].floor() + f64::from(dx), centre[1].floor() + f64::from(dy)];
                let inside = |value: f64, side: usize| value.clamp(0.0, side as f64 - 1.0) as usize;
                let q = inside(place[1], height) * width + inside(place[0], width);
                let guide = pixel(photo, q);
                let apart: f64 = (0..3).map(|channel| (f64::from(texel[channel]) - guide[channel]).powi(2)).sum();
                let away = (place[0] - centre[0]).powi(2) + (place[1] - centre[1]).powi(2);
                let weight = (-away).exp() * (-apart / 0.02).exp().max(1e-3);
                let values = pixel(painted, q);
                (0..3).for_each(|channel| sums[channel] += weight * values[channel]);
                total += weight;
            }
        }
        (0..3).for_each(|channel| planes[channel].push((sums[channel] / total) as f32));
    }
    Picture::from_rgb(size[0] as usize, size[1] as usize, planes.concat()).unwrap()
}

/// A painting at a lower size, and frames smaller than the largest one, agree with f64 formulas around the library's
/// painter. The rest of the output is left as it is.
#[test]
fn a_smaller_painting_is_enlarged_along_the_edges_of_the_frame() {
    let host = Host::new();
    let formats = [Format::Rgba8Unorm; 2];
    let mut painter = Painter::new(ImageTransformNet::new(&host.context(), small_net()).unwrap());
    let most = [96, 64];
    let options = Options { scale: 0.5, ..Options::new(most, formats) };
    let mut stylizer = host.stylizer(small(), &options);
    for size in [most, [70, 51], [31, 24]] {
        let (color, stored) = host.frame(formats[0], size, 1.0);
        let photo = reduced(&stored, size, [48, 32]);
        let wanted = enlarged(&painter.paint(&photo).unwrap(), &photo, &stored, size);
        assert_varied(&wanted);
        let target = host.texture(formats[1], most, Usage::STORAGE_BINDING);
        host.write(&target, &[7; 96 * 64 * 4]);
        host.paint(&mut stylizer, &Frame::new(&color, &target, size, &ONE)).unwrap();
        let all = host.read(&target);
        let is_inside = |index: &usize| index % 96 < size[0] as usize && index / 96 < size[1] as usize;
        let (inside, outside): (Vec<_>, Vec<_>) = (0..all.len()).partition(is_inside);
        let painted: Vec<_> = inside.iter().map(|index| unpacked(formats[1], &all[*index], 1.0)).collect();
        let apart = difference(&painted, &wanted);
        assert!(apart < rounding(formats[1]) + 5e-4, "{size:?}: {apart}");
        assert!(outside.iter().all(|index| all[*index] == [7; 4]), "{size:?}");
    }
}

/// Feed-forward nets mix colours by their strength, in the regions of the mask, and a body paints each region in its own
/// style.
#[test]
fn a_feed_forward_net_mixes_colours_in_its_regions() {
    let host = Host::new();
    let formats = [Format::Rgba8Unorm; 2];
    let (color, stored) = host.frame(formats[0], SIZE, 1.0);
    let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
    let names = ["a".to_string(), "b".to_string()];
    let mut body = small_net().with_styles(&names).unwrap();
    // The second row of each table is another style.
    let scales = body.tensors.iter_mut().filter(|(_, tensor)| tensor.shape.len() == 2 && tensor.shape[0] == 2);
    scales.for_each(|(_, tensor)| {
        let half = tensor.data.len() / 2;
        tensor.data[half..].iter_mut().enumerate().for_each(|(index, value)| *value = 0.3 + (index % 5) as f32 / 4.0);
    });
    let context = host.context();
    let paint = |weights: &[f32]| {
        let net = ImageTransformNet::new(&context, body.blend(weights).unwrap()).unwrap();
        Painter::new(net).paint(&picture(&stored, SIZE)).unwrap()
    };
    let options = Options { mask: Some(MaskKind::Ids), ..Options::new(SIZE, formats) };
    let mut stylizer = host.stylizer(Net::feed_forward(body.clone()).unwrap(), &options);
    let ids = host.texture(Format::R8Uint, SIZE, Usage::TEXTURE_BINDING);
    host.write(&ids, &(0..64 * 64).map(|texel| u8::from(texel % 64 >= 40)).collect::<Vec<_>>());
    let mut results = Vec::new();
    for (weights, alpha) in [([0.0, 3.0], 1.0), ([1.0, 0.0], 1.0), ([0.25, 0.75], 0.4)] {
        let blend = [Blend { weights: &weights, alpha }];
        let frame = Frame { mask: Some(&ids), ..Frame::new(&color, &target, SIZE, &blend) };
        host.paint(&mut stylizer, &frame).unwrap();
        let mut wanted = paint(&weights);
        assert_varied(&wanted);
        for (index, value) in wanted.rgb.iter_mut().enumerate() {
            let own = stored[index % (64 * 64)][index / (64 * 64)];
            *value = if index % 64 >= 40 { own } else { own + alpha * (*value - own) };
        }
        let painted: Vec<_> = host.read(&target).iter().map(|texel| unpacked(formats[1], texel, 1.0)).collect();
        let apart = difference(&painted, &wanted);
        assert!(apart < rounding(formats[1]), "{weights:?}, {alpha}: {apart}");
        results.push(wanted);
    }
    let apart = results[0].rgb.iter().zip(&results[1].rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart > 0.05, "the styles differ: {apart}");

    // Regions with a style each, by soft weights.
    let options = Options { mask: Some(MaskKind::Weights), regions: 2, ..Options::new(SIZE, formats) };
    let mut stylizer = stylizer.another(Net::feed_forward(body.clone()).unwrap(), &options).unwrap();
    stylizer.wait().unwrap();
    let weights = host.texture(Format::Rgba8Unorm, SIZE, Usage::TEXTURE_BINDING);
    let columns = [[1.0, 0.0], [0.2, 0.4], [0.0, 1.0], [0.6, 0.6]];
    let bytes = |texel: usize| columns[texel % 64 / 16].map(|weight| levels(weight, 255.0) as u8);
    let texels = (0..64 * 64).flat_map(|texel| [bytes(texel)[0], bytes(texel)[1], 90, 255]);
    host.write(&weights, &texels.collect::<Vec<_>>());
    let blends = [Blend { weights: &[0.0, 3.0], alpha: 1.0 }, Blend { weights: &[1.0, 0.0], alpha: 0.5 }];
    let frame = Frame { mask: Some(&weights), ..Frame::new(&color, &target, SIZE, &blends) };
    host.paint(&mut stylizer, &frame).unwrap();
    let [first, second] = [paint(&[0.0, 3.0]), paint(&[1.0, 0.0])];
    let mut wanted = first.clone();
    for (index, value) in wanted.rgb.iter_mut().enumerate() {
        let own = stored[index % (64 * 64)][index / (64 * 64)];
        let [a, b] = columns[index % 64 / 16];
        let shares = [a / f32::max(1.0, a + b), 0.5 * b / f32::max(1.0, a + b)];
        *value = (1.0 - shares[0] - shares[1]) * own + shares[0] * first.rgb[index] + shares[1] * second.rgb[index];
    }
    let painted: Vec<_> = host.read(&target).iter().map(|texel| unpacked(formats[1], texel, 1.0)).collect();
    let apart = difference(&painted, &wanted);
    assert!(apart < rounding(formats[1]), "{apart}");
}

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
        assert_eq!(stylizer.flops().unwrap() as f64 * 1e-9, needs.gflop);
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

/// A texel that is not a number is black to the net, and an infinite one white. The rest of the painting has no harm.
#[test]
fn a_texel_that_is_not_a_number_spoils_nothing() {
    let host = Host::new();
    let formats = [Format::Rgba16Float, Format::Rgba8Unorm];
    let (_, mut stored) = host.frame(formats[0], SIZE, 1.0);
    let mut bytes: Vec<_> = stored.iter().map(|texel| packed(formats[0], *texel, 1.0)).collect();
    for (at, value, shown) in [(700, f16::NAN, 0.0), (900, f16::INFINITY, 1.0), (901, f16::NEG_INFINITY, 0.0)] {
        bytes[at] = [value, value, value, f16::ONE].iter().flat_map(|half| half.to_le_bytes()).collect();
        stored[at] = [shown, shown, shown, 1.0];
    }
    let color = host.texture(formats[0], SIZE, Usage::TEXTURE_BINDING);
    host.write(&color, &bytes.concat());
    let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
    let mut stylizer = host.stylizer(small(), &Options::new(SIZE, formats));
    host.paint(&mut stylizer, &Frame::new(&color, &target, SIZE, &ONE)).unwrap();
    let mut painter = Painter::new(ImageTransformNet::new(&host.context(), small_net()).unwrap());
    let wanted = painter.paint(&picture(&stored, SIZE)).unwrap();
    let painted: Vec<_> = host.read(&target).iter().map(|texel| unpacked(formats[1], texel, 1.0)).collect();
    let apart = difference(&painted, &wanted);
    assert!(apart < rounding(formats[1]), "{apart}");
}

/// Weights and activations as f16, on a device with that feature, as the library's painter has them.
#[test]
fn f16_is_that_of_the_library() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let formats = [Format::Rgba8Unorm; 2];
    let options = Options { precision: impasto::gpu::Precision::F16, ..Options::new(SIZE, formats) };
    let needs = match Stylizer::requirements(&adapter, &small(), &options) {
        Ok(needs) => needs,
        Err(error) => {
            assert!(error.to_string().contains("SHADER_F16"), "{error}");
            return println!("skipped: {error}");
        }
    };
    let single = Stylizer::requirements(&adapter, &small(), &Options::new(SIZE, formats)).unwrap();
    assert!(needs.features == wgpu::Features::SHADER_F16 && needs.bytes < single.bytes, "{needs:?}, {single:?}");
    let host = Host::with(&adapter, needs.features);
    let (color, stored) = host.frame(formats[0], SIZE, 1.0);
    let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
    let mut stylizer = host.stylizer(small(), &options);
    assert_eq!(stylizer.bytes().unwrap(), needs.bytes);
    host.paint(&mut stylizer, &Frame::new(&color, &target, SIZE, &ONE)).unwrap();
    let mut painter = Painter::new(ImageTransformNet::new(stylizer.context(), small_net()).unwrap());
    let wanted = painter.paint(&picture(&stored, SIZE)).unwrap();
    let painted: Vec<_> = host.read(&target).iter().map(|texel| unpacked(formats[1], texel, 1.0)).collect();
    let apart = difference(&painted, &wanted);
    assert!(apart < rounding(formats[1]), "{apart}");
}
