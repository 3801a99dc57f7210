//! Pictures from standard input and to standard output, for which the command line has `-`.

use std::io::{self, Read, Write};
use std::path::Path;

use impasto::io::{CompactPicture, Metadata, Picture, SaveOptions};
use impasto::{Error, Result};

/// Name of standard input in messages.
const INPUT: &str = "standard input";

/// Whether a path stands for standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// The bytes of standard input.
fn input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Error::file("read", Path::new(INPUT), error))?;
    Ok(bytes)
}

/// The photo in a file or in standard input. A photo that will be resized to a longer side of `size` may be reduced.
pub fn load(path: &Path, size: Option<usize>) -> Result<(CompactPicture, Metadata)> {
    match size {
        _ if is_standard(path) => CompactPicture::from_bytes(INPUT, &input()?),
        Some(size) => CompactPicture::load_for_size(path, size),
        None => CompactPicture::load(path),
    }
}

/// [`load`] as planes of f32.
pub fn load_picture(path: &Path) -> Result<(Picture, Metadata)> {
    match is_standard(path) {
        true => Picture::from_bytes(INPUT, &input()?),
        false => Picture::load_with_metadata(path),
    }
}

/// A picture that can be written.
pub trait Saved {
    fn save_with(&self, path: &Path, options: &SaveOptions) -> Result<()>;
}

impl Saved for Picture {
    fn save_with(&self, path: &Path, options: &SaveOptions) -> Result<()> {
        Picture::save_with(self, path, options)
    }
}

impl Saved for CompactPicture {
    fn save_with(&self, path: &Path, options: &SaveOptions) -> Result<()> {
        CompactPicture::save_with(self, path, options)
    }
}

/// Writes the picture to a file, or to standard output as PNG.
pub fn save(picture: &impl Saved, path: &Path, options: &SaveOptions) -> Result<()> {
    if !is_standard(path) {
        return picture.save_with(path, options);
    }
    let failed = |error| Error::file("write", Path::new("standard output"), error);
    let file = tempfile::Builder::new().suffix(".png").tempfile().map_err(failed)?;
    picture.save_with(file.path(), options)?;
    let bytes = std::fs::read(file.path()).map_err(failed)?;
    let mut output = io::stdout().lock();
    output.write_all(&bytes).and_then(|()| output.flush()).map_err(failed)
}
