//! Evaluation of a pair of encoder and decoder (AdaIN) by a teacher net, which is the same for every pair.
//!
//! Let F_t be the teacher's taps, f the deepest of them, c a photo, s a painting and y the painted picture. With means
//! over elements,
//! ```text
//! style   = Σ_t |μ(F_t(y)) − μ(F_t(s))|² + |σ(F_t(y)) − σ(F_t(s))|²        content = |f(y) − AdaIN(f(c), f(s))|²
//! ```
//! These are the losses of arXiv:1703.06868 (equations 12 and 13), computed on the host in f64.

use super::signal_to_noise;
use crate::gpu::{DeviceTensor, Program};
use crate::io::Picture;
use crate::nets::{AdainPainter, Tap, Vgg19};
use crate::{Error, Result, loss};

/// Measures pictures of one size with the teacher net.
pub struct Teacher {
    picture: DeviceTensor,
    program: Program,
    /// The features at each tap.
    features: Vec<DeviceTensor>,
}

/// The teacher's features of a picture.
#[derive(Clone, Debug)]
pub struct Features {
    /// Mean and standard deviation of every channel, tap by tap.
    statistics: Vec<Vec<[f64; 2]>>,
    /// The features at the deepest tap, `[C, h, w]`.
    deepest: Vec<f32>,
}

impl Teacher {
    /// A teacher for pictures of `width` × `height` pixels.
    ///
    /// # Errors
    /// A teacher that does not reach relu4_1; a size too small for it or too large for the device.
    pub fn new(teacher: &Vgg19, width: usize, height: usize) -> Result<Self> {
        let picture = DeviceTensor::new(teacher.context(), "picture", [1, 3, height, width]);
        let taps: Vec<Tap> = Tap::style().collect();
        let (rec, features) = teacher.measure(&picture, &taps, |_, features| Ok(features))?;
        Ok(Teacher { picture, program: rec.finish()?, features })
    }

    /// Measures a picture, RGB 0..1.
    ///
    /// # Errors
    /// A picture of another size; non-finite features; device errors.
    pub fn measure(&self, picture: &Picture) -> Result<Features> {
        self.picture.write(&picture.rgb)?;
        self.program.submit()?;
        let (mut statistics, mut deepest) = (Vec::new(), Vec::new());
        for tensor in &self.features {
            let [_, channels, ..] = tensor.shape().nchw("eval", "features")?;
            deepest = tensor.read()?;
            statistics.push(deepest.chunks(deepest.len() / channels).map(statistics_of).collect::<Vec<_>>());
        }
        if !statistics.iter().flatten().flatten().all(|value| value.is_finite()) {
            let place = self.program.find_non_finite()?.unwrap_or_else(|| "the picture".into());
            let help = "check the teacher's file".into();
            return Err(Error::NonFinite { what: "the teacher's features".into(), place, help });
        }
        Ok(Features { statistics, deepest })
    }
}

/// Mean and standard deviation of a channel, as defined for the losses.
fn statistics_of(plane: &[f32]) -> [f64; 2] {
    let count = plane.len() as f64;
    let mean = plane.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let variance = plane.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
    [mean, (variance + f64::from(loss::EPSILON)).sqrt()]
}

impl Features {
    /// Style distance from `painting`, at least 0.
    pub fn style_distance(&self, painting: &Features) -> f64 {
        let at_tap = |(own, other): (&Vec<[f64; 2]>, &Vec<[f64; 2]>)| {
            let squares = own.iter().zip(other).map(|(a, b)| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2));
            squares.sum::<f64>() / own.len() as f64
        };
        self.statistics.iter().zip(&painting.statistics).map(at_tap).sum()
    }

    /// Content distance from `photo` with the statistics of `painting`, at least 0.
    pub fn content_distance(&self, photo: &Features, painting: &Features) -> f64 {
        let of = |features: &Features| features.statistics.last().cloned().unwrap_or_default();
        let (from, to) = (of(photo), of(painting));
        let pixels = self.deepest.len() / from.len().max(1);
        let planes = self.deepest.chunks(pixels).zip(photo.deepest.chunks(pixels)).zip(from.iter().zip(&to));
        let squares = planes.flat_map(|((own, photo), (from, to))| {
            own.iter().zip(photo).map(move |(own, photo)| {
                let target = to[1] * (f64::from(*photo) - from[0]) / from[1] + to[0];
                (f64::from(*own) - target).powi(2)
            })
        });
        squares.sum::<f64>() / self.deepest.len() as f64
    }
}

/// Reconstruction of a photo with itself as the style: the peak signal-to-noise ratio in dB.
///
/// # Errors
/// Those of [`AdainPainter::paint`].
pub fn reconstruction(painter: &mut AdainPainter, photo: &Picture) -> Result<f64> {
    let style = painter.style(photo)?;
    Ok(signal_to_noise(&painter.paint(photo, &[style.into()])?, photo))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two channels of four pixels at one tap.
    fn features(features: [f32; 8]) -> Features {
        Features { statistics: vec![features.chunks(4).map(statistics_of).collect()], deepest: features.to_vec() }
    }

    #[test]
    fn distances_are_those_of_the_paper() {
        let photo = features([0.0, 1.0, 2.0, 3.0, 4.0, 4.0, 0.0, 0.0]);
        let painting = features([9.0, 9.0, 5.0, 5.0, 1.0, 2.0, 1.0, 2.0]);
        // Means 1.5 and 2, 7 and 1.5; standard deviations √1.25 and 2, 2 and 0.5.
        let expected = (5.5f64.powi(2) + 0.5f64.powi(2) + (1.25f64.sqrt() - 2.0).powi(2) + 1.5f64.powi(2)) / 2.0;
        let style = photo.style_distance(&painting);
        assert!((style - expected).abs() < 1e-4, "{style} {expected}");
        assert!((painting.style_distance(&photo) - style).abs() < 1e-12 && photo.style_distance(&photo) == 0.0);

        let scale = 2.0 / 1.25f32.sqrt();
        let near = [7.0 - 1.5 * scale, 7.0 - 0.5 * scale, 7.0 + 0.5 * scale, 7.0 + 1.5 * scale];
        let mut target = [near.as_slice(), &[2.0, 2.0, 1.0, 1.0]].concat();
        let at = |values: &[f32]| features(values.try_into().unwrap()).content_distance(&photo, &painting);
        assert!(at(&target) < 1e-8, "{}", at(&target));
        target[6] += 2.0;
        assert!((at(&target) - 0.5).abs() < 1e-3, "{}", at(&target));
        assert!(photo.content_distance(&photo, &photo) < 1e-12);
    }

    #[test]
    fn twice_the_error_is_six_decibels_less() {
        let original = Picture::new(2, 1);
        let off = |by: f32| signal_to_noise(&Picture { rgb: vec![by; 6], ..original.clone() }, &original);
        assert!((off(0.1) - 20.0).abs() < 1e-5 && (off(0.1) - off(0.2) - 6.0206).abs() < 1e-4);
        assert_eq!(off(0.0), f64::INFINITY);
    }
}
