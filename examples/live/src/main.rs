//! A window in which every frame of an animated scene is painted: `embed::Stylizer` from texture to texture, in the
//! encoder of the scene and of the sliders.
//!
//! `cargo run --release --manifest-path examples/live/Cargo.toml -- --help`

mod live;
mod memory;
mod painter;
mod panel;
mod scene;
mod screen;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::window::WindowId;

use live::Live;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Paints an animated scene in a window. Space shows the scene as it is, H hides the panel, Escape closes the window.
#[derive(Clone, Parser)]
#[command(name = "live", version)]
struct Arguments {
    /// Size of the window in pixels
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "960x540", value_parser = size)]
    size: [u32; 2],

    /// Side of the painting relative to the window, 0.25 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = scale)]
    scale: f32,

    /// A style of the net; may be repeated for an equal mixture [default: the first]
    #[arg(long, value_name = "NAME")]
    style: Vec<String>,

    /// End after this many painted frames, and print the memory in use at frame 200 and at the end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    frames: Option<u32>,

    /// Save the last frame as a picture (PNG, JPEG, WebP or TIFF, by the extension); a file that exists is replaced
    #[arg(long, value_name = "FILE", requires = "frames")]
    screenshot: Option<PathBuf>,

    /// Resize the window every ten frames
    #[arg(long)]
    resize: bool,
}

fn size(text: &str) -> Result<[u32; 2], String> {
    let sides = text.split_once('x').and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    match sides {
        Some(sides) if sides.iter().all(|side| (32..=8192).contains(side)) => Ok(sides),
        _ => Err("expected two numbers from 32 to 8192, such as 960x540".into()),
    }
}

fn scale(text: &str) -> Result<f32, String> {
    let scale = text.parse().ok().filter(|scale| (0.25..=1.0).contains(scale));
    scale.ok_or_else(|| "expected a number from 0.25 to 1".into())
}

/// The window, once the platform is ready for one.
struct App {
    arguments: Arguments,
    live: Option<Live>,
    outcome: Outcome<()>,
}

impl App {
    fn end(&mut self, event_loop: &ActiveEventLoop, outcome: Outcome<()>) {
        self.outcome = outcome;
        self.live = None;
        event_loop.exit();
    }
}

impl ApplicationHandler for App {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.live.is_none() {
            match Live::new(event_loop, self.arguments.clone()) {
                Ok(live) => self.live = Some(live),
                Err(error) => self.end(event_loop, Err(error)),
            }
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(live) = &mut self.live else { return };
        match live.event(&event) {
            Ok(true) => {}
            Ok(false) => self.end(event_loop, Ok(())),
            Err(error) => self.end(event_loop, Err(error)),
        }
    }
}

fn run(arguments: Arguments) -> Outcome<()> {
    if let Some(path) = &arguments.screenshot {
        impasto::io::check_output(path)?;
    }
    let mut app = App { arguments, live: None, outcome: Ok(()) };
    let event_loop = EventLoop::new().map_err(|error| {
        format!("no display to open a window on (set DISPLAY or WAYLAND_DISPLAY, or run by xvfb-run): {error}")
    })?;
    event_loop.run_app(&mut app)?;
    app.outcome
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
