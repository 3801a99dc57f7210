//! The refusal of a picture that is too large says how large it may be.

use crate::{Error, Result};

/// `planned`, or its refusal with the largest size below `size` that `plan` finds to fit.
pub fn or_largest<T>(planned: Result<T>, size: usize, plan: impl Fn(usize) -> Result<T>) -> Result<T> {
    let (what, needed, allowed, help) = match planned {
        Err(Error::TooLarge { what, needed, allowed, help }) => (what, needed, allowed, help),
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
    let help = if fitting > 0 { format!("choose a --size of at most {fitting}") } else { help };
    Err(Error::TooLarge { what, needed, allowed, help })
}
