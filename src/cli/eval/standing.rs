//! What a method's pictures come to, as a line of a table and as JSON; the ends between which they lie too.

use impasto::eval::marks::{Marks, worst_quarter};
use impasto::eval::median;
use serde_json::{Value, json};

/// What the marks mean, for the help of each command that tells them.
pub const EXPLANATION: &str = "\
style distance    how far means and deviations at relu1_1 to relu4_1 are from the painting's
                  (arXiv:1703.06868, equation 13)
content distance  how far the features at relu4_1 are from the photo's with the painting's means and
                  deviations (equation 12)
SSIM              structural similarity to the photo (Wang et al. 2004): mean over the luminance, 11 x
                  11 Gaussian window of deviation 1.5; 1 for the photo itself
mesh              how much a mesh of 8 px shows: with m_k the mean absolute difference of rows r and r +
                  1 over all r = k modulo 8, the largest m_k over the smallest; the same of columns
                  where that is larger. Of many pictures each m_k, as a share of the picture's mean m_k,
                  is the median over the pictures, so that what the photos show cancels out: many photos
                  have 1.02 to 1.1, a single one about 1.1 at 256 px and 1.2 at 128 px
The figures of several pictures are medians. --json has those of each picture too.";

/// A picture and what was measured of it.
#[derive(serde::Serialize)]
struct Row {
    photo: String,
    painting: String,
    #[serde(flatten)]
    marks: Marks,
}

/// Over which of them a worst quarter is taken; a unit's figure is the median over its pictures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Painting,
    Photo,
}

/// The pictures of one method, or of one end: the photos as they are, the paintings as they are.
pub struct Standing {
    unit: Unit,
    rows: Vec<Row>,
    /// The number of each row's unit.
    units: Vec<usize>,
}

/// The table's headings.
pub const HEADINGS: [&str; 6] = ["", "style distance", "worst quarter", "content distance", "SSIM", "mesh"];

impl Standing {
    pub fn new(unit: Unit) -> Self {
        Standing { unit, rows: Vec::new(), units: Vec::new() }
    }

    /// Adds a picture of the photo and the painting, each with its number and its name.
    pub fn push(&mut self, photo: (usize, &str), painting: (usize, &str), marks: Marks) {
        self.units.push(if self.unit == Unit::Painting { painting.0 } else { photo.0 });
        self.rows.push(Row { photo: photo.1.into(), painting: painting.1.into(), marks });
    }

    pub fn median(&self) -> Marks {
        Marks::median(&self.rows.iter().map(|row| row.marks).collect::<Vec<_>>())
    }

    /// Each unit's name and its median style distance, by number.
    pub fn units(&self) -> Vec<(&str, f64)> {
        let mut units: Vec<(&str, Vec<f64>)> = Vec::new();
        for (row, &unit) in self.rows.iter().zip(&self.units) {
            if unit == units.len() {
                units.push((if self.unit == Unit::Painting { &row.painting } else { &row.photo }, Vec::new()));
            }
            units[unit].1.push(row.marks.style_distance);
        }
        units.into_iter().map(|(name, figures)| (name, median(figures))).collect()
    }

    /// The mean style distance of the quarter of the units that come out worst.
    pub fn worst_quarter(&self) -> f64 {
        worst_quarter(&self.units().into_iter().map(|(_, figure)| figure).collect::<Vec<_>>())
    }

    pub fn line(&self, name: impl Into<String>) -> Vec<String> {
        line(name, Some(self.worst_quarter()), &self.median())
    }

    /// A line for each picture.
    pub fn lines(&self) -> impl Iterator<Item = Vec<String>> {
        self.rows.iter().map(|row| line(format!("{} x {}", row.photo, row.painting), None, &row.marks))
    }

    pub fn results(&self) -> Value {
        let (key, name) = match self.unit {
            Unit::Painting => ("paintings", "painting"),
            Unit::Photo => ("photos", "photo"),
        };
        let units = self.units().into_iter().map(|(unit, figure)| json!({ name: unit, "style_distance": figure }));
        json!({
            "median": self.median(), "worst_quarter": self.worst_quarter(), key: units.collect::<Vec<_>>(),
            "pictures": self.rows,
        })
    }
}

/// A line of the table.
fn line(name: impl Into<String>, worst: Option<f64>, marks: &Marks) -> Vec<String> {
    vec![
        name.into(),
        format!("{:.4}", marks.style_distance),
        worst.map_or("".into(), |worst| format!("{worst:.4}")),
        format!("{:.4}", marks.content_distance),
        format!("{:.4}", marks.ssim),
        format!("{:.3}", marks.mesh.strength()),
    ]
}
