//! Feed-forward methods (Johnson, arXiv:1603.08155; Ulyanov, arXiv:1607.08022): one pass of a net that was trained for
//! one style.

use super::advice;
use super::color::KeepColor;
use crate::io::{Picture, picture::scaled_size};
use crate::nets::image_transform_net::Painter;
use crate::{Error, Result};

/// Settings of a feed-forward method.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeedForwardSettings {
    /// Long side of the result in pixels, at least 1; `None`: the photo's own size.
    pub size: Option<usize>,
    /// Whether the photo's colours are kept. [`KeepColor::Match`] is not possible, because a trained net has no style
    /// picture.
    pub keep_color: KeepColor,
}

/// Width and height of the result: `size` is its long side; `None` keeps the size of `photo`.
pub(super) fn result_size(size: Option<usize>, photo: &Picture) -> (usize, usize) {
    match size {
        Some(size) => scaled_size(photo.width, photo.height, size),
        None => (photo.width, photo.height),
    }
}

/// Repaints `photo` (RGB 0..1) and keeps its alpha. The result is RGB 0..1.
///
/// # Errors
/// Before anything is allocated: [`KeepColor::Match`]; a size that is 0, too small for the net, or too large for the
/// device (with the largest that fits). Later: non-finite values; device errors.
pub async fn stylize_async(painter: &mut Painter, photo: &Picture, settings: &FeedForwardSettings) -> Result<Picture> {
    if settings.keep_color == KeepColor::Match {
        return Err(Error::argument("stylize", "keep-color", "no or luminance with a trained net", "match"));
    }
    if settings.size == Some(0) {
        return Err(Error::argument("stylize", "size", "at least 1", 0));
    }
    photo.check("stylize", "photo")?;
    let (width, height) = result_size(settings.size, photo);
    let plan = |size| {
        let (width, height) = scaled_size(photo.width, photo.height, size);
        painter.plan(width, height)
    };
    if !painter.is_ready(width, height) {
        advice::or_largest(painter.plan(width, height), width.max(height), plan)?;
    }
    let photo = photo.resize(width, height);
    Ok(settings.keep_color.keep(painter.paint_async(&photo).await?, &photo))
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
