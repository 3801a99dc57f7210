//! The names of the styles of a net of many, in the metadata of its file.

use crate::io::WeightFile;

/// Metadata key of the style names: a JSON list in the order of the rows.
pub(super) const STYLES: &str = "styles";

/// Style names of a file; none for a net of one style.
pub(super) fn names(file: &WeightFile) -> Result<Vec<String>, String> {
    let Some(text) = file.metadata.get(STYLES) else { return Ok(Vec::new()) };
    let names: Vec<String> = serde_json::from_str(text)
        .map_err(|error| format!("metadata `{STYLES}` must be a list of names in JSON ({error})"))?;
    check(&names).map(|()| names).map_err(|reason| format!("metadata `{STYLES}` {reason}"))
}

/// Refuses an empty list, and names that are empty or not unique.
pub(super) fn check(names: &[String]) -> Result<(), String> {
    if names.is_empty() {
        return Err("must name one style or more".into());
    }
    let twice = names.iter().enumerate().find(|(index, name)| name.is_empty() || names[..*index].contains(name));
    match twice {
        None => Ok(()),
        Some((_, name)) if name.is_empty() => Err("must give each style a name, got an empty one".into()),
        Some((_, name)) => Err(format!("must name each style once, got `{name}` twice")),
    }
}

/// Metadata of the style names.
pub(super) fn metadata(styles: &[String]) -> Option<(&'static str, String)> {
    (!styles.is_empty()).then(|| (STYLES, serde_json::json!(styles).to_string()))
}
