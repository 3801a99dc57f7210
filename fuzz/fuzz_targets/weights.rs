//! Weight files (safetensors, both formats of `.pth`, `.style`): parsing, and every reading as a net.

#![no_main]

use impasto::io::WeightFile;
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::adain_painter::AdainStyle;
use impasto::nets::image_transform_net::{BodyStyle, ImageTransformNetWeights};
use impasto::nets::vgg19::Vgg19Weights;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = WeightFile::from_bytes("fuzzed", bytes) else { return };
    let _ = Vgg19Weights::of(&file);
    let _ = AdainDecoderWeights::of(&file);
    let _ = AdainStyle::of(&file);
    let _ = ImageTransformNetWeights::of(&file);
    let _ = BodyStyle::of(&file);
});
