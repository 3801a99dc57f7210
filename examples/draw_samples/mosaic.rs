//! Style: a mosaic in the Roman manner. Glass and stone tesserae are laid in rings around a central rosette, on a
//! ground of peacock fans, with dark grout between the tiles.

use crate::noise::{Rng, fbm, hash, noise, smoothstep, unit};
use crate::raster::{Rgb, SUPER, render};
use std::f32::consts::{PI, TAU};

/// Distance between the rows of tiles, in picture widths.
const TILE: f32 = 0.0255;
const GROUT: Rgb = Rgb::hex(0x2a2523);
const GOLD: Rgb = Rgb::hex(0xe2ab3c);
const RUBY: Rgb = Rgb::hex(0xa8182c);
const CORAL: Rgb = Rgb::hex(0xdd5a33);
const IVORY: Rgb = Rgb::hex(0xf0e4c6);
const COBALT: Rgb = Rgb::hex(0x1d3f9a);
const NAVY: Rgb = Rgb::hex(0x12214f);
const TURQUOISE: Rgb = Rgb::hex(0x27a6ae);
const EMERALD: Rgb = Rgb::hex(0x14774f);
const VIOLET: Rgb = Rgb::hex(0x5a2a82);

/// The rosette's centre and outer radius.
const HUB: (f32, f32) = (0.5, 0.5);
const ROSETTE: f32 = 0.385;
/// Radius of a fan of the ground, in picture widths.
const FAN: f32 = 0.168;

struct Tile {
    x: f32,
    y: f32,
    colour: Rgb,
    /// Tilt of the tile out of the plane. Different tilts make the mosaic glitter.
    lean: (f32, f32),
    metal: bool,
    grain: u32,
}

/// The tiles sorted into square bins, for fast neighbour searches.
struct Floor {
    bins: Vec<Vec<Tile>>,
    side: i32,
    bin: f32,
}

/// The centre of the topmost fan at a point. Fans overlap like roof tiles, with the lower one on top.
fn fan_at(x: f32, y: f32) -> (f32, f32) {
    let mut top = (0.0, 0.0);
    let row0 = (y / (FAN * 0.5)) as i32;
    for row in row0 - 1..=row0 + 3 {
        let cy = row as f32 * FAN * 0.5 + 0.012;
        let offset = if row.rem_euclid(2) == 1 { FAN } else { 0.0 };
        let cx = ((x - offset - 0.5) / (2.0 * FAN)).round() * 2.0 * FAN + offset + 0.5;
        if (x - cx).hypot(y - cy) <= FAN && y <= cy {
            top = (cx, cy);
        }
    }
    top
}

fn fan_colour(x: f32, y: f32, (cx, cy): (f32, f32), rng: &mut Rng) -> (Rgb, bool) {
    let ring = ((x - cx).hypot(y - cy) / TILE).round() as i32;
    let kind = hash((cx * 100.0) as i32, (cy * 100.0) as i32, 3) % 3;
    let scale = [[TURQUOISE, COBALT], [EMERALD, TURQUOISE], [COBALT, VIOLET]][kind as usize];
    match ring {
        0 | 1 => (GOLD, true),
        2 => (NAVY, false),
        6.. => (if rng.unit() < 0.75 { IVORY } else { GOLD }, false),
        _ => (scale[0].mix(scale[1], (ring - 3) as f32 / 2.0), false),
    }
}

fn rosette_colour(radius: f32, angle: f32) -> (Rgb, bool) {
    // Ten petals between the inner and the outer border, each with a vein and a pointed tip.
    let turn = (angle / TAU * 10.0).rem_euclid(1.0);
    let side = (turn - 0.5).abs() * 2.0;
    let ring = radius / ROSETTE;
    let petal = 1.0 - smoothstep(0.42, 0.86, ring);
    match ring {
        r if r < 0.07 => (RUBY, false),
        r if r < 0.145 => (GOLD, true),
        r if r < 0.21 => (NAVY, false),
        r if r < 0.28 => (if turn < 0.5 { IVORY } else { TURQUOISE }, false),
        r if r < 0.345 => (GOLD, true),
        r if r < 0.84 => {
            let edge = 0.92 * petal.max(0.02).sqrt();
            if side < edge - 0.5 {
                (CORAL.mix(GOLD, ((ring - 0.36) * 2.4).clamp(0.0, 1.0)), false)
            } else if side < edge - 0.2 {
                (RUBY, false)
            } else if side < edge {
                (IVORY, false)
            } else {
                (NAVY.mix(COBALT, smoothstep(0.4, 0.9, ring)), false)
            }
        }
        r if r < 0.9 => (GOLD, true),
        r if r < 0.965 => (if (angle / TAU * 36.0).rem_euclid(1.0) < 0.5 { IVORY } else { EMERALD }, false),
        _ => (NAVY, false),
    }
}

impl Floor {
    fn lay() -> Self {
        let bin = TILE * 1.5;
        let side = (1.0 / bin) as i32 + 5;
        let mut floor = Self { bins: (0..side * side).map(|_| Vec::new()).collect(), side, bin };
        let mut rng = Rng::new(90);
        // The rosette is laid in smaller tiles than the ground.
        let fine = TILE * 0.7;
        let rings = (ROSETTE / fine) as i32;
        for ring in 0..=rings {
            floor.lay_ring(HUB, ring as f32 * fine, fine, (0.0, TAU), &mut rng, |x, y, _| {
                let radius = (x - HUB.0).hypot(y - HUB.1);
                Some(rosette_colour(radius, (y - HUB.1).atan2(x - HUB.0)))
            });
        }
        let border = rings as f32 * fine + TILE * 0.55;
        for row in -1..(2.0 / FAN) as i32 + 3 {
            for column in -2..(1.0 / FAN) as i32 + 2 {
                let offset = if row.rem_euclid(2) == 1 { FAN } else { 0.0 };
                let centre = ((column as f32 - 2.0) * 2.0 * FAN + offset + 0.5, row as f32 * FAN * 0.5 + 0.012);
                for ring in 0..=(FAN / TILE) as i32 {
                    floor.lay_ring(centre, ring as f32 * TILE, TILE, (PI, PI), &mut rng, |x, y, rng| {
                        let owner = fan_at(x, y);
                        let mine = (owner.0 - centre.0).abs() + (owner.1 - centre.1).abs() < 1e-3;
                        let outside = (x - HUB.0).hypot(y - HUB.1) > border;
                        (mine && outside).then(|| fan_colour(x, y, centre, rng))
                    });
                }
            }
        }
        floor
    }

    /// Lays one ring of tiles, or the arc of angle `sweep` that starts at `from`, where `choose` returns a colour.
    fn lay_ring(
        &mut self,
        centre: (f32, f32),
        radius: f32,
        spacing: f32,
        (from, sweep): (f32, f32),
        rng: &mut Rng,
        choose: impl Fn(f32, f32, &mut Rng) -> Option<(Rgb, bool)>,
    ) {
        let count = (sweep * radius / spacing).round().max(1.0);
        let phase = if sweep < TAU { 0.5 } else { rng.unit() };
        for i in 0..count as i32 {
            let angle = from + sweep * (i as f32 + phase + rng.range(-0.13, 0.13)) / count;
            let r = radius + spacing * rng.range(-0.07, 0.07);
            let (x, y) = (centre.0 + r * angle.cos(), centre.1 + r * angle.sin());
            let picked = choose(centre.0 + radius * angle.cos(), centre.1 + radius * angle.sin(), rng);
            let Some((colour, metal)) = picked else { continue };
            // Hand-cut glass: each tile varies slightly in lightness and hue.
            let tone = rng.range(0.72, 1.28);
            let other = [IVORY, TURQUOISE, VIOLET, CORAL][rng.index(4)];
            let colour = colour.mix(other, 0.10 * rng.unit()) * tone;
            let lean = (rng.range(-1.0, 1.0), rng.range(-1.0, 1.0));
            let grain = (rng.unit() * 1e6) as u32;
            if let Some(bin) = self.bin_of(x, y) {
                self.bins[bin].push(Tile { x, y, colour, lean, metal, grain });
            }
        }
    }

    fn bin_of(&self, x: f32, y: f32) -> Option<usize> {
        let (bx, by) = ((x / self.bin + 2.0) as i32, (y / self.bin + 2.0) as i32);
        let inside = x > -1.5 * self.bin && y > -1.5 * self.bin && bx < self.side && by < self.side;
        inside.then(|| (by * self.side + bx) as usize)
    }

    fn near(&self, x: f32, y: f32) -> impl Iterator<Item = &Tile> {
        let (bx, by) = ((x / self.bin + 2.0) as i32, (y / self.bin + 2.0) as i32);
        let side = self.side;
        (-1..=1).flat_map(move |row| {
            let start = ((by + row).clamp(0, side - 1) * side + (bx - 1).max(0)) as usize;
            self.bins[start..start + 3].iter().flatten()
        })
    }

    /// The tile at a point, the distance to the middle of the nearest joint, and the direction of that joint.
    fn tile_at(&self, x: f32, y: f32) -> (&Tile, f32, (f32, f32)) {
        let square = |t: &Tile| (t.x - x) * (t.x - x) + (t.y - y) * (t.y - y);
        let own = self.near(x, y).min_by(|a, b| square(a).total_cmp(&square(b))).expect("tiles cover the picture");
        let (mut edge, mut toward) = (f32::MAX, (0.0, 0.0));
        for tile in self.near(x, y) {
            let (dx, dy) = (tile.x - own.x, tile.y - own.y);
            let apart = dx.hypot(dy);
            if apart > 1e-6 {
                let to_joint = (((own.x + tile.x) * 0.5 - x) * dx + ((own.y + tile.y) * 0.5 - y) * dy) / apart;
                if to_joint < edge {
                    (edge, toward) = (to_joint, (dx / apart, dy / apart));
                }
            }
        }
        (own, edge, toward)
    }
}

fn shade(floor: &Floor, x: f32, y: f32) -> Rgb {
    // Chipped, irregular edges.
    let (wx, wy) = (x + 0.0012 * noise(x * 90.0, y * 90.0, 1), y + 0.0012 * noise(x * 90.0, y * 90.0, 2));
    let (tile, edge, toward) = floor.tile_at(wx, wy);
    let edge = edge - 0.0021 - 0.0007 * noise(x * 60.0, y * 60.0, 9);
    let sand = unit(hash((x * 900.0) as i32, (y * 900.0) as i32, 6));
    let grout = GROUT * (0.55 + 0.5 * sand + 0.4 * noise(x * 40.0, y * 40.0, 7));

    // A rounded edge along the joints, a slight tilt, and the ripple of poured glass.
    let bevel = 1.0 - smoothstep(0.0, 0.0042, edge);
    let ripple = noise(x * 120.0 + tile.grain as f32, y * 120.0, 11);
    let nx = toward.0 * bevel * 0.95 + tile.lean.0 * 0.2 + ripple * 0.10;
    let ny = toward.1 * bevel * 0.95 + tile.lean.1 * 0.2 + ripple * 0.06;
    let length = (nx * nx + ny * ny + 1.0).sqrt();
    let light = ((-0.48 * nx - 0.6 * ny + 0.64) / length).max(0.0);
    let shine = ((-0.30 * nx - 0.38 * ny + 0.875) / length).max(0.0).powi(if tile.metal { 26 } else { 60 });
    let veins = fbm(x * 45.0 + tile.grain as f32 * 0.37, y * 45.0, 3, tile.grain);
    let body = tile.colour * (1.0 + 0.35 * veins) * (0.22 + 1.22 * light);
    let glint = if tile.metal { GOLD.mix(IVORY, 0.4) * 0.75 } else { Rgb::WHITE * 0.28 };
    let lit = body + glint * shine;

    // The grout lies lower and is shadowed by the tile above and to the left of it.
    let shadow = 1.0 - 0.45 * smoothstep(0.0, -0.002, edge) * f32::from(u8::from(toward.0 + toward.1 > 0.0));
    (grout * shadow).mix(lit, smoothstep(-0.0005, 0.0007, edge))
}

pub fn draw(size: usize) -> image::RgbImage {
    let floor = Floor::lay();
    render(size, size, SUPER, |x, y| shade(&floor, x, y))
}
