//! PyTorch's `.pth` containers: zip archives and the legacy format.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    io::{Cursor, Read},
    ops::Range,
};

use zip::{ZipArchive, result::ZipError};

use super::{
    file::{AGAIN, Refusal, quoted, refusal},
    pickle::{self, Outcome, Pickle, STATE_DICT, Storage, Value, View},
    tensor::{DType, HostTensor, NamedTensors},
};

/// Keys under which training scripts store the state dict, the most common first.
const STATE_DICT_KEYS: [&str; 8] =
    ["state_dict", "model_state_dict", "params_ema", "params", "model", "net", "network", "weights"];

/// Maximum ratio of the unpacked size of an entry to the file size. PyTorch does not compress, and weights are hardly
/// compressible.
const MOST_INFLATION: u64 = 100;

/// Maximum number of elements per byte of the file, because overlapping views could multiply the data. Without tied
/// weights, which share a storage legitimately, an `f32` file has a quarter of an element per byte.
const MOST_ELEMENTS_PER_BYTE: usize = 16;

const LEGACY_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const LEGACY_PROTOCOL: i128 = 1001;

/// Remedies.
const OTHER: &str = "use another file";
const OF_PYTORCH: &str = "use a .pth or a safetensors file";

/// Whether a file begins with a pickle: with a protocol header, or with the name of an object as in protocol 0.
pub(super) fn begins_with_pickle(bytes: &[u8]) -> bool {
    let identifier = |line: &[u8]| {
        !line.is_empty() && line.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
    };
    match bytes {
        [0x80, 0..=5, ..] => true,
        [b'c', rest @ ..] => rest.split(|&byte| byte == b'\n').take(2).all(identifier),
        _ => false,
    }
}

fn big_endian() -> Refusal {
    refusal("it was written on a big-endian machine", "load it in PyTorch and save it as safetensors")
}

fn missing(key: &str) -> Refusal {
    refusal(format!("storage {} is missing", quoted(key)), AGAIN)
}

/// Reads the current format of `torch.save`: a zip archive with `data.pkl` and one entry for each storage.
pub(super) fn read_zip(bytes: &[u8]) -> Outcome<NamedTensors> {
    let damaged =
        |error: ZipError| refusal(format!("its zip archive is damaged ({error}): it may be truncated"), AGAIN);
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let most = MOST_INFLATION * bytes.len() as u64;
    let folder = archive
        .file_names()
        .flatten()
        .filter_map(|name| name.strip_suffix("data.pkl").map(str::to_owned))
        .find(|folder| folder.is_empty() || folder.ends_with('/'))
        .ok_or_else(|| refusal("it is a zip archive without data.pkl, so not a PyTorch file", OF_PYTORCH))?;
    let mut file = |name: &str| -> Outcome<Option<Vec<u8>>> {
        let mut entry = match archive.by_name(&format!("{folder}{name}")) {
            Err(ZipError::FileNotFound) => return Ok(None),
            entry => entry.map_err(damaged)?,
        };
        if entry.size() > most {
            let size = entry.size();
            return Err(refusal(format!("its {} unpacks to {size} bytes, too many for weights", quoted(name)), OTHER));
        }
        let mut content = Vec::new();
        entry.by_ref().take(most).read_to_end(&mut content).map_err(|error| damaged(error.into()))?;
        Ok(Some(content))
    };
    if file("byteorder")?.is_some_and(|order| order != b"little") {
        return Err(big_endian());
    }
    let content = file("data.pkl")?.unwrap_or_default();
    let (pickle, _) = pickle::read(&content)?;
    assemble(&pickle, bytes.len(), |storage| {
        let key = pickle.key(storage);
        let content = file(&format!("data/{key}"))?;
        content.map(Cow::Owned).ok_or_else(|| missing(key))
    })
}

/// Reads the format of `torch.save` before PyTorch 1.6: five pickles (magic number, version, system information,
/// object, keys of the storages), then for each storage the number of elements and the elements.
pub(super) fn read_legacy(bytes: &[u8]) -> Outcome<NamedTensors> {
    let mut position = 0;
    let mut next = || {
        let (pickle, length) = pickle::read(&bytes[position..])?;
        position += length;
        Ok::<_, Refusal>((pickle, position))
    };
    if next()?.0.root != Value::Int(LEGACY_MAGIC) || next()?.0.root != Value::Int(LEGACY_PROTOCOL) {
        return Err(refusal("it is a pickle, but not one of PyTorch's", OF_PYTORCH));
    }
    let (machine, _) = next()?;
    let is_little =
        |&(key, value): &(Value, Value)| (machine.text(key), value) == (Some("little_endian"), Value::Bool(true));
    if !machine.entries(machine.root).unwrap_or_default().iter().any(is_little) {
        return Err(big_endian());
    }
    let (object, _) = next()?;
    let (keys, start) = next()?;
    let storages = legacy_storages(bytes, start, &keys, &object)?;
    assemble(&object, bytes.len(), |storage| {
        let key = object.key(storage);
        let range = storages.get(key).ok_or_else(|| missing(key))?;
        Ok(Cow::Borrowed(&bytes[range.clone()]))
    })
}

/// The byte range of every storage.
fn legacy_storages(
    bytes: &[u8],
    mut position: usize,
    keys: &Pickle<'_>,
    object: &Pickle<'_>,
) -> Outcome<HashMap<String, Range<usize>>> {
    let types: HashMap<&str, DType> =
        object.views().iter().map(|view| (object.key(view.storage), view.storage.dtype)).collect();
    let mut storages = HashMap::new();
    for &key in keys.sequence(keys.root).ok_or_else(|| refusal("its list of storages is missing", AGAIN))? {
        let key = keys.text(key).ok_or_else(|| refusal("its list of storages is malformed", AGAIN))?;
        let dtype = types.get(key).ok_or_else(|| refusal(format!("no tensor uses storage {}", quoted(key)), AGAIN))?;
        let range = bytes.get(position..).and_then(|rest| rest.first_chunk()).and_then(|count| {
            let length = usize::try_from(i64::from_le_bytes(*count)).ok()?.checked_mul(dtype.size())?;
            let start = position + count.len();
            Some(start..start.checked_add(length).filter(|&end| end <= bytes.len())?)
        });
        let range = range
            .ok_or_else(|| refusal(format!("it ends inside of storage {}: it is truncated", quoted(key)), AGAIN))?;
        position = range.end;
        storages.insert(key.to_owned(), range);
    }
    Ok(storages)
}

/// Builds the tensors of the state dict. `fetch` returns the bytes of a storage and is called once for each storage.
fn assemble<'b>(
    pickle: &Pickle<'_>,
    file_length: usize,
    mut fetch: impl FnMut(Storage) -> Outcome<Cow<'b, [u8]>>,
) -> Outcome<NamedTensors> {
    let named = state_dict(pickle)?;
    let total = named.iter().fold(0usize, |sum, (_, view)| sum.saturating_add(view.elements));
    if total > file_length.saturating_mul(MOST_ELEMENTS_PER_BYTE) {
        return Err(refusal(format!("its tensors claim {total} elements, far more than it holds"), OTHER));
    }
    let mut names = HashSet::new();
    if let Some((twice, _)) = named.iter().find(|(name, _)| !names.insert(name)) {
        return Err(refusal(format!("the name {} comes twice", quoted(twice)), AGAIN));
    }
    let mut by_storage: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, (_, view)) in named.iter().enumerate() {
        by_storage.entry(pickle.key(view.storage)).or_default().push(index);
    }
    let empty = |view: &View| HostTensor { shape: view.shape.clone(), dtype: view.storage.dtype, data: Vec::new() };
    let mut tensors: Vec<_> = named.iter().map(|(name, view)| (name.to_string(), empty(view))).collect();
    for indices in by_storage.into_values() {
        let bytes = fetch(named[indices[0]].1.storage)?;
        for index in indices {
            let (name, view) = &named[index];
            if Some(bytes.len()) != view.storage.elements.checked_mul(view.storage.dtype.size()) {
                let reason = format!(
                    "the storage of tensor {} has {} bytes where {} elements of {:?} are expected",
                    quoted(name),
                    bytes.len(),
                    view.storage.elements,
                    view.storage.dtype
                );
                return Err(refusal(reason, AGAIN));
            }
            tensors[index].1.data = view.storage.dtype.widen(&gather(&bytes, view));
        }
    }
    Ok(tensors)
}

/// The bytes of a view's elements, last dimension fastest.
fn gather<'b>(bytes: &'b [u8], view: &View) -> Cow<'b, [u8]> {
    let size = view.storage.dtype.size();
    let mut expected = 1;
    let contiguous = view.shape.iter().zip(&view.strides).rev().all(|(&side, &stride)| {
        let fits = side == 1 || stride == expected;
        expected *= side;
        fits
    });
    if contiguous || view.elements == 0 {
        return Cow::Borrowed(&bytes[view.offset * size..][..view.elements * size]);
    }
    let mut gathered = Vec::with_capacity(view.elements * size);
    for index in 0..view.elements {
        let mut rest = index;
        let mut element = view.offset;
        for (side, stride) in view.shape.iter().zip(&view.strides).rev() {
            element += rest % side * stride;
            rest /= side;
        }
        gathered.extend_from_slice(&bytes[element * size..][..size]);
    }
    Cow::Owned(gathered)
}

type NamedViews<'p> = Vec<(Cow<'p, str>, &'p View)>;

/// The dictionary of tensors: the value of a well-known key, or the root, or the value of the only key that contains
/// tensors. Scalars beside other tensors, such as a learning rate, make no dictionary a candidate.
fn state_dict<'p>(pickle: &'p Pickle<'_>) -> Outcome<NamedViews<'p>> {
    let tensors_of = |value| -> NamedViews<'p> {
        let entries = pickle.entries(value).unwrap_or_default().iter();
        entries.filter_map(|&(key, value)| Some((name(pickle, key)?, pickle.view(value)?))).collect()
    };
    let entries = pickle.entries(pickle.root).ok_or_else(|| refusal("it holds no state dict", STATE_DICT))?;
    let nested = entries.iter().filter_map(|&(key, value)| Some((Some(name(pickle, key)?), tensors_of(value))));
    let mut sets: Vec<(Option<Cow<str>>, NamedViews)> = nested.chain([(None, tensors_of(pickle.root))]).collect();
    sets.retain(|(_, tensors)| !tensors.is_empty());
    let known = STATE_DICT_KEYS.iter().find_map(|key| sets.iter().position(|(name, _)| name.as_deref() == Some(key)));
    if let Some(index) = known {
        return Ok(sets.swap_remove(index).1);
    }
    let is_scalar = |(_, view): &(_, &View)| view.shape.is_empty();
    if sets.iter().any(|(_, tensors)| !tensors.iter().all(is_scalar)) {
        sets.retain(|(_, tensors)| !tensors.iter().all(is_scalar));
    }
    if sets.len() > 1 {
        let shown = |name: &Option<Cow<str>>| name.as_ref().map_or("the top level".into(), |name| quoted(name));
        let keys: Vec<String> = sets.iter().take(10).map(|(name, _)| shown(name)).collect();
        let reason = format!("it holds several sets of tensors ({})", keys.join(", "));
        return Err(refusal(reason, "save one of them alone in PyTorch"));
    }
    sets.pop().map(|(_, tensors)| tensors).ok_or_else(|| refusal("it holds no tensors", STATE_DICT))
}

/// A dictionary key as text.
fn name<'p>(pickle: &'p Pickle<'_>, key: Value) -> Option<Cow<'p, str>> {
    match key {
        Value::Int(number) => Some(number.to_string().into()),
        key => pickle.text(key).map(Cow::Borrowed),
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
