//! Where a style applies: in the whole photo, under a mask, or in the rest.

use crate::gpu::{Context, DeviceTensor};
use crate::io::Picture;
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
    let mut shares: Vec<Vec<f32>> = places
        .iter()
        .map(|place| match place {
            Place::Everywhere => vec![1.0; height * width],
            Place::Mask(mask) => mask.mask(width, height),
            Place::Rest => vec![0.0; height * width],
        })
        .collect();
    let rests = places.iter().filter(|place| matches!(place, Place::Rest)).count() as f32;
    let mut left = vec![1.0; height * width];
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

/// The square roots of [`visible`], for the features of a Gram matrix.
///
/// # Errors
/// A picture without a visible pixel.
pub(crate) fn visible_mask(context: &Context, picture: &Picture, size: [usize; 2]) -> Result<Option<DeviceTensor>> {
    let roots = |weights: Vec<f32>| weights.into_iter().map(f32::sqrt).collect::<Vec<_>>();
    let mask = visible(picture, size)?.map(roots);
    mask.map(|mask| DeviceTensor::from_values(context, "visible pixels", size, &mask)).transpose()
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
    fn weights_are_divided_by_their_mean() {
        assert_eq!(normalised(vec![1.0, 0.0, 0.5, 0.5]), (vec![2.0, 0.0, 1.0, 1.0], 0.5));
        assert_eq!(normalised(vec![0.0; 2]), (vec![0.0; 2], 0.0));
    }
}
