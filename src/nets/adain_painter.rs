//! Inference with AdaIN (arXiv:1703.06868): any photo in any style, by one pass of encoder and decoder.
//!
//! ```text
//! y = g(Σ_k m_k t_k + (1 − Σ_k m_k) f(c))        t_k = AdaIN(f(c), s_k) = σ_k (f(c) − μ(f(c)))/σ(f(c)) + μ_k
//! ```
//! m_k is the mask of region k at the size of the features. A single constant mask is the paper's α. t_k is linear in
//! the means and deviations of a style, so several styles are mixed by averaging these.

#[cfg(feature = "train")]
use crate::gpu::Tensor;
use crate::gpu::{DeviceTensor, Memory, Recorder};
use crate::io::{DType, HostTensor, Picture, WeightFile};
use crate::nets::programs::{Painting, Programs};
use crate::nets::{AdainDecoder, Place, Tap, Vgg19, normalised, shares, visible};
use crate::ops::norm::{Affine, Norm, Over, Statistics};
use crate::ops::{mean_std, regions, vector};
use crate::{Error, Result, loss};

/// AdaIN of `content` (`[N, C, h, w]`) with the means and deviations of a style, `[N, C]` or `[C]`.
#[cfg(feature = "train")]
pub(crate) fn adapt(rec: &mut Recorder, content: Tensor, [mean, deviation]: [Tensor; 2]) -> Result<Tensor> {
    let affine = Affine { gamma: deviation, beta: mean };
    Ok(INSTANCE.forward(rec, content, None, affine)?.0)
}

/// The norm of the content.
const INSTANCE: Norm = Norm { over: Over::Instance, relu: false };

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
    /// A picture too small for the encoder or too large for the device, or without a visible pixel; values that are not
    /// finite.
    pub async fn measure_async(encoder: &Vgg19, picture: &Picture) -> Result<AdainStyle> {
        let context = encoder.context();
        let shape = [1, 3, picture.height, picture.width];
        let input = DeviceTensor::from_values(context, "style picture", shape, &picture.filled().rgb)?;
        let mut rec = Recorder::new(context);
        let x = rec.pin(&input);
        let features = encoder.forward(&mut rec, x, Tap::RELU4_1)?.at(Tap::RELU4_1)?;
        let [_, _, height, width] = features.shape.nchw("style", "features")?;
        let weights = visible(picture, [height, width])?;
        let (mean, spread) = match &weights {
            None => mean_std::forward(&mut rec, features, loss::EPSILON)?,
            Some(weights) => {
                let weights = DeviceTensor::from_values(context, "visible pixels", [height, width], weights)?;
                let weights = rec.pin(&weights);
                let Statistics { mean, variance } = INSTANCE.weighted_statistics(&mut rec, features, weights)?;
                (mean, variance)
            }
        };
        let (mean, spread) = (rec.output(mean)?, rec.output(spread)?);
        rec.finish()?.submit()?;
        let (mean, mut deviation) = (mean.read_async().await?, spread.read_async().await?);
        if weights.is_some() {
            deviation.iter_mut().for_each(|variance| *variance = (*variance + loss::EPSILON).sqrt());
        }
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

/// A style and its region.
#[derive(Clone, Debug)]
pub struct Region {
    /// The style.
    pub style: AdainStyle,
    /// The region.
    pub place: Place,
    /// Strength of the style, 0..1 (the paper's α). The photo's own features have the remaining weight.
    pub strength: f32,
}

impl From<AdainStyle> for Region {
    fn from(style: AdainStyle) -> Self {
        Region { style, place: Place::Everywhere, strength: 1.0 }
    }
}

/// The weights of each region and of the photo, for features of `[height, width]`.
fn weights(regions: &[Region], size: [usize; 2]) -> (Vec<Vec<f32>>, Vec<f32>) {
    let (mut shares, _) = shares(&regions.iter().map(|region| &region.place).collect::<Vec<_>>(), size);
    let mut photo = vec![1.0; size[0] * size[1]];
    for (region, share) in regions.iter().zip(&mut shares) {
        for (photo, share) in photo.iter_mut().zip(share) {
            *share *= region.strength;
            *photo -= *share;
        }
    }
    photo.iter_mut().for_each(|photo| *photo = photo.max(0.0));
    (shares, photo)
}

/// Inputs of a program besides the photo.
struct Inputs {
    /// Weights of the photo's own features, `[h, w]`.
    rest: DeviceTensor,
    /// Weights of the photo's pixels in its own statistics, `[h, w]`; `None` for an opaque photo.
    visible: Option<DeviceTensor>,
    /// Mean, deviation and mask of each region.
    regions: Vec<[DeviceTensor; 3]>,
}

/// Shape of the photo, number of regions, and whether the photo has alpha.
type Key = ([usize; 4], usize, bool);

/// Paints photos. The most recently used programs are kept, one per size and number of regions.
pub struct AdainPainter<'a> {
    encoder: &'a Vgg19,
    decoder: AdainDecoder,
    programs: Programs<Key, Inputs>,
}

/// Records a program.
fn record(
    encoder: &Vgg19,
    decoder: &AdainDecoder,
    (shape, count, has_alpha): Key,
) -> Result<(Recorder, [DeviceTensor; 2], Inputs)> {
    let context = encoder.context();
    let photo = DeviceTensor::new(context, "photo", shape);
    let mut rec = Recorder::new(context);
    let x = rec.pin(&photo);
    let content = encoder.forward(&mut rec, x, Tap::RELU4_1)?.at(Tap::RELU4_1)?;
    let [_, channels, height, width] = content.shape.nchw("AdaIN", "content")?;
    let mask = |name: &str| DeviceTensor::new(context, name, [height, width]);
    let target = rec.transient_stored(content.precision, "target", content.shape);
    vector::fill(&mut rec, target, 0.0)?;
    let rest = mask("share of the photo");
    let share = rec.pin(&rest);
    regions::add(&mut rec, content, share, target)?;
    let visible = has_alpha.then(|| mask("visible pixels"));
    let statistics = match &visible {
        None => INSTANCE.statistics(&mut rec, content, None)?,
        Some(weights) => {
            let weights = rec.pin(weights);
            INSTANCE.weighted_statistics(&mut rec, content, weights)?
        }
    };
    let mut inputs = Inputs { rest, visible, regions: Vec::new() };
    for _ in 0..count {
        let [mean, deviation] = ["mean", "deviation"].map(|name| DeviceTensor::new(context, name, [channels]));
        let tensors = [mean, deviation, mask("mask")];
        let [mean, deviation, share] = tensors.each_ref().map(|tensor| rec.pin(tensor));
        let affine = Affine { gamma: deviation, beta: mean };
        let adapted = INSTANCE.apply(&mut rec, content, statistics, affine, None)?;
        regions::add(&mut rec, adapted, share, target)?;
        inputs.regions.push(tensors);
    }
    let y = decoder.forward(&mut rec, target, [shape[2], shape[3]])?.picture;
    let painted = rec.output(y)?;
    Ok((rec, [photo, painted], inputs))
}

impl<'a> AdainPainter<'a> {
    /// A painter with an encoder and its decoder.
    ///
    /// # Errors
    /// A decoder whose channels are not the encoder's.
    pub fn new(encoder: &'a Vgg19, decoder: AdainDecoder) -> Result<Self> {
        let channels = encoder.channels(Tap::RELU4_1)?;
        if decoder.channels() != channels {
            let expected = format!("a decoder for the encoder's {channels} channels");
            return Err(Error::argument("AdaIN", "decoder", expected, format!("one for {}", decoder.channels())));
        }
        Ok(AdainPainter { encoder, decoder, programs: Programs::new() })
    }

    /// Minimum side of photos and style pictures, in pixels.
    pub fn least_side(&self) -> usize {
        self.encoder.least_side(Tap::RELU4_1)
    }

    /// The encoder.
    pub fn encoder(&self) -> &'a Vgg19 {
        self.encoder
    }

    /// [`AdainStyle::measure`] with the painter's encoder.
    #[cfg(feature = "blocking")]
    pub fn style(&self, picture: &Picture) -> Result<AdainStyle> {
        AdainStyle::measure(self.encoder, picture)
    }

    /// Whether a program for that size and number of regions is already compiled.
    pub fn is_ready(&self, width: usize, height: usize, regions: usize) -> bool {
        [false, true].iter().any(|has_alpha| self.programs.has(([1, 3, height, width], regions, *has_alpha)))
    }

    /// Device memory for a photo of that size and number of regions. Allocates nothing.
    ///
    /// # Errors
    /// A size that cannot be painted.
    pub fn plan(&self, width: usize, height: usize, regions: usize) -> Result<Memory> {
        record(self.encoder, &self.decoder, ([1, 3, height, width], regions, false))?.0.memory()
    }

    /// Paints `photo` (RGB 0..1) in the styles of `regions`. The result has the same size, values 0..1 and the photo's
    /// alpha. Where the regions' weights sum to less than 1, the photo's own features have the rest.
    ///
    /// # Errors
    /// No region; a style of another encoder; a strength outside 0..=1; a photo too small for the encoder or too large
    /// for the device; values that are not finite, with the first dispatch that wrote them.
    pub async fn paint_async(&mut self, photo: &Picture, regions: &[Region]) -> Result<Picture> {
        let refuse = |argument, expected: &str, got: String| Err(Error::argument("AdaIN", argument, expected, got));
        if regions.is_empty() {
            return refuse("regions", "at least one", "none".into());
        }
        for region in regions {
            if !(0.0..=1.0).contains(&region.strength) {
                return refuse("alpha", "0 to 1", region.strength.to_string());
            }
            if region.style.encoder != self.encoder.fingerprint() {
                let expected = format!("measured with the encoder in use, {}", short(self.encoder.fingerprint()));
                let got = format!("one of encoder {}; save it again from its picture", short(&region.style.encoder));
                return refuse("style", &expected, got);
            }
        }
        let key = ([1, 3, photo.height, photo.width], regions.len(), photo.alpha.is_some());
        let AdainPainter { encoder, decoder, programs } = self;
        let painting = programs.get(key, || {
            let (rec, [photo, painted], inputs) = record(encoder, decoder, key)?;
            Ok(Painting { program: rec.finish()?, photo, painted, inputs })
        })?;
        let Inputs { rest, visible, regions: tensors } = &painting.inputs;
        let size = [rest.shape().dims()[0], rest.shape().dims()[1]];
        if let (Some(visible), Some(alpha)) = (visible, photo.alpha_at(size[1], size[0])) {
            let (weights, mean) = normalised(alpha);
            // The statistics of a photo without a visible pixel are those of all pixels.
            visible.write(&if mean > 0.0 { weights } else { vec![1.0; weights.len()] })?;
        }
        let (masks, photos_own) = weights(regions, size);
        rest.write(&photos_own)?;
        for ((region, mask), [mean, deviation, share]) in regions.iter().zip(&masks).zip(tensors) {
            mean.write(&region.style.mean)?;
            deviation.write(&region.style.deviation)?;
            share.write(mask)?;
        }
        painting.run(photo).await
    }

    /// [`paint_async`](AdainPainter::paint_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn paint(&mut self, photo: &Picture, regions: &[Region]) -> Result<Picture> {
        self.encoder.context().block_on(self.paint_async(photo, regions))
    }
}
