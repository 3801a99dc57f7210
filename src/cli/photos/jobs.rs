//! Which photos a command paints, and the files of the results.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use impasto::io;
use impasto::train::Found;
use impasto::{Error, Result};

use super::PhotoArgs;
use crate::cli::outputs::some_exist;
use crate::cli::standard::is_standard;
use crate::cli::stylize::suffixed;

/// A photo and its results: the number of a look, and the file.
pub struct Job {
    pub photo: PathBuf,
    pub outputs: Vec<(usize, PathBuf)>,
}

/// The work of a command.
#[derive(Default)]
pub struct Jobs {
    pub jobs: Vec<Job>,
    /// Results that exist and are kept.
    pub skipped: Vec<(PathBuf, PathBuf)>,
    /// Folders and files that cannot be read.
    pub unreadable: Vec<(PathBuf, Error)>,
}

impl Jobs {
    /// The number of results to paint.
    pub fn count(&self) -> usize {
        self.jobs.iter().map(|job| job.outputs.len()).sum()
    }
}

fn refuse<T>(command: &str, argument: &str, expected: &str, got: &Path) -> Result<T> {
    Err(Error::argument(command, argument, expected, got.display()))
}

/// Whether the text of a path ends in a separator, as that of a folder may.
fn names_a_folder(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|last| std::path::is_separator(char::from(*last)))
}

/// Refuses a photo or folder that does not exist before anything is said about the output.
fn check_exists(photo: &Path) -> Result<()> {
    if is_standard(photo) {
        return Ok(());
    }
    let found = std::fs::metadata(photo);
    found.map(drop).map_err(|error| Error::file("read", photo, error).with_help("check the path"))
}

/// The file of a single photo's result. If `output` is a folder, the result has the name of the photo, and a missing
/// folder is created.
pub fn single(command: &str, photo: &Path, output: &Path) -> Result<PathBuf> {
    check_exists(photo)?;
    let mut file = output.to_path_buf();
    if is_standard(output) {
        return Ok(file);
    }
    if is_standard(photo) && (output.is_dir() || names_a_folder(output)) {
        return refuse(command, "--output", "a file for a photo from standard input", output);
    }
    if output.is_dir() || names_a_folder(output) {
        file = with_format(output.join(photo.file_name().unwrap_or_default()));
        std::fs::create_dir_all(output).map_err(|error| Error::file("create", output, error))?;
    }
    io::check_output(&file)?;
    Ok(file)
}

/// A path whose extension selects an output format: that of the photo if possible, else PNG.
fn with_format(mut path: PathBuf) -> PathBuf {
    if !io::can_be_written(&path) {
        path.set_extension("png");
    }
    path
}

/// The jobs of a command: one photo with one output file, or several photos (a folder counts as several) with an output
/// folder. With `looks`, each photo has one result per look in a folder, named after the photo and the look.
///
/// Results that exist are refused, skipped or replaced, as the command says.
pub fn jobs(command: &str, args: &PhotoArgs, looks: Option<&[String]>) -> Result<Jobs> {
    let mut all = match (&args.photos[..], looks) {
        ([photo], None) if !photo.is_dir() => {
            let outputs = vec![(0, single(command, photo, &args.output)?)];
            Jobs { jobs: vec![Job { photo: photo.clone(), outputs }], ..Jobs::default() }
        }
        _ => many(command, args, looks)?,
    };
    let exists = |path: &Path| !is_standard(path) && path.symlink_metadata().is_ok();
    if args.skip_existing {
        for job in &mut all.jobs {
            let (kept, missing) = std::mem::take(&mut job.outputs).into_iter().partition(|(_, path)| exists(path));
            job.outputs = missing;
            let kept: Vec<(usize, PathBuf)> = kept;
            all.skipped.extend(kept.into_iter().map(|(_, output)| (job.photo.clone(), output)));
        }
        all.jobs.retain(|job| !job.outputs.is_empty());
    } else if !args.overwrite.is_allowed() {
        let outputs = all.jobs.iter().flat_map(|job| &job.outputs).map(|(_, path)| path);
        let existing: Vec<_> = outputs.filter(|path| exists(path)).cloned().collect();
        if !existing.is_empty() {
            return Err(some_exist(&existing, all.count()));
        }
    }
    Ok(all)
}

fn many(command: &str, args: &PhotoArgs, looks: Option<&[String]>) -> Result<Jobs> {
    let folder = &args.output;
    if let Some(standard) = args.photos.iter().chain([folder]).find(|path| is_standard(path)) {
        return refuse(command, "PHOTO and --output", "files and folders for several pictures", standard);
    }
    args.photos.iter().try_for_each(|photo| check_exists(photo))?;
    let is_file = folder.exists() || io::can_be_written(folder);
    if is_file && !folder.is_dir() {
        return refuse(command, "--output", "a folder for several pictures", folder);
    }
    let mut all = Jobs::default();
    let mut taken: HashMap<PathBuf, PathBuf> = HashMap::new();
    for root in &args.photos {
        let mut found = Found { files: vec![root.clone()], ..Found::default() };
        if root.is_dir() {
            // The next run would paint the results again.
            if !args.overwrite.is_allowed() && is_same(root, folder) {
                return refuse(command, "--output", "a folder other than that of the photos", folder);
            }
            found = Found::under(root, Some(folder));
            found.warn(root, false);
            if let Some(error) = found.nothing(root) {
                return Err(error);
            }
        }
        all.unreadable.extend(found.unreadable);
        for photo in found.files {
            // Results keep the subfolders of the photos, so that equal names do not collide.
            let inside = photo.strip_prefix(root).ok().filter(|inside| inside.file_name().is_some());
            let name = inside.unwrap_or_else(|| Path::new(photo.file_name().unwrap_or_default()));
            let output = with_format(folder.join(name));
            let outputs: Vec<_> = match looks {
                None => vec![(0, output)],
                Some(looks) => looks.iter().map(|look| suffixed(&output, look)).enumerate().collect(),
            };
            for (_, output) in &outputs {
                if let Some(other) = taken.insert(output.clone(), photo.clone()) {
                    let other = other.display();
                    let expected =
                        format!("photos of different names, because the result of {other} would be overwritten");
                    return refuse(command, "PHOTO", &expected, &photo);
                }
            }
            all.jobs.push(Job { photo, outputs });
        }
    }
    Ok(all)
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((std::fs::canonicalize(a), std::fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
