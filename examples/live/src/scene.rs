//! The renderer of the example: a scene into an HDR texture, and that texture as it is on a screen.

use impasto::wgpu;

/// The scene's linear values are multiplied by it before they are shown or painted.
pub const EXPOSURE: f32 = 0.6;
/// Format of the scene's texture.
pub const HDR: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;

pub struct Scene {
    device: wgpu::Device,
    draw: wgpu::RenderPipeline,
    show: wgpu::RenderPipeline,
    uniform: wgpu::Buffer,
    parameters: wgpu::BindGroup,
    /// What the scene is drawn into.
    pub color: wgpu::TextureView,
    shown: wgpu::BindGroup,
}

/// A pipeline that covers its target with one triangle. The entry points are `screen` and `shade`.
fn pipeline(
    device: &wgpu::Device,
    source: wgpu::ShaderModuleDescriptor,
    target: wgpu::TextureFormat,
    constants: &[(&str, f64)],
) -> wgpu::RenderPipeline {
    let module = device.create_shader_module(source);
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: None,
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
            compilation_options: wgpu::PipelineCompilationOptions { constants, ..Default::default() },
            targets: &[Some(target.into())],
        }),
        multiview_mask: None,
        cache: None,
    })
}

fn group(device: &wgpu::Device, pipeline: &wgpu::RenderPipeline, resource: wgpu::BindingResource) -> wgpu::BindGroup {
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource }],
    })
}

fn texture(device: &wgpu::Device, [width, height]: [u32; 2]) -> wgpu::TextureView {
    let descriptor = wgpu::TextureDescriptor {
        label: Some("scene"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: HDR,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    };
    device.create_texture(&descriptor).create_view(&Default::default())
}

impl Scene {
    /// A scene that is shown on targets of the format `shown`.
    pub fn new(device: &wgpu::Device, shown: wgpu::TextureFormat, size: [u32; 2]) -> Self {
        let draw = pipeline(device, wgpu::include_wgsl!("../../headless/scene.wgsl"), HDR, &[]);
        let encodes = f64::from(u8::from(!shown.is_srgb()));
        let constants = [("exposure", f64::from(EXPOSURE)), ("encodes", encodes)];
        let show = pipeline(device, wgpu::include_wgsl!("show.wgsl"), shown, &constants);
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: Some("scene"), size: 16, usage, mapped_at_creation: false };
        let uniform = device.create_buffer(&descriptor);
        let parameters = group(device, &draw, uniform.as_entire_binding());
        let color = texture(device, size);
        let shown = group(device, &show, wgpu::BindingResource::TextureView(&color));
        Scene { device: device.clone(), draw, show, uniform, parameters, color, shown }
    }

    pub fn resize(&mut self, size: [u32; 2]) {
        self.color = texture(&self.device, size);
        self.shown = group(&self.device, &self.show, wgpu::BindingResource::TextureView(&self.color));
    }

    /// The scene at a time in seconds.
    pub fn draw(&self, queue: &wgpu::Queue, encoder: &mut wgpu::CommandEncoder, seconds: f32) {
        let texture = self.color.texture();
        let values = [texture.width() as f32, texture.height() as f32, seconds, 0.0];
        queue.write_buffer(&self.uniform, 0, bytemuck::cast_slice(&values));
        self.cover(encoder, &self.color, &self.draw, &self.parameters);
    }

    /// The scene without the painter.
    pub fn show(&self, encoder: &mut wgpu::CommandEncoder, target: &wgpu::TextureView) {
        self.cover(encoder, target, &self.show, &self.shown);
    }

    fn cover(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        view: &wgpu::TextureView,
        pipeline: &wgpu::RenderPipeline,
        group: &wgpu::BindGroup,
    ) {
        let mut pass = begin(encoder, view, wgpu::LoadOp::Clear(wgpu::Color::BLACK));
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.draw(0..3, 0..1);
    }
}

/// A render pass with one target.
pub fn begin<'a>(
    encoder: &'a mut wgpu::CommandEncoder,
    view: &wgpu::TextureView,
    load: wgpu::LoadOp<wgpu::Color>,
) -> wgpu::RenderPass<'a> {
    let ops = wgpu::Operations { load, store: wgpu::StoreOp::Store };
    let attachment = wgpu::RenderPassColorAttachment { view, depth_slice: None, resolve_target: None, ops };
    encoder
        .begin_render_pass(&wgpu::RenderPassDescriptor { color_attachments: &[Some(attachment)], ..Default::default() })
}
