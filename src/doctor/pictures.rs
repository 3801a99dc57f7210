//! A small picture of each method, compared with stored answers.
//!
//! An answer is the mean of each channel in each of 4 × 3 blocks and the standard deviation of each channel. The photo
//! and the style are drawn here. `tests/doctor.rs` writes `answers.json`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::gpu::{Context, Precision};
use crate::io::{Picture, WeightFile};
use crate::methods::Area;
use crate::methods::adain::{self, AdainSettings, Source};
use crate::methods::feed_forward::{self, FeedForwardSettings};
use crate::methods::gatys::{self, GatysSettings};
use crate::nets::Place;
use crate::nets::adain_decoder::AdainDecoderWeights;
use crate::nets::image_transform_net::{ImageTransformNetWeights, Painter};
use crate::nets::{AdainDecoder, AdainPainter, ImageTransformNet, Vgg19};
use crate::ops::pool::Pooling;
use crate::weights;
use crate::{Error, Result};

/// Blocks across and down.
const BLOCKS: [usize; 2] = [4, 3];

/// Largest difference of an answer from the stored one, for values 0..1: 1/256 in f32, and for activations rounded to
/// f16 as much as photos of 8 bits differ without anyone seeing it.
fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 0.004,
        Precision::F16 => 0.02,
    }
}

/// The ways of painting that are checked.
pub const METHODS: [&str; 5] = ["adain", "adain-fast", "starry-night", "mosaic-batch", "gatys"];

/// What [`METHODS`] are, for reports.
pub fn title(method: &str) -> String {
    match method {
        "gatys" => "Gatys' method, 4 evaluations".into(),
        "adain" | "adain-fast" => format!("AdaIN, {method}"),
        _ => format!("feed-forward net {method}"),
    }
}

/// A picture of `[width, height]` like a photo: smooth, with a bright disc.
pub fn photo([width, height]: [usize; 2]) -> Picture {
    drawn([width, height], |u, v| {
        let wave = 0.08 * (9.0 * u + 5.0 * v).sin();
        let disc = if (u - 0.6).hypot(v - 0.4) < 0.22 { 0.3 } else { 0.0 };
        [0.35 + 0.25 * u + wave + disc, 0.35 + 0.25 * v + disc, 0.6 - 0.2 * u * v - wave]
    })
}

/// A picture of `[width, height]` like a painting: hard edges and strong colours.
pub fn style([width, height]: [usize; 2]) -> Picture {
    drawn([width, height], |u, v| match ((12.0 * u) as usize + (9.0 * v) as usize) % 3 {
        0 => [0.86, 0.24, 0.12],
        1 => [0.12, 0.16, 0.63],
        _ => [0.94, 0.82, 0.35],
    })
}

fn drawn([width, height]: [usize; 2], color: impl Fn(f32, f32) -> [f32; 3]) -> Picture {
    let mut picture = Picture::new(width, height);
    for at in 0..width * height {
        let [u, v] = [(at % width) as f32 / width as f32, (at / width) as f32 / height as f32];
        for (channel, value) in color(u, v).into_iter().enumerate() {
            picture.rgb[channel * width * height + at] = value;
        }
    }
    picture
}

/// Finds the file of a net by its name, an encoder as `encoder-` and its name.
pub type Nets<'a> = dyn Fn(&str) -> Option<Result<WeightFile>> + 'a;

/// The nets that are part of the library.
pub fn embedded(name: &str) -> Option<Result<WeightFile>> {
    weights::find_embedded(name)
}

/// [`paint_async`] with the nets of the library, waited for.
#[cfg(feature = "blocking")]
pub fn paint(context: &Context, method: &str, size: [usize; 2]) -> Result<Option<Picture>> {
    context.block_on(paint_async(context, method, size, &embedded))
}

/// Paints a photo of `size` with one of [`METHODS`]. `None` if `nets` does not have its nets.
pub async fn paint_async(
    context: &Context,
    method: &str,
    size: [usize; 2],
    nets: &Nets<'_>,
) -> Result<Option<Picture>> {
    let (photo, style) = (photo(size), style(size));
    let encoder = |name: &str| nets(&format!("encoder-{name}"));
    if let Some(pair) = weights::PAIRS.iter().find(|pair| pair.name == method) {
        let (Some(encoder), Some(decoder)) = (encoder(pair.encoder), nets(pair.name)) else { return Ok(None) };
        let (encoder, decoder) = (encoder?, decoder?);
        let encoder = Vgg19::load(context, &encoder, Pooling::Max)?;
        let decoder = AdainDecoder::new(context, AdainDecoderWeights::of(&decoder)?)?;
        let mut painter = AdainPainter::new(&encoder, decoder)?;
        let area = Area { styles: vec![(Source::Picture(style), 1.0)], place: Place::Everywhere };
        let settings = AdainSettings::default();
        return adain::stylize_async(&mut painter, &photo, &[area], &settings).await.map(Some);
    }
    if method == "gatys" {
        let Some(encoder) = encoder("half") else { return Ok(None) };
        let vgg = Vgg19::load(context, &encoder?, Pooling::Max)?;
        let settings =
            GatysSettings { size: size[0].max(size[1]), scales: Some(1), steps: 4, ..GatysSettings::default() };
        let observer = async |_: &gatys::Progress<'_>| Ok(ControlFlow::Continue(()));
        let outcome = gatys::stylize_async(&vgg, &photo, &[style.into()], &settings, observer).await?;
        return Ok(Some(outcome.picture));
    }
    let Some(file) = nets(method) else { return Ok(None) };
    let mut painter = Painter::new(ImageTransformNet::new(context, ImageTransformNetWeights::of(&file?)?)?);
    feed_forward::stylize_async(&mut painter, &photo, &FeedForwardSettings::default()).await.map(Some)
}

/// The answer of a picture: means of blocks, then standard deviations, for each channel.
pub fn answer(picture: &Picture) -> Vec<f64> {
    let (width, height) = (picture.width, picture.height);
    let mut answer = Vec::new();
    for plane in picture.rgb.chunks(width * height) {
        let mean_of = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>, f: &dyn Fn(f64) -> f64| {
            let count = rows.len() * columns.len();
            let values = rows.flat_map(|row| columns.clone().map(move |column| row * width + column));
            values.map(|at| f(f64::from(plane[at]))).sum::<f64>() / count as f64
        };
        for block in 0..BLOCKS[0] * BLOCKS[1] {
            let cut = |index: usize, side: usize, parts: usize| index * side / parts..(index + 1) * side / parts;
            let rows = cut(block / BLOCKS[0], height, BLOCKS[1]);
            answer.push(mean_of(rows, cut(block % BLOCKS[0], width, BLOCKS[0]), &|value| value));
        }
        let mean = mean_of(0..height, 0..width, &|value| value);
        answer.push(mean_of(0..height, 0..width, &|value| (value - mean).powi(2)).sqrt());
    }
    answer
}

/// The stored answers by method.
pub fn answers() -> Result<BTreeMap<String, Vec<f64>>> {
    serde_json::from_str(include_str!("answers.json"))
        .map_err(|error| Error::file("read", std::path::Path::new("answers.json"), error))
}

/// Size of the pictures of the stored answers.
pub const SIZE: [usize; 2] = [64, 48];

/// [`difference_async`] with the nets of the library, waited for.
#[cfg(feature = "blocking")]
pub fn difference(context: &Context, method: &str) -> Result<Option<[f64; 2]>> {
    context.block_on(difference_async(context, method, &embedded))
}

/// The largest difference of a method's picture from the stored answer, and the tolerance. `None` if `nets` does not have
/// its nets.
///
/// # Errors
/// Those of painting; a method without a stored answer.
pub async fn difference_async(context: &Context, method: &str, nets: &Nets<'_>) -> Result<Option<[f64; 2]>> {
    let Some(picture) = paint_async(context, method, SIZE, nets).await? else { return Ok(None) };
    let (found, stored) = (answer(&picture), answers()?);
    let stored = stored.get(method).filter(|stored| stored.len() == found.len()).ok_or_else(|| {
        Error::argument("doctor", "answers", format!("{} numbers for {method}", found.len()), "others")
    })?;
    let largest = found.iter().zip(stored).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    Ok(Some([largest, tolerance(context.precision())]))
}
