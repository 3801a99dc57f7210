//! The loss curve as JSON lines.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use impasto::{Error, Result};

/// An open log; every line is on disk once written, so that an interrupted run leaves a whole file.
pub struct Log {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Log {
    /// Starts a log, replacing an older one.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|error| Error::file("create", path, error))?;
        Ok(Log { path: path.into(), file: BufWriter::new(file) })
    }

    /// Appends one line.
    pub fn write(&mut self, line: &serde_json::Value) -> Result<()> {
        let written = writeln!(self.file, "{line}").and_then(|()| self.file.flush());
        written.map_err(|error| Error::file("write", &self.path, error))
    }
}
