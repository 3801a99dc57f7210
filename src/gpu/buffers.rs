//! Buffers of tensors: creating, writing and reading them.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use half::f16;

use super::signal::Signal;
use super::{Context, Precision, Shape};
use crate::{Error, Result};

/// A buffer that its context counts. Clones share it.
#[derive(Clone)]
pub(super) struct Buffer(Arc<Counted>);

struct Counted {
    buffer: wgpu::Buffer,
    counter: Arc<AtomicU64>,
}

impl Deref for Buffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.0.buffer
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.buffer.size(), Ordering::Relaxed);
        // A browser frees a buffer when its garbage collector finds the handle, which knows nothing of the memory of the
        // device. What has been submitted still runs.
        #[cfg(target_arch = "wasm32")]
        self.buffer.destroy();
    }
}

impl Context {
    /// Makes a buffer.
    pub(super) fn make_buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> Result<Buffer> {
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let (buffer, counter) = (self.make(|device| device.create_buffer(&descriptor))?, self.counter().clone());
        counter.fetch_add(size, Ordering::Relaxed);
        Ok(Buffer(Arc::new(Counted { buffer, counter })))
    }

    /// Writes bytes to a buffer, before all later submissions.
    pub(super) fn write_buffer(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        self.scoped(|| self.queue().write_buffer(buffer, offset, bytes))
    }

    /// [`write_buffer`](Context::write_buffer), which also finds that a host's device is lost: wgpu reports that to the
    /// host alone. The bytes are one or more whole words.
    pub(super) fn overwrite(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        let Some(size) = wgpu::BufferSize::new(bytes.len() as u64) else { return Ok(()) };
        let written = self.scoped(|| {
            let mut view = self.queue().write_buffer_with(buffer, offset, size)?;
            view.copy_from_slice(bytes);
            Some(())
        })?;
        written.ok_or_else(|| Error::DeviceLost("a buffer cannot be written".into()))
    }

    /// A zeroed buffer of that many bytes.
    pub(super) fn create_buffer(&self, name: &str, bytes: u64) -> Result<Buffer> {
        self.check_tensor(name, bytes)?;
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        self.make_buffer(name, bytes, usage)
    }

    /// Refuses a tensor that is too large to be bound.
    pub(super) fn check_tensor(&self, name: &str, bytes: u64) -> Result<()> {
        if bytes <= self.max_tensor_bytes() {
            return Ok(());
        }
        Err(Error::TooLarge {
            what: format!("tensor {name}"),
            needed: mebibytes(bytes),
            allowed: format!("{} a tensor", mebibytes(self.max_tensor_bytes())),
            largest: None,
            help: "work on a smaller picture".into(),
        })
    }

    /// A staging buffer for [`Context::read_buffer`].
    pub(super) fn create_staging(&self, shape: Shape, precision: Precision) -> Result<Buffer> {
        let bytes = shape.bytes(precision).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        self.make_buffer("read-back", bytes, usage)
    }

    /// Copies a tensor that starts at byte `offset` of `buffer` to the host through `staging`.
    pub(super) async fn read_buffer(
        &self,
        (buffer, offset): (&wgpu::Buffer, u64),
        staging: &wgpu::Buffer,
        shape: Shape,
        precision: Precision,
    ) -> Result<Vec<f32>> {
        let bytes = staging.size();
        let (done, mapped) = Signal::new();
        self.scoped(|| {
            let mut encoder = self.device().create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(buffer, offset, staging, 0, Some(bytes));
            self.queue().submit([encoder.finish()]);
            staging.slice(..).map_async(wgpu::MapMode::Read, done);
        })?;
        mapped.await.map_err(|error| Error::DeviceLost(error.into()))?;
        self.settle().await?;
        let view = staging.slice(..).get_mapped_range().map_err(|error| Error::DeviceLost(error.into()))?;
        let bytes = &view[..shape.bytes(precision) as usize];
        let values = match precision {
            Precision::F32 => bytemuck::pod_collect_to_vec(bytes),
            Precision::F16 => bytes.chunks_exact(2).map(|two| f16::from_le_bytes([two[0], two[1]]).to_f32()).collect(),
        };
        drop(view);
        staging.unmap();
        Ok(values)
    }
}

/// A byte count in MiB, for messages.
fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", (bytes as f64 / (1 << 20) as f64).ceil())
}
