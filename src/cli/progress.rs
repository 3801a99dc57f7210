//! The bar that shows how far work has come.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `count` pieces of work with the time they took and will take, and room for a message.
pub fn bar(count: u64) -> ProgressBar {
    let bar = ProgressBar::new(count);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed} elapsed, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Where nobody knows how much work there is: a sign of life, and room for a message.
pub fn spinner() -> ProgressBar {
    ProgressBar::new_spinner()
}
