//! How good a trained net is: an encoder against the real one, nets that paint against Gatys' method or each other.

pub mod adain;
pub mod encoder;
pub mod feed_forward;
