//! Layers by least squares instead of by steps: what starts that are made in closed form have in common.
//!
//! The filters of a layer are the ridge regression of what it should give, at random pixels, on the 3×3 patches that it reads
//! there. A ReLU cuts off what is below zero, so where target and prediction are both negative the prediction is as good as
//! the target and takes its place, a few times over.

use nalgebra::{DMatrix, DVector};

use crate::gpu::{Context, DeviceTensor, Recorder, Tensor};
use crate::io::HostTensor;
use crate::nets::vgg19::{Convention, Weights};
use crate::nets::{ConvLayer, Tap, packed};
use crate::ops::conv2d::{Conv2d, Padding};
use crate::ops::pad::Border;
use crate::ops::pool::Kind;
use crate::ops::{relu, vector};
use crate::random::Random;
use crate::{Error, Result};

/// Positions over all pictures at which features are compared.
const POSITIONS: usize = 24_000;
/// Ridge, over the mean variance of a patch's elements.
const RIDGE: f64 = 1e-4;
/// Rounds of giving way where a target is not positive and the prediction is negative.
const ROUNDS: usize = 12;

/// Maps of one layer, a picture each: `[C, h, w]`.
pub(crate) struct Maps {
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

    pub fn scale(&mut self, factors: &[f32]) {
        let plane = self.size[0] * self.size[1];
        for maps in &mut self.values {
            for (map, factor) in maps.chunks_mut(plane).zip(factors) {
                map.iter_mut().for_each(|v| *v *= factor);
            }
        }
    }

    /// A row for each position, a column for each channel.
    pub fn at(&self, positions: &[(usize, usize)]) -> DMatrix<f64> {
        let plane = self.size[0] * self.size[1];
        DMatrix::from_fn(positions.len(), self.channels, |row, channel| {
            let (picture, pixel) = positions[row];
            f64::from(self.values[picture][channel * plane + pixel])
        })
    }

    /// A row for each position, a column for each element of the 3×3 patch round it (channel, row, column), zero or mirrored
    /// outside.
    pub fn patches(&self, positions: &[(usize, usize)], border: Border) -> DMatrix<f64> {
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

    /// What a recording makes of every picture's maps.
    pub fn apply(
        &self,
        context: &Context,
        record: impl FnOnce(&mut Recorder, Tensor) -> Result<Tensor>,
    ) -> Result<Maps> {
        let Maps { channels, size: [height, width], .. } = *self;
        let input = DeviceTensor::new(context, "maps", [1, channels, height, width]);
        let mut rec = Recorder::new(context);
        let x = rec.pin(&input);
        let y = record(&mut rec, x)?;
        let [_, channels, height, width] = y.shape.nchw("closed form", "maps")?;
        let output = DeviceTensor::new(context, "result", y.shape);
        let into = rec.pin(&output);
        vector::copy(&mut rec, y, into)?;
        let program = rec.finish()?;
        let each = |values: &Vec<f32>| {
            input.write(values)?;
            program.submit()?;
            output.read()
        };
        let values = self.values.iter().map(each).collect::<Result<_>>()?;
        Ok(Maps { channels, size: [height, width], values })
    }
}

/// The layers of the net one by one, on all pictures.
pub(crate) struct Walk<'a> {
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
        let layer = packed(self.context, |rec| ConvLayer::frozen(rec, "layer", conv, &weight.data, &bias.data))?;
        self.maps.apply(self.context, |rec, x| layer.forward(rec, x))
    }

    /// The ReLU of `linear`, pooled if `next` begins a block, becomes the maps that the next layer reads.
    pub fn advance(&mut self, linear: &Maps, next: Option<Tap>) -> Result<()> {
        let read = self.read(linear, next)?;
        self.maps = read.apply(self.context, relu::forward)?;
        Ok(())
    }

    /// `linear`, pooled if `next` begins a block. (A ReLU and the pool, by maxima, commute.)
    pub fn read(&self, linear: &Maps, next: Option<Tap>) -> Result<Maps> {
        let pool = self.convention.pool(Kind::Max);
        let pooled = next.is_some_and(|tap| tap.begins_block());
        linear.apply(self.context, |rec, x| if pooled { pool.forward(rec, x) } else { Ok(x) })
    }
}

pub(crate) fn tensor(shape: &[usize], data: Vec<f32>) -> HostTensor {
    HostTensor { shape: shape.to_vec(), dtype: crate::io::DType::F32, data }
}

/// Random pixels, as many of each picture.
pub(crate) fn positions(random: &mut Random, pictures: usize, [height, width]: [usize; 2]) -> Vec<(usize, usize)> {
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

/// The columns less their means, and the means.
pub(crate) fn centre(matrix: &DMatrix<f64>) -> (DMatrix<f64>, DVector<f64>) {
    let means = matrix.row_mean().transpose();
    let mut centred = matrix.clone();
    for (mut column, mean) in centred.column_iter_mut().zip(means.iter()) {
        column.add_scalar_mut(-mean);
    }
    (centred, means)
}

/// Weights (a row for each target) and biases of the ridge regression of `targets` on `inputs`, columns both; `rectified`
/// targets go through a ReLU, and are free below zero.
pub(crate) fn regression(inputs: &DMatrix<f64>, targets: &DMatrix<f64>, rectified: bool) -> Result<[Vec<f32>; 2]> {
    let (x, x_means) = centre(inputs);
    let transposed = x.transpose();
    let mut normal = &transposed * &x;
    let ridge = RIDGE * normal.diagonal().mean() + f64::MIN_POSITIVE;
    for at in 0..normal.nrows() {
        normal[(at, at)] += ridge;
    }
    let Some(factor) = normal.cholesky() else {
        let expected = "features that vary: give more or other photos";
        return Err(Error::argument("least squares", "photos", expected, "a constant or broken feature map"));
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
                *value = if target <= 0.0 && made < 0.0 { made } else { target };
            }
        }
    }
}
