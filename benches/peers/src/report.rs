//! What was measured: one table for people, JSON for programs.

use serde::Serialize;

use crate::works::Work;

/// What came of a work in a peer's hands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was right, and took this long: milliseconds, runs, 10⁹ operations a second.
    Timed { median_ms: f64, best_ms: f64, runs: usize, gflop_per_second: f64 },
    /// It gave something else: no time.
    Differs { of: String },
    /// It was not done, and why.
    Skipped(String),
    /// It broke.
    Failed(String),
}

#[derive(Clone, Debug, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub work: Work,
    pub peer: String,
    /// Largest difference from our outputs, relative to the largest value, of the output where that is worst.
    pub error: Option<f64>,
    /// Our median over this one's: below 1 we are faster.
    pub ours_over_peer: Option<f64>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Medians closer than this are even.
const EVEN: f64 = 0.05;

pub fn verdict(ours_over_peer: f64) -> &'static str {
    match ours_over_peer {
        ratio if ratio < 1.0 - EVEN => "impasto wins",
        ratio if ratio > 1.0 + EVEN => "peer wins",
        _ => "even",
    }
}

/// The table's lines.
pub fn table(rows: &[Row]) -> Vec<String> {
    let mut lines =
        vec![["work", "peer", "median ms", "GFLOP/s", "error", "ours / peer", ""].map(String::from).to_vec()];
    for row in rows {
        let error = row.error.map_or(String::new(), |error| format!("{error:.0e}"));
        let ratio = row.ours_over_peer.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let (median, rate, word) = match &row.outcome {
            Outcome::Timed { median_ms, gflop_per_second, .. } => (
                format!("{median_ms:.1}"),
                format!("{gflop_per_second:.1}"),
                row.ours_over_peer.map_or("", verdict).to_string(),
            ),
            Outcome::Differs { of } => (String::new(), String::new(), format!("differs: {of}")),
            Outcome::Skipped(reason) => (String::new(), String::new(), format!("skipped: {reason}")),
            Outcome::Failed(reason) => (String::new(), String::new(), format!("failed: {reason}")),
        };
        lines.push(vec![row.work.name(), row.peer.clone(), median, rate, error, ratio, word]);
    }
    let last = lines[0].len() - 1;
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..last).map(width).collect();
    let padded = |line: &Vec<String>| {
        let cells =
            line.iter().zip(widths.iter().chain([&0])).enumerate().map(|(column, (cell, &width))| match column {
                0 | 1 | 6 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    lines.iter().map(padded).collect()
}
