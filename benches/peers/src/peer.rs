//! What a peer can do.

use std::time::Instant;

use anyhow::Result;

use crate::works::{Material, Work};

/// Tensors by name, as they are compared.
pub type Outputs = Vec<(String, Vec<f32>)>;

/// What comes of preparing a work.
pub enum Ready {
    /// It ran once, and this came out.
    Outputs(Outputs),
    /// This peer does not do that, and why.
    Skipped(String),
}

/// Someone who does the work.
pub trait Peer {
    /// As the table calls it.
    fn name(&self) -> String;

    /// Its version and what it runs on.
    fn version(&self) -> String;

    /// Whether it calculates in half precision.
    fn is_half(&self) -> bool {
        false
    }

    /// Makes a work ready and runs it once.
    fn prepare(&mut self, work: Work, material: &Material) -> Result<Ready>;

    /// One more run, waited for.
    fn run(&mut self) -> Result<()>;

    /// Seconds of one more run.
    fn time(&mut self) -> Result<f64> {
        let start = Instant::now();
        self.run()?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Lets go of what it holds for a work.
    fn clear(&mut self);
}
