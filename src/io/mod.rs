//! Files: pictures and weights in and out. Everything read is distrusted, everything written is whole or not there.

pub mod atomic;
mod checkpoint;
mod decode;
mod encode;
mod file;
mod pickle;
pub mod picture;
mod profile;
mod tensor;
#[cfg(test)]
mod test_pickles;
pub mod weights;

pub use encode::{can_be_written, check_output};
pub use picture::Picture;
pub use tensor::{DType, HostTensor};
pub use weights::{Format, WeightFile};
