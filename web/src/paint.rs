//! Photos repainted in one pass.

use impasto::gpu::Context;
use impasto::io::{CompactPicture, Mixed, PixelSource};
use impasto::methods::adain::{self, AdainSettings, Source};
use impasto::methods::areas::{self, Area};
use impasto::methods::color::KeepColor;
use impasto::methods::feed_forward::{self, FeedForwardSettings};
use impasto::nets::Place;
use impasto::nets::tiles::{Budget, Progress};
use serde::Deserialize;

use crate::error::{Failure, stopped};
use crate::model::{Model, adain_painter, painter};
use crate::pixels::Pixels;

/// A style of a stylisation. Pictures are given by their index in the list that comes with the order.
#[derive(Deserialize)]
pub struct Style {
    /// The style picture, for AdaIN.
    source: Option<usize>,
    /// The style of a body.
    name: Option<String>,
    #[serde(default = "one")]
    weight: f32,
    /// Where it applies; styles without a mask share what the masks leave.
    mask: Option<usize>,
}

/// What is to be painted.
#[derive(Deserialize)]
pub struct Order {
    /// Styles; for a net of one style none, or one with a mask.
    styles: Vec<Style>,
    #[serde(default = "one")]
    alpha: f32,
    /// Width of the strokes of AdaIN, relative to the default.
    strokes: Option<f32>,
    keep_colors: Option<String>,
    /// Where the photo is painted at all.
    mask: Option<usize>,
    /// Device memory in bytes.
    memory: Option<f64>,
    /// Largest side of a window in pixels.
    window: Option<usize>,
}

fn one() -> f32 {
    1.0
}

impl Order {
    fn keep_color(&self) -> Result<KeepColor, Failure> {
        match self.keep_colors.as_deref() {
            None => Ok(KeepColor::No),
            Some("luminance") => Ok(KeepColor::Luminance),
            Some("match") => Ok(KeepColor::Match),
            Some(other) => {
                Err(Failure::argument(format!("keepColors must be false, true, luminance or match, got {other}")))
            }
        }
    }

    fn budget(&self) -> Budget {
        let default = Budget::default();
        Budget { device: self.memory.map_or(default.device, |bytes| bytes as u64), window: self.window, ..default }
    }

    /// The styles of each region: one for each mask, and one for the rest.
    fn regions(&self, pictures: &[Pixels]) -> Result<Vec<(Vec<&Style>, Place)>, Failure> {
        let picture = |index: usize| {
            pictures.get(index).map(Pixels::picture).ok_or_else(|| Failure::argument("a mask has no picture"))
        };
        let mut regions = Vec::new();
        for style in &self.styles {
            if let Some(mask) = style.mask {
                regions.push((vec![style], Place::Mask(picture(mask)?)));
            }
        }
        let others: Vec<_> = self.styles.iter().filter(|style| style.mask.is_none()).collect();
        if !others.is_empty() || regions.is_empty() {
            let place = if regions.is_empty() { Place::Everywhere } else { Place::Rest };
            regions.push((others, place));
        }
        Ok(regions)
    }
}

/// Repaints a photo with a model. `watch` sees each window before it is painted and returns `true` to stop.
pub async fn stylize(
    context: &Context,
    model: &Model,
    photo: &CompactPicture,
    pictures: &[Pixels],
    order: &Order,
    mut watch: impl FnMut(&Progress) -> bool,
) -> Result<CompactPicture, Failure> {
    let mut watch = |progress: &Progress| if watch(progress) { Err(stopped()) } else { Ok(()) };
    let mut painted = CompactPicture::like(photo, false)?;
    let regions = order.regions(pictures)?;
    match model {
        Model::Adain { painter: kept, files } => {
            let mut areas = Vec::new();
            for (styles, place) in regions {
                let mut sources = Vec::new();
                for style in styles {
                    let picture = style
                        .source
                        .and_then(|index| pictures.get(index))
                        .ok_or_else(|| Failure::argument("AdaIN needs a picture for each style: give its source"))?;
                    sources.push((Source::Picture(picture.picture()), style.weight));
                }
                if sources.is_empty() {
                    return Err(Failure::argument("AdaIN needs at least one style picture"));
                }
                areas.push(Area { styles: sources, place });
            }
            let default = AdainSettings::default();
            let strokes = order.strokes.unwrap_or(1.0);
            if !(strokes > 0.0 && strokes.is_finite()) {
                return Err(Failure::argument(format!("strokes must be above 0, got {strokes}")));
            }
            let settings = AdainSettings {
                alpha: order.alpha,
                keep_color: order.keep_color()?,
                coarse_size: default.coarse_size.map(|size| ((size as f32 / strokes).round() as usize).max(1)),
                budget: order.budget(),
                ..default
            };
            let mut own = kept.take().map_or_else(|| adain_painter(context, files), Ok)?;
            let outcome =
                adain::stylize_parts_async(&mut own, photo, &areas, &settings, &mut watch, &mut painted).await;
            kept.replace(Some(own));
            outcome?;
        }
        Model::Net { weights, painter: kept } => {
            let settings = FeedForwardSettings {
                keep_color: order.keep_color()?,
                budget: order.budget(),
                ..FeedForwardSettings::default()
            };
            if !(0.0..=1.0).contains(&order.alpha) {
                return Err(Failure::argument(format!("alpha must be 0 to 1, got {}", order.alpha)));
            }
            let mut layers = Vec::new();
            for (styles, place) in &regions {
                let mixture = mixture(&weights.styles, styles)?;
                let ready = kept.take().filter(|(known, _)| *known == mixture).map(|(_, painter)| painter);
                let mut own = ready.map_or_else(|| painter(context, weights, &mixture), Ok)?;
                let mut layer = CompactPicture::like(photo, false)?;
                let outcome =
                    feed_forward::stylize_parts_async(&mut own, photo, &settings, &mut watch, &mut layer).await;
                kept.replace(Some((mixture, own)));
                outcome?;
                layers.push((layer, place));
            }
            let mixed: Vec<_> =
                layers.iter().map(|(layer, _)| Mixed::new(photo, layer, order.alpha)).collect::<Result<_, _>>()?;
            let placed: Vec<(&dyn PixelSource, &Place)> =
                mixed.iter().zip(&layers).map(|(mixed, (_, place))| (mixed as &dyn PixelSource, *place)).collect();
            areas::compose(photo, &placed, &mut painted)?;
        }
    }
    match order.mask.map(|index| pictures.get(index).map(Pixels::picture)) {
        None => Ok(painted),
        Some(mask) => {
            let place = Place::Mask(mask.ok_or_else(|| Failure::argument("the mask has no picture"))?);
            let mut masked = CompactPicture::like(photo, false)?;
            areas::compose(photo, &[(&painted, &place)], &mut masked)?;
            Ok(masked)
        }
    }
}

/// The weight of each of the styles of a body; a net of one style has one.
fn mixture(names: &[String], styles: &[&Style]) -> Result<Vec<f32>, Failure> {
    if names.is_empty() {
        return Ok(vec![1.0]);
    }
    let mut weights = vec![0.0; names.len()];
    for style in styles {
        let name = style.name.as_deref().unwrap_or_default();
        let index = names.iter().position(|known| known == name).ok_or_else(|| {
            Failure::argument(format!("a style of this net must be one of {}, got `{name}`", names.join(", ")))
        })?;
        weights[index] += style.weight;
    }
    Ok(weights)
}
