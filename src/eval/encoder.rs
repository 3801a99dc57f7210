//! Evaluation of a narrow VGG against the original: how well its features predict those of the original, directly and
//! through lifts, and the results of Gatys' method with it.

use std::ops::ControlFlow;

use nalgebra::{DMatrix, DVector};

use crate::gpu::{DeviceTensor, Program, Recorder};
use crate::io::Picture;
use crate::methods::gatys::{self, GatysSettings, PictureLoss};
use crate::nets::{Tap, Vgg19};
use crate::train::closed_form::regression;
use crate::{Error, Result};

/// Evenly spaced pixels of a picture at which lifts are fitted and evaluated.
const PIXELS: usize = 256;

/// Agreement of predicted features with the original net's.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Quality {
    /// Pearson's correlation over all channels, pixels and pictures, each channel divided by its standard deviation.
    pub correlation: f64,
    /// The same with channels in their own units.
    pub raw_correlation: f64,
    /// Mean over the channels of each channel's correlation.
    pub channel_correlation: f64,
    /// Norm of the error relative to the norm of the original features, each channel divided by its standard deviation.
    pub relative_error: f64,
}

/// Agreement of the features at a tap with the original net's.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Agreement {
    /// Name of the tap.
    pub tap: String,
    /// Quality of the narrow net's own channels; `None` unless it has as many as the original.
    pub given: Option<Quality>,
    /// Quality after a lift: a 1×1 convolution with a ReLU, fitted to other pictures.
    pub lifted: Quality,
}

/// Data about a tap from half of the pictures.
#[derive(Default)]
struct Half {
    /// Features of the narrow and of the original net at some pixels of each picture, one row of channels per pixel.
    rows: [Vec<f32>; 2],
    /// Moments of each original channel and the narrow net's channel of the same index, over all pixels.
    given: Vec<Pair>,
}

impl Half {
    /// Adds the features of the narrow and the original net for one picture, in planes of `pixels` values.
    fn add(&mut self, features: [&[f32]; 2], pixels: usize) {
        let rows = pixels.min(PIXELS);
        for (kept, planes) in self.rows.iter_mut().zip(features) {
            let at = |row: usize| planes.iter().skip(row * pixels / rows).step_by(pixels);
            kept.extend((0..rows).flat_map(at));
        }
        let [own, real] = features;
        if own.len() == real.len() {
            let channels = own.chunks(pixels).zip(real.chunks(pixels));
            self.given.resize(channels.len(), Pair::default());
            for (sum, (own, real)) in self.given.iter_mut().zip(channels) {
                own.iter().zip(real).for_each(|(p, t)| sum.add(f64::from(*p), f64::from(*t)));
            }
        }
    }

    /// The stored features as matrices: a row for each pixel, a column for each channel.
    fn matrices(&self, channels: [usize; 2]) -> [DMatrix<f64>; 2] {
        [0, 1].map(|net| {
            let values = self.rows[net].iter().map(|value| f64::from(*value));
            DMatrix::from_row_iterator(self.rows[net].len() / channels[net], channels[net], values)
        })
    }
}

/// Sums of a prediction p, its target t and their products, for a correlation.
#[derive(Clone, Copy, Default)]
struct Pair {
    count: f64,
    p: f64,
    t: f64,
    pp: f64,
    pt: f64,
    tt: f64,
}

impl Pair {
    fn add(&mut self, p: f64, t: f64) {
        *self = self.join(Pair { count: 1.0, p, t, pp: p * p, pt: p * t, tt: t * t }, 1.0);
    }

    fn join(self, other: Pair, scale: f64) -> Pair {
        Pair {
            count: self.count + other.count,
            p: self.p + scale * other.p,
            t: self.t + scale * other.t,
            pp: self.pp + scale * scale * other.pp,
            pt: self.pt + scale * scale * other.pt,
            tt: self.tt + scale * scale * other.tt,
        }
    }

    fn variance(&self) -> f64 {
        self.tt / self.count - (self.t / self.count).powi(2)
    }

    fn correlation(&self) -> f64 {
        let Pair { count, p, t, pp, pt, tt } = *self;
        (count * pt - p * t) / ((count * pp - p * p).max(0.0) * (count * tt - t * t).max(0.0)).sqrt()
    }
}

/// Agreement from two halves of the pictures. Each half is evaluated with the lift fitted to the other half, so no
/// picture is evaluated with a lift that was fitted to it. `channels` are those of the narrow and of the original net.
fn agreement(tap: Tap, halves: &[Half; 2], channels: [usize; 2]) -> Result<Agreement> {
    let known = halves.each_ref().map(|half| half.matrices(channels));
    let mut pairs = vec![Pair::default(); channels[1]];
    for ([narrow, real], [other_narrow, other_real]) in [(&known[0], &known[1]), (&known[1], &known[0])] {
        // Channels are normalised so that the ridge of the regression does not depend on their scale.
        let deviations: Vec<f64> = other_narrow.column_iter().map(|column| column.variance().sqrt()).collect();
        let least = (1e-3 * deviations.iter().sum::<f64>() / deviations.len() as f64).max(f64::MIN_POSITIVE);
        let scaled = |features: &DMatrix<f64>| {
            let mut features = features.clone();
            for (mut column, deviation) in features.column_iter_mut().zip(&deviations) {
                column /= deviation.max(least);
            }
            features
        };
        let [inputs, targets] = [scaled(other_narrow), other_real.clone()].map(|matrix| matrix.cast::<f32>());
        let [weights, biases] = regression(&inputs, &targets, true)?;
        let weights = DMatrix::from_row_iterator(channels[1], channels[0], weights.into_iter().map(f64::from));
        let biases = DVector::from_iterator(channels[1], biases.into_iter().map(f64::from));
        let mut lifted = scaled(narrow) * weights.transpose();
        for (mut column, bias) in lifted.column_iter_mut().zip(&biases) {
            column.apply(|value| *value = (*value + bias).max(0.0));
        }
        for ((pair, lifted), real) in pairs.iter_mut().zip(lifted.column_iter()).zip(real.column_iter()) {
            lifted.iter().zip(&real).for_each(|(p, t)| pair.add(*p, *t));
        }
    }
    let [first, second] = halves.each_ref().map(|half| &half.given);
    let given: Vec<Pair> = first.iter().zip(second).map(|(a, b)| a.join(*b, 1.0)).collect();
    let given = (!given.is_empty()).then(|| quality(given));
    Ok(Agreement { tap: tap.to_string(), given, lifted: quality(pairs) })
}

/// Quality from the sums of each channel.
fn quality(pairs: Vec<Pair>) -> Quality {
    // Channels that are practically constant have no correlation and are left out.
    let typical = pairs.iter().map(Pair::variance).sum::<f64>() / pairs.len() as f64;
    let live: Vec<Pair> = pairs.into_iter().filter(|pair| pair.variance() > 1e-6 * typical).collect();
    let channel_correlation = live.iter().map(Pair::correlation).sum::<f64>() / live.len() as f64;
    let all = |scale: fn(&Pair) -> f64| live.iter().fold(Pair::default(), |sum, pair| sum.join(*pair, scale(pair)));
    let pooled = all(|pair| 1.0 / pair.variance().sqrt());
    Quality {
        correlation: pooled.correlation(),
        raw_correlation: all(|_| 1.0).correlation(),
        channel_correlation,
        relative_error: ((pooled.pp - 2.0 * pooled.pt + pooled.tt) / pooled.tt).sqrt(),
    }
}

/// The forward passes of both nets on a picture.
struct Pass {
    picture: DeviceTensor,
    program: Program,
    /// At each tap, the features of the narrow and of the original net.
    features: Vec<[DeviceTensor; 2]>,
}

impl Pass {
    /// Records both nets for pictures of the size of `picture`.
    fn new(nets: [&Vgg19; 2], taps: &[Tap], picture: &Picture) -> Result<Self> {
        let deepest = taps.iter().max().copied();
        let deepest = deepest.ok_or_else(|| Error::argument("eval", "taps", "at least one", "none"))?;
        let context = nets[0].context();
        let input = DeviceTensor::new(context, "picture", [1, 3, picture.height, picture.width]);
        let mut rec = Recorder::new(context);
        let x = rec.pin(&input);
        let both = [nets[0].forward(&mut rec, x, deepest)?, nets[1].forward(&mut rec, x, deepest)?];
        let mut features = Vec::new();
        for &tap in taps {
            features.push([rec.output(both[0].at(tap)?)?, rec.output(both[1].at(tap)?)?]);
        }
        Ok(Pass { picture: input, program: rec.finish()?, features })
    }

    fn run(&self, picture: &Picture) -> Result<()> {
        let shape = [1, 3, picture.height, picture.width].into();
        if self.picture.shape() != shape {
            return Err(Error::argument("eval", "photos", format!("all of shape {}", self.picture.shape()), shape));
        }
        self.picture.write(&picture.rgb)?;
        self.program.submit()
    }
}

/// Compares the features of `narrow` with those of `real` at `taps` over pictures of one size: directly where the
/// numbers of channels are equal, and through lifts (1×1 convolutions with a ReLU). Lifts are fitted to every other
/// picture and evaluated on the rest, and vice versa. `on_picture` is called after each picture.
///
/// # Errors
/// Fewer than two pictures, pictures of different sizes, a net that does not have a tap, features without variance;
/// errors of `pictures` and of the device.
pub fn features(
    narrow: &Vgg19,
    real: &Vgg19,
    taps: &[Tap],
    pictures: impl Iterator<Item = Result<Picture>>,
    mut on_picture: impl FnMut(),
) -> Result<Vec<Agreement>> {
    let channels = taps.iter().map(|tap| Ok([narrow.channels(*tap)?, real.channels(*tap)?]));
    let channels = channels.collect::<Result<Vec<_>>>()?;
    let mut known: Vec<[Half; 2]> = taps.iter().map(|_| <[Half; 2]>::default()).collect();
    let mut pass: Option<Pass> = None;
    let mut count = 0;
    for picture in pictures {
        let picture = picture?;
        let pass = match &mut pass {
            Some(pass) => pass,
            None => pass.insert(Pass::new([narrow, real], taps, &picture)?),
        };
        pass.run(&picture)?;
        for ([own, real], halves) in pass.features.iter().zip(&mut known) {
            let [_, _, height, width] = own.shape().nchw("eval", "features")?;
            halves[count % 2].add([&own.read()?, &real.read()?], height * width);
        }
        count += 1;
        on_picture();
    }
    if count < 2 {
        return Err(Error::argument("eval", "photos", "at least two pictures", count));
    }
    taps.iter().zip(&known).zip(channels).map(|((tap, halves), channels)| agreement(*tap, halves, channels)).collect()
}

/// Results of Gatys' method for one pair of pictures with both nets, measured by the original net.
#[derive(Clone, Debug)]
pub struct Service {
    /// Style loss of the content picture, of the narrow net's result and of the original net's result.
    pub style: [f64; 3],
    /// Content loss of the same three pictures.
    pub content: [f64; 3],
    /// Name and values of each loss term.
    pub terms: Vec<(String, [f64; 3])>,
    /// The results of the narrow and of the original net.
    pub pictures: [Picture; 2],
}

impl Service {
    /// Share of the style loss's decrease from the content picture to the original net's result that the narrow net's
    /// result reaches, on a logarithmic scale: 1 is all of it.
    pub fn removed(&self) -> f64 {
        (self.style[0] / self.style[1]).ln() / (self.style[0] / self.style[2]).ln()
    }
}

/// Paints `content` in `style` with both nets and the same settings, and measures both results with the original net.
///
/// # Errors
/// Those of [`gatys::stylize`].
pub fn service(
    narrow: &Vgg19,
    real: &Vgg19,
    content: &Picture,
    style: &Picture,
    settings: &GatysSettings,
) -> Result<Service> {
    let styles = [style.clone().into()];
    let paint = |vgg| gatys::stylize(vgg, content, &styles, settings, |_| Ok(ControlFlow::Continue(())));
    let pictures = [paint(narrow)?.picture, paint(real)?.picture];
    let fitted = content.resize(pictures[0].width, pictures[0].height);
    let side = (settings.style_scale * settings.size as f32).round().max(1.0) as usize;
    let mut evaluator = PictureLoss::new(real, &fitted, &[style.fit(side).into()], settings)?;
    let mut terms: Vec<(String, [f64; 3])> =
        evaluator.terms().iter().map(|(name, _)| (name.clone(), [0.0; 3])).collect();
    for (index, picture) in [&fitted, &pictures[0], &pictures[1]].into_iter().enumerate() {
        evaluator.picture().write(&picture.rgb)?;
        evaluator.evaluate()?;
        for ((_, values), (_, value)) in terms.iter_mut().zip(evaluator.terms()) {
            values[index] = *value;
        }
    }
    let sum = |kind: &str| {
        let of_kind = terms.iter().filter(|(name, _)| name.starts_with(kind));
        of_kind.fold([0.0; 3], |sum, (_, values)| std::array::from_fn(|index| sum[index] + values[index]))
    };
    Ok(Service { style: sum("style"), content: sum("content"), terms, pictures })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// 2 narrow features of noise and 3 wide ones: a ReLU of a linear map of the narrow features, plus `noise`.
    fn half(noise: f32, seed: u64) -> Half {
        let mut random = Random::new(seed);
        let pixels = 2000;
        let narrow: Vec<f32> = (0..2 * pixels).map(|_| random.normal()).collect();
        let map = [[1.0, 2.0, 0.5], [-1.0, 0.5, 1.5], [0.3, -2.0, 1.0]];
        let mut wide = Vec::new();
        for [a, b, constant] in map {
            for pixel in 0..pixels {
                let exact: f32 = a * narrow[pixel] + b * narrow[pixels + pixel] + constant;
                wide.push(exact.max(0.0) + noise * random.normal());
            }
        }
        let mut half = Half::default();
        // Four pictures with a quarter of the pixels each.
        for part in 0..4 {
            let cut = |planes: &[f32]| -> Vec<f32> {
                planes.chunks(pixels).flat_map(|plane| plane[part * 500..][..500].to_vec()).collect()
            };
            half.add([&cut(&narrow), &cut(&wide)], 500);
        }
        half
    }

    #[test]
    fn a_lift_is_found_and_noise_lowers_the_correlation_as_it_must() {
        let tap = Tap::all().next().unwrap();
        let exact = agreement(tap, &[half(0.0, 1), half(0.0, 2)], [2, 3]).unwrap();
        assert!(exact.given.is_none(), "{exact:?}");
        let exact = exact.lifted;
        assert!(exact.correlation > 0.999 && exact.relative_error < 0.02, "{exact:?}");
        let noisy = agreement(tap, &[half(0.5, 1), half(0.5, 2)], [2, 3]).unwrap().lifted;
        // r² = var / (var + noise²), with the variance after the ReLU.
        let rows = half(0.0, 1).matrices([2, 3]);
        let expected = rows[1].column_iter().map(|column| (column.variance() / (column.variance() + 0.25)).sqrt());
        let expected = expected.sum::<f64>() / 3.0;
        assert!((noisy.channel_correlation - expected).abs() < 0.02, "{noisy:?} {expected}");
        assert!(noisy.correlation < 0.96 && noisy.relative_error > 0.2, "{noisy:?} {expected}");
    }

    #[test]
    fn channels_are_compared_as_they_are_where_there_are_as_many() {
        let mut random = Random::new(4);
        let mut half = |scale: f32| {
            let wide: Vec<f32> = (0..3 * 400).map(|_| random.normal().max(0.0)).collect();
            let own: Vec<f32> = wide.iter().map(|value| scale * value).collect();
            let mut half = Half::default();
            half.add([&own, &wide], 400);
            half
        };
        let tap = Tap::all().next().unwrap();
        let same = agreement(tap, &[half(1.0), half(1.0)], [3, 3]).unwrap().given.unwrap();
        assert!(same.correlation > 1.0 - 1e-9 && same.relative_error < 1e-6, "{same:?}");
        // Another unit leaves the correlation unchanged and makes the relative error 1.
        let twice = agreement(tap, &[half(2.0), half(2.0)], [3, 3]).unwrap();
        let (given, lifted) = (twice.given.unwrap(), twice.lifted);
        assert!(given.correlation > 1.0 - 1e-9 && (given.relative_error - 1.0).abs() < 1e-6, "{given:?}");
        assert!(lifted.correlation > 0.999 && lifted.relative_error < 0.02, "{lifted:?}");
    }

    #[test]
    fn unrelated_features_do_not_correlate() {
        let unrelated = |seed| {
            let mut random = Random::new(seed);
            let mut planes = |channels| (0..channels * 200).map(|_| random.normal()).collect::<Vec<f32>>();
            let mut half = Half::default();
            (0..10).for_each(|_| half.add([&planes(2), &planes(3)], 200));
            half
        };
        let result = agreement(Tap::all().next().unwrap(), &[unrelated(1), unrelated(2)], [2, 3]).unwrap().lifted;
        assert!(result.channel_correlation.abs() < 0.1 && result.relative_error > 0.9, "{result:?}");
    }
}
