//! Finds nets by name: those that are included, and files.

use std::path::Path;

use impasto::io::WeightFile;
use impasto::nets::adain_painter::AdainStyle;
use impasto::nets::image_transform_net::{BodyStyle, ImageTransformNetWeights};
use impasto::weights::{self, PAIRS, Pair};
use impasto::{Error, Result};

/// What a name stands for.
pub enum Net {
    /// An encoder and a decoder for AdaIN.
    Pair(&'static Pair),
    /// A feed-forward net of one style.
    OneStyle(ImageTransformNetWeights),
}

/// The names of the included feed-forward nets: of a body, one for each style.
pub fn nets() -> impl Iterator<Item = String> {
    weights::models().flat_map(|(name, file)| {
        let styles = file.and_then(|file| ImageTransformNetWeights::of(&file)).map(|net| net.styles);
        match styles.unwrap_or_default() {
            styles if styles.is_empty() => vec![name.to_string()],
            styles => styles.iter().map(|style| format!("{name}:{style}")).collect(),
        }
    })
}

/// The net that `text` names: a file, `FILE:STYLE`, or an included one.
///
/// # Errors
/// An unknown name; a file that is not a net, or a body without a style.
pub fn find(text: &str) -> Result<Net> {
    let included = |name: &str| weights::models().find(|(known, _)| *known == name).map(|(_, file)| file);
    if let Some(pair) = PAIRS.iter().find(|pair| pair.name == text && !Path::new(text).is_file()) {
        return Ok(Net::Pair(pair));
    }
    let ends = text.match_indices(':').map(|(end, _)| end).chain([text.len()]);
    let mut parts: Vec<_> = ends.map(|end| (&text[..end], text.get(end + 1..))).collect();
    parts.reverse();
    let found = parts.iter().find(|(name, _)| Path::new(name).is_file());
    let found = found.map(|(name, style)| (WeightFile::load(Path::new(name)), *name, *style));
    let found = found.or_else(|| parts.iter().find_map(|(name, style)| Some((included(name)?, *name, *style))));
    let Some((file, name, style)) = found else {
        let known: Vec<_> = PAIRS.iter().map(|pair| pair.name.to_string()).chain(nets()).collect();
        let expected = format!("a file, or one of: {}", known.join(", "));
        return Err(Error::argument("load", "name", expected, text));
    };
    one_style(&file?, name, style).map(Net::OneStyle)
}

/// The net of one style in `file`, which is called `name`.
fn one_style(file: &WeightFile, name: &str, style: Option<&str>) -> Result<ImageTransformNetWeights> {
    let refuse = |expected: String, got: &str| Err(Error::argument("load", "name", expected, got));
    if AdainStyle::of(file).is_ok() {
        let help = "add it as a style to a model for AdaIN";
        return Err(Error::weights(&file.path, "this is a style for AdaIN, not a net").with_help(help));
    }
    let net = if BodyStyle::is_in(file) { in_its_body(file)? } else { ImageTransformNetWeights::of(file)? };
    let is_known = style.is_some_and(|style| net.styles.iter().any(|known| known == style));
    match style {
        None if net.styles.is_empty() => Ok(net),
        Some(style) if is_known => ImageTransformNetWeights::of(&net.alone(style, file)?),
        Some(style) if net.styles.is_empty() => {
            refuse(format!("{name} without a style, because this net has one only"), &format!("{name}:{style}"))
        }
        _ => {
            let got = style.map_or(name.to_string(), |style| format!("{name}:{style}"));
            refuse(format!("{name}:STYLE, with STYLE one of {}", net.styles.join(", ")), &got)
        }
    }
}

/// The net that paints in the style of `file`. Its body is one of the included nets.
fn in_its_body(file: &WeightFile) -> Result<ImageTransformNetWeights> {
    let style = BodyStyle::of(file)?;
    let mut bodies = weights::models().filter_map(|(_, file)| ImageTransformNetWeights::of(&file.ok()?).ok());
    let Some(body) = bodies.find(|body| body.fingerprint() == style.body) else {
        let reason = format!("this style needs the body `{}`, which is not included", style.body_name);
        return Err(Error::weights(&file.path, reason).with_help("use a style of an included body, or a whole net"));
    };
    body.in_style(&style)
}
