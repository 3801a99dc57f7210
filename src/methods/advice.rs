//! Adds the largest size that fits to errors about pictures that are too large.

use crate::{Error, Result};

/// Returns `planned`. If it is [`Error::TooLarge`], the error's advice becomes the largest size below `size` for which
/// `plan` succeeds, found by bisection.
pub fn or_largest<T>(planned: Result<T>, size: usize, plan: impl Fn(usize) -> Result<T>) -> Result<T> {
    let (what, needed, allowed, help) = match planned {
        Err(Error::TooLarge { what, needed, allowed, help, .. }) => (what, needed, allowed, help),
        planned => return planned,
    };
    let (mut fitting, mut too_large) = (0, size);
    while too_large - fitting > 1 {
        let tried = fitting.midpoint(too_large);
        match plan(tried) {
            Err(Error::TooLarge { .. }) => too_large = tried,
            _ => fitting = tried,
        }
    }
    let largest = (fitting > 0).then_some(fitting);
    let help = largest.map_or(help, |largest| format!("a picture of up to {largest} px on its long side fits"));
    Err(Error::TooLarge { what, needed, allowed, largest, help })
}
