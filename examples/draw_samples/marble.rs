//! Style: marbled paper (ebru). Paint dropped on a bath spreads into rings, and every new drop pushes the earlier ones
//! outward. Then tines are drawn through the paint.
//!
//! Each step is an invertible map of the bath. The colour of a point is found by applying the inverse steps, last one
//! first, until the point lies inside a drop.

use crate::noise::{Rng, fbm, hash, smoothstep, unit};
use crate::raster::{Rgb, render};

const INDIGO: Rgb = Rgb::hex(0x1c2f63);
const MADDER: Rgb = Rgb::hex(0xb3262f);
const OCHRE: Rgb = Rgb::hex(0xe0a032);
const TEAL: Rgb = Rgb::hex(0x1e8c86);
const CREAM: Rgb = Rgb::hex(0xf6ead0);
const INK: Rgb = Rgb::hex(0x14121c);
const PALETTE: [Rgb; 6] = [INDIGO, CREAM, MADDER, OCHRE, TEAL, CREAM];

enum Act {
    /// A drop of paint with this radius.
    Drop { x: f32, y: f32, radius: f32, colour: Rgb },
    /// Parallel tines, `gap` apart, drawn along (dx, dy). Each tine drags the bath by `pull`.
    Comb { x: f32, y: f32, dx: f32, dy: f32, gap: f32, pull: f32, reach: f32, alternate: bool },
    /// A stylus moved in a circle of this radius.
    Swirl { x: f32, y: f32, radius: f32, pull: f32, reach: f32 },
}

/// The steps, in order.
fn acts() -> Vec<Act> {
    let mut rng = Rng::new(4100);
    let mut acts = Vec::new();
    // Rings: drops of many colours on the same spots.
    let spots: Vec<(f32, f32)> = (0..16)
        .map(|i| ((i % 4) as f32 * 0.33 + rng.range(-0.1, 0.1), (i / 4) as f32 * 0.33 + rng.range(-0.1, 0.1)))
        .collect();
    for layer in 0..9 {
        for (i, &(x, y)) in spots.iter().enumerate() {
            let colour = if layer % 4 == 3 { INK } else { PALETTE[(layer + i * 5) % PALETTE.len()] };
            let radius = rng.range(0.045, 0.075) * if layer % 4 == 3 { 0.45 } else { 1.0 };
            acts.push(Act::Drop { x: x + rng.range(-0.02, 0.02), y: y + rng.range(-0.02, 0.02), radius, colour });
        }
    }
    // Tines up and down, then across: the classic pattern of feathered scallops.
    acts.push(Act::Comb { x: 0.06, y: 0.0, dx: 0.0, dy: 1.0, gap: 0.125, pull: 0.22, reach: 0.035, alternate: true });
    acts.push(Act::Comb { x: 0.0, y: 0.05, dx: 1.0, dy: 0.0, gap: 0.11, pull: 0.1, reach: 0.022, alternate: true });
    // New rings on the feathered ground, then stirred.
    for (x, y, radius) in [
        (0.52, 0.13, 0.03),
        (0.93, 0.45, 0.033),
        (0.5, 0.86, 0.035),
        (0.1, 0.6, 0.03),
        (0.07, 0.1, 0.024),
        (0.93, 0.93, 0.026),
        (0.55, 0.47, 0.022),
    ] {
        for colour in [MADDER, CREAM, INDIGO, OCHRE, CREAM, TEAL, CREAM, INK] {
            acts.push(Act::Drop {
                x: x + rng.range(-0.004, 0.004),
                y: y + rng.range(-0.004, 0.004),
                radius: radius * rng.range(0.6, 1.1),
                colour,
            });
        }
    }
    acts.push(Act::Swirl { x: 0.3, y: 0.36, radius: 0.11, pull: 0.3, reach: 0.06 });
    acts.push(Act::Swirl { x: 0.72, y: 0.68, radius: 0.13, pull: -0.34, reach: 0.06 });
    acts.push(Act::Swirl { x: 0.76, y: 0.2, radius: 0.05, pull: 0.2, reach: 0.05 });
    acts.push(Act::Swirl { x: 0.22, y: 0.82, radius: 0.06, pull: -0.22, reach: 0.05 });
    // Finally a fine spatter, which stays nearly round.
    for _ in 0..70 {
        let colour = if rng.unit() < 0.6 { CREAM } else { INDIGO };
        let radius = 0.0025 + 0.009 * rng.unit().powi(3);
        acts.push(Act::Drop { x: rng.unit(), y: rng.unit(), radius, colour });
    }
    acts
}

/// Applies the inverse of one step to a point; `Err` is the colour of the drop in which the point lies.
fn undo(act: &Act, px: f32, py: f32) -> Result<(f32, f32), Rgb> {
    match *act {
        Act::Drop { x, y, radius, colour } => {
            let (dx, dy) = (px - x, py - y);
            let d2 = dx * dx + dy * dy;
            if d2 < radius * radius {
                return Err(colour);
            }
            // Far from a small drop the displacement is far below a pixel; skipping it halves the work.
            if d2 > 700.0 * radius * radius {
                return Ok((px, py));
            }
            // A drop displaces the paint around it outward and preserves areas.
            let back = (1.0 - radius * radius / d2).sqrt();
            Ok((x + dx * back, y + dy * back))
        }
        Act::Comb { x, y, dx, dy, gap, pull, reach, alternate } => {
            let across = ((px - x) * -dy + (py - y) * dx) / gap;
            let tine = across.round();
            let away = (across - tine).abs() * gap;
            let way = if alternate && (tine as i32).rem_euclid(2) == 1 { -1.0 } else { 1.0 };
            // No displacement halfway between two tines, where both pull.
            let shift = way * pull * (falloff(away, reach) - falloff(gap / 2.0, reach));
            Ok((px - dx * shift, py - dy * shift))
        }
        Act::Swirl { x, y, radius, pull, reach } => {
            let (dx, dy) = (px - x, py - y);
            let d = (dx * dx + dy * dy).sqrt().max(1e-4);
            let angle = -pull * falloff((d - radius).abs(), reach) / d.max(0.04);
            let (sin, cos) = angle.sin_cos();
            Ok((x + dx * cos - dy * sin, y + dx * sin + dy * cos))
        }
    }
}

/// Share of a tine's pull at a distance.
fn falloff(away: f32, reach: f32) -> f32 {
    let t = away / reach;
    1.0 / (1.0 + t * t)
}

/// The bath before the first step: thin rings of the palette.
fn ground(x: f32, y: f32) -> Rgb {
    let band = (fbm(x * 2.0, y * 2.0, 3, 4) * 9.0 + 40.0) as usize;
    PALETTE[band % PALETTE.len()]
}

fn colour_at(acts: &[Act], x: f32, y: f32) -> Rgb {
    let (mut px, mut py) = (x, y);
    for act in acts.iter().rev() {
        match undo(act, px, py) {
            Ok(back) => (px, py) = back,
            Err(colour) => return colour,
        }
    }
    ground(px, py)
}

/// Density of the paint film, and the texture of the paper under it.
fn paper(x: f32, y: f32) -> f32 {
    let film = fbm(x * 9.0, y * 9.0, 4, 31);
    let grain = unit(hash((x * 1024.0) as i32, (y * 1024.0) as i32, 5)) - 0.5;
    let fibre = fbm(x * 180.0, y * 60.0, 2, 8);
    1.0 + 0.10 * film + 0.05 * grain + 0.07 * fibre
}

pub fn draw(size: usize) -> image::RgbImage {
    let acts = acts();
    // Tines draw the paint into hairlines, which two samples per axis would break into dots.
    render(size, size, 3, |x, y| {
        // A slow drift keeps the tine lines from being straight.
        let (wx, wy) = (x + 0.012 * fbm(x * 3.0, y * 3.0, 3, 60), y + 0.012 * fbm(x * 3.0, y * 3.0, 3, 70));
        let paint = colour_at(&acts, wx, wy);
        let pale = smoothstep(-0.1, 0.7, fbm(x * 5.0 + 3.0, y * 5.0, 3, 90)) * 0.12;
        paint.mix(CREAM, pale) * paper(x, y)
    })
}
