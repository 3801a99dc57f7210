//! How good a trained net is, measured against the real one.

pub mod encoder;
