//! Settings of the training loop.

use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::{Error, Result};

/// Settings of the training loop. They must be the same when a run is resumed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingSettings {
    /// Pictures of each stream per step.
    pub batch: usize,
    /// Pictures per micro-batch, a divisor of `batch`; `None`: as many as fit into
    /// [`Run::memory_bytes`](super::Run::memory_bytes).
    pub micro_batch: Option<usize>,
    /// Base learning rate of the schedule, above 0.
    pub learning_rate: f64,
    /// How the learning rate changes over the steps.
    pub schedule: Schedule,
    /// Decoupled weight decay (arXiv:1711.05101).
    pub weight_decay: f32,
    /// Maximum global norm of the gradients; larger gradients are scaled down to it. `None`: no clipping.
    pub clip: Option<f32>,
    /// Decay d of an exponential moving average w̄ ← d·w̄ + (1−d)·w of the parameters over the steps, at least 0 and
    /// below 1. The trained net has the averages w̄. `None`: the trained net has the last step's w.
    pub average: Option<f32>,
    /// Seed of the order and the crops of the pictures.
    pub seed: u64,
}

impl Default for TrainingSettings {
    /// Adam with batches of 8 pictures and a constant learning rate of 1e-3.
    fn default() -> Self {
        TrainingSettings {
            batch: 8,
            micro_batch: None,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            clip: None,
            average: None,
            seed: 0,
        }
    }
}
impl TrainingSettings {
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |argument, expected, got: String| Err(Error::argument("train", argument, expected, got));
        if self.batch == 0 {
            return refuse("batch", "at least 1", "0".into());
        }
        if let Some(micro) = self.micro_batch.filter(|&micro| micro == 0 || !self.batch.is_multiple_of(micro)) {
            return refuse("micro-batch", "a divisor of the batch", format!("{micro} of {}", self.batch));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return refuse("learning-rate", "above 0", self.learning_rate.to_string());
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return refuse("weight-decay", "a number from 0 up", self.weight_decay.to_string());
        }
        if let Some(clip) = self.clip.filter(|clip| !(*clip > 0.0 && clip.is_finite())) {
            return refuse("clip", "above 0", clip.to_string());
        }
        match self.average {
            Some(decay) if !(0.0..1.0).contains(&decay) => refuse("average", "0 to below 1", decay.to_string()),
            _ => Ok(()),
        }
    }
}
