//! A painted frame blended with the previous result, which follows the motion. Formulas: shaders/steady.wgsl.

use super::{Array, indices};

pub struct Blend {
    /// Weight of the previous result, a.
    pub weight: f64,
    /// Pixels per unit of motion, horizontally and vertically, s.
    pub scale: [f64; 2],
    /// Relative tolerance of depths, t.
    pub tolerance: f64,
}

/// Pixels around a pixel that its mean and variance cover.
const RADIUS: usize = 2;

/// ε.
const EPSILON: f64 = 1e-5;

/// γ.
const CONTRAST: f64 = 0.65;

/// `x` and `previous` are `[N, 3, H, W]`, `motion` `[1, 2, H, W]`, the depths now and before `[1, 1, H, W]`.
pub fn blend(spec: &Blend, x: &Array, previous: &Array, motion: &Array, depth: Option<[&Array; 2]>) -> Array {
    let [images, _, height, width] = x.dims();
    let mut z = x.clone();
    let mut share = Array::zeros(&[height, width]);
    for [row, column] in indices([height, width]) {
        let place = [
            row as f64 + spec.scale[1] * motion.at([0, 1, row, column]),
            column as f64 + spec.scale[0] * motion.at([0, 0, row, column]),
        ];
        let corner = place.map(|place| place.floor() as isize - 1);
        let taps: Vec<_> = indices([4, 4]).map(|[i, j]| [corner[0] + i as isize, corner[1] + j as isize]).collect();
        let is_valid = |[i, j]: [isize; 2]| {
            let inside = (0..height as isize).contains(&i) && (0..width as isize).contains(&j);
            inside
                && depth.is_none_or(|[now, before]| {
                    let (now, before) = (now.at([0, 0, row, column]), before.at([0, 0, i as usize, j as usize]));
                    (now - before).abs() <= spec.tolerance * now.abs().max(before.abs())
                })
        };
        let weight = |of: fn(f64) -> f64, tap: [isize; 2]| -> f64 {
            [0, 1].map(|axis| of((tap[axis] as f64 - place[axis]).abs())).iter().product()
        };
        let filter = if taps.iter().copied().all(is_valid) { catmull_rom } else { bilinear };
        for tap in taps.into_iter().filter(|tap| is_valid(*tap)) {
            *share.at_mut([row, column]) += weight(bilinear, tap);
            let [i, j] = tap.map(|at| at as usize);
            for [image, channel] in indices([images, 3]) {
                let difference = previous.at([image, channel, i, j]) - x.at([image, channel, row, column]);
                *z.at_mut([image, channel, row, column]) += spec.weight * weight(filter, tap) * difference;
            }
        }
    }
    restore(x, &z, &share)
}

fn bilinear(distance: f64) -> f64 {
    (1.0 - distance).max(0.0)
}

/// Keys's cubic kernel with a = −1/2.
fn catmull_rom(distance: f64) -> f64 {
    if distance < 1.0 {
        1.5 * distance.powi(3) - 2.5 * distance.powi(2) + 1.0
    } else {
        -0.5 * distance.powi(3) + 2.5 * distance.powi(2) - 4.0 * distance + 2.0
    }
}

fn restore(x: &Array, z: &Array, share: &Array) -> Array {
    let [_, _, height, width] = x.dims();
    let mut y = z.clone();
    for at @ [image, channel, row, column] in indices::<4>(x.dims()) {
        let near = |at: usize, count: usize| at.saturating_sub(RADIUS)..(at + RADIUS + 1).min(count);
        let moments = |of: &Array| {
            let places = near(row, height).flat_map(|i| near(column, width).map(move |j| [image, channel, i, j]));
            let values: Vec<_> = places.map(|at| of.at(at)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64)
        };
        let ((_, painted), (mean, blended)) = (moments(x), moments(z));
        let gain = ((painted + EPSILON) / (blended + EPSILON)).powf(CONTRAST).clamp(1.0, 3.0);
        *y.at_mut(at) += share.at([row, column]) * (gain - 1.0) * (z.at(at) - mean);
    }
    y
}
