//! Nets: layers in order, forward and backward.

mod conv_layer;
pub mod image_transform_net;
mod norm_layer;
pub mod vgg19;

pub use conv_layer::{ConvLayer, Convolution};
pub use image_transform_net::ImageTransformNet;
pub use norm_layer::NormLayer;
pub use vgg19::{Convention, Tap, Vgg19};
