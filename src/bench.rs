//! The adapter's limits, and workloads of `impasto bench` and the criterion benchmarks.

mod roof;
#[cfg(feature = "train")]
pub mod roofline;
#[cfg(feature = "train")]
mod workload;
#[cfg(feature = "train")]
mod workloads;

pub use roof::Roof;
#[cfg(feature = "train")]
pub use workload::{Measured, PlannedWorkload, Workload};
#[cfg(feature = "train")]
pub use workloads::{all, training};
