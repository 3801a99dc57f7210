//! The results: a table for people and JSON for programs.

use std::path::Path;

use anyhow::{Context as _, Result};
use impasto::gpu::Adapter;
use serde::Serialize;

use crate::works::Work;

/// Result of a work with a peer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Correct outputs, and the times: milliseconds, number of runs, 10⁹ operations per second.
    Timed { median_ms: f64, best_ms: f64, runs: usize, gflop_per_second: f64 },
    /// Different outputs, not timed.
    Differs { of: String },
    /// Not supported, with the reason.
    Skipped(String),
    /// Failed, with the error.
    Failed(String),
}

#[derive(Clone, Debug, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub work: Work,
    pub peer: String,
    /// Largest relative error of an output compared with Impasto's.
    pub error: Option<f64>,
    /// Impasto's median time divided by the peer's: Impasto is faster below 1.
    pub ours_over_peer: Option<f64>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Medians with a smaller relative difference count as equal.
const EVEN: f64 = 0.05;

fn verdict(ours_over_peer: f64) -> &'static str {
    match ours_over_peer {
        ratio if ratio < 1.0 - EVEN => "impasto wins",
        ratio if ratio > 1.0 + EVEN => "peer wins",
        _ => "even",
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// All results.
#[derive(Serialize)]
pub struct Report {
    pub adapter: Adapter,
    /// Version of wgpu.
    pub wgpu: &'static str,
    /// Peers with their versions, and unavailable peers with the reason.
    #[serde(serialize_with = "as_map")]
    pub peers: Vec<(String, String)>,
    #[serde(serialize_with = "as_map")]
    pub absent: Vec<(String, String)>,
    pub results: Vec<Row>,
}

fn as_map<S: serde::Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, text)| (name, text)))
}

impl Report {
    /// The table as lines of text.
    pub fn lines(&self) -> Vec<String> {
        let Adapter { name, backend, driver, .. } = &self.adapter;
        let mut lines = vec![format!("{name} ({backend}, {driver})")];
        lines.extend(self.peers.iter().map(|(name, version)| format!("{name} {version}")));
        lines.extend(self.absent.iter().map(|(name, reason)| format!("{name} skipped: {reason}")));
        lines.push(String::new());
        lines.extend(table(&self.results));
        lines
    }

    /// Writes the results as JSON.
    pub fn save(&self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn table(rows: &[Row]) -> Vec<String> {
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
            Outcome::Skipped(reason) => (String::new(), String::new(), format!("skipped: {}", first_line(reason))),
            Outcome::Failed(reason) => (String::new(), String::new(), format!("failed: {}", first_line(reason))),
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
