//! Reading of whole files, and messages about what is in them.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::Path,
};

use crate::{Cause, Error, Result};

/// Maximum file size in bytes: limits the memory that a sparse or endless file can occupy.
const LARGEST_FILE: u64 = 8 << 30;

/// Reads a whole file of at most [`LARGEST_FILE`] bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let refused =
        |kind, reason: &str, help: &str| Err(Error::file("read", path, io::Error::new(kind, reason)).with_help(help));
    let failed = |error: io::Error| {
        let help = match error.kind() {
            ErrorKind::NotFound => "check the path",
            ErrorKind::PermissionDenied => "make it readable (`chmod +r`) or copy it elsewhere",
            _ => return Error::file("read", path, error),
        };
        Error::file("read", path, error).with_help(help)
    };
    let too_large = || refused(ErrorKind::FileTooLarge, "it is larger than 8 GiB", "use a smaller file");
    if path.is_dir() {
        return refused(ErrorKind::IsADirectory, "it is a directory", "name a file in it");
    }
    let file = File::open(path).map_err(failed)?;
    let claimed = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::new();
    if claimed > LARGEST_FILE {
        return too_large();
    }
    if bytes.try_reserve_exact(claimed as usize).is_err() {
        let help = "close other programs or use a smaller file";
        return refused(ErrorKind::OutOfMemory, "not enough memory to hold it", help);
    }
    // Pipes and devices report no length, so the limit also applies to reading.
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return too_large();
    }
    Ok(bytes)
}

/// Why the content of a file is refused, and the remedy.
pub(super) type Refusal = (Cause, &'static str);

/// The remedy for a damaged weight file.
pub(super) const AGAIN: &str = "fetch it again";

pub(super) fn refusal(reason: impl Into<Cause>, help: &'static str) -> Refusal {
    (reason.into(), help)
}

/// Quotes a name from a file for an error message, with control characters escaped and long names truncated.
pub(super) fn quoted(name: &str) -> String {
    let short: String = name.chars().take(100).collect();
    let dots = if short.len() < name.len() { "..." } else { "" };
    format!("`{}{dots}`", short.escape_debug())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn missing_files_and_directories_are_named() {
        let kind = |error: &Error| error.source()?.downcast_ref().map(io::Error::kind);
        let directory = tempfile::tempdir().unwrap();
        let error = read(&directory.path().join("missing.png")).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("missing.png: ") && message.ends_with("; check the path"), "{message}");
        assert_eq!(kind(&error), Some(ErrorKind::NotFound));
        let error = read(directory.path()).unwrap_err();
        assert!(error.to_string().ends_with("it is a directory; name a file in it"), "{error}");
        assert_eq!(kind(&error), Some(ErrorKind::IsADirectory));
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
