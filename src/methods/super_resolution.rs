//! Enlargement of photos by super-resolution nets (arXiv:1603.08155, section 4.2).

use crate::io::{CompactPicture, Interpolation, Picture, PixelSink, PixelSource};
use crate::nets::super_resolution_net::{Enlarger, FACTORS};
use crate::nets::tiles::{Budget, Watch};
use crate::{Error, Result};

/// Enlarges `photo` (RGB 0..1) by `factor`, 2, 4 or 8. Alpha is enlarged by bicubic interpolation. The result is RGB
/// 0..1.
///
/// # Errors
/// Those of [`enlarge_parts_async`].
pub async fn enlarge_async(
    enlarger: &mut Enlarger,
    photo: &Picture,
    factor: usize,
    budget: &Budget,
) -> Result<Picture> {
    photo.check("enlarge", "photo")?;
    check(factor)?;
    let (width, height) = (factor * photo.width, factor * photo.height);
    let photo = photo.filled();
    let mut enlarged = match photo.alpha {
        Some(_) => photo.resize_with(Interpolation::Bicubic, width, height),
        None => Picture::new(width, height),
    };
    enlarge_parts_async(enlarger, photo.as_ref(), factor, budget, &mut |_| Ok(()), &mut enlarged).await?;
    Ok(enlarged)
}

/// [`enlarge_async`] for a photo that is read in parts, and a result that is written in parts. `sink` has `factor` times
/// the photo's sides; its alpha is unchanged. `watch` sees each window before it is enlarged.
///
/// A factor above that of the net takes two passes: by the net's factor, and by what is left. A factor below it takes
/// one, whose result is reduced.
///
/// # Errors
/// A factor that is not 2, 4 or 8; a photo too small for the net; a budget too small for the smallest window; values that
/// are not finite; those of `photo`, `watch` and `sink`.
pub async fn enlarge_parts_async(
    enlarger: &mut Enlarger,
    photo: &dyn PixelSource,
    factor: usize,
    budget: &Budget,
    watch: &mut Watch<'_>,
    sink: &mut dyn PixelSink,
) -> Result<()> {
    check(factor)?;
    let scale = enlarger.net().scale();
    if factor <= scale {
        return pass(enlarger, photo, factor, budget, watch, sink).await;
    }
    // The result of the first pass is rounded to 16 bits.
    let mut first = CompactPicture::new(scale * photo.width(), scale * photo.height(), true);
    pass(enlarger, photo, scale, budget, watch, &mut first).await?;
    pass(enlarger, &first, factor / scale, budget, watch, sink).await
}

fn check(factor: usize) -> Result<()> {
    match FACTORS.contains(&factor) {
        true => Ok(()),
        false => Err(Error::argument("enlarge", "scale", "2, 4 or 8", factor)),
    }
}

async fn pass(
    enlarger: &mut Enlarger,
    photo: &dyn PixelSource,
    factor: usize,
    budget: &Budget,
    watch: &mut Watch<'_>,
    sink: &mut dyn PixelSink,
) -> Result<()> {
    let mut paint = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>, part: Picture| {
        sink.write(&part, [columns.start, rows.start])
    };
    enlarger.enlarge_parts_async(photo, factor, budget, watch, &mut paint).await
}

/// [`enlarge_async`], waited for.
///
/// # Errors
/// Those of [`enlarge_async`].
#[cfg(feature = "blocking")]
pub fn enlarge(enlarger: &mut Enlarger, photo: &Picture, factor: usize, budget: &Budget) -> Result<Picture> {
    let context = enlarger.net().context().clone();
    context.block_on(enlarge_async(enlarger, photo, factor, budget))
}

/// [`enlarge_parts_async`], waited for.
///
/// # Errors
/// Those of [`enlarge_parts_async`].
#[cfg(feature = "blocking")]
pub fn enlarge_parts(
    enlarger: &mut Enlarger,
    photo: &dyn PixelSource,
    factor: usize,
    budget: &Budget,
    watch: &mut Watch<'_>,
    sink: &mut dyn PixelSink,
) -> Result<()> {
    let context = enlarger.net().context().clone();
    context.block_on(enlarge_parts_async(enlarger, photo, factor, budget, watch, sink))
}
