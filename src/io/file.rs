//! Reading of whole files, and quoting of names from files in messages.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::Path,
};

use crate::{Error, Result};

/// Maximum file size in bytes: limits the memory that a sparse or endless file can occupy.
const LARGEST_FILE: u64 = 8 << 30;

/// Reads a whole file of at most [`LARGEST_FILE`] bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let refused = |reason: &str| Err(Error::file("read", path, reason));
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => Error::file("read", path, "there is no such file; check the path"),
        ErrorKind::PermissionDenied => {
            Error::file("read", path, "permission denied; make it readable (`chmod +r`) or copy it elsewhere")
        }
        _ => Error::file("read", path, error),
    };
    if path.is_dir() {
        return refused("it is a directory; name a file in it");
    }
    let file = File::open(path).map_err(failed)?;
    let claimed = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::new();
    if claimed > LARGEST_FILE {
        return refused("it is larger than 8 GiB; use a smaller file");
    }
    if bytes.try_reserve_exact(claimed as usize).is_err() {
        return refused("not enough memory to hold it; close other programs or use a smaller file");
    }
    // Pipes and devices report no length, so the limit also applies to reading.
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return refused("it is larger than 8 GiB; use a smaller file");
    }
    Ok(bytes)
}

/// Quotes a name from a file for an error message, with control characters escaped and long names truncated.
pub(super) fn quoted(name: &str) -> String {
    let short: String = name.chars().take(100).collect();
    let dots = if short.len() < name.len() { "..." } else { "" };
    format!("`{}{dots}`", short.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_files_and_directories_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing.png");
        let message = read(&missing).unwrap_err().to_string();
        assert!(message.contains("missing.png") && message.contains("no such file"), "{message}");
        let message = read(directory.path()).unwrap_err().to_string();
        assert!(message.contains("directory"), "{message}");
    }

    #[test]
    fn a_sparse_giant_is_refused_before_it_is_allocated() {
        let file = tempfile::NamedTempFile::new().unwrap();
        if file.as_file().set_len(LARGEST_FILE + 1).is_err() {
            return; // the file system has no sparse files of that length
        }
        let message = read(file.path()).unwrap_err().to_string();
        assert!(message.contains("8 GiB"), "{message}");
    }

    #[test]
    fn quoted_names_are_short_and_printable() {
        assert_eq!(quoted("conv1_1.weight"), "`conv1_1.weight`");
        assert_eq!(quoted("\u{1b}[31m"), "`\\u{1b}[31m`");
        assert!(quoted(&"x".repeat(5000)).len() < 120);
    }
}
