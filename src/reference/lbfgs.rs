//! L-BFGS (Nocedal and Wright, *Numerical Optimization*, algorithms 7.4 and 7.5), with the conventions of
//! `torch.optim.LBFGS` where the book leaves a choice.

use super::{line_search, vector};

/// A step and what it changed: `s = x' - x`, `y = g' - g`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub s: Vec<f64>,
    pub y: Vec<f64>,
}

impl Pair {
    /// Whether the pair has positive curvature, `y·s > 1e-10`. Other pairs are left out of the history.
    pub fn is_curved(&self) -> bool {
        vector::dot(&self.y, &self.s) > 1e-10
    }
}

/// The direction `-H g` by the two-loop recursion; `history` runs from the oldest pair to the latest.
///
/// ```text
/// q = g;    latest to oldest:  α = (s·q) / (y·s),  q ← q - α y
/// r = γ q,  γ = (s·y) / (y·y) of the latest pair, or 1 without any
///           oldest to latest:  β = (y·r) / (y·s),  r ← r + (α - β) s
/// ```
pub fn direction(history: &[Pair], g: &[f64]) -> Vec<f64> {
    let mut q = g.to_vec();
    let mut alphas = vec![0.0; history.len()];
    for (alpha, Pair { s, y }) in alphas.iter_mut().zip(history).rev() {
        *alpha = vector::dot(s, &q) / vector::dot(y, s);
        q = vector::axpy(-*alpha, y, &q);
    }
    let gamma = history.last().map_or(1.0, |Pair { s, y }| vector::dot(s, y) / vector::dot(y, y));
    let mut r = vector::scale(gamma, &q);
    for (alpha, Pair { s, y }) in alphas.iter().zip(history) {
        let beta = vector::dot(y, &r) / vector::dot(y, s);
        r = vector::axpy(alpha - beta, s, &r);
    }
    vector::scale(-1.0, &r)
}

/// The options and defaults of `torch.optim.LBFGS`, except for `max_iterations`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    pub learning_rate: f64,
    /// Number of pairs in the history.
    pub history: usize,
    pub max_iterations: usize,
    /// Stops when no element of the gradient is larger in magnitude.
    pub tolerance_gradient: f64,
    /// Stops after a step that changes the value, or every variable, by no more than this.
    pub tolerance_change: f64,
}

impl Default for Options {
    fn default() -> Self {
        let (tolerance_gradient, tolerance_change) = (1e-7, 1e-9);
        Self { learning_rate: 1.0, history: 100, max_iterations: 100, tolerance_gradient, tolerance_change }
    }
}

/// The point at which the minimisation stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    pub x: Vec<f64>,
    pub value: f64,
    pub gradient: Vec<f64>,
    pub iterations: usize,
    pub evaluations: usize,
}

/// Minimises `f`, which returns its value and gradient, from `start`.
///
/// Every line search is a strong Wolfe one. The first starts from `t = lr · min(1, 1 / |g|₁)`, later ones from `lr`.
pub fn minimise(mut f: impl FnMut(&[f64]) -> (f64, Vec<f64>), start: &[f64], options: Options) -> Minimum {
    let (value, gradient) = f(start);
    let mut at = Minimum { x: start.to_vec(), value, gradient, iterations: 0, evaluations: 1 };
    let mut history: Vec<Pair> = Vec::new();
    while at.iterations < options.max_iterations && vector::max_abs(&at.gradient) > options.tolerance_gradient {
        let d = direction(&history, &at.gradient);
        let slope = vector::dot(&at.gradient, &d);
        if slope > -options.tolerance_change {
            break;
        }
        let first = if at.iterations == 0 { (1.0 / vector::l1(&at.gradient)).min(1.0) } else { 1.0 };
        let origin = line_search::Point { t: 0.0, value: at.value, slope, gradient: at.gradient.clone() };
        let along = |t: f64| {
            at.evaluations += 1;
            let (value, gradient) = f(&vector::axpy(t, &d, &at.x));
            line_search::Point { t, value, slope: vector::dot(&gradient, &d), gradient }
        };
        let smallest = options.tolerance_change / vector::max_abs(&d);
        let found = line_search::strong_wolfe(along, &origin, first * options.learning_rate, smallest);

        let pair = Pair { s: vector::scale(found.t, &d), y: vector::axpy(-1.0, &at.gradient, &found.gradient) };
        let change = vector::max_abs(&pair.s).min((found.value - at.value).abs());
        at.x = vector::axpy(1.0, &pair.s, &at.x);
        (at.value, at.gradient) = (found.value, found.gradient);
        at.iterations += 1;
        if change <= options.tolerance_change {
            break;
        }
        if pair.is_curved() {
            history.push(pair);
            history.drain(..history.len().saturating_sub(options.history));
        }
    }
    at
}
