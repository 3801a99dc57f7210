//! The embedded kernel files. A new file is one line here.

use std::sync::OnceLock;

use crate::{Error, Result};

macro_rules! shaders {
    ($($name:literal),* $(,)?) => {
        const SOURCES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../shaders/", $name)))),*];
    };
}

shaders![
    "adam.wgsl",
    "clip.wgsl",
    "conv2d.wgsl",
    "conv2d_broadcast.wgsl",
    "conv2d_matrix.wgsl",
    "conv2d_weights.wgsl",
    "conv2d_weights_broadcast.wgsl",
    "gram.wgsl",
    "gram_broadcast.wgsl",
    "lbfgs.wgsl",
    "lib/border.wgsl",
    "lib/conv2d.wgsl",
    "lib/conv2d_input.wgsl",
    "lib/conv2d_output.wgsl",
    "lib/epilogue.wgsl",
    "lib/four.wgsl",
    "lib/index.wgsl",
    "lib/load.wgsl",
    "lib/matrix.wgsl",
    "lib/mean_std.wgsl",
    "lib/multiply_add.wgsl",
    "lib/norm.wgsl",
    "lib/one.wgsl",
    "lib/reduce.wgsl",
    "lib/broadcast_eight.wgsl",
    "lib/winograd.wgsl",
    "lib/winograd_2.wgsl",
    "lib/winograd_4.wgsl",
    "lib/winograd_four.wgsl",
    "lib/winograd_one.wgsl",
    "lib/winograd_rows.wgsl",
    "matrix_test.wgsl",
    "mean_std.wgsl",
    "mean_std_four.wgsl",
    "norm.wgsl",
    "norm_four.wgsl",
    "pad.wgsl",
    "pool.wgsl",
    "regions.wgsl",
    "relu.wgsl",
    "resample.wgsl",
    "roof.wgsl",
    "roof_half.wgsl",
    "roof_matrix.wgsl",
    "rows.wgsl",
    "square_loss.wgsl",
    "steady.wgsl",
    "tanh.wgsl",
    "texture.wgsl",
    "total_variation.wgsl",
    "vector.wgsl",
    "window.wgsl",
    "winograd_2.wgsl",
    "winograd_2_four.wgsl",
    "winograd_4.wgsl",
    "winograd_4_four.wgsl",
];

/// A change to one file, for tests of what notices a kernel that computes something else.
static ALTERATION: OnceLock<(String, String)> = OnceLock::new();

/// Replaces `find` in the file `name` for the rest of the process, before any kernel is compiled. Only the first call
/// has an effect.
///
/// # Errors
/// An unknown file; a file that does not contain `find`.
pub fn alter(name: &str, find: &str, replacement: &str) -> Result<()> {
    let text = embedded(name).filter(|text| text.contains(find)).ok_or_else(|| {
        Error::argument(
            "kernel alteration",
            "text",
            "the name of a kernel file and a part of it",
            format!("{name}, {find}"),
        )
    })?;
    let _ = ALTERATION.set((name.into(), text.replace(find, replacement)));
    Ok(())
}

/// Whether a file has been replaced.
pub(super) fn is_altered() -> bool {
    ALTERATION.get().is_some()
}

/// The source of a kernel file, by its name under `shaders/`, as it is compiled.
pub fn source(name: &str) -> Option<&'static str> {
    let altered = ALTERATION.get().filter(|(file, _)| file == name);
    altered.map(|(_, text)| text.as_str()).or_else(|| embedded(name))
}

/// The source of a kernel file as it is in `shaders/`.
pub(super) fn embedded(name: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Names of all files, including libraries.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(name, _)| *name)
}

/// Names of all kernel files, without libraries.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().filter(|name| !name.starts_with("lib/"))
}
