//! Style: impasto. Thick strokes of blue and yellow follow a swirling flow, painted from broad to fine, and their
//! relief is lit from the upper left.

use crate::noise::{Rng, fbm, lerp, noise, smoothstep};
use crate::raster::{Rgb, SUPER, for_rows, render};

const NAVY: Rgb = Rgb::hex(0x0c1538);
const ULTRAMARINE: Rgb = Rgb::hex(0x1a2f8c);
const COBALT: Rgb = Rgb::hex(0x2458b5);
const CERULEAN: Rgb = Rgb::hex(0x4793c9);
const ICE: Rgb = Rgb::hex(0xb5d9dc);
const VIRIDIAN: Rgb = Rgb::hex(0x1d6b72);
const UMBER: Rgb = Rgb::hex(0x8a4a1c);
const OCHRE: Rgb = Rgb::hex(0xd08a1e);
const CADMIUM: Rgb = Rgb::hex(0xf4bb20);
const LEMON: Rgb = Rgb::hex(0xfbe37a);

/// Cool pigments in the order of the bands of the flow, and warm pigments.
const COOL: [Rgb; 9] = [NAVY, NAVY, ULTRAMARINE, ULTRAMARINE, COBALT, CERULEAN, ICE, COBALT, ULTRAMARINE];
const WARM: [Rgb; 6] = [OCHRE, CADMIUM, LEMON, CADMIUM, OCHRE, UMBER];

struct Eddy {
    x: f32,
    y: f32,
    radius: f32,
    /// Strength and direction of rotation.
    spin: f32,
    /// Warmth of the colours at the centre.
    warmth: f32,
}

const EDDIES: [Eddy; 4] = [
    Eddy { x: 0.64, y: 0.4, radius: 0.26, spin: 2.6, warmth: 1.2 },
    Eddy { x: 0.14, y: 0.13, radius: 0.15, spin: -1.9, warmth: 0.3 },
    Eddy { x: 0.2, y: 0.66, radius: 0.19, spin: -2.1, warmth: 0.72 },
    Eddy { x: 0.9, y: 0.93, radius: 0.17, spin: -1.8, warmth: 0.3 },
];

/// Direction of the flow at a point: a long swell, with eddies that draw their surroundings slowly inward.
fn flow(x: f32, y: f32) -> (f32, f32) {
    let swell = 0.9 * (x * 4.6 + 2.2 * y).sin() + 0.9 * fbm(x * 2.2, y * 2.2, 2, 12);
    let (mut u, mut v) = (swell.cos(), swell.sin());
    for eddy in &EDDIES {
        let (dx, dy) = (x - eddy.x, y - eddy.y);
        let d = dx.hypot(dy).max(1e-3);
        let hold = 3.0 * (-(d / eddy.radius).powi(2)).exp();
        let inward = 0.28 * eddy.spin.abs();
        u += hold * (-dy * eddy.spin - dx * inward) / d;
        v += hold * (dx * eddy.spin - dy * inward) / d;
    }
    let length = u.hypot(v).max(1e-4);
    (u / length, v / length)
}

/// Position of a point in the palettes: phase along the bands, and warmth.
fn design(x: f32, y: f32) -> (f32, f32) {
    let mut phase = 2.1 * y + 0.28 * (x * 4.6 + 2.2 * y).cos() + 0.55 * fbm(x * 2.2, y * 2.2, 3, 40);
    let mut warmth = 0.0;
    for eddy in &EDDIES {
        let (dx, dy) = (x - eddy.x, y - eddy.y);
        let d = dx.hypot(dy) / eddy.radius;
        let near = (-d * d).exp();
        // Two arms wind into each eddy along the same spiral as the strokes.
        let arms = dy.atan2(dx) / std::f32::consts::PI - eddy.spin.signum() * 1.15 * d.max(0.05).ln();
        phase = lerp(phase, arms, smoothstep(0.15, 0.7, near));
        warmth += eddy.warmth * (-d * d * 1.15).exp() * (0.75 + 0.4 * (arms * std::f32::consts::TAU).cos());
    }
    (phase, warmth)
}

fn pick<const N: usize>(palette: &[Rgb; N], phase: f32) -> Rgb {
    palette[((phase.rem_euclid(1.0) * N as f32) as usize).min(N - 1)]
}

fn pigment(x: f32, y: f32, rng: &mut Rng) -> Rgb {
    let (phase, warmth) = design(x, y);
    let phase = phase + rng.range(-0.09, 0.09);
    let chance = rng.unit();
    if warmth + rng.range(-0.14, 0.14) > 0.5 {
        pick(&WARM, phase * 1.5)
    } else if chance < 0.035 {
        CADMIUM
    } else if chance < 0.1 {
        VIRIDIAN
    } else {
        pick(&COOL, phase * 1.5)
    }
}

struct Stroke {
    path: Vec<(f32, f32)>,
    /// Half the width of the brush.
    half: f32,
    length: f32,
    /// The two colours on the brush.
    load: (Rgb, Rgb),
    /// Thickness of the paint.
    body: f32,
    id: f32,
}

/// One pass over the canvas with one brush: (spacing, half width, length, thickness).
const PASSES: [(f32, f32, f32, f32); 4] =
    [(0.036, 0.032, 0.26, 0.6), (0.026, 0.0185, 0.18, 0.9), (0.0235, 0.0115, 0.13, 1.1), (0.033, 0.0068, 0.085, 1.3)];

fn strokes() -> Vec<Stroke> {
    let mut rng = Rng::new(777);
    let mut all = Vec::new();
    for (pass, &(spacing, half, length, body)) in PASSES.iter().enumerate() {
        let per_side = (1.1 / spacing) as i32;
        let mut layer = Vec::new();
        for cell in 0..per_side * per_side {
            let x = -0.05 + ((cell % per_side) as f32 + rng.unit()) * spacing;
            let y = -0.05 + ((cell / per_side) as f32 + rng.unit()) * spacing;
            let length = length * rng.range(0.6, 1.25);
            let mut first = pigment(x, y, &mut rng);
            if pass == PASSES.len() - 1 {
                // The last strokes are few and contrast with what they cross.
                if rng.unit() < 0.55 {
                    continue;
                }
                let (_, warmth) = design(x, y);
                first = if warmth > 0.4 { LEMON } else { [ICE, CERULEAN, CADMIUM, NAVY][rng.index(4)] };
            }
            let second = pigment(x + 0.01, y - 0.01, &mut rng).mix(first, 0.45);
            let tone = rng.range(0.82, 1.2);
            layer.push((
                rng.unit(),
                Stroke {
                    path: trace(x, y, length),
                    half: half * rng.range(0.75, 1.2),
                    length,
                    load: (first * tone, second * tone),
                    body,
                    id: rng.range(0.0, 1000.0),
                },
            ));
        }
        // In reading order, the strokes would overlap like shingles.
        layer.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.extend(layer.into_iter().map(|(_, stroke)| stroke));
    }
    all
}

/// A path along the flow of the given `length`, centred at (x, y).
fn trace(x: f32, y: f32, length: f32) -> Vec<(f32, f32)> {
    const STEPS: usize = 7;
    let step = length / (2 * STEPS) as f32;
    let walk = |sign: f32| {
        let (mut px, mut py) = (x, y);
        (0..STEPS)
            .map(|_| {
                let (u, v) = flow(px, py);
                (px, py) = (px + sign * step * u, py + sign * step * v);
                (px, py)
            })
            .collect::<Vec<_>>()
    };
    let mut path = walk(-1.0);
    path.reverse();
    path.push((x, y));
    path.extend(walk(1.0));
    path
}

#[derive(Clone, Copy)]
struct Paint {
    colour: Rgb,
    /// Height above the canvas, in units of a stroke's thickness.
    height: f32,
}

/// A horizontal band of the canvas: `rows` sample rows starting at `top`.
struct Band<'a> {
    paint: &'a mut [Paint],
    side: usize,
    top: usize,
}

impl Band<'_> {
    /// The sample columns and rows of the points' bounding box, clipped to the band.
    fn window(&self, points: &[(f32, f32)], margin: f32) -> [usize; 4] {
        let scale = self.side as f32;
        let rows = self.paint.len() / self.side;
        let clip = |value: f32, lo: usize, hi: usize| (value.max(0.0) as usize).clamp(lo, hi);
        let (mut x0, mut x1, mut y0, mut y1) = (f32::MAX, f32::MIN, f32::MAX, f32::MIN);
        for &(x, y) in points {
            (x0, x1, y0, y1) = (x0.min(x), x1.max(x), y0.min(y), y1.max(y));
        }
        [
            clip((x0 - margin) * scale, 0, self.side),
            clip((x1 + margin) * scale + 1.0, 0, self.side),
            clip((y0 - margin) * scale, self.top, self.top + rows),
            clip((y1 + margin) * scale + 1.0, self.top, self.top + rows),
        ]
    }

    fn lay(&mut self, stroke: &Stroke) {
        let [x0, x1, y0, y1] = self.window(&stroke.path, stroke.half);
        if x0 >= x1 || y0 >= y1 {
            return;
        }
        // For each sample near the stroke: signed distance from the centre line, and position along it.
        let width = x1 - x0;
        let mut nearest = vec![(f32::MAX, 0.0f32); width * (y1 - y0)];
        let piece = stroke.length / (stroke.path.len() - 1) as f32;
        for (i, ends) in stroke.path.windows(2).enumerate() {
            let [(ax, ay), (bx, by)] = [ends[0], ends[1]];
            let (dx, dy) = (bx - ax, by - ay);
            let [sx0, sx1, sy0, sy1] = self.window(ends, stroke.half);
            for row in sy0..sy1 {
                for column in sx0..sx1 {
                    let px = (column as f32 + 0.5) / self.side as f32 - ax;
                    let py = (row as f32 + 0.5) / self.side as f32 - ay;
                    let t = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
                    let (ox, oy) = (px - t * dx, py - t * dy);
                    let away = (ox * ox + oy * oy).sqrt();
                    let best = &mut nearest[(row - y0) * width + column - x0];
                    if away < best.0.abs() {
                        let side = if dx * oy - dy * ox < 0.0 { -away } else { away };
                        *best = (side, (i as f32 + t) * piece);
                    }
                }
            }
        }
        for (i, &(off, along)) in nearest.iter().enumerate() {
            if off.abs() < stroke.half {
                let spot = (y0 + i / width - self.top) * self.side + x0 + i % width;
                self.paint[spot] = stroke.over(self.paint[spot], off, along);
            }
        }
    }
}

impl Stroke {
    /// This stroke's paint over `under`, at the distance `off` from the centre line and the position `along` it.
    fn over(&self, under: Paint, off: f32, along: f32) -> Paint {
        let v = off / self.half;
        // Traces of the bristles: fine across the stroke, slowly varying along it.
        let coarse = noise(off * 210.0 + self.id, along * 9.0, 5);
        let fine = noise(off * 430.0 - self.id, along * 16.0 + self.id, 6);
        let bristle = 0.6 * coarse + 0.5 * fine;
        // Ragged sides, and an end at which the bristles run dry one by one.
        let sides = 1.0 - smoothstep(0.8, 0.97, v.abs() + 0.12 * coarse);
        let run = along / self.length;
        let dry = 1.0 - smoothstep(-0.04, 0.04, run - 0.86 - 0.22 * bristle);
        let alpha = sides * dry;

        let ridge = smoothstep(0.45, 0.85, v.abs()) * 0.35;
        let gob = 0.5 * smoothstep(0.25, 0.0, run) + 0.35 * smoothstep(0.6, 0.82, run);
        let thick = self.body * (0.55 + 0.75 * bristle + ridge + gob).max(0.05);
        let blend = (0.5 + 0.35 * v + 0.6 * bristle).clamp(0.0, 1.0);
        let colour = self.load.0.mix(self.load.1, blend) * (1.0 + 0.28 * bristle);
        Paint {
            colour: under.colour.mix(colour, alpha * 0.97),
            height: lerp(under.height, 0.45 * under.height + thick, alpha),
        }
    }
}

/// The painted surface, with one `Paint` for each sample of `render`.
fn paint(side: usize) -> Vec<Paint> {
    const BAND: usize = 48;
    let strokes = strokes();
    let mut canvas = vec![Paint { colour: NAVY, height: 0.0 }; side * side];
    for_rows(&mut canvas, side * BAND, |index, paint| {
        let mut band = Band { paint, side, top: index * BAND };
        strokes.iter().for_each(|stroke| band.lay(stroke));
    });
    canvas
}

pub fn draw(size: usize) -> image::RgbImage {
    let side = size * SUPER;
    let canvas = paint(side);
    let height = |x: usize, y: usize| canvas[y.min(side - 1) * side + x.min(side - 1)].height;
    render(size, size, SUPER, |x, y| {
        let (column, row) = ((x * side as f32) as usize, (y * side as f32) as usize);
        // The slope does not depend on the picture's size.
        let reach = (side / 512).max(1);
        let scale = 0.0042 * side as f32 / (2 * reach) as f32;
        let nx = scale * (height(column.saturating_sub(reach), row) - height(column + reach, row));
        let ny = scale * (height(column, row.saturating_sub(reach)) - height(column, row + reach));
        let length = (nx * nx + ny * ny + 1.0).sqrt();
        let light = ((-0.46 * nx - 0.55 * ny + 0.70) / length).max(0.0);
        let shine = ((-0.25 * nx - 0.30 * ny + 0.92) / length).max(0.0).powi(40);
        canvas[row * side + column].colour * (0.28 + 1.06 * light) + Rgb(1.0, 0.97, 0.9) * (0.085 * shine)
    })
}
