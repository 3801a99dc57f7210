//! Training: pictures, the loop that every trainer shares, checkpoints, and the trainers.

mod checkpoint;
pub mod curve;
mod dataset;
pub mod encoder;
mod run;
mod schedule;

pub use checkpoint::Checkpoint;
pub use dataset::{Crops, Folder, Loader};
pub use run::{End, Lesson, Outcome, Progress, Run, Settings, check, train};
pub use schedule::Schedule;

pub(crate) use run::Training;
