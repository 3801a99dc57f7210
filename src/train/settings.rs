//! Settings of the training loop, and the check that a resumed run has the same ones.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Schedule, Trainer};
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

    /// These settings and the trainer's, in the format of a checkpoint's header.
    pub(super) fn with_lesson(&self, trainer: &dyn Trainer) -> Value {
        serde_json::json!({ "settings": self, "trainer": trainer.settings() })
    }

    /// Returns an error if these settings differ from those in a checkpoint's `header`.
    pub(super) fn check_same(&self, trainer: &dyn Trainer, folder: &Path, header: &Value) -> Result<()> {
        let now = self.with_lesson(trainer);
        ["settings", "trainer"].into_iter().try_for_each(|part| check_same(folder, &header[part], &now[part], ""))
    }
}

/// Formats a setting; a value that was an f32 has no additional digits from f64.
fn shown(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && f64::from(number as f32) == number => format!("{:?}", number as f32),
        _ => value.to_string(),
    }
}

/// Compares the settings `now` with `then` recursively; `path` is their position in the header.
fn check_same(folder: &Path, then: &Value, now: &Value, path: &str) -> Result<()> {
    match (then, now) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            let null = Value::Null;
            let at = |map: &'_ serde_json::Map<String, Value>, key: &String| map.get(key).cloned();
            for key in keys {
                let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let [then, now] = [at(a, key), at(b, key)].map(|value| value.unwrap_or_else(|| null.clone()));
                check_same(folder, &then, &now, &name)?;
            }
            Ok(())
        }
        _ if then == now => Ok(()),
        _ => {
            let [then, now] = [then, now].map(shown);
            let reason = format!("was trained with {path} {then}, but {now} is given now");
            let help = "resuming needs the same settings (remove the folder to start a new training)";
            Err(Error::weights(folder, reason).with_help(help))
        }
    }
}
