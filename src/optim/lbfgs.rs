//! L-BFGS with a strong-Wolfe line search; the history stays on the device.
//!
//! The two-loop recursion (Nocedal & Wright, algorithm 7.4) runs on the host. It only uses inner products of the
//! vectors s, y and g, and gives the coefficients of the direction in these vectors (vector-free L-BFGS, Chen et al.,
//! NIPS 2014). So the number of passes over the history in an iteration does not depend on its length; the usual
//! recursion takes four dispatches per pair.

use std::collections::VecDeque;

use super::Objective;
use super::line_search::{Point, strong_wolfe};
use crate::gpu::{Context, DeviceTensor, Memory, Program, Recorder, Uniform};
use crate::ops::lbfgs::StoreParams;
use crate::ops::{lbfgs, vector};
use crate::{Error, Result};

/// Options of L-BFGS.
#[derive(Clone, Copy, Debug)]
pub struct LbfgsOptions {
    /// Number of pairs (s, y) to keep; fewer if they do not fit in one tensor of the device.
    pub history: usize,
    /// First step length that a line search tries. The first iteration multiplies it by min(1, 1/|g|₁).
    pub learning_rate: f64,
    /// Stop if no element of the gradient is larger in magnitude.
    pub tolerance_gradient: f64,
    /// Stop after a step that changes the value or every element by no more than this.
    pub tolerance_change: f64,
}

impl Default for LbfgsOptions {
    fn default() -> Self {
        LbfgsOptions { history: 50, learning_rate: 1.0, tolerance_gradient: 1e-7, tolerance_change: 1e-9 }
    }
}

/// Result of an iteration.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Value of the function after the iteration; NaN if value or gradient are not finite.
    pub value: f64,
    /// Number of evaluations.
    pub evaluations: usize,
    /// Whether a stopping criterion holds.
    pub converged: bool,
}

/// Gradients kept during a line search: at the origin, at both ends of the bracket, and at the trial.
const KEPT: usize = 4;
const ORIGIN: usize = 0;

// Slots of `scalars`.
const G_DOT_D: usize = 0;
const G_SUM: usize = 1;
const G_MAX: usize = 2;
const G_DOT_G: usize = 3;
const D_MAX: usize = 4;

fn wide(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

/// The optimiser's state for one vector.
pub struct Lbfgs {
    options: LbfgsOptions,
    /// Rows of `history`: s of pair i in row i, y in row `capacity + i`.
    capacity: usize,
    /// Rows in use, oldest first.
    pairs: VecDeque<usize>,
    /// Inner products of all rows with each other; `inner_g` with the gradient.
    inner: Vec<Vec<f64>>,
    inner_g: Vec<f64>,
    /// Value and |g|² at the current point, if known.
    value: Option<f64>,
    g_dot_g: f64,
    /// Whether a line search has left the origin and not ended.
    departed: bool,

    scalars: DeviceTensor,
    coefficients: DeviceTensor,
    products: [DeviceTensor; 3],
    /// `d = Σ coefficients·history`, and |d|∞.
    direct: Program,
    /// `x₀ = x`.
    depart: Program,
    /// `x = x₀ + t·d`.
    walk: Program,
    walk_factors: Uniform<vector::Params>,
    /// g·d, |g|₁, |g|∞, g·g.
    measure: Program,
    /// Copy the gradient to and from its kept copies.
    keep: Vec<Program>,
    restore: Vec<Program>,
    /// Stores s = t·d and y = g − g₀ in the history, and takes their inner products with every row.
    learn: Program,
    /// Takes the inner products of g with every row.
    weigh: Program,
    learn_factors: Uniform<vector::Params>,
    learn_rows: [Uniform<StoreParams>; 2],
}

impl Lbfgs {
    /// An optimiser that moves `x`, with the objective's gradient in `g`; both have the same number of elements.
    ///
    /// # Errors
    /// Lengths that differ, or no elements.
    pub fn new(context: &Context, x: &DeviceTensor, g: &DeviceTensor, options: LbfgsOptions) -> Result<Self> {
        let elements = x.shape().count();
        if g.shape().count() != elements || elements == 0 {
            return Err(Error::argument("lbfgs", "g", format!("as long as x, {}", x.shape()), g.shape()));
        }
        let capacity = Self::capacity(context, elements, options.history);
        if capacity < options.history {
            tracing::debug!(capacity, wanted = options.history, "L-BFGS history shortened to fit a tensor");
        }
        let make = |name: &str, count: usize| DeviceTensor::new(context, name, [count]);
        let history = DeviceTensor::new(context, "lbfgs history", [2 * capacity, elements]);
        let [d, x0, s, y] = ["direction", "origin", "s", "y"].map(|name| make(name, elements));
        let kept: Vec<_> = (0..KEPT).map(|_| make("kept gradient", elements)).collect();
        let scalars = make("lbfgs scalars", 5);
        let coefficients = make("lbfgs coefficients", 2 * capacity + 1);
        let products = [(); 3].map(|()| make("lbfgs products", 2 * capacity));
        let identity = vector::Params { a: 1.0, b: 0.0, slot: 0 };

        let direct = {
            let mut rec = Recorder::new(context);
            let (history, g, d) = (rec.pin(&history), rec.pin(g), rec.pin(&d));
            let (coefficients, scalars) = (rec.pin(&coefficients), rec.pin(&scalars));
            lbfgs::combine(&mut rec, history, g, coefficients, d)?;
            vector::absolute_max(&mut rec, d, scalars, D_MAX)?;
            rec.finish()?
        };
        let copy = |from: &DeviceTensor, to: &DeviceTensor| {
            let mut rec = Recorder::new(context);
            let (from, to) = (rec.pin(from), rec.pin(to));
            vector::copy(&mut rec, from, to)?;
            rec.finish()
        };
        let (walk, walk_factors) = {
            let mut rec = Recorder::new(context);
            let factors = rec.uniform(&identity);
            let (x0, d, x) = (rec.pin(&x0), rec.pin(&d), rec.pin(x));
            vector::affine_with(&mut rec, factors, x0, d, x)?;
            (rec.finish()?, factors)
        };
        let measure = {
            let mut rec = Recorder::new(context);
            let (g, d, scalars) = (rec.pin(g), rec.pin(&d), rec.pin(&scalars));
            vector::dot(&mut rec, g, d, scalars, G_DOT_D)?;
            vector::absolute_sum(&mut rec, g, scalars, G_SUM)?;
            vector::absolute_max(&mut rec, g, scalars, G_MAX)?;
            vector::dot(&mut rec, g, g, scalars, G_DOT_G)?;
            rec.finish()?
        };
        let (learn, learn_factors, learn_rows) = {
            let mut rec = Recorder::new(context);
            let factors = rec.uniform(&identity);
            let rows = [(); 2].map(|()| rec.uniform(&StoreParams { row: 0, a: 1.0, b: 0.0 }));
            let (d, g, g0) = (rec.pin(&d), rec.pin(g), rec.pin(&kept[ORIGIN]));
            let (s, y, history) = (rec.pin(&s), rec.pin(&y), rec.pin(&history));
            vector::affine_with(&mut rec, factors, d, d, s)?;
            vector::affine(&mut rec, 1.0, g, -1.0, g0, y)?;
            lbfgs::store(&mut rec, s, s, history, rows[0])?;
            lbfgs::store(&mut rec, y, y, history, rows[1])?;
            for (vector, products) in [s, y].into_iter().zip(&products) {
                let products = rec.pin(products);
                lbfgs::inner(&mut rec, history, vector, products)?;
            }
            (rec.finish()?, factors, rows)
        };
        let weigh = {
            let mut rec = Recorder::new(context);
            let (history, g, products) = (rec.pin(&history), rec.pin(g), rec.pin(&products[2]));
            lbfgs::inner(&mut rec, history, g, products)?;
            rec.finish()?
        };
        let keep = kept.iter().map(|place| copy(g, place)).collect::<Result<_>>()?;
        let restore = kept.iter().map(|place| copy(place, g)).collect::<Result<_>>()?;
        let depart = copy(x, &x0)?;
        Ok(Lbfgs {
            options,
            capacity,
            pairs: VecDeque::new(),
            inner: vec![vec![0.0; 2 * capacity]; 2 * capacity],
            inner_g: vec![0.0; 2 * capacity],
            value: None,
            g_dot_g: 0.0,
            departed: false,
            scalars,
            coefficients,
            products,
            direct,
            depart,
            walk,
            walk_factors,
            measure,
            keep,
            restore,
            learn,
            weigh,
            learn_factors,
            learn_rows,
        })
    }

    /// The number of pairs that are kept of vectors of that many elements: `history`, or as many as fit in one tensor.
    pub fn capacity(context: &Context, elements: usize, history: usize) -> usize {
        let fitting = context.max_tensor_bytes() / (8 * elements.max(1) as u64);
        history.min(fitting as usize).max(1)
    }

    /// Bytes of device memory for vectors of that many elements and `history` pairs, besides the point and the gradient.
    pub fn bytes(elements: usize, history: usize) -> u64 {
        // The direction, the origin, s, y, the kept gradients, and the sums of parts of inner products.
        let vectors = 2 * history + 4 + KEPT;
        let parts = 4 * 2 * history * elements.div_ceil(vector::PART);
        4 * (vectors * elements.next_multiple_of(4) + parts) as u64
    }

    /// Device memory, including the point and the gradient.
    pub fn memory(&self) -> Memory {
        let programs = [&self.direct, &self.depart, &self.walk, &self.measure, &self.learn, &self.weigh];
        let all = programs.into_iter().chain(&self.keep).chain(&self.restore);
        all.fold(Memory::default(), |memory, program| memory.join(program.memory().clone()))
    }

    /// −H·g as coefficients of the rows of the history, with that of g last.
    fn coefficients(&self) -> Vec<f64> {
        let rows = 2 * self.capacity;
        let mut c = vec![0.0; rows + 1];
        c[rows] = 1.0;
        let with_row = |c: &[f64], row: usize| -> f64 {
            let history: f64 = (0..rows).map(|k| c[k] * self.inner[row][k]).sum();
            history + c[rows] * self.inner_g[row]
        };
        let curvature = |pair: usize| self.inner[pair][self.capacity + pair];
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for &pair in self.pairs.iter().rev() {
            let alpha = with_row(&c, pair) / curvature(pair);
            c[self.capacity + pair] -= alpha;
            alphas.push(alpha);
        }
        if let Some(&latest) = self.pairs.back() {
            let y = self.capacity + latest;
            let gamma = curvature(latest) / self.inner[y][y];
            c.iter_mut().for_each(|value| *value *= gamma);
        }
        for (&pair, alpha) in self.pairs.iter().zip(alphas.iter().rev()) {
            let beta = with_row(&c, self.capacity + pair) / curvature(pair);
            c[pair] += alpha - beta;
        }
        c.iter_mut().for_each(|value| *value = -*value);
        c
    }

    async fn measured(&self) -> Result<[f64; 5]> {
        self.measure.submit()?;
        let values = self.scalars.read_async().await?;
        Ok([0, 1, 2, 3, 4].map(|slot| f64::from(values[slot])))
    }

    /// Must be called after the point was changed from outside, for instance clamped. The curvature history is kept;
    /// the next iteration evaluates again.
    pub fn moved(&mut self) {
        self.value = None;
    }

    /// Moves back to where the last iteration began, if it ended with an error of the objective.
    pub fn retreat(&mut self) -> Result<()> {
        self.value = None;
        if !std::mem::take(&mut self.departed) {
            return Ok(());
        }
        self.walk.set(self.walk_factors, &vector::Params { a: 1.0, b: 0.0, slot: 0 });
        self.walk.submit()
    }

    /// One iteration: computes a direction, searches along it, and updates the history.
    pub async fn iterate_async(&mut self, objective: &mut impl Objective) -> Result<Step> {
        let mut evaluations = 0;
        let mut start_t = self.options.learning_rate;
        let value = match self.value {
            Some(value) => value,
            None => {
                evaluations += 1;
                let value = objective.evaluate_async().await?;
                self.weigh.submit()?;
                let measured = self.measured().await?;
                // A gradient that is not finite must not look converged.
                if !value.is_finite() || !measured[G_MAX].is_finite() {
                    return Ok(Step { value: f64::NAN, evaluations, converged: true });
                }
                if measured[G_MAX] <= self.options.tolerance_gradient {
                    return Ok(Step { value, evaluations, converged: true });
                }
                (self.value, self.g_dot_g) = (Some(value), measured[G_DOT_G]);
                self.inner_g = wide(self.products[2].read_async().await?);
                if self.pairs.is_empty() {
                    start_t *= (1.0 / measured[G_SUM]).min(1.0);
                }
                value
            }
        };
        let c = self.coefficients();
        let rows = 2 * self.capacity;
        let slope = c[rows] * self.g_dot_g + (0..rows).map(|k| c[k] * self.inner_g[k]).sum::<f64>();
        if !(slope < -self.options.tolerance_change) {
            return Ok(Step { value, evaluations, converged: true });
        }
        self.coefficients.write(&c.iter().map(|&v| v as f32).collect::<Vec<_>>())?;
        self.direct.submit()?;
        self.depart.submit()?;
        self.keep[ORIGIN].submit()?;
        self.departed = true;

        let longest = f64::from(self.scalars.read_async().await?[D_MAX]);
        let origin = Point { t: 0.0, value, slope, gradient: ORIGIN };
        let mut last = None;
        let mut gradient_max = 0.0;
        let found = strong_wolfe(origin, start_t, self.options.tolerance_change / longest, async |t, kept| {
            let place = (1..KEPT).find(|place| kept.iter().all(|p| p.gradient != *place)).unwrap_or(KEPT - 1);
            self.walk.set(self.walk_factors, &vector::Params { a: 1.0, b: t as f32, slot: 0 });
            self.walk.submit()?;
            let value = objective.evaluate_async().await?;
            evaluations += 1;
            let measured = self.measured().await?;
            self.keep[place].submit()?;
            let point = Point { t, value, slope: measured[G_DOT_D], gradient: place };
            last = Some(point);
            gradient_max = measured[G_MAX];
            Ok(point)
        })
        .await?;
        if last != Some(found) {
            self.walk.set(self.walk_factors, &vector::Params { a: 1.0, b: found.t as f32, slot: 0 });
            self.walk.submit()?;
            self.restore[found.gradient].submit()?;
            gradient_max = self.measured().await?[G_MAX];
        }
        self.departed = false;
        self.learn(found.t).await?;
        self.value = Some(found.value);
        let change = (found.t * longest).min((found.value - value).abs());
        let converged = change <= self.options.tolerance_change || gradient_max <= self.options.tolerance_gradient;
        Ok(Step { value: found.value, evaluations, converged })
    }

    /// [`iterate_async`](Lbfgs::iterate_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn iterate(&mut self, objective: &mut impl Objective) -> Result<Step> {
        let context = self.measure.context().clone();
        context.block_on(self.iterate_async(objective))
    }

    /// Adds the pair of a step of length `t` to the history, unless its curvature s·y is at most 1e-10.
    async fn learn(&mut self, t: f64) -> Result<()> {
        if self.pairs.len() == self.capacity {
            self.pairs.pop_front();
        }
        let Some(pair) = (0..self.capacity).find(|row| !self.pairs.contains(row)) else { return Ok(()) };
        let (s, y) = (pair, self.capacity + pair);
        self.learn.set(self.learn_factors, &vector::Params { a: t as f32, b: 0.0, slot: 0 });
        for (uniform, row) in self.learn_rows.into_iter().zip([s, y]) {
            self.learn.set(uniform, &StoreParams { row: row as u32, a: 1.0, b: 0.0 });
        }
        self.learn.submit()?;
        self.weigh.submit()?;
        self.g_dot_g = self.measured().await?[G_DOT_G];
        for (row, products) in [s, y].into_iter().zip(&self.products) {
            for (other, value) in wide(products.read_async().await?).into_iter().enumerate() {
                self.inner[row][other] = value;
                self.inner[other][row] = value;
            }
        }
        self.inner_g = wide(self.products[2].read_async().await?);
        if self.inner[s][y] > 1e-10 {
            self.pairs.push_back(pair);
        }
        Ok(())
    }
}
