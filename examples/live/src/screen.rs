//! The window's surface and a device that can draw to it.

use std::sync::{Arc, Mutex};

use impasto::embed::{Net, Options, Requirements, Stylizer};
use impasto::io::Picture;
use impasto::wgpu;
use wgpu::TextureFormat as Format;
use winit::event_loop::ActiveEventLoop;
use winit::window::Window;

use crate::Outcome;
use crate::scene::HDR;

pub struct Screen {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// Name of the adapter.
    pub adapter: String,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
    /// The first error that the device reported outside of the library.
    fault: Arc<Mutex<Option<String>>>,
}

impl Screen {
    /// Opens a device for a window and a net, and gives the options for frames of the window's size.
    pub fn new(
        event_loop: &ActiveEventLoop,
        window: &Arc<Window>,
        net: &Net,
        scale: f32,
    ) -> Outcome<(Self, Options, Requirements)> {
        let display = Box::new(event_loop.owned_display_handle());
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_with_display_handle_from_env(display));
        let surface = instance.create_surface(window.clone())?;
        let request = wgpu::RequestAdapterOptions { compatible_surface: Some(&surface), ..Default::default() };
        let adapter = pollster::block_on(instance.request_adapter(&request))?;
        let name = adapter.get_info().name;

        let size = window.inner_size();
        let mut config = surface
            .get_default_config(&adapter, size.width.max(1), size.height.max(1))
            .ok_or_else(|| format!("{name} cannot draw to this window: choose another adapter by WGPU_ADAPTER_NAME"))?;
        // egui draws sRGB values, so formats that take them as they are come first.
        let known = [Format::Bgra8Unorm, Format::Rgba8Unorm, Format::Bgra8UnormSrgb, Format::Rgba8UnormSrgb];
        let formats = surface.get_capabilities(&adapter).formats;
        config.format = known
            .into_iter()
            .find(|format| formats.contains(format))
            .ok_or_else(|| format!("{name} draws to this window in {formats:?}, none of which is one of {known:?}"))?;
        // The readout is the time of a frame, not of the display.
        config.present_mode = wgpu::PresentMode::AutoNoVsync;

        let options = Options { scale, ..Options::new([config.width, config.height], [HDR, config.format]) };
        let needs = Stylizer::requirements(&adapter, net, &options)?;
        let descriptor = wgpu::DeviceDescriptor {
            // Subgroups are optional; software adapters are faster with them.
            required_features: needs.features | adapter.features() & wgpu::Features::SUBGROUP,
            // The window may grow, so the limits are the adapter's instead of those of the first size.
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
        let fault: Arc<Mutex<Option<String>>> = Arc::default();
        let own = fault.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            if let Ok(mut fault) = own.lock() {
                fault.get_or_insert(error.to_string());
            }
        }));
        surface.configure(&device, &config);
        Ok((Screen { device, queue, adapter: name, surface, config, fault }, options, needs))
    }

    pub fn format(&self) -> wgpu::TextureFormat {
        self.config.format
    }

    /// `[width, height]`.
    pub fn size(&self) -> [u32; 2] {
        [self.config.width, self.config.height]
    }

    pub fn resize(&mut self, [width, height]: [u32; 2]) {
        (self.config.width, self.config.height) = (width, height);
        self.surface.configure(&self.device, &self.config);
    }

    /// The texture of the next frame. `None` where there is none at present, such as for a hidden window.
    pub fn next(&mut self) -> Outcome<Option<wgpu::SurfaceTexture>> {
        use wgpu::CurrentSurfaceTexture as Next;
        Ok(match self.surface.get_current_texture() {
            Next::Success(texture) | Next::Suboptimal(texture) => Some(texture),
            Next::Timeout | Next::Occluded => None,
            Next::Outdated => {
                self.surface.configure(&self.device, &self.config);
                None
            }
            Next::Lost => return Err("the window's surface was lost".into()),
            Next::Validation => {
                self.check()?;
                None
            }
        })
    }

    /// A texture like the window's that can be read.
    pub fn readable(&self) -> wgpu::Texture {
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("screenshot"),
            size: wgpu::Extent3d { width: self.config.width, height: self.config.height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: self.config.format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        })
    }

    /// The picture of such a texture.
    pub fn read(&self, texture: &wgpu::Texture) -> Outcome<Picture> {
        let [width, height] = self.size();
        let row = (4 * width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let size = u64::from(row) * u64::from(height);
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
        let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
        self.queue.submit([encoder.finish()]);
        buffer.slice(..).map_async(wgpu::MapMode::Read, |_| {});
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        self.check()?;
        let bytes = buffer.slice(..).get_mapped_range()?;
        let order = match texture.format().remove_srgb_suffix() {
            Format::Bgra8Unorm => [2, 1, 0],
            _ => [0, 1, 2],
        };
        let plane = |channel: usize| {
            let rows = bytes.chunks_exact(row as usize).map(move |row| &row[..4 * width as usize]);
            rows.flat_map(move |row| row.iter().skip(channel).step_by(4)).map(|byte| f32::from(*byte) / 255.0)
        };
        Ok(Picture::from_rgb(width as usize, height as usize, order.into_iter().flat_map(plane).collect())?)
    }

    /// An error if the device has reported one.
    pub fn check(&self) -> Outcome<()> {
        match self.fault.lock().ok().and_then(|mut fault| fault.take()) {
            Some(fault) => Err(fault.into()),
            None => Ok(()),
        }
    }
}
