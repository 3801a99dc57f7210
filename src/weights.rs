//! Nets embedded in the library (feature `embedded-weights`, on by default). For their origin, see weights/README.md.

use crate::Result;
use crate::io::WeightFile;

/// Embeds files: the name of each, and the feature that embeds it.
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
    "impressions": "weights-impressions",
    "super-resolution-x4-pixel": "weights-super-resolution-x4-pixel",
    "super-resolution-x4": "weights-super-resolution-x4",
];

/// The embedded encoders: VGG-19 up to relu4_1 with fewer channels, in the normalised convention.
///
/// - `half`: half of VGG-19's channels, but all of them at relu2_1, relu2_2, relu3_1 and relu4_1, in VGG-19's units.
/// - `fast`: a quarter of the channels, but all of them at relu4_1, in VGG-19's units.
/// - `compact`: a quarter of the channels.
pub const ENCODERS: [&str; 3] = ["half", "fast", "compact"];

/// The encoder called `name`, one of [`ENCODERS`].
///
/// # Errors
/// An unknown name; a build without the feature.
pub fn encoder(name: &str) -> Result<WeightFile> {
    find(&format!("{ENCODER}{name}"), "the file of a VGG-19")
}

/// Prefix of the names of encoder files.
const ENCODER: &str = "encoder-";

/// An encoder and the decoder trained with it, for AdaIN.
pub struct Pair {
    /// Name of the pair and of its decoder.
    pub name: &'static str,
    /// A short description.
    pub title: &'static str,
    /// Name of the encoder, one of [`ENCODERS`].
    pub encoder: &'static str,
}

/// The embedded pairs, the default first.
pub const PAIRS: [Pair; 2] = [
    Pair { name: "adain", title: "any style in one pass, the default", encoder: "half" },
    Pair { name: "adain-fast", title: "any style in one pass, for real time", encoder: "fast" },
];

impl Pair {
    /// The decoder of the pair.
    ///
    /// # Errors
    /// A build without the feature.
    pub fn decoder(&self) -> Result<WeightFile> {
        find(self.name, "the file of a decoder")
    }
}

/// A net that enlarges photos.
pub struct Enlarging {
    /// Name of the net.
    pub name: &'static str,
    /// A short description.
    pub title: &'static str,
}

/// The embedded nets that enlarge photos, the default first.
pub const ENLARGERS: [Enlarging; 2] = [
    Enlarging { name: "super-resolution-x4-pixel", title: "photos enlarged by 4, closest to the pixels" },
    Enlarging { name: "super-resolution-x4", title: "photos enlarged by 4, sharper, by the features of VGG-19" },
];

/// The net called `name`, one of [`ENLARGERS`].
///
/// # Errors
/// An unknown name; a build without the feature.
pub fn enlarger(name: &str) -> Result<WeightFile> {
    find(name, "the file of a super-resolution net")
}

/// Name of the body, a net of many styles to which `impasto train style` adds more.
pub const BODY: &str = "impressions";

/// The embedded body.
///
/// # Errors
/// A build without it.
pub fn body() -> Result<WeightFile> {
    find(BODY, "the file of another")
}

fn find(name: &str, option: &str) -> Result<WeightFile> {
    find_embedded(name).unwrap_or_else(|| {
        let help = format!("build with the feature embedded-weights, or use {option}");
        Err(crate::Error::weights(std::path::Path::new(name), "not included in this build").with_help(help))
    })
}

/// The file of an embedded net; `None` if it is not included in this build.
pub(crate) fn find_embedded(name: &str) -> Option<Result<WeightFile>> {
    let (name, bytes) = FILES.iter().find(|(known, _)| *known == name)?;
    Some(WeightFile::from_bytes(name, bytes))
}

/// The embedded feed-forward nets by name, of one style or of many. None in a build without the feature.
pub fn models() -> impl Iterator<Item = (&'static str, Result<WeightFile>)> {
    let is_pair = |name: &str| PAIRS.iter().any(|pair| pair.name == name);
    let enlarges = |name: &str| ENLARGERS.iter().any(|net| net.name == name);
    let other = move |name: &str| name.starts_with(ENCODER) || is_pair(name) || enlarges(name);
    let nets = FILES.iter().filter(move |(name, _)| !other(name));
    nets.map(|(name, bytes)| (*name, WeightFile::from_bytes(name, bytes)))
}
