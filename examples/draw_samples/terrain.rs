//! The terrain of the landscape: its height function, and the sampled form for ray marching.

use crate::noise::{fbm, hash, lerp, noise, ridged, smoothstep, split};
use crate::raster::{SUPER, for_rows};

/// Height of the eye above the lake, in metres.
pub const EYE: f32 = 12.0;
/// Nearest and farthest distance of the terrain, in metres.
pub const NEAR: f32 = 20.0;
pub const FAR: f32 = 4600.0;
/// Columns beyond the left and right edge, as a share of the width: hills outside the picture cast shadows into it.
const MARGIN: f32 = 0.22;
/// Slope of the sun's rays: how fast the shadow of a crest sinks toward the right.
const SUN_FALL: f32 = 0.55;

/// Height of a coniferous canopy above its floor: a pointed crown in each cell of a jittered grid.
pub fn canopy(x: f32, z: f32) -> f32 {
    const CELL: f32 = 8.0;
    let ((cx, fx), (cz, fz)) = (split(x / CELL), split(z / CELL));
    let mut best = 0.0f32;
    for dz in -1..=1 {
        for dx in -1..=1 {
            let h = hash(cx + dx, cz + dz, 300);
            let (jx, jz) = ((h & 0xFF) as f32 / 256.0, (h >> 8 & 0xFF) as f32 / 256.0);
            let away = (dx as f32 + jx - fx).hypot(dz as f32 + jz - fz);
            let tall = 0.55 + 0.45 * (h >> 16 & 0xFF) as f32 / 256.0;
            best = best.max(tall * (1.0 - away * 1.25));
        }
    }
    16.0 * best + 2.6 * noise(x / 1.9, z / 1.9, 301) * smoothstep(0.0, 0.3, best)
}

/// A mountain range of height `tall` around the line z = `line`, with crests about `scale` apart.
struct Range {
    line: f32,
    deep: f32,
    tall: f32,
    scale: f32,
    octaves: u32,
    seed: u32,
}

impl Range {
    fn height(&self, x: f32, z: f32) -> f32 {
        let Self { line, deep, tall, scale, octaves, seed } = *self;
        let wander = deep * 0.5 * noise(x / (scale * 1.7), 0.5, seed + 50);
        let off = (z - line - wander) / deep;
        if off.abs() > 1.0 {
            return -60.0;
        }
        let wx = x + scale * 0.22 * noise(x / scale, z / scale, seed + 51);
        let wz = z + scale * 0.22 * noise(x / scale, z / scale, seed + 52);
        let gullies = 0.10 * fbm(wx / (scale * 0.16), z / (scale * 0.3), octaves - 3, seed + 53);
        let shape = 0.32 + 0.90 * ridged(wx / scale, wz / scale, octaves, seed) + gullies;
        tall * (1.0 - off * off) * shape - 20.0
    }
}

/// Density of the woods, 0 to 1.
pub fn woods(x: f32, z: f32, height: f32) -> f32 {
    let glade = fbm(x / 130.0, z / 130.0, 3, 61);
    smoothstep(-0.10, 0.10, glade + 0.16)
        * smoothstep(2.0, 6.0, height)
        * (1.0 - smoothstep(170.0, 260.0, height + 60.0 * glade))
        * smoothstep(330.0, 360.0, z)
}

/// Height of the ground above the lake; negative on the lake's bed.
pub fn ground(x: f32, z: f32) -> f32 {
    let across = x / z;
    if z < 190.0 {
        let shore = 57.0 + 4.0 * noise(x / 17.0, 0.3, 70) + 5.0 * (x * 0.055 + 0.6).sin();
        let bank = (0.115 * (shore - z)).max(-5.0);
        // A headland on the right carries the house.
        let (px, pz) = ((x - 62.0) / 52.0, (z - 97.0 - 3.0 * noise(x / 14.0, 3.0, 71)) / 21.0);
        let point = 4.6 * (1.0 - (px * px + pz * pz)).max(-1.0);
        let land = bank.max(point);
        return land
            + smoothstep(-0.3, 1.0, land) * (0.35 * fbm(x / 5.0, z / 5.0, 3, 72) + 0.10 * noise(x * 1.4, z * 1.4, 73));
    }
    let shore = 345.0 + 45.0 * noise(x / 120.0, 0.5, 80) + 90.0 * across.abs();
    let plain = ((z - shore) * 0.05).clamp(-5.0, 22.0);
    let open = smoothstep(0.02, 0.42, (across - 0.03).abs());
    let flanks = 330.0 * smoothstep(0.1, 0.5, across) + 150.0 * smoothstep(-0.1, -0.5, across);
    let peak = (-((across - 0.07) / 0.16).powi(2)).exp() + 0.36 * (-((across + 0.20) / 0.10).powi(2)).exp();
    let ranges = [
        Range { line: 760.0, deep: 330.0, tall: 60.0 + 130.0 * open, scale: 310.0, octaves: 6, seed: 90 },
        Range { line: 1550.0, deep: 560.0, tall: 240.0 + flanks, scale: 620.0, octaves: 8, seed: 110 },
        Range { line: 3100.0, deep: 1150.0, tall: 430.0 + 620.0 * peak, scale: 900.0, octaves: 9, seed: 134 },
    ];
    let bare = ranges.iter().map(|range| range.height(x, z)).fold(plain, f32::max);
    let wood = woods(x, z, bare);
    if wood > 0.02 { bare + wood * canopy(x, z) } else { bare }
}

/// The sampled terrain: heights at increasing distances for every column of rays.
pub struct Terrain {
    pub columns: usize,
    steps: usize,
    /// Columns per unit of lateral slope, and the index of the column straight ahead.
    pub density: f32,
    middle: f32,
    pub height: Vec<f32>,
    /// Share of direct sunlight at each point.
    pub sun: Vec<f32>,
    /// Running maximum, over the distance, of the slope from the eye to the surface.
    crest: Vec<f32>,
}

impl Terrain {
    pub fn new(width: usize) -> Self {
        let density = (width * SUPER) as f32;
        let columns = (density * (1.0 + 2.0 * MARGIN)) as usize;
        let steps = (1800 * width / 512).clamp(900, 3600);
        let mut terrain = Self {
            columns,
            steps,
            density,
            middle: columns as f32 / 2.0,
            height: vec![0.0; columns * steps],
            sun: vec![1.0; columns * steps],
            crest: vec![0.0; columns * steps],
        };
        let reach: Vec<f32> = (0..steps).map(|step| terrain.distance(step as f32)).collect();
        let slope = |column: usize| (column as f32 - columns as f32 / 2.0) / density;
        for_rows(&mut terrain.height, steps, |column, line| {
            for (h, &z) in line.iter_mut().zip(&reach) {
                *h = ground(slope(column) * z, z);
            }
        });
        let height = &terrain.height;
        for_rows(&mut terrain.crest, steps, |column, line| {
            let mut steepest = f32::MIN;
            for (step, crest) in line.iter_mut().enumerate() {
                steepest = steepest.max((height[column * steps + step].max(0.0) - EYE) / reach[step]);
                *crest = steepest;
            }
        });
        terrain.cast_shadows(&reach);
        terrain
    }

    /// Sunlight comes from the left. Along each line of equal distance, the upper edge of the shadow sinks from every
    /// crest at the slope of the sun's rays.
    fn cast_shadows(&mut self, reach: &[f32]) {
        for (step, &z) in reach.iter().enumerate() {
            let fall = z / self.density * SUN_FALL;
            let soft = 0.4 + z * 0.006;
            let mut ceiling = f32::MIN;
            for column in 0..self.columns {
                let spot = column * self.steps + step;
                let surface = self.height[spot].max(0.0);
                self.sun[spot] = 1.0 - smoothstep(0.0, soft, ceiling - surface);
                ceiling = (ceiling - fall).max(surface);
            }
        }
    }

    pub fn distance(&self, step: f32) -> f32 {
        NEAR * (FAR / NEAR).powf(step / (self.steps - 1) as f32)
    }

    fn step_at(&self, z: f32) -> f32 {
        (z / NEAR).ln() / (FAR / NEAR).ln() * (self.steps - 1) as f32
    }

    pub fn column(&self, across: f32) -> usize {
        ((across * self.density + self.middle).max(0.0) as usize).min(self.columns - 1)
    }

    /// The step (with fraction) at which a ray of this slope from the eye hits land or water.
    pub fn hit(&self, column: usize, slope: f32) -> Option<f32> {
        let line = &self.crest[column * self.steps..][..self.steps];
        let step = line.partition_point(|&crest| crest < slope);
        if step == self.steps {
            return None;
        }
        if step == 0 {
            return Some(0.0);
        }
        let gap = line[step] - line[step - 1];
        Some(step as f32 - 1.0 + ((slope - line[step - 1]) / gap.max(1e-9)).clamp(0.0, 1.0))
    }

    /// The step at which a ray that leaves the water at distance `from` with the slope `slope` hits land.
    pub fn hit_reflected(&self, column: usize, slope: f32, from: f32) -> Option<f32> {
        const STRIDE: usize = 3;
        let line = &self.height[column * self.steps..][..self.steps];
        let ratio = (FAR / NEAR).powf(STRIDE as f32 / (self.steps - 1) as f32);
        let start = self.step_at(from).max(0.0) as usize + STRIDE;
        let mut z = self.distance(start as f32);
        for step in (start..self.steps).step_by(STRIDE) {
            if line[step] > slope * (z - from) {
                return Some(step as f32);
            }
            z *= ratio;
        }
        None
    }

    pub fn lookup(&self, field: &[f32], column: usize, step: f32) -> f32 {
        let low = (step as usize).min(self.steps - 2);
        let spot = column * self.steps + low;
        lerp(field[spot], field[spot + 1], (step - low as f32).clamp(0.0, 1.0))
    }

    /// The surface normal, from neighbours `reach` samples away.
    pub fn normal(&self, column: usize, step: f32, z: f32, reach: usize) -> (f32, f32, f32) {
        let (left, right) = (column.saturating_sub(reach), (column + reach).min(self.columns - 1));
        let wide = (right - left) as f32 * z / self.density;
        let dx = (self.lookup(&self.height, right, step) - self.lookup(&self.height, left, step)) / wide;
        let (before, after) = ((step - reach as f32).max(0.0), (step + reach as f32).min((self.steps - 1) as f32));
        let deep = self.distance(after) - self.distance(before);
        // Along a column x grows with z; this removes that part of the change.
        let along = (self.lookup(&self.height, column, after) - self.lookup(&self.height, column, before)) / deep;
        let dz = along - dx * (column as f32 - self.middle) / self.density;
        let length = (dx * dx + dz * dz + 1.0).sqrt();
        (-dx / length, 1.0 / length, -dz / length)
    }
}
