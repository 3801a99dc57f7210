//! Activations weighted by a mask `[H, W]`, the same for all images and channels.
//!
//! ```text
//! y = m x        dx = m dy
//! ```

use super::{Array, indices};

/// x `[N, C, H, W]` times the mask.
pub fn scale(x: &Array, mask: &Array) -> Array {
    let mut y = Array::zeros(&x.shape);
    for at in indices::<4>(x.dims()) {
        *y.at_mut(at) = mask.at([at[2], at[3]]) * x.at(at);
    }
    y
}
