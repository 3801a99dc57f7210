//! A host with its textures, small nets, and what their pictures are compared by.

use std::sync::{Arc, Mutex};

use half::f16;
use impasto::embed::{Blend, Frame, Net, Options, Stylizer};
use impasto::gpu::{Context, ContextOptions};
use impasto::io::Picture;
use impasto::nets::Vgg19;
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::adain_painter::AdainStyle;
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::nets::vgg19::Vgg19Weights;
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;
use wgpu::TextureFormat as Format;
use wgpu::TextureUsages as Usage;

/// What a host has already.
pub struct Host {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// Errors that no scope caught.
    pub errors: Arc<Mutex<Vec<String>>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(*self.errors.lock().unwrap(), Vec::<String>::new());
        }
    }
}

/// A texel as shown: sRGB and alpha, 0..1.
pub type Texel = [f32; 4];

pub fn to_linear(value: f32) -> f32 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

pub fn to_srgb(value: f32) -> f32 {
    if value <= 0.0031308 { 12.92 * value } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }
}

pub fn levels(value: f32, most: f32) -> u32 {
    (value.clamp(0.0, 1.0) * most).round() as u32
}

/// The bytes of a texel.
pub fn packed(format: Format, texel: Texel, exposure: f32) -> Vec<u8> {
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
pub fn unpacked(format: Format, bytes: &[u8], exposure: f32) -> Texel {
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

pub fn bytes_of(format: Format) -> u32 {
    format.block_copy_size(None).unwrap()
}

/// The rounding of a format, in sRGB values of 0..1, and what f32 arithmetic adds.
pub fn rounding(format: Format) -> f32 {
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
    pub fn new() -> Self {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
        Host::with(&adapter, wgpu::Features::empty())
    }

    pub fn with(adapter: &wgpu::Adapter, required_features: wgpu::Features) -> Self {
        let descriptor = wgpu::DeviceDescriptor { required_features, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        let errors: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = errors.clone();
        device.on_uncaptured_error(Arc::new(move |error| seen.lock().unwrap().push(error.to_string())));
        Host { device, queue, errors }
    }

    /// A context on the same device, for the library's painters.
    pub fn context(&self) -> Context {
        Context::from_host(self.device.clone(), self.queue.clone(), &ContextOptions::default()).unwrap()
    }

    pub fn texture(&self, format: Format, [width, height]: [u32; 2], usage: Usage) -> wgpu::TextureView {
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

    pub fn write(&self, view: &wgpu::TextureView, bytes: &[u8]) {
        let texture = view.texture();
        let bytes_per_row = Some(texture.width() * bytes_of(texture.format()));
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image: None };
        self.queue.write_texture(texture.as_image_copy(), bytes, layout, texture.size());
    }

    /// A texture with a frame, and the texels that it stores.
    pub fn frame(&self, format: Format, size: [u32; 2], exposure: f32) -> (wgpu::TextureView, Vec<Texel>) {
        let bytes: Vec<_> = scene(size).into_iter().map(|texel| packed(format, texel, exposure)).collect();
        let stored = bytes.iter().map(|texel| unpacked(format, texel, exposure)).collect();
        let view = self.texture(format, size, Usage::TEXTURE_BINDING);
        self.write(&view, &bytes.concat());
        (view, stored)
    }

    /// The bytes of a texture.
    pub fn read(&self, view: &wgpu::TextureView) -> Vec<Vec<u8>> {
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
    pub fn paint(&self, stylizer: &mut Stylizer, frame: &Frame) -> impasto::Result<()> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        stylizer.encode(&mut encoder, frame)?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// A stylizer that is ready.
    pub fn stylizer(&self, net: Net, options: &Options) -> Stylizer {
        let mut stylizer = Stylizer::new(&self.device, &self.queue, net, options).unwrap();
        stylizer.wait().unwrap();
        stylizer
    }
}

/// A picture with edges, gradients and all levels of alpha.
pub fn scene([width, height]: [u32; 2]) -> Vec<Texel> {
    let texel = |x: u32, y: u32| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let checker = if (x / 8 + y / 8).is_multiple_of(2) { 0.9 } else { 0.15 };
        [u, 0.5 * (v + checker), checker * (1.0 - u), (x % 4) as f32 / 3.0]
    };
    (0..height).flat_map(|y| (0..width).map(move |x| texel(x, y))).collect()
}

/// The picture of texels, opaque.
pub fn picture(texels: &[Texel], [width, height]: [u32; 2]) -> Picture {
    let plane = |channel: usize| texels.iter().map(move |texel| texel[channel]);
    let rgb = (0..3).flat_map(plane).collect();
    Picture::from_rgb(width as usize, height as usize, rgb).unwrap()
}

/// Largest difference of the colours.
pub fn difference(texels: &[Texel], wanted: &Picture) -> f32 {
    let count = texels.len();
    let of = |(index, texel): (usize, &Texel)| {
        (0..3).map(|c| (texel[c] - wanted.rgb[c * count + index]).abs()).fold(0.0, f32::max)
    };
    texels.iter().enumerate().map(of).fold(0.0, f32::max)
}

/// Fails unless the picture has some variety, without which a comparison proves little.
pub fn assert_varied(picture: &Picture) {
    let mean = picture.rgb.iter().sum::<f32>() / picture.rgb.len() as f32;
    let deviation = picture.rgb.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / picture.rgb.len() as f32;
    assert!(deviation.sqrt() > 0.05, "mean {mean}, variance {deviation}");
}

/// A small net whose pictures have contrast.
pub fn small_net() -> ImageTransformNetWeights {
    let mut net = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.125, 3);
    let last = net.tensors.iter_mut().filter(|(name, _)| name == "deconv3.conv2d.weight");
    last.for_each(|(_, tensor)| tensor.data.iter_mut().for_each(|value| *value *= 8.0));
    net
}

pub const SIZE: [u32; 2] = [64, 64];

/// A small pair of encoder and decoder, and two styles measured with it.
pub struct Pair {
    pub encoder: Vgg19Weights,
    pub decoder: AdainDecoderWeights,
    pub styles: Vec<AdainStyle>,
}

impl Pair {
    pub fn new(context: &Context) -> Self {
        let encoder = Vgg19Weights::random(0.125, 1);
        let mut decoder = AdainDecoderWeights::random(&encoder, 2).unwrap();
        let last = decoder.convolutions.last_mut().unwrap();
        last[0].data.iter_mut().for_each(|value| *value *= 8.0);
        let net = Vgg19::new(context, &encoder, Pooling::Max).unwrap();
        let measure = |size| AdainStyle::measure(&net, &picture(&scene(size), size)).unwrap();
        Pair { encoder, decoder, styles: vec![measure([32, 32]), measure([80, 32])] }
    }

    pub fn net(&self) -> Net {
        Net::adain(self.encoder.clone(), self.decoder.clone(), self.styles.clone()).unwrap()
    }
}

/// The whole of a style.
pub const ONE: [Blend<'static>; 1] = [Blend { weights: &[1.0], alpha: 1.0 }];

pub fn small() -> Net {
    Net::feed_forward(small_net()).unwrap()
}
