//! Colour preservation (Gatys, Bethge, Hertzmann and Shechtman, arXiv:1606.05897).

use crate::Result;
use crate::io::{Picture, PixelSource, picture::LUMA, strips};

/// Whether and how the content's colours are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepColor {
    /// Not kept: the style's colours are part of the style.
    #[default]
    No,
    /// The result has the content's chrominance.
    Luminance,
    /// The style picture is first mapped to the content's mean colour and covariance.
    Match,
}

impl KeepColor {
    /// Gives `painted` the chrominance of `photo`, which has the same size, if `self` is `Luminance`. Alpha is not
    /// changed.
    pub(super) fn keep(self, painted: Picture, photo: &Picture) -> Picture {
        match self {
            KeepColor::Luminance => with_chrominance_of(&painted, photo),
            KeepColor::No | KeepColor::Match => painted,
        }
    }
}

/// Luma and colour differences of RGB (Rec. 601).
const TO_YCC: [[f32; 3]; 3] = [LUMA, [-0.168_736, -0.331_264, 0.5], [0.5, -0.418_688, -0.081_312]];

fn row(matrix: [f32; 3], pixel: [f32; 3]) -> f32 {
    matrix[0] * pixel[0] + matrix[1] * pixel[1] + matrix[2] * pixel[2]
}

/// The luminance of `picture` with the chrominance of `content`; both have the same size, RGB 0..1.
///
/// The chrominance is exactly the content's. Where no colour of 0..1 has both, the luminance is the nearest that one
/// has, so no channel is clamped on its own.
pub fn with_chrominance_of(picture: &Picture, content: &Picture) -> Picture {
    let mut result = picture.clone();
    let count = picture.pixels();
    for p in 0..count {
        let [new, old] = [picture, content].map(|from| [0, 1, 2].map(|c| from.rgb[c * count + p]));
        // A constant added to all three channels changes only the luminance, because the rows of both differences sum
        // to 0.
        let shift = row(TO_YCC[0], new) - row(TO_YCC[0], old);
        let [least, greatest] = [old.into_iter().fold(1.0, f32::min), old.into_iter().fold(0.0, f32::max)];
        let shift = shift.max(-least).min(1.0 - greatest);
        for c in 0..3 {
            result.rgb[c * count + p] = old[c] + shift;
        }
    }
    result
}

/// Chrominance (Cb, Cr) of every pixel, each in -0.5..0.5.
pub fn chrominance(picture: &Picture) -> Vec<[f32; 2]> {
    let count = picture.pixels();
    let of = |p: usize| {
        let pixel = [0, 1, 2].map(|c| picture.rgb[c * count + p]);
        [row(TO_YCC[1], pixel), row(TO_YCC[2], pixel)]
    };
    (0..count).map(of).collect()
}

type Matrix = [[f64; 3]; 3];

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

/// Mean colour and covariance matrix of the visible pixels, weighted by alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colors {
    mean: [f64; 3],
    covariance: Matrix,
}

impl Colors {
    /// The colours of a picture, which is read in strips.
    pub fn of(source: &dyn PixelSource) -> Result<Self> {
        // Sums of differences from the middle of the range.
        const MIDDLE: f64 = 0.5;
        let (mut total, mut sums, mut products) = (0.0, [0.0; 3], [[0.0; 3]; 3]);
        for rows in strips(source.width(), source.height()) {
            let part = source.read(rows, 0..source.width())?;
            let count = part.pixels();
            for pixel in 0..count {
                let weight = part.alpha.as_ref().map_or(1.0, |alpha| f64::from(alpha[pixel]));
                let value = [0, 1, 2].map(|c| f64::from(part.rgb[c * count + pixel]) - MIDDLE);
                total += weight;
                for a in 0..3 {
                    sums[a] += weight * value[a];
                    (0..3).for_each(|b| products[a][b] += weight * value[a] * value[b]);
                }
            }
        }
        // The bound avoids a division by zero for a picture without a visible pixel.
        let total: f64 = f64::max(total, 1e-9);
        let mean = sums.map(|sum| sum / total);
        let covariance = [0, 1, 2].map(|a| [0, 1, 2].map(|b| products[a][b] / total - mean[a] * mean[b]));
        Ok(Colors { mean: mean.map(|mean| mean + MIDDLE), covariance })
    }

    /// The colours of a picture in memory.
    fn of_picture(picture: &Picture) -> Self {
        Self::of(picture).unwrap_or_else(|error| unreachable!("a picture in memory is read: {error}"))
    }
}

/// Eigenvalues and eigenvectors (as columns) of a symmetric matrix, by Jacobi rotations.
fn eigen(mut a: Matrix) -> ([f64; 3], Matrix) {
    let mut vectors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for _ in 0..24 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if a[p][q].abs() < 1e-18 {
                continue;
            }
            let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
            let (sin, cos) = angle.sin_cos();
            let mut turn = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
            (turn[p][p], turn[q][q], turn[p][q], turn[q][p]) = (cos, cos, sin, -sin);
            let transposed = [0, 1, 2].map(|i| [0, 1, 2].map(|j| turn[j][i]));
            a = product(&product(&transposed, &a), &turn);
            vectors = product(&vectors, &turn);
        }
    }
    ([a[0][0], a[1][1], a[2][2]], vectors)
}

/// A power of a covariance matrix. Eigenvalues are bounded away from 0, for pictures of one colour.
fn power(covariance: Matrix, exponent: f64) -> Matrix {
    let (values, vectors) = eigen(covariance);
    let powers = values.map(|value| value.max(1e-6).powf(exponent));
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| (0..3).map(|k| vectors[i][k] * powers[k] * vectors[j][k]).sum()))
}

/// Maps the colours of `style` affinely to the mean colour and covariance of `content` (section 3.1 of the paper, with
/// symmetric square roots). The result is clamped to 0..1.
pub fn with_colors_of(style: &Picture, content: &Picture) -> Picture {
    recoloured(style, &Colors::of_picture(content))
}

/// [`with_colors_of`] a picture with the colours `content`.
pub(super) fn recoloured(style: &Picture, content: &Colors) -> Picture {
    let Colors { mean: style_mean, covariance: style_covariance } = Colors::of_picture(style);
    let Colors { mean, covariance } = *content;
    let map = product(&power(covariance, 0.5), &power(style_covariance, -0.5));
    let mut result = style.clone();
    let count = style.pixels();
    for p in 0..count {
        let pixel = [0, 1, 2].map(|c| f64::from(style.rgb[c * count + p]) - style_mean[c]);
        for c in 0..3 {
            let value = mean[c] + (0..3).map(|k| map[c][k] * pixel[k]).sum::<f64>();
            result.rgb[c * count + p] = value.clamp(0.0, 1.0) as f32;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn picture(seed: u64, scale: [f32; 3], offset: [f32; 3]) -> Picture {
        let mut random = Random::new(seed);
        let mut picture = Picture::new(40, 30);
        for p in 0..1200 {
            let shared = random.uniform() - 0.5;
            for c in 0..3 {
                picture.rgb[c * 1200 + p] = offset[c] + scale[c] * (shared + 0.4 * (random.uniform() - 0.5));
            }
        }
        picture
    }

    #[test]
    fn luminance_keeps_the_contents_chrominance() {
        let content = picture(1, [0.3, 0.2, 0.1], [0.5, 0.4, 0.6]);
        let result = with_chrominance_of(&picture(2, [0.1, 0.3, 0.3], [0.3, 0.6, 0.4]), &content);
        for (a, b) in chrominance(&result).iter().zip(chrominance(&content)) {
            assert!((a[0] - b[0]).abs() < 1e-5 && (a[1] - b[1]).abs() < 1e-5);
        }
        assert_ne!(result.rgb, content.rgb);
    }

    #[test]
    fn luminance_stays_in_gamut_without_a_change_of_colour() {
        // Strong colours, and luminances that none of them can have.
        let content = picture(1, [0.9, 0.5, 0.8], [0.55, 0.4, 0.5]);
        let content = Picture { rgb: content.rgb.iter().map(|value| value.clamp(0.0, 1.0)).collect(), ..content };
        let painted = picture(2, [0.9; 3], [0.5; 3]);
        let painted = Picture { rgb: painted.rgb.iter().map(|value| value.clamp(0.0, 1.0)).collect(), ..painted };
        let result = with_chrominance_of(&painted, &content);
        assert!(result.rgb.iter().all(|value| (-1e-6..1.0 + 1e-6).contains(value)));
        for (a, b) in chrominance(&result).iter().zip(chrominance(&content)) {
            assert!((a[0] - b[0]).abs() < 1e-5 && (a[1] - b[1]).abs() < 1e-5);
        }
        let luma = |of: &Picture, p: usize| row(TO_YCC[0], [0, 1, 2].map(|c| of.rgb[c * 1200 + p]));
        // The luminance is the painted one, or the nearest to it that the colour allows.
        let mut limited = 0;
        for p in 0..1200 {
            let [wanted, got, old] = [&painted, &result, &content].map(|of| luma(of, p));
            let channels = [0, 1, 2].map(|c| result.rgb[c * 1200 + p]);
            let at_limit = channels.iter().any(|value| *value < 1e-6 || *value > 1.0 - 1e-6);
            assert!(
                (got - wanted).abs() < 1e-5
                    || (at_limit && (old..=wanted).contains(&got) | (wanted..=old).contains(&got))
            );
            limited += usize::from(at_limit);
        }
        assert!((50..1000).contains(&limited), "{limited}");
    }

    #[test]
    fn matching_gives_the_contents_mean_and_covariance() {
        let content = picture(3, [0.3, 0.2, 0.25], [0.5, 0.45, 0.55]);
        let result = with_colors_of(&picture(4, [0.1, 0.3, 0.3], [0.3, 0.6, 0.4]), &content);
        let [Colors { mean, covariance }, Colors { mean: wanted_mean, covariance: wanted }] =
            [&result, &content].map(Colors::of_picture);
        for i in 0..3 {
            assert!((mean[i] - wanted_mean[i]).abs() < 1e-4, "{mean:?} {wanted_mean:?}");
            for j in 0..3 {
                assert!((covariance[i][j] - wanted[i][j]).abs() < 1e-4, "{covariance:?} {wanted:?}");
            }
        }
    }

    #[test]
    fn hidden_pixels_have_no_part_in_the_colours() {
        let content = picture(6, [0.3, 0.2, 0.25], [0.5, 0.45, 0.55]);
        let half = |hidden: f32| {
            let mut half = content.clone();
            half.alpha = Some((0..1200).map(|pixel| if pixel < 600 { 1.0 } else { 0.0 }).collect());
            half.rgb.chunks_mut(600).skip(1).step_by(2).for_each(|plane| plane.fill(hidden));
            half
        };
        let visible = Picture::from_rgb(40, 15, content.rgb.chunks(600).step_by(2).collect::<Vec<_>>().concat());
        let expected = Colors::of_picture(&visible.unwrap());
        assert_eq!(Colors::of_picture(&half(0.0)), Colors::of_picture(&half(1.0)));
        let Colors { mean, covariance } = Colors::of_picture(&half(0.0));
        for i in 0..3 {
            assert!(
                (mean[i] - expected.mean[i]).abs() < 1e-9
                    && (covariance[i][i] - expected.covariance[i][i]).abs() < 1e-9
            );
        }
    }

    #[test]
    fn a_style_of_one_colour_becomes_the_contents_mean() {
        let content = picture(5, [0.3, 0.2, 0.25], [0.5, 0.45, 0.55]);
        let mut grey = Picture::new(8, 8);
        grey.rgb.fill(0.25);
        let result = with_colors_of(&grey, &content);
        assert!(result.rgb.iter().all(|v| v.is_finite()));
        assert!((f64::from(result.rgb[0]) - Colors::of_picture(&content).mean[0]).abs() < 1e-4);
    }
}
