//! Nets that come with the library (feature `embedded-weights`, on by default; weights/README.md says where they are from).

use crate::Result;
use crate::io::WeightFile;

/// The compact encoder: VGG-19's shape to relu4_1 at a quarter of its width, in the normalised convention.
///
/// # Errors
/// A build without the feature.
pub fn encoder() -> Result<WeightFile> {
    embedded("encoder.safetensors")
}

#[cfg(feature = "embedded-weights")]
fn embedded(name: &str) -> Result<WeightFile> {
    WeightFile::from_bytes(name, include_bytes!("../weights/encoder.safetensors"))
}

#[cfg(not(feature = "embedded-weights"))]
fn embedded(name: &str) -> Result<WeightFile> {
    let reason = "this build carries no weights; build with the feature embedded-weights, or name a file with --vgg";
    Err(crate::Error::weights(std::path::Path::new(name), reason))
}
