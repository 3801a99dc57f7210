//! Closed-form initialisation: layers fitted by least squares instead of by gradient descent.
//!
//! The filters of a layer are fitted by ridge regression of the desired output, at random pixels, on the 3×3 input
//! patches. A ReLU sets negative values to zero, so where both target and prediction are negative, the prediction is as
//! good as the target. The fit therefore replaces such targets by the predictions and is repeated a few times.

use nalgebra::{DMatrix, DVector};

use crate::gpu::{Context, DeviceTensor, Recorder, Tensor};
use crate::io::HostTensor;
use crate::nets::vgg19::{Convention, Vgg19Weights};
use crate::nets::{ConvLayer, Tap, packed};
use crate::ops::conv2d::{Conv2d, Padding};
use crate::ops::pad::Border;
use crate::ops::pool::Pooling;
use crate::ops::relu;
use crate::random::Random;
use crate::{Error, Result};

/// Default number of positions over all pictures that enter a fit.
pub(super) const POSITIONS: usize = 24_000;
/// Ridge parameter, relative to the mean diagonal element of the inputs' scatter matrix XᵀX.
const RIDGE: f64 = 1e-4;
/// Repetitions in which non-positive targets are replaced by negative predictions.
const ROUNDS: usize = 12;

/// Feature maps of one layer, one `[C, h, w]` for each picture.
pub(crate) struct Maps {
    pub channels: usize,
    pub size: [usize; 2],
    pub values: Vec<Vec<f32>>,
}

impl Maps {
    /// Mean and standard deviation of every channel over all pictures, after a ReLU.
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

    /// Applies a ReLU in place.
    pub fn rectify(&mut self) {
        self.values.iter_mut().flatten().for_each(|v| *v = v.max(0.0));
    }

    pub fn scale(&mut self, factors: &[f32]) {
        let plane = self.size[0] * self.size[1];
        for maps in &mut self.values {
            for (map, factor) in maps.chunks_mut(plane).zip(factors) {
                map.iter_mut().for_each(|v| *v *= factor);
            }
        }
    }

    /// Features at `positions`: a row for each position, a column for each channel.
    pub fn at(&self, positions: &[(usize, usize)]) -> DMatrix<f32> {
        let plane = self.size[0] * self.size[1];
        DMatrix::from_fn(positions.len(), self.channels, |row, channel| {
            let (picture, pixel) = positions[row];
            self.values[picture][channel * plane + pixel]
        })
    }

    /// The 3×3 patches around `positions`: a row for each position, a column for each element (channel, row, column).
    /// Elements outside the picture are zero or mirrored.
    pub fn patches(&self, positions: &[(usize, usize)], border: Border) -> DMatrix<f32> {
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
            at.map_or(0.0, |at| self.values[picture][at])
        })
    }

    /// Runs a recorded operation on the maps of every picture.
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
        let output = rec.output(y)?;
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

/// Evaluates a net layer by layer on all pictures.
pub(crate) struct Walk<'a> {
    context: &'a Context,
    convention: Convention,
    pub maps: Maps,
}

impl<'a> Walk<'a> {
    /// Applies the net's first, 1×1 convolution to square pictures, `[3, size, size]`, RGB 0..1. The result is the
    /// input of conv1_1.
    pub fn new(context: &'a Context, weights: &Vgg19Weights, pictures: &[Vec<f32>], size: usize) -> Result<Self> {
        let maps = Maps { channels: 3, size: [size; 2], values: pictures.to_vec() };
        let mut walk = Walk { context, convention: weights.convention, maps };
        let [weight, bias] = weights.input();
        walk.maps = walk.convolve(&weight, &bias)?;
        Ok(walk)
    }

    /// The output of a convolution on the current maps, before its ReLU.
    pub fn convolve(&self, weight: &HostTensor, bias: &HostTensor) -> Result<Maps> {
        let [channels_out, channels_in, kernel] = [0, 1, 2].map(|side| weight.shape[side]);
        let padding = if kernel == 1 { Padding::None } else { Padding::Same(self.convention.border()) };
        let conv = Conv2d { channels_in, channels_out, kernel, stride: 1, padding, upsample: false, relu: false };
        let layer = packed(self.context, |rec| ConvLayer::frozen(rec, "layer", conv, &weight.data, &bias.data))?;
        self.maps.apply(self.context, |rec, x| layer.forward(rec, x))
    }

    /// Makes the ReLU of `linear` the current maps, pooled first if the layer `next` begins a block.
    pub fn advance(&mut self, linear: &Maps, next: Option<Tap>) -> Result<()> {
        let read = self.read(linear, next)?;
        self.maps = read.apply(self.context, relu::forward)?;
        Ok(())
    }

    /// `linear`, max-pooled if `next` begins a block. (ReLU and max pooling commute.)
    pub fn read(&self, linear: &Maps, next: Option<Tap>) -> Result<Maps> {
        let pool = self.convention.pool(Pooling::Max);
        let pooled = next.is_some_and(|tap| tap.begins_block());
        linear.apply(self.context, |rec, x| if pooled { pool.forward(rec, x) } else { Ok(x) })
    }
}

pub(crate) fn tensor(shape: &[usize], data: Vec<f32>) -> HostTensor {
    HostTensor { shape: shape.to_vec(), dtype: crate::io::DType::F32, data }
}

/// Random distinct pixels as (picture, pixel), `count` in all and the same number in each picture. Fewer if the pictures
/// have fewer pixels.
pub(crate) fn positions(
    random: &mut Random,
    count: usize,
    pictures: usize,
    [height, width]: [usize; 2],
) -> Vec<(usize, usize)> {
    let each = (count / pictures).clamp(1, height * width);
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

/// The matrix with centred columns, and the means of the columns.
fn centre(matrix: &DMatrix<f32>) -> (DMatrix<f32>, DVector<f64>) {
    let rows = matrix.nrows() as f64;
    let means = matrix.column_iter().map(|column| column.iter().map(|&v| f64::from(v)).sum::<f64>() / rows);
    let means = DVector::from_iterator(matrix.ncols(), means);
    let mut centred = matrix.clone();
    for (mut column, mean) in centred.column_iter_mut().zip(means.iter()) {
        column.iter_mut().for_each(|v| *v = (f64::from(*v) - mean) as f32);
    }
    (centred, means)
}

/// Rows whose products are accumulated in f32 before they are added to the f64 sum.
const CHUNK: usize = 2048;

/// `aᵀ b`, accumulated in f64.
fn products(a: &DMatrix<f32>, b: &DMatrix<f32>) -> DMatrix<f64> {
    let mut sum = DMatrix::zeros(a.ncols(), b.ncols());
    for first in (0..a.nrows()).step_by(CHUNK) {
        let rows = CHUNK.min(a.nrows() - first);
        sum += (a.rows(first, rows).transpose() * b.rows(first, rows)).cast::<f64>();
    }
    sum
}

/// Block size of the triangular factorisation: a block of f64 fits into the processor's cache, and the remaining work
/// is matrix products.
const BLOCK: usize = 192;

/// Blocked Cholesky factorisation: the lower triangular L of `matrix` = L Lᵀ, or `None` if `matrix` is not positive
/// definite.
fn cholesky(mut matrix: DMatrix<f64>) -> Option<DMatrix<f64>> {
    let size = matrix.nrows();
    for at in (0..size).step_by(BLOCK) {
        let (rows, next) = (BLOCK.min(size - at), (at + BLOCK).min(size));
        let corner = matrix.view((at, at), (rows, rows)).clone_owned().cholesky()?.unpack();
        matrix.view_mut((at, at), (rows, rows)).copy_from(&corner);
        let below = matrix.view((next, at), (size - next, rows)).transpose();
        let below = corner.solve_lower_triangular(&below)?;
        matrix.view_mut((next, at), (size - next, rows)).copy_from(&below.transpose());
        for column in (next..size).step_by(BLOCK) {
            let columns = BLOCK.min(size - column);
            let update =
                below.columns(column - next, size - column).transpose() * below.columns(column - next, columns);
            let mut rest = matrix.view_mut((column, column), (size - column, columns));
            rest -= update;
        }
    }
    Some(matrix)
}

/// Solves L Lᵀ x = `b` by blocks, with L in the lower triangle of `factor`.
fn solve(factor: &DMatrix<f64>, mut b: DMatrix<f64>) -> DMatrix<f64> {
    let (size, columns) = b.shape();
    let starts: Vec<usize> = (0..size).step_by(BLOCK).collect();
    let block = |at: usize| factor.view((at, at), (BLOCK.min(size - at), BLOCK.min(size - at)));
    for &at in &starts {
        let rows = BLOCK.min(size - at);
        let known = factor.view((at, 0), (rows, at)) * b.rows(0, at);
        let mut here = b.view_mut((at, 0), (rows, columns));
        here -= known;
        block(at).solve_lower_triangular_mut(&mut here);
    }
    for &at in starts.iter().rev() {
        let (rows, next) = (BLOCK.min(size - at), (at + BLOCK).min(size));
        let known = factor.view((next, at), (size - next, rows)).transpose() * b.rows(next, size - next);
        let mut here = b.view_mut((at, 0), (rows, columns));
        here -= known;
        block(at).tr_solve_lower_triangular_mut(&mut here);
    }
    b
}

/// Weights (one row for each target) and biases of the ridge regression of the columns of `targets` on the columns of
/// `inputs`. Targets of a layer with a ReLU (`rectified`) may be any negative value where they are not positive.
pub(crate) fn regression(inputs: &DMatrix<f32>, targets: &DMatrix<f32>, rectified: bool) -> Result<[Vec<f32>; 2]> {
    let (x, x_means) = centre(inputs);
    let mut normal = products(&x, &x);
    let ridge = RIDGE * normal.diagonal().mean() + f64::MIN_POSITIVE;
    for at in 0..normal.nrows() {
        normal[(at, at)] += ridge;
    }
    let Some(factor) = cholesky(normal) else {
        let expected = "photos with varying features; use more or other photos";
        return Err(Error::argument("least squares", "photos", expected, "constant or non-finite features"));
    };
    let mut wanted = targets.clone();
    let mut rounds = if rectified { ROUNDS } else { 0 };
    loop {
        let (t, means) = centre(&wanted);
        let weights = solve(&factor, products(&x, &t));
        let biases = &means - weights.transpose() * &x_means;
        if rounds == 0 {
            let rows = weights.column_iter().flat_map(|column| column.iter().map(|&w| w as f32).collect::<Vec<_>>());
            return Ok([rows.collect(), biases.iter().map(|&b| b as f32).collect()]);
        }
        rounds -= 1;
        let predicted = &x * weights.cast::<f32>();
        for (column, mut values) in wanted.column_iter_mut().enumerate() {
            for (row, value) in values.iter_mut().enumerate() {
                let made = predicted[(row, column)] + means[column] as f32;
                let target = targets[(row, column)];
                *value = if target <= 0.0 && made < 0.0 { made } else { target };
            }
        }
    }
}

/// Greedy selection of `count` columns of `features`: each explains the most of the variance that is left, as a
/// regressor of all columns.
pub(crate) fn most_telling(features: &DMatrix<f32>, count: usize) -> Vec<usize> {
    let (centred, _) = centre(features);
    let mut left = products(&centred, &centred); // residual covariance
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved_block_by_block() {
        let mut random = Random::new(5);
        let size = 2 * BLOCK + 7;
        let values = DMatrix::from_fn(size + 20, size, |_, _| f64::from(random.normal()));
        let matrix = values.transpose() * &values;
        let expected = DMatrix::from_fn(size, 3, |_, _| f64::from(random.normal()));
        let factor = cholesky(matrix.clone()).unwrap();
        let error = (solve(&factor, &matrix * &expected) - &expected).amax();
        assert!(error < 1e-6, "{error}");
        assert!(cholesky(-matrix).is_none());
    }
}
