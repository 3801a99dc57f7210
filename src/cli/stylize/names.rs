//! Names of files with weights, masks and numbers, as the command line has them. `fuzz/` includes this file.

use std::path::{Path, PathBuf};

/// Splits `NAME` or `NAME:WEIGHT`. An existing file whose name ends in a colon and a number is a name.
pub fn weighted(text: &str) -> (&str, f32) {
    match text.rsplit_once(':').and_then(|(name, weight)| Some((name, weight.parse().ok()?))) {
        Some((name, weight)) if !name.is_empty() && !Path::new(text).exists() => (name, weight),
        _ => (text, 1.0),
    }
}

/// Inserts a text before the ending: `out.png` becomes `out-text.png`.
pub fn suffixed(output: &Path, text: &str) -> PathBuf {
    let mut name = output.file_stem().unwrap_or_default().to_os_string();
    name.push(format!("-{text}."));
    name.push(output.extension().unwrap_or_default());
    output.with_file_name(name)
}

/// Splits `MASK=STYLE` or `MASK=NET`. Both names can contain `=`: the mask is the longest beginning that is a file.
pub fn split(text: &str) -> Option<(&str, &str)> {
    let parts = || text.match_indices('=').map(|(at, _)| (&text[..at], &text[at + 1..]));
    let found = parts().rfind(|(mask, _)| Path::new(mask).is_file());
    found.or_else(|| parts().next()).filter(|(mask, name)| !mask.is_empty() && !name.is_empty())
}
