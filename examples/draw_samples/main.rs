//! Draws the project's sample pictures, so that trying Impasto requires no photographs or paintings of others: one
//! content picture, `landscape.png` (a mountain lake with a meadow, trees and a house), and four styles, `strokes.png`
//! (thick brushwork in blue and gold), `mosaic.png` (glass tesserae), `woodcut.png` (cut lines over flat inks) and
//! `marble.png` (marbled paper).
//!
//! ```text
//! cargo run --example draw_samples -- OUT_DIR [--size N]
//! ```
//!
//! All pictures are computed from formulas and seeded hashes. The program reads no files, and every run draws the same
//! pictures.

mod landscape;
mod marble;
mod mosaic;
mod noise;
mod raster;
mod sprite;
mod strokes;
mod terrain;
mod woodcut;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

const USAGE: &str = "\
Draws Impasto's sample pictures as PNG files.

Usage: draw_samples OUT_DIR [--size N]

  OUT_DIR    folder for the pictures, made if it is missing
  --size N   long side in pixels, 64 to 2048 (default 512)
  --help     print this text

Draws landscape.png (4:3), strokes.png, mosaic.png, woodcut.png and marble.png (square).";

/// Draws a picture whose long side has the given number of pixels.
type Draw = fn(usize) -> image::RgbImage;

const PICTURES: [(&str, Draw); 5] = [
    ("landscape.png", landscape::draw),
    ("strokes.png", strokes::draw),
    ("mosaic.png", mosaic::draw),
    ("woodcut.png", woodcut::draw),
    ("marble.png", marble::draw),
];

#[derive(Debug)]
enum Request {
    Help,
    Draw { folder: PathBuf, size: usize },
}

fn parse(args: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Request, String> {
    let (mut folder, mut size) = (None, 512);
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--help" | "-h") => return Ok(Request::Help),
            Some("--size") => size = parse_size(args.next().as_deref().and_then(|value| value.to_str()))?,
            Some(other) if other.starts_with("--size=") => size = parse_size(other.strip_prefix("--size="))?,
            Some(other) if other.starts_with('-') => return Err(format!("unknown option '{other}'; see --help")),
            _ if folder.is_none() => folder = Some(PathBuf::from(arg)),
            _ => return Err(format!("unexpected argument '{}'; see --help", arg.display())),
        }
    }
    let folder = folder.filter(|path| !path.as_os_str().is_empty()).ok_or("no OUT_DIR given; see --help")?;
    Ok(Request::Draw { folder, size })
}

fn parse_size(value: Option<&str>) -> Result<usize, String> {
    let value = value.ok_or("--size needs a number of pixels, 64 to 2048")?;
    match value.parse() {
        Ok(size) if (64..=2048).contains(&size) => Ok(size),
        _ => Err(format!("--size must be a whole number from 64 to 2048, not '{value}'")),
    }
}

/// Writes a picture under a temporary name and renames it, so that no incomplete file has the final name.
fn save(picture: &image::RgbImage, path: &Path) -> io::Result<()> {
    let mut bytes = io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).map_err(io::Error::other)?;
    let temporary = path.with_extension(format!("png.{}.part", std::process::id()));
    let written = fs::write(&temporary, bytes.into_inner()).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is reported; a failure to remove the temporary file is ignored.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn draw_all(folder: &Path, size: usize) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot make the folder '{}': {error}", folder.display()))?;
    for (name, draw) in PICTURES {
        let path = folder.join(name);
        save(&draw(size), &path).map_err(|error| format!("cannot write '{}': {error}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn main() -> ExitCode {
    let fail = |code: u8, message: String| {
        eprintln!("error: {message}");
        ExitCode::from(code)
    };
    match parse(env::args_os().skip(1)) {
        Err(message) => fail(2, message),
        Ok(Request::Help) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Request::Draw { folder, size }) => match draw_all(&folder, size) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => fail(1, message),
        },
    }
}
