//! Runs a stage as a process with a time limit.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use impasto::{Error, Result};

use super::record::{Record, State};
use super::stages::Stage;

/// A stage that gets less time than this is skipped: opening a device takes that long.
const LEAST: Duration = Duration::from_secs(1);

/// A line that a process has printed.
enum Line {
    Out(String),
    Err(String),
}

/// Sends the lines of a stream until its end.
fn forward(stream: impl Read + Send + 'static, sender: Sender<Line>, line_of: fn(String) -> Line) {
    thread::spawn(move || {
        let lines = BufReader::new(stream).split(b'\n').map_while(std::result::Result::ok);
        // Nobody listens after the end of the time.
        for line in lines {
            if sender.send(line_of(String::from_utf8_lossy(&line).into_owned())).is_err() {
                return;
            }
        }
    });
}

/// Runs stage `index` for at most `limit` and records what it prints, line by line.
///
/// # Errors
/// Only a record that cannot be written. What goes wrong in the stage is recorded.
pub fn run(record: &mut Record, index: usize, stage: &Stage, limit: Duration) -> Result<()> {
    let began = Instant::now();
    let skip = stage.skip.clone().or_else(|| {
        (limit < LEAST).then(|| format!("{:.1} s are left for it, it needs {} s", limit.as_secs_f64(), LEAST.as_secs()))
    });
    if let Some(reason) = skip {
        let measured = &mut record.stages[index];
        (measured.state, measured.reason) = (State::Skipped, Some(reason));
        return record.save();
    }
    record.stages[index].state = State::Running;
    record.stages[index].limit_seconds = limit.as_secs_f64();
    record.save()?;
    let (state, reason) = match supervised(record, index, stage, began + limit) {
        Ok(Ended::Within) => (State::Done, None),
        Ok(Ended::Failed(reason)) => (State::Failed, Some(reason)),
        Ok(Ended::Late) => (State::Stopped, Some(format!("its time of {:.1} s was over", limit.as_secs_f64()))),
        Err(error) => (State::Failed, Some(error.to_string())),
    };
    let measured = &mut record.stages[index];
    (measured.state, measured.reason, measured.seconds) = (state, reason, began.elapsed().as_secs_f64());
    record.save()
}

enum Ended {
    Within,
    Late,
    Failed(String),
}

fn supervised(record: &mut Record, index: usize, stage: &Stage, until: Instant) -> Result<Ended> {
    let program = match &stage.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().map_err(|error| Error::Device(error.into()))?,
    };
    let folder = tempfile::tempdir().map_err(|error| Error::file("create", &std::env::temp_dir(), error))?;
    let file = folder.path().join("results.json");
    let mut command = Command::new(&program);
    command.args(&stage.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(option) = stage.file_option {
        command.arg(option).arg(&file);
    }
    let mut child = command.spawn().map_err(|error| Error::file("run", &program, error))?;
    let (sender, lines) = mpsc::channel();
    forward(child.stdout.take().expect("a pipe"), sender.clone(), Line::Out);
    forward(child.stderr.take().expect("a pipe"), sender, Line::Err);
    let mut last = String::new();
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Line::Out(line)) => {
                if let Ok(value) = serde_json::from_str::<serde_json::Value>(&line) {
                    record.stages[index].lines.push(value);
                    saved_or_ended(record, &mut child)?;
                }
            }
            Ok(Line::Err(line)) if !line.trim().is_empty() => last = line,
            Ok(Line::Err(_)) => {}
            Err(RecvTimeoutError::Timeout) => {
                end(&mut child);
                return Ok(Ended::Late);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait().map_err(|error| Error::file("run", &program, error))?;
    if stage.file_option.is_some() {
        let text = std::fs::read(&file).unwrap_or_default();
        record.stages[index].lines.extend(serde_json::from_slice::<serde_json::Value>(&text).ok());
    }
    Ok(match status.success() {
        true => Ended::Within,
        false => Ended::Failed(format!("{status}: {last}")),
    })
}

/// Saves the record; a process whose results cannot be written is ended.
fn saved_or_ended(record: &Record, child: &mut Child) -> Result<()> {
    record.save().inspect_err(|_| end(child))
}

fn end(child: &mut Child) {
    // A process that has ended already is not an error.
    let _ = child.kill();
    let _ = child.wait();
}
