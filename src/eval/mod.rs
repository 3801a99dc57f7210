//! How good a trained net is: an encoder against the real one, a net that paints against Gatys' method.

pub mod encoder;
pub mod feed_forward;
