//! A reader for the pickles in `.pth` files that can only construct plain data.
//!
//! A pickle is a program for a stack machine that may import and call anything. This machine accepts only the opcodes
//! that PyTorch's files use, imports nothing, and treats the few names of [`Global`] as inert tags; every other name is
//! rejected. Values are stored in flat arenas, so that deeply nested pickles cause no recursion. A limit on the number
//! of steps also limits the stack, the memo and the arenas.

use std::borrow::Cow;

use machine::Machine;

use super::{
    file::{AGAIN, Refusal, quoted, refusal},
    tensor::DType,
};

mod machine;

pub(super) type Outcome<T> = Result<T, Refusal>;

/// Maximum number of dimensions of a tensor.
const MOST_SIDES: usize = 16;

/// The names that a weight file may contain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    Size,
    Storage(DType),
    RebuildTensor,
    RebuildParameter,
}

/// A value; indices refer to the arenas of the [`Pickle`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Value {
    #[default]
    None,
    Bool(bool),
    Int(i128),
    Text(usize),
    /// A list or a tuple.
    Sequence(usize),
    Dict(usize),
    Global(Global),
    Storage(Storage),
    Tensor(usize),
    /// A float or bytes: accepted but never used.
    Opaque,
}

/// A range of the elements that the file stores under a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Storage {
    /// The key, as the index of a [`Value::Text`].
    pub(super) key: usize,
    pub(super) dtype: DType,
    /// Number of elements under the key.
    pub(super) elements: usize,
    /// First element of the range.
    start: usize,
    /// Number of elements in the range.
    length: usize,
}

/// A tensor as a strided view of a storage. All of its elements lie within the storage's stated length.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) storage: Storage,
    /// First element, relative to the start of the data under the key.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// In elements.
    pub(super) strides: Vec<usize>,
    /// Product of the dimensions.
    pub(super) elements: usize,
}

/// The contents of a pickle.
#[derive(Default)]
pub(super) struct Pickle<'a> {
    pub(super) root: Value,
    texts: Vec<Cow<'a, str>>,
    sequences: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    views: Vec<View>,
}

impl Pickle<'_> {
    pub(super) fn text(&self, value: Value) -> Option<&str> {
        if let Value::Text(index) = value { Some(&self.texts[index]) } else { None }
    }

    pub(super) fn sequence(&self, value: Value) -> Option<&[Value]> {
        if let Value::Sequence(index) = value { Some(&self.sequences[index]) } else { None }
    }

    /// The entries of a dictionary in the order of insertion.
    pub(super) fn entries(&self, value: Value) -> Option<&[(Value, Value)]> {
        if let Value::Dict(index) = value { Some(&self.dicts[index]) } else { None }
    }

    pub(super) fn view(&self, value: Value) -> Option<&View> {
        if let Value::Tensor(index) = value { Some(&self.views[index]) } else { None }
    }

    /// All tensors in the pickle.
    pub(super) fn views(&self) -> &[View] {
        &self.views
    }

    /// The key under which the file stores a storage.
    pub(super) fn key(&self, storage: Storage) -> &str {
        &self.texts[storage.key]
    }

    /// The view described by the arguments of PyTorch's `_rebuild_tensor`.
    fn tensor(&self, storage: Storage, offset: Value, shape: Value, strides: Value) -> Outcome<View> {
        let sizes = |value| {
            let values = self.sequence(value).filter(|values| values.len() <= MOST_SIDES);
            let values = values.ok_or_else(|| malformed("a shape is not a short tuple"))?;
            values.iter().map(|&value| size(value)).collect::<Outcome<Vec<usize>>>()
        };
        let (offset, shape, strides) = (size(offset)?, sizes(shape)?, sizes(strides)?);
        let elements = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        // One past the last element, relative to the start of the storage's range.
        let end = match elements {
            Some(0) => Some(offset),
            _ => shape.iter().zip(&strides).try_fold(offset.saturating_add(1), |end, (side, stride)| {
                end.checked_add((side - 1).checked_mul(*stride)?)
            }),
        };
        match (elements, end) {
            (Some(elements), Some(end)) if shape.len() == strides.len() && end <= storage.length => {
                Ok(View { storage, offset: storage.start + offset, shape, strides, elements })
            }
            _ => {
                let (length, key) = (storage.length, quoted(self.key(storage)));
                let reason =
                    format!("a tensor of shape {shape:?} reaches beyond the {length} elements of its storage {key}");
                Err(refusal(reason, AGAIN))
            }
        }
    }

    /// The storage to which a persistent id of the pickle refers.
    fn storage(&self, reference: Value) -> Outcome<Storage> {
        let parts = self.sequence(reference).unwrap_or_default();
        let kind = parts.first().and_then(|&kind| self.text(kind));
        let (
            Some("storage"),
            &[_, Value::Global(Global::Storage(dtype)), Value::Text(key), _, elements, ref part @ ..],
        ) = (kind, parts)
        else {
            let kind = quoted(kind.unwrap_or("?"));
            return Err(refusal(format!("it refers to {kind}, not to the elements of a tensor"), STATE_DICT));
        };
        let elements = size(elements)?;
        let (start, length) = match part.first().and_then(|&part| self.sequence(part)) {
            // Files of PyTorch 0.3 and earlier: key, offset and length of a range.
            Some(&[_, start, length]) => (size(start)?, size(length)?),
            _ => (0, elements),
        };
        if start.checked_add(length).is_none_or(|end| end > elements) {
            return Err(malformed("a part reaches beyond its storage"));
        }
        Ok(Storage { key, dtype, elements, start, length })
    }
}

/// Reads the pickle at the start of `bytes`. Also returns its length in bytes.
pub(super) fn read(bytes: &[u8]) -> Outcome<(Pickle<'_>, usize)> {
    Machine::new(bytes).run()
}

const CONVERT: &str = "convert it to safetensors in PyTorch";
pub(super) const STATE_DICT: &str = "use a file saved from `model.state_dict()`";

fn malformed(what: &str) -> Refusal {
    refusal(
        format!("its pickle is malformed ({what})"),
        "fetch it again, or use a file saved from `model.state_dict()`",
    )
}

fn size(value: Value) -> Outcome<usize> {
    match value {
        Value::Int(number) => usize::try_from(number).map_err(|_| malformed(&format!("{number} is not a size"))),
        _ => Err(malformed("a size is not a number")),
    }
}

/// The tag of a name. Names are only compared and never imported.
fn global(module: &str, name: &str) -> Outcome<Global> {
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch", "Size") => Global::Size,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch" | "torch.cuda", "DoubleStorage") => Global::Storage(DType::F64),
        ("torch" | "torch.cuda", "FloatStorage") => Global::Storage(DType::F32),
        ("torch" | "torch.cuda", "HalfStorage") => Global::Storage(DType::F16),
        ("torch" | "torch.cuda", "BFloat16Storage") => Global::Storage(DType::BF16),
        ("torch" | "torch.cuda", "LongStorage") => Global::Storage(DType::I64),
        ("torch" | "torch.cuda", "IntStorage") => Global::Storage(DType::I32),
        ("torch" | "torch.cuda", "ShortStorage") => Global::Storage(DType::I16),
        ("torch" | "torch.cuda", "CharStorage") => Global::Storage(DType::I8),
        ("torch" | "torch.cuda", "ByteStorage") => Global::Storage(DType::U8),
        ("torch" | "torch.cuda", "BoolStorage") => Global::Storage(DType::Bool),
        _ => {
            let refused = quoted(&format!("{module}.{name}"));
            let reason = format!("refuses to load {refused}: a weight file must hold tensors only");
            return Err(refusal(reason, STATE_DICT));
        }
    })
}

#[cfg(test)]
#[path = "pickle_tests.rs"]
mod tests;
