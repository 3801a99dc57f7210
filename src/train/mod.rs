
mod dataset;
mod schedule;

pub use dataset::{Crops, Folder, Loader};
pub use schedule::Schedule;
