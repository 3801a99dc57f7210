//! Contact sheets: pictures in rows and columns, with captions beneath.
//!
//! All columns have the width of the widest picture, and each row has the height of its highest picture. Smaller
//! pictures are centred in their cells. Pictures are reduced to the requested size and never enlarged.

use std::path::Path;

use plotters::style::RGBColor;

use crate::io::Picture;
use crate::plot::{self, Drawn};
use crate::{Error, Result};

/// Minimum width of a column in pixels, which leaves space for a short caption.
pub const LEAST: usize = 32;

const PAPER: RGBColor = RGBColor(244, 242, 237);
/// Colour of cells without a picture.
const TILE: RGBColor = RGBColor(228, 224, 215);
/// Colour of captions.
const INK: RGBColor = RGBColor(52, 50, 47);
/// Colour of secondary text.
const PALE: RGBColor = RGBColor(122, 117, 109);

/// One cell of the sheet.
#[derive(Clone, Debug)]
pub struct Cell {
    content: Content,
    caption: String,
}

#[derive(Clone, Debug)]
enum Content {
    /// Shown as it is.
    Picture(Picture),
    /// Reduced to the column's width if necessary; a square.
    Head(Picture),
    /// A tile as high as its row, with centred text.
    Tile(String),
    /// Lines of text at the bottom of the cell; the first is a title.
    Words(Vec<String>),
}

impl Cell {
    /// A picture, reduced to fit into a square of `side` pixels.
    pub fn picture(picture: &Picture, side: usize, caption: impl Into<String>) -> Self {
        let long = picture.width.max(picture.height);
        Cell { content: Content::Picture(on_paper(picture.fit(side.min(long)))), caption: caption.into() }
    }

    /// The picture at the head of a column: the largest central square, reduced to `side` pixels.
    pub fn head(picture: &Picture, side: usize, caption: impl Into<String>) -> Self {
        let square = picture.square();
        Cell { content: Content::Head(on_paper(square.fit(side.min(square.width)))), caption: caption.into() }
    }

    /// A tile in place of a picture, with text such as a reason.
    pub fn tile(words: impl Into<String>, caption: impl Into<String>) -> Self {
        Cell { content: Content::Tile(words.into()), caption: caption.into() }
    }

    /// A title and further lines, for a corner.
    pub fn words<T: Into<String>>(lines: impl IntoIterator<Item = T>) -> Self {
        Cell { content: Content::Words(lines.into_iter().map(Into::into).collect()), caption: String::new() }
    }
}

/// A file's name without its extension, as a caption.
pub fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Draws the sheet with the given rows.
///
/// # Errors
/// No cells; text that cannot be rendered.
pub fn sheet(rows: &[Vec<Cell>]) -> Result<Picture> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    if columns == 0 {
        return Err(Error::argument("sheet", "rows", "at least one cell", "none"));
    }
    let layout = Layout::of(rows);
    layout.draw(rows, columns).map_err(|error| Error::picture(Path::new("contact sheet"), error))
}

/// The layout, in pixels.
struct Layout {
    /// Width of a column.
    width: usize,
    /// Distance between cells.
    gap: usize,
    /// Margin around the sheet.
    margin: usize,
    /// Font size of captions.
    letters: u32,
}

impl Layout {
    fn of(rows: &[Vec<Cell>]) -> Self {
        let width = |heads: bool| {
            let widths = rows.iter().flatten().filter_map(|cell| match &cell.content {
                Content::Picture(picture) => Some(picture.width),
                Content::Head(picture) if heads => Some(picture.width),
                _ => None,
            });
            widths.max()
        };
        let width = width(false).or_else(|| width(true)).unwrap_or(LEAST).max(LEAST);
        let gap = (width / 28).max(3);
        Layout { width, gap, margin: 2 * gap, letters: (width as u32 / 16).max(9) }
    }

    fn caption_height(&self) -> usize {
        plot::line_height(self.letters)
    }

    /// Height of the pictures in a row.
    fn row_height(&self, row: &[Cell]) -> usize {
        let heights = row.iter().filter_map(|cell| match &cell.content {
            Content::Picture(picture) => Some(picture.height),
            Content::Head(_) => Some(self.width),
            _ => None,
        });
        heights.max().unwrap_or(self.width)
    }

    fn draw(&self, rows: &[Vec<Cell>], columns: usize) -> Drawn<Picture> {
        let heights: Vec<usize> = rows.iter().map(|row| self.row_height(row)).collect();
        // Half a gap separates a picture from its caption.
        let below = |row: &[Cell]| match row.iter().any(|cell| !cell.caption.is_empty()) {
            true => self.gap / 2 + self.caption_height(),
            false => 0,
        };
        let total: usize = rows.iter().zip(&heights).map(|(row, height)| height + below(row)).sum();
        let mut sheet = filled(
            2 * self.margin + columns * self.width + (columns - 1) * self.gap,
            2 * self.margin + total + (rows.len() - 1) * self.gap,
            PAPER,
        );
        let mut top = self.margin;
        for (row, height) in rows.iter().zip(heights) {
            for (column, cell) in row.iter().enumerate() {
                let left = self.margin + column * (self.width + self.gap);
                self.draw_cell(&mut sheet, cell, [left, top], height)?;
                if !cell.caption.is_empty() {
                    let caption = self.line(&cell.caption, self.letters, INK, PAPER)?;
                    let indent = (self.width - caption.width.min(self.width)) / 2;
                    sheet.paste(&caption, [left + indent, top + height + self.gap / 2]);
                }
            }
            top += height + below(row) + self.gap;
        }
        Ok(sheet)
    }

    fn draw_cell(&self, sheet: &mut Picture, cell: &Cell, [left, top]: [usize; 2], height: usize) -> Drawn {
        let mut middle = |picture: &Picture| {
            let indent = [(self.width, picture.width), (height, picture.height)];
            let [right, down] = indent.map(|(room, side)| room.saturating_sub(side) / 2);
            sheet.paste(picture, [left + right, top + down]);
        };
        match &cell.content {
            Content::Picture(picture) => middle(picture),
            Content::Head(picture) => middle(&picture.fit(self.width.min(picture.width))),
            Content::Tile(words) => {
                middle(&filled(self.width, height, TILE));
                middle(&self.line(words, self.letters, PALE, TILE)?);
            }
            Content::Words(lines) => {
                let letters = |number: usize| if number == 0 { (self.letters * 2, INK) } else { (self.letters, PALE) };
                // Bottom-aligned with the pictures in the row.
                let total: usize = (0..lines.len()).map(|number| plot::line_height(letters(number).0)).sum();
                let mut top = top + height.saturating_sub(total);
                for (number, line) in lines.iter().enumerate() {
                    let (letters, ink) = letters(number);
                    sheet.paste(&self.line(line, letters, ink, PAPER)?, [left, top]);
                    top += plot::line_height(letters);
                }
            }
        }
        Ok(())
    }

    /// Renders one line of text, shortened to the column's width.
    fn line(&self, text: &str, letters: u32, ink: RGBColor, paper: RGBColor) -> Drawn<Picture> {
        plot::words(&shortened(text, self.width, |text| plot::words_width(text, letters))?, letters, ink, paper)
    }
}

/// The text, shortened with an ellipsis if it is wider than `room`.
fn shortened(text: &str, room: usize, width: impl Fn(&str) -> Drawn<usize>) -> Drawn<String> {
    let mut shown = text.to_string();
    let mut kept: Vec<char> = text.chars().collect();
    while width(&shown)? > room {
        if kept.pop().is_none() {
            return Ok(String::new());
        }
        shown = kept.iter().collect::<String>().trim_end().to_string() + "…";
    }
    Ok(shown)
}

/// Composites the picture over the paper colour.
fn on_paper(mut picture: Picture) -> Picture {
    let Some(alpha) = picture.alpha.take() else { return picture };
    for (plane, paper) in picture.rgb.chunks_mut(alpha.len().max(1)).zip([PAPER.0, PAPER.1, PAPER.2]) {
        let paper = f32::from(paper) / 255.0;
        plane.iter_mut().zip(&alpha).for_each(|(value, alpha)| *value = paper + (*value - paper) * alpha);
    }
    picture
}

fn filled(width: usize, height: usize, RGBColor(red, green, blue): RGBColor) -> Picture {
    let mut picture = Picture::new(width, height);
    for (plane, value) in picture.rgb.chunks_mut((width * height).max(1)).zip([red, green, blue]) {
        plane.fill(f32::from(value) / 255.0);
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: usize, height: usize, value: f32) -> Picture {
        // A colour that no rendered text has.
        let rgb = [value, 0.1, 0.9].iter().flat_map(|value| vec![*value; width * height]).collect();
        Picture { rgb, ..Picture::new(width, height) }
    }

    /// Left, top, width and height of the rectangle with this red value.
    fn place(sheet: &Picture, value: f32) -> [usize; 4] {
        let is_it = |at: &usize| {
            let channels = [0, 1, 2].map(|channel| sheet.rgb[channel * sheet.pixels() + at]);
            channels.iter().zip([value, 0.1, 0.9]).all(|(found, expected)| (found - expected).abs() < 1e-3)
        };
        let inside: Vec<_> = (0..sheet.pixels()).filter(is_it).collect();
        let [across, down] = [|at: usize, width| at % width, |at: usize, width| at / width]
            .map(|of| inside.iter().map(|at| of(*at, sheet.width)).collect::<Vec<_>>());
        let range = |values: &[usize]| [*values.iter().min().unwrap(), *values.iter().max().unwrap()];
        let ([left, right], [top, bottom]) = (range(&across), range(&down));
        assert_eq!(inside.len(), (right - left + 1) * (bottom - top + 1), "{value}: no rectangle");
        [left, top, right - left + 1, bottom - top + 1]
    }

    #[test]
    fn pictures_stand_in_columns_and_rows_with_room_for_captions() {
        let rows = vec![
            vec![Cell::words(["Title", "words"]), Cell::head(&plain(90, 60, 0.1), 112, "one")],
            vec![Cell::picture(&plain(224, 168, 0.2), 112, "wide"), Cell::picture(&plain(112, 84, 0.3), 112, "")],
            vec![Cell::picture(&plain(60, 112, 0.4), 112, "high"), Cell::tile("nothing", "")],
        ];
        let sheet = sheet(&rows).unwrap();
        let (gap, margin, caption) = (4, 8, 2 + 12);
        assert_eq!([sheet.width, sheet.height], [2 * 8 + 2 * 112 + 4, 2 * 8 + 112 + 84 + 112 + 3 * caption + 2 * 4]);
        let (left, right) = (margin, margin + 112 + gap);
        let (first, second) = (margin + 112 + caption + gap, margin + 112 + 84 + 2 * (caption + gap));
        // A head is square and not enlarged.
        assert_eq!(place(&sheet, 0.1), [right + 26, margin + 26, 60, 60]);
        assert_eq!(place(&sheet, 0.2), [left, first, 112, 84]);
        assert_eq!(place(&sheet, 0.3), [right, first, 112, 84]);
        assert_eq!(place(&sheet, 0.4), [left + 26, second, 60, 112]);
        // Captions and titles are drawn, and the paper around them is empty.
        let has_ink = |[left, top, width, height]: [usize; 4]| {
            (top..top + height).any(|row| sheet.rgb[row * sheet.width..][left..left + width].iter().any(|v| *v < 0.75))
        };
        assert!(has_ink([left, margin + 70, 112, 42]) && has_ink([left, first + 84, 112, caption]));
        assert!(!has_ink([right, first + 84, 112, caption]) && has_ink([right, second, 112, 112]));
        let corner = (margin..margin + 60).flat_map(|row| &sheet.rgb[row * sheet.width..][..left + 112]);
        assert!(corner.into_iter().all(|value| *value == sheet.rgb[0]) && (0.9..0.99).contains(&sheet.rgb[0]));
    }

    #[test]
    fn what_is_transparent_shows_the_paper() {
        let picture = Picture { alpha: Some(vec![0.0; 32 * 32]), ..plain(32, 32, 0.0) };
        let sheet = sheet(&[vec![Cell::picture(&picture, 32, "")]]).unwrap();
        assert!(sheet.rgb[..sheet.pixels()].iter().all(|value| *value == sheet.rgb[0]) && sheet.rgb[0] > 0.9);
    }

    #[test]
    fn names_that_are_too_long_end_in_an_ellipsis() {
        let letters = |text: &str| Ok(10 * text.chars().count());
        for (text, room, shown) in [
            ("photo", 50, "photo"),
            ("photograph", 60, "photo…"),
            ("a long name", 30, "a…"),
            ("añb", 20, "a…"),
            ("photo", 5, ""),
        ] {
            assert_eq!(shortened(text, room, letters).unwrap(), shown, "{text}");
        }
        let long = "a name that is by far too long for a thumbnail of this size".to_string();
        let wide = |caption: &str| sheet(&[vec![Cell::picture(&plain(64, 48, 0.5), 64, caption)]]).unwrap();
        assert_eq!((wide(&long).width, wide(&long).height), (wide("a").width, wide("a").height));
        assert!(sheet(&[]).is_err() && sheet(&[vec![]]).is_err());
    }
}
