//! A net before there is a device: weights and styles.

use crate::nets::adain_decoder::AdainDecoderWeights;
use crate::nets::adain_painter::{AdainStyle, short};
use crate::nets::image_transform_net::ImageTransformNetWeights;
use crate::nets::vgg19::Vgg19Weights;
use crate::{Error, Result, weights};

/// A net that paints in one pass, with the styles that a frame can select and mix.
#[derive(Clone, Debug)]
pub struct Net(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Adain { encoder: Vgg19Weights, decoder: AdainDecoderWeights, styles: Vec<AdainStyle> },
    FeedForward(ImageTransformNetWeights),
}

impl Net {
    /// AdaIN: an encoder, its decoder and one or more styles that were measured with the encoder.
    ///
    /// # Errors
    /// A decoder of another encoder; no style, or a style that another encoder measured.
    pub fn adain(encoder: Vgg19Weights, decoder: AdainDecoderWeights, styles: Vec<AdainStyle>) -> Result<Self> {
        let refuse = |argument, expected: String, got: String| Err(Error::argument("embed", argument, expected, got));
        if styles.is_empty() {
            return refuse("styles", "at least one".into(), "none".into());
        }
        let own = encoder.fingerprint();
        if let Some(style) = styles.iter().find(|style| style.encoder != own) {
            let expected = format!("measured with the encoder in use, {}", short(&own));
            return refuse("styles", expected, format!("one of encoder {}", short(&style.encoder)));
        }
        Ok(Net(Kind::Adain { encoder, decoder, styles }))
    }

    /// A feed-forward net of one style, or a body, whose rows are the styles.
    ///
    /// # Errors
    /// None at present.
    pub fn feed_forward(weights: ImageTransformNetWeights) -> Result<Self> {
        Ok(Net(Kind::FeedForward(weights)))
    }

    /// A feed-forward net of weights/ that is embedded in this build, such as `impressions`.
    ///
    /// # Errors
    /// An unknown name, with the known ones. The pairs for AdaIN are not among them: they need styles.
    pub fn included(name: &str) -> Result<Self> {
        let Some((_, file)) = weights::models().find(|(known, _)| *known == name) else {
            let known: Vec<_> = weights::models().map(|(known, _)| known).collect();
            let expected = match known.is_empty() {
                true => "a name, in a build with embedded feed-forward nets".into(),
                false => format!("one of {}", known.join(", ")),
            };
            return Err(Error::argument("embed", "name", expected, name));
        };
        Net::feed_forward(ImageTransformNetWeights::of(&file?)?)
    }

    /// Whether regions of a frame can have different styles.
    pub(super) fn has_regions(&self) -> bool {
        match &self.0 {
            Kind::Adain { .. } => true,
            Kind::FeedForward(weights) => !weights.styles.is_empty(),
        }
    }

    /// Number of styles, which is the number of weights of a [`Blend`](super::Blend).
    pub fn styles(&self) -> usize {
        match &self.0 {
            Kind::Adain { styles, .. } => styles.len(),
            Kind::FeedForward(weights) => weights.styles.len().max(1),
        }
    }

    /// Names of a body's styles, in the order of the weights of a [`Blend`](super::Blend). Other nets have no names.
    pub fn style_names(&self) -> &[String] {
        match &self.0 {
            Kind::Adain { .. } => &[],
            Kind::FeedForward(weights) => &weights.styles,
        }
    }
}
