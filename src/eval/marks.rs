//! Figures of a painted picture relative to the photo and the painting, measured by one teacher net for all methods.

use serde::Serialize;

use super::adain::{Judge, Sight};
use super::mesh::Mesh;
use super::{median, ssim};
use crate::Result;
use crate::io::Picture;

/// Figures of a painted picture.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Marks {
    /// Style distance from the painting, see [`Sight::style_distance`].
    pub style_distance: f64,
    /// Content distance from the photo with the painting's statistics, see [`Sight::content_distance`].
    pub content_distance: f64,
    /// Structural similarity to the photo, see [`ssim::ssim`].
    pub ssim: f64,
    /// Strength of the 8-pixel grid, see [`Mesh`].
    pub mesh: Mesh,
}

/// A picture and the teacher's features of it.
pub struct Seen {
    /// The picture.
    pub picture: Picture,
    /// The teacher's features of the picture.
    pub sight: Sight,
}

impl Seen {
    /// Measures `picture`.
    ///
    /// # Errors
    /// Those of [`Judge::see`].
    pub fn by(judge: &Judge, picture: Picture) -> Result<Self> {
        Ok(Seen { sight: judge.see(&picture)?, picture })
    }
}

impl Marks {
    /// The figures of a picture that was painted from `photo` in the style of `painting`. The painting may have another
    /// size.
    ///
    /// # Errors
    /// A picture and photo of different sizes, or smaller than the window of [`ssim::ssim`].
    pub fn of(picture: &Seen, photo: &Seen, painting: &Sight) -> Result<Self> {
        Ok(Marks {
            style_distance: picture.sight.style_distance(painting),
            content_distance: picture.sight.content_distance(&photo.sight, painting),
            ssim: ssim::ssim(&picture.picture, &photo.picture)?,
            mesh: Mesh::of(&picture.picture),
        })
    }

    /// The median of each figure.
    ///
    /// # Panics
    /// If `marks` is empty.
    pub fn median(marks: &[Marks]) -> Self {
        let of = |figure: fn(&Marks) -> f64| median(marks.iter().map(figure).collect());
        Marks {
            style_distance: of(|marks| marks.style_distance),
            content_distance: of(|marks| marks.content_distance),
            ssim: of(|marks| marks.ssim),
            mesh: Mesh::median(&marks.iter().map(|marks| marks.mesh).collect::<Vec<_>>()),
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
