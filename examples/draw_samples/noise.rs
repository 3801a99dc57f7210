//! Seeded hashes and coherent noise: the only source of randomness in these pictures, so that every run draws the same
//! ones.

/// Hashes a lattice point and a seed to 32 bits.
pub fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77).rotate_left(13)
        ^ seed.wrapping_mul(0xC2B2_AE3D);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    h ^ (h >> 15)
}

/// A hash as a number in `0..1`.
pub fn unit(h: u32) -> f32 {
    (h >> 8) as f32 / (1u32 << 24) as f32
}

/// A stream of random numbers.
pub struct Rng(u32);

impl Rng {
    pub fn new(seed: u32) -> Self {
        Self(seed)
    }

    pub fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(1);
        unit(hash(self.0 as i32, 77, 0xA511_E9B3))
    }

    pub fn range(&mut self, lo: f32, hi: f32) -> f32 {
        lo + (hi - lo) * self.unit()
    }

    pub fn index(&mut self, len: usize) -> usize {
        ((self.unit() * len as f32) as usize).min(len - 1)
    }
}

pub fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

pub fn smoothstep(lo: f32, hi: f32, x: f32) -> f32 {
    let t = ((x - lo) / (hi - lo)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Floor and fraction. `f32::floor` is a library call on baseline x86-64, and would dominate the cost of noise.
pub fn split(x: f32) -> (i32, f32) {
    let whole = x as i32;
    let cell = if x < whole as f32 { whole - 1 } else { whole };
    (cell, x - cell as f32)
}

fn corner(cx: i32, cy: i32, dx: f32, dy: f32, seed: u32) -> f32 {
    let h = hash(cx, cy, seed);
    let gx = (h & 0xFFFF) as f32 / 32768.0 - 1.0;
    let gy = (h >> 16) as f32 / 32768.0 - 1.0;
    gx * dx + gy * dy
}

/// Gradient noise, about `-1..1`, zero on the lattice.
pub fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (cx, fx) = split(x);
    let (cy, fy) = split(y);
    let u = fx * fx * fx * (fx * (fx * 6.0 - 15.0) + 10.0);
    let v = fy * fy * fy * (fy * (fy * 6.0 - 15.0) + 10.0);
    let top = lerp(corner(cx, cy, fx, fy, seed), corner(cx + 1, cy, fx - 1.0, fy, seed), u);
    let bottom = lerp(corner(cx, cy + 1, fx, fy - 1.0, seed), corner(cx + 1, cy + 1, fx - 1.0, fy - 1.0, seed), u);
    1.6 * lerp(top, bottom, v)
}

/// Rotation (cos, sin) between octaves, so that their lattices do not align.
const TURN: (f32, f32) = (0.8, 0.6);

/// Fractal sum of gradient noise, about `-1..1`.
pub fn fbm(mut x: f32, mut y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut gain) = (0.0, 0.5);
    for octave in 0..octaves {
        sum += gain * noise(x, y, seed.wrapping_add(octave));
        (x, y) = (2.03 * (TURN.0 * x - TURN.1 * y) + 17.3, 2.03 * (TURN.1 * x + TURN.0 * y) - 5.1);
        gain *= 0.5;
    }
    sum
}

/// Ridged fractal noise in about `0..1`: sharp crests, with detail concentrated on the crests, as in eroded terrain.
pub fn ridged(mut x: f32, mut y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut gain, mut weight) = (0.0, 0.5, 1.0);
    for octave in 0..octaves {
        let crest = 1.0 - noise(x, y, seed.wrapping_add(octave)).abs();
        let crest = crest * crest * weight;
        sum += gain * crest;
        weight = (crest * 1.6).clamp(0.0, 1.0);
        (x, y) = (2.03 * (TURN.0 * x - TURN.1 * y) + 9.7, 2.03 * (TURN.1 * x + TURN.0 * y) + 3.3);
        gain *= 0.5;
    }
    sum
}
