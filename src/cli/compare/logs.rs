//! The losses of training runs, side by side.

use std::path::{Path, PathBuf};

use impasto::train::curve::Series;
use impasto::{Error, Result};
use serde_json::{Value, json};

use super::refused;
use crate::cli::table::Table;

/// Training runs and their losses.
pub struct Training {
    /// Each run's losses over its steps.
    pub runs: Vec<Series>,
    tenths: Vec<Tenth>,
}

/// A tenth of the steps of the longest run.
#[derive(Debug, PartialEq)]
struct Tenth {
    /// The first and the last step.
    steps: [u64; 2],
    /// The mean loss of each run; `None` if the run has no step here.
    means: Vec<Option<f64>>,
}

impl Tenth {
    /// The run with the lowest mean, if all runs have steps here.
    fn lowest(&self) -> Option<usize> {
        let means = self.means.iter().copied().collect::<Option<Vec<f64>>>()?;
        (0..means.len()).min_by(|&a, &b| means[a].total_cmp(&means[b]))
    }
}

/// Steps and losses of a log that `impasto train` wrote.
fn read(path: &Path) -> Result<Vec<(f64, f64)>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file("read", path, error))?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let points: Vec<_> = lines.filter_map(|line| Some((line["step"].as_f64()?, line["loss"].as_f64()?))).collect();
    if points.is_empty() {
        let help = "name the log.jsonl in the folder of a training run";
        return Err(Error::file("use", path, "no line has a `step` and a `loss`").with_help(help));
    }
    Ok(points)
}

/// The name of a run's net: `mine` for `mine.safetensors.training/log.jsonl`.
fn name(path: &Path) -> String {
    let named = if path.file_name().is_some_and(|name| name == "log.jsonl") { path.parent() } else { Some(path) };
    let mut name = named.and_then(Path::file_name).unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    for ending in [".jsonl", ".training", ".safetensors"] {
        name.truncate(name.strip_suffix(ending).unwrap_or(&name).len());
    }
    name
}

fn tenths(runs: &[Series]) -> Vec<Tenth> {
    let last = runs.iter().flat_map(|run| &run.points).map(|(step, _)| *step as u64).max().unwrap_or(0);
    let mean = |run: &Series, [from, to]: [u64; 2]| {
        let inside = run.points.iter().filter(|(step, _)| (from..=to).contains(&(*step as u64)));
        let losses: Vec<f64> = inside.map(|(_, loss)| *loss).collect();
        (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
    };
    let spans = (0..10).map(|tenth| [tenth * last / 10 + 1, (tenth + 1) * last / 10]);
    let spans = spans.filter(|[from, to]| from <= to);
    spans.map(|steps| Tenth { steps, means: runs.iter().map(|run| mean(run, steps)).collect() }).collect()
}

impl Training {
    /// Reads the logs. Without `names` the runs have the names of their nets.
    pub fn read(logs: &[PathBuf], names: &[String]) -> Result<Self> {
        if !names.is_empty() && names.len() != logs.len() {
            return Err(refused("--names", format!("one name for each of {} logs", logs.len()), names.join(",")));
        }
        let named = |(index, path): (usize, &PathBuf)| {
            let name = names.get(index).cloned().unwrap_or_else(|| name(path));
            Ok(Series { name, points: read(path)? })
        };
        let runs: Vec<Series> = logs.iter().enumerate().map(named).collect::<Result<_>>()?;
        let tenths = tenths(&runs);
        Ok(Training { runs, tenths })
    }

    /// The mean loss of each tenth.
    pub fn table(&self) -> Table {
        let runs = self.runs.iter().map(|run| run.name.clone());
        let mut table = vec![[vec!["steps".into()], runs.collect(), vec!["lowest".into()]].concat()];
        for tenth in &self.tenths {
            let means = tenth.means.iter().map(|mean| mean.map_or("-".into(), |mean| format!("{mean:.4}")));
            let lowest = tenth.lowest().map_or("-".into(), |run| self.runs[run].name.clone());
            let [from, to] = tenth.steps;
            table.push([vec![format!("{from}-{to}")], means.collect(), vec![lowest]].concat());
        }
        table
    }

    /// The means of each tenth as JSON.
    pub fn results(&self) -> Value {
        let names: Vec<_> = self.runs.iter().map(|run| &run.name).collect();
        let tenths = self.tenths.iter().map(|tenth| {
            let lowest = tenth.lowest().map(|run| &self.runs[run].name);
            json!({ "steps": tenth.steps, "means": tenth.means, "lowest": lowest })
        });
        json!({ "names": names, "tenths": tenths.collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(last: u64, loss: impl Fn(u64) -> f64) -> Series {
        Series { name: "run".into(), points: (1..=last).map(|step| (step as f64, loss(step))).collect() }
    }

    #[test]
    fn tenths_cover_every_step_once() {
        let tenths = tenths(&[run(25, |step| step as f64), run(11, |_| 7.0)]);
        assert_eq!(tenths.len(), 10);
        assert_eq!(tenths[0], Tenth { steps: [1, 2], means: vec![Some(1.5), Some(7.0)] });
        assert_eq!((tenths[0].lowest(), tenths[3].lowest()), (Some(0), Some(1)));
        for pair in tenths.windows(2) {
            assert_eq!(pair[0].steps[1] + 1, pair[1].steps[0]);
        }
        // The shorter run ends at step 11.
        assert_eq!((tenths[4].steps, tenths[4].means[1]), ([11, 12], Some(7.0)));
        assert_eq!((tenths[5].means[1], tenths[5].lowest()), (None, None));
        assert_eq!(tenths[9].steps[1], 25);
    }

    #[test]
    fn a_run_is_called_as_its_net() {
        let names = ["a/mine.safetensors.training/log.jsonl", "other/log.jsonl", "bn.jsonl", "log.jsonl"];
        assert_eq!(names.map(|path| name(Path::new(path))), ["mine", "other", "bn", "log"]);
    }
}
