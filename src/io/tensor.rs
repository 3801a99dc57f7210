//! Tensors on the host.

use half::{bf16, f16};

use crate::{Error, Result};

/// Element type of a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 64-bit IEEE float.
    F64,
    /// 32-bit IEEE float.
    F32,
    /// 16-bit IEEE float.
    F16,
    /// bfloat16: the upper half of an `F32`.
    BF16,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 16-bit integer.
    I16,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 64-bit integer.
    U64,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 8-bit integer.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Size of an element in bytes.
    pub fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 | DType::U64 => 8,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F16 | DType::BF16 | DType::I16 | DType::U16 => 2,
            DType::I8 | DType::U8 | DType::Bool => 1,
        }
    }

    /// Converts little-endian elements of this type to `f32`. Integers beyond 2^24 are rounded; an `f64` may become
    /// infinite.
    pub(super) fn widen(self, bytes: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks().0.iter().map(|&element| convert(element)).collect()
        }
        match self {
            DType::F64 => each(bytes, |element| f64::from_le_bytes(element) as f32),
            DType::F32 => each(bytes, f32::from_le_bytes),
            DType::F16 => each(bytes, |element| f16::from_le_bytes(element).to_f32()),
            DType::BF16 => each(bytes, |element| bf16::from_le_bytes(element).to_f32()),
            DType::I64 => each(bytes, |element| i64::from_le_bytes(element) as f32),
            DType::I32 => each(bytes, |element| i32::from_le_bytes(element) as f32),
            DType::I16 => each(bytes, |element| i16::from_le_bytes(element).into()),
            DType::I8 => each(bytes, |element| i8::from_le_bytes(element).into()),
            DType::U64 => each(bytes, |element| u64::from_le_bytes(element) as f32),
            DType::U32 => each(bytes, |element| u32::from_le_bytes(element) as f32),
            DType::U16 => each(bytes, |element| u16::from_le_bytes(element).into()),
            DType::U8 | DType::Bool => each(bytes, |[element]| element.into()),
        }
    }
}

/// A tensor on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// The dimensions, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The element type in the file; [`HostTensor::data`] is always `f32`.
    pub dtype: DType,
    /// The elements, last dimension fastest; finite in a tensor from [`WeightFile::load`](super::WeightFile::load).
    pub data: Vec<f32>,
}

impl HostTensor {
    /// A tensor of type F32.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if the length of `data` does not match `shape`.
    pub fn new(shape: &[usize], data: Vec<f32>) -> Result<Self> {
        if elements(shape) != Some(data.len()) {
            let expected = format!("as long as the shape {shape:?} says");
            return Err(Error::argument("HostTensor::new", "data", expected, format!("{} values", data.len())));
        }
        Ok(HostTensor { shape: shape.into(), dtype: DType::F32, data })
    }
}

/// Number of elements of a shape; `None` if it overflows.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))
}

/// Named tensors in the order of a file.
pub(super) type NamedTensors = Vec<(String, HostTensor)>;
