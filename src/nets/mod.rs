//! Nets: sequences of layers, with forward and backward passes.
//!
//! Weights are found by name. Prefixes that all names share (`module.`, `_orig_mod.`, `model.`, `net.`) are removed, and
//! a file with a tensor that the net does not read is refused, except for counters such as `num_batches_tracked`, for the
//! running statistics of instance norms, and for the classifier of a VGG-19.

pub mod adain_decoder;
pub mod adain_painter;
mod conv_layer;
mod detail;
pub mod image_transform_net;
mod named;
mod norm_layer;
mod place;
mod programs;
pub mod steady;
pub mod super_resolution_net;
pub mod tiles;
pub mod vgg19;

pub use adain_decoder::AdainDecoder;
pub use adain_painter::AdainPainter;
pub use conv_layer::{ConvLayer, Convolution};
pub(crate) use detail::check_detail;
pub use image_transform_net::ImageTransformNet;
pub use norm_layer::NormLayer;
pub use place::Place;
pub(crate) use place::{SharesByPart, normalised, shares, visible};
pub use super_resolution_net::SuperResolutionNet;
pub use vgg19::{Convention, Tap, Vgg19};

use crate::Result;
use crate::gpu::{Context, Recorder};
use crate::ops::conv2d::Conv2d;

/// Constructor of a layer from its weights: frozen or trainable.
type NewLayer<C = Conv2d> = fn(&mut Recorder, &str, C, &[f32], &[f32]) -> Result<ConvLayer>;

/// Constructs layers and packs all their weights in one program.
pub(crate) fn packed<T>(context: &Context, make: impl FnOnce(&mut Recorder) -> Result<T>) -> Result<T> {
    let mut rec = Recorder::new(context);
    let layers = make(&mut rec)?;
    rec.finish()?.submit()?;
    Ok(layers)
}
