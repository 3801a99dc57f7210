//! Finds nets by what the command line says: `NAME` or `FILE`, for a body `NAME:STYLE` or `FILE:STYLE`, and with
//! `:WEIGHT` at the end if several styles are mixed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use impasto::io::WeightFile;
use impasto::nets::adain_painter::AdainStyle;
use impasto::nets::image_transform_net::{BodyStyle, ImageTransformNetWeights};
use impasto::nets::super_resolution_net::SuperResolutionWeights;
use impasto::{Error, Result};

use crate::cli::{data_directory, styles, weights::inspected};

/// A file with a name: a net of one style, a body, or a style of a body.
pub struct Model {
    pub name: String,
    /// The file; `None` if it is built in.
    pub path: Option<PathBuf>,
    pub file: Result<WeightFile>,
}

/// The folder of installed nets.
pub fn folder() -> Result<PathBuf> {
    Ok(data_directory()?.join("models"))
}

/// All nets: first those that are built in, then the installed ones, sorted by name.
pub fn all() -> Vec<Model> {
    let built_in = impasto::weights::models();
    let mut models: Vec<_> = built_in.map(|(name, file)| Model { name: name.to_string(), path: None, file }).collect();
    let entries = folder().ok().and_then(|folder| std::fs::read_dir(folder).ok());
    let mut paths: Vec<_> = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| {
        path.extension().is_some_and(|ending| ["safetensors", "pth", "style"].iter().any(|known| ending == *known))
    });
    paths.sort();
    models.extend(paths.into_iter().map(Model::load));
    models
}

impl Model {
    fn load(path: PathBuf) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Model { name, file: WeightFile::load(&path), path: Some(path) }
    }
}

/// The net in a file. A file with a style for AdaIN is refused.
pub fn weights(file: &WeightFile) -> Result<ImageTransformNetWeights> {
    if AdainStyle::of(file).is_ok() {
        let help = "use it with `impasto stylize PHOTO --style FILE`";
        return Err(Error::weights(&file.path, "this is a style for AdaIN, not a net").with_help(help));
    }
    if SuperResolutionWeights::is_in(file) {
        let help = "use it with `impasto enlarge PHOTO --model FILE`";
        return Err(Error::weights(&file.path, "this net enlarges photos and does not paint").with_help(help));
    }
    ImageTransformNetWeights::of(file).map_err(inspected)
}

/// The net that paints in the style of `file`. Its body is found by its fingerprint.
pub fn in_its_body(file: &WeightFile) -> Result<WeightFile> {
    let style = BodyStyle::of(file)?;
    let nets = all().into_iter().filter_map(|model| ImageTransformNetWeights::of(&model.file.ok()?).ok());
    let Some(body) = nets.into_iter().find(|net| net.fingerprint() == style.body) else {
        let folder = folder().map_or("the folder `models`".into(), |folder| folder.display().to_string());
        let body = &style.body_name;
        let reason = format!("this style needs the body `{body}`, which is not installed");
        return Err(Error::weights(&file.path, reason).with_help(format!("copy its file to {folder}")));
    };
    Ok(body.in_style(&style)?.into_file(&file.path, file.metadata.clone()))
}

/// The command and the option with which the user named nets, for error messages.
struct Asked<'a> {
    command: &'a str,
    option: &'a str,
}

/// A file that the command line names.
struct Named<'a> {
    model: Model,
    /// The part of the text that names the file.
    text: &'a str,
    /// The part of the text after the name and a colon.
    rest: Option<&'a str>,
}

impl Asked<'_> {
    fn refuse<T>(&self, expected: impl Into<String>, got: impl std::fmt::Display) -> Result<T> {
        Err(Error::argument(self.command, self.option, expected, got))
    }

    /// The file that the longest possible beginning of `text` names.
    fn open<'a>(&self, text: &'a str) -> Result<Named<'a>> {
        let ends = text.match_indices(':').map(|(end, _)| end).chain([text.len()]);
        let parts: Vec<_> = ends.map(|end| (&text[..end], text.get(end + 1..))).collect();
        if let Some((text, rest)) = parts.iter().rev().find(|(name, _)| Path::new(name).is_file()) {
            return Ok(Named { model: Model::load(text.into()), text, rest: *rest });
        }
        let mut models = all();
        for (text, rest) in parts.iter().rev() {
            if let Some(index) = models.iter().position(|model| model.name == *text) {
                return Ok(Named { model: models.swap_remove(index), text, rest: *rest });
            }
        }
        let is_body = |model: &Model| {
            let net = model.file.as_ref().ok().and_then(|file| ImageTransformNetWeights::of(file).ok());
            net.is_some_and(|net| !net.styles.is_empty())
        };
        let shown = |model: &Model| format!("{}{}", model.name, if is_body(model) { ":STYLE" } else { "" });
        let known: Vec<_> = models.iter().map(shown).collect();
        self.refuse(format!("a file, or one of: {}", known.join(", ")), text)
    }

    /// The net of one style that `text` names, and its weight.
    fn net(&self, text: &str) -> Result<(WeightFile, f32)> {
        let Named { model, text: name, rest } = self.open(text)?;
        let file = model.file?;
        let is_style = BodyStyle::is_in(&file);
        let styles = if is_style { Vec::new() } else { weights(&file)?.styles };
        let (style, weight) = chosen(&styles, rest);
        match style {
            Some(style) if styles.iter().any(|known| known == style) => {
                Ok((weights(&file)?.alone(style, &file)?, weight))
            }
            None if is_style => Ok((in_its_body(&file)?, weight)),
            None if styles.is_empty() => Ok((file, weight)),
            Some(_) if styles.is_empty() => {
                self.refuse(format!("{name} without :STYLE, because this net has one style only"), text)
            }
            _ => self.refuse(format!("{name}:STYLE, with STYLE one of {}", styles.join(", ")), text),
        }
    }
}

/// Splits what follows a file's name: `STYLE`, `WEIGHT` or `STYLE:WEIGHT`.
fn chosen<'a>(styles: &[String], rest: Option<&'a str>) -> (Option<&'a str>, f32) {
    let Some(rest) = rest.filter(|rest| !styles.iter().any(|known| known == rest)) else { return (rest, 1.0) };
    let (style, weight) = rest.rsplit_once(':').map_or((None, rest), |(style, weight)| (Some(style), weight));
    weight.parse().map_or((Some(rest), 1.0), |weight| (style, weight))
}

/// Whether `text` names a net and not a style for AdaIN.
pub fn is_net(text: &str) -> bool {
    let asked = Asked { command: "", option: "" };
    let Ok(Named { model, .. }) = asked.open(text) else { return false };
    match model.path.as_ref().and_then(|path| path.extension()) {
        None => model.path.is_none() && !styles::is_saved(text),
        Some(ending) if ending == "style" => model.file.is_ok_and(|file| BodyStyle::is_in(&file)),
        Some(ending) => ending == "safetensors" || ending == "pth",
    }
}

/// The net that an option of a command names, as a file of one style. Several names give the styles' weighted mean.
pub fn find(command: &str, option: &str, names: &[String]) -> Result<WeightFile> {
    let asked = Asked { command, option };
    let mut files = names.iter().map(|text| asked.net(text)).collect::<Result<Vec<_>>>()?;
    if let [(_, weight)] = files[..]
        && weight > 0.0
    {
        return Ok(files.swap_remove(0).0);
    }
    let nets = files
        .iter()
        .map(|(file, weight)| Ok((ImageTransformNetWeights::of(file)?, *weight)))
        .collect::<Result<Vec<_>>>()?;
    let bodies: Vec<_> = nets.iter().map(|(net, _)| net.fingerprint()).collect();
    if let Some(other) = bodies.iter().position(|body| *body != bodies[0]) {
        let got = format!("{}, which has other convolutions than {}", names[other], names[0]);
        return asked.refuse("styles of one body if several are mixed", got);
    }
    Ok(ImageTransformNetWeights::mix(&nets)?.into_file(Path::new(&names.join(" + ")), BTreeMap::new()))
}

/// The name of the body for which a new style is trained, and the net in the style that training starts from: the named
/// style, or the mean of the body's styles.
pub fn start(command: &str, option: &str, text: &str) -> Result<(String, ImageTransformNetWeights)> {
    let asked = Asked { command, option };
    let Named { model, rest, .. } = asked.open(text)?;
    let file = model.file?;
    if BodyStyle::is_in(&file) {
        return Ok((BodyStyle::of(&file)?.body_name, ImageTransformNetWeights::of(&asked.net(text)?.0)?));
    }
    let body = weights(&file)?;
    let net = match rest {
        None if !body.styles.is_empty() => body.blend(&vec![1.0; body.styles.len()])?,
        _ => ImageTransformNetWeights::of(&asked.net(text)?.0)?,
    };
    Ok((model.name, net))
}
