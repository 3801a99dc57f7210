//! A closed-form start for a narrow VGG: layer by layer, the teacher's most telling channels by least squares.
//!
//! Of every layer's channels t (those of the teacher, each over its deviation) a subset S is chosen greedily: the one next
//! whose addition leaves least of all channels' variance unexplained by a linear map of S. The student's filters are then the
//! ridge regression of the teacher's pre-activations z_S on the 3×3 patches that the student itself has made of the layer
//! before, so that later layers make up for what earlier ones lost. A ReLU cuts off what is below zero, so where target and
//! prediction are both negative the prediction is as good as the target and takes its place, a few times over.

use nalgebra::{DMatrix, DVector};

use super::Settings;
use crate::gpu::{Context, DeviceTensor, Recorder};
use crate::io::HostTensor;
use crate::nets::vgg19::{Convention, Weights, scaled_channels};
use crate::nets::{ConvLayer, Tap};
use crate::ops::conv2d::{Conv2d, Padding};
use crate::ops::pad::Border;
use crate::ops::pool::Kind;
use crate::ops::relu;
use crate::random::Random;
use crate::{Error, Result};

/// Positions over all pictures at which features are compared.
const POSITIONS: usize = 24_000;
/// Ridge, over the mean variance of a patch's elements.
const RIDGE: f64 = 1e-4;
/// Rounds of giving way where target and prediction are both negative.
const ROUNDS: usize = 12;

/// Maps of one layer, a picture each: `[C, h, w]`.
pub(super) struct Maps {
    pub channels: usize,
    pub size: [usize; 2],
    pub values: Vec<Vec<f32>>,
}

impl Maps {
    /// Mean and deviation of every channel over all pictures, after a ReLU.
    pub fn statistics(&self) -> Vec<(f64, f64)> {
        let plane = self.size[0] * self.size[1];
        let of = |channel: usize| {
            let values = || self.values.iter().flat_map(|maps| &maps[channel * plane..][..plane]);
            let each = || values().map(|&v| f64::from(v.max(0.0)));
            let count = (plane * self.values.len()) as f64;
            let mean = each().sum::<f64>() / count;
            (mean, (each().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt())
        };
        (0..self.channels).map(of).collect()
    }

    fn scale(&mut self, factors: &[f32]) {
        let plane = self.size[0] * self.size[1];
        for maps in &mut self.values {
            for (map, factor) in maps.chunks_mut(plane).zip(factors) {
                map.iter_mut().for_each(|v| *v *= factor);
            }
        }
    }

    /// A row for each position, a column for each channel.
    fn at(&self, positions: &[(usize, usize)]) -> DMatrix<f64> {
        let plane = self.size[0] * self.size[1];
        DMatrix::from_fn(positions.len(), self.channels, |row, channel| {
            let (picture, pixel) = positions[row];
            f64::from(self.values[picture][channel * plane + pixel])
        })
    }

    /// A row for each position, a column for each element of the 3×3 patch round it (channel, row, column), zero or mirrored
    /// outside.
    fn patches(&self, positions: &[(usize, usize)], border: Border) -> DMatrix<f64> {
        let [height, width] = self.size;
        let source = |at: usize, offset: usize, side: usize| match (at + offset).checked_sub(1) {
            Some(inside) if inside < side => Some(inside),
            _ if border == Border::Zero => None,
            None => Some(1),
            Some(_) => Some(side - 2),
        };
        DMatrix::from_fn(positions.len(), 9 * self.channels, |row, column| {
            let (picture, pixel) = positions[row];
            let i = source(pixel / width, column % 9 / 3, height);
            let j = source(pixel % width, column % 3, width);
            let at = i.zip(j).map(|(i, j)| (column / 9 * height + i) * width + j);
            at.map_or(0.0, |at| f64::from(self.values[picture][at]))
        })
    }
}

/// The layers of the net one by one, on all pictures.
pub(super) struct Walk<'a> {
    context: &'a Context,
    convention: Convention,
    pub maps: Maps,
}

impl<'a> Walk<'a> {
    /// Stands before conv1_1: what the 1×1 convolution in front makes of square pictures, `[3, size, size]`, RGB 0..1.
    pub fn new(context: &'a Context, weights: &Weights, pictures: &[Vec<f32>], size: usize) -> Result<Self> {
        let maps = Maps { channels: 3, size: [size; 2], values: pictures.to_vec() };
        let mut walk = Walk { context, convention: weights.convention, maps };
        let [weight, bias] = weights.input();
        walk.maps = walk.convolve(&weight, &bias)?;
        Ok(walk)
    }

    /// What a convolution makes of the maps, before its ReLU.
    pub fn convolve(&self, weight: &HostTensor, bias: &HostTensor) -> Result<Maps> {
        let [channels_out, channels_in, kernel] = [0, 1, 2].map(|side| weight.shape[side]);
        let padding = if kernel == 1 { Padding::None } else { Padding::Same(self.convention.border()) };
        let conv = Conv2d { channels_in, channels_out, kernel, stride: 1, padding, upsample: false, relu: false };
        let layer = ConvLayer::frozen(self.context, "layer", conv, &weight.data, &bias.data)?;
        self.apply(|rec, x| layer.forward(rec, x))
    }

    /// The ReLU of `linear`, pooled if `next` begins a block: the maps that the next layer reads.
    pub fn advance(&mut self, linear: Maps, next: Option<Tap>) -> Result<()> {
        self.maps = linear;
        let pool = self.convention.pool(Kind::Max);
        let pooled = next.is_some_and(|tap| tap.begins_block());
        self.maps = self.apply(|rec, x| {
            let y = relu::forward(rec, x)?;
            if pooled { pool.forward(rec, y) } else { Ok(y) }
        })?;
        Ok(())
    }

    fn apply(
        &self,
        record: impl FnOnce(&mut Recorder, crate::gpu::Tensor) -> Result<crate::gpu::Tensor>,
    ) -> Result<Maps> {
        let Maps { channels, size: [height, width], .. } = self.maps;
        let input = DeviceTensor::new(self.context, "maps", [1, channels, height, width]);
        let mut rec = Recorder::new(self.context);
        let x = rec.pin(&input);
        let y = record(&mut rec, x)?;
        let [_, channels, height, width] = y.shape.nchw("walk", "maps")?;
        let output = DeviceTensor::new(self.context, "result", y.shape);
        let into = rec.pin(&output);
        crate::ops::vector::copy(&mut rec, y, into)?;
        let program = rec.finish()?;
        let each = |values: &Vec<f32>| {
            input.write(values)?;
            program.submit()?;
            output.read()
        };
        let values = self.maps.values.iter().map(each).collect::<Result<_>>()?;
        Ok(Maps { channels, size: [height, width], values })
    }
}

/// The start: the teacher with every channel's deviation made 1 and what each layer's channels were multiplied with for it,
/// the student, and a lift (weights `[C, c, 1, 1]` and bias `[C]`) from the student's to the teacher's channels at each of the
/// taps that were asked for.
pub(super) struct Start {
    pub teacher: Weights,
    pub scales: Vec<Vec<f32>>,
    pub student: Weights,
    pub lifts: Vec<[HostTensor; 2]>,
}

impl Start {
    /// One whose student and lifts are zero, of a teacher that was already scaled once.
    pub fn blank(mut teacher: Weights, scales: Vec<Vec<f32>>, given: Option<&Weights>, settings: &Settings) -> Self {
        let zeros = |shape: &[usize]| tensor(shape, vec![0.0; shape.iter().product()]);
        let (mut student, mut lifts) = (without_layers(given), Vec::new());
        let mut channels = 3;
        for (tap, scale) in settings.layers().into_iter().zip(&scales) {
            let (m, wide) = (scaled_channels(tap, settings.width), scale.len());
            teacher.rescale(tap, scale);
            student.convolutions.push([zeros(&[m, channels, 3, 3]), zeros(&[m])]);
            if settings.taps.iter().any(|(other, _)| *other == tap) {
                lifts.push([zeros(&[wide, m, 1, 1]), zeros(&[wide])]);
            }
            channels = m;
        }
        Start { teacher, scales, student, lifts }
    }
}

/// A student without layers, which reads pictures as `given` does.
fn without_layers(given: Option<&Weights>) -> Weights {
    let fresh = Weights { convention: Convention::Normalised, input: Some(input()), convolutions: Vec::new() };
    Weights { convolutions: Vec::new(), ..given.cloned().unwrap_or(fresh) }
}

/// Makes the start from `pictures`, squares of RGB 0..1 with sides of `settings.crops.size`. The layers of `given` are taken
/// as they are. `on_layer` is told of each layer as it is done.
pub(super) fn start(
    context: &Context,
    mut teacher: Weights,
    given: Option<&Weights>,
    pictures: &[Vec<f32>],
    settings: &Settings,
    mut on_layer: impl FnMut(Tap) -> Result<()>,
) -> Result<Start> {
    let (size, width) = (settings.crops.size, settings.width);
    let layers = settings.layers();
    let mut random = Random::new(settings.seed);
    let mut student = without_layers(given);
    let given = given.map_or(&[][..], |weights| &weights.convolutions);
    let (mut scales, mut lifts) = (Vec::new(), Vec::new());
    let mut original = Walk::new(context, &teacher, pictures, size)?;
    let mut copy = Walk::new(context, &student, pictures, size)?;
    for (index, &tap) in layers.iter().enumerate() {
        let next = layers.get(index + 1).copied();
        let [weight, bias] = &teacher.convolutions[index];
        let mut linear = original.convolve(weight, bias)?;
        let factors = unit_deviations(&linear);
        linear.scale(&factors);
        teacher.rescale(tap, &factors);

        let positions = positions(&mut random, pictures.len(), linear.size);
        let targets = linear.at(&positions);
        let features = targets.map(|z| z.max(0.0));
        let m = scaled_channels(tap, width);
        if m > features.ncols() {
            let expected = format!("no wider than the teacher: at most {} channels at {tap}", features.ncols());
            return Err(Error::argument("train encoder", "--width", expected, format!("{width}, which makes {m}")));
        }
        let layer = match given.get(index) {
            Some(layer) if layer[1].shape == [m] => layer.clone(),
            Some(layer) => {
                let got = format!("{} at {tap}", layer[1].data.len());
                return Err(Error::argument("train encoder", "--init", format!("a net of {m} channels"), got));
            }
            None => {
                let patches = copy.maps.patches(&positions, student.convention.border());
                let chosen = targets.select_columns(&most_telling(&features, m));
                let [weight, bias] = regression(&patches, &chosen, true)?;
                [tensor(&[m, copy.maps.channels, 3, 3], weight), tensor(&[m], bias)]
            }
        };
        let [weight, bias] = &layer;
        let made = copy.convolve(weight, bias)?;
        if settings.taps.iter().any(|(other, _)| *other == tap) {
            let narrow = made.at(&positions).map(|z| z.max(0.0));
            let [weight, bias] = regression(&narrow, &features, false)?;
            lifts.push([tensor(&[features.ncols(), m, 1, 1], weight), tensor(&[features.ncols()], bias)]);
        }
        student.convolutions.push(layer);
        scales.push(factors);
        original.advance(linear, next)?;
        copy.advance(made, next)?;
        on_layer(tap)?;
    }
    Ok(Start { teacher, scales, student, lifts })
}

/// ImageNet's mean and deviation, so that conv1_1 reads numbers round 0.
fn input() -> [HostTensor; 2] {
    let (weight, bias) = Convention::Torchvision.input();
    [tensor(&[3, 3, 1, 1], weight), tensor(&[3], bias)]
}

fn tensor(shape: &[usize], data: Vec<f32>) -> HostTensor {
    HostTensor { shape: shape.to_vec(), dtype: crate::io::DType::F32, data }
}

/// Factors that make the deviation of every channel 1 after the ReLU; a channel that (nearly) never fires stays quiet.
fn unit_deviations(linear: &Maps) -> Vec<f32> {
    let deviations: Vec<f64> = linear.statistics().iter().map(|(_, deviation)| *deviation).collect();
    let floor = 1e-2 * deviations.iter().sum::<f64>() / deviations.len() as f64;
    deviations.iter().map(|d| (1.0 / d.max(floor).max(f64::from(f32::MIN_POSITIVE))) as f32).collect()
}

/// Factors that make the mean activation of every channel 1; a channel that (nearly) never fires stays as it is.
pub(super) fn unit_means(linear: &Maps) -> Vec<f32> {
    let means: Vec<f64> = linear.statistics().iter().map(|(mean, _)| *mean).collect();
    let quiet = 1e-3 * means.iter().sum::<f64>() / means.len() as f64;
    means.iter().map(|&mean| if mean > quiet { (1.0 / mean) as f32 } else { 1.0 }).collect()
}

/// Random pixels, as many of each picture.
fn positions(random: &mut Random, pictures: usize, [height, width]: [usize; 2]) -> Vec<(usize, usize)> {
    let each = (POSITIONS / pictures).clamp(1, height * width);
    let mut all = Vec::new();
    for picture in 0..pictures {
        let mut pixels: Vec<usize> = (0..height * width).collect();
        for chosen in 0..each {
            let other = chosen + (random.bits() % (pixels.len() - chosen) as u64) as usize;
            pixels.swap(chosen, other);
        }
        all.extend(pixels[..each].iter().map(|&pixel| (picture, pixel)));
    }
    all
}

/// `count` columns of `features` whose linear maps explain most of the variance of all columns, chosen one after the other.
fn most_telling(features: &DMatrix<f64>, count: usize) -> Vec<usize> {
    let (centred, _) = centre(features);
    let mut left = centred.transpose() * &centred; // covariance of what is not yet explained
    let floor = 1e-3 * left.diagonal().mean();
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < count.min(features.ncols()) {
        let gain = |column: usize| left.column(column).norm_squared() / (left[(column, column)].max(0.0) + floor);
        let candidates = (0..features.ncols()).filter(|column| !chosen.contains(column));
        let Some(best) = candidates.max_by(|a, b| gain(*a).total_cmp(&gain(*b))) else { break };
        let column = left.column(best).clone_owned();
        let pivot = column[best].max(f64::MIN_POSITIVE);
        left.ger(-1.0 / pivot, &column, &column, 1.0);
        chosen.push(best);
    }
    chosen
}

/// The columns less their means, and the means.
fn centre(matrix: &DMatrix<f64>) -> (DMatrix<f64>, DVector<f64>) {
    let means = matrix.row_mean().transpose();
    let mut centred = matrix.clone();
    for (mut column, mean) in centred.column_iter_mut().zip(means.iter()) {
        column.add_scalar_mut(-mean);
    }
    (centred, means)
}

/// Weights (a row for each target) and biases of the ridge regression of `targets` on `inputs`, columns both; `rectified`
/// targets go through a ReLU, and are free below zero.
fn regression(inputs: &DMatrix<f64>, targets: &DMatrix<f64>, rectified: bool) -> Result<[Vec<f32>; 2]> {
    let (x, x_means) = centre(inputs);
    let transposed = x.transpose();
    let mut normal = &transposed * &x;
    let ridge = RIDGE * normal.diagonal().mean() + f64::MIN_POSITIVE;
    for at in 0..normal.nrows() {
        normal[(at, at)] += ridge;
    }
    let Some(factor) = normal.cholesky() else {
        let expected = "features that vary: give more or other photos";
        return Err(Error::argument("train encoder", "photos", expected, "a constant or broken feature map"));
    };
    let mut wanted = targets.clone();
    let mut rounds = if rectified { ROUNDS } else { 0 };
    loop {
        let (t, means) = centre(&wanted);
        let weights = factor.solve(&(&transposed * t));
        let biases = &means - weights.transpose() * &x_means;
        if rounds == 0 {
            let rows = weights.column_iter().flat_map(|column| column.iter().map(|&w| w as f32).collect::<Vec<_>>());
            return Ok([rows.collect(), biases.iter().map(|&b| b as f32).collect()]);
        }
        rounds -= 1;
        let predicted = &x * &weights;
        for (column, mut values) in wanted.column_iter_mut().enumerate() {
            for (row, value) in values.iter_mut().enumerate() {
                let made = predicted[(row, column)] + means[column];
                let target = targets[(row, column)];
                *value = if target < 0.0 && made < 0.0 { made } else { target };
            }
        }
    }
}
