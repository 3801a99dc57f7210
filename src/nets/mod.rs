//! Nets: layers in order, forward and backward.

pub mod vgg19;

pub use vgg19::{Convention, Tap, Vgg19};
