//! A renderer without a window: draws an animated scene into an HDR texture, paints it in the same command encoder, and
//! saves the last frame as `headless.png`. It then paints the same frame by the library's painter and compares.
//!
//! `cargo run --release --example headless` (a net of several styles: feature `weights-impressions`)

use half::f16;
use impasto::embed::{Blend, Frame, Net, Options, Stylizer};
use impasto::gpu::{Context, ContextOptions};
use impasto::io::Picture;
use impasto::nets::ImageTransformNet;
use impasto::nets::image_transform_net::{ImageTransformNetWeights, Painter};
use impasto::{weights, wgpu};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// `[width, height]`.
const SIZE: [u32; 2] = [320, 192];
const FRAMES: u32 = 4;
const EXPOSURE: f32 = 0.6;
const HDR: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;
const SHOWN: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// The renderer that exists already.
struct Renderer {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::RenderPipeline,
    uniform: wgpu::Buffer,
    group: wgpu::BindGroup,
}

impl Renderer {
    fn new(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let module = device.create_shader_module(wgpu::include_wgsl!("scene.wgsl"));
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("scene"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("screen"),
                compilation_options: Default::default(),
                buffers: &[],
            },
            primitive: Default::default(),
            depth_stencil: None,
            multisample: Default::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("shade"),
                compilation_options: Default::default(),
                targets: &[Some(HDR.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: Some("scene"), size: 16, usage, mapped_at_creation: false };
        let uniform = device.create_buffer(&descriptor);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("scene"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() }],
        });
        Renderer { device, queue, pipeline, uniform, group }
    }

    fn texture(&self, format: wgpu::TextureFormat, usage: wgpu::TextureUsages) -> wgpu::TextureView {
        let descriptor = wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: SIZE[0], height: SIZE[1], depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: usage | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        };
        self.device.create_texture(&descriptor).create_view(&Default::default())
    }

    fn draw(&self, encoder: &mut wgpu::CommandEncoder, view: &wgpu::TextureView, seconds: f32) {
        let values = [SIZE[0] as f32, SIZE[1] as f32, seconds, 0.0];
        self.queue.write_buffer(&self.uniform, 0, bytemuck::cast_slice(&values));
        let attachment =
            wgpu::RenderPassColorAttachment { view, depth_slice: None, resolve_target: None, ops: Default::default() };
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(attachment)],
            ..Default::default()
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.draw(0..3, 0..1);
    }

    /// The bytes of each texel. The rows of `SIZE` need no padding.
    fn read(&self, view: &wgpu::TextureView) -> Outcome<Vec<u8>> {
        let texture = view.texture();
        let row = SIZE[0] * texture.format().block_copy_size(None).unwrap_or(0);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let size = u64::from(row * SIZE[1]);
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
        let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
        self.queue.submit([encoder.finish()]);
        buffer.slice(..).map_async(wgpu::MapMode::Read, |_| {});
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(buffer.slice(..).get_mapped_range()?.to_vec())
    }
}

/// The picture of four values for each pixel, without alpha.
fn picture(texels: &[f32]) -> impasto::Result<Picture> {
    let plane = |channel: usize| texels.iter().skip(channel).step_by(4).copied();
    Picture::from_rgb(SIZE[0] as usize, SIZE[1] as usize, (0..3).flat_map(plane).collect())
}

fn srgb(linear: f32) -> f32 {
    let x = (linear * EXPOSURE).clamp(0.0, 1.0);
    if x <= 0.0031308 { 12.92 * x } else { 1.055 * x.powf(1.0 / 2.4) - 0.055 }
}

fn main() -> Outcome<()> {
    let body = ImageTransformNetWeights::of(&weights::body()?)?;
    let styles = body.styles.clone();
    let net = Net::feed_forward(body.clone())?;
    let options = Options::new(SIZE, [HDR, SHOWN]);

    // Before there is a device: what it must have.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default()))?;
    let needs = Stylizer::requirements(&adapter, &net, &options)?;
    println!("{}: {} MiB, {:.1} GFLOP a frame", adapter.get_info().name, needs.bytes >> 20, needs.gflop);
    let descriptor = wgpu::DeviceDescriptor {
        // Subgroups are optional; software adapters are faster with them.
        required_features: needs.features | adapter.features() & wgpu::Features::SUBGROUP,
        required_limits: needs.limits,
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;

    let mut stylizer = Stylizer::new(&device, &queue, net, &options)?;
    let renderer = Renderer::new(device.clone(), queue.clone());
    let color = renderer.texture(HDR, wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TEXTURE_BINDING);
    let output = renderer.texture(SHOWN, wgpu::TextureUsages::STORAGE_BINDING);
    // A renderer would show the frame itself until then.
    stylizer.wait()?;

    // From the first style of the net to the last.
    let mut mix = vec![0.0; styles.len()];
    for frame in 1..=FRAMES {
        let share = frame as f32 / (FRAMES + 1) as f32;
        mix[0] = 1.0 - share;
        mix[styles.len() - 1] = share;
        let mut encoder = device.create_command_encoder(&Default::default());
        renderer.draw(&mut encoder, &color, frame as f32 / 10.0);
        let blend = [Blend { weights: &mix, alpha: 1.0 }];
        stylizer.encode(&mut encoder, &Frame { exposure: EXPOSURE, ..Frame::new(&color, &output, SIZE, &blend) })?;
        queue.submit([encoder.finish()]);
    }
    let bytes = renderer.read(&output)?;
    let painted = picture(&bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect::<Vec<_>>())?;
    painted.save(std::path::Path::new("headless.png"))?;

    // The same frame by the library.
    let bytes = renderer.read(&color)?;
    let halves = bytes.chunks_exact(2).map(|two| f16::from_le_bytes([two[0], two[1]]).to_f32());
    let shown = picture(&halves.map(srgb).collect::<Vec<_>>())?;
    let context = Context::from_host(device, queue, &ContextOptions::default())?;
    let mut painter = Painter::new(ImageTransformNet::new(&context, body.blend(&mix)?)?);
    let wanted = painter.paint(&shown)?;
    let apart = painted.rgb.iter().zip(&wanted.rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("headless.png differs from the library's painting by at most {:.2}/255", 255.0 * apart);
    if apart > 1.0 / 255.0 {
        return Err("the difference is above 1/255".into());
    }
    Ok(())
}
