//! The results, and the file that has them.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use impasto::gpu::Details;
use impasto::internal::atomic;
use impasto::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::stages::Stage;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Waiting,
    Running,
    Done,
    /// The time was over; what was measured until then is kept.
    Stopped,
    Skipped,
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            State::Waiting => "waiting",
            State::Running => "running",
            State::Done => "done",
            State::Stopped => "stopped",
            State::Skipped => "skipped",
            State::Failed => "failed",
        })
    }
}

/// What a stage has measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    pub name: String,
    pub precision: Option<String>,
    /// The process, as it would be typed.
    pub command: String,
    pub state: State,
    /// Why it was skipped or stopped, or how it failed.
    pub reason: Option<String>,
    /// The most time that it was given.
    pub limit_seconds: f64,
    pub seconds: f64,
    /// Lines of JSON as they were printed. The last one of a stage that is done has all figures.
    pub lines: Vec<Value>,
}

impl Measured {
    /// Everything that a stage which is done has printed; null for others.
    pub fn result(&self) -> &Value {
        let is_whole = matches!(self.state, State::Done | State::Failed);
        self.lines.last().filter(|_| is_whole).unwrap_or(&Value::Null)
    }

    /// The figures with this name in the whole result, or those that were printed before the stage was ended.
    pub fn figures(&self, name: &str) -> Vec<Value> {
        match self.result()[name].as_array() {
            Some(all) => all.clone(),
            None => self.lines.clone(),
        }
    }
}

/// All results.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    #[serde(skip)]
    path: PathBuf,
    /// Date and time of the start.
    pub began: String,
    pub minutes: f64,
    pub dry_run: bool,
    /// Adapter, driver, features, limits and versions.
    pub details: Value,
    pub stages: Vec<Measured>,
}

impl Record {
    pub fn new(path: &Path, details: &Details, minutes: f64, dry_run: bool, stages: &[Stage]) -> Self {
        let measured = |stage: &Stage| Measured {
            name: stage.name.clone(),
            precision: stage.precision.map(String::from),
            command: {
                let program = stage.program.as_ref().map_or("impasto".into(), |program| program.display().to_string());
                let quoted = |word: &String| if word.contains(' ') { format!("'{word}'") } else { word.clone() };
                [vec![program], stage.arguments.iter().map(quoted).collect()].concat().join(" ")
            },
            state: State::Waiting,
            reason: None,
            limit_seconds: 0.0,
            seconds: 0.0,
            lines: Vec::new(),
        };
        Record {
            path: path.into(),
            began: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            minutes,
            dry_run,
            details: json!(details),
            stages: stages.iter().map(measured).collect(),
        }
    }

    /// Writes the file.
    pub fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::file("write", &self.path, error))?;
        atomic::write(&self.path, |file| file.write_all(text.as_bytes()))
    }

    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|error| Error::file("read", path, error))?;
        serde_json::from_slice(&text).map_err(|error| {
            Error::file("read", path, error).with_help("name a file that `impasto gpu-day` has written")
        })
    }
}
