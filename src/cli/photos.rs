//! What the commands share that make a picture of each photo: their files, and the work on many photos.

pub mod jobs;
pub mod many;

use std::ffi::OsStr;
use std::path::PathBuf;

use impasto::io::{self, Metadata, SaveOptions};
use impasto::nets::tiles::Budget;
use impasto::{Error, Result};

use super::outputs::Overwrite;
use super::standard::is_standard;

/// The options of files and memory.
#[derive(clap::Args)]
pub struct PhotoArgs {
    /// Photo: PNG, JPEG, WebP, TIFF, JPEG XL or (feature `avif`) AVIF; `-` is standard input. Several photos and folders
    /// of photos are possible
    #[arg(value_name = "PHOTO", required = true)]
    pub photos: Vec<PathBuf>,
    /// Output file; its ending chooses the format (.png, .jpg, .webp or .tif). For several photos or a folder of photos:
    /// the folder of the results, created if necessary. It may also be the folder of a single result, or `-` for
    /// standard output (PNG)
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    #[command(flatten)]
    pub overwrite: Overwrite,
    /// Keep results that exist and make only the missing ones, to continue an interrupted run
    #[arg(long, conflicts_with = "overwrite")]
    pub skip_existing: bool,
    /// Device memory to use, in MiB. A picture that needs more is worked on in windows, without seams [default: 2048]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    pub memory: Option<u64>,
    /// Quality of JPEG results, 1 to 100 [default: 95], or of WebP results (feature `webp-lossy`), which are lossless
    /// without it
    #[arg(long, value_name = "Q", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: Option<u8>,
    /// Print a summary of each result as JSON
    #[arg(long)]
    pub json: bool,
}

impl PhotoArgs {
    /// Refuses options that contradict each other.
    pub fn check(&self, command: &str) -> Result<()> {
        let refuse = |name, expected, got: String| Err(Error::argument(command, name, expected, got));
        if self.json && is_standard(&self.output) {
            return refuse("--json", "without -o -, which writes the picture", "both".into());
        }
        let (lossy, expected): (&[&str], _) = match cfg!(feature = "webp-lossy") {
            true => (
                &["jpg", "jpeg", "webp"],
                "an output that ends in .jpg or .webp, or no --quality, which other formats do not have",
            ),
            false => (
                &["jpg", "jpeg"],
                "an output that ends in .jpg, or no --quality (only a build with the feature `webp-lossy` has it for .webp)",
            ),
        };
        let can_be_lossy = |ending: &OsStr| lossy.iter().any(|lossy| ending.eq_ignore_ascii_case(lossy));
        let is_other = io::can_be_written(&self.output) && !self.output.extension().is_some_and(can_be_lossy);
        if self.quality.is_some() && is_other {
            return refuse("--output", expected, self.output.display().to_string());
        }
        Ok(())
    }

    /// The memory within which pictures are worked on.
    pub fn budget(&self) -> Budget {
        let default = Budget::default();
        Budget { device: self.memory.map_or(default.device, |mebibytes| mebibytes.saturating_mul(1 << 20)), ..default }
    }

    /// How the results of a photo are written: with what its file says besides the pixels.
    pub fn save_options(&self, metadata: Metadata) -> SaveOptions {
        SaveOptions { quality: self.quality, metadata }
    }
}
