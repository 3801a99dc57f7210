//! Measures how steady a video is that Impasto paints: a rendered scene with known motion, painted frame by frame, with
//! smoothed statistics, with the previous result that follows the motion, and with both.
//!
//! ```text
//! cargo run --release --example steady -- [--side N] [--frames N] [--light PART] [--statistics PART] [--history PART]
//!     [NET=PAINTING]...
//! ```
//!
//! `--light` is how much the light changes from frame to frame (0.04); `--statistics` and `--history` are the shares of
//! the past (0.5, and that of `Steadiness::default()`).
//!
//! For each way, it prints the warping error (arXiv:1808.00449) and the style distance of the frames from the painting
//! (arXiv:1703.06868, measured by the included encoder `half`), each also relative to frame by frame. Without further
//! arguments the nets are the AdaIN pairs, with a drawn sample as the painting, and `woodcut`. `NET=PAINTING` adds an
//! included feed-forward net, with the file of the painting that it was trained with.

#[allow(dead_code)]
#[path = "../draw_samples/marble.rs"]
mod marble;
#[allow(dead_code)]
#[path = "../draw_samples/noise.rs"]
mod noise;
mod painting;
#[allow(dead_code)]
#[path = "../draw_samples/raster.rs"]
mod raster;
mod scene;
#[allow(dead_code)]
#[path = "../draw_samples/woodcut.rs"]
mod woodcut;

use std::path::Path;
use std::process::ExitCode;

use impasto::eval::adain::Teacher;
use impasto::eval::steadiness::warping_error;
use impasto::gpu::{Context, ContextOptions};
use impasto::io::Picture;
use impasto::nets::Vgg19;
use impasto::nets::steady::Steadiness;
use impasto::ops::pool::Pooling;
use impasto::{Error, Result, weights};
use painting::{Net, Video};
use scene::{Scene, View};

/// Long side of the paintings.
const PAINTING: usize = 256;

/// The ways to paint a video, by name.
fn ways(both: Steadiness) -> [(&'static str, Steadiness); 4] {
    let none = Steadiness { statistics: 0.0, history: 0.0, ..both };
    [
        ("frame by frame", none),
        ("smoothed statistics", Steadiness { statistics: both.statistics, ..none }),
        ("previous result", Steadiness { history: both.history, ..none }),
        ("both", both),
    ]
}

struct Options {
    side: usize,
    frames: usize,
    light: f32,
    both: Steadiness,
    nets: Vec<(String, String)>,
}

fn parse(mut args: impl Iterator<Item = String>) -> std::result::Result<Options, String> {
    let both = Steadiness { statistics: 0.5, ..Steadiness::default() };
    let mut options = Options { side: 128, frames: 16, light: 0.04, both, nets: Vec::new() };
    while let Some(arg) = args.next() {
        let mut number = |least: f32| {
            let value = args.next().and_then(|value| value.parse().ok()).filter(|value: &f32| *value >= least);
            value.ok_or(format!("{arg} needs a number of at least {least}"))
        };
        match arg.as_str() {
            "--side" => options.side = number(64.0)? as usize,
            "--frames" => options.frames = number(2.0)? as usize,
            "--light" => options.light = number(0.0)?,
            "--statistics" => options.both.statistics = number(0.0)?,
            "--history" => options.both.history = number(0.0)?,
            _ => match arg.split_once('=') {
                Some((net, painting)) => options.nets.push((net.into(), painting.into())),
                None => return Err(format!("unknown argument {arg}; see examples/steady/main.rs")),
            },
        }
    }
    Ok(options)
}

fn sample(drawn: image::RgbImage) -> Result<Picture> {
    let (width, height) = (drawn.width() as usize, drawn.height() as usize);
    let plane = |channel: usize| drawn.pixels().map(move |pixel| f32::from(pixel.0[channel]) / 255.0);
    Picture::from_rgb(width, height, (0..3).flat_map(plane).collect())
}

/// The mean warping error and the mean style distance of a video.
fn measure(
    video: &mut Video,
    views: &[View],
    teacher: &Teacher,
    painting: &impasto::eval::adain::Features,
) -> Result<[f64; 2]> {
    let (mut error, mut distance, mut before) = (0.0, 0.0, None);
    for view in views {
        let frame = video.paint(view, false)?;
        if let Some(before) = &before {
            error += warping_error(&frame, before, &view.motion, &view.visible)? / (views.len() - 1) as f64;
        }
        distance += teacher.measure(&frame)?.style_distance(painting) / views.len() as f64;
        before = Some(frame);
    }
    Ok([error, distance])
}

fn run(options: &Options) -> Result<()> {
    let context = Context::new(&ContextOptions::default())?;
    let judge = Vgg19::load(&context, &weights::encoder("half")?, Pooling::Max)?;
    let scene = Scene { flicker: options.light, ..Scene::new(options.side) };
    let views: Vec<_> = (0..options.frames).map(|frame| scene.view(frame)).collect();
    let teacher = Teacher::new(&judge, options.side, options.side)?;
    let mut nets = Vec::new();
    for pair in &weights::PAIRS {
        nets.push((pair.name.to_string(), sample(marble::draw(PAINTING))?));
    }
    nets.push(("woodcut".into(), sample(woodcut::draw(PAINTING))?));
    for (net, painting) in &options.nets {
        nets.push((net.clone(), Picture::load(Path::new(painting))?.fit(PAINTING)));
    }
    println!("| net | painted | warping error | | style distance | |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut plain = 0.0;
    for pair in views.windows(2) {
        plain += warping_error(&pair[1].picture, &pair[0].picture, &pair[1].motion, &pair[1].visible)?;
    }
    println!("| none | the scene itself | {:.5} | | | |", plain / (views.len() - 1) as f64);
    for (name, painting) in nets {
        let net = Net::load(&context, &name, &painting)?;
        let measured = Teacher::new(&judge, painting.width, painting.height)?.measure(&painting)?;
        let mut first = None;
        for (way, steadiness) in ways(options.both) {
            let mut video = net.video(options.side, steadiness)?;
            let figures = measure(&mut video, &views, &teacher, &measured)?;
            let [error, distance] = figures;
            let base = first.get_or_insert(figures);
            let (error_part, distance_part) = (error / base[0], distance / base[1]);
            println!("| {name} | {way} | {error:.5} | {error_part:.2} | {distance:.2} | {distance_part:.2} |");
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let fail = |code: u8, message: String| {
        eprintln!("error: {message}");
        ExitCode::from(code)
    };
    match parse(std::env::args().skip(1)) {
        Err(message) => fail(2, message),
        Ok(options) => match run(&options) {
            Err(error @ Error::Argument { .. }) => fail(2, error.to_string()),
            Err(error) => fail(1, error.to_string()),
            Ok(()) => ExitCode::SUCCESS,
        },
    }
}
