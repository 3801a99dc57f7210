//! How well a narrow VGG stands in for the real one: what a linear map of its features tells of the real features, and what
//! Gatys' method makes of it.

use std::ops::ControlFlow;

use nalgebra::{DMatrix, DVector};

use crate::gpu::{DeviceTensor, Program, Recorder, Tensor};
use crate::io::Picture;
use crate::methods::gatys::{self, PictureLoss, Settings};
use crate::nets::{Tap, Vgg19};
use crate::ops::vector;
use crate::optim::Objective as _;
use crate::{Error, Result};

/// Pixels of a picture, evenly spread, from which the best linear map is made and judged. (What the net gives itself is judged at all.)
const PIXELS: usize = 4096;
/// Ridge of the lift, over the mean square of a feature.
const RIDGE: f64 = 1e-6;

/// How well predicted features agree with the real net's.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Quality {
    /// Pearson's correlation over all channels, pixels and pictures, each channel over its deviation.
    pub correlation: f64,
    /// The same over channels as they are.
    pub raw_correlation: f64,
    /// The correlation of each channel by itself, as a mean over the channels.
    pub channel_correlation: f64,
    /// Length of the difference over the length of the real features, each channel over its deviation.
    pub relative_error: f64,
}

/// How well the features at a tap tell the real net's.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Agreement {
    /// The tap's name.
    pub tap: String,
    /// By what the narrow net itself gives ([`Vgg19::features`]): its lift's channels or, where it has as many as the real net,
    /// its own.
    pub given: Option<Quality>,
    /// By the best linear map.
    pub mapped: Quality,
}

/// Sums over pixels from which the best linear map and its quality follow: of s, the narrow features with a 1 in front, and
/// t, the real ones.
struct Moments {
    ss: DMatrix<f64>,
    st: DMatrix<f64>,
    t: DVector<f64>,
    tt: DVector<f64>,
    /// Of each channel of t and what the narrow net gives for it.
    given: Vec<Pair>,
}

impl Moments {
    fn new(narrow: usize, wide: usize) -> Self {
        Moments {
            ss: DMatrix::zeros(narrow + 1, narrow + 1),
            st: DMatrix::zeros(narrow + 1, wide),
            t: DVector::zeros(wide),
            tt: DVector::zeros(wide),
            given: Vec::new(),
        }
    }

    fn count(&self) -> f64 {
        self.ss[(0, 0)]
    }

    /// Adds what the narrow net gives for the channels of one picture, planes of `pixels`.
    fn add_given(&mut self, given: &[f32], wide: &[f32], pixels: usize) {
        self.given.resize(self.t.len(), Pair::default());
        for ((sum, p), t) in self.given.iter_mut().zip(given.chunks(pixels)).zip(wide.chunks(pixels)) {
            for (p, t) in p.iter().zip(t).map(|(p, t)| (f64::from(*p), f64::from(*t))) {
                let one = Pair { count: 1.0, p, t, pp: p * p, pt: p * t, tt: t * t };
                *sum = sum.join(one, 1.0);
            }
        }
    }

    /// Adds the features of one picture, planes of `pixels`.
    fn add(&mut self, narrow: &[f32], wide: &[f32], pixels: usize) {
        let rows = pixels.min(PIXELS);
        let at = |row: usize| row * pixels / rows;
        let s = DMatrix::from_fn(rows, self.ss.nrows(), |row, channel| match channel.checked_sub(1) {
            None => 1.0,
            Some(channel) => f64::from(narrow[channel * pixels + at(row)]),
        });
        let t = DMatrix::from_fn(rows, self.t.len(), |row, channel| f64::from(wide[channel * pixels + at(row)]));
        let transposed = s.transpose();
        self.ss += &transposed * &s;
        self.st += &transposed * &t;
        for (channel, column) in t.column_iter().enumerate() {
            self.t[channel] += column.sum();
            self.tt[channel] += column.norm_squared();
        }
    }

    /// The best linear map from s to t: a column for each channel of t.
    fn lift(&self) -> Result<DMatrix<f64>> {
        let mut normal = self.ss.clone();
        let ridge = RIDGE * normal.diagonal().mean();
        for at in 1..normal.nrows() {
            normal[(at, at)] += ridge;
        }
        let factor = normal.cholesky();
        let factor = factor.ok_or_else(|| Error::argument("eval", "photos", "pictures that vary", "constant ones"))?;
        Ok(factor.solve(&self.st))
    }
}

/// Moments of the prediction p of one channel t, for a correlation.
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

/// Agreement from two halves of the pictures, each predicted with the linear map of the other: no picture is judged by a map
/// that it was fitted to.
fn agreement(tap: Tap, halves: &[Moments; 2]) -> Result<Agreement> {
    let channels = halves[0].t.len();
    let mut pairs = vec![Pair::default(); channels];
    for (fitted, judged) in [(0, 1), (1, 0)] {
        let (lift, half) = (halves[fitted].lift()?, &halves[judged]);
        let mapped = &half.ss * &lift;
        for (channel, pair) in pairs.iter_mut().enumerate() {
            let column = lift.column(channel);
            let judged = Pair {
                count: half.count(),
                p: mapped[(0, channel)],
                t: half.t[channel],
                pp: column.dot(&mapped.column(channel)),
                pt: column.dot(&half.st.column(channel)),
                tt: half.tt[channel],
            };
            *pair = pair.join(judged, 1.0);
        }
    }
    let [first, second] = halves.each_ref().map(|half| &half.given);
    let given: Vec<Pair> = first.iter().zip(second).map(|(a, b)| a.join(*b, 1.0)).collect();
    let given = (!given.is_empty()).then(|| quality(given));
    Ok(Agreement { tap: tap.to_string(), given, mapped: quality(pairs) })
}

/// Of the channels' pairs of prediction and truth.
fn quality(pairs: Vec<Pair>) -> Quality {
    // A channel that never fires has nothing to tell.
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

/// Both nets on a picture.
struct Pass {
    picture: DeviceTensor,
    program: Program,
    /// At each tap, the channels of the narrow and of the real net, and what the narrow one gives for the latter.
    features: Vec<([DeviceTensor; 2], Option<DeviceTensor>)>,
}

impl Pass {
    /// For pictures as large as this one.
    fn new(nets: [&Vgg19; 2], taps: &[Tap], picture: &Picture) -> Result<Self> {
        let deepest = taps.iter().max().copied();
        let deepest = deepest.ok_or_else(|| Error::argument("eval", "taps", "at least one", "none"))?;
        let context = nets[0].context();
        let input = DeviceTensor::new(context, "picture", [1, 3, picture.height, picture.width]);
        let mut rec = Recorder::new(context);
        let x = rec.pin(&input);
        let both = [nets[0].forward(&mut rec, x, deepest)?, nets[1].forward(&mut rec, x, deepest)?];
        let keep = |rec: &mut Recorder, symbol: Tensor| {
            let tensor = DeviceTensor::new(context, "features", symbol.shape);
            let into = rec.pin(&tensor);
            vector::copy(rec, symbol, into)?;
            Result::Ok(tensor)
        };
        let mut features = Vec::new();
        for &tap in taps {
            let [own, real] = [both[0].at(tap)?, both[1].at(tap)?];
            let given = nets[0].features(&mut rec, &both[0], tap)?;
            let given = if given.shape == real.shape { Some(keep(&mut rec, given)?) } else { None };
            features.push(([keep(&mut rec, own)?, keep(&mut rec, real)?], given));
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

/// Compares the features of `narrow` with those of `real` at `taps` over square pictures of one size: by what it gives
/// itself, and by the best linear map, fitted to every other picture and judged on the rest, and the other way round.
///
/// # Errors
/// Fewer than two pictures, pictures of several sizes, a net that does not reach a tap; device errors.
pub fn features(
    narrow: &Vgg19,
    real: &Vgg19,
    taps: &[Tap],
    pictures: impl Iterator<Item = Result<Picture>>,
    mut on_picture: impl FnMut(),
) -> Result<Vec<Agreement>> {
    let mut moments: Vec<[Moments; 2]> = Vec::new();
    for &tap in taps {
        let fresh = || Result::Ok(Moments::new(narrow.channels(tap)?, real.channels(tap)?));
        moments.push([fresh()?, fresh()?]);
    }
    let mut pass: Option<Pass> = None;
    let mut count = 0;
    for picture in pictures {
        let picture = picture?;
        let pass = match &mut pass {
            Some(pass) => pass,
            None => pass.insert(Pass::new([narrow, real], taps, &picture)?),
        };
        pass.run(&picture)?;
        for (([own, real], given), sums) in pass.features.iter().zip(&mut moments) {
            let [_, _, height, width] = own.shape().nchw("eval", "features")?;
            let (pixels, real) = (height * width, real.read()?);
            sums[count % 2].add(&own.read()?, &real, pixels);
            if let Some(given) = given {
                sums[count % 2].add_given(&given.read()?, &real, pixels);
            }
        }
        count += 1;
        on_picture();
    }
    if count < 2 {
        return Err(Error::argument("eval", "photos", "at least two pictures", count));
    }
    taps.iter().zip(&moments).map(|(tap, halves)| agreement(*tap, halves)).collect()
}

/// What became of one pair of pictures, judged by the real net.
#[derive(Clone, Debug)]
pub struct Service {
    /// Style loss of the content picture, of the narrow net's result and of the real net's own.
    pub style: [f64; 3],
    /// Content loss of the same.
    pub content: [f64; 3],
    /// Every term of these losses by name.
    pub terms: Vec<(String, [f64; 3])>,
    /// The pictures that the narrow and the real net made.
    pub pictures: [Picture; 2],
}

impl Service {
    /// How much of the way from the content picture to the real net's own result the narrow net's goes in style loss, on a
    /// logarithmic scale: 1 is all of it.
    pub fn removed(&self) -> f64 {
        (self.style[0] / self.style[1]).ln() / (self.style[0] / self.style[2]).ln()
    }
}

/// Paints `content` in `style` with both nets and the same settings, and judges both results by the real net.
pub fn service(
    narrow: &Vgg19,
    real: &Vgg19,
    content: &Picture,
    style: &Picture,
    settings: &Settings,
) -> Result<Service> {
    let styles = [(style.clone(), 1.0)];
    let paint = |vgg| gatys::stylize(vgg, content, &styles, settings, |_| Ok(ControlFlow::Continue(())));
    let pictures = [paint(narrow)?.picture, paint(real)?.picture];
    let fitted = content.resize(pictures[0].width, pictures[0].height);
    let side = (settings.style_scale * settings.size as f32).round().max(1.0) as usize;
    let mut judge = PictureLoss::new(real, &fitted, &[(style.fit(side), 1.0)], settings)?;
    let mut terms: Vec<(String, [f64; 3])> = judge.terms().iter().map(|(name, _)| (name.clone(), [0.0; 3])).collect();
    for (index, picture) in [&fitted, &pictures[0], &pictures[1]].into_iter().enumerate() {
        judge.picture().write(&picture.rgb)?;
        judge.evaluate()?;
        for ((_, values), (_, value)) in terms.iter_mut().zip(judge.terms()) {
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

    /// Narrow features, wide ones that are a linear map of them with `noise` on top, and that map of them as given.
    fn moments(noise: f32, seed: u64) -> Moments {
        let mut random = Random::new(seed);
        let pixels = 2000;
        let narrow: Vec<f32> = (0..2 * pixels).map(|_| random.normal()).collect();
        let map = [[1.0, 2.0, 0.5], [-1.0, 0.5, 3.0], [0.3, -2.0, -1.0]];
        let (mut given, mut wide) = (Vec::new(), Vec::new());
        for [a, b, constant] in map {
            for pixel in 0..pixels {
                let exact = a * narrow[pixel] + b * narrow[pixels + pixel] + constant;
                given.push(exact);
                wide.push(exact + noise * random.normal());
            }
        }
        let mut moments = Moments::new(2, 3);
        moments.add(&narrow, &wide, pixels);
        moments.add_given(&given, &wide, pixels);
        moments
    }

    #[test]
    fn a_linear_map_is_found_and_noise_lowers_the_correlation_as_it_must() {
        let tap = Tap::all().next().unwrap();
        let exact = agreement(tap, &[moments(0.0, 1), moments(0.0, 2)]).unwrap();
        let noisy = agreement(tap, &[moments(1.0, 1), moments(1.0, 2)]).unwrap();
        // Var of the three channels: 5, 1.25 and 4.09; r² = var / (var + noise²).
        let expected = [5.0, 1.25, 4.09f64].map(|var| (var / (var + 1.0)).sqrt()).iter().sum::<f64>() / 3.0;
        for (exact, noisy) in [(exact.mapped, noisy.mapped), (exact.given.unwrap(), noisy.given.unwrap())] {
            assert!(exact.correlation > 0.999_999 && exact.relative_error < 1e-3, "{exact:?}");
            assert!((noisy.channel_correlation - expected).abs() < 0.01, "{noisy:?} {expected}");
            assert!(noisy.correlation < 0.95 && noisy.relative_error > 0.3, "{noisy:?}");
        }
    }

    #[test]
    fn unrelated_features_do_not_correlate() {
        let unrelated = |seed| {
            let mut random = Random::new(seed);
            let narrow: Vec<f32> = (0..2 * 2000).map(|_| random.normal()).collect();
            let wide: Vec<f32> = (0..3 * 2000).map(|_| random.normal()).collect();
            let mut moments = Moments::new(2, 3);
            moments.add(&narrow, &wide, 2000);
            moments
        };
        let result = agreement(Tap::all().next().unwrap(), &[unrelated(1), unrelated(2)]).unwrap();
        assert!(result.given.is_none(), "{result:?}");
        let result = result.mapped;
        assert!(result.channel_correlation.abs() < 0.1 && result.relative_error > 0.9, "{result:?}");
    }
}
