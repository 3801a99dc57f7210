//! The pictures that a training or an evaluation reads.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{Error, Result, io::Picture};

/// The picture files of one or more folders, or pictures in memory. Never empty, except for [`Folder::default`].
#[derive(Clone, Debug, Default)]
pub struct Folder {
    files: Vec<PathBuf>,
    /// The pictures, if they are in memory; `files` then has a name for each.
    pictures: Arc<[Picture]>,
    /// Whether an unreadable file was already reported: one warning for all loaders that share the folder.
    warned: Arc<AtomicBool>,
}

#[allow(clippy::len_without_is_empty, reason = "it is never empty")]
impl Folder {
    #[cfg(any(feature = "train", test))]
    pub(super) fn of_files(files: Vec<PathBuf>) -> Self {
        Folder { files, ..Folder::default() }
    }

    /// Pictures in memory, RGB 0..1. In messages, they are called "picture 1" and so on.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if there is no picture, or planes do not have the size of their picture.
    pub fn of_pictures(pictures: Vec<Picture>) -> Result<Self> {
        if pictures.is_empty() {
            return Err(Error::argument("Folder::of_pictures", "pictures", "at least one picture", "none"));
        }
        pictures.iter().try_for_each(|picture| picture.check("Folder::of_pictures", "pictures"))?;
        let files = (1..=pictures.len()).map(|number| format!("picture {number}").into()).collect();
        Ok(Folder { files, pictures: pictures.into(), warned: Arc::default() })
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The files, in the order of [`Folder::scan`].
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The picture with that number.
    pub(super) fn load(&self, index: usize) -> Result<Picture> {
        // Without the other trainings there are no files, and the decoders are left out of a small build.
        #[cfg(feature = "train")]
        if self.pictures.is_empty() {
            return Picture::load(&self.files[index]);
        }
        Ok(self.pictures[index].clone())
    }

    /// Whether this is the first call, by all that share the folder.
    pub(super) fn warns_first(&self) -> bool {
        !self.warned.swap(true, Ordering::Relaxed)
    }
}
