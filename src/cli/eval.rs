//! `impasto eval`

mod adain;
mod encoder;
mod feed_forward;
mod precision;
mod standing;

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
  impasto eval encoder --teacher vgg19.safetensors --photos photos/ --styles paintings/ --pairs 10 --pictures out/
  impasto eval feed-forward --model mine.safetensors --style painting.jpg --photos photos/ --hold-out 20
  impasto eval adain --teacher vgg19.safetensors --decoder mine.safetensors --photos photos/ --paintings paintings/
  impasto eval precision --photos photos/ --style painting.jpg")]
pub enum Command {
    /// How well a compact encoder stands in for the real VGG-19
    Encoder(Box<encoder::Args>),
    /// How near a net that paints in one pass comes to Gatys' method
    FeedForward(Box<feed_forward::Args>),
    /// How well an encoder and its decoder paint in any style, beside another pair
    Adain(Box<adain::Args>),
    /// How far pictures are from those of f32 where nets are stored as f16
    Precision(Box<precision::Args>),
}

pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Encoder(args) => encoder::run(&args),
        Command::FeedForward(args) => feed_forward::run(&args),
        Command::Adain(args) => adain::run(&args),
        Command::Precision(args) => precision::run(&args),
    }
}

/// Which photos are measured on.
#[derive(clap::Args)]
struct Photos {
    /// A folder of pictures; may be given again, or several at once
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    photos: Vec<PathBuf>,
    /// Only pictures whose number (in the file's name) is divisible by N: those that training left out
    #[arg(long, value_name = "N")]
    hold_out: Option<u64>,
    /// Side of the square that is cut from the middle of each picture, resized to it
    #[arg(long, value_name = "PX", default_value_t = 256)]
    size: usize,
}

impl Photos {
    /// The pictures of each folder, so that a limit holds for each.
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

    /// The square in the middle, resized.
    fn middle(&self, path: &Path) -> Result<Picture> {
        Ok(Picture::load(path)?.square().resize(self.size, self.size))
    }
}
