//! A picture of a loss over the steps of a run.

use std::path::Path;

use plotters::prelude::*;

use crate::plot::{self, Area, Axis, COLOURS, GRID, font, scaled};
use crate::{Error, Result};

/// Width and height of the picture, in pixels.
pub const SIZE: (usize, usize) = (960, 600);

/// A line of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Steps and losses, in the order of the steps.
    pub points: Vec<(f64, f64)>,
}

/// Draws `series` into a picture of 960 by 600 pixels: points, a line smoothed over a fiftieth of them, a legend. A series
/// of one point is a dot.
///
/// `axes` names the steps and the losses. Losses have a logarithmic scale, steps have one where `log_x` says so. What
/// such a scale cannot show (zero, negative) and what is not finite is left out. The ending of `path` says the format,
/// as in [`Picture::save`](crate::io::Picture::save), and the file appears whole or not at all.
///
/// # Errors
///
/// [`Error::Argument`] when no point is left to draw; else those of [`Picture::save`](crate::io::Picture::save).
pub fn draw(path: &Path, title: &str, axes: [&str; 2], series: &[Series], log_x: bool) -> Result<()> {
    plot(path, title, axes, series, log_x, |line| line.smoothed())
}

/// Draws as [`draw`] does, but lines go through their points: for losses without noise.
///
/// # Errors
///
/// Those of [`draw`].
pub fn draw_exact(path: &Path, title: &str, axes: [&str; 2], series: &[Series], log_x: bool) -> Result<()> {
    plot(path, title, axes, series, log_x, |line| line.points.clone())
}

/// What is drawn through a line's points.
type Through = fn(&Line) -> Vec<(f64, f64)>;

fn plot(path: &Path, title: &str, axes: [&str; 2], series: &[Series], log_x: bool, through: Through) -> Result<()> {
    let shown: Vec<Line> = series.iter().map(|series| Line::new(series, log_x)).collect();
    let points = || shown.iter().flat_map(|line| &line.points);
    if points().next().is_none() {
        let got = format!("none in {} series", series.len());
        return Err(Error::argument("curve::draw", "series", "some points with a finite loss above 0", got));
    }
    let x = Axis::new(points().map(|point| point.0), log_x);
    let y = Axis::new(points().map(|point| point.1), true);
    plot::picture(path, SIZE, |area| render(area, title, axes, &shown, through, [x, y]))
}

/// A series on its axes: where a scale is logarithmic, the logarithm to base 10.
struct Line<'a> {
    name: &'a str,
    points: Vec<(f64, f64)>,
}

impl<'a> Line<'a> {
    fn new(series: &'a Series, log_x: bool) -> Self {
        let place = |&(x, y): &(f64, f64)| (if log_x { x.log10() } else { x }, y.log10());
        let is_finite = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
        Line { name: &series.name, points: series.points.iter().map(place).filter(is_finite).collect() }
    }

    /// A moving average that forgets exponentially, over a fiftieth of the points; at first over fewer, not to lag
    /// behind where the loss falls fastest.
    fn smoothed(&self) -> Vec<(f64, f64)> {
        let longest = (self.points.len() as f64 / 50.0).max(1.0);
        let mut average = 0.0;
        let smooth = |(index, &(x, y)): (usize, &(f64, f64))| {
            average += (y - average) / (index as f64 / 4.0).clamp(1.0, longest);
            (x, average)
        };
        self.points.iter().enumerate().map(smooth).collect()
    }
}

fn render(
    area: &Area,
    title: &str,
    axes: [&str; 2],
    lines: &[Line],
    through: Through,
    places: [Axis; 2],
) -> plot::Drawn {
    let mut chart = plot::chart(area, title, axes, places)?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let faint = colour.mix(0.25).filled();
        chart.draw_series(line.points.iter().map(|&point| Circle::new(point, scaled(1), faint)))?;
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let (stroke, radius) = (colour.stroke_width(scaled(2)), scaled(6));
        if let [dot] = line.points[..] {
            let sample = move |(x, y)| Circle::new((x + scaled(9) as i32, y), radius, colour.filled());
            chart.draw_series([Circle::new(dot, radius, colour.filled())])?.label(line.name).legend(sample);
            continue;
        }
        let sample = move |(x, y)| PathElement::new([(x, y), (x + scaled(18) as i32, y)], stroke);
        chart.draw_series(LineSeries::new(through(line), stroke))?.label(line.name).legend(sample);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .margin(scaled(10))
        .legend_area_size(scaled(26))
        .label_font(font(14))
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .draw()?;
    Ok(())
}

#[cfg(test)]
#[path = "curve_tests.rs"]
mod tests;
