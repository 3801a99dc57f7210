//! The figures of a method's pictures, or of the unchanged photos or paintings, as a row of a table and as JSON.

use impasto::eval::median;
use impasto::eval::scores::{Scores, worst_quarter};
use serde_json::{Value, json};

/// What the columns mean, for the help of the commands that print them.
pub const EXPLANATION: &str = "\
Columns (for several pictures the medians; --json also has the figures of each picture):
  style distance: difference of the channels' means and standard deviations from the painting's, summed over relu1_1, \
relu2_1, relu3_1 and relu4_1 (arXiv:1703.06868, equation 13).
  content distance: difference of the features at relu4_1 from the photo's, after these were given the painting's \
means and standard deviations (equation 12).
  SSIM: structural similarity of the luminance to the photo's (Wang et al. 2004), with a Gaussian window of 11 x 11 px \
and standard deviation 1.5. The photo itself has 1.
  mesh: strength of a grid pattern of 8 px, which a decoder may leave. m_k is the mean absolute difference of rows r \
and r + 1 over all r = k modulo 8; mesh is the largest m_k over the smallest, for rows or columns, whichever is \
larger. For several pictures, m_k is the median of each picture's m_k over its mean m_k. Photos have 1.02 to 1.1 \
together; alone about 1.1 at 256 px and 1.2 at 128 px.";

/// A picture and its figures.
#[derive(serde::Serialize)]
struct Row {
    photo: String,
    painting: String,
    #[serde(flatten)]
    scores: Scores,
}

/// The units of which the worst quarter is taken. The figure of a unit is the median over its pictures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Painting,
    Photo,
}

/// The pictures of one method, or the unchanged photos or paintings.
pub struct Standing {
    unit: Unit,
    rows: Vec<Row>,
    /// The number of the unit of each row.
    units: Vec<usize>,
}

/// The table's headings.
pub const HEADINGS: [&str; 6] = ["", "style distance", "worst quarter", "content distance", "SSIM", "mesh"];

impl Standing {
    pub fn new(unit: Unit) -> Self {
        Standing { unit, rows: Vec::new(), units: Vec::new() }
    }

    /// Adds the figures of a picture made from a photo and a painting, both given as number and name.
    pub fn push(&mut self, photo: (usize, &str), painting: (usize, &str), scores: Scores) {
        self.units.push(if self.unit == Unit::Painting { painting.0 } else { photo.0 });
        self.rows.push(Row { photo: photo.1.into(), painting: painting.1.into(), scores });
    }

    pub fn median(&self) -> Scores {
        Scores::median(&self.rows.iter().map(|row| row.scores).collect::<Vec<_>>())
    }

    /// Name and median style distance of each unit, ordered by number.
    pub fn units(&self) -> Vec<(&str, f64)> {
        let mut units: Vec<(&str, Vec<f64>)> = Vec::new();
        for (row, &unit) in self.rows.iter().zip(&self.units) {
            if unit == units.len() {
                units.push((if self.unit == Unit::Painting { &row.painting } else { &row.photo }, Vec::new()));
            }
            units[unit].1.push(row.scores.style_distance);
        }
        units.into_iter().map(|(name, figures)| (name, median(figures))).collect()
    }

    /// The mean style distance of the quarter of the units with the largest style distances.
    pub fn worst_quarter(&self) -> f64 {
        worst_quarter(&self.units().into_iter().map(|(_, figure)| figure).collect::<Vec<_>>())
    }

    pub fn line(&self, name: impl Into<String>) -> Vec<String> {
        line(name, Some(self.worst_quarter()), &self.median())
    }

    /// A row for each picture.
    pub fn lines(&self) -> impl Iterator<Item = Vec<String>> {
        self.rows.iter().map(|row| line(format!("{} x {}", row.photo, row.painting), None, &row.scores))
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

/// A row of the table.
fn line(name: impl Into<String>, worst: Option<f64>, scores: &Scores) -> Vec<String> {
    vec![
        name.into(),
        format!("{:.4}", scores.style_distance),
        worst.map_or("".into(), |worst| format!("{worst:.4}")),
        format!("{:.4}", scores.content_distance),
        format!("{:.4}", scores.ssim),
        format!("{:.3}", scores.mesh.strength()),
    ]
}
