//! Where a style applies: in the whole photo, under a mask, or in the rest.

use std::cell::RefCell;
use std::ops::Range;

use crate::io::{Picture, PixelSource, Resized};
use crate::{Error, Result};

/// The region of a style.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// The whole photo.
    #[default]
    Everywhere,
    /// A mask of any size, stretched over the photo: see [`Picture::mask`].
    Mask(Picture),
    /// What all masks leave.
    Rest,
}

/// The share of each place in every pixel of a picture of `[height, width]`, and what all places leave. Where masks
/// overlap to a sum above 1, they are scaled down to 1.
pub(crate) fn shares(places: &[&Place], [height, width]: [usize; 2]) -> (Vec<Vec<f32>>, Vec<f32>) {
    share_out(places, height * width, |mask| mask.mask(width, height))
}

/// [`shares`] with the pixels of each mask.
fn share_out(places: &[&Place], count: usize, pixels: impl Fn(&Picture) -> Vec<f32>) -> (Vec<Vec<f32>>, Vec<f32>) {
    let mut shares: Vec<Vec<f32>> = places
        .iter()
        .map(|place| match place {
            Place::Everywhere => vec![1.0; count],
            Place::Mask(mask) => pixels(mask),
            Place::Rest => vec![0.0; count],
        })
        .collect();
    let rests = places.iter().filter(|place| matches!(place, Place::Rest)).count() as f32;
    let mut left = vec![1.0; count];
    for (pixel, left) in left.iter_mut().enumerate() {
        let sum: f32 = shares.iter().map(|share| share[pixel]).sum();
        for (place, share) in places.iter().zip(&mut shares) {
            share[pixel] = match place {
                Place::Rest => (1.0 - sum).max(0.0) / rests,
                _ => share[pixel] / sum.max(1.0),
            };
        }
        *left = if rests > 0.0 { 0.0 } else { (1.0 - sum).max(0.0) };
    }
    (shares, left)
}

/// The [`shares`] of a picture of `size` `[height, width]`, of which only a part is computed at a time.
pub(crate) struct SharesByPart {
    /// The places, with the masks as opaque grey pictures of their own sizes.
    places: Vec<Place>,
    size: [usize; 2],
}

impl SharesByPart {
    pub fn new<'a>(places: impl IntoIterator<Item = &'a Place>, size: [usize; 2]) -> Self {
        let grey = |place: &Place| match place {
            Place::Mask(mask) => {
                let rgb = mask.mask(mask.width, mask.height).repeat(3);
                Place::Mask(Picture { rgb, alpha: None, ..*mask })
            }
            place => place.clone(),
        };
        SharesByPart { places: places.into_iter().map(grey).collect(), size }
    }

    /// Whether the places cover every pixel, so that nothing is left.
    pub fn covers(&self) -> bool {
        self.places.iter().any(|place| !matches!(place, Place::Mask(_)))
    }

    /// The shares in a part of the picture.
    pub fn part(&self, rows: Range<usize>, columns: Range<usize>) -> Result<(Vec<Vec<f32>>, Vec<f32>)> {
        let ([height, width], count) = (self.size, rows.len() * columns.len());
        let mut masks = Vec::new();
        for place in &self.places {
            if let Place::Mask(mask) = place {
                let mut mask = Resized::new(mask, width, height).read(rows.clone(), columns.clone())?.rgb;
                mask.truncate(count);
                masks.push(mask);
            }
        }
        let masks = RefCell::new(masks.into_iter());
        let next = |_: &Picture| masks.borrow_mut().next().expect("the pixels of each mask");
        Ok(share_out(&self.places.iter().collect::<Vec<_>>(), count, next))
    }
}

/// Divides weights by their mean. Also gives the mean. If all are 0, they stay 0.
pub(crate) fn normalised(mut weights: Vec<f32>) -> (Vec<f32>, f32) {
    let mean = (weights.iter().map(|&weight| f64::from(weight)).sum::<f64>() / weights.len().max(1) as f64) as f32;
    if mean > 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= mean);
    }
    (weights, mean)
}

/// The weight of each pixel of a style picture in its statistics at `[height, width]`: alpha, divided by its mean.
/// `None` if the picture is opaque.
///
/// # Errors
/// A picture without a visible pixel.
pub(crate) fn visible(picture: &Picture, [height, width]: [usize; 2]) -> Result<Option<Vec<f32>>> {
    let Some(alpha) = picture.alpha_at(width, height) else { return Ok(None) };
    match normalised(alpha) {
        (weights, mean) if mean > 0.0 => Ok(Some(weights)),
        _ => Err(Error::argument("style", "style", "a picture with visible pixels", "a transparent one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grey mask of one row.
    fn row(values: &[f32]) -> Place {
        Place::Mask(Picture::from_rgb(values.len(), 1, values.repeat(3)).unwrap())
    }

    #[test]
    fn masks_share_and_the_rest_gets_what_they_leave() {
        let (a, b) = (row(&[1.0, 0.5, 0.0]), row(&[1.0, 0.25, 0.0]));
        let (shares, left) = super::shares(&[&a, &b], [1, 3]);
        assert_eq!(shares, [[0.5, 0.5, 0.0], [0.5, 0.25, 0.0]]);
        assert_eq!(left, [0.0, 0.25, 1.0]);
        let (shares, left) = super::shares(&[&a, &b, &Place::Rest], [1, 3]);
        assert_eq!(shares[2], [0.0, 0.25, 1.0]);
        assert_eq!(left, [0.0; 3]);
        let (shares, left) = super::shares(&[&Place::Everywhere], [2, 1]);
        assert_eq!((shares, left), (vec![vec![1.0; 2]], vec![0.0; 2]));
    }

    #[test]
    fn shares_of_parts_are_those_of_the_whole() {
        let mask = |rgb: [f32; 3]| Place::Mask(Picture::from_rgb(3, 1, rgb.repeat(3)).unwrap());
        let places = [mask([1.0, 0.5, 0.0]), mask([0.2, 0.9, 0.1]), Place::Rest];
        for places in [&places[..2], &places[..]] {
            let (whole, left) = super::shares(&places.iter().collect::<Vec<_>>(), [4, 10]);
            let parts = SharesByPart::new(places, [4, 10]);
            assert_eq!(parts.covers(), places.len() == 3);
            let (shares, part_left) = parts.part(1..3, 4..9).unwrap();
            let cut = |plane: &[f32]| [&plane[14..19], &plane[24..29]].concat();
            let close = |a: &[f32], b: &[f32]| a.iter().zip(cut(b)).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(close(&part_left, &left) && shares.iter().zip(&whole).all(|(a, b)| close(a, b)));
        }
    }

    #[test]
    fn weights_are_divided_by_their_mean() {
        assert_eq!(normalised(vec![1.0, 0.0, 0.5, 0.5]), (vec![2.0, 0.0, 1.0, 1.0], 0.5));
        assert_eq!(normalised(vec![0.0; 2]), (vec![0.0; 2], 0.0));
    }
}
