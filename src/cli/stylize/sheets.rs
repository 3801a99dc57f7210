//! The contact sheets of `stylize --grid`: a column for each style, a row for each photo.

use std::path::{Path, PathBuf};

use impasto::Result;
use impasto::io::picture::scaled_size;
use impasto::io::{CompactPicture, Picture, PixelSource, Resized};
use impasto::methods::adain::Source;
use impasto::sheet::{self, Cell};

use crate::cli::outputs::Overwrite;

/// The file name of the first sheet. Further ones are `grid-2.png`, `grid-3.png` and so on.
const NAME: &str = "grid.png";

/// Approximate height of a sheet in pixels above which the next one begins: it bounds the memory of many photos.
const HIGHEST: usize = 5000;

/// The sheets of a run. Each is written when it is full.
pub struct Sheets {
    folder: PathBuf,
    overwrite: Overwrite,
    /// Long side of the pictures in pixels.
    side: usize,
    /// The first row of each sheet.
    head: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
    /// Sheets written so far.
    written: usize,
    /// The first error in writing a sheet.
    failed: Result<()>,
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl Sheets {
    /// Refuses sheets that exist and must not be replaced: to be called before any work.
    pub fn check(folder: &Path, overwrite: Overwrite) -> Result<()> {
        let first = folder.join(NAME);
        overwrite.check_numbered(&first)?;
        if folder.exists() { overwrite.check(&first) } else { Ok(()) }
    }

    /// Sheets for `photos` photos in styles with these captions.
    pub fn new<'s>(
        folder: &Path,
        overwrite: Overwrite,
        side: usize,
        styles: impl ExactSizeIterator<Item = (&'s Source, &'s String)>,
        photos: usize,
    ) -> Self {
        let corner = ["AdaIN".into(), counted(styles.len(), "style"), counted(photos, "photo")];
        let heads = styles.map(|(style, title)| match style {
            Source::Picture(picture) => Cell::head(picture, side, title),
            Source::Style(_) => Cell::tile("a saved style", title),
        });
        let head = std::iter::once(Cell::words(corner)).chain(heads).collect();
        Sheets { folder: folder.into(), overwrite, side, head, rows: Vec::new(), written: 0, failed: Ok(()) }
    }

    /// A picture at the size of a cell, or at its own if that is smaller.
    fn small(&self, picture: &dyn PixelSource, [width, height]: [usize; 2]) -> Result<Picture> {
        let (width, height) = scaled_size(width, height, self.side.min(width.max(height)));
        Resized::new(picture, width, height).read(0..height, 0..width)
    }

    /// Begins the row of a photo, which is shown at the size of its `result`.
    pub fn photo(&mut self, photo: &dyn PixelSource, result: &dyn PixelSource, name: String) -> Result<()> {
        if self.rows.len() * self.side >= HIGHEST {
            self.write();
        }
        let small = self.small(photo, [result.width(), result.height()])?;
        self.rows.push(vec![Cell::picture(&small, self.side, name)]);
        Ok(())
    }

    /// Adds a result to the row; `None` if the photo could not be painted.
    pub fn result(&mut self, painted: Option<&CompactPicture>) -> Result<()> {
        let cell = match painted {
            None => Cell::tile("not painted", ""),
            Some(of) => Cell::picture(&self.small(of, [of.width(), of.height()])?, self.side, ""),
        };
        self.rows.last_mut().into_iter().for_each(|row| row.push(cell.clone()));
        Ok(())
    }

    fn write(&mut self) {
        self.written += 1;
        let path = self.folder.join(match self.written {
            1 => NAME.to_string(),
            number => format!("grid-{number}.png"),
        });
        let rows: Vec<_> = std::iter::once(self.head.clone()).chain(self.rows.drain(..)).collect();
        let absent = self.overwrite.check_absent(&path);
        let written = absent.and_then(|()| sheet::sheet(&rows)).and_then(|sheet| sheet.save(&path));
        if self.failed.is_ok() {
            self.failed = written;
        }
    }

    /// Writes the last sheet.
    pub fn finish(mut self) -> Result<()> {
        if !self.rows.is_empty() {
            self.write();
        }
        self.failed
    }
}
