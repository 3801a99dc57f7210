//! The kernels that nets run on a GPU.

use anyhow::Result;
use clap::ValueEnum;
use impasto::gpu::{Context, DeviceTensor, Recorder, Shape};
use impasto::internal::{Listed, listing};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::nets::vgg19::Vgg19Weights;
use impasto::nets::{AdainDecoder, ImageTransformNet, Tap, Vgg19};
use impasto::ops::conv2d::{Conv2d, Padding};
use impasto::ops::gram;
use impasto::ops::norm::Over;
use impasto::ops::pad::Border;
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
    /// What training and Gatys' method add: gradients of weights, Gram matrices with their gradients
    Gradients,
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
            Net::Gradients => {
                let pinned = |rec: &mut Recorder, name: &str, dims: &[usize]| {
                    rec.pin(&DeviceTensor::new(context, name, Shape::new(dims)))
                };
                let padding = Padding::Same(Border::Reflect);
                let conv = |channels, kernel| Conv2d {
                    channels_in: channels,
                    channels_out: 64,
                    kernel,
                    stride: 1,
                    padding,
                    upsample: false,
                    relu: false,
                };
                for conv in [conv(64, 3), conv(3, 9)] {
                    let x = pinned(&mut rec, "x", &[1, conv.channels_in, size / 4, size / 4]);
                    let dy = pinned(&mut rec, "dy", &[1, 64, size / 4, size / 4]);
                    let shape = [64, conv.channels_in, conv.kernel, conv.kernel];
                    let dweights = pinned(&mut rec, "dweights", &shape);
                    let dbias = pinned(&mut rec, "dbias", &[64]);
                    conv.backward_parameters(&mut rec, x, dy, None, dweights, Some(dbias))?;
                }
                let features = pinned(&mut rec, "features", &[1, 256, size / 4, size / 4]);
                gram::forward(&mut rec, features, 1.0)?;
                let dgram = pinned(&mut rec, "dgram", &[1, 256, 256]);
                gram::backward(&mut rec, features, dgram, 1.0)?;
            }
        }
        Ok(listing(&rec))
    }
}
