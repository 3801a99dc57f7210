//! Losses on features: each writes its value into a slot and gives the gradient to the features, to be
//! recorded later: gradients at shallow taps are large, and the walk back through the net comes to them last.

mod content;
mod gram_style;
mod mean_std_style;

pub use content::content;
pub use gram_style::{gram_style, gram_styles};
pub use mean_std_style::{EPSILON, mean_std_style};
