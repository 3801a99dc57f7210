//! Nets that come with the library (feature `embedded-weights`, on by default; weights/README.md says where they are from).

use crate::Result;
use crate::io::WeightFile;

/// Declares the files that can be embedded: the name, and the feature that embeds it.
macro_rules! files {
    ($($name:literal: $feature:literal),* $(,)?) => {
        static FILES: &[(&str, &[u8])] = &[
            $(#[cfg(feature = $feature)] ($name, include_bytes!(concat!("../weights/", $name, ".safetensors")))),*
        ];
    };
}

files![
    "encoder-half": "weights-encoder-half",
    "encoder-fast": "weights-encoder-fast",
    "encoder-compact": "weights-encoder-compact",
    "adain": "weights-adain",
    "adain-fast": "weights-adain-fast",
    "starry-night": "weights-starry-night",
    "wave": "weights-wave",
    "scream": "weights-scream",
    "composition-vii": "weights-composition-vii",
    "udnie": "weights-udnie",
    "mosaic": "weights-mosaic",
    "woodcut": "weights-woodcut",
    "mosaic-batch": "weights-mosaic-batch",
];

/// The encoders that come with the library: VGG-19's shape to relu4_1 with fewer channels, in the normalised convention.
///
/// - `half`: half of VGG-19's channels, and all of them at relu2_1, relu2_2, relu3_1 and relu4_1, in the real net's units.
/// - `fast`: a quarter of the channels, and all of them at relu4_1, in the real net's units.
/// - `compact`: a quarter of the channels.
pub const ENCODERS: [&str; 3] = ["half", "fast", "compact"];

/// The encoder of that name, one of [`ENCODERS`].
///
/// # Errors
/// Another name; a build without the feature.
pub fn encoder(name: &str) -> Result<WeightFile> {
    find(&format!("{ENCODER}{name}"), "--vgg")
}

/// What the names of encoders' files begin with.
const ENCODER: &str = "encoder-";

/// An encoder and the decoder that was trained with it: AdaIN for any style in one pass.
pub struct Pair {
    /// The pair's name, which is also the decoder's.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub title: &'static str,
    /// The name of its encoder, one of [`ENCODERS`].
    pub encoder: &'static str,
}

/// The pairs that come with the library, the default first.
pub const PAIRS: [Pair; 2] = [
    Pair { name: "adain", title: "any style in one pass, the default", encoder: "half" },
    Pair { name: "adain-fast", title: "any style in one pass, for real time", encoder: "fast" },
];

impl Pair {
    /// The pair's decoder.
    ///
    /// # Errors
    /// A build without the feature.
    pub fn decoder(&self) -> Result<WeightFile> {
        find(self.name, "--decoder")
    }
}

/// The name of the body, one net of many styles: `impasto train style` learns more of them.
pub const BODY: &str = "impressions";

/// The body.
///
/// # Errors
/// A build without it.
pub fn body() -> Result<WeightFile> {
    find(BODY, "the file of another")
}

fn find(name: &str, option: &str) -> Result<WeightFile> {
    let found = FILES.iter().find(|(known, _)| *known == name);
    let (name, bytes) = found.ok_or_else(|| {
        let reason = format!("this build does not carry it; build with the feature embedded-weights, or use {option}");
        crate::Error::weights(std::path::Path::new(name), reason)
    })?;
    WeightFile::from_bytes(name, bytes)
}

/// The feed-forward nets of one style and of many, by name; none in a build without the feature.
pub fn models() -> impl Iterator<Item = (&'static str, Result<WeightFile>)> {
    let other = |name: &str| name.starts_with(ENCODER) || PAIRS.iter().any(|pair| pair.name == name);
    let nets = FILES.iter().filter(move |(name, _)| !other(name));
    nets.map(|(name, bytes)| (*name, WeightFile::from_bytes(name, bytes)))
}
