//! The interface of the compared libraries.

use std::time::Instant;

use anyhow::Result;

use crate::works::{Material, Work};

/// Output tensors by name.
pub type Outputs = Vec<(String, Vec<f32>)>;

/// Result of preparing a work.
pub enum Ready {
    /// The work ran once, with these outputs.
    Outputs(Outputs),
    /// The peer does not support the work, with the reason.
    Skipped(String),
}

/// A compared library.
pub trait Peer {
    /// Name in the table.
    fn name(&self) -> String;

    /// Version and backend.
    fn version(&self) -> String;

    /// Whether it computes in half precision.
    fn is_half(&self) -> bool {
        false
    }

    /// Prepares a work and runs it once.
    fn prepare(&mut self, work: Work, material: &Material) -> Result<Ready>;

    /// Runs once more and waits for completion.
    fn run(&mut self) -> Result<()>;

    /// Time of one more run in seconds.
    fn time(&mut self) -> Result<f64> {
        let start = Instant::now();
        self.run()?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Releases the resources of the work.
    fn clear(&mut self);
}
