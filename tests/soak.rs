//! A long run: contexts, sizes, styles, methods and nets in turn. Memory must not grow, and the same request must give
//! the same picture each time.
//!
//! `make soak` runs it for 20 minutes; `IMPASTO_SOAK` is the duration in seconds. The heap in use and the device memory
//! are compared in every run. Resident memory is compared only in runs of four minutes and more: it holds free pages
//! too, and the allocator takes more of them for the first minute or two, as threads meet in different ways.
//!
//! Mesa 22.3's software driver itself keeps about 0.5 MB of heap for each device that was closed, so the test fails on it.
//! Mesa 25.0 keeps nothing.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use impasto::gpu::{Context, ContextOptions};
use impasto::internal::Random;
use impasto::io::Picture;
use impasto::methods::Area;
use impasto::methods::adain::{self, AdainSettings, Source};
use impasto::methods::feed_forward::{self, FeedForwardSettings};
use impasto::methods::gatys::{self, GatysSettings};
use impasto::nets::adain_decoder::AdainDecoderWeights;

use impasto::nets::image_transform_net::{ImageTransformNetWeights, Painter};
use impasto::nets::{AdainDecoder, AdainPainter, ImageTransformNet, Place, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::weights::{self, PAIRS};

/// Waves in random colours.
fn picture(seed: u64, width: usize, height: usize) -> Picture {
    let mut random = Random::new(seed);
    let mut picture = Picture::new(width, height);
    for plane in picture.rgb.chunks_mut(width * height) {
        let [across, down, phase] = [9.0, 9.0, 6.0].map(|scale: f32| scale * random.uniform());
        for (at, value) in plane.iter_mut().enumerate() {
            let [u, v] = [(at % width) as f32 / width as f32, (at / width) as f32 / height as f32];
            *value = 0.5 + 0.4 * (across * u + down * v + phase).sin();
        }
    }
    picture
}

/// The pictures of earlier rounds, by the request's name.
#[derive(Default)]
struct Seen(HashMap<String, Picture>);

impl Seen {
    fn same(&mut self, request: String, painted: Picture) {
        match self.0.get(&request) {
            Some(first) => assert!(*first == painted, "{request}: another picture than the first time"),
            None => drop(self.0.insert(request, painted)),
        }
    }
}

/// Everything once, in a new context. `number` changes the order of the sizes.
fn round(seen: &mut Seen, number: usize) -> Option<u64> {
    let context = Context::new(&ContextOptions::default()).unwrap();
    let mut sizes = [(64, 48), (96, 96), (80, 120)];
    sizes.rotate_left(number % 3);
    for pair in &PAIRS {
        let encoder = Vgg19::load(&context, &weights::encoder(pair.encoder).unwrap(), Pooling::Max).unwrap();
        let weights = AdainDecoderWeights::of(&pair.decoder().unwrap()).unwrap();
        let mut painter = AdainPainter::new(&encoder, AdainDecoder::new(&context, weights).unwrap()).unwrap();
        for (width, height) in sizes {
            for style in 1..3 {
                let source = Source::Picture(picture(style, 90, 70));
                let area = Area { styles: vec![(source, 1.0)], place: Place::Everywhere };
                let photo = picture(0, width, height);
                let painted = adain::stylize(&mut painter, &photo, &[area], &AdainSettings::default()).unwrap();
                seen.same(format!("{} {width}x{height} style {style}", pair.name), painted);
            }
        }
    }
    for (name, file) in weights::models().filter(|(name, _)| ["wave", "mosaic-batch", "scream"].contains(name)) {
        let weights = ImageTransformNetWeights::of(&file.unwrap()).unwrap();
        let mut painter = Painter::new(ImageTransformNet::new(&context, weights).unwrap());
        for (width, height) in sizes {
            let settings = FeedForwardSettings::default();
            let painted = feed_forward::stylize(&mut painter, &picture(0, width, height), &settings).unwrap();
            seen.same(format!("{name} {width}x{height}"), painted);
        }
    }
    let vgg = Vgg19::load(&context, &weights::encoder("compact").unwrap(), Pooling::Max).unwrap();
    let settings = GatysSettings { size: 64, steps: 3, scales: Some(2), ..GatysSettings::default() };
    let styles = [picture(1, 90, 70).into()];
    let go_on = |_: &gatys::Progress| Ok(ControlFlow::Continue(()));
    let outcome = gatys::stylize(&vgg, &picture(0, 64, 48), &styles, &settings, go_on).unwrap();
    seen.same("gatys".into(), outcome.picture);
    context.allocated_bytes()
}

/// Memory after a round in bytes, where the system tells it.
#[derive(Debug, Clone, Copy)]
struct Memory {
    /// What the C allocator has handed out: Rust's, the driver's and its compiler's objects, without free pages.
    heap: Option<u64>,
    device: Option<u64>,
    resident: Option<u64>,
}

impl Memory {
    fn now(device: Option<u64>) -> Memory {
        let text = std::fs::read_to_string("/proc/self/statm").ok();
        let pages = text.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
        Memory { heap: heap(), device, resident: pages.map(|pages| 4096 * pages) }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn heap() -> Option<u64> {
    // SAFETY: the call takes no arguments and returns numbers.
    let info = unsafe { libc::mallinfo2() };
    Some((info.uordblks + info.hblkhd) as u64)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn heap() -> Option<u64> {
    None
}

/// Rounds before memory is compared: caches grow until each order of the sizes has come twice.
const WARM: usize = 6;
/// The time before resident memory is compared, and the least run in which it is.
const SETTLED: Duration = Duration::from_secs(120);

/// Fails if the greatest of three rounds at the end exceeds that of the three rounds from `early` by more than `growth`.
fn check(what: &str, growth: f64, of: fn(&Memory) -> Option<u64>, memories: &[Memory], early: usize) {
    let greatest = |rounds: &[Memory]| rounds.iter().filter_map(of).max();
    let (before, after) = (greatest(&memories[early..early + 3]), greatest(&memories[memories.len() - 3..]));
    if let (Some(before), Some(after)) = (before, after) {
        println!("{what}: {before} bytes, at the end {after}");
        assert!(after as f64 <= (1.0 + growth) * before as f64, "{what} memory grew from {before} to {after} bytes");
    }
}

#[test]
#[ignore = "takes minutes: make soak"]
fn memory_does_not_grow_and_pictures_stay_the_same() {
    let seconds = std::env::var("IMPASTO_SOAK").map_or(60, |text| text.parse().expect("IMPASTO_SOAK: seconds"));
    let (began, whole) = (Instant::now(), Duration::from_secs(seconds));
    let mut seen = Seen::default();
    // Memory after each round, and the number of rounds after two minutes.
    let (mut memories, mut settled) = (Vec::new(), 0);
    while began.elapsed() < whole || memories.len() < WARM + 6 {
        let device = round(&mut seen, memories.len());
        memories.push(Memory::now(device));
        println!("round {}, {:.0} s: {:?}", memories.len(), began.elapsed().as_secs_f64(), memories.last());
        if began.elapsed() < SETTLED {
            settled = memories.len();
        }
    }
    println!("{} rounds, {} requests", memories.len(), seen.0.len());
    check("heap", 0.005, |memory| memory.heap, &memories, WARM);
    check("device", 0.0, |memory| memory.device, &memories, WARM);
    if whole >= 2 * SETTLED && memories.len() >= settled + 6 {
        check("resident", 0.02, |memory| memory.resident, &memories, settled);
    }
}
