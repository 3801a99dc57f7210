//! A log of losses in JSON lines.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use impasto::{Error, Result};

/// A log file. The first line creates it, so that a command that is refused leaves an older log unchanged. Each line is
/// written at once, so that an interrupted run or a full disk leaves complete lines.
pub struct Log {
    path: PathBuf,
    /// The file, and the length of its complete lines.
    file: Option<(File, u64)>,
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
        let (file, length) = match &mut self.file {
            Some(file) => file,
            None => {
                let file = File::create(&self.path).map_err(|error| Error::file("create", &self.path, error))?;
                self.file.insert((file, 0))
            }
        };
        let line = format!("{line}\n");
        match file.write_all(line.as_bytes()) {
            Ok(()) => {
                *length += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Removes the part of the line that the disk had space for. If even this fails, that part stays.
                let _ = file.set_len(*length);
                Err(Error::file("write", &self.path, error))
            }
        }
    }
}
