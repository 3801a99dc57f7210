//! `impasto weights`

mod inspect;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use impasto::io::{DType, WeightFile};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::vgg19::{Convention, Tap, Vgg19Weights};
use impasto::nets::{AdainDecoder, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::weights::{ENCODERS, PAIRS};
use impasto::{Error, Result, gpu::Context};

use super::{data_directory, file_name, print_line};

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  impasto weights inspect vgg19-dcbb9e9d.pth
  impasto weights import vgg19-dcbb9e9d.pth")]
pub enum Command {
    /// List a file's tensors, shapes and metadata, and say what net or style it is and which command takes it
    #[command(after_help = "\
Examples:
  impasto weights inspect vgg19-dcbb9e9d.pth
  impasto weights inspect net.safetensors --json")]
    Inspect {
        /// A .safetensors, .pth or .style file, or the folder of a training checkpoint
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check a VGG-19 file, and store it in the user's data directory for later runs
    #[command(after_help = "\
Examples:
  impasto weights import vgg19-dcbb9e9d.pth
  impasto weights import vgg19-d01eb7cb.pth --convention caffe
  impasto weights import vgg_normalised.safetensors --precision f32

Gatys' method, the feed-forward trainers and `compare` then use the stored net, unless --vgg names another. Impasto \
reads a .pth file as data and executes nothing in it.")]
    Import {
        /// A .safetensors or .pth file
        file: PathBuf,
        /// Precision of the stored values
        #[arg(long, value_enum, default_value = "f16")]
        precision: FilePrecision,
        /// Convention of the weights: torchvision, caffe or normalised [default: as the tensors' names suggest]. Some
        /// .pth files have torchvision's names with Caffe's convention; import them with caffe
        #[arg(long)]
        convention: Option<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum FilePrecision {
    /// 16 bits: half the size, relative rounding error 2^-11
    F16,
    /// 32 bits
    F32,
}

pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Inspect { file, json } => inspect::run(&file, json),
        Command::Import { file, precision, convention } => {
            let mut file = WeightFile::load(&file)?;
            if let Some(name) = convention {
                file.metadata.insert("convention".into(), Convention::from_name(&name)?.to_string());
            }
            import(&file, precision)
        }
    }
}

/// The file that `import` writes.
fn stored() -> Result<PathBuf> {
    Ok(data_directory()?.join("vgg19.safetensors"))
}

/// The library's error about a file that is not the expected net, which also says how to see what is in the file.
pub fn inspected(error: Error) -> Error {
    let Error::Weights { help: Some(help), .. } = &error else { return error };
    let help = format!("{help} (`impasto weights inspect` lists what is in the file)");
    error.with_help(help)
}

fn import(file: &WeightFile, precision: FilePrecision) -> Result<()> {
    let weights = Vgg19Weights::of(file).map_err(inspected)?;
    let mut metadata: BTreeMap<_, _> = file.metadata.clone();
    metadata.insert("convention".into(), weights.convention.to_string());
    metadata.insert("imported_from".into(), file.path.file_name().unwrap_or_default().to_string_lossy().into());
    let path = stored()?;
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| Error::file("create", directory, error))?;
    }
    let dtype = match precision {
        FilePrecision::F16 => DType::F16,
        FilePrecision::F32 => DType::F32,
    };
    WeightFile::save(&path, dtype, &weights.tensors(), &metadata)?;
    let what = inspect::vgg19(&Vgg19Weights::of(&WeightFile::load(&path)?)?);
    print_line(format_args!("{}: {what}", path.display()))
}

/// Loads what [`find_vgg`] finds onto a device; `compact` if none was named or imported.
pub fn load_vgg(context: &Context, choice: Option<&str>, pool: Pooling) -> Result<Vgg19> {
    Vgg19::new(context, &find_vgg(choice, "compact")?, pool)
}

/// As [`load_vgg`] for Gatys' method, whose default is `half`.
pub fn load_gatys_vgg(context: &Context, choice: Option<&str>, pool: Pooling) -> Result<Vgg19> {
    Vgg19::new(context, &find_vgg(choice, "half")?, pool)
}

/// The net that `--vgg` names: a file, an included encoder (`half`, `fast`, `compact`), `random` or `random:WIDTH`.
/// Without `--vgg` it is the imported net, or the included encoder `usual` if none was imported.
pub fn find_vgg(choice: Option<&str>, usual: &str) -> Result<Vgg19Weights> {
    let random = choice.and_then(|name| name.strip_prefix("random"));
    if let Some(rest) = random.filter(|rest| rest.is_empty() || rest.starts_with(':')) {
        let width = match rest.strip_prefix(':') {
            None => 0.5,
            Some(text) => text
                .parse()
                .ok()
                .filter(|w| (0.05..=1.0).contains(w))
                .ok_or_else(|| Error::argument("stylize", "--vgg random:WIDTH", "a width from 0.05 to 1", text))?,
        };
        tracing::warn!(
            "using a VGG with random weights: it captures texture and colour less well than trained weights"
        );
        return Ok(Vgg19Weights::random(width, 1));
    }
    let imported = stored().ok().filter(|path| path.exists());
    let file = match (choice, imported) {
        (None, Some(path)) => WeightFile::load(&path)?,
        (choice, _) => match choice.unwrap_or(usual) {
            name if ENCODERS.contains(&name) => impasto::weights::encoder(name)?,
            path => WeightFile::load(Path::new(path))?,
        },
    };
    tracing::info!("VGG-19 weights: {}", file.path.display());
    Vgg19Weights::of(&file).map_err(inspected)
}

/// The name of the net that [`find_vgg`] finds: for a file the file's name, for an imported net `imported`.
pub fn vgg_name(choice: Option<&str>, usual: &str) -> String {
    match choice {
        Some(name) => file_name(Path::new(name)),
        None if stored().is_ok_and(|path| path.exists()) => "imported".into(),
        None => usual.into(),
    }
}

/// The names of the included AdaIN pairs.
pub fn pair_names() -> Vec<&'static str> {
    PAIRS.iter().map(|pair| pair.name).collect()
}

/// Loads an AdaIN pair onto a device. `decoder` is the name of a pair or a decoder's file; `encoder` is a name as for
/// `--vgg`. Without `encoder`, a named pair brings its own. For a file it is the included encoder that the decoder was
/// trained with or, if the file does not say, the first one with as many channels.
pub fn load_pair(context: &Context, encoder: Option<&str>, decoder: &str) -> Result<(Vgg19, AdainDecoder)> {
    let path = Path::new(decoder);
    let pair = PAIRS.iter().find(|pair| pair.name == decoder && !path.exists());
    let file = match pair {
        Some(pair) => pair.decoder()?,
        None if path.exists() || path.extension().is_some() => WeightFile::load(path)?,
        None => {
            let expected = format!("a file, or one of: {}", pair_names().join(", "));
            return Err(Error::argument("AdaIN", "decoder", expected, decoder));
        }
    };
    let weights = AdainDecoderWeights::of(&file).map_err(inspected)?;
    let trained_with = file.metadata.get("encoder");
    let encoder = match (encoder, pair) {
        (Some(name), _) => find_vgg(Some(name), name)?,
        (None, Some(pair)) => Vgg19Weights::of(&impasto::weights::encoder(pair.encoder)?)?,
        (None, None) => {
            let known = |name: &&str| Vgg19Weights::of(&impasto::weights::encoder(name)?);
            let encoders = ENCODERS.iter().map(known).collect::<Result<Vec<_>>>()?;
            let found = encoders.iter().position(|known| Some(&known.fingerprint()) == trained_with);
            let fits =
                |known: &Vgg19Weights| known.channels(Tap::RELU4_1).is_ok_and(|gives| gives == weights.channels());
            let found = found.or_else(|| encoders.iter().position(fits));
            encoders.into_iter().nth(found.unwrap_or(0)).expect("an encoder")
        }
    };
    let (reads, gives) = (weights.channels(), encoder.channels(Tap::RELU4_1)?);
    if reads != gives {
        let reason = format!("this decoder reads {reads} channels, but the encoder gives {gives}");
        let help = "use an encoder and a decoder that were trained together";
        return Err(Error::weights(path, reason).with_help(help));
    }
    if trained_with.is_some_and(|fingerprint| *fingerprint != encoder.fingerprint()) {
        tracing::warn!(
            "{} was trained with another encoder or another precision of its weights; results may be worse",
            path.display()
        );
    }
    Ok((Vgg19::new(context, &encoder, Pooling::Max)?, AdainDecoder::new(context, weights)?))
}
