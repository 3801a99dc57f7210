//! Learning-rate schedules.

use std::{f64::consts::PI, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How the learning rate changes over the steps.
///
/// Text forms: `constant`, `step:2000:0.8`, `inverse-time:5e-5`, `cosine:100`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Schedule {
    /// The base rate throughout.
    Constant,
    /// Multiplied by `factor` after every `every` steps.
    Step {
        /// Steps between two changes, at least 1.
        every: u64,
        /// Factor of each change, above 0 and at most 1.
        factor: f64,
    },
    /// `base / (1 + decay · step)`.
    InverseTime {
        /// Decay per step, at least 0: after `1 / decay` steps the rate is half the base rate.
        decay: f64,
    },
    /// A linear warm-up over `warmup` steps to the base rate, reached at step `warmup`, then half a cosine to 0 at the
    /// end of the run.
    Cosine {
        /// Steps of the warm-up; 0 starts at the base rate.
        warmup: u64,
    },
}

impl Schedule {
    /// The learning rate of `step`, counted from 0, in a run of `steps` steps with the base rate `base`. A cosine is 0
    /// from step `steps` on.
    pub fn at(&self, base: f64, step: u64, steps: u64) -> f64 {
        match *self {
            Schedule::Constant => base,
            Schedule::Step { every, factor } => base * factor.powf((step / every.max(1)) as f64),
            Schedule::InverseTime { decay } => base / (1.0 + decay * step as f64),
            Schedule::Cosine { warmup } if step < warmup => base * (step + 1) as f64 / (warmup + 1) as f64,
            Schedule::Cosine { .. } if step >= steps => 0.0,
            Schedule::Cosine { warmup } => {
                let done = (step - warmup) as f64 / (steps - warmup) as f64;
                base * 0.5 * (1.0 + (PI * done).cos())
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Constant => write!(f, "constant"),
            Schedule::Step { every, factor } => write!(f, "step:{every}:{factor}"),
            Schedule::InverseTime { decay } => write!(f, "inverse-time:{decay:?}"),
            Schedule::Cosine { warmup } => write!(f, "cosine:{warmup}"),
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    /// Parses the text forms; the inverse of `Display`.
    fn from_str(text: &str) -> Result<Self> {
        let refused = |expected: &str| Error::argument("learning rate", "schedule", expected, format!("`{text}`"));
        match text.split(':').collect::<Vec<_>>()[..] {
            ["constant"] => Ok(Schedule::Constant),
            ["step", every, factor] => {
                let every = every.parse().ok().filter(|&every: &u64| every > 0);
                let factor = factor.parse().ok().filter(|&factor: &f64| factor > 0.0 && factor <= 1.0);
                every.zip(factor).map(|(every, factor)| Schedule::Step { every, factor }).ok_or_else(|| {
                    refused("step:EVERY:FACTOR with a number of steps from 1 and a factor above 0 and at most 1")
                })
            }
            ["inverse-time", decay] => {
                let decay = decay.parse().ok().filter(|&decay: &f64| decay.is_finite() && decay >= 0.0);
                decay
                    .map(|decay| Schedule::InverseTime { decay })
                    .ok_or_else(|| refused("inverse-time:DECAY with a decay per step of at least 0"))
            }
            ["cosine", warmup] => warmup
                .parse()
                .map(|warmup| Schedule::Cosine { warmup })
                .map_err(|_| refused("cosine:WARMUP with a number of steps from 0")),
            _ => Err(refused("constant, step:EVERY:FACTOR, inverse-time:DECAY or cosine:WARMUP")),
        }
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
