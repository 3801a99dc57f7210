//! Atomic file output.

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{Cause, Error, Result};

/// Writes a file atomically: to a temporary file in the same directory, which is then renamed.
///
/// `fill` writes the content; flush, sync to disk and rename follow. If any step fails, an existing file at `path` is
/// unchanged and the temporary file is removed. Symbolic links are followed. A replaced file keeps its permissions; a
/// new file has those of the umask.
///
/// # Errors
///
/// [`Error::File`], with advice, if the directory is missing or not writable, `path` is a directory, a device or a
/// read-only file, the disk is full, or `fill` fails.
pub fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<()> {
    let target = resolve(path);
    let temporary = create_beside(&target)?;
    let failed = |error| failure(&target, error);
    let mut writer = BufWriter::with_capacity(1 << 16, temporary.as_file());
    fill(&mut writer).and_then(|()| writer.flush()).map_err(failed)?;
    drop(writer);
    if let Ok(replaced) = fs::metadata(&target) {
        temporary.as_file().set_permissions(replaced.permissions()).map_err(failed)?;
    }
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(&target).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Checks whether [`write()`] can write `path`, without leaving a file behind: to be called before a long computation.
///
/// # Errors
///
/// Those of [`write()`] that can be detected beforehand.
pub fn check_writable(path: &Path) -> Result<()> {
    create_beside(&resolve(path)).map(drop)
}

/// The folder in which [`write()`] makes a file, or the nearest one above it that exists, and the bytes that are free there;
/// `None` if the system does not tell.
pub fn free_space(path: &Path) -> Option<(PathBuf, u64)> {
    let target = resolve(path);
    let mut folders = directory_of(&target).ancestors().map(|folder| match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    });
    let folder = folders.find(|folder| folder.is_dir())?;
    #[cfg(any(unix, windows))]
    let free = fs4::available_space(folder).ok();
    #[cfg(not(any(unix, windows)))]
    let free = None;
    Some((folder.into(), free?))
}

/// The target of a symbolic link: a rename to the link's own path would replace the link.
fn resolve(path: &Path) -> PathBuf {
    if path.is_symlink() { fs::canonicalize(path).unwrap_or_else(|_| path.into()) } else { path.into() }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn create_beside(path: &Path) -> Result<NamedTempFile> {
    let refused = |kind, reason, help| Err(refusal(path, kind, reason, help));
    if path.file_name().is_none() {
        return refused(ErrorKind::InvalidInput, "the path names no file", "add a file name");
    }
    match fs::metadata(path) {
        Ok(old) if old.is_dir() => {
            return refused(ErrorKind::IsADirectory, "it is a directory", "name a file in it");
        }
        Ok(old) if !old.is_file() => {
            return refused(ErrorKind::InvalidInput, "it is not an ordinary file", "choose another name");
        }
        Ok(old) if old.permissions().readonly() => {
            return refused(ErrorKind::PermissionDenied, "it is read-only", "choose another name");
        }
        // The temporary file's name is short, so a long name would be noticed only after the work.
        Err(error) if error.kind() == ErrorKind::InvalidFilename => {
            return refused(error.kind(), "the name is too long for this disk", "choose a shorter name");
        }
        _ => {}
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".impasto-");
    #[cfg(unix)]
    {
        // The default mode of temporary files is private. This file will become an ordinary one, and the umask still
        // applies.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory_of(path)).map_err(|error| failure(path, error))
}

fn refusal(path: &Path, kind: ErrorKind, reason: impl Into<Cause>, help: &str) -> Error {
    Error::file("write", path, io::Error::new(kind, reason)).with_help(help)
}

/// The error of a kind that is known is put into other words, because it may name the temporary file.
fn failure(path: &Path, error: io::Error) -> Error {
    let parent = directory_of(path);
    let directory = parent.display();
    let (reason, help) = match error.kind() {
        ErrorKind::NotFound if parent.exists() => {
            (format!("no file can be created in {directory}"), "choose another directory")
        }
        ErrorKind::NotFound => (format!("the directory {directory} does not exist"), "create it first"),
        ErrorKind::NotADirectory => (format!("{directory} is not a directory"), "choose another path"),
        ErrorKind::PermissionDenied => (format!("no permission to write in {directory}"), "choose another directory"),
        ErrorKind::ReadOnlyFilesystem => (format!("{directory} is on a read-only disk"), "choose another directory"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            (format!("no space is left in {directory}"), "free some or choose another disk")
        }
        _ => return Error::file("write", path, error),
    };
    refusal(path, error.kind(), reason, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn writes_and_replaces() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        write(&path, |file| file.write_all(b"one")).unwrap();
        write(&path, |file| file.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(directory.path()), ["a.txt"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        fs::write(&path, b"old").unwrap();
        let error = write(&path, |file| {
            file.write_all(b"half")?;
            Err(ErrorKind::StorageFull.into())
        })
        .unwrap_err()
        .to_string();
        assert!(error.contains("a.txt") && error.contains("free some"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["a.txt"]);
    }

    #[test]
    fn unusable_places_are_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let message = |path: &Path| check_writable(path).unwrap_err().to_string();
        assert!(message(&directory.path().join("none/a.txt")).contains("does not exist; create it"));
        assert!(message(directory.path()).contains("is a directory"));
        assert!(message(Path::new("..")).contains("names no file"));
        assert!(message(&directory.path().join("a".repeat(300))).contains("choose a shorter name"));
        let file = directory.path().join("file");
        fs::write(&file, b"old").unwrap();
        assert!(message(&file.join("a.txt")).contains("is not a directory"));
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&file, permissions).unwrap();
        assert!(message(&file).contains("read-only"));
        check_writable(&directory.path().join("new.txt")).unwrap();
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_devices_and_permissions_are_respected() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let [plain, target, link] = ["plain", "target", "link"].map(|name| directory.path().join(name));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

        // Written files have the permissions of ordinary new files.
        File::create(&plain).unwrap();
        write(&target, |file| file.write_all(b"one")).unwrap();
        assert_eq!(mode(&target), mode(&plain));

        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&target, &link).unwrap();
        write(&link, |file| file.write_all(b"two")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"two");
        assert_eq!(mode(&target), 0o640);

        let message = check_writable(Path::new("/dev/null")).unwrap_err().to_string();
        assert!(message.contains("not an ordinary file"), "{message}");
    }
}
