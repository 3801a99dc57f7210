//! Common parts of plots and contact sheets: background, axes, colours, fonts and rendered text.

use std::{ops::Range, path::Path, sync::Once};

use plotters::{
    coord::{
        Shift,
        ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    },
    prelude::*,
    style::{FontStyle, register_font},
};

use crate::{Cause, Error, Result, io::Picture};

/// Factor of oversampling: plots are drawn this much larger and reduced, which smooths edges.
const OVERSAMPLED: usize = 2;

/// Colours that are readable on white and distinguishable with colour-vision deficiency (Okabe and Ito, 2008).
pub const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
/// Colour of text and axes.
pub const INK: RGBColor = RGBColor(40, 40, 40);
/// Colour of grid lines.
pub const GRID: RGBColor = RGBColor(222, 222, 222);

/// A drawing area. Its pixels are smaller than the picture's, see [`scaled`].
pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// A chart on an [`Area`].
pub type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<Axis, Axis>>;

/// Result of drawing.
pub type Drawn<T = ()> = std::result::Result<T, Cause>;

/// Draws a picture of `size` and saves it with [`Picture::save`].
pub fn picture(path: &Path, size: (usize, usize), draw: impl FnOnce(&Area) -> Drawn) -> Result<()> {
    drawn(size, WHITE, draw).map_err(|error| Error::picture(path, error))?.save(path)
}

/// Draws a picture of `size` on a background of colour `paper`.
fn drawn((width, height): (usize, usize), paper: RGBColor, draw: impl FnOnce(&Area) -> Drawn) -> Drawn<Picture> {
    let [across, down] = [width, height].map(|side| side * OVERSAMPLED);
    let mut pixels = vec![0; 3 * across * down];
    let area = BitMapBackend::with_buffer(&mut pixels, (across as u32, down as u32)).into_drawing_area();
    area.fill(&paper)?;
    draw(&area)?;
    area.present()?;
    drop(area);
    let rgb = (0..3).flat_map(|plane| pixels.iter().skip(plane).step_by(3).map(|&value| f32::from(value) / 255.0));
    Ok(Picture::from_rgb(across, down, rgb.collect())?.resize(width, height))
}

/// Renders a line of text as a picture; `pixels` is the font size.
pub fn words(text: &str, pixels: u32, ink: RGBColor, paper: RGBColor) -> Drawn<Picture> {
    let style = font(pixels).color(&ink);
    let width = (words_width(text, pixels)? + pixels as usize / 4).max(1);
    // The glyphs extend above the given position.
    let top = scaled(pixels) as i32 * 3 / 8;
    drawn((width, line_height(pixels)), paper, |area| Ok(area.draw_text(text, &style, (0, top))?))
}

/// Width of a line of text in pixels.
pub fn words_width(text: &str, pixels: u32) -> Drawn<usize> {
    Ok((font(pixels).font.box_size(text)?.0 as usize).div_ceil(OVERSAMPLED))
}

/// Height of a line of text in pixels.
pub fn line_height(pixels: u32) -> usize {
    (pixels as usize * 5).div_ceil(4)
}

/// Converts a length in pixels of the picture to pixels of its [`Area`].
pub fn scaled(pixels: u32) -> u32 {
    pixels * OVERSAMPLED as u32
}

/// The font with a size of `pixels`.
pub fn font(pixels: u32) -> TextStyle<'static> {
    (font_name(), scaled(pixels)).into_font().color(&INK)
}

/// An empty chart with a title and labelled axes.
pub fn chart<'a, 'b>(area: &'a Area<'b>, title: &str, names: [&str; 2], [x, y]: [Axis; 2]) -> Drawn<Chart<'a, 'b>> {
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
        .x_desc(names[0])
        .y_desc(names[1])
        .set_all_tick_mark_size(scaled(4))
        .draw()?;
    Ok(chart)
}

/// Range and tick scores of an axis.
pub struct Axis {
    from: f64,
    to: f64,
    log: bool,
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis that covers all `values`. On a logarithmic axis, values are base-10 logarithms.
    pub fn new(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let (least, greatest) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), v| (least.min(v), greatest.max(v)));
        // A single value gets a margin too.
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

/// About six ticks at round numbers.
fn even_ticks(from: f64, to: f64) -> Vec<f64> {
    let rough = (to - from) / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|&step| step >= rough).unwrap_or(rough);
    let first = (from / step).ceil();
    (0..20).map(|index| (first + f64::from(index)) * step).take_while(|&tick| tick <= to).collect()
}

/// Base-10 logarithms of the ticks: powers of ten, with 2 and 5 in between if there are few decades, or round numbers
/// if there are fewer than three such ticks.
fn log_ticks(from: f64, to: f64) -> Vec<f64> {
    let decades = (from.floor() as i32)..=(to.ceil() as i32);
    let every = ((to - from) / 8.0).ceil().max(1.0) as i32;
    let scores: &[f64] = if to - from > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let ticks: Vec<f64> = decades
        .filter(|decade| decade % every == 0)
        .flat_map(|decade| scores.iter().map(move |mark| f64::from(decade) + mark.log10()))
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

/// Formats a number with at most six significant digits.
fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    let size = rounded.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) { format!("{rounded:e}") } else { rounded.to_string() }
}

/// Registers the embedded font and returns its name. System fonts differ and may be missing.
fn font_name() -> &'static str {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let registered = register_font("impasto", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
        assert!(registered.is_ok(), "the font that comes with Impasto is one");
    });
    "impasto"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_axis() {
        let labels = |values: [f64; 2], log| {
            let axis = Axis::new(values.into_iter(), log);
            axis.ticks.iter().map(|&tick| axis.format_ext(&tick)).collect::<Vec<_>>()
        };
        assert_eq!(labels([0.0, 40_000.0], false), ["0", "10000", "20000", "30000", "40000"]);
        assert_eq!(labels([0.0, 1.0], false), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels([0.0, 4.0], true), ["1", "10", "100", "1000", "10000"]);
        assert_eq!(labels([-7.0, 0.0], true).last().unwrap(), "1");
        assert_eq!(labels([-4.0, 2.0], true)[0], "1e-4");
        assert_eq!(labels([1.0, 2.1], true), ["10", "20", "50", "100"]);
        // Less than a decade: evenly spaced numbers.
        assert_eq!(labels([2.0f64.log10(), 2.9f64.log10()], true), ["2", "2.2", "2.4", "2.6", "2.8"]);
        assert!(labels([-300.0, 300.0], true).len() < 10);
        assert_eq!([0.0, 1.5, 123_456.0, 2e7, 0.00012345].map(number), ["0", "1.5", "123456", "2e7", "1.2345e-4"]);
    }
}
