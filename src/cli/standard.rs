//! Pictures from standard input and to standard output, for which the command line has `-`.

use std::io::{self, Read, Write};
use std::path::Path;

use impasto::io::{Metadata, Picture, SaveOptions};
use impasto::{Error, Result};

/// Whether a path stands for standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// The photo in a file or in standard input. A photo that will be resized to a longer side of `size` may be reduced.
pub fn load(path: &Path, size: Option<usize>) -> Result<(Picture, Metadata)> {
    if is_standard(path) {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        read.map_err(|error| Error::file("read", Path::new("standard input"), error))?;
        return Picture::from_bytes("standard input", &bytes);
    }
    match size {
        Some(size) => Picture::load_for_size(path, size),
        None => Picture::load_with_metadata(path),
    }
}

/// Writes the picture to a file, or to standard output as PNG.
pub fn save(picture: &Picture, path: &Path, options: &SaveOptions) -> Result<()> {
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
