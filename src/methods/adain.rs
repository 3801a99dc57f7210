//! AdaIN (arXiv:1703.06868): repaints any photo in any style, with one pass of encoder and decoder for each scale.

use std::ops::Range;

use super::color::{self, Colors, KeepColor};
use super::feed_forward;
use super::{areas, areas::Area};
use crate::io::{Mixed, Picture, PixelSink, PixelSource, Resized};
use crate::nets::adain_painter::{AdainStyle, Region};
use crate::nets::tiles::{Budget, Watch};
use crate::nets::{AdainPainter, SharesByPart, Vgg19};
use crate::{Error, Result};

/// Settings of AdaIN.
#[derive(Clone, Copy, Debug)]
pub struct AdainSettings {
    /// Long side of the result in pixels, at least 1; `None`: the photo's own size.
    pub size: Option<usize>,
    /// Whether and how the photo's colours are kept.
    pub keep_color: KeepColor,
    /// Strength of the style, 0..1. At 0 the result is the decoder's reconstruction of the photo.
    pub alpha: f32,
    /// Maximum long side of style pictures in pixels, at least 1; larger ones are reduced.
    pub style_size: usize,
    /// Approximate long side of the coarsest pass in pixels, at least 1. A larger result is first painted at a half, a
    /// quarter, ... of its size, and each further pass starts from the enlarged result of the previous one. Brush
    /// strokes then keep their size relative to the picture. `None`: one pass, with strokes as fine as the photo's
    /// pixels allow.
    pub coarse_size: Option<usize>,
    /// Memory, within which a picture is painted in windows if it does not fit in one piece.
    pub budget: Budget,
}

impl Default for AdainSettings {
    fn default() -> Self {
        AdainSettings {
            size: None,
            keep_color: KeepColor::No,
            alpha: 1.0,
            style_size: 512,
            coarse_size: Some(512),
            budget: Budget::default(),
        }
    }
}

/// A style, as a picture or as statistics.
#[derive(Clone, Debug)]
pub enum Source {
    /// A style picture, RGB 0..1.
    Picture(Picture),
    /// Statistics of a style picture, measured earlier.
    Style(AdainStyle),
}

impl Source {
    /// The style's statistics. A picture is first reduced to a long side of at most `style_size` pixels.
    ///
    /// # Errors
    /// Those of [`AdainStyle::measure`].
    pub async fn measured_async(&self, encoder: &Vgg19, style_size: usize, budget: &Budget) -> Result<AdainStyle> {
        match self {
            Source::Style(style) => Ok(style.clone()),
            Source::Picture(picture) => {
                AdainStyle::measure_within_async(encoder, &reduced(picture, style_size)?, budget).await
            }
        }
    }

    /// [`measured_async`](Source::measured_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn measured(&self, encoder: &Vgg19, style_size: usize, budget: &Budget) -> Result<AdainStyle> {
        encoder.context().block_on(self.measured_async(encoder, style_size, budget))
    }

    /// This source with its picture in the colours of a photo.
    fn recoloured(&self, photo: &Colors, style_size: usize) -> Result<Source> {
        match self {
            Source::Style(_) => {
                Err(Error::argument("stylize", "keep-color", "no or luminance with a saved style", "match"))
            }
            Source::Picture(picture) => Ok(Source::Picture(color::recoloured(&reduced(picture, style_size)?, photo))),
        }
    }
}

fn reduced(picture: &Picture, style_size: usize) -> Result<Picture> {
    picture.check("stylize", "style")?;
    Ok(picture.fit(style_size.min(picture.width.max(picture.height))))
}

impl Area<Source> {
    async fn mixed(&self, encoder: &Vgg19, style_size: usize, budget: &Budget) -> Result<AdainStyle> {
        let mut measured = Vec::new();
        for (source, weight) in &self.styles {
            measured.push((source.measured_async(encoder, style_size, budget).await?, *weight));
        }
        AdainStyle::mix(&measured)
    }

    /// This area with the statistics of its pictures measured, for use with many photos.
    ///
    /// # Errors
    /// Those of [`AdainStyle::measure`] and [`AdainStyle::mix`].
    pub async fn measured_async(&self, encoder: &Vgg19, style_size: usize, budget: &Budget) -> Result<Self> {
        let style = self.mixed(encoder, style_size, budget).await?;
        Ok(Area { styles: vec![(Source::Style(style), 1.0)], place: self.place.clone() })
    }

    /// [`measured_async`](Area::measured_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn measured(&self, encoder: &Vgg19, style_size: usize, budget: &Budget) -> Result<Self> {
        encoder.context().block_on(self.measured_async(encoder, style_size, budget))
    }

    fn recoloured(&self, photo: &Colors, style_size: usize) -> Result<Self> {
        let styles = self.styles.iter().map(|(source, weight)| Ok((source.recoloured(photo, style_size)?, *weight)));
        Ok(Area { styles: styles.collect::<Result<_>>()?, place: self.place.clone() })
    }
}

/// Repaints `photo` (RGB 0..1) in the styles of `areas` and keeps its alpha. Where no area applies, the result has the
/// photo's own pixels. The result is RGB 0..1.
///
/// # Errors
/// A size that is 0 or too small for the nets; those of [`AdainPainter::paint_parts_async`], [`AdainStyle::measure`] and
/// [`AdainStyle::mix`]; [`KeepColor::Match`] with a style whose picture is not available.
pub async fn stylize_async(
    painter: &mut AdainPainter,
    photo: &Picture,
    areas: &[Area<Source>],
    settings: &AdainSettings,
) -> Result<Picture> {
    photo.check("stylize", "photo")?;
    let (width, height) = feed_forward::result_size(settings.size, photo);
    let photo = photo.resize(width, height);
    let mut painted = Picture { alpha: photo.alpha.clone(), ..Picture::new(width, height) };
    stylize_parts_async(painter, &photo, areas, settings, &mut |_| Ok(()), &mut painted).await?;
    Ok(painted)
}

/// [`stylize_async`] for a photo that is read in parts, and a result that is written in parts, so that neither has to be
/// in memory as planes of f32. `watch` sees each window before it is painted.
///
/// # Errors
/// Those of [`stylize_async`], `photo`, `watch` and `sink`.
pub async fn stylize_parts_async(
    painter: &mut AdainPainter,
    photo: &dyn PixelSource,
    areas: &[Area<Source>],
    settings: &AdainSettings,
    watch: &mut Watch<'_>,
    sink: &mut dyn PixelSink,
) -> Result<()> {
    if settings.size == Some(0) || settings.style_size == 0 || settings.coarse_size == Some(0) {
        return Err(Error::argument("stylize", "size", "at least 1", 0));
    }
    areas::check(areas.iter().map(|area| &area.place))?;
    let (width, height) = feed_forward::result_size(settings.size, photo);
    let photo = Resized::new(photo, width, height);
    let colors = match settings.keep_color {
        KeepColor::Match => Some(Colors::of(&photo)?),
        _ => None,
    };
    let mut regions = Vec::new();
    for area in areas {
        let recoloured = colors.as_ref().map(|colors| area.recoloured(colors, settings.style_size)).transpose()?;
        let style =
            recoloured.as_ref().unwrap_or(area).mixed(painter.encoder(), settings.style_size, &settings.budget).await?;
        regions.push(Region { style, place: area.place.clone(), strength: settings.alpha });
    }
    let shares = SharesByPart::new(areas.iter().map(|area| &area.place), [height, width]);
    let mut finish = |rows: Range<usize>, columns: Range<usize>, mut part: Picture| {
        let at = [columns.start, rows.start];
        if settings.keep_color == KeepColor::Luminance || !shares.covers() {
            let own = photo.read(rows.clone(), columns.clone())?;
            part = settings.keep_color.keep(part, &own);
            if !shares.covers() {
                part = areas::over_rest(&own, part, &shares.part(rows, columns)?.1);
            }
        }
        sink.write(&part, at)
    };
    let mut coarser: Option<Picture> = None;
    let passes = sides(width.max(height), settings.coarse_size.unwrap_or(usize::MAX));
    for (pass, side) in passes.iter().enumerate() {
        let is_last = pass + 1 == passes.len();
        let (width, height) = if is_last { (width, height) } else { feed_forward::result_size(Some(*side), &photo) };
        // An elongated picture can be too narrow for the coarsest passes.
        if width.min(height) < painter.least_side() && !is_last {
            continue;
        }
        let own = Resized::new(&photo, width, height);
        let enlarged = coarser.as_ref().map(|coarser| Resized::new(coarser, width, height));
        let mixed = enlarged.as_ref().map(|enlarged| Mixed::new(&own, enlarged, settings.alpha)).transpose()?;
        let base: &dyn PixelSource = mixed.as_ref().map_or(&own, |mixed| mixed);
        if is_last {
            return painter.paint_parts_async(base, &regions, &settings.budget, watch, &mut finish).await;
        }
        let mut painted = Picture::new(width, height);
        let mut paste = |rows: Range<usize>, columns: Range<usize>, part: Picture| {
            painted.paste(&part, [columns.start, rows.start]);
            Ok(())
        };
        painter.paint_parts_async(base, &regions, &settings.budget, watch, &mut paste).await?;
        coarser = Some(painted);
    }
    unreachable!("the last pass returns")
}

/// [`stylize_async`], waited for.
///
/// # Errors
/// Those of [`stylize_async`].
#[cfg(feature = "blocking")]
pub fn stylize(
    painter: &mut AdainPainter,
    photo: &Picture,
    areas: &[Area<Source>],
    settings: &AdainSettings,
) -> Result<Picture> {
    let context = painter.encoder().context().clone();
    context.block_on(stylize_async(painter, photo, areas, settings))
}

/// [`stylize_parts_async`], waited for.
///
/// # Errors
/// Those of [`stylize_parts_async`].
#[cfg(feature = "blocking")]
pub fn stylize_parts(
    painter: &mut AdainPainter,
    photo: &dyn PixelSource,
    areas: &[Area<Source>],
    settings: &AdainSettings,
    watch: &mut Watch<'_>,
    sink: &mut dyn PixelSink,
) -> Result<()> {
    let context = painter.encoder().context().clone();
    context.block_on(stylize_parts_async(painter, photo, areas, settings, watch, sink))
}

/// Long sides of the passes, coarse to fine. The last is `side`, and each earlier one is half the next; the first is at
/// most 4/3 of `coarse`.
fn sides(side: usize, coarse: usize) -> Vec<usize> {
    let halves = std::iter::successors(Some(side), |side| Some(side.div_ceil(2)));
    let last = |side: &usize| side.saturating_mul(3) <= coarse.saturating_mul(4);
    let above: Vec<_> = halves.clone().take_while(|side| !last(side)).collect();
    let mut all: Vec<_> = halves.take(above.len() + 1).collect();
    all.reverse();
    all
}

#[cfg(test)]
mod tests {
    use super::sides;

    #[test]
    fn passes_halve_down_to_about_the_coarsest() {
        assert_eq!(sides(512, 512), [512]);
        assert_eq!(sides(682, 512), [682]);
        assert_eq!(sides(683, 512), [342, 683]);
        assert_eq!(sides(1024, 512), [512, 1024]);
        assert_eq!(sides(3001, 512), [376, 751, 1501, 3001]);
        assert_eq!(sides(3000, usize::MAX), [3000]);
        assert_eq!(sides(1, 1), [1]);
    }
}
