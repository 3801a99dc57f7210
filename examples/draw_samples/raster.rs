//! Colour in linear light, and rendering a picture from a function of position.

use crate::noise::lerp;
use std::ops::{Add, Mul};
use std::thread;

/// A colour in linear light, in which mixing and averaging are physically correct.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rgb(pub f32, pub f32, pub f32);

impl Rgb {
    pub const WHITE: Rgb = Rgb(1.0, 1.0, 1.0);
    pub const BLACK: Rgb = Rgb(0.0, 0.0, 0.0);

    /// Converts sRGB `0xRRGGBB`. A cubic approximates the sRGB curve so that palettes can be constants.
    pub const fn hex(code: u32) -> Self {
        const fn decode(byte: u32) -> f32 {
            let c = (byte & 0xFF) as f32 / 255.0;
            c * (c * (c * 0.305_306 + 0.682_171) + 0.012_523)
        }
        Self(decode(code >> 16), decode(code >> 8), decode(code))
    }

    pub fn mix(self, other: Self, t: f32) -> Self {
        Self(lerp(self.0, other.0, t), lerp(self.1, other.1, t), lerp(self.2, other.2, t))
    }

    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(f(self.0), f(self.1), f(self.2))
    }

    /// A filmic tone curve: highlights roll off instead of clipping, and contrast rises slightly.
    pub fn filmic(self) -> Self {
        self.map(|c| (c * (2.51 * c + 0.03)) / (c * (2.43 * c + 0.59) + 0.14))
    }

    fn to_srgb8(self) -> [u8; 3] {
        let encode = |c: f32| {
            let c = c.clamp(0.0, 1.0);
            let s = if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
            (s * 255.0 + 0.5) as u8
        };
        [encode(self.0), encode(self.1), encode(self.2)]
    }
}

impl Add for Rgb {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self(self.0 + o.0, self.1 + o.1, self.2 + o.2)
    }
}

impl Mul for Rgb {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self(self.0 * o.0, self.1 * o.1, self.2 * o.2)
    }
}

impl Mul<f32> for Rgb {
    type Output = Self;
    fn mul(self, k: f32) -> Self {
        self.map(|c| c * k)
    }
}

pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, |n| n.get())
}

/// Runs `job(index, row)` on every `width`-long row of `buffer`. Rows are dealt to the threads in turn, which balances
/// pictures with an expensive half.
pub fn for_rows<T: Send>(buffer: &mut [T], width: usize, job: impl Fn(usize, &mut [T]) + Sync) {
    let workers = threads();
    let mut hands: Vec<Vec<(usize, &mut [T])>> = (0..workers).map(|_| Vec::new()).collect();
    for (index, row) in buffer.chunks_mut(width).enumerate() {
        hands[index % workers].push((index, row));
    }
    thread::scope(|scope| {
        for hand in hands {
            let job = &job;
            scope.spawn(move || hand.into_iter().for_each(|(index, row)| job(index, row)));
        }
    });
}

/// Default number of samples per pixel along each axis.
pub const SUPER: usize = 2;

/// Renders `shade(x, y)`, with x and y in picture widths, by a box filter over `samples`² samples per pixel.
pub fn render(width: usize, height: usize, samples: usize, shade: impl Fn(f32, f32) -> Rgb + Sync) -> image::RgbImage {
    let mut bytes = vec![0u8; width * height * 3];
    let step = 1.0 / (width * samples) as f32;
    for_rows(&mut bytes, width * 3, |row, line| {
        for (column, pixel) in line.chunks_mut(3).enumerate() {
            let mut sum = Rgb::BLACK;
            for sample in 0..samples * samples {
                let x = (column * samples + sample % samples) as f32 + 0.5;
                let y = (row * samples + sample / samples) as f32 + 0.5;
                sum = sum + shade(x * step, y * step);
            }
            pixel.copy_from_slice(&(sum * (1.0 / (samples * samples) as f32)).to_srgb8());
        }
    });
    image::RgbImage::from_raw(width as u32, height as u32, bytes).expect("the buffer has width x height pixels")
}
