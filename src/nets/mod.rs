//! Nets: layers in order, forward and backward.

mod conv_layer;
pub mod vgg19;

pub use conv_layer::{ConvLayer, Convolution};
pub use vgg19::{Convention, Tap, Vgg19};
