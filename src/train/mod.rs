//! Training: data loading, the training loop, checkpoints, and a trainer for each kind of net.

pub mod adain;
mod checkpoint;
pub(crate) mod closed_form;
pub mod curve;
mod dataset;
pub mod encoder;
pub mod feed_forward;
mod folder;
mod run;
mod schedule;
mod settings;
pub mod super_resolution;
mod trainer;
mod training;

pub use checkpoint::Checkpoint;
pub use dataset::{Crops, Loader};
pub use folder::{Folder, Found};
pub use run::{End, Outcome, Progress, Run, check, train};
pub use schedule::Schedule;
pub use settings::TrainingSettings;
pub use trainer::Trainer;

pub(crate) use training::{Training, passes};
