//! The content picture: a mountain lake with a meadow, trees and a house, in the manner of a photograph.
//!
//! The ground is a height function of (x to the right, z into the distance), in metres above the lake. It is sampled
//! once per sample column of the picture and per step of distance, so that a ray runs along one column. A reflection in
//! the water is a ray from the mirrored eye.

use crate::noise::{Rng, fbm, hash, noise, smoothstep, unit};
use crate::raster::{Rgb, SUPER, render};
use crate::sprite::{self, Sprite};
use crate::terrain::{EYE, FAR, NEAR, Terrain, canopy, ground, woods};

/// Height of the horizon, in picture widths from the top.
const HORIZON: f32 = 0.40;
/// Direction to the sun for shading: from the left and slightly behind the viewer.
const LIGHT: (f32, f32, f32) = (-0.80, 0.52, -0.30);
/// Position of the sun's disc: (across, elevation) as slopes of a ray.
const SUN: (f32, f32) = (-0.24, 0.315);
const SUNLIGHT: Rgb = Rgb(2.35, 2.0, 1.55);
const SKYLIGHT: Rgb = Rgb(0.30, 0.40, 0.56);

// ---- What stands on the ground ----

struct Prop {
    x: f32,
    z: f32,
    foot: f32,
    width: f32,
    picture: usize,
    flip: bool,
    tint: f32,
}

struct Scene {
    terrain: Terrain,
    pictures: Vec<Sprite>,
    /// Sorted by distance, nearest first.
    props: Vec<Prop>,
    /// For every block of columns, the props that may be visible there.
    blocks: Vec<Vec<usize>>,
}

const BLOCK: usize = 16;
const OAK: usize = 0;
const BEECH: usize = 1;
const FIRS: std::ops::Range<usize> = 2..5;
const TUFTS: std::ops::Range<usize> = 5..9;
const HOUSE: usize = 9;

fn pictures(width: usize) -> Vec<Sprite> {
    let fine = (width as f32 / 512.0).clamp(0.5, 4.0);
    let texels = |base: f32| (base * fine) as usize;
    vec![
        sprite::broadleaf(texels(420.0), 11, Rgb::hex(0x6b7b35)),
        sprite::broadleaf(texels(320.0), 23, Rgb::hex(0x79863c)),
        sprite::conifer(texels(120.0), 31),
        sprite::conifer(texels(120.0), 32),
        sprite::conifer(texels(120.0), 33),
        sprite::tuft(texels(110.0), 41, None),
        sprite::tuft(texels(110.0), 42, None),
        sprite::tuft(texels(110.0), 43, Some(Rgb::hex(0xe9e4f2))),
        sprite::tuft(texels(110.0), 44, Some(Rgb::hex(0xc2412e))),
        sprite::house(texels(300.0)),
    ]
}

fn props() -> Vec<Prop> {
    let mut rng = Rng::new(2024);
    let mut props = Vec::new();
    let mut stand = |x: f32, z: f32, width: f32, picture: usize, rng: &mut Rng| {
        let foot = ground(x, z);
        if foot > 0.12 {
            let flip = picture != HOUSE && rng.unit() < 0.5;
            props.push(Prop { x, z, foot: foot - 0.1, width, picture, flip, tint: rng.range(0.85, 1.15) });
        }
    };
    // The big tree frames the left; the house and its trees hold the right.
    stand(-14.2, 39.0, 15.5, OAK, &mut rng);
    stand(25.5, 91.0, 14.0, HOUSE, &mut rng);
    stand(36.5, 94.0, 12.0, BEECH, &mut rng);
    stand(15.5, 95.0, 5.0, BEECH, &mut rng);
    for (x, z, width) in [
        (43.0, 88.0, 5.6),
        (47.5, 92.0, 6.4),
        (33.0, 104.0, 5.2),
        (40.0, 103.0, 6.0),
        (29.5, 101.0, 4.4),
        (52.0, 97.0, 6.6),
    ] {
        stand(x, z, width, FIRS.start + rng.index(3), &mut rng);
    }
    // Bushes along the near shore and the point.
    for _ in 0..26 {
        let (x, z) = (rng.range(-42.0, 60.0), rng.range(48.0, 104.0));
        let width = rng.range(1.2, 2.6);
        if ground(x, z) < 1.1 {
            stand(x, z, width, BEECH, &mut rng);
        }
    }
    // Woods on the far shore.
    for _ in 0..900 {
        let z = 330.0 + 190.0 * rng.unit().powi(2);
        let x = rng.range(-0.56, 0.56) * z;
        let width = rng.range(5.0, 8.5);
        let broad = rng.unit() < 0.22;
        if fbm(x / 60.0, z / 60.0, 2, 62) > -0.12 {
            let picture = if broad { BEECH } else { FIRS.start + rng.index(3) };
            stand(x, z, if broad { width * 1.6 } else { width }, picture, &mut rng);
        }
    }
    // Grass, denser and finer toward the viewer, with flowers in patches.
    for _ in 0..5200 {
        let z = 21.5 + 86.0 * rng.unit().powf(1.7);
        let x = rng.range(-0.56, 0.56) * z;
        let drift = fbm(x / 6.0, z / 6.0, 2, 63);
        let picture =
            if drift > 0.2 { 7 + usize::from(noise(x / 9.0, z / 9.0, 64) > 0.0) } else { TUFTS.start + rng.index(2) };
        let width = rng.range(0.5, 1.15);
        if path(x, z) < 0.35 {
            stand(x, z, width, picture, &mut rng);
        }
    }
    props.sort_by(|a, b| a.z.total_cmp(&b.z));
    props
}

impl Scene {
    fn new(width: usize) -> Self {
        let terrain = Terrain::new(width);
        let props = props();
        let mut blocks = vec![Vec::new(); terrain.columns / BLOCK + 1];
        for (index, prop) in props.iter().enumerate() {
            let left = terrain.column((prop.x - prop.width * 0.5) / prop.z) / BLOCK;
            let right = terrain.column((prop.x + prop.width * 0.5) / prop.z) / BLOCK;
            (left..=right).for_each(|block| blocks[block].push(index));
        }
        let mut scene = Self { terrain, pictures: pictures(width), props, blocks };
        scene.shade_grass();
        scene
    }

    /// Tufts take the shade and the colour variation of the meadow at their position.
    fn shade_grass(&mut self) {
        let tone = |prop: &Prop| match TUFTS.contains(&prop.picture) {
            true => {
                (0.25 + 0.75 * self.prop_shade(prop.x, prop.z)) * (1.0 + 0.5 * fbm(prop.x / 8.0, prop.z / 8.0, 3, 210))
            }
            false => 1.0,
        };
        let tones: Vec<f32> = self.props.iter().map(tone).collect();
        for (prop, tone) in self.props.iter_mut().zip(tones) {
            prop.tint *= tone;
        }
    }

    /// The colour of a ray from height `eye`: props between the distances `from` and `to`, in front of `behind`.
    fn with_props(&self, across: f32, slope: f32, eye: f32, (from, to): (f32, f32), behind: Rgb) -> Rgb {
        let (mut sum, mut clear) = (Rgb::BLACK, 1.0);
        for &index in &self.blocks[self.terrain.column(across) / BLOCK] {
            let prop = &self.props[index];
            if prop.z < from {
                continue;
            }
            if prop.z > to + 1.5 || clear < 0.02 {
                break;
            }
            let picture = &self.pictures[prop.picture];
            let x = (across * prop.z - prop.x) / prop.width + 0.5;
            let y = (eye + slope * prop.z - prop.foot) / prop.width;
            if !(0.0..1.0).contains(&x) || !(0.0..picture.aspect).contains(&y) {
                continue;
            }
            let footprint = prop.z / (self.terrain.density * prop.width);
            let texel = picture.sample(if prop.flip { 1.0 - x } else { x }, y, footprint);
            if texel.alpha > 0.0 {
                // Sprites are painted as in full sunlight.
                let full = texel.colour * (1.0 / texel.alpha) * (1.25 * prop.tint);
                sum = sum + haze(full, prop.z, across) * (clear * texel.alpha);
                clear *= 1.0 - texel.alpha;
            }
        }
        sum + behind * clear
    }

    /// Shade on the ground to the right of the near trees and the house.
    fn prop_shade(&self, x: f32, z: f32) -> f32 {
        let mut open = 1.0f32;
        for prop in self.props.iter().filter(|prop| prop.width > 4.0 && prop.z < 200.0) {
            let long = prop.width * self.pictures[prop.picture].aspect;
            let (dx, dz) = ((x - prop.x) / long, (z - prop.z - 0.25 * (x - prop.x)) / prop.width);
            let ragged = 0.25 * fbm(x * 0.9, z * 0.9, 3, 66);
            let crown = ((dx - 0.72) / 0.62).hypot(dz / 0.5) + ragged;
            let foot = (dx / 0.2).hypot(dz / 0.3) + ragged;
            open = open.min(0.25 + 0.75 * smoothstep(0.75, 1.05, crown)).min(0.35 + 0.65 * smoothstep(0.3, 1.2, foot));
        }
        open
    }
}

// ---- Air ----

/// Sky and clouds along a ray.
fn sky(across: f32, slope: f32) -> Rgb {
    let climb = (slope / 0.42).clamp(0.0, 1.0);
    let base = Rgb::hex(0xdfe6e4)
        .mix(Rgb::hex(0x9cc3e2), smoothstep(0.0, 0.42, climb))
        .mix(Rgb::hex(0x3b74b8), smoothstep(0.25, 1.15, climb));
    let from_sun = (across - SUN.0).hypot(slope - SUN.1);
    let glow = (-from_sun * 5.0).exp();
    let clear = base + Rgb(1.0, 0.78, 0.48) * (0.5 * glow + 1.7 * (-from_sun * 19.0).exp());
    let disc = smoothstep(0.023, 0.010, from_sun);
    let clear = clear + Rgb(14.0, 12.0, 9.0) * disc;

    // A layer of cumulus clouds seen from below, compressed toward the horizon.
    let lift = 1.0 / (slope.max(0.0) + 0.16);
    let (cx, cy) = (across * lift * 1.7 + 1.7, lift * 1.25);
    let density = cloud(cx, cy);
    // Where the cloud is thinner toward the sun, this side is brighter.
    let toward = cloud(cx + (SUN.0 - across).signum() * 0.10, cy - 0.13);
    let cover = smoothstep(-0.06, 0.22, density);
    let lit = (0.62 + 1.5 * (density - toward) + 0.25 * (1.0 - cover)).clamp(0.15, 1.15);
    let puff = Rgb::hex(0x93a2b8).mix(Rgb(1.25, 1.2, 1.12), lit) + Rgb(0.9, 0.62, 0.35) * (0.6 * glow);
    // High streaks of cloud over the whole sky.
    let streak = smoothstep(0.0, 0.5, fbm(across * 3.0 + slope * 4.0, slope * 16.0 - across * 2.0, 4, 205)) * climb;
    let veil = clear.mix(Rgb(1.05, 1.04, 1.02), 0.28 * streak);
    veil.mix(puff, cover * 0.94 * smoothstep(0.01, 0.10, slope))
}

fn cloud(x: f32, y: f32) -> f32 {
    let (wx, wy) = (x + 0.35 * fbm(x * 1.3, y * 1.3, 2, 201), y + 0.35 * fbm(x * 1.3 + 5.0, y * 1.3, 2, 202));
    fbm(wx, wy * 1.25, 6, 200) + 0.12 * fbm(wx * 0.4, wy * 0.4, 2, 203) - 0.03
}

/// Aerial perspective: distance reduces colour and contrast, most of all toward the sun.
fn haze(colour: Rgb, z: f32, across: f32) -> Rgb {
    let glow = (-((across - SUN.0) * 2.6).powi(2)).exp();
    let air = Rgb(0.48, 0.60, 0.74).mix(Rgb(0.95, 0.82, 0.64), 0.55 * glow);
    let thick = 1.0 - (-z / 5000.0 - (z / 7500.0).powi(2)).exp();
    colour.mix(air, thick * (0.86 + 0.1 * glow))
}

// ---- Surfaces ----

fn shade_land(scene: &Scene, column: usize, step: f32, z: f32, across: f32) -> Rgb {
    let terrain = &scene.terrain;
    let x = across * z;
    let height = terrain.lookup(&terrain.height, column, step);
    let (nx, ny, nz) = terrain.normal(column, step, z, 1);
    let mut sun = terrain.lookup(&terrain.sun, column, step);
    if z < 200.0 {
        sun *= scene.prop_shade(x, z);
    }
    let facing = (nx * LIGHT.0 + ny * LIGHT.1 + nz * LIGHT.2).max(0.0);
    let albedo = if z < 200.0 { meadow(x, z, height) } else { mountain(x, z, height, ny) };
    // Hollows receive less light from the sky than the smoothed terrain would.
    let broad = terrain.normal(column, step, z, 6);
    let open = (0.75 + 0.25 * ny + 0.5 * (ny - broad.1)).clamp(0.3, 1.1);
    let light = SUNLIGHT * (facing * sun) + SKYLIGHT * open;
    haze(albedo * light, z, across)
}

fn meadow(x: f32, z: f32, height: f32) -> Rgb {
    let patch = fbm(x / 9.0, z / 9.0, 3, 210);
    let blades = noise(x * 3.1, z * 1.1, 211) + 0.7 * noise(x * 8.0, z * 2.5, 212);
    let grass = Rgb::hex(0x556a2e).mix(Rgb::hex(0x8b8c48), 0.5 + 0.8 * patch) * (1.0 + 0.32 * blades);
    let earth = Rgb::hex(0x8d7a5c) * (1.0 + 0.35 * fbm(x * 1.6, z * 1.6, 3, 213));
    // A strip of shingle along the water, and the path to it.
    grass.mix(earth, (1.0 - smoothstep(0.15, 0.55, height + 0.25 * patch)).max(0.9 * path(x, z)))
}

/// Wear of the meadow, 0 to 1: a footpath winds down to the shore.
fn path(x: f32, z: f32) -> f32 {
    let middle = 3.4 + 4.2 * (z * 0.115 + 2.2).sin();
    let off = (x - middle + 0.35 * noise(x * 0.8, z * 0.8, 214)).abs();
    (1.0 - smoothstep(0.55, 1.05, off)) * (1.0 - smoothstep(60.0, 66.0, z))
}

fn mountain(x: f32, z: f32, height: f32, up: f32) -> Rgb {
    let rough = fbm(x / 40.0, (z + height * 2.0) / 40.0, 4, 220);
    let strata = noise(x / 400.0, height / 16.0 + rough, 221);
    let rock = Rgb::hex(0x655f58).mix(Rgb::hex(0x8d857a), 0.5 + 0.5 * strata) * (1.0 + 0.35 * rough);
    let turf = Rgb::hex(0x6f7d3f).mix(Rgb::hex(0x8f8a52), 0.5 + rough);
    let wood = woods(x, z, height - 8.0);
    let leaves =
        Rgb::hex(0x2c4526).mix(Rgb::hex(0x4d6430), (0.5 + 0.9 * fbm(x / 14.0, z / 14.0, 2, 222)).clamp(0.0, 1.0));
    let green = smoothstep(0.46, 0.68, up + 0.14 * rough) * (1.0 - smoothstep(300.0, 480.0, height + 130.0 * rough));
    // It is dark between the crowns.
    let leaves = if wood > 0.02 { leaves * (0.35 + 0.095 * canopy(x, z).max(0.0)) } else { leaves };
    let base = rock.mix(turf, green).mix(leaves, smoothstep(0.02, 0.4, wood));
    let snow = smoothstep(400.0, 640.0, height + 190.0 * rough) * smoothstep(0.36, 0.56, up + 0.16 * rough);
    base.mix(Rgb::hex(0xf2f4f8), snow)
}

fn shade_water(scene: &Scene, z: f32, across: f32, slope: f32, bed: f32) -> Rgb {
    let x = across * z;
    // Ripples tilt the reflection; gusts roughen it in long patches.
    let gust = smoothstep(-0.15, 0.35, fbm(x / 45.0, z / 16.0, 3, 230));
    let ripple = fbm(x / 2.6, z / 1.1, 3, 231) + 0.6 * fbm(x / 9.0, z / 3.0, 2, 232);
    let tilt = ripple * (0.010 + 0.05 * gust) * smoothstep(0.0, 0.05, -slope);
    let climb = (-slope + tilt).abs().max(0.002);
    let sideways = across + 0.004 * tilt * noise(x / 3.0, z / 2.0, 233) / 0.05;
    let seen = scene.terrain.column(sideways);

    let hit = scene.terrain.hit_reflected(seen, climb, z);
    let to = hit.map_or(FAR, |step| scene.terrain.distance(step));
    let far = hit.map_or_else(|| sky(sideways, climb), |step| shade_land(scene, seen, step, to, sideways));
    let mirror = scene.with_props(sideways, climb, -climb * z, (z, to), far);

    let fresnel = (0.30 + 0.70 * (1.0 - climb * 2.6).clamp(0.0, 1.0).powi(3)).min(0.96);
    let shallow = smoothstep(-2.2, -0.05, bed);
    let body = Rgb::hex(0x1d4a55).mix(Rgb::hex(0x7d7f5c), shallow * 0.8);
    let glint = SUNLIGHT * (0.5 * smoothstep(0.30, 0.62, ripple * gust) * (-((across - SUN.0) * 7.0).powi(2)).exp());
    haze(body.mix(mirror, fresnel * (1.0 - 0.45 * shallow)) + glint, z * 0.6, across)
}

fn shade(scene: &Scene, x: f32, y: f32) -> Rgb {
    let (across, slope) = (x - 0.5, HORIZON - y);
    let terrain = &scene.terrain;
    let column = terrain.column(across);
    let hit = terrain.hit(column, slope);
    let z = hit.map_or(FAR, |step| terrain.distance(step));
    let behind = match hit {
        None => sky(across, slope),
        Some(step) => {
            let height = terrain.lookup(&terrain.height, column, step);
            if height < 0.0 {
                shade_water(scene, z, across, slope, height)
            } else {
                shade_land(scene, column, step, z, across)
            }
        }
    };
    let seen = scene.with_props(across, slope, EYE, (NEAR, z), behind);
    // Slight vignetting.
    let vignette = 1.0 - 0.38 * (across * across + (y - 0.375).powi(2));
    (seen * (0.62 * vignette)).filmic()
}

pub fn draw(size: usize) -> image::RgbImage {
    let scene = Scene::new(size);
    let grain = |x: f32, y: f32| unit(hash((x * 8192.0) as i32, (y * 8192.0) as i32, 240)) - 0.5;
    render(size, size * 3 / 4, SUPER, |x, y| shade(&scene, x, y) * (1.0 + 0.05 * grain(x, y)))
}
