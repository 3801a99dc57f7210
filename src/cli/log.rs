//! A log of losses in JSON lines.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use impasto::{Error, Result};

/// A log file. The first line creates it, so that a command that is refused leaves an older log unchanged. Each line is
/// flushed, so that an interrupted run leaves complete lines.
pub struct Log {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Log {
    /// A log that replaces an older one.
    pub fn new(path: &Path) -> Self {
        Log { path: path.into(), file: None }
    }

    /// A log that continues an older one. It keeps the lines for which `keep` returns true.
    pub fn keeping(path: &Path, keep: impl Fn(&serde_json::Value) -> bool) -> Result<Self> {
        let text = if path.exists() { std::fs::read_to_string(path) } else { Ok(String::new()) };
        let text = text.map_err(|error| Error::file("read", path, error))?;
        let kept = text.lines().filter(|line| serde_json::from_str(line).is_ok_and(|value| keep(&value)));
        let mut log = Log::new(path);
        for line in kept.collect::<Vec<_>>() {
            log.write_text(line)?;
        }
        Ok(log)
    }

    /// Appends one line.
    pub fn write(&mut self, line: &serde_json::Value) -> Result<()> {
        self.write_text(&line.to_string())
    }

    fn write_text(&mut self, line: &str) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = File::create(&self.path).map_err(|error| Error::file("create", &self.path, error))?;
                self.file.insert(BufWriter::new(file))
            }
        };
        let written = writeln!(file, "{line}").and_then(|()| file.flush());
        written.map_err(|error| Error::file("write", &self.path, error))
    }
}
