//! Sprites (trees, grass, a house) of the landscape.

use crate::noise::{Rng, lerp, noise, smoothstep};
use crate::raster::Rgb;
use std::f32::consts::TAU;

/// A colour premultiplied by its coverage, so that averaging does not mix in the colour of empty texels.
#[derive(Clone, Copy, Default)]
pub struct Texel {
    pub colour: Rgb,
    pub alpha: f32,
}

impl Texel {
    fn mix(self, other: Self, t: f32) -> Self {
        Self { colour: self.colour.mix(other.colour, t), alpha: lerp(self.alpha, other.alpha, t) }
    }

    fn add(self, other: Self) -> Self {
        Self { colour: self.colour + other.colour, alpha: self.alpha + other.alpha }
    }
}

struct Level {
    width: usize,
    height: usize,
    texels: Vec<Texel>,
}

/// A sprite of width 1, with y pointing up from its foot, stored at successively halved resolutions (mipmaps).
pub struct Sprite {
    pub aspect: f32,
    levels: Vec<Level>,
}

impl Sprite {
    fn new(width: usize, aspect: f32) -> Self {
        let height = (width as f32 * aspect) as usize;
        let texels = vec![Texel::default(); width * height];
        Self { aspect, levels: vec![Level { width, height, texels }] }
    }

    /// Paints `colour(x, y)` with the coverage `cover(x, y)` over every texel in a box.
    fn paint(&mut self, [x0, x1, y0, y1]: [f32; 4], cover: impl Fn(f32, f32) -> f32, colour: impl Fn(f32, f32) -> Rgb) {
        let Level { width, height, texels } = &mut self.levels[0];
        let scale = *width as f32;
        let clip = |v: f32, hi: usize| ((v * scale).max(0.0) as usize).min(hi);
        for row in clip(y0, *height)..clip(y1 + 1.0 / scale, *height) {
            for column in clip(x0, *width)..clip(x1 + 1.0 / scale, *width) {
                let (x, y) = ((column as f32 + 0.5) / scale, (row as f32 + 0.5) / scale);
                let alpha = cover(x, y).clamp(0.0, 1.0);
                if alpha > 0.0 {
                    let texel = &mut texels[row * *width + column];
                    *texel = texel.mix(Texel { colour: colour(x, y), alpha: 1.0 }, alpha);
                }
            }
        }
    }

    /// A tapering stroke from one point to another.
    fn limb(&mut self, (ax, ay, ra): (f32, f32, f32), (bx, by, rb): (f32, f32, f32), colour: Rgb) {
        let grow = ra.max(rb) + 1.0 / self.levels[0].width as f32;
        let area = [ax.min(bx) - grow, ax.max(bx) + grow, ay.min(by) - grow, ay.max(by) + grow];
        let (dx, dy) = (bx - ax, by - ay);
        let square = (dx * dx + dy * dy).max(1e-9);
        let scale = self.levels[0].width as f32;
        let cover = |x: f32, y: f32| {
            let t = (((x - ax) * dx + (y - ay) * dy) / square).clamp(0.0, 1.0);
            let away = (x - ax - t * dx).hypot(y - ay - t * dy);
            (lerp(ra, rb, t) - away) * scale + 0.5
        };
        // Round limbs: bright on the left, dark on the right.
        let shade = |x: f32, y: f32| {
            let off = ((x - ax) * dy - (y - ay) * dx) / square.sqrt() / ra.max(1e-6) * dy.signum();
            colour * (1.0 - 0.45 * off.clamp(-1.0, 1.0))
        };
        self.paint(area, cover, shade);
    }

    fn polygon(&mut self, points: &[(f32, f32)], colour: impl Fn(f32, f32) -> Rgb) {
        let scale = self.levels[0].width as f32;
        let fold = |pick: fn(&(f32, f32)) -> f32, best: fn(f32, f32) -> f32| {
            points.iter().map(pick).reduce(best).unwrap_or(0.0)
        };
        let area = [fold(|p| p.0, f32::min), fold(|p| p.0, f32::max), fold(|p| p.1, f32::min), fold(|p| p.1, f32::max)];
        // Convex and counter-clockwise: inside is to the left of every edge.
        let cover = |x: f32, y: f32| {
            let mut inside = f32::MAX;
            for (i, &(ax, ay)) in points.iter().enumerate() {
                let (bx, by) = points[(i + 1) % points.len()];
                let side = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / (bx - ax).hypot(by - ay);
                inside = inside.min(side);
            }
            inside * scale + 0.5
        };
        self.paint(area, cover, colour);
    }

    /// Adds the halved resolutions, once the full resolution is complete.
    fn finish(mut self) -> Self {
        while let Some(last) = self.levels.last().filter(|level| level.width >= 4 && level.height >= 4) {
            let (width, height) = (last.width / 2, last.height / 2);
            let texel = |i: usize| {
                let at = |dx: usize, dy: usize| last.texels[(i / width * 2 + dy) * last.width + i % width * 2 + dx];
                let sum = at(0, 0).add(at(1, 0)).add(at(0, 1)).add(at(1, 1));
                Texel { colour: sum.colour * 0.25, alpha: sum.alpha * 0.25 }
            };
            let texels = (0..width * height).map(texel).collect();
            self.levels.push(Level { width, height, texels });
        }
        self
    }

    /// Samples the sprite at (x, y), where one sample covers `footprint` of its width.
    pub fn sample(&self, x: f32, y: f32, footprint: f32) -> Texel {
        let wanted = (footprint * self.levels[0].width as f32).max(1.0).log2() + 0.3;
        let level = &self.levels[(wanted as usize).min(self.levels.len() - 1)];
        let (fx, fy) = (x * level.width as f32 - 0.5, y / self.aspect * level.height as f32 - 0.5);
        if fx < 0.0 || fy < -0.5 {
            return Texel::default();
        }
        let (column, row) = (fx as usize, fy.max(0.0) as usize);
        if column + 1 >= level.width || row + 1 >= level.height {
            return Texel::default();
        }
        let at = |dx: usize, dy: usize| level.texels[(row + dy) * level.width + column + dx];
        let (tx, ty) = (fx - column as f32, fy.max(0.0) - row as f32);
        at(0, 0).mix(at(1, 0), tx).mix(at(0, 1).mix(at(1, 1), tx), ty)
    }
}

const BARK: Rgb = Rgb::hex(0x564b40);

/// A limb: foot and tip, the two radii, and whether its tip carries leaves.
struct Limb {
    from: (f32, f32),
    to: (f32, f32),
    thick: (f32, f32),
    leafy: bool,
}

/// Grows a limb and, from its end, smaller limbs.
fn grow(limbs: &mut Vec<Limb>, rng: &mut Rng, from: (f32, f32), angle: f32, length: f32, radius: f32) {
    // A limb consists of two pieces; the second leans back toward the vertical.
    let (first, second) = (angle + rng.range(-0.16, 0.16), angle * 0.9 + rng.range(-0.22, 0.22));
    let knee = (from.0 + 0.5 * length * first.sin(), from.1 + 0.5 * length * first.cos());
    let to = (knee.0 + 0.5 * length * second.sin(), knee.1 + 0.5 * length * second.cos());
    let leafy = length < 0.13;
    limbs.push(Limb { from, to: knee, thick: (radius, radius * 0.85), leafy: false });
    limbs.push(Limb { from: knee, to, thick: (radius * 0.85, radius * 0.7), leafy });
    if length < 0.07 {
        return;
    }
    // One shoot continues and the others branch to the sides, which gives a rounded crown rather than a fan.
    let onward = length * rng.range(0.76, 0.86);
    let ahead = second * 0.75 + rng.range(-0.2, 0.2);
    grow(limbs, rng, to, ahead, onward, radius * 0.74);
    for side in [-1.0, 1.0] {
        let angle = second * 0.7 + side * rng.range(0.65, 1.15);
        let shorter = length * rng.range(0.6, 0.78);
        let from = if rng.unit() < 0.5 { to } else { knee };
        grow(limbs, rng, from, angle.clamp(-1.9, 1.9), shorter, radius * 0.55);
    }
}

/// A broad-leaved tree: recursive limbs, then leaves around their ends, lit from the upper left.
pub fn broadleaf(texels: usize, seed: u32, leaf: Rgb) -> Sprite {
    let mut sprite = Sprite::new(texels, 1.12);
    let mut rng = Rng::new(seed);
    let mut limbs = Vec::new();
    grow(&mut limbs, &mut rng, (0.0, 0.0), 0.03, 0.23, 0.024);
    // Scales the tree to fill the sprite.
    let left = limbs.iter().map(|l| l.to.0).fold(0.0, f32::min);
    let right = limbs.iter().map(|l| l.to.0).fold(0.0, f32::max);
    let top = limbs.iter().map(|l| l.to.1).fold(0.1, f32::max);
    let place = |p: (f32, f32)| (0.08 + 0.84 * (p.0 - left) / (right - left), 1.03 * p.1 / top);
    let mut tips = Vec::new();
    for limb in &limbs {
        let (from, to) = (place(limb.from), place(limb.to));
        sprite.limb((from.0, from.1, limb.thick.0), (to.0, to.1, limb.thick.1), BARK * rng.range(0.8, 1.15));
        if limb.leafy {
            tips.push(to);
        }
    }
    let count = tips.len().max(1) as f32;
    let middle = tips.iter().fold((0.0, 0.0), |m, t| (m.0 + t.0 / count, m.1 + t.1 / count));
    // Clusters of leaves as (x, y, depth toward the viewer): at the tips, and behind them to close the crown.
    let mut puffs = Vec::new();
    for &(x, y) in &tips {
        puffs.push((x, y, rng.range(-0.3, 1.0)));
        let inward = rng.range(0.1, 0.5);
        puffs.push((lerp(x, middle.0, inward), lerp(y, middle.1, inward) + 0.02, rng.range(-1.0, 0.2)));
    }
    let mut leaves = Vec::new();
    for &(px, py, depth) in &puffs {
        let size = rng.range(0.024, 0.052);
        let tone = rng.range(-0.10, 0.10);
        for _ in 0..60 {
            let (turn, out) = (rng.range(0.0, TAU), rng.unit().sqrt() * size);
            let (dx, dy) = (turn.cos() * out * 1.15, turn.sin() * out * 0.8);
            // Lighting by position in the cluster and in the whole crown.
            let local = (-0.5 * dx + 0.85 * dy) / size;
            let whole = (-0.6 * (px + dx - middle.0) + 0.75 * (py + dy - middle.1)) / 0.4;
            let light = 0.40 + tone + 0.30 * local + 0.30 * whole + 0.20 * depth + rng.range(-0.12, 0.12);
            leaves.push((depth + rng.range(-0.15, 0.15), px + dx, py + dy, light));
        }
    }
    leaves.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, x, y, light) in leaves {
        let light = light.clamp(0.03, 1.15);
        let hue = leaf.mix(Rgb::hex(0xa39c3e), 0.4 * light * rng.unit());
        let colour = Rgb::hex(0x1a2619).mix(hue, smoothstep(0.0, 0.95, light)) * (0.4 + 0.75 * light);
        let (turn, size) = (rng.range(0.0, TAU), rng.range(0.003, 0.0052));
        let tip = (x + turn.cos() * size, y + turn.sin() * size);
        sprite.limb((x, y, size * 0.8), (tip.0, tip.1, size * 0.35), colour);
    }
    sprite.finish()
}

/// A conifer: whorls of drooping boughs, each a comb of needles.
pub fn conifer(texels: usize, seed: u32) -> Sprite {
    let mut sprite = Sprite::new(texels, 2.3);
    let mut rng = Rng::new(seed);
    let top = 2.25;
    sprite.limb((0.5, 0.0, 0.03), (0.5, top, 0.004), BARK * 0.8);
    let whorls = 44;
    for whorl in 0..whorls {
        let rise = whorl as f32 / whorls as f32;
        let y = lerp(0.16, top, rise);
        for _ in 0..7 {
            let side = rng.range(-1.0, 1.0);
            let reach = 0.47 * (1.0 - rise).powf(0.85) * rng.range(0.6, 1.0) + 0.02;
            let (ex, ey) = (0.5 + side * reach, y - reach * rng.range(0.25, 0.55) + 0.03);
            // Boughs on the left, toward the light, are bright.
            let light = 0.42 - 0.42 * side + rng.range(-0.15, 0.15);
            for needle in 0..16 {
                let t = (needle as f32 + rng.unit()) / 16.0;
                let (nx, ny) = (lerp(0.5, ex, t), lerp(y, ey, t * t));
                let colour = Rgb::hex(0x12291f).mix(Rgb::hex(0x5f8448), light.clamp(0.0, 1.0) * rng.range(0.55, 1.1));
                let hang = rng.range(0.02, 0.055) * (1.1 - 0.6 * rise);
                sprite.limb((nx, ny, 0.0085), (nx + side * hang * 0.7, ny - hang, 0.002), colour * rng.range(0.7, 1.2));
            }
        }
    }
    sprite.finish()
}

/// A tuft of grass blades, some with seed heads or flowers of the given colour.
pub fn tuft(texels: usize, seed: u32, flower: Option<Rgb>) -> Sprite {
    let mut sprite = Sprite::new(texels, 0.9);
    let mut rng = Rng::new(seed);
    for _ in 0..46 {
        let x = 0.5 + 0.3 * (rng.unit() + rng.unit() - 1.0);
        let lean = (x - 0.5) * 0.9 + rng.range(-0.16, 0.16);
        let height = rng.range(0.3, 0.8);
        let green = Rgb::hex(0x3c4f1f).mix(Rgb::hex(0x979a50), rng.unit());
        let (mx, my) = (x + lean * 0.35, height * 0.6);
        sprite.limb((x, 0.0, 0.016), (mx, my, 0.012), green * 0.6);
        sprite.limb((mx, my, 0.012), (x + lean, height, 0.003), green);
        if let Some(petals) = flower.filter(|_| rng.unit() < 0.17) {
            let (fx, fy) = (x + lean, height);
            sprite.limb((fx - 0.022, fy, 0.03), (fx + 0.022, fy, 0.03), petals * rng.range(0.75, 1.15));
        }
    }
    sprite.finish()
}

/// A small whitewashed house seen from a corner, the gable in the sun.
pub fn house(texels: usize) -> Sprite {
    let mut sprite = Sprite::new(texels, 0.78);
    let plaster = |x: f32, y: f32| 1.0 + 0.07 * noise(x * 30.0, y * 30.0, 1) - 0.22 * smoothstep(0.1, 0.0, y);
    let lit = Rgb::hex(0xf4ead4);
    let dim = Rgb::hex(0x9d9a9c);
    // Walls: the gable on the left, the long side on the right; each on a stone footing.
    sprite.polygon(&[(0.07, 0.0), (0.40, 0.0), (0.40, 0.36), (0.235, 0.63), (0.07, 0.36)], |x, y| lit * plaster(x, y));
    sprite.polygon(&[(0.40, 0.0), (0.92, 0.02), (0.92, 0.36), (0.40, 0.36)], |x, y| dim * plaster(x, y));
    let stone = |x: f32, y: f32| 0.8 + 0.45 * noise(x * 60.0, y * 90.0, 2);
    sprite.polygon(&[(0.07, 0.0), (0.40, 0.0), (0.40, 0.05), (0.07, 0.05)], |x, y| Rgb::hex(0x8f8474) * stone(x, y));
    sprite.polygon(&[(0.40, 0.0), (0.92, 0.02), (0.92, 0.07), (0.40, 0.05)], |x, y| Rgb::hex(0x5c5750) * stone(x, y));
    // The shadow of the eaves on the long wall.
    sprite.polygon(&[(0.40, 0.29), (0.92, 0.29), (0.92, 0.37), (0.40, 0.37)], |_, _| Rgb::hex(0x5f5d66));

    // Chimney, then the roof in rows of tiles, then the barge boards along the gable.
    sprite.polygon(&[(0.66, 0.52), (0.735, 0.52), (0.735, 0.74), (0.66, 0.74)], |x, y| {
        Rgb::hex(if x < 0.69 { 0xb07a60 } else { 0x6d4638 }) * (0.85 + 0.3 * noise(x * 40.0, y * 110.0, 3))
    });
    sprite.polygon(&[(0.65, 0.725), (0.745, 0.725), (0.745, 0.75), (0.65, 0.75)], |_, _| Rgb::hex(0x8a6a5a));
    sprite.polygon(&[(0.415, 0.325), (0.965, 0.325), (0.80, 0.64), (0.235, 0.64)], |x, y| {
        let row = (y - 0.325) / 0.0225;
        let along = (x + y * 0.55) / 0.021 + 0.5 * (row as i32 % 2) as f32;
        let tile = noise(along.floor() * 3.7 + 0.5, row.floor() * 5.3 + 0.5, 4);
        let lip = 1.0 - 0.5 * smoothstep(0.3, 0.0, row.fract()) - 0.25 * smoothstep(0.2, 0.0, along.fract());
        Rgb::hex(0xb4563a).mix(Rgb::hex(0x7d4a3c), (0.4 + 0.6 * tile).clamp(0.0, 1.0)) * (lip * (0.95 + 0.25 * tile))
    });
    let board = Rgb::hex(0x6e4a32);
    sprite.limb((0.035, 0.315, 0.012), (0.235, 0.645, 0.012), board);
    sprite.limb((0.235, 0.645, 0.012), (0.435, 0.315, 0.012), board * 0.75);

    // Openings: (left, bottom, width, height, in the sun).
    let windows = [
        (0.115, 0.17, 0.085, 0.115, true),
        (0.205, 0.40, 0.06, 0.09, true),
        (0.50, 0.15, 0.085, 0.115, false),
        (0.70, 0.15, 0.085, 0.115, false),
    ];
    for (x, y, w, h, sunny) in windows {
        sprite.window(x, y, w, h, if sunny { 1.0 } else { 0.6 });
    }
    sprite.polygon(&[(0.265, 0.02), (0.345, 0.02), (0.345, 0.24), (0.265, 0.24)], |_, _| Rgb::hex(0xe6dcc6));
    sprite.polygon(&[(0.275, 0.02), (0.335, 0.02), (0.335, 0.23), (0.275, 0.23)], |x, _| {
        Rgb::hex(0x2f5d50) * (0.8 + 0.3 * ((x * 260.0).sin()))
    });
    sprite.finish()
}

impl Sprite {
    /// A casement: shutters, frame, dark panes with a slanting reflection, glazing bars and a sill.
    fn window(&mut self, x: f32, y: f32, w: f32, h: f32, light: f32) {
        let frame = 0.009;
        let mut rect = |x0: f32, y0: f32, x1: f32, y1: f32, colour: Rgb| {
            self.polygon(&[(x0, y0), (x1, y0), (x1, y1), (x0, y1)], |px, py| {
                let glare = smoothstep(0.35, 0.9, ((px - x) / w + (py - y) / h) * 0.5);
                if colour == Rgb::BLACK {
                    Rgb::hex(0x1a2530).mix(Rgb::hex(0x9fb9cc), 0.75 * glare)
                } else {
                    colour * light
                }
            });
        };
        let shutter = Rgb::hex(0x2f6b62);
        rect(x - w * 0.36, y - 0.005, x - 0.003, y + h + 0.005, shutter);
        rect(x + w + 0.003, y - 0.005, x + w * 1.36, y + h + 0.005, shutter);
        rect(x - frame, y - frame, x + w + frame, y + h + frame, Rgb::hex(0xf2ecdd));
        rect(x, y, x + w, y + h, Rgb::BLACK);
        rect(x + w * 0.45, y, x + w * 0.55, y + h, Rgb::hex(0xf2ecdd));
        rect(x, y + h * 0.52, x + w, y + h * 0.6, Rgb::hex(0xf2ecdd));
        rect(x - frame * 1.6, y - frame * 2.0, x + w + frame * 1.6, y - frame * 0.6, Rgb::hex(0xcfc7b6));
    }
}
