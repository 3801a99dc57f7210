//! Feed-forward methods (Johnson, arXiv:1603.08155; Ulyanov, arXiv:1607.08022): one pass of a net that was trained for
//! one style.

use std::ops::Range;

use super::color::KeepColor;
use crate::io::{Picture, PixelSink, PixelSource, Resized, picture::scaled_size};
use crate::nets::image_transform_net::{Painter, Sampling};
use crate::nets::tiles::{Budget, Watch};
use crate::{Error, Result};

/// Settings of a feed-forward method.
#[derive(Clone, Copy, Debug)]
pub struct FeedForwardSettings {
    /// Long side of the result in pixels, at least 1; `None`: the photo's own size.
    pub size: Option<usize>,
    /// Whether the photo's colours are kept. [`KeepColor::Match`] is not possible, because a trained net has no style
    /// picture.
    pub keep_color: KeepColor,
    /// Whether a picture that is painted in windows gets exactly the result of one piece, which takes a pass for each
    /// instance norm. Else the norms use the statistics of a thumbnail, and one pass is enough (arXiv:2103.11784).
    pub exact: bool,
    /// Long side of the thumbnail in pixels, at least 1.
    pub thumbnail: usize,
    /// Memory, within which a picture is painted in windows if it does not fit in one piece.
    pub budget: Budget,
}

impl Default for FeedForwardSettings {
    fn default() -> Self {
        FeedForwardSettings {
            size: None,
            keep_color: KeepColor::No,
            exact: false,
            thumbnail: 1024,
            budget: Budget::default(),
        }
    }
}

/// Width and height of the result: `size` is its long side; `None` keeps the size of `photo`.
pub(super) fn result_size(size: Option<usize>, photo: &dyn PixelSource) -> (usize, usize) {
    let (width, height) = (photo.width(), photo.height());
    size.map_or((width, height), |size| scaled_size(width, height, size))
}

/// Repaints `photo` (RGB 0..1) and keeps its alpha. The result is RGB 0..1.
///
/// # Errors
/// [`KeepColor::Match`]; a size that is 0 or too small for the net; those of [`Painter::paint_parts_async`].
pub async fn stylize_async(painter: &mut Painter, photo: &Picture, settings: &FeedForwardSettings) -> Result<Picture> {
    photo.check("stylize", "photo")?;
    let (width, height) = result_size(settings.size, photo);
    let photo = photo.resize(width, height);
    let mut painted = Picture { alpha: photo.alpha.clone(), ..Picture::new(width, height) };
    stylize_parts_async(painter, &photo, settings, &mut |_| Ok(()), &mut painted).await?;
    Ok(painted)
}

/// [`stylize_async`] for a photo that is read in parts, and a result that is written in parts, so that neither has to be
/// in memory as planes of f32. `watch` sees each window before it is painted.
///
/// # Errors
/// Those of [`stylize_async`], `photo`, `watch` and `sink`.
pub async fn stylize_parts_async(
    painter: &mut Painter,
    photo: &dyn PixelSource,
    settings: &FeedForwardSettings,
    watch: &mut Watch<'_>,
    sink: &mut dyn PixelSink,
) -> Result<()> {
    if settings.keep_color == KeepColor::Match {
        return Err(Error::argument("stylize", "keep-color", "no or luminance with a trained net", "match"));
    }
    if settings.size == Some(0) || settings.thumbnail == 0 {
        return Err(Error::argument("stylize", "size", "at least 1", 0));
    }
    let (width, height) = result_size(settings.size, photo);
    let photo = Resized::new(photo, width, height);
    let mut finish = |rows: Range<usize>, columns: Range<usize>, mut part: Picture| {
        let at = [columns.start, rows.start];
        if settings.keep_color == KeepColor::Luminance {
            part = settings.keep_color.keep(part, &photo.read(rows, columns)?);
        }
        sink.write(&part, at)
    };
    let sampling = if settings.exact { Sampling::Exact } else { Sampling::Thumbnail(settings.thumbnail) };
    painter.paint_parts_async(&photo, sampling, &settings.budget, watch, &mut finish).await
}

/// [`stylize_async`], waited for.
///
/// # Errors
/// Those of [`stylize_async`].
#[cfg(feature = "blocking")]
pub fn stylize(painter: &mut Painter, photo: &Picture, settings: &FeedForwardSettings) -> Result<Picture> {
    let context = painter.net().context().clone();
    context.block_on(stylize_async(painter, photo, settings))
}

/// [`stylize_parts_async`], waited for.
///
/// # Errors
/// Those of [`stylize_parts_async`].
#[cfg(feature = "blocking")]
pub fn stylize_parts(
    painter: &mut Painter,
    photo: &dyn PixelSource,
    settings: &FeedForwardSettings,
    watch: &mut Watch<'_>,
    sink: &mut dyn PixelSink,
) -> Result<()> {
    let context = painter.net().context().clone();
    context.block_on(stylize_parts_async(painter, photo, settings, watch, sink))
}
