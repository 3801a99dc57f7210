//! Training: pictures, the loop that every trainer shares, checkpoints.

mod dataset;

pub use dataset::{Crops, Folder, Loader};
