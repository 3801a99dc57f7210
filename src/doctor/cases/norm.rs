//! Norms: instance norm, batch norm, and those that a load defers.

use super::pictures;
use crate::Result;
use crate::doctor::case::{Case, SUM, rounded, tolerance};
use crate::gpu::{Precision, Recorder, Tensor};
use crate::ops::load::Input;
use crate::ops::norm::{self, Affine, EPSILON, Norm, Over, Statistics};
use crate::ops::vector;
use crate::reference::{Array, norm as reference};

/// The oracle of a layer.
pub fn twin(layer: Norm) -> reference::Norm {
    reference::Norm { batch: layer.over == Over::Batch, relu: layer.relu, eps: EPSILON.into() }
}

/// The oracle's `[1, C]` of a batch corresponds to `[C]` on the device.
pub fn shaped(over: Over, statistics: [Array; 2]) -> [Array; 2] {
    statistics.map(|array| if over == Over::Batch { Array::vector(array.data) } else { array })
}

fn sum(a: &Array, b: &Array) -> Array {
    Array::new(&a.shape, a.data.iter().zip(&b.data).map(|(a, b)| a + b).collect())
}

/// Means and variances with weights for the pixels.
pub fn weighted(shape: [usize; 4], precision: Precision) -> Case<'static> {
    let pixels = shape[2] * shape[3];
    // The first run of a large plane has no weight at all.
    let weight = |index: usize| if pixels > 2000 && index < 1100 { 0.0 } else { 1.0 + (index % 5) as f64 };
    let mean = (0..pixels).map(weight).sum::<f64>() / pixels as f64;
    let weights = (0..pixels).map(|index| f64::from((weight(index) / mean) as f32)).collect();
    let x = rounded(Array::random(&shape, 139), precision);
    let weights = Array::new(&shape[2..], weights);
    let [mean, variance] = reference::weighted_statistics(&x, &weights);
    // A variance of 0 has no relative error.
    let spread = variance.map(|variance| variance + 1.0);
    let name = format!("weighted statistics of {} channels, {}", shape[1], pictures(shape[0], shape[2], shape[3]));
    Case::new(name, &[&x, &weights], &[&mean, &spread], tolerance(precision, SUM), move |rec, inputs| {
        let x = vector::stored(rec, inputs[0], precision)?;
        let statistics = Norm::default().weighted_statistics(rec, x, inputs[1])?;
        let ones = rec.transient("ones", statistics.variance.shape);
        vector::fill(rec, ones, 1.0)?;
        Ok(vec![statistics.mean, vector::add(rec, statistics.variance, ones)?])
    })
}

/// An input, parameters and gradients of a norm.
pub struct Problem {
    pub x: Array,
    pub gamma: Array,
    pub beta: Array,
    pub dy: Array,
    /// Existing values of the accumulated gradients.
    pub earlier: [Array; 2],
}

impl Problem {
    pub fn new(x: Array) -> Self {
        let channels = &x.shape[1..2];
        let [gamma, beta, dgamma, dbeta] = [130, 131, 132, 133].map(|seed| Array::random(channels, seed));
        let dy = Array::random(&x.shape, 134);
        Problem { x, gamma, beta, dy, earlier: [dgamma, dbeta] }
    }

    /// Forward pass, statistics, sum with an addend, and gradients of `layer`.
    pub fn case(&self, layer: Norm) -> Case<'static> {
        let Problem { x, gamma, beta, dy, earlier } = self;
        let spec = twin(layer);
        let statistics = reference::statistics(spec, x);
        let z = reference::affine(spec, x, &statistics, gamma, beta);
        assert!(z.data.iter().all(|z| z.abs() > 2e-6), "f32 may take another side of the ReLU's corner");
        let y = reference::forward(spec, x, gamma, beta);
        let [mean, variance] = shaped(layer.over, statistics);
        let [dx, dgamma, dbeta] = reference::backward(spec, x, gamma, beta, dy);
        let [dgamma, dbeta] = [sum(&dgamma, &earlier[0]), sum(&dbeta, &earlier[1])];
        let inputs = [x, gamma, beta, dy, &earlier[0], &earlier[1]];
        let added = sum(&y, dy);
        let expected = [&y, &mean, &variance, &added, &dx, &dgamma, &dbeta];
        let name = format!("{} and its gradients", describe(layer, &x.shape));
        Case::new(name, &inputs, &expected, SUM, move |rec, inputs| {
            let [x, gamma, beta, dy, dgamma, dbeta] = *inputs else { unreachable!() };
            let affine = Affine { gamma, beta };
            let (y, statistics) = layer.forward(rec, x, None, affine)?;
            let added = layer.apply(rec, x, statistics, affine, Some(dy))?;
            let dx = layer.backward(rec, x, statistics, affine, dy, Affine { gamma: dgamma, beta: dbeta })?;
            Ok(vec![y, statistics.mean, statistics.variance, added, dx, dgamma, dbeta])
        })
    }
}

/// A layer of instance norm on stored activations, alone and with an addend.
pub fn applied(layer: Norm, shape: [usize; 4], precision: Precision) -> Case<'static> {
    let Problem { x, gamma, beta, dy: addend, .. } = Problem::new(Array::random(&shape, 135));
    let [x, addend] = [x, addend].map(|array| rounded(array, precision));
    let y = reference::forward(twin(layer), &x, &gamma, &beta);
    let added = sum(&y, &addend);
    let name = describe(layer, &shape);
    Case::new(name, &[&x, &gamma, &beta, &addend], &[&y, &added], tolerance(precision, SUM), move |rec, inputs| {
        let [x, gamma, beta, addend] = *inputs else { unreachable!() };
        let [x, addend] = [vector::stored(rec, x, precision)?, vector::stored(rec, addend, precision)?];
        let affine = Affine { gamma, beta };
        let (y, statistics) = layer.forward(rec, x, None, affine)?;
        Ok(vec![y, layer.apply(rec, x, statistics, affine, Some(addend))?])
    })
}

/// A batch norm with running statistics in place of the batch's, and their update.
pub fn running(layer: Norm, shape: [usize; 4]) -> Case<'static> {
    let [n, channels, height, width] = shape;
    let Problem { x, gamma, beta, earlier: [mean, spread], .. } = Problem::new(Array::random(&shape, 137));
    let variance = spread.map(|value| value.abs() + 0.5);
    let running = [mean, variance].map(|array| Array::from_f32(&array.shape, &array.to_f32()));
    let spec = twin(layer);
    let columns = running.clone().map(|array| Array::new(&[1, channels], array.data));
    let applied = reference::apply(spec, &x, &columns, &gamma, &beta);
    let [mean, variance] =
        reference::track(&running, &reference::statistics(spec, &x), n * height * width, f64::from(0.1f32));
    let name = format!("running {}", describe(layer, &shape));
    let inputs = [&x, &gamma, &beta, &running[0], &running[1]];
    Case::new(name, &inputs, &[&applied, &mean, &variance], SUM, move |rec, inputs| {
        let [x, gamma, beta, mean, variance] = *inputs else { unreachable!() };
        let running = Statistics { mean, variance };
        let applied = layer.apply(rec, x, running, Affine { gamma, beta }, None)?;
        let batch = layer.statistics(rec, x, None)?;
        norm::track(rec, batch, n * height * width, 0.1, running)?;
        Ok(vec![applied, mean, variance])
    })
}

/// An input with different means and deviations in each plane, and scales of both signs.
pub struct Source {
    pub x: Array,
    pub gamma: Array,
    pub beta: Array,
    /// The norm of `x` after a ReLU.
    pub normalised: Array,
}

impl Source {
    pub fn new(shape: [usize; 4], precision: Precision) -> Self {
        let x = Array::random(&shape, 181);
        let plane = shape[2] * shape[3];
        let spread = x.data.iter().enumerate().map(|(at, value)| {
            let plane = (at / plane) as f64;
            f64::from((value * (1.0 + plane % 3.0) + plane % 5.0 - 2.0) as f32)
        });
        let x = rounded(Array::new(&shape, spread.collect()), precision);
        let [gamma, beta] = [182, 183].map(|seed| Array::random(&shape[1..2], seed));
        let normalised = reference::forward(twin(DEFERRED), &x, &gamma, &beta);
        Source { x, gamma, beta, normalised }
    }
}

/// The norm that [`deferred`] defers.
pub const DEFERRED: Norm = Norm { over: Over::Instance, relu: true };

/// `x` with a deferred norm and ReLU.
pub fn deferred(rec: &mut Recorder, x: Tensor, affine: Affine) -> Result<Input> {
    let statistics = DEFERRED.statistics(rec, x, None)?;
    DEFERRED.defer(rec, x, statistics, affine)
}

/// A short name: `instance norm relu, 2 of 24x16`.
fn describe(layer: Norm, shape: &[usize]) -> String {
    let over = match layer.over {
        Over::Instance => "instance norm",
        Over::Batch => "batch norm",
    };
    let relu = if layer.relu { " relu" } else { "" };
    format!("{over}{relu}, {} channels, {}", shape[1], pictures(shape[0], shape[2], shape[3]))
}
