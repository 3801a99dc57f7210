//! The loss curve as JSON lines.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use impasto::{Error, Result};

/// A log, whose file is made by the first line: work that is refused leaves an older log as it was. Every line is on disk
/// once written, so that an interrupted run leaves whole lines.
pub struct Log {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Log {
    /// A log that will replace an older one.
    pub fn new(path: &Path) -> Self {
        Log { path: path.into(), file: None }
    }

    /// Appends one line.
    pub fn write(&mut self, line: &serde_json::Value) -> Result<()> {
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
