//! Losses on features. Each writes its value to a slot and gives a closure that records its gradient. The backward pass
//! calls it when it reaches the tap: gradients at shallow taps are large and needed last, so this keeps their lifetime
//! short.

mod content;
mod gram_style;
mod mean_std_style;

pub use content::content;
pub use gram_style::{gram_part, gram_part_gradient, gram_style, gram_styles, masked_gram};
pub use mean_std_style::{EPSILON, mean_std_style};
