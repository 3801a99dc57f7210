//! A picture of a loss over the steps of a run.

use std::{ops::Range, path::Path, sync::Once};

use plotters::{
    coord::{
        Shift,
        ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    },
    prelude::*,
    style::{FontStyle, register_font},
};

use crate::{Error, Result, io::Picture};

/// Width and height of the picture, in pixels.
pub const SIZE: (usize, usize) = (960, 600);

/// It is drawn this many times larger and shrunk, which smooths edges.
const OVERSAMPLED: usize = 2;

/// Readable on white, and told apart by people who don't see every colour (Okabe & Ito 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(222, 222, 222);

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
/// as in [`Picture::save`], and the file appears whole or not at all.
///
/// # Errors
///
/// [`Error::Argument`] when no point is left to draw; else those of [`Picture::save`].
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
    let (width, height) = (SIZE.0 * OVERSAMPLED, SIZE.1 * OVERSAMPLED);
    let mut pixels = vec![0; 3 * width * height];
    let area = BitMapBackend::with_buffer(&mut pixels, (width as u32, height as u32)).into_drawing_area();
    render(&area, title, axes, &shown, through, [x, y]).map_err(|error| Error::picture(path, error))?;
    drop(area);
    let rgb = (0..3).flat_map(|plane| pixels.iter().skip(plane).step_by(3).map(|&value| f32::from(value) / 255.0));
    Picture::from_rgb(width, height, rgb.collect())?.resize(SIZE.0, SIZE.1).save(path)
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

/// What an axis shows, and where it is marked.
struct Axis {
    from: f64,
    to: f64,
    log: bool,
    ticks: Vec<f64>,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let (least, greatest) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), v| (least.min(v), greatest.max(v)));
        // A single value gets some room too.
        let room = if greatest > least { 0.03 * (greatest - least) } else { 0.1 * least.abs().max(1.0) };
        let (from, to) = (least - room, greatest + room);
        let ticks = if log { log_ticks(from, to) } else { even_ticks(from, to) };
        Axis { from, to, log, ticks }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (value - self.from) / (self.to - self.from);
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(place: &f64) -> String {
        number(*place)
    }

    fn format_ext(&self, place: &f64) -> String {
        number(if self.log { 10f64.powf(*place) } else { *place })
    }
}

/// About six round numbers.
fn even_ticks(from: f64, to: f64) -> Vec<f64> {
    let rough = (to - from) / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|&step| step >= rough).unwrap_or(rough);
    let first = (from / step).ceil();
    (0..20).map(|index| (first + f64::from(index)) * step).take_while(|&tick| tick <= to).collect()
}

/// Logarithms of powers of ten, with 2 and 5 between where there are few, and of round numbers where there are none.
fn log_ticks(from: f64, to: f64) -> Vec<f64> {
    let decades = (from.floor() as i32)..=(to.ceil() as i32);
    let every = ((to - from) / 8.0).ceil().max(1.0) as i32;
    let marks: &[f64] = if to - from > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let ticks: Vec<f64> = decades
        .filter(|decade| decade % every == 0)
        .flat_map(|decade| marks.iter().map(move |mark| f64::from(decade) + mark.log10()))
        .filter(|tick| (from..=to).contains(tick))
        .collect();
    if ticks.len() >= 3 {
        return ticks;
    }
    even_ticks(10f64.powf(from), 10f64.powf(to))
        .iter()
        .map(|tick| tick.log10())
        .filter(|tick| tick.is_finite())
        .collect()
}

/// A number with at most six digits that count.
fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    let size = rounded.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) { format!("{rounded:e}") } else { rounded.to_string() }
}

fn render(
    area: &DrawingArea<BitMapBackend, Shift>,
    title: &str,
    axes: [&str; 2],
    lines: &[Line],
    through: Through,
    [x, y]: [Axis; 2],
) -> Result<(), Box<dyn std::error::Error>> {
    let scaled = |size: u32| size * OVERSAMPLED as u32;
    let font = |size| (font_name(), scaled(size)).into_font().color(&INK);
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, font(20))
        .margin(scaled(14))
        .margin_right(scaled(24))
        .x_label_area_size(scaled(44))
        .y_label_area_size(scaled(70))
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .bold_line_style(GRID.stroke_width(scaled(1)))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(scaled(1)))
        .label_style(font(14))
        .axis_desc_style(font(16))
        .x_desc(axes[0])
        .y_desc(axes[1])
        .set_all_tick_mark_size(scaled(4))
        .draw()?;
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
    area.present()?;
    Ok(())
}

/// The name of the font that comes with Impasto: those of the system differ, or are missing.
fn font_name() -> &'static str {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let registered = register_font("impasto", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
        assert!(registered.is_ok(), "the font that comes with Impasto is one");
    });
    "impasto"
}

#[cfg(test)]
#[path = "curve_tests.rs"]
mod tests;
