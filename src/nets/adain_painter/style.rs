//! A style as AdaIN uses it: measured from a picture, mixed, and kept in a file.

use super::windows::{first_windows, measure};
use crate::io::{DType, HostTensor, Picture, WeightFile};
use crate::nets::Vgg19;
use crate::nets::tiles::Budget;
use crate::{Error, Result, loss};

/// A style as AdaIN uses it: mean and standard deviation of each channel at relu4_1.
#[derive(Clone, Debug, PartialEq)]
pub struct AdainStyle {
    /// [`Vgg19::fingerprint`] of the encoder that measured it.
    pub encoder: String,
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub deviation: Vec<f32>,
}

/// Names of the tensors and the metadata in a style's file.
const FILE: [&str; 4] = ["mean", "deviation", "encoder", "architecture"];

/// Metadata that identifies a style's file; older files have none.
const ARCHITECTURE: &str = "adain_style";

impl AdainStyle {
    /// Measures the style of a picture (RGB 0..1) with `encoder`. Pixels count as much as they are opaque.
    ///
    /// # Errors
    /// A picture too small for the encoder or without a visible pixel; values that are not finite.
    pub async fn measure_async(encoder: &Vgg19, picture: &Picture) -> Result<AdainStyle> {
        Self::measure_within_async(encoder, picture, &Budget::default()).await
    }

    /// [`measure_async`](AdainStyle::measure_async) in windows that need no more than `budget`.
    ///
    /// # Errors
    /// Those of [`measure_async`](AdainStyle::measure_async); a budget too small for the smallest window.
    pub async fn measure_within_async(encoder: &Vgg19, picture: &Picture, budget: &Budget) -> Result<AdainStyle> {
        if picture.alpha.as_ref().is_some_and(|alpha| alpha.iter().all(|alpha| *alpha <= 0.0)) {
            return Err(Error::argument("style", "style", "a picture with visible pixels", "a transparent one"));
        }
        let size = [picture.height, picture.width];
        let (windows, _) = first_windows(encoder, size, false, budget)?;
        let ([mean, variance], _) = measure(encoder, &*picture.filled(), &windows, false, &mut || Ok(())).await?;
        let deviation = variance.into_iter().map(|variance| (variance + loss::EPSILON).sqrt()).collect();
        let style = AdainStyle { encoder: encoder.fingerprint().into(), mean, deviation };
        if !style.mean.iter().chain(&style.deviation).all(|value| value.is_finite()) {
            let help = "check the picture and the encoder's file".into();
            return Err(Error::NonFinite { what: "the style".into(), place: "its statistics".into(), help });
        }
        Ok(style)
    }

    /// [`measure_async`](AdainStyle::measure_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn measure(encoder: &Vgg19, picture: &Picture) -> Result<AdainStyle> {
        encoder.context().block_on(Self::measure_async(encoder, picture))
    }

    /// The average of several styles by `weights`, which are divided by their sum.
    ///
    /// # Errors
    /// No style; weights that are negative, not finite or all 0; styles measured by different encoders.
    pub fn mix(styles: &[(AdainStyle, f32)]) -> Result<AdainStyle> {
        let refuse = |argument, expected: &str, got: String| Err(Error::argument("styles", argument, expected, got));
        let Some((first, _)) = styles.first() else { return refuse("styles", "at least one", "none".into()) };
        let total: f64 = styles.iter().map(|(_, weight)| f64::from(*weight)).sum();
        if !(styles.iter().all(|(_, weight)| *weight >= 0.0) && total > 0.0 && total.is_finite()) {
            let weights: Vec<_> = styles.iter().map(|(_, weight)| weight.to_string()).collect();
            return refuse("weights", "numbers from 0 up, not all of them 0", weights.join(", "));
        }
        let mut mixed =
            AdainStyle { mean: vec![0.0; first.mean.len()], deviation: vec![0.0; first.mean.len()], ..first.clone() };
        for (style, weight) in styles {
            if style.encoder != first.encoder {
                return refuse(
                    "styles",
                    &format!("all of encoder {}", short(&first.encoder)),
                    short(&style.encoder).into(),
                );
            }
            let share = (f64::from(*weight) / total) as f32;
            mixed.mean.iter_mut().zip(&style.mean).for_each(|(sum, value)| *sum += share * value);
            mixed.deviation.iter_mut().zip(&style.deviation).for_each(|(sum, value)| *sum += share * value);
        }
        Ok(mixed)
    }

    /// Reads a style from a file.
    ///
    /// # Errors
    /// A file that is not an AdaIN style, such as a style of a feed-forward net.
    pub fn of(file: &WeightFile) -> Result<Self> {
        if let Some(other) = file.metadata.get(FILE[3]).filter(|architecture| *architecture != ARCHITECTURE) {
            let reason = format!("not a style for AdaIN but `{other}`");
            return Err(Error::weights(&file.path, reason).with_help("use it as a model"));
        }
        let wrong =
            |reason: String| Error::weights(&file.path, reason).with_help("use a style that was saved for AdaIN");
        let values = |name: &str| match file.get(name) {
            Some(tensor) if tensor.shape.len() == 1 && !tensor.data.is_empty() => Ok(tensor.data.clone()),
            _ => Err(wrong(format!("lacks the tensor {name} of one dimension"))),
        };
        let (mean, deviation) = (values(FILE[0])?, values(FILE[1])?);
        let encoder = file.metadata.get(FILE[2]).cloned().ok_or_else(|| wrong("does not name its encoder".into()))?;
        if mean.len() != deviation.len() || !mean.iter().chain(&deviation).all(|value| value.is_finite()) {
            return Err(wrong("has means and deviations that do not fit, or are not finite".into()));
        }
        Ok(AdainStyle { encoder, mean, deviation })
    }

    /// Writes the style to a file of a few KB, with `notes` as additional metadata.
    pub fn save(&self, path: &std::path::Path, notes: &[(&str, String)]) -> Result<()> {
        let tensor = |data: &Vec<f32>| HostTensor::new(&[data.len()], data.clone());
        let tensors = [(FILE[0].to_string(), tensor(&self.mean)?), (FILE[1].to_string(), tensor(&self.deviation)?)];
        let mut metadata: std::collections::BTreeMap<_, _> =
            notes.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
        metadata.insert(FILE[2].to_string(), self.encoder.clone());
        metadata.insert(FILE[3].to_string(), ARCHITECTURE.to_string());
        WeightFile::save(path, DType::F32, &tensors, &metadata)
    }
}

/// The first 12 digits of a fingerprint, for messages.
pub fn short(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}
