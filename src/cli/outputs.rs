//! Which files a command may write.
//!
//! No command replaces a file unless `--overwrite` says so. The inputs of a command exist, so they are covered too.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use impasto::internal::atomic;
use impasto::{Error, Result};

/// The option `--overwrite`.
#[derive(Clone, Copy, Default, clap::Args)]
pub struct Overwrite {
    /// Replace output files that exist, even inputs of this command [default: refuse before any work]
    #[arg(long)]
    overwrite: bool,
}

impl Overwrite {
    /// Whether files may be replaced.
    pub fn is_allowed(self) -> bool {
        self.overwrite
    }

    /// Refuses a file that cannot be written, or exists and must not be replaced: to be called before any work.
    pub fn check(self, path: &Path) -> Result<()> {
        atomic::check_writable(path)?;
        self.check_absent(path)
    }

    /// Refuses a file that exists and must not be replaced: to be called again before a file is written, because another
    /// process may have made it meanwhile, or the disk may not tell upper from lower case.
    pub fn check_absent(self, path: &Path) -> Result<()> {
        match self.overwrite || path.symlink_metadata().is_err() {
            true => Ok(()),
            false => Err(exists(path, "choose another name, or replace it with --overwrite")),
        }
    }

    /// As [`check`](Self::check), for a picture, whose extension must select a format.
    pub fn check_picture(self, path: &Path) -> Result<()> {
        impasto::io::check_output(path)?;
        self.check(path)
    }

    /// Refuses several files, no two of which may be the same. `what` names their options.
    pub fn check_all(self, what: &str, paths: &[&Path]) -> Result<()> {
        for (index, path) in paths.iter().enumerate() {
            self.check(path)?;
            if paths[..index].contains(path) {
                return Err(Error::argument("outputs", what, "different files", path.display()));
            }
        }
        Ok(())
    }

    /// Refuses a folder that has files already, and creates a missing one.
    pub fn check_folder(self, folder: &Path) -> Result<()> {
        let occupied = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if occupied && !self.overwrite {
            let reason = io::Error::new(ErrorKind::DirectoryNotEmpty, "the folder is not empty");
            let help = "name a new folder, or replace its files with --overwrite";
            return Err(Error::file("write", folder, reason).with_help(help));
        }
        std::fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, error))
    }

    /// Refuses a series of numbered pictures `STEM-12345.EXT` beside `output` of which some exist.
    pub fn check_numbered(self, output: &Path) -> Result<()> {
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        match entries.find(|path| !self.overwrite && is_numbered(path, output)) {
            Some(path) => Err(exists(&path, "choose another --output, or replace it with --overwrite")),
            None => Ok(()),
        }
    }
}

fn is_numbered(path: &Path, output: &Path) -> bool {
    let [name, stem] = [path, output].map(|path| path.file_stem().unwrap_or_default().as_encoded_bytes());
    let number = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix(b"-"));
    path.extension() == output.extension() && number.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
}

fn exists(path: &Path, help: &str) -> Error {
    Error::file("write", path, io::Error::new(ErrorKind::AlreadyExists, "the file exists")).with_help(help)
}

/// The error that some of many results exist.
pub fn some_exist(existing: &[PathBuf], of: usize) -> Error {
    let [first, rest @ ..] = existing else { unreachable!("at least one file exists") };
    let help = match rest {
        [] => "keep it with --skip-existing, or replace it with --overwrite".to_string(),
        _ => format!(
            "{} of {of} results exist; keep them with --skip-existing, or replace them with --overwrite",
            existing.len()
        ),
    };
    exists(first, &help)
}
