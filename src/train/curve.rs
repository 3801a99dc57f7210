//! Plots of a loss over the steps of a run.

use std::path::Path;

use plotters::prelude::*;

use crate::plot::{self, Area, Axis, COLOURS, GRID, font, scaled};
use crate::{Error, Result};

/// Width and height of the plot, in pixels.
pub const SIZE: (usize, usize) = (960, 600);

/// One line of the plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Label in the legend.
    pub name: String,
    /// Steps and losses, in the order of the steps.
    pub points: Vec<(f64, f64)>,
}

/// Plots `series` as an image of 960 by 600 pixels: the points, a moving average over a fiftieth of them, and a legend.
/// A series of one point is drawn as a dot.
///
/// `axes` are the labels of the step axis and the loss axis. The loss axis is logarithmic, and with `log_x` so is the
/// step axis. Points that are not finite, or not positive on a logarithmic axis, are left out. The extension of `path`
/// selects the format, as in [`Picture::save`](crate::io::Picture::save). The file is written whole or not at all.
///
/// # Errors
///
/// [`Error::Argument`] if no point is left to draw; otherwise those of [`Picture::save`](crate::io::Picture::save).
pub fn draw(path: &Path, title: &str, axes: [&str; 2], series: &[Series], log_x: bool) -> Result<()> {
    plot(path, title, axes, series, log_x, |line| line.smoothed())
}

/// Plots as [`draw`] does, but connects the points instead of smoothing them: for losses without noise.
///
/// # Errors
///
/// Those of [`draw`].
pub fn draw_exact(path: &Path, title: &str, axes: [&str; 2], series: &[Series], log_x: bool) -> Result<()> {
    plot(path, title, axes, series, log_x, |line| line.points.clone())
}

/// Maps a line's points to the curve that is drawn.
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

/// A series in axis coordinates: the base-10 logarithm where the axis is logarithmic.
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

    /// An exponential moving average over a fiftieth of the points. At the start the window is shorter, so that the
    /// curve does not lag behind a quickly falling loss.
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
