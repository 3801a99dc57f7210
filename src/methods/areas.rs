//! Which style applies where in a picture.

use crate::io::{Picture, PixelSink, PixelSource, Resized, strips};
use crate::nets::{Place, SharesByPart, shares};
use crate::{Error, Result};

/// A weighted mixture of styles and the area of the picture in which it applies.
#[derive(Clone, Debug)]
pub struct Area<S> {
    /// The styles with their weights. Only the ratios of the weights matter.
    pub styles: Vec<(S, f32)>,
    /// The area.
    pub place: Place,
}

impl<S> Area<S> {
    /// The mixture, everywhere.
    pub fn everywhere(styles: Vec<(S, f32)>) -> Self {
        Area { styles, place: Place::Everywhere }
    }
}

/// One style, everywhere.
impl<S> From<S> for Area<S> {
    fn from(style: S) -> Self {
        Area::everywhere(vec![(style, 1.0)])
    }
}

/// Refuses masks whose planes do not have the mask's size.
pub(super) fn check<'a>(places: impl IntoIterator<Item = &'a Place>) -> Result<()> {
    places.into_iter().try_for_each(|place| match place {
        Place::Mask(mask) => mask.check("stylize", "mask"),
        Place::Everywhere | Place::Rest => Ok(()),
    })
}

/// `painted` where a place applies, and `photo`, of the same size, elsewhere, with the alpha of `photo`.
pub(super) fn over(photo: &Picture, painted: Picture, places: &[&Place]) -> Picture {
    if places.iter().any(|place| !matches!(place, Place::Mask(_))) {
        // Nothing is left.
        return Picture { alpha: photo.alpha.clone(), ..painted };
    }
    let (_, left) = shares(places, [painted.height, painted.width]);
    over_rest(photo, painted, &left)
}

/// `painted` but for the shares `left` of `photo` in its pixels.
pub(super) fn over_rest(photo: &Picture, painted: Picture, left: &[f32]) -> Picture {
    let covered = left.iter().map(|left| 1.0 - left).collect();
    sum(photo, left, &[(&painted, covered)])
}

/// The sum of `photo` and of `layers`, pictures of the same size, by their shares in each pixel.
fn sum(photo: &Picture, share: &[f32], layers: &[(&Picture, Vec<f32>)]) -> Picture {
    let count = photo.pixels();
    let mut rgb = vec![0.0; 3 * count];
    let layers = layers.iter().map(|(layer, share)| (*layer, share.as_slice()));
    for (layer, share) in std::iter::once((photo, share)).chain(layers) {
        for (sums, values) in rgb.chunks_mut(count).zip(layer.rgb.chunks(count)) {
            sums.iter_mut().zip(values).zip(share).for_each(|((sum, value), share)| *sum += share * value);
        }
    }
    Picture { rgb, alpha: photo.alpha.clone(), ..*photo }
}

/// Puts `painted`, versions of `photo` of the same size, together: each where its place is, and the photo's own pixels
/// where there is none. `photo` is resampled to that size. The result is written in strips.
///
/// # Errors
/// No picture; pictures of different sizes; masks whose planes do not have their sizes; those of `sink`.
pub fn compose(
    photo: &dyn PixelSource,
    painted: &[(&dyn PixelSource, &Place)],
    sink: &mut dyn PixelSink,
) -> Result<()> {
    let Some((first, _)) = painted.first() else {
        return Err(Error::argument("stylize", "painted", "at least one picture", "none"));
    };
    let (width, height) = (first.width(), first.height());
    for (picture, _) in painted {
        if (picture.width(), picture.height()) != (width, height) {
            let expected = format!("pictures of one size, {width}x{height}");
            let got = format!("{}x{}", picture.width(), picture.height());
            return Err(Error::argument("stylize", "painted", expected, got));
        }
    }
    check(painted.iter().map(|(_, place)| *place))?;
    let shares = SharesByPart::new(painted.iter().map(|(_, place)| *place), [height, width]);
    let photo = Resized::new(photo, width, height);
    for rows in strips(width, height) {
        let (shares, left) = shares.part(rows.clone(), 0..width)?;
        let layers: Vec<_> =
            painted.iter().map(|(picture, _)| picture.read(rows.clone(), 0..width)).collect::<Result<_>>()?;
        let part = sum(&photo.read(rows.clone(), 0..width)?, &left, &layers.iter().zip(shares).collect::<Vec<_>>());
        sink.write(&part, [0, rows.start])?;
    }
    Ok(())
}
