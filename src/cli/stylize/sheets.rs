//! The contact sheets of `stylize --grid`: a column for each style, a row for each photo.

use std::path::{Path, PathBuf};

use impasto::Result;
use impasto::io::Picture;
use impasto::methods::adain::Source;
use impasto::sheet::{self, Cell};

use super::weighted;
use crate::cli::outputs::Overwrite;
use crate::cli::styles;

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

    /// Sheets for `photos` photos in the styles `names`, whose captions are `titles`.
    pub fn new(
        folder: &Path,
        overwrite: Overwrite,
        side: usize,
        [names, titles]: [&[String]; 2],
        photos: usize,
    ) -> Result<Self> {
        let corner = ["AdaIN".into(), counted(names.len(), "style"), counted(photos, "photo")];
        let mut head = vec![Cell::words(corner)];
        for (name, title) in names.iter().zip(titles) {
            head.push(match styles::find(weighted(name).0)? {
                Source::Picture(picture) => Cell::head(&picture, side, title),
                Source::Style(_) => Cell::tile("a saved style", title),
            });
        }
        Ok(Sheets { folder: folder.into(), overwrite, side, head, rows: Vec::new(), written: 0, failed: Ok(()) })
    }

    /// Begins the row of a photo.
    pub fn photo(&mut self, photo: &Picture, name: String) {
        if self.rows.len() * self.side >= HIGHEST {
            self.write();
        }
        self.rows.push(vec![Cell::picture(photo, self.side, name)]);
    }

    /// Adds a result to the row; `None` if the photo could not be painted.
    pub fn result(&mut self, painted: Option<&Picture>) {
        let cell = painted.map_or_else(|| Cell::tile("not painted", ""), |of| Cell::picture(of, self.side, ""));
        self.rows.last_mut().into_iter().for_each(|row| row.push(cell.clone()));
    }

    fn write(&mut self) {
        self.written += 1;
        let path = self.folder.join(match self.written {
            1 => NAME.to_string(),
            number => format!("grid-{number}.png"),
        });
        let rows: Vec<_> = std::iter::once(self.head.clone()).chain(self.rows.drain(..)).collect();
        let written =
            self.overwrite.check(&path).and_then(|()| sheet::sheet(&rows)).and_then(|sheet| sheet.save(&path));
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
