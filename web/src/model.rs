//! The nets that were added, and what they can paint.

use std::cell::RefCell;

use impasto::gpu::Context;
use impasto::io::WeightFile;
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::image_transform_net::{BodyStyle, ImageTransformNetWeights, Painter};
use impasto::nets::{AdainDecoder, AdainPainter, ImageTransformNet, Vgg19};
use impasto::ops::pool::Pooling;

use crate::error::Failure;

/// A painter of a body in a mixture of its styles, by the weights of the styles.
type Mixed = (Vec<f32>, Painter);

/// A net on the device.
pub enum Model {
    /// An encoder with its decoder, and their files.
    Adain { painter: RefCell<Option<AdainPainter>>, files: [Vec<u8>; 2] },
    /// A net of one style or a body. The painter is that of the last mixture.
    Net { weights: ImageTransformNetWeights, painter: RefCell<Option<Mixed>> },
}

impl Model {
    /// AdaIN from the files of encoder and decoder.
    pub fn adain(context: &Context, files: [Vec<u8>; 2]) -> Result<Self, Failure> {
        Ok(Model::Adain { painter: RefCell::new(Some(adain_painter(context, &files)?)), files })
    }

    /// A net of one style or a body.
    pub fn net(weights: ImageTransformNetWeights) -> Self {
        Model::Net { weights, painter: RefCell::new(None) }
    }

    /// The weights of a feed-forward net.
    pub fn weights(&self) -> Option<&ImageTransformNetWeights> {
        match self {
            Model::Adain { .. } => None,
            Model::Net { weights, .. } => Some(weights),
        }
    }

    /// Names of the styles of a body.
    pub fn styles(&self) -> &[String] {
        match self {
            Model::Adain { .. } => &[],
            Model::Net { weights, .. } => &weights.styles,
        }
    }

    /// "adain", "net" or "body".
    pub fn kind(&self) -> &'static str {
        match self {
            Model::Adain { .. } => "adain",
            Model::Net { weights, .. } if weights.styles.is_empty() => "net",
            Model::Net { .. } => "body",
        }
    }
}

/// AdaIN on the device.
pub fn adain_painter(context: &Context, [encoder, decoder]: &[Vec<u8>; 2]) -> impasto::Result<AdainPainter> {
    let encoder = Vgg19::load(context, &WeightFile::from_bytes("encoder", encoder)?, Pooling::Max)?;
    let decoder = AdainDecoderWeights::of(&WeightFile::from_bytes("decoder", decoder)?)?;
    AdainPainter::new(&encoder, AdainDecoder::new(context, decoder)?)
}

/// The net in a file: a feed-forward net, a body, or a style in one of `bodies`.
pub fn net_in<'a>(
    name: &str,
    bytes: &[u8],
    mut bodies: impl Iterator<Item = &'a ImageTransformNetWeights>,
) -> Result<ImageTransformNetWeights, Failure> {
    let file = WeightFile::from_bytes(name, bytes)?;
    if !BodyStyle::is_in(&file) {
        return Ok(ImageTransformNetWeights::of(&file)?);
    }
    let style = BodyStyle::of(&file)?;
    let body = bodies.find(|body| body.fingerprint() == style.body).ok_or_else(|| {
        Failure::net(format!("{name} is a style of the body {}, which is not loaded; load it first", style.body_name))
    })?;
    Ok(body.in_style(&style)?)
}

/// A painter in a mixture of styles.
pub fn painter(context: &Context, weights: &ImageTransformNetWeights, mixture: &[f32]) -> impasto::Result<Painter> {
    let net = if weights.styles.is_empty() { weights.clone() } else { weights.blend(mixture)? };
    Ok(Painter::new(ImageTransformNet::new(context, net)?))
}
