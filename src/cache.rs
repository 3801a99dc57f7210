//! The cache in the user's cache directory.

use std::path::PathBuf;

use crate::gpu::Cache;
use crate::io::atomic;
use crate::{Error, Result};

/// A cache of files in the user's cache directory: `~/.cache/impasto` on Linux, `~/Library/Caches/impasto` on macOS,
/// `%LOCALAPPDATA%\impasto\cache` on Windows.
#[derive(Clone, Debug)]
pub struct UserCache {
    folder: PathBuf,
}

impl UserCache {
    /// The user's cache; `None` if the home directory is unknown.
    pub fn new() -> Option<Self> {
        let directories = directories::ProjectDirs::from("", "", "impasto")?;
        Some(UserCache { folder: directories.cache_dir().into() })
    }
}

impl Cache for UserCache {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.join(name)).ok()
    }

    fn store(&self, name: &str, bytes: &[u8]) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(|error| Error::file("create", &self.folder, error))?;
        atomic::write(&self.folder.join(name), |file| std::io::Write::write_all(file, bytes))
    }
}
