//! `impasto eval`

mod adain;
mod encoder;
mod feed_forward;
mod precision;
mod standing;
mod super_resolution;

pub use feed_forward::{measured_by, warn_of_other_style};

use std::path::{Path, PathBuf};

use clap::Subcommand;
use impasto::Result;
use impasto::io::Picture;
use impasto::train::Folder;

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  impasto eval encoder --teacher vgg19.safetensors --photos photos/ --hold-out 20
  impasto eval encoder --teacher vgg19.safetensors --photos photos/ --styles paintings/ --pairs 10
  impasto eval feed-forward --model mine.safetensors --style painting.jpg --photos photos/
  impasto eval adain --teacher vgg19.safetensors --photos photos/ --paintings paintings/
  impasto eval super-resolution --photos photos/ --hold-out 20
  impasto eval precision --photos photos/ --style painting.jpg")]
pub enum Command {
    /// Measure how well a narrow encoder replaces the original VGG-19
    Encoder(Box<encoder::Args>),
    /// Compare a net for one style with Gatys' method
    FeedForward(Box<feed_forward::Args>),
    /// Measure the style and content of AdaIN's results, also for two pairs of encoder and decoder
    Adain(Box<adain::Args>),
    /// Compare enlarged photos with bicubic interpolation and with the photos themselves
    SuperResolution(Box<super_resolution::Args>),
    /// Compare results in f16 and f16-matrix with those in f32
    Precision(Box<precision::Args>),
}

pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Encoder(args) => encoder::run(&args),
        Command::FeedForward(args) => feed_forward::run(&args),
        Command::Adain(args) => adain::run(&args),
        Command::SuperResolution(args) => super_resolution::run(&args),
        Command::Precision(args) => precision::run(&args),
    }
}

/// The options that choose the photos.
#[derive(clap::Args)]
struct Folders {
    /// Folders of photos
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    photos: Vec<PathBuf>,
    /// Use only pictures whose number (the last digits in the file name) is divisible by N: those that training with
    /// the same option left out
    #[arg(long, value_name = "N")]
    hold_out: Option<u64>,
}

/// The options that choose the photos, and the part of them that is used.
#[derive(clap::Args)]
struct Photos {
    #[command(flatten)]
    folders: Folders,
    /// Side in pixels to which the central square of each picture is resized
    #[arg(long, value_name = "PX", default_value_t = 256)]
    size: usize,
}

impl Folders {
    /// The pictures of all folders, at most `limit` of each.
    fn files(&self, roots: &[PathBuf], limit: Option<usize>) -> Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for root in roots {
            let mut folder = Folder::scan(std::slice::from_ref(root))?;
            if let Some(n) = self.hold_out {
                folder = folder.hold_out(n, true)?;
            }
            all.extend(folder.files().iter().take(limit.unwrap_or(usize::MAX)).cloned());
        }
        Ok(all)
    }
}

impl Photos {
    /// The pictures of all folders, at most `limit` of each.
    fn files(&self, roots: &[PathBuf], limit: Option<usize>) -> Result<Vec<PathBuf>> {
        self.folders.files(roots, limit)
    }

    /// The central square, resized.
    fn middle(&self, path: &Path) -> Result<Picture> {
        Ok(Picture::load(path)?.square().resize(self.size, self.size))
    }
}
