//! Training: data loading, the training loop, checkpoints, and a trainer for each kind of net.

pub mod adain;
mod checkpoint;
pub(crate) mod closed_form;
pub mod curve;
mod dataset;
pub mod encoder;
pub mod feed_forward;
mod lesson;
mod run;
mod schedule;
mod settings;
mod training;

pub use checkpoint::Checkpoint;
pub use dataset::{Crops, Folder, Loader};
pub use lesson::Lesson;
pub use run::{End, Outcome, Progress, Run, check, train};
pub use schedule::Schedule;
pub use settings::Settings;

pub(crate) use training::{Training, passes};
