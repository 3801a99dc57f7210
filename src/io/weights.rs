//! Weight files: named tensors from safetensors and PyTorch's `.pth` files, stored on the host as `f32`.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
};

use half::f16;
use safetensors::tensor::{Metadata, TensorInfo};

use super::{
    atomic, checkpoint,
    file::{self, AGAIN, Refusal, quoted, refusal},
    foreign,
    tensor::{DType, HostTensor, NamedTensors, elements},
};
use crate::{Error, Result};

/// Format of a weight file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A safetensors file.
    Safetensors,
    /// The format of `torch.save` since PyTorch 1.6: a zip archive.
    PthZip,
    /// The format of `torch.save` before PyTorch 1.6: pickles, then the bytes of the tensors.
    PthLegacy,
}

/// The content of a weight file.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Format of the file.
    pub format: Format,
    /// Tensors with unique names, in the order of the file.
    pub tensors: Vec<(String, HostTensor)>,
    /// The metadata of a safetensors file; empty for `.pth`.
    pub metadata: BTreeMap<String, String>,
}

impl WeightFile {
    /// Reads a safetensors or `.pth` file. The content, not the name, determines the format.
    ///
    /// A `.pth` is read as data: nothing in it is executed or imported, and anything except tensors, numbers, strings
    /// and dictionaries is rejected. The state dict may be the whole file or the value of a key such as `state_dict`,
    /// beside which other tensors are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the file cannot be read; [`Error::Weights`], with the tensor and advice, if it is truncated,
    /// malformed or unsafe, or contains non-finite values.
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(path, &file::read(path)?).map_err(|refusal| refused(path, refusal))
    }

    /// Reads a weight file from memory; `name` is used as its path.
    ///
    /// # Errors
    ///
    /// Those of [`WeightFile::load`] of kind [`Error::Weights`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        let path = Path::new(name);
        Self::parse(path, bytes).map_err(|refusal| refused(path, refusal))
    }

    /// The tensor with this name.
    pub fn get(&self, name: &str) -> Option<&HostTensor> {
        self.tensors.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor)
    }

    /// Writes a safetensors file with all tensors as `dtype`, in the given order. The same input gives the same bytes.
    ///
    /// The file is written whole or not at all, see [`atomic::write`](super::atomic::write()).
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if `dtype` is neither F16 nor F32; [`Error::Weights`] with the tensor if a name occurs
    /// twice, a shape does not match its data, or a value is not finite in `dtype`; [`Error::File`] if the file cannot
    /// be written.
    pub fn save(
        path: &Path,
        dtype: DType,
        tensors: &[(String, HostTensor)],
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let header = header(path, dtype, tensors, metadata)?;
        atomic::write(path, |file| write(file, &header, dtype, tensors))
    }

    /// The bytes of the safetensors file that [`WeightFile::save`] writes; `name` is used as its path.
    ///
    /// # Errors
    ///
    /// Those of [`WeightFile::save`], but for those of the file.
    pub fn to_bytes(
        name: &str,
        dtype: DType,
        tensors: &[(String, HostTensor)],
        metadata: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>> {
        let (path, mut bytes) = (Path::new(name), Vec::new());
        let header = header(path, dtype, tensors, metadata)?;
        write(&mut bytes, &header, dtype, tensors).map_err(|error| Error::file("write", path, error))?;
        Ok(bytes)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Refusal> {
        // A pickle of protocol 0 is text too.
        let text = |bytes| foreign::text(bytes, "a weight file").filter(|_| !checkpoint::begins_with_pickle(bytes));
        let (format, tensors, metadata) = if bytes.starts_with(b"PK\x03\x04") {
            (Format::PthZip, checkpoint::read_zip(bytes)?, BTreeMap::new())
        } else if let Some(refusal) = text(bytes) {
            return Err(refusal);
        } else if bytes.get(8) == Some(&b'{') {
            let (tensors, metadata) = read_safetensors(bytes)?;
            (Format::Safetensors, tensors, metadata)
        } else if checkpoint::begins_with_pickle(bytes) {
            (Format::PthLegacy, checkpoint::read_legacy(bytes)?, BTreeMap::new())
        } else {
            return Err(foreign::weights(path, bytes));
        };
        for (name, tensor) in &tensors {
            if let Some(index) = tensor.data.iter().position(|value| !value.is_finite()) {
                let reason = format!("tensor {} is {} at element {index}", quoted(name), tensor.data[index]);
                return Err(refusal(reason, "the training that made it failed: use other weights"));
            }
        }
        tracing::debug!("{}: {} tensors, {format:?}", path.display(), tensors.len());
        Ok(WeightFile { path: path.into(), format, tensors, metadata })
    }
}

fn refused(path: &Path, (reason, help): Refusal) -> Error {
    Error::weights(path, reason).with_help(help)
}

/// Converts a safetensors type; `None` if it is not supported.
fn from_safetensors(dtype: safetensors::Dtype) -> Option<DType> {
    use safetensors::Dtype;
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool,
        _ => return None,
    })
}

fn read_safetensors(bytes: &[u8]) -> Result<(NamedTensors, BTreeMap<String, String>), Refusal> {
    let truncated =
        || refusal(format!("it ends inside of its header, after {} bytes: it is truncated", bytes.len()), AGAIN);
    let (length, rest) = bytes.split_first_chunk().ok_or_else(truncated)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok();
    let (text, data) = length.and_then(|length| rest.split_at_checked(length)).ok_or_else(truncated)?;
    // `SafeTensors::deserialize` is not used because its check of the file's length can overflow.
    let header: Metadata = serde_json::from_slice(text).map_err(|error| {
        let reason = match disagreeing(text) {
            Some(name) => format!("the shape, type and length of tensor {} disagree", quoted(&name)),
            None => format!("its header is not valid ({error})"),
        };
        refusal(reason, AGAIN)
    })?;
    let (described, found) = (header.data_len(), data.len());
    if found < described {
        let reason = format!("it is truncated: its header describes {described} bytes of tensors, but it has {found}");
        return Err(refusal(reason, AGAIN));
    }
    if found > described {
        let reason =
            format!("it has bytes at its end that no tensor uses: its header describes {described}, {found} follow");
        return Err(refusal(reason, AGAIN));
    }
    let mut tensors = Vec::new();
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let dtype = from_safetensors(info.dtype).ok_or_else(|| {
            refusal(format!("tensor {} has type {:?}", quoted(&name), info.dtype), "convert it to F16 or F32")
        })?;
        let data = dtype.widen(&data[info.data_offsets.0..info.data_offsets.1]);
        tensors.push((name, HostTensor { shape: info.shape.clone(), dtype, data }));
    }
    Ok((tensors, header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()))
}

/// The first tensor in a safetensors header whose shape and length disagree. The error of the header's own check does
/// not name it.
fn disagreeing(header: &[u8]) -> Option<String> {
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    header.into_iter().find_map(|(name, info)| {
        let TensorInfo { dtype, shape, data_offsets: (start, end) } = serde_json::from_value(info).ok()?;
        let bits = elements(&shape).and_then(|count| count.checked_mul(dtype.bitsize()));
        let claimed = end.checked_sub(start).and_then(|size| size.checked_mul(8));
        if bits.is_none() || bits != claimed { Some(name) } else { None }
    })
}

/// Writes a safetensors file.
fn write(into: &mut dyn Write, header: &[u8], dtype: DType, tensors: &[(String, HostTensor)]) -> std::io::Result<()> {
    into.write_all(&(header.len() as u64).to_le_bytes())?;
    into.write_all(header)?;
    for value in tensors.iter().flat_map(|(_, tensor)| &tensor.data) {
        match dtype {
            DType::F16 => into.write_all(&f16::from_f32(*value).to_le_bytes())?,
            _ => into.write_all(&value.to_le_bytes())?,
        }
    }
    Ok(())
}

/// The header of a safetensors file.
fn header(
    path: &Path,
    dtype: DType,
    tensors: &[(String, HostTensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let narrow: fn(f32) -> f32 = match dtype {
        DType::F16 => |value| f16::from_f32(value).to_f32(),
        DType::F32 => |value| value,
        other => return Err(Error::argument("WeightFile::save", "dtype", "F16 or F32", format!("{other:?}"))),
    };
    narrowed_header(dtype, tensors, metadata, narrow).map_err(|refusal| refused(path, refusal))
}

/// The header of a safetensors file whose values are rounded by `narrow`, padded to a multiple of 8 bytes.
fn narrowed_header(
    dtype: DType,
    tensors: &[(String, HostTensor)],
    metadata: &BTreeMap<String, String>,
    narrow: fn(f32) -> f32,
) -> Result<Vec<u8>, Refusal> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), serde_json::json!(metadata));
    }
    let mut start = 0;
    for (name, HostTensor { shape, data, .. }) in tensors {
        let quoted = quoted(name);
        if elements(shape) != Some(data.len()) {
            let reason = format!("tensor {quoted} of shape {shape:?} has {} values", data.len());
            return Err(refusal(reason, "give it one for each element"));
        }
        if let Some(index) = data.iter().position(|&value| !narrow(value).is_finite()) {
            let value = data[index];
            let reason = format!("tensor {quoted} is {value} at element {index}, which {dtype:?} cannot hold");
            return Err(refusal(reason, "use F32"));
        }
        let end = start + data.len() * dtype.size();
        let info = serde_json::json!({ "dtype": format!("{dtype:?}"), "shape": shape, "data_offsets": [start, end] });
        if header.insert(name.clone(), info).is_some() {
            return Err(refusal(format!("the name {quoted} comes twice"), "give every tensor its own"));
        }
        start = end;
    }
    let mut bytes = serde_json::to_vec(&header).map_err(|error| refusal(error, "use other names"))?;
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    Ok(bytes)
}

#[cfg(test)]
#[path = "weights_tests.rs"]
mod tests;
