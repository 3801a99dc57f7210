//! File input and output: pictures and weights. Input files are not trusted; output files are written whole or not at
//! all.

pub(crate) mod atomic;
mod checkpoint;
mod compact;
pub(crate) mod decode;
mod encode;
mod exif;
mod file;
mod fill;
mod foreign;
mod metadata;
mod parts;
mod pickle;
pub mod picture;
mod profile;
mod raster;
mod resample;
mod sample;
mod tensor;
#[cfg(test)]
mod test_pickles;
pub mod weights;

pub use compact::CompactPicture;
pub use encode::{SaveOptions, can_be_written, check_output, check_size, check_space, save};
pub use metadata::Metadata;
pub(crate) use parts::strips;
pub use parts::{Mixed, PixelSink, PixelSource};
pub use picture::Picture;
pub use resample::{Interpolation, Resized};
pub use tensor::{DType, HostTensor};
pub use weights::{Format, WeightFile};
