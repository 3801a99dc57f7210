//! Roofline plots: workloads relative to the limits set by arithmetic and memory bandwidth.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Roof;
use crate::Result;
use crate::plot::{self, Area, Axis, COLOURS, Chart, Drawn, INK, font, scaled};

/// Width and height of the plot, in pixels.
pub const SIZE: (usize, usize) = (1280, 800);

/// Width of the chart in pixels; the list of workloads is to its right.
const CHART: u32 = 860;

/// Radius of a dot in pixels.
const DOT: u32 = 4;

/// A workload in the roofline plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Name in the list.
    pub name: String,
    /// Operations per byte of the tensors that the dispatches access.
    pub intensity: f64,
    /// Operations per second.
    pub flops: f64,
}

/// Plots `points` under the roofline on logarithmic axes: numbered dots, and a list with their names and shares of the
/// attainable rate. Points without operations or bytes are left out.
///
/// The extension of `path` selects the format, as in [`Picture::save`](crate::io::Picture::save).
///
/// # Errors
/// Those of [`Picture::save`](crate::io::Picture::save).
pub fn draw(path: &Path, title: &str, roof: &Roof, points: &[Point]) -> Result<()> {
    let is_shown =
        |point: &&Point| [point.intensity, point.flops].iter().all(|value| value.is_normal() && *value > 0.0);
    let shown: Vec<&Point> = points.iter().filter(is_shown).collect();
    plot::picture(path, SIZE, |area| {
        let (left, right) = area.split_horizontally(scaled(CHART));
        chart(&left, title, roof, &shown)?;
        list(&right, roof, &shown)
    })
}

fn chart(area: &Area, title: &str, roof: &Roof, points: &[&Point]) -> Drawn {
    // The ridge, where the two roofs meet, is always well inside the chart.
    let ridge = roof.fma_flops / roof.copy_bytes;
    let intensities: Vec<f64> = points.iter().map(|point| point.intensity).chain([ridge / 8.0, ridge * 8.0]).collect();
    let least = intensities.iter().copied().fold(f64::INFINITY, f64::min);
    let most = intensities.iter().copied().fold(0.0, f64::max);
    let roofs = [least, ridge, most].map(|intensity| place(intensity, roof.at(intensity)));
    let dots: Vec<(f64, f64)> = points.iter().map(|point| place(point.intensity, point.flops)).collect();
    let [x, y] = [|of: &(f64, f64)| of.0, |of: &(f64, f64)| of.1]
        .map(|axis| Axis::new(roofs.iter().chain(&dots).map(axis), true));
    let mut chart = plot::chart(area, title, ["operations a byte", "GFLOP/s"], [x, y])?;
    chart.draw_series([PathElement::new(roofs, INK.stroke_width(scaled(2)))])?;
    number(area, &chart, &dots)
}

/// A point in axis coordinates, with operations per second in billions.
fn place(intensity: f64, flops: f64) -> (f64, f64) {
    (intensity.log10(), (flops * 1e-9).log10())
}

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// Draws the dots, and next to each its number where it covers no other dot or number.
fn number(area: &Area, chart: &Chart, dots: &[(f64, f64)]) -> Drawn {
    let dots: Vec<(i32, i32)> = dots.iter().map(|dot| chart.backend_coord(dot)).collect();
    let [radius, height] = [DOT, 13].map(|size| scaled(size) as i32);
    let mut taken: Vec<Patch> = dots.iter().map(|&dot| Patch::around(dot, [radius, radius])).collect();
    for (index, &(x, y)) in dots.iter().enumerate() {
        let text = (index + 1).to_string();
        let half = [(text.len() as i32 * height) / 3, height / 2];
        let is_free = |centre: &(i32, i32)| !taken.iter().any(|other| other.touches(&Patch::around(*centre, half)));
        let centre = around((x, y), height).find(is_free).unwrap_or((x, y));
        taken.push(Patch::around(centre, half));
        // A short line could be read as a minus sign.
        if (centre.0 - x).abs().max((centre.1 - y).abs()) > height {
            area.draw(&PathElement::new([(x, y), centre], INK.mix(0.5).stroke_width(scaled(1))))?;
        }
        area.draw(&Rectangle::new(taken[taken.len() - 1].corners(), WHITE.mix(0.8).filled()))?;
        let style = font(13).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new(text, centre, style))?;
    }
    for (index, &dot) in dots.iter().enumerate() {
        area.draw(&Circle::new(dot, radius, colour(index).filled()))?;
    }
    Ok(())
}

/// Candidate positions on growing circles; each circle starts on the right.
fn around((x, y): (i32, i32), step: i32) -> impl Iterator<Item = (i32, i32)> {
    (2..16).flat_map(move |circle| {
        let radius = f64::from(circle * step) / 2.0;
        (0..16).map(move |turn| {
            let (sine, cosine) = (f64::from(turn) * std::f64::consts::TAU / 16.0).sin_cos();
            (x + (radius * cosine).round() as i32, y - (radius * sine).round() as i32)
        })
    })
}

/// An occupied rectangle of the plot.
struct Patch {
    from: (i32, i32),
    to: (i32, i32),
}

impl Patch {
    fn around((x, y): (i32, i32), [width, height]: [i32; 2]) -> Self {
        Patch { from: (x - width, y - height), to: (x + width, y + height) }
    }

    fn touches(&self, other: &Patch) -> bool {
        self.from.0 < other.to.0 && other.from.0 < self.to.0 && self.from.1 < other.to.1 && other.from.1 < self.to.1
    }

    fn corners(&self) -> [(i32, i32); 2] {
        [self.from, self.to]
    }
}

/// Draws the list: the two roofs, then the workloads by number.
fn list(area: &Area, roof: &Roof, points: &[&Point]) -> Drawn {
    let [flops, bytes] = [roof.fma_flops, roof.copy_bytes].map(|rate| rate * 1e-9);
    let height = (scaled(SIZE.1 as u32 - 40) / (points.len() as u32 + 4)).min(scaled(18)) as i32;
    let letters = font(14.min(height as u32 * 4 / 5 / scaled(1)));
    let columns = [6, 30, 46, 340].map(|column| scaled(column) as i32);
    let right = letters.clone().pos(Pos::new(HPos::Right, VPos::Center));
    let left = letters.pos(Pos::new(HPos::Left, VPos::Center));
    let line = |row: usize| scaled(20) as i32 + row as i32 * height;
    let roofs = [(format!("FMA {flops:.1} GFLOP/s"), 0), (format!("copy {bytes:.1} GB/s"), height / 3)];
    for (row, (text, rise)) in roofs.into_iter().enumerate() {
        let sample = [(columns[0], line(row) + rise), (columns[1], line(row) - rise)];
        area.draw(&PathElement::new(sample, INK.stroke_width(scaled(2))))?;
        area.draw(&Text::new(text, (columns[2], line(row)), left.clone()))?;
    }
    area.draw(&Text::new("of its roof", (columns[3], line(2)), right.clone()))?;
    for (index, point) in points.iter().enumerate() {
        let row = line(index + 3);
        let share = format!("{:.0} %", 100.0 * point.flops / roof.at(point.intensity));
        area.draw(&Text::new((index + 1).to_string(), (columns[1], row), right.clone()))?;
        area.draw(&Circle::new((columns[2] - scaled(8) as i32, row), scaled(DOT), colour(index).filled()))?;
        area.draw(&Text::new(point.name.clone(), (columns[2], row), left.clone()))?;
        area.draw(&Text::new(share, (columns[3], row), right.clone()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Picture;

    const ROOF: Roof = Roof {
        fma_flops: 150e9,
        half_fma_flops: None,
        matrix_fma_flops: None,
        copy_bytes: 5e9,
        dispatch_seconds: 1e-5,
        submission_seconds: 1e-4,
    };

    fn drawn(name: &str, points: &[Point]) -> Picture {
        let directory = tempfile::tempdir().unwrap();
        let folder = std::env::var_os("IMPASTO_KEEP").map_or(directory.path().to_owned(), Into::into);
        let path = folder.join(name);
        draw(&path, "llvmpipe", &ROOF, points).unwrap();
        let picture = Picture::load(&path).unwrap();
        assert_eq!((picture.width, picture.height), SIZE);
        picture
    }

    fn points(count: usize) -> Vec<Point> {
        let point = |index: usize| {
            let share = 0.05 + 0.9 * (index * 7 % 10) as f64 / 10.0;
            let intensity = 0.5 * 1.3f64.powi((index * 5 % 23) as i32);
            Point { name: format!("conv 64->64 at {index}²"), intensity, flops: share * ROOF.at(intensity) }
        };
        (0..count).map(point).collect()
    }

    /// Number of pixels with nearly this colour.
    fn count(picture: &Picture, colour: RGBColor) -> usize {
        let wanted = [colour.0, colour.1, colour.2].map(|value| f32::from(value) / 255.0);
        let is_near = |pixel: &usize| {
            (0..3).all(|plane| (picture.rgb[plane * picture.pixels() + pixel] - wanted[plane]).abs() < 0.1)
        };
        (0..picture.pixels()).filter(is_near).count()
    }

    #[test]
    fn every_point_is_a_dot_and_a_line_of_the_list() {
        let few = drawn("few.png", &points(4));
        for (index, colour) in COLOURS.into_iter().enumerate() {
            // Two circles without their antialiased edges.
            let seen = count(&few, colour) as f64 / (2.0 * std::f64::consts::PI * f64::from(DOT * DOT));
            assert!(if index < 4 { (0.6..1.2).contains(&seen) } else { seen < 0.1 }, "{colour:?}: {seen}");
        }
        assert_eq!(drawn("again.png", &points(4)), few, "the same figures make the same picture");
        assert_ne!(drawn("many.png", &points(48)), few);
    }

    #[test]
    fn what_has_no_place_on_the_axes_is_left_out() {
        let stray = |intensity, flops| Point { name: "stray".into(), intensity, flops };
        let strays = [stray(0.0, 1e9), stray(f64::NAN, 1e9), stray(1.0, 0.0), stray(f64::INFINITY, 1.0)];
        let with = [points(3), strays.to_vec()].concat();
        assert_eq!(drawn("with.png", &with), drawn("without.png", &points(3)));
        assert!(count(&drawn("roofs.png", &[]), INK) > 1000, "the roofs alone");
    }

    #[test]
    fn numbers_find_places_of_their_own() {
        let here = Patch::around((0, 0), [10, 5]);
        assert!(here.touches(&Patch::around((15, 0), [6, 5])) && !here.touches(&Patch::around((16, 0), [6, 5])));
        assert!(here.touches(&Patch::around((0, 9), [1, 5])) && !here.touches(&Patch::around((0, -10), [1, 5])));
        let places: Vec<_> = around((100, 100), 10).take(17).collect();
        assert_eq!((places[0], places[4], places[8], places[16]), ((110, 100), (100, 90), (90, 100), (115, 100)));
    }
}
