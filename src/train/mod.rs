//! Training: pictures, the loop that every trainer shares, checkpoints.

mod checkpoint;
pub mod curve;
mod dataset;
mod schedule;

pub use checkpoint::Checkpoint;
pub use dataset::{Crops, Folder, Loader};
pub use schedule::Schedule;
