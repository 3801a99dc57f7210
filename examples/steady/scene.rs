//! A scene whose motion is known: a camera pans over a textured wall, in front of which a ball moves.

use impasto::internal::Random;
use impasto::io::Picture;

/// A frame of the scene, and what a renderer knows about it.
pub struct View {
    pub picture: Picture,
    /// Where each pixel was in the previous frame, relative to where it is: `[2, H, W]`, to the right, then down, in
    /// pixels.
    pub motion: Vec<f32>,
    /// Distance from the camera, `[H, W]`.
    pub depth: Vec<f32>,
    /// Whether each pixel shows a surface that the previous frame shows, too.
    pub visible: Vec<bool>,
}

/// A scene of square frames.
#[derive(Clone, Copy)]
pub struct Scene {
    pub side: usize,
    /// Pixels by which the camera moves in each frame, to the right and down.
    pub pan: [f32; 2],
    /// Pixels by which the ball moves in each frame.
    pub velocity: [f32; 2],
    /// Deviation of the noise of the camera.
    pub noise: f32,
    /// Relative change of the light, up and down.
    pub flicker: f32,
}

const WALL: f32 = 2.0;
const BALL: f32 = 1.0;

/// A smooth function of a place in pixels, 0..1: noise with features of `size` pixels.
fn noise([x, y]: [f32; 2], size: f32, seed: u64) -> f32 {
    let [u, v] = [x / size, y / size];
    let corner = |i: f32, j: f32| {
        let place = ((i as i64 as u64) << 32) ^ (j as i64 as u64 & 0xffff_ffff);
        Random::new(place.wrapping_mul(0x9e37_79b9) ^ seed).uniform()
    };
    let smooth = |part: f32| part * part * (3.0 - 2.0 * part);
    let (i, j) = (u.floor(), v.floor());
    let (s, t) = (smooth(u - i), smooth(v - j));
    let mix = |a: f32, b: f32, part: f32| a + (b - a) * part;
    mix(mix(corner(i, j), corner(i + 1.0, j), s), mix(corner(i, j + 1.0), corner(i + 1.0, j + 1.0), s), t)
}

/// The colour of the wall at a place: stone in warm and cold tones with joints.
fn wall(place: [f32; 2]) -> [f32; 3] {
    let tone = 0.6 * noise(place, 31.0, 1) + 0.3 * noise(place, 11.0, 2) + 0.1 * noise(place, 5.0, 3);
    let joint = |at: f32| ((at / 24.0 - (at / 24.0).round()).abs() * 12.0).min(1.0);
    let light = 0.35 + 0.65 * joint(place[0]).min(joint(place[1]));
    [0.25 + 0.7 * tone, 0.35 + 0.4 * tone, 0.75 - 0.5 * tone].map(|value| value * light)
}

/// The colour of the ball at a place relative to its centre.
fn ball(place: [f32; 2], radius: f32) -> [f32; 3] {
    let stripe = if (place[0] / radius * 4.0).sin() > 0.0 { [0.9, 0.75, 0.2] } else { [0.75, 0.15, 0.1] };
    let shade = 1.0 - 0.4 * (place[0].powi(2) + place[1].powi(2)) / radius.powi(2);
    stripe.map(|value| value * shade)
}

impl Scene {
    /// A scene with frames of `side`² pixels, in which a frame-by-frame painting flickers.
    pub fn new(side: usize) -> Self {
        Scene { side, pan: [0.8, 0.35], velocity: [1.75, 0.5], noise: 0.02, flicker: 0.04 }
    }

    fn radius(&self) -> f32 {
        self.side as f32 / 5.0
    }

    /// The pixel relative to the centre of the ball.
    fn on_ball(&self, pixel: [f32; 2], frame: usize) -> [f32; 2] {
        let start = [0.2, 0.35].map(|part| part * self.side as f32);
        [0, 1].map(|axis| pixel[axis] - start[axis] - frame as f32 * self.velocity[axis])
    }

    fn is_ball(&self, pixel: [f32; 2], frame: usize) -> bool {
        let [x, y] = self.on_ball(pixel, frame);
        x.hypot(y) < self.radius()
    }

    fn color(&self, pixel: [f32; 2], frame: usize) -> [f32; 3] {
        if self.is_ball(pixel, frame) {
            return ball(self.on_ball(pixel, frame), self.radius());
        }
        wall([0, 1].map(|axis| pixel[axis] + frame as f32 * self.pan[axis]))
    }

    /// Frame number `frame`.
    pub fn view(&self, frame: usize) -> View {
        let (side, pixels) = (self.side, self.side * self.side);
        let mut random = Random::new(frame as u64);
        let light = 1.0 + self.flicker * (2.4 * frame as f32).sin();
        let mut view = View {
            picture: Picture::new(side, side),
            motion: vec![0.0; 2 * pixels],
            depth: vec![WALL; pixels],
            visible: vec![false; pixels],
        };
        for at in 0..pixels {
            let pixel = [at % side, at / side].map(|place| place as f32);
            // Nine samples a pixel.
            let offsets = [-1.0f32 / 3.0, 0.0, 1.0 / 3.0];
            let mut mean = [0.0f32; 3];
            for [across, down] in offsets.into_iter().flat_map(|across| offsets.map(|down| [across, down])) {
                let color = self.color([pixel[0] + across, pixel[1] + down], frame);
                mean.iter_mut().zip(color).for_each(|(mean, value)| *mean += value / 9.0);
            }
            for channel in 0..3 {
                let value = light * mean[channel] + self.noise * random.normal();
                view.picture.rgb[channel * pixels + at] = value.clamp(0.0, 1.0);
            }
            let is_ball = self.is_ball(pixel, frame);
            let motion = if is_ball { self.velocity.map(|step| -step) } else { self.pan };
            view.motion[at] = motion[0];
            view.motion[at + pixels] = motion[1];
            if is_ball {
                view.depth[at] = BALL;
            }
            // All four pixels around the earlier place are within the frame and show the same surface.
            let corner = [0, 1].map(|axis| (pixel[axis] + motion[axis]).floor());
            view.visible[at] = frame > 0
                && [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]].iter().all(|step| {
                    let tap = [corner[0] + step[0], corner[1] + step[1]];
                    tap.iter().all(|place| (0.0..side as f32).contains(place))
                        && self.is_ball(tap, frame - 1) == is_ball
                });
        }
        view
    }
}
