//! A line search for the strong Wolfe conditions (Nocedal and Wright, *Numerical Optimization*, algorithms 3.5 and
//! 3.6). Along a descent direction, with φ(t) = f(x + t d), it looks for a t with
//!
//! ```text
//! φ(t) <= φ(0) + c₁ t φ'(0)        |φ'(t)| <= -c₂ φ'(0)
//! ```
//!
//! The bounds of each interpolation are those of `torch.optim.LBFGS`.

/// Parameter c₁ of sufficient decrease.
pub const C1: f64 = 1e-4;
/// Parameter c₂ of the curvature condition.
pub const C2: f64 = 0.9;
/// Maximum number of trials after the first; the search then returns the best step so far.
pub const MAX_TRIALS: usize = 25;

/// The function along the line: φ(t), φ'(t) and, for the caller, the gradient at x + t d.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub t: f64,
    pub value: f64,
    pub slope: f64,
    pub gradient: Vec<f64>,
}

impl Point {
    /// Sufficient decrease; false if the value is NaN.
    fn decreases(&self, origin: &Point) -> bool {
        self.value <= origin.value + C1 * self.t * origin.slope
    }

    fn is_flat(&self, origin: &Point) -> bool {
        self.slope.abs() <= -C2 * origin.slope
    }
}

/// The minimum within `[low, high]` of the cubic with the values and slopes of `a` and `b` (the book's 3.59).
///
/// Bisects the bounds where the cubic has no minimum.
pub fn cubic_minimum(a: &Point, b: &Point, [low, high]: [f64; 2]) -> f64 {
    let (a, b) = if a.t <= b.t { (a, b) } else { (b, a) };
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.t - b.t);
    let d2 = (d1 * d1 - a.slope * b.slope).sqrt();
    let minimum = b.t - (b.t - a.t) * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
    if minimum.is_nan() { (low + high) / 2.0 } else { minimum.clamp(low, high) }
}

/// Algorithm 3.5: increases the step from `t` until the conditions hold or a minimum is bracketed.
///
/// A bracket narrower than `smallest` is not searched further.
pub fn strong_wolfe(mut phi: impl FnMut(f64) -> Point, origin: &Point, t: f64, smallest: f64) -> Point {
    let mut previous = origin.clone();
    let mut current = phi(t);
    for trial in 0..MAX_TRIALS {
        let remaining = MAX_TRIALS - trial;
        if !current.decreases(origin) || (trial > 0 && current.value >= previous.value) {
            return zoom(phi, origin, previous, current, smallest, remaining);
        }
        if current.is_flat(origin) {
            return current;
        }
        if current.slope >= 0.0 {
            return zoom(phi, origin, current, previous, smallest, remaining);
        }
        let bounds = [current.t + 0.01 * (current.t - previous.t), 10.0 * current.t];
        let next = phi(cubic_minimum(&previous, &current, bounds));
        previous = std::mem::replace(&mut current, next);
    }
    if current.value < previous.value { current } else { previous }
}

/// Algorithm 3.6: narrows the bracket between `low`, the best step so far, and `high`.
fn zoom(
    mut phi: impl FnMut(f64) -> Point,
    origin: &Point,
    mut low: Point,
    mut high: Point,
    smallest: f64,
    trials: usize,
) -> Point {
    let mut was_near_end = false;
    for _ in 0..trials {
        let (left, right) = (low.t.min(high.t), low.t.max(high.t));
        if right - left < smallest {
            break;
        }
        // A step onto the end of the bracket, or the second consecutive step into its outer tenths, is moved away from
        // the end.
        let mut t = cubic_minimum(&low, &high, [left, right]);
        let margin = 0.1 * (right - left);
        let near_end = t - left < margin || right - t < margin;
        let held_off = near_end && (was_near_end || t <= left || t >= right);
        if held_off {
            t = if right - t < t - left { right - margin } else { left + margin };
        }
        was_near_end = near_end && !held_off;

        let trial = phi(t);
        if !trial.decreases(origin) || trial.value >= low.value {
            high = trial;
            continue;
        }
        if trial.is_flat(origin) {
            return trial;
        }
        if trial.slope * (high.t - low.t) >= 0.0 {
            high = low;
        }
        low = trial;
    }
    low
}
