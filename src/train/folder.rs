//! The search for picture files in folders.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

use super::Folder;
use crate::{Cause, Error, Result};

/// File extensions that count as pictures.
const ENDINGS: &[&str] = &[
    "png",
    "jpg",
    "jpeg",
    "jpe",
    "jfif",
    "webp",
    "tif",
    "tiff",
    #[cfg(feature = "jxl")]
    "jxl",
    #[cfg(feature = "avif")]
    "avif",
];

/// Extensions of pictures that cannot be decoded. They are counted, so that nobody misses them silently.
const OTHERS: [&str; 18] = [
    "heic", "heif", "avif", "jxl", "gif", "bmp", "psd", "dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf", "jp2",
    "exr", "hdr",
];

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// The pictures, sorted by path.
    pub files: Vec<PathBuf>,
    /// How many pictures of each format that cannot be decoded were passed over, by extension.
    pub passed_over: BTreeMap<String, usize>,
    /// Folders and files that cannot be read, with the reason.
    pub unreadable: Vec<(PathBuf, Error)>,
}

impl Found {
    /// Finds all files with a picture extension (png, jpg, jpeg, jpe, jfif, webp, tif, tiff, and with the features of
    /// these names jxl and avif; in either case) under `root`, a folder (searched recursively) or a single file.
    ///
    /// Symbolic links are followed. Files and folders inside `root` whose names begin with a dot are left out, such as
    /// macOS's `._photo.jpg` and the folder `.thumbs`. So is the folder `without`, if it lies inside `root`.
    pub fn under(root: &Path, without: Option<&Path>) -> Found {
        let without = without.and_then(|folder| fs::canonicalize(folder).ok());
        let is_left_out = |entry: &DirEntry| {
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let is_without = || without.is_some() && fs::canonicalize(entry.path()).ok() == without;
            entry.depth() > 0 && (is_hidden || (entry.file_type().is_dir() && is_without()))
        };
        let mut found = Found::default();
        for entry in WalkDir::new(root).follow_links(true).into_iter().filter_entry(|entry| !is_left_out(entry)) {
            match entry {
                Ok(entry) if entry.file_type().is_file() => found.add(entry.into_path()),
                Ok(_) => {}
                Err(error) if error.loop_ancestor().is_some() || leads_nowhere(&error) => {
                    tracing::debug!("skipped: {error}");
                }
                Err(error) => {
                    let path = error.path().unwrap_or(root).to_owned();
                    let whole = error.to_string();
                    let source = error.into_io_error().map_or_else(|| whole.into(), Cause::from);
                    let error = Error::file("read", &path, source).with_help("check the path and its permissions");
                    found.unreadable.push((path, error));
                }
            }
        }
        found.files.sort();
        found
    }

    fn add(&mut self, file: PathBuf) {
        let ending = file.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if ENDINGS.contains(&ending.as_str()) {
            self.files.push(file);
        } else if OTHERS.contains(&ending.as_str()) {
            *self.passed_over.entry(ending).or_default() += 1;
        }
    }

    /// Warns of what was passed over and, if `unreadable` is true, of what could not be read.
    pub fn warn(&self, root: &Path, unreadable: bool) {
        if !self.passed_over.is_empty() {
            let counts: Vec<_> = self.passed_over.iter().map(|(ending, count)| format!("{count} .{ending}")).collect();
            let counts = counts.join(", ");
            tracing::warn!("{}: passed over {counts}; convert them to PNG, JPEG, WebP or TIFF", root.display());
        }
        for (_, error) in self.unreadable.iter().filter(|_| unreadable) {
            tracing::warn!("{error}");
        }
    }

    /// The error of a search under `root` that found no picture; `None` if it found one.
    pub fn nothing(&mut self, root: &Path) -> Option<Error> {
        if !self.files.is_empty() {
            return None;
        }
        Some(if self.unreadable.is_empty() {
            let reason = format!("it holds no picture ({})", ENDINGS.join(", "));
            Error::file("read", root, reason).with_help("name a folder that does")
        } else {
            self.unreadable.swap_remove(0).1
        })
    }
}

/// Whether the error concerns a symbolic link inside a folder that is dangling or points to itself.
fn leads_nowhere(error: &walkdir::Error) -> bool {
    let is_denied = error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    error.depth() > 0 && !is_denied && error.path().is_some_and(Path::is_symlink)
}

impl Folder {
    /// Finds all pictures under `roots`, as [`Found::under`] does, and warns of what cannot be read or decoded.
    ///
    /// The order is that of `roots`, and sorted by path within each root, so it is the same on every machine. Duplicate
    /// paths count once.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for a root that does not exist or contains no picture that can be read; [`Error::Argument`] if
    /// `roots` is empty.
    pub fn scan(roots: &[PathBuf]) -> Result<Self> {
        let mut files = Vec::new();
        let mut seen = HashSet::new();
        for root in roots {
            let mut found = Found::under(root, None);
            if let Some(error) = found.nothing(root) {
                return Err(error);
            }
            found.warn(root, true);
            files.extend(found.files.into_iter().filter(|path| seen.insert(path.clone())));
        }
        if files.is_empty() {
            return Err(Error::argument("Folder::scan", "roots", "at least one folder of pictures", "none"));
        }
        Ok(Folder::of_files(files))
    }

    /// Splits off a hold-out set: keeps (`held_out` true) or drops (false) the pictures whose number is divisible by
    /// `n`. Two calls with the same `n` therefore give a test set and a training set.
    ///
    /// A picture's number is the last run of digits in its file stem: 139 for `000000000139.jpg`. Pictures without a
    /// number are never held out.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if `n` is 0 or no picture is left.
    pub fn hold_out(self, n: u64, held_out: bool) -> Result<Self> {
        let refused = |expected: &str, got: String| Err(Error::argument("pictures", "hold-out", expected, got));
        if n == 0 {
            return refused("at least 1", "0".into());
        }
        let (mut files, before) = (self.files().to_vec(), self.len());
        files.retain(|path| is_divisible(path, n) == held_out);
        if files.is_empty() {
            let side = if held_out { "held out" } else { "to train with" };
            return refused("a number that leaves some pictures", format!("{n}: none of {before} is {side}"));
        }
        Ok(Folder::of_files(files))
    }
}

/// Whether the last run of digits in the file stem, of any length, is divisible by `n`.
fn is_divisible(path: &Path, n: u64) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let head = name.trim_end_matches(|character: char| !character.is_ascii_digit());
    let digits = &head[head.trim_end_matches(|character: char| character.is_ascii_digit()).len()..];
    let remainder = digits.bytes().fold(0, |sum, digit| (sum * 10 + u128::from(digit - b'0')) % u128::from(n));
    !digits.is_empty() && remainder == 0
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
