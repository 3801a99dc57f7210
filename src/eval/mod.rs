//! Evaluation of trained nets: encoders against the original VGG-19, and painting nets against Gatys' method or each
//! other; steadiness of videos.

pub mod adain;
pub mod encoder;
pub mod feed_forward;
pub mod mesh;
pub mod scores;
pub mod ssim;
pub mod steadiness;
pub mod super_resolution;

use crate::io::Picture;

/// Peak signal-to-noise ratio of `copy` in dB, for values 0..1; infinite for equal pictures.
pub fn signal_to_noise(copy: &Picture, original: &Picture) -> f64 {
    let squares = copy.rgb.iter().zip(&original.rgb).map(|(a, b)| f64::from(a - b).powi(2));
    -10.0 * (squares.sum::<f64>() / original.rgb.len() as f64).log10()
}

/// The median; the mean of the two middle values if their number is even.
///
/// # Panics
/// If `values` is empty.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { (values[middle - 1] + values[middle]) / 2.0 } else { values[middle] }
}
