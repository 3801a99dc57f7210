//! Figures of a painted picture relative to the photo and the painting, measured by one teacher net for all methods.

use serde::Serialize;

use super::adain::{Features, Teacher};
use super::mesh::Mesh;
use super::{median, ssim};
use crate::Result;
use crate::io::Picture;

/// Figures of a painted picture.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Scores {
    /// Style distance from the painting, see [`Features::style_distance`].
    pub style_distance: f64,
    /// Content distance from the photo with the painting's statistics, see [`Features::content_distance`].
    pub content_distance: f64,
    /// Structural similarity to the photo, see [`ssim::ssim`].
    pub ssim: f64,
    /// Strength of the 8-pixel grid, see [`Mesh`].
    pub mesh: Mesh,
}

/// A picture and the teacher's features of it.
pub struct Measured {
    /// The picture.
    pub picture: Picture,
    /// The teacher's features of the picture.
    pub features: Features,
}

impl Measured {
    /// Measures `picture`.
    ///
    /// # Errors
    /// Those of [`Teacher::measure`].
    pub fn by(teacher: &Teacher, picture: Picture) -> Result<Self> {
        Ok(Measured { features: teacher.measure(&picture)?, picture })
    }
}

impl Scores {
    /// The figures of a picture that was painted from `photo` in the style of `painting`. The painting may have another
    /// size.
    ///
    /// # Errors
    /// A picture and photo of different sizes, or smaller than the window of [`ssim::ssim`].
    pub fn of(picture: &Measured, photo: &Measured, painting: &Features) -> Result<Self> {
        Ok(Scores {
            style_distance: picture.features.style_distance(painting),
            content_distance: picture.features.content_distance(&photo.features, painting),
            ssim: ssim::ssim(&picture.picture, &photo.picture)?,
            mesh: Mesh::of(&picture.picture),
        })
    }

    /// The median of each figure.
    ///
    /// # Panics
    /// If `scores` is empty.
    pub fn median(scores: &[Scores]) -> Self {
        let of = |figure: fn(&Scores) -> f64| median(scores.iter().map(figure).collect());
        Scores {
            style_distance: of(|scores| scores.style_distance),
            content_distance: of(|scores| scores.content_distance),
            ssim: of(|scores| scores.ssim),
            mesh: Mesh::median(&scores.iter().map(|scores| scores.mesh).collect::<Vec<_>>()),
        }
    }
}

/// The mean over the quarter (rounded up) of the largest figures.
///
/// # Panics
/// If `figures` is empty.
pub fn worst_quarter(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let worst = &sorted[..figures.len().div_ceil(4)];
    worst.iter().sum::<f64>() / worst.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_quarter_is_rounded_up() {
        assert_eq!(worst_quarter(&[3.0]), 3.0);
        assert_eq!(worst_quarter(&[1.0, 4.0, 3.0, 2.0]), 4.0);
        assert_eq!(worst_quarter(&[5.0, 1.0, 4.0, 3.0, 2.0]), 4.5);
        assert_eq!(worst_quarter(&[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]), 7.5);
    }
}
