//! The window's frames.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use impasto::embed::Net;
use impasto::wgpu;
use winit::dpi::PhysicalSize;
use winit::event::WindowEvent;
use winit::event_loop::ActiveEventLoop;
use winit::keyboard::{Key, NamedKey};
use winit::window::Window;

use crate::memory::Memory;
use crate::painter::Painter;
use crate::panel::{Choice, Panel};
use crate::scene::Scene;
use crate::screen::Screen;
use crate::{Arguments, Outcome};

/// Painted frames from one size of the window to the next with `--resize`, and the sizes relative to the first.
const RESIZE_EVERY: u32 = 10;
const RESIZES: [f32; 8] = [0.75, 1.25, 0.5, 1.0, 1.1, 0.6, 1.25, 0.9];
/// The painted frame whose memory is compared with that of the last. Every size has been in use by then.
const COMPARED: u32 = 200;

/// Frames whose times the readout is made of.
const TIMES: usize = 21;

pub struct Live {
    arguments: Arguments,
    window: Arc<Window>,
    screen: Screen,
    scene: Scene,
    painter: Painter,
    panel: Panel,
    start: Instant,
    last: Instant,
    /// Milliseconds of the last frames, all of them painted or none.
    times: VecDeque<f64>,
    was_painted: bool,
    painted: u32,
    resizes: u32,
    compared: Option<Memory>,
}

impl Live {
    pub fn new(event_loop: &ActiveEventLoop, arguments: Arguments) -> Outcome<Self> {
        let net = Net::included("impressions")?;
        let names = net.style_names().to_vec();
        let weights = mixture(&names, &arguments.style)?;

        let [width, height] = arguments.size;
        let size = PhysicalSize::new(width, height);
        let attributes = Window::default_attributes().with_title("Impasto").with_inner_size(size);
        let window = Arc::new(event_loop.create_window(attributes)?);
        let (screen, options, needs) = Screen::new(event_loop, &window, &net, arguments.scale)?;
        let [width, height] = needs.painting;
        let megabytes = needs.bytes >> 20;
        println!("{}: {width}x{height}, {megabytes} MiB, {:.1} GFLOP a frame", screen.adapter, needs.gflop);

        let (device, queue) = (&screen.device, &screen.queue);
        let painter = Painter::new(device, queue, net, &options)?;
        let scene = Scene::new(device, screen.format(), screen.size());
        let choice = Choice { painted: true, alpha: 1.0, scale: arguments.scale, weights };
        let panel = Panel::new(device, &window, screen.format(), names, choice);
        window.request_redraw();
        let now = Instant::now();
        Ok(Live {
            arguments,
            window,
            screen,
            scene,
            painter,
            panel,
            start: now,
            last: now,
            times: VecDeque::new(),
            was_painted: false,
            painted: 0,
            resizes: 0,
            compared: None,
        })
    }

    /// Whether the window stays open.
    pub fn event(&mut self, event: &WindowEvent) -> Outcome<bool> {
        let used = self.panel.uses(&self.window, event);
        match event {
            WindowEvent::CloseRequested => return Ok(false),
            WindowEvent::KeyboardInput { event, .. } if event.state.is_pressed() && !event.repeat && !used => {
                match &event.logical_key {
                    Key::Named(NamedKey::Escape) => return Ok(false),
                    Key::Named(NamedKey::Space) => self.panel.choice.painted ^= true,
                    Key::Character(key) if key.as_str() == "h" => self.panel.visible ^= true,
                    _ => {}
                }
            }
            WindowEvent::Resized(size) if size.width > 0 && size.height > 0 => {
                let size = [size.width, size.height];
                if size != self.screen.size() {
                    self.screen.resize(size);
                    self.scene.resize(size);
                    self.resizes += 1;
                }
            }
            WindowEvent::RedrawRequested => {
                let more = self.frame()?;
                self.window.request_redraw();
                return Ok(more);
            }
            _ => {}
        }
        Ok(true)
    }

    /// Draws a frame. Gives whether more are wanted.
    fn frame(&mut self) -> Outcome<bool> {
        let Some(texture) = self.screen.next()? else { return Ok(true) };
        self.times.push_back(self.last.elapsed().as_secs_f64() * 1e3);
        if self.times.len() > TIMES {
            self.times.pop_front();
        }
        self.last = Instant::now();
        let is_painted = self.draw(&texture.texture)?;
        self.screen.queue.present(texture);
        self.screen.check()?;
        if is_painted != self.was_painted {
            self.times.clear();
            self.was_painted = is_painted;
        }
        if !is_painted {
            return Ok(true);
        }
        self.painted += 1;
        if self.arguments.resize && self.painted.is_multiple_of(RESIZE_EVERY) {
            let factor = RESIZES[(self.painted / RESIZE_EVERY) as usize % RESIZES.len()];
            let [width, height] = self.arguments.size.map(|side| ((side as f32 * factor) as u32).max(1));
            let _ = self.window.request_inner_size(PhysicalSize::new(width, height));
        }
        let Some(frames) = self.arguments.frames else { return Ok(true) };
        if self.painted == COMPARED || self.painted == frames {
            self.report()?;
        }
        if self.painted < frames {
            return Ok(true);
        }
        if let Some(path) = self.arguments.screenshot.take() {
            let texture = self.screen.readable();
            self.draw(&texture)?;
            self.screen.read(&texture)?.save(&path)?;
        }
        Ok(false)
    }

    /// The scene, its painting and the panel, in one encoder. Gives whether there was a painting.
    fn draw(&mut self, target: &wgpu::Texture) -> Outcome<bool> {
        let readout = self.readout()?;
        let drawing = self.panel.run(&self.screen.device, &self.screen.queue, &self.window, &readout);
        let choice = &self.panel.choice;
        let size = self.screen.size();
        self.painter.adapt(size, choice.scale)?;

        let view = target.create_view(&Default::default());
        let mut encoder = self.screen.device.create_command_encoder(&Default::default());
        // A run of a given length shows the same whatever the speed of the adapter.
        let seconds = match self.arguments.frames {
            Some(_) => self.painted as f32 / 30.0,
            None => self.start.elapsed().as_secs_f32(),
        };
        self.scene.draw(&self.screen.queue, &mut encoder, seconds);
        let is_painted = match choice.blend() {
            Some(blend) => self.painter.encode(&mut encoder, &self.scene.color, &view, size, blend)?,
            None => false,
        };
        if !is_painted {
            self.scene.show(&mut encoder, &view);
        }
        self.panel.draw(&self.screen.device, &self.screen.queue, &mut encoder, &view, &drawing);
        self.screen.queue.submit([encoder.finish()]);
        self.panel.submitted(drawing);
        Ok(is_painted)
    }

    /// The median time of a frame, and what the net computes in it.
    fn readout(&mut self) -> Outcome<String> {
        let mut times: Vec<_> = self.times.iter().copied().collect();
        times.sort_by(f64::total_cmp);
        let milliseconds = times.get(times.len() / 2).copied().unwrap_or(0.0);
        let time = format!("{milliseconds:.1} ms");
        let Some(gflop) = self.painter.gflop()? else { return Ok(format!("{time}, compiling kernels")) };
        Ok(match self.panel.choice.blend() {
            Some(_) => format!("{time}, {:.0} GFLOP/s", 1e3 * gflop / milliseconds),
            None => format!("{time}, not painted"),
        })
    }

    /// Prints the memory in use, and compares it with what was printed before.
    fn report(&mut self) -> Outcome<()> {
        let memory = Memory::now(&self.screen.device)?;
        let (seconds, resizes) = (self.start.elapsed().as_secs(), self.resizes);
        println!("frame {}, {seconds} s, {resizes} resizes: {memory}", self.painted);
        match &self.compared {
            Some(earlier) => memory.check(earlier)?,
            None => self.compared = Some(memory),
        }
        Ok(())
    }
}

/// Equal weights for the styles with these names; without names, for the first.
fn mixture(styles: &[String], names: &[String]) -> Outcome<Vec<f32>> {
    if let Some(name) = names.iter().find(|name| !styles.contains(name)) {
        return Err(format!("--style {name}: not one of {}", styles.join(", ")).into());
    }
    let first = names.is_empty().then(|| &styles[0]);
    Ok(styles.iter().map(|style| f32::from(names.contains(style) || first == Some(style))).collect())
}
