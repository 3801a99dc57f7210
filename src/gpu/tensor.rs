//! Shapes, symbolic tensors and device tensors.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::buffers::Buffer;
use super::{Context, Precision};
use half::f16;

use crate::{Error, Result};

/// Up to four dimensions, outermost first; pictures and activations are `[N, C, H, W]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; 4],
    rank: usize,
}

impl Shape {
    /// A shape from its dimensions, outermost first.
    ///
    /// # Panics
    /// Unless there are one to four dimensions.
    pub fn new(dims: &[usize]) -> Self {
        assert!((1..=4).contains(&dims.len()), "a shape has one to four dimensions, got {dims:?}");
        let mut all = [1; 4];
        all[..dims.len()].copy_from_slice(dims);
        Shape { dims: all, rank: dims.len() }
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.dims().iter().product()
    }

    /// Size in bytes when stored in that precision.
    pub fn bytes(&self, precision: Precision) -> u64 {
        self.count() as u64 * precision.bytes()
    }

    /// Size in bytes of its buffer: whole `vec4`s, so that kernels can access four elements at a time.
    pub(super) fn buffer_bytes(&self, precision: Precision) -> u64 {
        self.bytes(precision).next_multiple_of(4 * precision.bytes())
    }

    /// The dimensions `[N, C, H, W]`.
    ///
    /// # Errors
    /// A shape that is empty or has no four dimensions; `op` and `argument` name it in the message.
    pub fn nchw(&self, op: &str, argument: &str) -> Result<[usize; 4]> {
        if self.rank != 4 || self.count() == 0 {
            return Err(Error::argument(op, argument, "a non-empty [N, C, H, W] tensor", self));
        }
        Ok(self.dims)
    }
}

impl<const R: usize> From<[usize; R]> for Shape {
    fn from(dims: [usize; R]) -> Self {
        Shape::new(&dims)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A symbolic tensor of a [`Recorder`](super::Recorder): a shape and an id, without memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tensor {
    /// Number of its recorder.
    pub(super) owner: u64,
    pub(super) id: u32,
    /// Its shape.
    pub shape: Shape,
    /// How its elements are stored.
    pub precision: Precision,
}

impl Tensor {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.shape.bytes(self.precision)
    }

    /// Size in bytes of its buffer.
    pub(super) fn buffer_bytes(&self) -> u64 {
        self.shape.buffer_bytes(self.precision)
    }
}

/// A tensor that outlives programs: weights, optimiser state, inputs or outputs.
///
/// Its buffer is created at first use, so that the peak memory of a program is known before. Clones share the buffer.
#[derive(Clone)]
pub struct DeviceTensor(Arc<Inner>);

struct Inner {
    context: Context,
    id: u64,
    name: String,
    shape: Shape,
    precision: Precision,
    buffer: OnceLock<Buffer>,
    /// The staging buffer of [`DeviceTensor::read_async`], created at the first read.
    staging: Mutex<Option<Buffer>>,
}

impl DeviceTensor {
    /// An f32 tensor of zeros called `name`. It has no buffer until it is used.
    pub fn new(context: &Context, name: impl Into<String>, shape: impl Into<Shape>) -> Self {
        Self::stored(context, Precision::F32, name, shape)
    }

    /// [`DeviceTensor::new`] with the given storage precision.
    pub fn stored(context: &Context, precision: Precision, name: impl Into<String>, shape: impl Into<Shape>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        DeviceTensor(Arc::new(Inner {
            context: context.clone(),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            shape: shape.into(),
            precision,
            buffer: OnceLock::new(),
            staging: Mutex::default(),
        }))
    }

    /// An f32 tensor with the given values (row-major).
    ///
    /// # Errors
    /// A number of values that is not that of the shape; a tensor too large for the device.
    pub fn from_values(
        context: &Context,
        name: impl Into<String>,
        shape: impl Into<Shape>,
        values: &[f32],
    ) -> Result<Self> {
        let tensor = DeviceTensor::new(context, name, shape);
        tensor.write(values)?;
        Ok(tensor)
    }

    /// The context that it belongs to.
    pub fn context(&self) -> &Context {
        &self.0.context
    }

    /// The name, for messages and profiles.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        self.0.shape
    }

    /// How its elements are stored.
    pub fn precision(&self) -> Precision {
        self.0.precision
    }

    /// Unique number, shared by clones.
    pub(super) fn id(&self) -> u64 {
        self.0.id
    }

    /// Its buffer, if that has been created.
    pub(super) fn made(&self) -> Option<&Buffer> {
        self.0.buffer.get()
    }

    /// Replaces all values (row-major), before any program that is run afterwards. f16 tensors round them.
    ///
    /// # Errors
    /// A number of values that is not that of the shape; a tensor too large for the device.
    pub fn write(&self, values: &[f32]) -> Result<()> {
        if values.len() != self.0.shape.count() {
            return Err(Error::argument(
                format!("write to {}", self.0.name),
                "values",
                format!("{} numbers for {}", self.0.shape.count(), self.0.shape),
                values.len(),
            ));
        }
        let context = &self.0.context;
        let buffer = self.buffer()?;
        match self.0.precision {
            Precision::F32 => context.write_buffer(buffer, 0, bytemuck::cast_slice(values)),
            Precision::F16 => {
                let mut halves: Vec<_> = values.iter().copied().map(f16::from_f32).collect();
                halves.resize(halves.len().next_multiple_of(2), f16::ZERO); // writes are whole words
                context.write_buffer(buffer, 0, bytemuck::cast_slice(&halves))
            }
        }
    }

    /// Reads all values (row-major), after all programs that were submitted before.
    ///
    /// # Errors
    /// A lost device, lack of memory, or an error of the driver.
    pub async fn read_async(&self) -> Result<Vec<f32>> {
        let context = &self.0.context;
        let buffer = self.buffer()?;
        let kept = || self.0.staging.lock().unwrap_or_else(|e| e.into_inner());
        let staging = kept().take();
        let staging = staging.map_or_else(|| context.create_staging(self.0.shape, self.0.precision), Ok)?;
        let values = context.read_buffer((buffer, 0), &staging, self.0.shape, self.0.precision).await?;
        *kept() = Some(staging);
        Ok(values)
    }

    /// [`read_async`](DeviceTensor::read_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn read(&self) -> Result<Vec<f32>> {
        self.0.context.block_on(self.read_async())
    }

    /// The wgpu buffer (storage, copy source and destination), created if there is none yet. A host's passes may read
    /// and write it. It may be up to three elements longer than the tensor.
    pub fn buffer(&self) -> Result<&wgpu::Buffer> {
        self.counted().map(|buffer| &**buffer)
    }

    /// The buffer, to be kept.
    pub(super) fn counted(&self) -> Result<&Buffer> {
        if let Some(buffer) = self.0.buffer.get() {
            return Ok(buffer);
        }
        let buffer = self.0.context.create_buffer(&self.0.name, self.0.shape.buffer_bytes(self.0.precision))?;
        Ok(self.0.buffer.get_or_init(|| buffer))
    }
}

impl fmt::Debug for DeviceTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.name, self.0.shape)
    }
}
