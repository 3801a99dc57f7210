//! `impasto weights inspect`: what is in a file, and which command takes it.

use std::error::Error as _;
use std::path::Path;

use impasto::io::WeightFile;
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::adain_painter::{self, AdainStyle};
use impasto::nets::image_transform_net::{BodyStyle, Form, ImageTransformNetWeights};
use impasto::nets::super_resolution_net::SuperResolutionWeights;
use impasto::nets::vgg19::Vgg19Weights;
use impasto::ops::norm::Over;
use impasto::{Error, Result};
use serde_json::{Value, json};

use crate::cli::print_line;

/// What a file is.
struct Kind {
    /// Its kind, for programs.
    name: &'static str,
    /// A phrase for people.
    what: String,
    /// The command that takes it.
    command: String,
    /// Further fields of the JSON output.
    details: Value,
}

/// A VGG-19 in words.
pub fn vgg19(weights: &Vgg19Weights) -> String {
    let deepest = weights.deepest().map_or("no layer".into(), |tap| tap.to_string());
    format!("VGG-19 in the {} convention, to {deepest}", weights.convention)
}

pub fn run(path: &Path, json: bool) -> Result<()> {
    if let Some(kind) = checkpoint(path) {
        return match json {
            true => print_line(described(&Ok(kind), json!({ "path": path.display().to_string() }))),
            false => print_kind(&Ok(kind)),
        };
    }
    let file = WeightFile::load(path)?;
    let kind = kind(&file);
    if json {
        let tensor = |(name, tensor): &(String, impasto::io::HostTensor)| json!({ "name": name, "dtype": format!("{:?}", tensor.dtype), "shape": tensor.shape });
        let contents = json!({
            "path": path.display().to_string(), "format": format!("{:?}", file.format), "convention": null,
            "deepest_tap": null, "metadata": file.metadata, "tensors": file.tensors.iter().map(tensor).collect::<Vec<_>>(),
        });
        return print_line(described(&kind, contents));
    }
    let parameters: usize = file.tensors.iter().map(|(_, tensor)| tensor.data.len()).sum();
    let count = file.tensors.len();
    print_line(format_args!("{}: {:?}, {count} tensors, {parameters} values", path.display(), file.format))?;
    let width = file.tensors.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, tensor) in &file.tensors {
        print_line(format_args!("  {name:width$}  {:4?}  {:?}", tensor.dtype, tensor.shape))?;
    }
    for (key, value) in &file.metadata {
        print_line(format_args!("  {key}: {value}"))?;
    }
    print_kind(&kind)
}

fn print_kind(kind: &Result<Kind>) -> Result<()> {
    match kind {
        Ok(Kind { what, command, .. }) => print_line(format_args!("{what}\nUse it with: {command}")),
        Err(error) => print_line(format_args!("No net that Impasto can use: {}", reason(error))),
    }
}

/// The reason of an error, without the file and the remedy.
fn reason(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The JSON object with the fields of the kind.
fn described(kind: &Result<Kind>, mut object: Value) -> Value {
    match kind {
        Ok(Kind { name, command, details, .. }) => {
            (object["kind"], object["command"]) = (json!(name), json!(command));
            for (key, value) in details.as_object().into_iter().flatten() {
                object[key] = value.clone();
            }
        }
        Err(error) => (object["kind"], object["reason"]) = (Value::Null, json!(reason(error))),
    }
    object
}

/// The folder of a training checkpoint, or one of its files.
fn checkpoint(path: &Path) -> Option<Kind> {
    let folder = if path.is_dir() { path } else { path.parent()? };
    let name = folder.file_name()?.to_string_lossy().into_owned();
    let step: u64 = name.strip_prefix("step-")?.parse().ok()?;
    folder.join("header.json").is_file().then(|| Kind {
        name: "training_checkpoint",
        what: format!("Checkpoint of a training, at step {step}"),
        command: "the `impasto train` command that wrote it, with --resume".into(),
        details: json!({ "step": step }),
    })
}

/// What the file is; for another file the error of the net that its names resemble most.
fn kind(file: &WeightFile) -> Result<Kind> {
    let path = file.path.display();
    if let Ok(style) = AdainStyle::of(file) {
        let (encoder, channels) = (adain_painter::short(&style.encoder).to_string(), style.mean.len());
        return Ok(Kind {
            name: "adain_style",
            what: format!("Style for AdaIN: {channels} channels of encoder {encoder}"),
            command: format!("impasto stylize PHOTO --style {path} -o OUT"),
            details: json!({ "encoder": style.encoder }),
        });
    }
    if BodyStyle::is_in(file) {
        let body = BodyStyle::of(file)?.body_name;
        return Ok(Kind {
            name: "body_style",
            what: format!("Style of the body `{body}`"),
            command: format!("impasto stylize PHOTO --model {path} -o OUT"),
            details: json!({ "body": body }),
        });
    }
    let decoder = |weights: AdainDecoderWeights| Kind {
        name: "adain_decoder",
        what: format!("AdaIN decoder that reads {} channels", weights.channels()),
        command: format!("impasto stylize PHOTO --style PAINTING --decoder {path} -o OUT"),
        details: json!({ "channels": weights.channels() }),
    };
    let vgg = |weights: Vgg19Weights| Kind {
        name: "vgg19",
        what: vgg19(&weights),
        command: format!("impasto weights import {path}, or the option --vgg {path}"),
        details: json!({
            "convention": weights.convention.to_string(), "deepest_tap": weights.deepest().map(|tap| tap.to_string()),
        }),
    };
    if SuperResolutionWeights::is_in(file) {
        let SuperResolutionWeights { scale, channels, .. } = SuperResolutionWeights::of(file)?;
        return Ok(Kind {
            name: "super_resolution_net",
            what: format!("Super-resolution net that enlarges by {scale}, with {channels} channels"),
            command: format!("impasto enlarge PHOTO --model {path} -o OUT"),
            details: json!({ "scale": scale, "channels": channels }),
        });
    }
    let has = |part: &str| file.tensors.iter().any(|(name, _)| name.contains(part));
    if has("conv1.conv2d.") {
        return ImageTransformNetWeights::of(file).map(|weights| image_transform_net(&weights, file));
    }
    if has("d4_1.") {
        return AdainDecoderWeights::of(file).map(decoder);
    }
    // Numbered names can be those of either net.
    match (Vgg19Weights::of(file), AdainDecoderWeights::of(file)) {
        (Ok(weights), _) => Ok(vgg(weights)),
        (_, Ok(weights)) => Ok(decoder(weights)),
        (Err(error), _) if has("conv1_1.") || has("features.") => Err(error),
        _ => Err(Error::weights(
            &file.path,
            "its tensors have the names of none: VGG-19, AdaIN decoder, image transform net, super-resolution net, style",
        )),
    }
}

fn image_transform_net(weights: &ImageTransformNetWeights, file: &WeightFile) -> Kind {
    let form = if weights.form == Form::Paper { "Johnson's form" } else { "the form with resizing" };
    let norm = if weights.norm == Over::Batch { "batch" } else { "instance" };
    let (path, channels) = (file.path.display(), weights.channels);
    let of = format!("in {form} with {norm} norm, {channels} channels at full size");
    let (name, what, style) = match &weights.styles[..] {
        [] => ("image_transform_net", format!("Image transform net {of}"), ""),
        styles => ("body", format!("Body for {} styles {of}: {}", styles.len(), styles.join(", ")), ":STYLE"),
    };
    let command = format!("impasto stylize PHOTO --model {path}{style} -o OUT");
    Kind { name, what, command, details: json!({ "styles": weights.styles }) }
}
