//! The sliders.

use std::sync::Arc;

use impasto::embed::Blend;
use impasto::wgpu;
use winit::event::WindowEvent;
use winit::window::Window;

use crate::scene::begin;

/// What the sliders set.
pub struct Choice {
    /// Whether frames are painted.
    pub painted: bool,
    pub alpha: f32,
    pub scale: f32,
    /// A weight for each style.
    pub weights: Vec<f32>,
}

impl Choice {
    /// The mixture, unless there is none: without a weight above 0, frames are shown as they are.
    pub fn blend(&self) -> Option<Blend<'_>> {
        let any = self.weights.iter().any(|weight| *weight > 0.0);
        (self.painted && any).then_some(Blend { weights: &self.weights, alpha: self.alpha })
    }
}

pub struct Panel {
    state: egui_winit::State,
    renderer: egui_wgpu::Renderer,
    names: Vec<String>,
    open: bool,
    pub visible: bool,
    pub choice: Choice,
}

/// What is drawn in a frame.
pub struct Drawing {
    primitives: Vec<egui::ClippedPrimitive>,
    /// Textures that no later drawing uses.
    freed: Vec<egui::TextureId>,
    pixels_per_point: f32,
}

impl Panel {
    pub fn new(
        device: &wgpu::Device,
        window: &Arc<Window>,
        format: wgpu::TextureFormat,
        names: Vec<String>,
        choice: Choice,
    ) -> Self {
        let context = egui::Context::default();
        let side = device.limits().max_texture_dimension_2d as usize;
        let factor = Some(window.scale_factor() as f32);
        let viewport = egui::ViewportId::ROOT;
        let state = egui_winit::State::new(context, viewport, window, factor, window.theme(), Some(side));
        let renderer = egui_wgpu::Renderer::new(device, format, Default::default());
        // A small window has room for the readout alone.
        let open = window.inner_size().width >= 640;
        Panel { state, renderer, names, open, visible: true, choice }
    }

    /// Whether the panel uses the event up.
    pub fn uses(&mut self, window: &Window, event: &WindowEvent) -> bool {
        self.state.on_window_event(window, event).consumed
    }

    /// Lets the sliders act, and uploads new textures. `readout` is the text above the sliders.
    pub fn run(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, window: &Window, readout: &str) -> Drawing {
        let context = self.state.egui_ctx().clone();
        let input = self.state.take_egui_input(window);
        let (names, choice, open) = (&self.names, &mut self.choice, self.open);
        let visible = self.visible;
        let mut output = context.run_ui(input, |ui| {
            if visible {
                egui::Window::new(readout)
                    .id(egui::Id::unique("panel"))
                    .default_open(open)
                    .default_pos([8.0, 8.0])
                    .default_width(250.0)
                    .show(ui.ctx(), |ui| sliders(ui, names, choice));
            }
        });
        self.state.handle_platform_output(window, output.platform_output);
        let pixels_per_point = output.pixels_per_point;
        let primitives = context.tessellate(output.shapes, pixels_per_point);
        for (id, deltas) in output.textures_delta.set.drain() {
            deltas.iter().for_each(|delta| self.renderer.update_texture(device, queue, id, delta));
        }
        let freed = output.textures_delta.free.drain().collect();
        Drawing { primitives, freed, pixels_per_point }
    }

    /// Draws over the target, in the frame's encoder.
    pub fn draw(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        encoder: &mut wgpu::CommandEncoder,
        target: &wgpu::TextureView,
        drawing: &Drawing,
    ) {
        let size_in_pixels = [target.texture().width(), target.texture().height()];
        let screen = egui_wgpu::ScreenDescriptor { size_in_pixels, pixels_per_point: drawing.pixels_per_point };
        // The buffers are those of paint callbacks, of which there are none.
        self.renderer.update_buffers(device, queue, encoder, &drawing.primitives, &screen);
        let mut pass = begin(encoder, target, wgpu::LoadOp::Load).forget_lifetime();
        self.renderer.render(&mut pass, &drawing.primitives, &screen);
    }

    /// Frees what the drawing was the last to use, once it has been submitted.
    pub fn submitted(&mut self, drawing: Drawing) {
        for id in &drawing.freed {
            self.renderer.free_texture(id);
        }
    }
}

fn sliders(ui: &mut egui::Ui, names: &[String], choice: &mut Choice) {
    ui.checkbox(&mut choice.painted, "painted (Space); H hides this panel");
    ui.add(egui::Slider::new(&mut choice.alpha, 0.0..=1.0).text("strength (alpha)"));
    ui.add(egui::Slider::new(&mut choice.scale, 0.25..=1.0).step_by(0.05).text("scale"));
    ui.separator();
    egui::ScrollArea::vertical().show(ui, |ui| {
        for (name, weight) in names.iter().zip(&mut choice.weights) {
            ui.add(egui::Slider::new(weight, 0.0..=1.0).fixed_decimals(2).text(name));
        }
    });
}
