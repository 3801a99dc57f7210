//! The check that a resumed run has the settings of its checkpoint.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{Trainer, TrainingSettings};
use crate::{Error, Result};

impl TrainingSettings {
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
