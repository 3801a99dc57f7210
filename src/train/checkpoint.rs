//! Checkpoints of training runs. A resumed run gives the same bits as an uninterrupted one, and a kill at any time
//! loses no finished checkpoint.
//!
//! A checkpoint is a folder `step-00001000` with the files `header.json`, `part-000.safetensors`,
//! `part-001.safetensors` and so on, each part under 16 MiB. It is written under a hidden name, synced to disk and
//! renamed, so a visible checkpoint is always complete. Replaced and old checkpoints are first renamed to a hidden name
//! and then removed. The header contains the SHA-256 of each part, which detects corruption.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    Error, Result,
    io::{DType, HostTensor, WeightFile, atomic},
};

/// Maximum size of a part in bytes.
const LARGEST_PART: usize = (16 << 20) - 1;

/// Suffix of the hidden name of a checkpoint being written.
const NEW: &str = ".new";
/// Suffix of the hidden name of a checkpoint that is about to be replaced by another of the same step.
const REPLACED: &str = ".replaced";
/// Suffix of the hidden name of a checkpoint being removed.
const OLD: &str = ".old";

/// Named f32 tensors and a header: the state from which a training run resumes.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Everything else that the run must store: settings, position, records. Finite numbers keep their bits.
    pub header: Value,
    /// The tensors in order, with unique names. They are stored bit for bit as F32.
    pub tensors: Vec<(String, HostTensor)>,
}

/// Contents of `header.json`.
#[derive(Serialize, Deserialize)]
struct Index {
    step: u64,
    /// SHA-256 of each part, in hexadecimal digits.
    parts: Vec<String>,
    tensors: Vec<Entry>,
    header: Value,
}

/// Position of a tensor in the order, and its shape, which a tensor split into pieces has only here.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    shape: Vec<usize>,
}

impl Checkpoint {
    /// Writes the checkpoint of `step` into `folder`, which is created if necessary, and returns the path of the
    /// checkpoint's own folder. Then removes all but the newest `keep` checkpoints (at least 1) and incomplete ones of
    /// killed runs. When the function returns, the checkpoint has been synced to disk.
    ///
    /// An existing checkpoint of the same step is replaced. Only one run at a time may write to a folder.
    ///
    /// # Errors
    ///
    /// Before anything is written: [`Error::Argument`] if a name occurs twice, a shape does not match its data, `keep`
    /// is 0, or `folder` contains a later step, which belongs to another run; [`Error::NonFinite`] for a tensor with a
    /// NaN or an infinity. [`Error::File`] if writing fails; the previous checkpoints are then still there.
    pub fn save(&self, folder: &Path, step: u64, keep: usize) -> Result<PathBuf> {
        self.save_in_parts(folder, step, keep, LARGEST_PART)
    }

    /// The newest checkpoint in `folder` and its step; `None` if the folder has none or does not exist. Incomplete
    /// checkpoints of killed runs are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if the newest checkpoint is damaged, with advice how to continue; [`Error::File`] if the
    /// folder cannot be read.
    pub fn latest(folder: &Path) -> Result<Option<(u64, Checkpoint)>> {
        if matches!(fs::metadata(folder), Err(error) if error.kind() == ErrorKind::NotFound) {
            return Ok(None);
        }
        put_back(folder)?;
        let steps = steps(folder)?;
        let Some(&step) = steps.last() else { return Ok(None) };
        let path = folder.join(name(step));
        let checkpoint = read(&path, step).map_err(|reason| {
            let before = match steps.len() {
                1 => "start a new training".to_owned(),
                count => format!("continue from {}", name(steps[count - 2])),
            };
            Error::weights(&path, format!("the checkpoint is damaged ({reason})"))
                .with_help(format!("delete this folder to {before}"))
        })?;
        Ok(Some((step, checkpoint)))
    }

    /// The tensor with this name.
    pub fn get(&self, name: &str) -> Option<&HostTensor> {
        self.tensors.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor)
    }

    fn save_in_parts(&self, folder: &Path, step: u64, keep: usize, largest: usize) -> Result<PathBuf> {
        self.check()?;
        if keep == 0 {
            return Err(Error::argument("Checkpoint::save", "keep", "at least 1", 0));
        }
        fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, error))?;
        put_back(folder)?;
        if let Some(later) = steps(folder)?.last().filter(|&&last| last > step) {
            let expected =
                format!("at least {later}, the last in {}; continue from it or use a new folder", folder.display());
            return Err(Error::argument("Checkpoint::save", "step", expected, step));
        }
        sweep(folder)?;

        let (path, new) = (folder.join(name(step)), hidden(folder, step, NEW));
        fs::create_dir(&new).map_err(|error| Error::file("create", &new, error))?;
        let mut parts = Vec::new();
        for (number, tensors) in self.parts(largest).iter().enumerate() {
            let part = new.join(part_name(number));
            WeightFile::save(&part, DType::F32, &self.cut(tensors), &BTreeMap::new())?;
            parts.push(digest(&fs::read(&part).map_err(|error| Error::file("read", &part, error))?));
        }
        let entry = |(name, tensor): &(String, HostTensor)| Entry { name: name.clone(), shape: tensor.shape.clone() };
        let tensors = self.tensors.iter().map(entry).collect();
        let index = Index { step, parts, tensors, header: self.header.clone() };
        atomic::write(&new.join("header.json"), |file| {
            serde_json::to_writer_pretty(&mut *file, &index)?;
            file.write_all(b"\n")
        })?;
        sync(&new)?;

        let replaced = hidden(folder, step, REPLACED);
        if path.exists() {
            rename(&path, &replaced)?;
        }
        rename(&new, &path)?;
        sync(folder)?;
        // The new checkpoint is now complete. A failure below only leaves surplus files behind.
        let steps = steps(folder)?;
        for &step in &steps[..steps.len().saturating_sub(keep)] {
            rename(&folder.join(name(step)), &hidden(folder, step, OLD))?;
        }
        sweep(folder)?;
        Ok(path)
    }

    fn check(&self) -> Result<()> {
        let refused = |expected: &str, got| Err(Error::argument("Checkpoint::save", "tensors", expected, got));
        let mut names = HashSet::new();
        for (name, tensor) in &self.tensors {
            if !names.insert(name) {
                return refused("of different names", format!("`{name}` twice"));
            }
            let count = tensor.shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
            if count != Some(tensor.data.len()) {
                let got = format!("{} values for `{name}` of shape {:?}", tensor.data.len(), tensor.shape);
                return refused("as long as their shapes say", got);
            }
            if let Some(index) = tensor.data.iter().position(|value| !value.is_finite()) {
                return Err(Error::NonFinite {
                    what: format!("tensor `{name}` of the checkpoint"),
                    place: format!("element {index}, {}", tensor.data[index]),
                    help: "continue from the last checkpoint with a smaller learning rate".into(),
                });
            }
        }
        Ok(())
    }

    /// Distributes the tensors over parts. A tensor that fits into one part stays whole.
    fn parts(&self, largest: usize) -> Vec<Vec<Piece>> {
        let mut parts: Vec<Vec<Piece>> = Vec::new();
        let mut room = 0;
        for (tensor, (name, HostTensor { shape, data, .. })) in self.tensors.iter().enumerate() {
            // Upper bound for the bytes of a tensor's header entry: its name, possibly escaped, and its numbers.
            let header = 6 * name.len() + 24 * shape.len() + 128;
            let in_a_part = (largest.saturating_sub(header) / size_of::<f32>()).max(1);
            let mut start = 0;
            loop {
                let count = in_a_part.min(data.len() - start);
                let bytes = header + count * size_of::<f32>();
                if parts.is_empty() || bytes > room {
                    parts.push(Vec::new());
                    room = largest;
                }
                room = room.saturating_sub(bytes);
                parts.last_mut().into_iter().for_each(|part| part.push(Piece { tensor, start, count }));
                start += count;
                if start == data.len() {
                    break;
                }
            }
        }
        parts
    }

    /// The tensors of one part. A piece of a split tensor is stored as a vector; its shape is in the index.
    fn cut(&self, pieces: &[Piece]) -> Vec<(String, HostTensor)> {
        let cut = |&Piece { tensor, start, count }: &Piece| {
            let (name, HostTensor { shape, data, .. }) = &self.tensors[tensor];
            let shape = if count == data.len() { shape.clone() } else { vec![count] };
            (name.clone(), HostTensor { shape, dtype: DType::F32, data: data[start..start + count].into() })
        };
        pieces.iter().map(cut).collect()
    }
}

/// A range of elements of a tensor, which is given by its index.
struct Piece {
    tensor: usize,
    start: usize,
    count: usize,
}

fn name(step: u64) -> String {
    format!("step-{step:08}")
}

fn part_name(number: usize) -> String {
    format!("part-{number:03}.safetensors")
}

fn hidden(folder: &Path, step: u64, ending: &str) -> PathBuf {
    folder.join(format!(".{}{ending}", name(step)))
}

/// Parses the step from a checkpoint's folder name, without the dot and suffix of a hidden name.
fn step_of(text: &str) -> Option<u64> {
    let step = text.strip_prefix("step-")?.parse().ok()?;
    (name(step) == text).then_some(step)
}

/// The steps of the checkpoints in `folder`, in ascending order.
fn steps(folder: &Path) -> Result<Vec<u64>> {
    let mut steps: Vec<u64> = names(folder)?.iter().filter_map(|name| step_of(name)).collect();
    steps.sort_unstable();
    Ok(steps)
}

/// The hidden folders in `folder` with this suffix, and their steps.
fn hidden_names(folder: &Path, ending: &str) -> Result<Vec<(PathBuf, u64)>> {
    let hidden = |name: &String| {
        let step = step_of(name.strip_prefix('.')?.strip_suffix(ending)?)?;
        Some((folder.join(name), step))
    };
    Ok(names(folder)?.iter().filter_map(hidden).collect())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    read().map_err(|error| Error::file("read", folder, error))
}

/// Restores the name of a checkpoint that was being replaced when the process was killed, if the new one is missing.
fn put_back(folder: &Path) -> Result<()> {
    for (replaced, step) in hidden_names(folder, REPLACED)? {
        let path = folder.join(name(step));
        if !path.exists() {
            rename(&replaced, &path)?;
        }
    }
    Ok(())
}

/// Removes all hidden folders. To be called after [`put_back`] or a completed replacement.
fn sweep(folder: &Path) -> Result<()> {
    for ending in [NEW, REPLACED, OLD] {
        for (path, _) in hidden_names(folder, ending)? {
            fs::remove_dir_all(&path).map_err(|error| Error::file("remove", &path, error))?;
        }
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| Error::file("rename", from, error))
}

/// SHA-256 as hexadecimal digits.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Syncs a folder's entries to disk. Only Unix can open a folder for this; other systems do it on their own.
fn sync(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Error::file("write", folder, error))?;
    }
    Ok(())
}

/// Reads the checkpoint in the folder `path`, or returns what is wrong with it.
fn read(path: &Path, step: u64) -> Result<Checkpoint, String> {
    let index = fs::read(path.join("header.json")).map_err(|error| format!("header.json: {error}"))?;
    let index: Index = serde_json::from_slice(&index).map_err(|error| format!("header.json: {error}"))?;
    if index.step != step {
        return Err(format!("header.json is of step {}", index.step));
    }
    let mut data: HashMap<String, Vec<f32>> = HashMap::new();
    for (number, expected) in index.parts.iter().enumerate() {
        let part = part_name(number);
        let bytes = fs::read(path.join(&part)).map_err(|error| format!("{part}: {error}"))?;
        if digest(&bytes) != *expected {
            return Err(format!("{part} is not what was written: its SHA-256 is another"));
        }
        let file = WeightFile::from_bytes(&part, &bytes).map_err(|error| error.to_string())?;
        for (name, mut piece) in file.tensors {
            data.entry(name).or_default().append(&mut piece.data);
        }
    }
    let mut tensors = Vec::new();
    for Entry { name, shape } in index.tensors {
        let data = data.remove(&name).ok_or_else(|| format!("tensor `{name}` is missing"))?;
        let tensor = HostTensor::new(&shape, data).map_err(|error| format!("tensor `{name}`: {error}"))?;
        tensors.push((name, tensor));
    }
    Ok(Checkpoint { header: index.header, tensors })
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
