//! A painted frame blended with the previous result, which follows the motion. Formulas: shaders/steady.wgsl.

use super::{Array, indices};

pub struct Blend {
    /// Weight of the previous result, a.
    pub weight: f64,
    /// Pixels per unit of motion, horizontally and vertically, s.
    pub scale: [f64; 2],
    /// Relative tolerance of depths, t.
    pub tolerance: f64,
    /// Whether the previous result is clamped to the range of the 3×3 pixels around each pixel.
    pub clamped: bool,
}

/// `x` and `previous` are `[1, 3, H, W]`, `motion` `[1, 2, H, W]`, the depths now and before `[1, 1, H, W]`.
pub fn blend(spec: &Blend, x: &Array, previous: &Array, motion: &Array, depth: Option<[&Array; 2]>) -> Array {
    let [_, _, height, width] = x.dims();
    let mut y = x.clone();
    for at @ [_, channel, row, column] in indices::<4>(x.dims()) {
        let own = x.at(at);
        let near = |side: usize, count: usize| side.max(1) - 1..=(side + 1).min(count - 1);
        let around: Vec<_> = near(row, height)
            .flat_map(|row| near(column, width).map(move |column| [0, channel, row, column]))
            .map(|at| x.at(at))
            .collect();
        let clamped = |value: f64| {
            let low = around.iter().copied().fold(f64::INFINITY, f64::min);
            let high = around.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if spec.clamped { value.clamp(low, high) } else { value }
        };
        let place = [
            row as f64 + spec.scale[1] * motion.at([0, 1, row, column]),
            column as f64 + spec.scale[0] * motion.at([0, 0, row, column]),
        ];
        let mut sum = 0.0;
        for tap_row in 0..height {
            for tap_column in 0..width {
                let share = |at: usize, place: f64| (1.0 - (at as f64 - place).abs()).max(0.0);
                let share = share(tap_row, place[0]) * share(tap_column, place[1]);
                let is_same = depth.is_none_or(|[now, before]| {
                    let (now, before) = (now.at([0, 0, row, column]), before.at([0, 0, tap_row, tap_column]));
                    (now - before).abs() <= spec.tolerance * now.abs().max(before.abs())
                });
                if share > 0.0 && is_same {
                    sum += share * (clamped(previous.at([0, channel, tap_row, tap_column])) - own);
                }
            }
        }
        *y.at_mut(at) = own + spec.weight * sum;
    }
    y
}
