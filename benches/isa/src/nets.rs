//! The kernels that nets run on a GPU.

use anyhow::Result;
use clap::ValueEnum;
use impasto::gpu::{Context, DeviceTensor, Recorder};
use impasto::internal::{Listed, listing};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::nets::vgg19::Vgg19Weights;
use impasto::nets::{AdainDecoder, ImageTransformNet, Tap, Vgg19};
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;

/// A net with random weights in its published shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Net {
    /// VGG-19 to relu4_1, forward and backward
    Vgg,
    /// The feed-forward net in its resize form
    Resize,
    /// AdaIN's decoder behind VGG-19
    Decoder,
}

impl Net {
    /// The dispatches for a picture of `size`².
    pub fn dispatches(self, context: &Context, size: usize) -> Result<Vec<Listed>> {
        let mut rec = Recorder::new(context);
        let photo = DeviceTensor::new(context, "photo", [1, 3, size, size]);
        let x = rec.pin(&photo);
        match self {
            Net::Vgg => {
                let vgg = Vgg19::new(context, &Vgg19Weights::random(1.0, 1), Pooling::Max)?;
                let activations = vgg.forward(&mut rec, x, Tap::RELU4_1)?;
                let shape = activations.at(Tap::RELU4_1)?.shape;
                let dy = rec.pin(&DeviceTensor::new(context, "dy", shape));
                vgg.backward(&mut rec, &activations, vec![(Tap::RELU4_1, Box::new(move |_| Ok(dy)))])?;
            }
            Net::Resize => {
                let weights = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 1.0, 1);
                ImageTransformNet::new(context, weights)?.forward(&mut rec, x)?;
            }
            Net::Decoder => {
                let weights = AdainDecoderWeights::random(&Vgg19Weights::random(1.0, 1), 1)?;
                let decoder = AdainDecoder::new(context, weights)?;
                let target = DeviceTensor::new(context, "target", [1, decoder.channels(), size / 8, size / 8]);
                let target = rec.pin(&target);
                decoder.forward(&mut rec, target, [size, size])?;
            }
        }
        Ok(listing(&rec))
    }
}
