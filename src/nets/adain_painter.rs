//! Inference with AdaIN (arXiv:1703.06868): any photo in any style, by one pass of encoder and decoder.
//!
//! ```text
//! y = g(Σ_k m_k t_k + (1 − Σ_k m_k) f(c))        t_k = AdaIN(f(c), s_k) = σ_k (f(c) − μ(f(c)))/σ(f(c)) + μ_k
//! ```
//! m_k is the mask of region k at the size of the features. A single constant mask is the paper's α. t_k is linear in
//! the means and deviations of a style, so several styles are mixed by averaging these.

mod style;
mod windows;

pub use style::{AdainStyle, short};

use crate::gpu::{Context, DeviceTensor, Memory, Recorder, Tensor};
use crate::io::Picture;
use crate::nets::programs::{Painting, Programs};
use crate::nets::{AdainDecoder, Place, Tap, Vgg19, normalised, shares};
use crate::ops::norm::{Affine, Norm, Over, Statistics};
use crate::ops::{regions, vector};
use crate::{Error, Result};

/// AdaIN of `content` (`[N, C, h, w]`) with the means and deviations of a style, `[N, C]` or `[C]`.
#[cfg(feature = "train")]
pub(crate) fn adapt(rec: &mut Recorder, content: Tensor, [mean, deviation]: [Tensor; 2]) -> Result<Tensor> {
    let affine = Affine { gamma: deviation, beta: mean };
    Ok(INSTANCE.forward(rec, content, None, affine)?.0)
}

/// The norm of the content.
pub(crate) const INSTANCE: Norm = Norm { over: Over::Instance, relu: false };

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

/// Weights of a photo's features in its statistics, from its alpha. The statistics of a photo without a visible pixel are
/// those of all pixels.
fn seen(alpha: Vec<f32>) -> Vec<f32> {
    let (weights, mean) = normalised(alpha);
    if mean > 0.0 { weights } else { vec![1.0; weights.len()] }
}

/// What a program reads to mix the styles of the regions, for features of `[h, w]`.
pub(crate) struct Styling {
    /// Weights of the photo's own features, `[h, w]`.
    pub rest: DeviceTensor,
    /// Mean, deviation and mask of each region.
    pub regions: Vec<[DeviceTensor; 3]>,
}

impl Styling {
    /// The inputs for `count` regions and features with that number of channels.
    pub fn new(context: &Context, count: usize, [channels, height, width]: [usize; 3]) -> Self {
        let mask = |name: &str| DeviceTensor::new(context, name, [height, width]);
        let region = |_| {
            let [mean, deviation] = ["mean", "deviation"].map(|name| DeviceTensor::new(context, name, [channels]));
            [mean, deviation, mask("mask")]
        };
        Styling { rest: mask("share of the photo"), regions: (0..count).map(region).collect() }
    }

    /// Records the decoder's input.
    pub fn record(&self, rec: &mut Recorder, content: Tensor, statistics: Statistics) -> Result<Tensor> {
        let target = rec.transient_stored(content.precision, "target", content.shape);
        vector::fill(rec, target, 0.0)?;
        let share = rec.pin(&self.rest);
        regions::add(rec, content, share, target)?;
        for tensors in &self.regions {
            let [mean, deviation, share] = tensors.each_ref().map(|tensor| rec.pin(tensor));
            let affine = Affine { gamma: deviation, beta: mean };
            let adapted = INSTANCE.apply(rec, content, statistics, affine, None)?;
            regions::add(rec, adapted, share, target)?;
        }
        Ok(target)
    }

    /// Uploads the statistics of the styles.
    fn write_styles(&self, regions: &[Region]) -> Result<()> {
        for (region, [mean, deviation, _]) in regions.iter().zip(&self.regions) {
            mean.write(&region.style.mean)?;
            deviation.write(&region.style.deviation)?;
        }
        Ok(())
    }

    /// Uploads the masks of the regions and the share of the photo.
    fn write_masks(&self, masks: &[Vec<f32>], rest: &[f32]) -> Result<()> {
        self.rest.write(rest)?;
        masks.iter().zip(&self.regions).try_for_each(|(mask, [.., share])| share.write(mask))
    }
}

/// Inputs of a program besides the photo.
struct Inputs {
    /// Weights of the photo's pixels in its own statistics, `[h, w]`; `None` for an opaque photo.
    visible: Option<DeviceTensor>,
    styling: Styling,
}

/// Shape of the photo, number of regions, and whether the photo has alpha.
type Key = ([usize; 4], usize, bool);

/// Paints photos. The most recently used programs are kept, one per size and number of regions.
pub struct AdainPainter {
    encoder: Vgg19,
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
    let visible = has_alpha.then(|| DeviceTensor::new(context, "visible pixels", [height, width]));
    let statistics = match &visible {
        None => INSTANCE.statistics(&mut rec, content, None)?,
        Some(weights) => {
            let weights = rec.pin(weights);
            INSTANCE.weighted_statistics(&mut rec, content, weights)?
        }
    };
    let inputs = Inputs { visible, styling: Styling::new(context, count, [channels, height, width]) };
    let target = inputs.styling.record(&mut rec, content, statistics)?;
    let y = decoder.forward(&mut rec, target, [shape[2], shape[3]])?.picture;
    let painted = rec.output(y)?;
    Ok((rec, [photo, painted], inputs))
}

impl AdainPainter {
    /// A painter with an encoder, whose weights it shares, and its decoder.
    ///
    /// # Errors
    /// A decoder whose channels are not the encoder's.
    pub fn new(encoder: &Vgg19, decoder: AdainDecoder) -> Result<Self> {
        let channels = encoder.channels(Tap::RELU4_1)?;
        if decoder.channels() != channels {
            let expected = format!("a decoder for the encoder's {channels} channels");
            return Err(Error::argument("AdaIN", "decoder", expected, format!("one for {}", decoder.channels())));
        }
        Ok(AdainPainter { encoder: encoder.clone(), decoder, programs: Programs::new() })
    }

    /// Minimum side of photos and style pictures, in pixels.
    pub fn least_side(&self) -> usize {
        self.encoder.least_side(Tap::RELU4_1)
    }

    /// The encoder.
    pub fn encoder(&self) -> &Vgg19 {
        &self.encoder
    }

    /// [`AdainStyle::measure`] with the painter's encoder.
    #[cfg(feature = "blocking")]
    pub fn style(&self, picture: &Picture) -> Result<AdainStyle> {
        AdainStyle::measure(&self.encoder, picture)
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
        self.recorded([width, height], regions)?.memory()
    }

    /// The recording for an opaque photo of `[width, height]` and that number of regions.
    pub(crate) fn recorded(&self, [width, height]: [usize; 2], regions: usize) -> Result<Recorder> {
        Ok(record(&self.encoder, &self.decoder, ([1, 3, height, width], regions, false))?.0)
    }

    /// Refuses regions that cannot be painted.
    fn check(&self, regions: &[Region]) -> Result<()> {
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
        Ok(())
    }

    /// Paints `photo` (RGB 0..1) in the styles of `regions`. The result has the same size, values 0..1 and the photo's
    /// alpha. Where the regions' weights sum to less than 1, the photo's own features have the rest.
    ///
    /// # Errors
    /// No region; a style of another encoder; a strength outside 0..=1; a photo too small for the encoder or too large
    /// for the device; values that are not finite, with the first dispatch that wrote them.
    pub async fn paint_async(&mut self, photo: &Picture, regions: &[Region]) -> Result<Picture> {
        self.check(regions)?;
        let key = ([1, 3, photo.height, photo.width], regions.len(), photo.alpha.is_some());
        let AdainPainter { encoder, decoder, programs } = self;
        let painting = programs.get(key, || {
            let (rec, [photo, painted], inputs) = record(encoder, decoder, key)?;
            Ok(Painting { program: rec.finish()?, photo, painted, inputs })
        })?;
        let Inputs { visible, styling } = &painting.inputs;
        let size = [styling.rest.shape().dims()[0], styling.rest.shape().dims()[1]];
        if let (Some(visible), Some(alpha)) = (visible, photo.alpha_at(size[1], size[0])) {
            visible.write(&seen(alpha))?;
        }
        let (masks, rest) = weights(regions, size);
        styling.write_styles(regions)?;
        styling.write_masks(&masks, &rest)?;
        painting.run(photo).await
    }

    /// [`paint_async`](AdainPainter::paint_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn paint(&mut self, photo: &Picture, regions: &[Region]) -> Result<Picture> {
        let context = self.encoder.context().clone();
        context.block_on(self.paint_async(photo, regions))
    }
}
