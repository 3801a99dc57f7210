//! How good a trained net is: an encoder against the real one, nets that paint against Gatys' method or each other.

pub mod adain;
pub mod encoder;
pub mod feed_forward;
pub mod marks;
pub mod mesh;
pub mod ssim;

use crate::io::Picture;

/// The peak signal-to-noise ratio of a copy in dB, of a range of 0..1.
pub fn signal_to_noise(copy: &Picture, original: &Picture) -> f64 {
    let squares = copy.rgb.iter().zip(&original.rgb).map(|(a, b)| f64::from(a - b).powi(2));
    -10.0 * (squares.sum::<f64>() / original.rgb.len() as f64).log10()
}

/// The middle of some figures: with an even number of them, the mean of both.
///
/// # Panics
/// Where there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { (values[middle - 1] + values[middle]) / 2.0 } else { values[middle] }
}
