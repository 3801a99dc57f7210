//! Structural similarity (Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
//! structural similarity", IEEE Transactions on Image Processing 13(4), 2004), computed on the host in f64.
//!
//! With μ, σ² and σ_xy the mean, variance and covariance of two luminances x and y under a Gaussian window, at each
//! position where the window lies inside the picture,
//!
//! ```text
//! SSIM = (2 μ_x μ_y + C1) (2 σ_xy + C2) / ((μ_x² + μ_y² + C1) (σ_x² + σ_y² + C2))        C1 = 0.01², C2 = 0.03²
//! ```
//! The result is the mean over all positions. Luminance is 0.299 R + 0.587 G + 0.114 B of the sRGB-encoded values.

use crate::io::Picture;
use crate::{Error, Result};

/// Side of the window in pixels, and the minimum side of a picture.
pub const WINDOW: usize = 11;
/// Standard deviation of the window in pixels.
const SIGMA: f64 = 1.5;

/// Mean structural similarity of two pictures of the same size, RGB 0..1: from -1 to 1, and 1 for equal pictures.
///
/// # Errors
/// Pictures of different sizes, or with a side below [`WINDOW`].
pub fn ssim(picture: &Picture, other: &Picture) -> Result<f64> {
    let size = [picture.width, picture.height];
    if size != [other.width, other.height] {
        let [expected, got] = [other, picture].map(|of| format!("{}x{}", of.width, of.height));
        return Err(Error::argument("ssim", "picture", expected, got));
    }
    if picture.width.min(picture.height) < WINDOW {
        let expected = format!("at least {WINDOW} px on its short side");
        return Err(Error::argument("ssim", "picture", expected, format!("{}x{}", size[0], size[1])));
    }
    Ok(of_planes([&luminance(picture), &luminance(other)], size))
}

/// [`ssim`] of two planes of `[width, height]`, neither below [`WINDOW`], with values 0..1.
pub(super) fn of_planes([x, y]: [&[f64]; 2], size: [usize; 2]) -> f64 {
    let window = window();
    let mean_of = |of: fn(f64, f64) -> f64| {
        let product: Vec<f64> = x.iter().zip(y).map(|(x, y)| of(*x, *y)).collect();
        windowed(&product, size, &window)
    };
    let [mean_x, mean_y] = [mean_of(|x, _| x), mean_of(|_, y| y)];
    let [xx, yy, xy] = [mean_of(|x, _| x * x), mean_of(|_, y| y * y), mean_of(|x, y| x * y)];
    let (c1, c2) = (0.01f64.powi(2), 0.03f64.powi(2));
    let at = |place: usize| {
        let (x, y) = (mean_x[place], mean_y[place]);
        let (variances, covariance) = (xx[place] - x * x + yy[place] - y * y, xy[place] - x * y);
        (2.0 * x * y + c1) * (2.0 * covariance + c2) / ((x * x + y * y + c1) * (variances + c2))
    };
    (0..xx.len()).map(at).sum::<f64>() / xx.len() as f64
}

fn luminance(picture: &Picture) -> Vec<f64> {
    let (red, rest) = picture.rgb.split_at(picture.pixels());
    let (green, blue) = rest.split_at(picture.pixels());
    let of = |((r, g), b): ((&f32, &f32), &f32)| 0.299 * f64::from(*r) + 0.587 * f64::from(*g) + 0.114 * f64::from(*b);
    red.iter().zip(green).zip(blue).map(of).collect()
}

/// The window in one dimension, with a sum of 1. The two-dimensional window is the product of two of these.
fn window() -> [f64; WINDOW] {
    let gauss = |place: usize| (-0.5 * ((place as f64 - (WINDOW / 2) as f64) / SIGMA).powi(2)).exp();
    let weights: [f64; WINDOW] = std::array::from_fn(gauss);
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

/// Weighted means at all positions where the window lies inside: `WINDOW - 1` fewer in each direction.
fn windowed(plane: &[f64], [width, height]: [usize; 2], window: &[f64; WINDOW]) -> Vec<f64> {
    let sum = |values: &mut dyn Iterator<Item = &f64>| values.zip(window).map(|(value, weight)| value * weight).sum();
    let across: Vec<f64> =
        plane.chunks(width).flat_map(|row| row.windows(WINDOW).map(|values| sum(&mut values.iter()))).collect();
    let width = width - WINDOW + 1;
    let down = |place: usize| sum(&mut across[place..].iter().step_by(width));
    (0..width * (height - WINDOW + 1)).map(down).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of reproducible values in 8-bit steps.
    fn picture(width: usize, height: usize, of: impl Fn(usize, usize, usize) -> usize) -> Picture {
        let at = |index: usize| (index / (width * height), index / width % height, index % width);
        let value = |index| {
            let (channel, row, column) = at(index);
            (of(channel, row, column) % 256) as f32 / 255.0
        };
        Picture { rgb: (0..3 * width * height).map(value).collect(), ..Picture::new(width, height) }
    }

    #[test]
    fn it_is_what_scikit_image_finds() {
        // Expected values: structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        // data_range=1) of scikit-image 0.26 on the same numbers, in f64.
        let smooth = |c: usize, i: usize, j: usize| 40 * c + 5 * i + 3 * j;
        let rough = |c: usize, i: usize, j: usize| (7 * i * i + 13 * j + 29 * c * j + 31 * i * j) % 251;
        let photo = picture(24, 17, smooth);
        let cases = [
            (picture(24, 17, rough), 0.025569190),
            (picture(24, 17, |c, i, j| smooth(c, i, j) + rough(c, i, j) / 8), 0.853246393),
            (picture(24, 17, |c, i, j| 255 - smooth(c, i, j) % 256), -0.412019534),
            (picture(24, 17, |_, _, _| 128), 0.422185808),
        ];
        for (index, (other, expected)) in cases.into_iter().enumerate() {
            let found = ssim(&photo, &other).unwrap();
            assert!((found - expected).abs() < 1e-6, "{index}: {found}, not {expected}");
            assert!((ssim(&other, &photo).unwrap() - found).abs() < 1e-12, "{index}");
        }
        // The smallest picture, with a single window position.
        let [a, b] = [picture(11, 11, rough), picture(11, 11, smooth)];
        assert!((ssim(&a, &b).unwrap() - 0.058213606).abs() < 1e-6, "{}", ssim(&a, &b).unwrap());
    }

    #[test]
    fn a_picture_is_like_itself_and_sizes_must_agree() {
        let photo = picture(13, 12, |c, i, j| 20 * c + 11 * i + 7 * j * j);
        assert!((ssim(&photo, &photo).unwrap() - 1.0).abs() < 1e-12);
        assert!(ssim(&photo, &Picture::new(12, 13)).unwrap_err().to_string().contains("12x13, got 13x12"));
        let small = Picture::new(10, 20);
        assert!(ssim(&small, &small).unwrap_err().to_string().contains("at least 11 px"));
    }
}
