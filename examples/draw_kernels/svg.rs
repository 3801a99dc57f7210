//! Rectangles, grids, arrows and texts as SVG.

use std::fmt::Write;

pub const PAPER: &str = "#ffffff";
pub const INK: &str = "#24292f";
pub const PALE: &str = "#eef1f4";
pub const BLUE: &str = "#a8cbee";
pub const DEEP: &str = "#2f6fb0";
pub const ORANGE: &str = "#f3b27a";
pub const GREEN: &str = "#a9d8a4";

/// A picture under construction. Coordinates are in pixels, from the top left.
pub struct Svg {
    size: [f64; 2],
    body: String,
}

/// A rectangle: left, top, width, height.
pub type Rect = [f64; 4];

impl Svg {
    pub fn new(width: f64, height: f64) -> Self {
        Svg { size: [width, height], body: String::new() }
    }

    pub fn rect(&mut self, [x, y, width, height]: Rect, fill: &str) -> &mut Self {
        let rect = format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"");
        writeln!(self.body, "<rect {rect} fill=\"{fill}\" stroke=\"{INK}\" stroke-width=\"1\"/>").expect("a string");
        self
    }

    /// A rectangle of `columns` × `rows` cells.
    pub fn grid(&mut self, rect @ [x, y, width, height]: Rect, [columns, rows]: [usize; 2], fill: &str) -> &mut Self {
        self.rect(rect, fill);
        for column in 1..columns {
            let at = x + width * column as f64 / columns as f64;
            self.line([at, y], [at, y + height], 0.5);
        }
        for row in 1..rows {
            let at = y + height * row as f64 / rows as f64;
            self.line([x, at], [x + width, at], 0.5);
        }
        self
    }

    pub fn line(&mut self, [x, y]: [f64; 2], [to_x, to_y]: [f64; 2], width: f64) -> &mut Self {
        let ends = format!("x1=\"{x}\" y1=\"{y}\" x2=\"{to_x}\" y2=\"{to_y}\"");
        writeln!(self.body, "<line {ends} stroke=\"{INK}\" stroke-width=\"{width}\"/>").expect("a string");
        self
    }

    pub fn arrow(&mut self, from @ [x, y]: [f64; 2], to @ [to_x, to_y]: [f64; 2]) -> &mut Self {
        self.line(from, to, 1.5);
        let length = (to_x - x).hypot(to_y - y);
        let [along_x, along_y] = [8.0 * (to_x - x) / length, 8.0 * (to_y - y) / length];
        let corner = |side: f64| (to_x - along_x - side * along_y / 2.0, to_y - along_y + side * along_x / 2.0);
        let ((left_x, left_y), (right_x, right_y)) = (corner(1.0), corner(-1.0));
        let points = format!("{to_x:.1},{to_y:.1} {left_x:.1},{left_y:.1} {right_x:.1},{right_y:.1}");
        writeln!(self.body, "<polygon points=\"{points}\"/>").expect("a string");
        self
    }

    /// Lines of text, the first with its baseline at `y`.
    pub fn text(&mut self, [x, y]: [f64; 2], text: &str) -> &mut Self {
        for (number, line) in text.lines().enumerate() {
            let y = y + 17.0 * number as f64;
            let line = line.replace('&', "&amp;").replace('<', "&lt;");
            writeln!(self.body, "<text x=\"{x}\" y=\"{y}\">{line}</text>").expect("a string");
        }
        self
    }

    /// The file.
    pub fn finish(&self) -> String {
        let [width, height] = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"13\" fill=\"{INK}\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"{PAPER}\"/>\n{}</svg>\n",
            self.body
        )
    }
}
