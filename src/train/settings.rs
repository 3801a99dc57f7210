//! The choices about a run, and that they stay the same.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Lesson, Schedule};
use crate::{Error, Result};

/// What can be chosen about the loop, and must stay the same for training to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Pictures a step, of each stream.
    pub batch: usize,
    /// Pictures at a time on the device, a divisor of `batch`; `None`: as many as fit the run's memory.
    pub micro_batch: Option<usize>,
    /// Step size at the schedule's height.
    pub learning_rate: f64,
    /// How the step size changes.
    pub schedule: Schedule,
    /// Decoupled weight decay (arXiv:1711.05101).
    pub weight_decay: f32,
    /// Largest global norm of the gradients; larger ones are scaled down to it.
    pub clip: Option<f32>,
    /// Decay d of an exponential moving average w̄ ← d·w̄ + (1−d)·w of the parameters over the steps, from 0 up to below 1: the
    /// trained net has w̄ for w. `None`: the net has the last step's w.
    pub average: Option<f32>,
    /// Seed of the pictures' order and crops.
    pub seed: u64,
}

impl Default for Settings {
    /// Batches of 8 by Adam at 1e-3.
    fn default() -> Self {
        Settings {
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
impl Settings {
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

    /// These choices and the lesson's own, as a checkpoint's header has them.
    pub(super) fn with_lesson(&self, lesson: &dyn Lesson) -> Value {
        serde_json::json!({ "settings": self, "lesson": lesson.settings() })
    }

    /// Refuses to go on with other choices than those of the checkpoint with this header.
    pub(super) fn check_same(&self, lesson: &dyn Lesson, folder: &Path, header: &Value) -> Result<()> {
        let now = self.with_lesson(lesson);
        ["settings", "lesson"].into_iter().try_for_each(|part| check_same(folder, &header[part], &now[part], ""))
    }
}

/// A choice as it was written: what was an f32 without the digits that f64 adds.
fn shown(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && f64::from(number as f32) == number => format!("{:?}", number as f32),
        _ => value.to_string(),
    }
}

/// Refuses choices `now` that are not those of `then`; `path` leads to them.
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
            let reason = format!(
                "was trained with {path} {then}, but {now} is given now; --resume needs the same settings \
                 (remove the folder to start a new training)"
            );
            Err(Error::weights(folder, reason))
        }
    }
}
