//! `impasto models`, and finding one by its name.

use std::path::{Path, PathBuf};

use impasto::io::{Picture, WeightFile, picture};
use impasto::nets::ImageTransformNet;
use impasto::nets::image_transform_net::{Form, Painter, Weights};
use impasto::ops::norm::Over;
use impasto::sheet::{self, Cell};
use impasto::{Error, Result};

use super::{DeviceArgs, data_directory, print_line};

/// Arguments of `impasto models`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto models
  impasto models --thumbnails photo.jpg -o sheet.png

A net that lies in the folder `models` of the user's data directory (the last line says where) is known by its file's name
without the ending.")]
pub struct Args {
    /// Paint this photo with every net, on one sheet
    #[arg(long, value_name = "PHOTO", requires = "output")]
    thumbnails: Option<PathBuf>,
    /// Where the sheet goes
    #[arg(short, long, value_name = "OUT", requires = "thumbnails")]
    output: Option<PathBuf>,
    /// Long side of a thumbnail in pixels
    #[arg(long, value_name = "N", default_value_t = 256)]
    size: usize,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// A net that goes by a name.
struct Model {
    name: String,
    /// Where it lies; `None` if it is part of the command.
    path: Option<PathBuf>,
    file: Result<WeightFile>,
}

fn folder() -> Result<PathBuf> {
    Ok(data_directory()?.join("models"))
}

/// Built in first, then installed, each by name.
fn all() -> Vec<Model> {
    let built_in = impasto::weights::models();
    let mut models: Vec<_> = built_in.map(|(name, file)| Model { name: name.to_string(), path: None, file }).collect();
    let entries = folder().ok().and_then(|folder| std::fs::read_dir(folder).ok());
    let mut paths: Vec<_> = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "safetensors" || ending == "pth"));
    paths.sort();
    models.extend(paths.into_iter().map(|path| Model {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        file: WeightFile::load(&path),
        path: Some(path),
    }));
    models
}

/// The net that `--model` names: a file, or one of those that `impasto models` lists.
pub fn find(name: &str) -> Result<Weights> {
    Weights::of(&find_file("stylize", "--model", name)?)
}

/// The file of the net that an option of a command names.
pub fn find_file(command: &str, option: &str, name: &str) -> Result<WeightFile> {
    if Path::new(name).exists() {
        return WeightFile::load(Path::new(name));
    }
    let mut models = all();
    match models.iter().position(|model| model.name == name) {
        Some(index) => models.swap_remove(index).file,
        None => {
            let known: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
            let expected = format!("a file, or one of: {}", known.join(", "));
            Err(Error::argument(command, option, expected, name))
        }
    }
}

/// The net's form in words: `resize, instance norm, 16 channels`.
fn describe(weights: &Weights) -> String {
    let form = if weights.form == Form::Paper { "paper" } else { "resize" };
    let norm = if weights.norm == Over::Batch { "batch" } else { "instance" };
    format!("{form}, {norm} norm, {} channels", weights.channels)
}

pub fn run(args: &Args) -> Result<()> {
    let models = all();
    if let (Some(photo), Some(output)) = (&args.thumbnails, &args.output) {
        thumbnails(args, &models, photo, output)?;
    }
    for model in &models {
        let place = model.path.as_ref().map_or("built in".into(), |path| path.display().to_string());
        let net = model.file.as_ref().map_err(Error::to_string).and_then(|file| {
            let weights = Weights::of(file).map_err(|error| error.to_string())?;
            Ok((describe(&weights), file.metadata.clone()))
        });
        if args.json {
            let metadata = net.as_ref().ok().map(|(_, metadata)| metadata);
            let (form, error) = (net.as_ref().ok().map(|(form, _)| form), net.as_ref().err());
            print_line(serde_json::json!({
                "name": model.name, "place": place, "net": form, "metadata": metadata, "error": error,
            }))?;
            continue;
        }
        match net {
            Ok((form, metadata)) => {
                let style =
                    metadata.get("style_title").or(metadata.get("style")).map(|s| format!("{s}; ")).unwrap_or_default();
                print_line(format_args!("{:16}  {style}{form}  ({place})", model.name))?;
            }
            Err(error) => print_line(format_args!("{:16}  cannot be used: {error}", model.name))?,
        }
    }
    if !args.json {
        print_line(format_args!("Nets in {} are listed too.", folder()?.display()))?;
    }
    Ok(())
}

/// The photo, then the photo by every net that can be used.
fn thumbnails(args: &Args, models: &[Model], path: &Path, output: &Path) -> Result<()> {
    picture::check_output(output)?;
    let photo = Picture::load(path)?.fit(args.size);
    let context = args.device.open()?;
    let mut cells = vec![Cell::picture(&photo, args.size, sheet::stem(path))];
    for model in models {
        let Some(weights) = model.file.as_ref().ok().and_then(|file| Weights::of(file).ok()) else { continue };
        let painted = Painter::new(ImageTransformNet::new(&context, weights)?).paint(&photo)?;
        cells.push(Cell::picture(&painted, args.size, &model.name));
    }
    let columns = (cells.len() as f64).sqrt().ceil() as usize;
    sheet::sheet(&cells.chunks(columns).map(<[Cell]>::to_vec).collect::<Vec<_>>())?.save(output)
}
