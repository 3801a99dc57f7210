//! Small JSON files in the user's data directory, such as what was measured on an adapter.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::io::atomic;
use crate::{Error, Result};

/// The user's data directory. `None` if the home directory is unknown.
pub fn folder() -> Option<PathBuf> {
    Some(directories::ProjectDirs::from("", "", "impasto")?.data_dir().into())
}

/// The file `name` in the user's data directory. `None` if the home directory is unknown.
pub fn file(name: &str) -> Option<PathBuf> {
    Some(folder()?.join(name))
}

/// [`file`], or an error that says why there is none.
pub fn known_file(name: &str) -> Result<PathBuf> {
    file(name).ok_or_else(|| {
        let folder = Path::new("the user's data directory");
        Error::file("find", folder, "the home directory is not known").with_help("set HOME")
    })
}

/// Reads the file; `None` if it is missing or malformed. `remedy` says how to replace a malformed one.
pub fn load<T: DeserializeOwned>(path: &Path, remedy: &str) -> Option<T> {
    let text = std::fs::read(path).ok()?;
    match serde_json::from_slice(&text) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::warn!("{} is ignored: {error}; {remedy}", path.display());
            None
        }
    }
}

/// Writes the file, or removes it if there is no value.
pub fn store<T: Serialize>(path: &Path, value: Option<&T>) -> Result<()> {
    let Some(value) = value else {
        return match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path, error)),
            _ => Ok(()),
        };
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, error))?;
    }
    atomic::write(path, |file| Ok(serde_json::to_writer_pretty(file, value)?))
}
