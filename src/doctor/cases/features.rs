//! Operations on pictures and feature maps: padding, pooling, activations, statistics, losses.

use super::norm::{DEFERRED, deferred, twin as norm_twin};
use super::pictures;
use crate::doctor::case::{Case, EXACT, SUM, rounded, tolerance};
use crate::gpu::Precision;
use crate::loss::EPSILON;
use crate::ops::load::Input;
use crate::ops::norm::Affine;
use crate::ops::pad::{self, Border, Placement};
use crate::ops::pool::{Pool, Pooling};
use crate::ops::square_loss::{self, Weight};
use crate::ops::window::{self, Window};
use crate::ops::{gram, mean_std, regions, relu, tanh, total_variation, vector};
use crate::reference::conv2d::Padding;
use crate::reference::{self, Array, indices};

/// Sums of at most four elements: three roundings.
const FOUR: f64 = 3.0 * EXACT;

fn describe(shape: &[usize]) -> String {
    match *shape {
        [n, c, height, width] => format!("{c} channels, {}", pictures(n, height, width)),
        _ => format!("{shape:?}"),
    }
}

/// The oracle of a border.
fn twin(border: Border) -> Padding {
    match border {
        Border::Zero => Padding::Zero,
        Border::Reflect => Padding::Reflect,
        Border::Replicate => Padding::Replicate,
    }
}

/// Visits every element of the padded picture with the corresponding element of `x`.
fn shown(border: Border, at: Placement, x: &Array, mut visit: impl FnMut([usize; 4], [usize; 4])) {
    let [n, c, height, width] = x.dims();
    let source = |position: usize, size: usize| {
        let (position, scale) = (position as isize - at.before as isize, at.scale as usize);
        twin(border).source(position, size * scale).map(|source| source / scale)
    };
    for [n, c, i, j] in indices([n, c, at.size[0], at.size[1]]) {
        if let (Some(row), Some(column)) = (source(i, height), source(j, width)) {
            visit([n, c, i, j], [n, c, row, column]);
        }
    }
}

fn bordered(border: Border, at: Placement, x: &Array) -> Array {
    let mut y = Array::zeros(&[x.shape[0], x.shape[1], at.size[0], at.size[1]]);
    shown(border, at, x, |yi, xi| *y.at_mut(yi) = x.at(xi));
    y
}

fn describe_pad(border: Border, at: Placement, shape: &[usize]) -> String {
    let enlarged = if at.scale == 2 { " x2" } else { "" };
    let border = format!("{border:?}").to_lowercase();
    format!("pad{enlarged} {border} to {}x{}, {}", at.size[1], at.size[0], describe(shape))
}

/// A placement of pictures of `shape`, enlarged by `scale`, with that much padding before and after.
pub fn placement(shape: [usize; 4], before: usize, after: usize, scale: usize) -> Placement {
    let size = [shape[2], shape[3]].map(|side| scale * side + before + after);
    Placement { before, size, scale: scale as u32 }
}

/// Padding of an input and of a gradient under the mask of a ReLU.
pub fn padding(border: Border, shape: [usize; 4], at: Placement, precision: Precision) -> Case<'static> {
    let [x, mask] = [81, 86].map(|seed| rounded(Array::random(&shape, seed), precision));
    let masked = reference::relu::d_input(&mask, &x);
    let [y, y_masked] = [&x, &masked].map(|x| bordered(border, at, x));
    Case::new(describe_pad(border, at, &shape), &[&x, &mask], &[&y, &y_masked], EXACT, move |rec, inputs| {
        let [x, mask] = [vector::stored(rec, inputs[0], precision)?, vector::stored(rec, inputs[1], precision)?];
        let y = pad::forward(rec, x, border, at)?;
        // Gradients are f32, masks are stored as activations.
        Ok(vec![y, pad::forward(rec, Input::masked(inputs[0], mask), border, at)?])
    })
}

/// Padding of an input with a deferred norm and ReLU.
pub fn padding_of_norm(border: Border, shape: [usize; 4], at: Placement, precision: Precision) -> Case<'static> {
    let x = rounded(Array::random(&shape, 87), precision);
    let [gamma, beta] = [88, 89].map(|seed| Array::random(&shape[1..2], seed));
    let y = bordered(border, at, &reference::norm::forward(norm_twin(DEFERRED), &x, &gamma, &beta));
    let name = format!("{} of a norm", describe_pad(border, at, &shape));
    Case::new(name, &[&x, &gamma, &beta], &[&y], tolerance(precision, SUM), move |rec, inputs| {
        let [x, gamma, beta] = *inputs else { unreachable!() };
        let x = vector::stored(rec, x, precision)?;
        let input = deferred(rec, x, Affine { gamma, beta })?;
        Ok(vec![pad::forward(rec, input, border, at)?])
    })
}

/// The gradient of padding.
pub fn padding_gradient(border: Border, shape: [usize; 4], at: Placement) -> Case<'static> {
    let [n, c, height, width] = shape;
    let dy = Array::random(&[n, c, at.size[0], at.size[1]], 83);
    let mut dx = Array::zeros(&shape);
    shown(border, at, &Array::zeros(&shape), |yi, xi| *dx.at_mut(xi) += dy.at(yi));
    let name = format!("gradient of {}", describe_pad(border, at, &shape));
    Case::new(name, &[&dy], &[&dx], SUM, move |rec, inputs| {
        Ok(vec![pad::backward(rec, inputs[0], border, at, [height, width])?])
    })
}

/// A part of a picture, and zeros around its gradient.
pub fn cut(shape: [usize; 4], before: usize, size: [usize; 2], precision: Precision) -> Case<'static> {
    let [n, c, ..] = shape;
    let x = rounded(Array::random(&shape, 84), precision);
    let within = |[n, c, i, j]: [usize; 4]| [n, c, i + before, j + before];
    let part = indices([n, c, size[0], size[1]]).map(|at| x.at(within(at)));
    let y = Array::new(&[n, c, size[0], size[1]], part.collect());
    let mut dx = Array::zeros(&shape);
    indices([n, c, size[0], size[1]]).for_each(|at| *dx.at_mut(within(at)) = y.at(at));
    let name = format!("cut to {}x{}, {}", size[1], size[0], describe(&shape));
    Case::new(name, &[&x, &y], &[&y, &dx], EXACT, move |rec, inputs| {
        let x = vector::stored(rec, inputs[0], precision)?;
        Ok(vec![pad::cut(rec, x, before, size)?, pad::cut_gradient(rec, inputs[1], before, x)?])
    })
}

/// Cutting a window of `size` at `at`, and adding the window to another feature map.
pub fn window(shape: [usize; 4], size: [usize; 2], at: [usize; 2], precision: Precision) -> Case<'static> {
    let [n, c, height, width] = shape;
    let [x, z] = [85, 86].map(|seed| rounded(Array::random(&shape, seed), precision));
    let within = |[n, c, i, j]: [usize; 4]| [n, c, i + at[0], j + at[1]];
    let part = indices([n, c, size[0], size[1]]).map(|at| x.at(within(at)));
    let y = Array::new(&[n, c, size[0], size[1]], part.collect());
    let mut sum = z.clone();
    indices([n, c, size[0], size[1]]).for_each(|at| *sum.at_mut(within(at)) += y.at(at));
    let name = format!("window of {}x{} at {at:?}, {}", size[1], size[0], describe(&shape));
    Case::new(name, &[&x, &z], &[&y, &sum], tolerance(precision, EXACT), move |rec, inputs| {
        let x = vector::stored(rec, inputs[0], precision)?;
        let z = vector::stored(rec, inputs[1], precision)?;
        let window = Window::new(rec, [height, width], size, at)?;
        let y = window::cut(rec, x, window)?;
        window::add(rec, y, window, z)?;
        Ok(vec![y, z])
    })
}

/// Pooling of `x` and its gradient.
pub fn pool(kind: Pooling, ceil: bool, x: &Array, precision: Precision) -> Case<'static> {
    let x = &rounded(x.clone(), precision);
    let pool = Pool { kind, ceil };
    let twin = match kind {
        Pooling::Max => reference::pool::Pooling::Max,
        Pooling::Average => reference::pool::Pooling::Average,
    };
    let twin = reference::pool::Pool { kind: twin, ceil };
    let y = reference::pool::forward(twin, x);
    let dy = Array::random(&y.shape, 22);
    let dx = reference::pool::d_input(twin, x, &dy);
    let name = format!("{} pool, {}", if kind == Pooling::Max { "max" } else { "average" }, describe(&x.shape));
    Case::new(name, &[x, &dy], &[&y, &dx], tolerance(precision, FOUR), move |rec, inputs| {
        let x = vector::stored(rec, inputs[0], precision)?;
        Ok(vec![pool.forward(rec, x)?, pool.backward(rec, x, inputs[1])?])
    })
}

/// The rectified linear unit and its gradient.
pub fn rectified(shape: &[usize], precision: Precision) -> Case<'static> {
    let (x, dy) = (rounded(Array::random(shape, 12), precision), Array::random(shape, 13));
    let y = reference::relu::forward(&x);
    let dx = reference::relu::d_input(&y, &dy);
    Case::new(format!("relu, {}", describe(shape)), &[&x, &dy], &[&y, &dx], EXACT, move |rec, inputs| {
        let x = vector::stored(rec, inputs[0], precision)?;
        let y = relu::forward(rec, x)?;
        Ok(vec![y, relu::backward(rec, y, inputs[1])?])
    })
}

/// The scaled hyperbolic tangent of values up to `range`, and its gradient.
pub fn bent(shape: &[usize], range: f64, precision: Precision) -> Case<'static> {
    let x = rounded(Array::random(shape, 150).map(|value| f64::from((value * range) as f32)), precision);
    let dy = Array::random(shape, 151);
    let y = reference::tanh::forward(&x);
    // The gradient reads the stored output.
    let kept = rounded(y.clone(), precision);
    let dx = reference::tanh::d_input(&kept, &dy);
    let name = format!("tanh up to {range}, {}", describe(shape));
    Case::new(name, &[&x, &dy, &kept], &[&y, &dx], tolerance(precision, SUM), move |rec, inputs| {
        let [x, kept] = [vector::stored(rec, inputs[0], precision)?, vector::stored(rec, inputs[2], precision)?];
        Ok(vec![tanh::forward(rec, x)?, tanh::backward(rec, kept, inputs[1])?])
    })
}

/// A Gram matrix and its gradient.
pub fn gram_matrix(shape: [usize; 4], precision: Precision) -> Case<'static> {
    let features = rounded(Array::random(&shape, 61), precision);
    let scale = reference::gram::default_scale(&shape);
    let matrix = reference::gram::forward(&features, scale);
    // Not symmetric: the gradient must symmetrise it.
    let dgram = Array::random(&matrix.shape, 62);
    let dfeatures = reference::gram::d_input(&features, scale, &dgram);
    let name = format!("Gram matrix and its gradient, {}", describe(&shape));
    Case::new(name, &[&features, &dgram], &[&matrix, &dfeatures], SUM, move |rec, inputs| {
        let features = vector::stored(rec, inputs[0], precision)?;
        let scale = gram::scale(features);
        let matrix = gram::forward(rec, features, scale)?;
        Ok(vec![matrix, gram::backward(rec, features, inputs[1], scale)?])
    })
}

/// Means and deviations of channels, and their gradient.
pub fn statistics(x: &Array, precision: Precision) -> Case<'static> {
    let x = &rounded(x.clone(), precision);
    let spec = reference::mean_std::MeanStd { eps: EPSILON.into(), unbiased: false };
    let (mean, std) = reference::mean_std::forward(spec, x);
    let [dmean, dstd] = [42, 43].map(|seed| Array::random(&x.shape[..2], seed));
    let dx = reference::mean_std::d_input(spec, x, &dmean, &dstd);
    let name = format!("means and deviations, {}", describe(&x.shape));
    Case::new(name, &[x, &dmean, &dstd], &[&mean, &std, &dx], SUM, move |rec, inputs| {
        let x = vector::stored(rec, inputs[0], precision)?;
        let statistics = mean_std::forward(rec, x, EPSILON)?;
        let dx = mean_std::backward(rec, x, statistics, inputs[1], inputs[2])?;
        Ok(vec![statistics.0, statistics.1, dx])
    })
}

/// Exact in f32, so that the oracle uses the same value.
const WEIGHT: f32 = 0.375;

/// The slots of a loss before and after; the neighbours have the magnitude of the value.
fn slots(value: f64) -> [Array; 2] {
    let before = Array::random(&[3], 53).map(|other| f64::from((other * value) as f32));
    let mut after = before.clone();
    after.data[1] = value;
    [before, after]
}

/// The square loss of activations and its gradient. Targets are f32.
pub fn square_loss(shape: &[usize], precision: Precision) -> Case<'static> {
    let [x, target] = [Array::random(shape, 51), Array::random(shape, 52)];
    let x = rounded(x, precision);
    let [before, after] = slots(reference::loss::forward(&x, &target, WEIGHT.into()));
    let dx = reference::loss::d_a(&x, &target, WEIGHT.into());
    let name = format!("square loss, {}", describe(shape));
    Case::new(name, &[&x, &target, &before], &[&after, &dx], SUM, move |rec, inputs| {
        let (x, target) = (vector::stored(rec, inputs[0], precision)?, inputs[1]);
        let weight = Weight::new(rec, WEIGHT);
        square_loss::forward(rec, x, target, weight, inputs[2], 1)?;
        Ok(vec![inputs[2], square_loss::backward(rec, x, target, weight)?])
    })
}

/// The total variation and its gradient.
pub fn variation(shape: [usize; 4]) -> Case<'static> {
    let x = Array::random(&shape, 54);
    let [before, after] = slots(reference::total_variation::forward(&x, WEIGHT.into()));
    let dx = reference::total_variation::d_input(&x, WEIGHT.into());
    let name = format!("total variation, {}", describe(&shape));
    Case::new(name, &[&x, &before], &[&after, &dx], SUM, move |rec, inputs| {
        total_variation::forward(rec, inputs[0], WEIGHT, inputs[1], 1)?;
        Ok(vec![inputs[1], total_variation::backward(rec, inputs[0], WEIGHT)?])
    })
}

/// Activations weighted by a mask.
pub fn masked(shape: [usize; 4], precision: Precision) -> Case<'static> {
    let x = rounded(Array::random(&shape, 143), precision);
    let mask = Array::random(&shape[2..], 144);
    let expected = reference::regions::scale(&x, &mask);
    let name = format!("mask, {}", describe(&shape));
    Case::new(name, &[&x, &mask], &[&expected], tolerance(precision, EXACT), move |rec, inputs| {
        let x = vector::stored(rec, inputs[0], precision)?;
        Ok(vec![regions::scale(rec, x, inputs[1])?])
    })
}

/// Activations weighted by a mask, added to others.
pub fn masked_sum(shape: [usize; 4], precision: Precision) -> Case<'static> {
    let [_, _, height, width] = shape;
    let [x, z] = [140, 141].map(|seed| rounded(Array::random(&shape, seed), precision));
    let mask = Array::random(&[height, width], 142);
    let expected = indices(shape).map(|at @ [_, _, i, j]| z.at(at) + mask.at([i, j]) * x.at(at));
    let expected = Array::new(&shape, expected.collect());
    let name = format!("masked sum, {}", describe(&shape));
    Case::new(name, &[&x, &mask, &z], &[&expected], tolerance(precision, SUM), move |rec, inputs| {
        let [x, mask, z] = *inputs else { unreachable!() };
        let [x, z] = [vector::stored(rec, x, precision)?, vector::stored(rec, z, precision)?];
        regions::add(rec, x, mask, z).map(|()| vec![z])
    })
}
