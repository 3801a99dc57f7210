//! How good a trained net is: an encoder against the real one, nets that paint against Gatys' method or each other.

pub mod adain;
pub mod encoder;
pub mod feed_forward;

use crate::io::Picture;

/// The peak signal-to-noise ratio of a copy in dB, of a range of 0..1.
pub fn signal_to_noise(copy: &Picture, original: &Picture) -> f64 {
    let squares = copy.rgb.iter().zip(&original.rgb).map(|(a, b)| f64::from(a - b).powi(2));
    -10.0 * (squares.sum::<f64>() / original.rgb.len() as f64).log10()
}
