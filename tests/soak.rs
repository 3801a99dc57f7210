//! A long run: contexts, sizes, styles, methods and nets in turn. Memory must not grow, and the same request must give
//! the same picture each time.
//!
//! `IMPASTO_SOAK` is the duration in seconds; `make soak` runs it for 20 minutes. Without it the test is skipped.

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

/// Resident memory of this process in bytes.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(4096 * text.split(' ').nth(1)?.parse::<u64>().ok()?)
}

#[test]
fn memory_does_not_grow_and_pictures_stay_the_same() {
    let Some(seconds) = std::env::var("IMPASTO_SOAK").ok().and_then(|text| text.parse().ok()) else {
        eprintln!("skipped: set IMPASTO_SOAK to a number of seconds");
        return;
    };
    let (began, whole) = (Instant::now(), Duration::from_secs(seconds));
    let mut seen = Seen::default();
    // Memory after each round. Caches and the allocator grow for a while: each order of the sizes comes twice, and a
    // tenth of the time passes, before anything is compared.
    let mut memories = Vec::new();
    let (mut rounds, mut warm) = (0, None);
    while began.elapsed() < whole {
        let device = round(&mut seen, rounds);
        rounds += 1;
        let share = began.elapsed().as_secs_f64() / whole.as_secs_f64();
        let memory = (resident(), device);
        println!("round {rounds}, {:.0}%: {memory:?}", 100.0 * share);
        memories.push(memory);
        if warm.is_none() && rounds > 6 && share > 0.1 {
            warm = Some(rounds);
        }
    }
    println!("{rounds} rounds, {} requests", seen.0.len());
    let Some(warm) = warm.filter(|warm| warm + 3 <= rounds) else {
        eprintln!("memory is not compared: too few rounds in {seconds} s");
        return;
    };
    let (early, late) = (&memories[warm - 1..warm + 2], &memories[rounds - 3..]);
    type Memory = (Option<u64>, Option<u64>);
    let greatest = |all: &[Memory], of: fn(&Memory) -> Option<u64>| all.iter().filter_map(of).max();
    for (what, of) in [("resident", (|memory| memory.0) as fn(&Memory) -> _), ("device", |memory| memory.1)] {
        if let (Some(before), Some(after)) = (greatest(early, of), greatest(late, of)) {
            assert!(after as f64 <= 1.02 * before as f64, "{what} memory grew from {before} to {after} bytes");
        }
    }
}
