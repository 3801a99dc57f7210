//! Progress bars.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `count` steps with elapsed time, estimated remaining time, and a message.
pub fn bar(count: u64) -> ProgressBar {
    let bar = ProgressBar::new(count);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed} elapsed, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A spinner with a message, for work of unknown length.
pub fn spinner() -> ProgressBar {
    ProgressBar::new_spinner()
}
