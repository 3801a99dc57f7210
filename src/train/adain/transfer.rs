//! Closed-form initialisation of AdaIN's decoder from a trained one, the teacher: a narrower decoder, or one for
//! another encoder.
//!
//! Teacher and student run in parallel on AdaIN features of random pairs of a photo and a painting, each on the
//! features of its own encoder. From deep to shallow, a subset of the teacher layer's channels is selected greedily:
//! each selected channel explains the most of the residual covariance of all channels, where a channel is scaled by the
//! norm of the filters of the next layer that read it. The student's filters are the ridge regression (see
//! `closed_form`) of the teacher's pre-activations at the selected channels on the output of the student's previous
//! layers. Later layers thus compensate for errors of earlier ones.

use crate::gpu::{Context, DeviceTensor, Recorder};
use crate::nets::adain_decoder::AdainDecoderWeights;
use crate::nets::adain_painter::adapt;
use crate::nets::vgg19::Vgg19Weights;
use crate::nets::{ConvLayer, Tap, Vgg19, packed};
use crate::ops::conv2d::Conv2d;
use crate::ops::mean_std;
use crate::ops::pad::{self, Border, Placement};
use crate::ops::pool::Pooling;
use crate::random::Random;
use crate::train::adain::AdainTrainerSettings;
use crate::train::closed_form::{Maps, most_telling, positions, regression, tensor};
use crate::{Error, Result, loss};

/// A decoder and the encoder whose features it reads.
pub struct Pair<'a> {
    /// The encoder.
    pub encoder: &'a Vgg19Weights,
    /// The decoder.
    pub decoder: &'a AdainDecoderWeights,
}

/// Pairs of a photo and a painting, squares `[3, size, size]`, RGB 0..1.
pub(super) struct Samples {
    pub pairs: Vec<[Vec<f32>; 2]>,
    pub size: usize,
}

/// Fits the decoder for `encoder`; `channels` are the output channels of each layer but the last. `on_layer` is called
/// after each layer.
///
/// # Errors
/// An encoder that does not reach relu4_1; a teacher whose channels differ from its encoder's; more channels than the
/// teacher has; pictures without variance; errors of `on_layer`.
pub(super) fn transfer(
    context: &Context,
    encoder: &Vgg19Weights,
    teacher: &Pair,
    channels: &[usize],
    samples: &Samples,
    settings: &AdainTrainerSettings,
    mut on_layer: impl FnMut(&str) -> Result<()>,
) -> Result<AdainDecoderWeights> {
    let mut random = Random::new(settings.seed);
    let mut student_maps = features(context, encoder, samples)?;
    let mut teacher_maps = features(context, teacher.encoder, samples)?;
    if teacher_maps.channels != teacher.decoder.channels() {
        let expected = format!("a decoder for {} channels, as many as its encoder has", teacher_maps.channels);
        return Err(Error::argument("train adain", "teacher-decoder", expected, teacher.decoder.channels()));
    }
    let mut weights = AdainDecoderWeights { convolutions: Vec::new() };
    let layers: Vec<_> = teacher.decoder.layers().collect();
    for (index, &(name, conv)) in layers.iter().enumerate() {
        if conv.upsample {
            let enlarged = |maps: &Maps| {
                let at = Placement { before: 0, size: maps.size.map(|side| 2 * side), scale: 2 };
                maps.apply(context, |rec, x| pad::forward(rec, x, Border::Replicate, at))
            };
            (student_maps, teacher_maps) = (enlarged(&student_maps)?, enlarged(&teacher_maps)?);
        }
        let [weight, bias] = &teacher.decoder.convolutions[index];
        let layer = |conv: Conv2d, weight: &[f32], bias: &[f32]| {
            // The maps are already enlarged.
            packed(context, |rec| ConvLayer::frozen(rec, name, Conv2d { upsample: false, ..conv }, weight, bias))
        };
        let linear = layer(Conv2d { relu: false, ..conv }, &weight.data, &bias.data)?;
        let linear = teacher_maps.apply(context, |rec, x| linear.forward(rec, x))?;
        let positions = positions(&mut random, settings.positions, samples.pairs.len(), linear.size);
        let mut targets = linear.at(&positions);
        if let Some([next, _]) = teacher.decoder.convolutions.get(index + 1) {
            let count = channels[index];
            if count == 0 || count > conv.channels_out {
                let expected = format!("1 to the teacher's {} at {name}", conv.channels_out);
                return Err(Error::argument("train adain", "channels", expected, count));
            }
            let mut telling = targets.map(|z| z.max(0.0));
            for (mut column, norm) in telling.column_iter_mut().zip(norms_of_readers(&next.data, conv.channels_out)) {
                column *= norm;
            }
            let mut chosen = most_telling(&telling, count);
            chosen.sort_unstable();
            targets = targets.select_columns(&chosen);
        }
        let patches = student_maps.patches(&positions, Border::Reflect);
        let [weight, bias] = regression(&patches, &targets, conv.relu)?;
        let conv = Conv2d { channels_in: student_maps.channels, channels_out: targets.ncols(), ..conv };
        let made = layer(conv, &weight, &bias)?;
        student_maps = student_maps.apply(context, |rec, x| made.forward(rec, x))?;
        teacher_maps = linear;
        teacher_maps.rectify();
        let shape = [conv.channels_out, conv.channels_in, 3, 3];
        weights.convolutions.push([tensor(&shape, weight), tensor(&[conv.channels_out], bias)]);
        on_layer(name)?;
    }
    Ok(weights)
}

/// For each of the C input channels, the norm of all weights (`[M, C, 3, 3]`) that read it.
fn norms_of_readers(weights: &[f32], channels: usize) -> Vec<f32> {
    let mut squares = vec![0.0f64; channels];
    for (index, filter) in weights.chunks_exact(9).enumerate() {
        squares[index % channels] += filter.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>();
    }
    squares.into_iter().map(|square| square.sqrt() as f32).collect()
}

/// AdaIN features of each pair. Of four photos, one keeps its own features (α = 0), one has α = ½ and two have α = 1.
fn features(context: &Context, encoder: &Vgg19Weights, samples: &Samples) -> Result<Maps> {
    let Samples { pairs, size } = samples;
    let encoder = Vgg19::new(context, encoder, Pooling::Max)?;
    let [photo, painting] = ["photo", "painting"].map(|name| DeviceTensor::new(context, name, [1, 3, *size, *size]));
    let mut rec = Recorder::new(context);
    let [content, style] = [&photo, &painting].map(|picture| {
        let x = rec.pin(picture);
        encoder.forward(&mut rec, x, Tap::RELU4_1)?.at(Tap::RELU4_1)
    });
    let (content, style) = (content?, style?);
    let (mean, deviation) = mean_std::forward(&mut rec, style, loss::EPSILON)?;
    let adapted = adapt(&mut rec, content, [mean, deviation])?;
    let (own, adapted) = (rec.output(content)?, rec.output(adapted)?);
    let program = rec.finish()?;
    let [_, channels, height, width] = content.shape.nchw("closed form", "features")?;
    let mut maps = Maps { channels, size: [height, width], values: Vec::new() };
    for (number, [photo_values, painting_values]) in pairs.iter().enumerate() {
        photo.write(photo_values)?;
        painting.write(painting_values)?;
        program.submit()?;
        let alpha = [0.0, 0.5, 1.0, 1.0][number % 4];
        let (own, adapted) = (own.read()?, adapted.read()?);
        maps.values.push(own.iter().zip(adapted).map(|(own, adapted)| own + alpha * (adapted - own)).collect());
    }
    Ok(maps)
}
