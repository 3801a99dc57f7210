//! Style: a woodcut. A black key block with cut lines that follow the contours of each form and swell in the shade,
//! over flat inks printed slightly out of register on cream paper.

use crate::noise::{fbm, hash, lerp, noise, ridged, smoothstep, split, unit};
use crate::raster::{Rgb, SUPER, render};

const PAPER: Rgb = Rgb::hex(0xf3e6c8);
const KEY: Rgb = Rgb::hex(0x1b1715);
const INDIGO: Rgb = Rgb::hex(0x5f87a0);
const VERMILION: Rgb = Rgb::hex(0xd9482b);
const OCHRE: Rgb = Rgb::hex(0xdcae5b);

const SUN: (f32, f32, f32) = (0.69, 0.235, 0.098);

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Sky,
    Sun,
    Peak,
    Hills,
    Lake,
    Bank,
}

/// The skyline of the peak: a tall cone with shoulders.
fn peak_line(x: f32) -> f32 {
    let rough = 0.035 * fbm(x * 9.0, 3.0, 4, 21) + 0.012 * noise(x * 46.0, 1.0, 22);
    let main = 0.155 + 1.02 * ((x - 0.33).powi(2) + 0.0009).sqrt() - 0.45 * (x - 0.33).powi(2);
    let second = 0.40 + 0.62 * ((x - 0.93).powi(2) + 0.002).sqrt();
    main.min(second) + rough
}

fn hill_line(x: f32) -> f32 {
    0.575 + 0.055 * (x * 7.0 + 0.8).sin() + 0.05 * fbm(x * 4.0, 9.0, 3, 31) - 0.012 * ridged(x * 26.0, 2.0, 2, 32)
}

fn shore_line(x: f32) -> f32 {
    0.672 + 0.012 * fbm(x * 6.0, 5.0, 2, 33)
}

fn bank_line(x: f32) -> f32 {
    0.985 - 0.24 * smoothstep(0.75, -0.1, x) - 0.05 * smoothstep(0.7, 1.1, x) + 0.018 * fbm(x * 7.0, 1.0, 3, 34)
}

/// The form at a point, and the point's depth below the form's upper edge.
fn form_at(x: f32, y: f32) -> (Form, f32) {
    let edges = [
        (Form::Bank, bank_line(x)),
        (Form::Lake, shore_line(x)),
        (Form::Hills, hill_line(x)),
        (Form::Peak, peak_line(x)),
    ];
    for (form, edge) in edges {
        if y > edge {
            return (form, y - edge);
        }
    }
    let inside = SUN.2 - (x - SUN.0).hypot(y - SUN.1);
    if inside > 0.0 { (Form::Sun, inside) } else { (Form::Sky, -inside) }
}

/// Relief of the mountain side: grooves that run down from the crest.
fn flutes(x: f32, y: f32) -> f32 {
    let lean = 0.55 * (x - 0.33) * (1.0 - y);
    ridged((x + lean) * 6.0 + 0.5 * noise(x * 5.0, y * 5.0, 46), y * 4.2 + 0.7 * noise(x * 5.0, y * 5.0, 45), 3, 44)
}

/// The field whose level lines are the cut lines.
fn contour(form: Form, x: f32, y: f32) -> f32 {
    match form {
        Form::Sky | Form::Sun => {
            let d = (x - SUN.0).hypot(y - SUN.1);
            let stream = y + 0.045 * (x * 6.0 + y * 9.0).sin() + 0.12 * fbm(x * 1.6, y * 3.2, 3, 50);
            lerp(d, stream, smoothstep(0.14, 0.42, d))
        }
        Form::Peak => 0.85 * y + 0.11 * flutes(x, y) + 0.35 * (x - 0.33).abs() * if x < 0.33 { -0.4 } else { 0.4 },
        Form::Hills => y + 0.10 * fbm(x * 3.5, y * 5.0, 3, 60) + 0.5 * (hill_line(x) - 0.575),
        Form::Lake => y + 0.006 * noise(x * 9.0, y * 40.0, 61) + 0.004 * (x * 40.0 + y * 90.0).sin(),
        Form::Bank => y * 0.8 + 0.35 * x + 0.1 * fbm(x * 5.0, y * 5.0, 3, 62),
    }
}

/// Distance between cut lines.
fn spacing(form: Form, y: f32) -> f32 {
    match form {
        Form::Sky | Form::Sun => 0.0165,
        Form::Peak => 0.0135,
        Form::Hills => 0.0115,
        Form::Lake => lerp(0.0095, 0.022, smoothstep(0.66, 1.0, y)),
        Form::Bank => 0.0125,
    }
}

/// Share of the block that is left standing, from 0 (white) to 1 (solid black).
fn tone(form: Form, x: f32, y: f32, depth: f32) -> f32 {
    match form {
        Form::Sky => {
            let cloud = smoothstep(0.02, 0.22, fbm(x * 2.6 + 0.4, y * 5.5, 4, 70));
            let halo = 1.0 - smoothstep(0.0, 0.12, depth);
            (0.58 - 0.75 * y) * (1.0 - 0.9 * cloud) + 0.10 * (1.0 - halo)
        }
        Form::Sun => 0.0,
        Form::Peak => {
            let e = 0.006;
            let slope = (flutes(x + e, y + e * 0.6) - flutes(x - e, y - e * 0.6)) / (2.0 * e);
            let facing = smoothstep(-5.0, 6.0, -slope) + if x > 0.33 { 0.0 } else { 0.12 };
            let snow = 1.0 - smoothstep(0.05, 0.16, depth + 0.05 * noise(x * 22.0, 4.0, 71));
            let shade = if x > 0.33 && x < 0.66 { facing * 0.75 } else { facing };
            lerp(0.08 + 0.85 * shade, 0.95 * smoothstep(0.55, 0.9, shade), snow)
        }
        Form::Hills => 0.42 + 0.6 * fbm(x * 5.0, y * 9.0, 3, 72) + 1.6 * (depth - 0.05),
        Form::Lake => {
            let glitter = 1.0 - smoothstep(0.02, 0.11, (x - SUN.0 + 0.02 * noise(x, y * 30.0, 73)).abs());
            let far = 1.0 - smoothstep(0.0, 0.05, depth);
            0.30 + 0.4 * far + 0.35 * fbm(x * 3.0, y * 12.0, 3, 74) - 0.34 * glitter
        }
        Form::Bank => 0.62 + 0.4 * fbm(x * 7.0, y * 7.0, 3, 75) + 1.2 * depth,
    }
}

/// Black of the cut lines at a point, 0 or 1 with a soft edge of about a sample.
fn cut(form: Form, x: f32, y: f32, depth: f32, soft: f32) -> f32 {
    const E: f32 = 0.0015;
    let here = contour(form, x, y);
    let gradient = (contour(form, x + E, y) - here).hypot(contour(form, x, y + E) - here) / E;
    // Where the field is steep its level lines are dense, so only every second or fourth is cut.
    let level = gradient.max(0.2).log2().round().exp2();
    let pitch = spacing(form, y) * level;
    let (line, across) = split(here / pitch);
    let tone = tone(form, x, y, depth);
    if form == Form::Sun {
        return 0.0;
    }
    // The width of each line varies along its length and the line breaks, as with a real gouge.
    let sway = noise(x * 11.0, y * 11.0, line as u32) + 0.5 * noise(x * 31.0, y * 31.0, line as u32 ^ 0x700);
    let width = tone + 0.26 * sway * (1.0 - tone).clamp(0.15, 1.0);
    let half = 0.5 * if width < 0.1 { -1.0 } else { width };
    let away = ((across - 0.5).abs() - half) * pitch / gradient.max(0.2);
    1.0 - smoothstep(-soft, soft, away)
}

/// Outlines along the upper edge of a form.
fn outline(form: Form, x: f32, y: f32, depth: f32, soft: f32) -> f32 {
    let weight = match form {
        Form::Peak => 0.0050,
        Form::Hills => 0.0045,
        Form::Bank => 0.0060,
        Form::Lake => 0.0028,
        Form::Sun => 0.0034,
        Form::Sky => return 0.0,
    };
    let weight = weight * (1.0 + 0.55 * noise(x * 24.0, y * 24.0, 80));
    1.0 - smoothstep(-soft, soft, depth - weight)
}

/// The flat inks, as the share of light that they reflect.
fn inks(x: f32, y: f32) -> Rgb {
    let (form, depth) = form_at(x, y);
    let mottle = 0.10 * fbm(x * 14.0, y * 14.0, 3, 91) + 0.07 * noise(x * 5.0, y * 220.0, 92);
    let tint = |ink: Rgb, amount: f32| Rgb::WHITE.mix(ink, (amount + mottle).clamp(0.0, 1.0));
    match form {
        // A gradient, as from a wiped block.
        Form::Sky => tint(INDIGO, 0.95 * smoothstep(0.26, 0.0, y)) * tint(OCHRE, 0.75 * smoothstep(0.27, 0.5, y)),
        Form::Sun => tint(VERMILION, 0.95),
        Form::Peak => tint(INDIGO, 0.85 * smoothstep(0.07, 0.16, depth + 0.05 * noise(x * 22.0, 4.0, 71))),
        Form::Hills => tint(VERMILION, 0.55 * smoothstep(0.0, 0.02, depth)) * tint(OCHRE, 0.7),
        Form::Lake => {
            let path = 1.0 - smoothstep(0.054, 0.066, (x - SUN.0 + 0.05 * noise(x * 3.0, y * 42.0, 93)).abs());
            tint(INDIGO, 0.9 * (1.0 - path)) * tint(VERMILION, 0.8 * path)
        }
        Form::Bank => tint(OCHRE, 0.9),
    }
}

fn shade(x: f32, y: f32, soft: f32) -> Rgb {
    // Irregularities of the hand, shared by all edges and lines.
    let (wx, wy) = (x + 0.0016 * noise(x * 34.0, y * 34.0, 1), y + 0.0016 * noise(x * 34.0, y * 34.0, 2));
    let (form, depth) = form_at(wx, wy);
    let black = cut(form, wx, wy, depth, soft).max(outline(form, wx, wy, depth, soft));
    // Wood grain and insufficient ink let the paper show through the black.
    let grain = smoothstep(0.50, 0.72, noise(x * 7.0 + 0.8 * noise(x * 3.0, y * 3.0, 3), y * 130.0, 4));
    let starved = smoothstep(0.42, 0.6, fbm(x * 110.0, y * 110.0, 2, 5));
    let black = black * (1.0 - 0.55 * grain) * (1.0 - 0.7 * starved);
    let fibre =
        0.05 * fbm(x * 30.0, y * 30.0, 3, 6) + 0.05 * (unit(hash((x * 1024.0) as i32, (y * 1024.0) as i32, 7)) - 0.5);
    let sheet = PAPER * (1.0 + fibre);
    // The colour blocks are slightly out of register with the key block.
    let printed = sheet * inks(wx + 0.0035, wy - 0.0025);
    let border = 0.022 + 0.0018 * noise(x * 30.0, y * 30.0, 8);
    let block = [x, y, 1.0 - x, 1.0 - y].into_iter().fold(1.0f32, f32::min);
    let frame = smoothstep(-soft, soft, block - border);
    sheet.mix(printed.mix(KEY, black), frame)
}

pub fn draw(size: usize) -> image::RgbImage {
    let soft = 0.6 / (size * SUPER) as f32;
    render(size, size, SUPER, |x, y| shade(x, y, soft))
}
