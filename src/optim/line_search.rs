//! Line search for the strong Wolfe conditions (Nocedal & Wright, *Numerical Optimization*, algorithms 3.5 and 3.6),
//! with the safeguards of `torch.optim.LBFGS` for interpolated steps.
//!
//! For φ(t) = f(x + t·d) it finds t with φ(t) ≤ φ(0) + c₁·t·φ′(0) and |φ′(t)| ≤ c₂·|φ′(0)|.

use crate::Result;

/// c₁ of the sufficient decrease condition
const DECREASE: f64 = 1e-4;
/// c₂ of the curvature condition
const CURVATURE: f64 = 0.9;
/// Trials after the first. Then the best step so far is taken.
const MAX_TRIALS: usize = 25;

/// A trial step. `gradient` is the caller's index of the kept gradient at x + t·d.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub t: f64,
    pub value: f64,
    pub slope: f64,
    pub gradient: usize,
}

impl Point {
    /// Sufficient decrease; false if the value is NaN.
    fn decreases(&self, origin: &Point) -> bool {
        self.value <= origin.value + DECREASE * self.t * origin.slope
    }

    fn is_flat(&self, origin: &Point) -> bool {
        self.slope.abs() <= CURVATURE * origin.slope.abs()
    }
}

/// Minimum in `[low, high]` of the cubic through the values and slopes of `a` and `b` (equation 3.59); the midpoint if
/// the cubic has none.
fn cubic_minimum(a: &Point, b: &Point, low: f64, high: f64) -> f64 {
    let (a, b) = if a.t <= b.t { (a, b) } else { (b, a) };
    let first = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.t - b.t);
    let second = (first * first - a.slope * b.slope).sqrt();
    let minimum = b.t - (b.t - a.t) * (b.slope + second - first) / (b.slope - a.slope + 2.0 * second);
    if minimum.is_nan() { (low + high) / 2.0 } else { minimum.clamp(low, high) }
}

/// Tries `t`, extends the step until a bracket contains a minimum, then narrows the bracket.
///
/// `trial(t, kept)` evaluates a step; it must not overwrite the gradients of the points in `kept`. The search ends when
/// the bracket is narrower than `smallest`.
pub(super) async fn strong_wolfe(
    origin: Point,
    t: f64,
    smallest: f64,
    mut trial: impl AsyncFnMut(f64, [Point; 2]) -> Result<Point>,
) -> Result<Point> {
    let mut previous = origin;
    let mut current = trial(t, [origin, origin]).await?;
    let mut trials = 0;
    let (mut low, mut high) = loop {
        if !current.decreases(&origin) || (trials > 0 && current.value >= previous.value) {
            break (previous, current);
        }
        if current.is_flat(&origin) {
            return Ok(current);
        }
        if current.slope >= 0.0 {
            break (current, previous);
        }
        if trials == MAX_TRIALS {
            return Ok(current);
        }
        let least = current.t + 0.01 * (current.t - previous.t);
        let next = trial(cubic_minimum(&previous, &current, least, 10.0 * current.t), [previous, current]).await?;
        (previous, current) = (current, next);
        trials += 1;
    };
    let mut was_near_an_end = false;
    while trials < MAX_TRIALS {
        trials += 1;
        let (left, right) = (low.t.min(high.t), low.t.max(high.t));
        if right - left < smallest {
            break;
        }
        let mut t = cubic_minimum(&low, &high, left, right);
        // A second consecutive step into an outer tenth of the bracket, or one onto its end, would hardly narrow it.
        let margin = 0.1 * (right - left);
        let near_an_end = t - left < margin || right - t < margin;
        let held_off = near_an_end && (was_near_an_end || t <= left || t >= right);
        if held_off {
            t = if right - t < t - left { right - margin } else { left + margin };
        }
        was_near_an_end = near_an_end && !held_off;
        let found = trial(t, [low, high]).await?;
        if !found.decreases(&origin) || found.value >= low.value {
            high = found;
            continue;
        }
        if found.is_flat(&origin) {
            return Ok(found);
        }
        if found.slope * (high.t - low.t) >= 0.0 {
            high = low;
        }
        low = found;
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(first: f64, f: impl Fn(f64) -> (f64, f64)) -> (Point, usize) {
        let (value, slope) = f(0.0);
        let mut trials = 0;
        let found = strong_wolfe(Point { t: 0.0, value, slope, gradient: 0 }, first, 1e-12, async |t, _| {
            trials += 1;
            let (value, slope) = f(t);
            Ok(Point { t, value, slope, gradient: 0 })
        });
        let found = crate::blocking::block_on(found).unwrap();
        (found, trials)
    }

    #[test]
    fn finds_both_conditions_from_steps_far_too_short_and_far_too_long() {
        let line = |t: f64| ((t - 3.0).powi(4), 4.0 * (t - 3.0).powi(3));
        let (start, slope) = line(0.0);
        for first in [1e-4, 1.0, 3e3] {
            let (found, trials) = search(first, line);
            assert!(found.value <= start + DECREASE * found.t * slope, "{first}: {found:?}");
            assert!(found.slope.abs() <= CURVATURE * slope.abs(), "{first}: {found:?}");
            assert!(trials <= MAX_TRIALS + 1);
        }
    }

    #[test]
    fn a_value_that_is_not_a_number_shortens_the_step() {
        let wall = |t: f64| if t > 1.0 { (f64::NAN, f64::NAN) } else { ((t - 0.9).powi(2), 2.0 * (t - 0.9)) };
        let (found, _) = search(8.0, wall);
        assert!(found.t > 0.0 && found.t <= 1.0 && found.value < 0.81, "{found:?}");
    }
}
