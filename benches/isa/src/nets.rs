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
use impasto::ops::norm::{Affine, Norm, Over};
use impasto::ops::pad::Border;
use impasto::ops::pool::Pooling;
use impasto::ops::{gram, mean_std};

/// A net with random weights in its published shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Net {
    /// VGG-19 to relu4_1, forward and backward
    Vgg,
    /// The feed-forward net in its resize form
    Resize,
    /// AdaIN's decoder behind VGG-19
    Decoder,
    /// Gram matrices of VGG-19's features, and their gradients
    Gram,
    /// Gradients of the weights of the feed-forward net in its resize form
    Weights,
    /// Norms and their gradients; means and deviations of features, and their gradients
    Statistics,
}

impl Net {
    /// The dispatches for a picture of `size`².
    pub fn dispatches(self, context: &Context, size: usize) -> Result<Vec<Listed>> {
        Ok(listing(&self.recorded(context, size)?))
    }

    /// The recording for a picture of `size`².
    pub fn recorded(self, context: &Context, size: usize) -> Result<Recorder> {
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
            Net::Gram => {
                for [channels, scale] in [[64, 1], [128, 2], [256, 4], [512, 8]] {
                    let shape = [1, channels, size / scale, size / scale];
                    let features = rec.pin(&DeviceTensor::new(context, "features", shape));
                    let product = gram::forward(&mut rec, features, gram::scale(features))?;
                    gram::backward(&mut rec, features, product, gram::scale(features))?;
                }
            }
            Net::Statistics => {
                let mut given = |dims: &[usize]| rec.pin(&DeviceTensor::new(context, "given", Shape::new(dims)));
                let [x, dy] = [(); 2].map(|()| given(&[1, 32, size, size]));
                let [gamma, beta, dgamma, dbeta] = [(); 4].map(|()| given(&[32]));
                let [dmean, dstd] = [(); 2].map(|()| given(&[1, 32]));
                let (norm, affine) = (Norm { over: Over::Instance, relu: true }, Affine { gamma, beta });
                let (_, statistics) = norm.forward(&mut rec, x, None, affine)?;
                norm.backward(&mut rec, x, statistics, affine, dy, Affine { gamma: dgamma, beta: dbeta })?;
                let statistics = mean_std::forward(&mut rec, x, 1e-5)?;
                mean_std::backward(&mut rec, x, statistics, dmean, dstd)?;
            }
            Net::Weights => {
                for (channels, kernel, scale, upsample) in [
                    ([3, 32], 9, [1, 1], false),
                    ([32, 64], 3, [1, 2], false),
                    ([64, 128], 3, [2, 4], false),
                    ([128, 128], 3, [4, 4], false),
                    ([128, 64], 3, [4, 2], true),
                    ([64, 32], 3, [2, 1], true),
                    ([32, 3], 9, [1, 1], false),
                ] {
                    let ([c, m], [input, output]) = (channels, scale.map(|scale| size / scale));
                    let stride = if upsample { 1 } else { input / output };
                    let padding = Padding::Same(Border::Reflect);
                    let conv =
                        Conv2d { channels_in: c, channels_out: m, kernel, stride, padding, upsample, relu: false };
                    let mut given = |dims: &[usize]| rec.pin(&DeviceTensor::new(context, "given", Shape::new(dims)));
                    let (x, dy) = (given(&[1, c, input, input]), given(&[1, m, output, output]));
                    let (dweights, dbias) = (given(&[m, c, kernel, kernel]), given(&[m]));
                    conv.backward_parameters(&mut rec, x, dy, None, dweights, Some(dbias))?;
                }
            }
        }
        Ok(rec)
    }
}
