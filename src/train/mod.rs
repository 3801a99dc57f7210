//! Training: data loading, the training loop, checkpoints, and a trainer for each kind of net.

#![cfg_attr(not(feature = "train"), allow(dead_code, reason = "parts of what only the other trainings use"))]

#[cfg(feature = "train")]
pub mod adain;
#[cfg(feature = "train")]
mod checkpoint;
#[cfg(feature = "train")]
pub(crate) mod closed_form;
#[cfg(feature = "train")]
pub mod curve;
mod dataset;
#[cfg(feature = "train")]
pub mod encoder;
pub mod feed_forward;
#[cfg(feature = "train")]
mod folder;
mod in_memory;
mod pictures;
#[cfg(feature = "train")]
mod resumed;
#[cfg(feature = "train")]
mod run;
mod schedule;
mod settings;
#[cfg(feature = "train")]
pub mod super_resolution;
mod trainer;
mod training;

#[cfg(feature = "train")]
pub use checkpoint::Checkpoint;
pub use dataset::{Crops, Loader};
#[cfg(feature = "train")]
pub use folder::Found;
pub use in_memory::{Step, train_in_memory_async};
pub use pictures::Folder;
#[cfg(feature = "train")]
pub use run::{End, Outcome, Progress, Run, check, train};
pub use schedule::Schedule;
pub use settings::TrainingSettings;
pub use trainer::Trainer;

pub(crate) use training::Training;
#[cfg(feature = "train")]
pub(crate) use training::passes;
