//! Closed-form initialisation of AdaIN's decoder: each layer is fitted by least squares to reconstruct the input of the
//! encoder layer that it mirrors.
//!
//! The output of d4_1 has the shape of the input of conv4_1, and so on up to the picture itself. From deep to shallow,
//! the filters of each layer are the regression (see `closed_form`) of the encoder's pre-activations (pooled where the
//! encoder pools) on the output of the decoder's previous layers. Later layers thus compensate for errors of earlier
//! ones.

use nalgebra::DMatrix;

use crate::Result;
use crate::gpu::Context;
use crate::nets::adain_decoder::AdainDecoderWeights;
use crate::nets::vgg19::Vgg19Weights;
use crate::nets::{ConvLayer, Tap, packed};
use crate::ops::conv2d::Conv2d;
use crate::ops::pad::{self, Border, Placement};
use crate::random::Random;
use crate::train::adain::AdainTrainerSettings;
use crate::train::closed_form::{Maps, Walk, positions, regression, tensor};

/// Desired output of a decoder layer at random pixels of all pictures.
struct Goal {
    positions: Vec<(usize, usize)>,
    values: DMatrix<f32>,
}

impl Goal {
    fn new(random: &mut Random, count: usize, maps: &Maps) -> Self {
        let positions = positions(random, count, maps.values.len(), maps.size);
        Goal { values: maps.at(&positions), positions }
    }
}

/// Fits the decoder to `pictures`, squares of RGB 0..1 whose sides are a multiple of 8. `on_layer` is called after each
/// layer.
///
/// # Errors
/// An encoder that does not reach relu4_1; pictures without variance; errors of `on_layer`.
pub(super) fn start(
    context: &Context,
    encoder: &Vgg19Weights,
    pictures: &[Vec<f32>],
    size: usize,
    settings: &AdainTrainerSettings,
    mut on_layer: impl FnMut(&str) -> Result<()>,
) -> Result<AdainDecoderWeights> {
    let mut random = Random::new(settings.seed);
    let mut walk = Walk::new(context, encoder, pictures, size)?;
    let picture = Maps { channels: 3, size: [size; 2], values: pictures.to_vec() };
    // Shallow to deep: the picture, then the inputs of the encoder's layers from the second on.
    let mut goals = vec![Goal::new(&mut random, settings.positions, &picture)];
    let taps: Vec<Tap> = Tap::all().take_while(|tap| *tap <= Tap::RELU4_1).collect();
    for (index, [weight, bias]) in encoder.convolutions.iter().enumerate().take(taps.len()) {
        let linear = walk.convolve(weight, bias)?;
        let next = taps.get(index + 1).copied();
        if next.is_some() {
            goals.push(Goal::new(&mut random, settings.positions, &walk.read(&linear, next)?));
        }
        walk.advance(&linear, next)?;
    }
    let mut weights = AdainDecoderWeights::random(encoder, settings.seed)?;
    let mut maps = walk.maps;
    let layers: Vec<_> = weights.layers().collect();
    for (index, ((name, conv), goal)) in layers.into_iter().zip(goals.iter().rev()).enumerate() {
        if conv.upsample {
            let at = Placement { before: 0, size: maps.size.map(|side| 2 * side), scale: 2 };
            maps = maps.apply(context, |rec, x| pad::forward(rec, x, Border::Replicate, at))?;
        }
        let patches = maps.patches(&goal.positions, Border::Reflect);
        let [weight, bias] = regression(&patches, &goal.values, conv.relu)?;
        // The maps are already enlarged.
        let conv = Conv2d { upsample: false, ..conv };
        let layer = packed(context, |rec| ConvLayer::frozen(rec, name, conv, &weight, &bias))?;
        maps = maps.apply(context, |rec, x| layer.forward(rec, x))?;
        let shape = [conv.channels_out, conv.channels_in, 3, 3];
        weights.convolutions[index] = [tensor(&shape, weight), tensor(&[conv.channels_out], bias)];
        on_layer(name)?;
    }
    Ok(weights)
}
