//! Opens a device or takes one from a host, and converts its errors to [`Error`].

use core::time::Duration;
use std::cell::Cell;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};

use sha2::{Digest, Sha256};

use super::cache::PipelineCache;
use super::kernel::{Kernel, Pipeline};
use super::limits::check_limits;
use super::matrices::Matrices;
use super::precision::PRECISIONS;
use super::signal::Signal;
use super::tuning::Tuning;
use super::variant::Variant;
use super::{ContextOptions, KernelClass, Precision, shaders};
use crate::{Error, Result};

struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    class: KernelClass,
    checked: bool,
    precision: Precision,
    matrices: Option<Matrices>,
    avoid: Vec<Variant>,
    pipelines: Mutex<HashMap<Kernel, Arc<Pipeline>>>,
    cache: Option<PipelineCache>,
    made: AtomicU64,
    /// Bytes of all buffers.
    bytes: Arc<AtomicU64>,
    /// Set by the device-lost callback, for a device that the context opened.
    lost: Arc<Mutex<Option<String>>>,
    /// Error scopes that have not reported yet.
    unsettled: Mutex<Vec<ScopeError>>,
}

/// An open device with its queue and compiled kernels. Clones share them.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
    tuning: Tuning,
}

impl Context {
    /// Uses a host's device and queue, with their features and limits.
    ///
    /// The host keeps the error and device-lost callbacks; errors of the context's own commands are caught in error
    /// scopes.
    ///
    /// # Errors
    /// Options that the device does not support; [`ContextOptions::matrices`]; a limit below what the kernels need, by its
    /// name.
    pub fn from_host(device: wgpu::Device, queue: wgpu::Queue, options: &ContextOptions) -> Result<Self> {
        if options.matrices {
            let expected = "off for a device of a host program, because its matrices are unknown";
            return Err(Error::argument("context", "matrices", expected, "on"));
        }
        check_limits(&device)?;
        let checked = options.checked.unwrap_or(true);
        Self::assemble(device.adapter_info(), device, queue, options, checked, None, Arc::default())
    }

    pub(super) fn assemble(
        info: wgpu::AdapterInfo,
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: &ContextOptions,
        checked: bool,
        matrices: Option<Matrices>,
        lost: Arc<Mutex<Option<String>>>,
    ) -> Result<Self> {
        let can_broadcast = device.features().contains(wgpu::Features::SUBGROUP) && info.subgroup_min_size >= 8;
        let class = match options.class {
            Some(KernelClass::Broadcast) if !can_broadcast => {
                return Err(Error::argument(
                    "context",
                    "class",
                    "tiled (this adapter has no subgroups of 8 lanes)",
                    "broadcast",
                ));
            }
            Some(class) => class,
            None if matrices.is_some() || options.avoid.contains(&Variant::BroadcastKernels) => KernelClass::Tiled,
            None if can_broadcast && info.device_type == wgpu::DeviceType::Cpu => KernelClass::Broadcast,
            None => KernelClass::Tiled,
        };
        let precision = options.precision;
        if precision == Precision::F16 && !device.features().contains(wgpu::Features::SHADER_F16) {
            let got = format!("f16, which {} cannot store", info.name);
            return Err(Error::argument("device", "precision", "f32", got));
        }
        let cache = options.cache.clone().and_then(|store| PipelineCache::open(&device, &info, store));
        tracing::info!(adapter = info.name, backend = %info.backend, driver = info.driver_info, ?class, "device opened");
        let (pipelines, made) = (Mutex::default(), AtomicU64::new(0));
        let inner = Inner {
            device,
            queue,
            info,
            class,
            checked,
            precision,
            matrices,
            avoid: options.avoid.clone(),
            pipelines,
            cache,
            made,
            bytes: Arc::default(),
            lost,
            unsettled: Mutex::default(),
        };
        let tuning = Tuning::rules(class).avoiding(&inner.avoid);
        Ok(Context { inner: Arc::new(inner), tuning })
    }

    /// Whether both are handles of the same context.
    pub(super) fn is(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The family of kernels in use.
    pub fn class(&self) -> KernelClass {
        self.inner.class
    }

    /// Storage of the nets' weights and activations.
    pub fn precision(&self) -> Precision {
        self.inner.precision
    }

    /// The entry of [`PRECISIONS`] that the context was opened with.
    pub fn precision_name(&self) -> &'static str {
        match (self.precision(), self.matrices()) {
            (Precision::F32, _) => PRECISIONS[0],
            (Precision::F16, None) => PRECISIONS[1],
            (Precision::F16, Some(_)) => PRECISIONS[2],
        }
    }

    /// The cooperative matrices for f16 convolutions, if they were requested and give right results.
    pub fn matrices(&self) -> Option<Matrices> {
        self.inner.matrices
    }

    /// The thresholds that choose the kernels of convolutions.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// The same device with another tuning of its convolutions, apart from the variants that are avoided.
    pub fn with_tuning(&self, tuning: Tuning) -> Self {
        Context { inner: self.inner.clone(), tuning: tuning.avoiding(&self.inner.avoid) }
    }

    /// Whether kernels of that variant can be selected.
    pub fn uses(&self, variant: Variant) -> bool {
        let possible = match variant {
            Variant::WinogradTiles => true,
            Variant::LargeTiles => self.class() == KernelClass::Tiled,
            Variant::CooperativeMatrices => self.matrices().is_some(),
            Variant::BroadcastKernels => self.class() == KernelClass::Broadcast,
        };
        possible && !self.inner.avoid.contains(&variant)
    }

    /// A name for the tuning of this adapter, driver, class and set of kernels: 16 hexadecimal digits.
    pub fn tuning_key(&self) -> String {
        self.key(&format!("{:?}", self.class()))
    }

    /// A name for this adapter, driver and set of kernels: 16 hexadecimal digits.
    pub fn adapter_key(&self) -> String {
        self.key("")
    }

    fn key(&self, further: &str) -> String {
        let (info, mut hash) = (&self.inner.info, Sha256::new());
        let driver = format!("{} {}", info.driver, info.driver_info);
        hash.update(format!("{}\n{driver}\n{:?}\n{further}\n", info.name, info.backend));
        for name in shaders::all() {
            hash.update(shaders::embedded(name).unwrap_or_default());
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The adapter's name, for tables and logs.
    pub fn name(&self) -> &str {
        &self.inner.info.name
    }

    /// Driver name and version.
    pub fn driver(&self) -> String {
        format!("{} {}", self.inner.info.driver, self.inner.info.driver_info).trim().to_string()
    }

    /// Whether this is a software adapter.
    pub fn is_software(&self) -> bool {
        self.inner.info.device_type == wgpu::DeviceType::Cpu
    }

    /// Whether kernels can compute in f16.
    pub fn has_half(&self) -> bool {
        self.inner.device.features().contains(wgpu::Features::SHADER_F16)
    }

    /// Size in bytes of the largest tensor that a kernel can bind.
    pub fn max_tensor_bytes(&self) -> u64 {
        let limits = self.inner.device.limits();
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
    }

    /// Bytes allocated by the driver's allocator, if the backend reports them.
    pub fn allocated_bytes(&self) -> Option<u64> {
        Some(self.inner.device.generate_allocator_report()?.total_allocated_bytes)
    }

    /// Bytes of the buffers that the context has made and that are still in use: tensors, parameters and staging buffers.
    pub fn buffer_bytes(&self) -> u64 {
        self.inner.bytes.load(Ordering::Relaxed)
    }

    /// The counter of [`Context::buffer_bytes`].
    pub(super) fn counter(&self) -> &Arc<AtomicU64> {
        &self.inner.bytes
    }

    /// Number of buffers, bind groups and pipelines created so far. Replaying a program creates none.
    pub(crate) fn objects_made(&self) -> u64 {
        self.inner.made.load(Ordering::Relaxed)
    }

    /// The kernels compiled so far.
    pub(crate) fn kernels(&self) -> Vec<Kernel> {
        self.inner.pipelines.lock().unwrap_or_else(|e| e.into_inner()).keys().cloned().collect()
    }

    pub(super) fn info(&self) -> &wgpu::AdapterInfo {
        &self.inner.info
    }

    /// The device, for hosts that share it.
    pub fn device(&self) -> &wgpu::Device {
        &self.inner.device
    }

    /// The queue of the device.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.inner.queue
    }

    pub(super) fn checked(&self) -> bool {
        self.inner.checked
    }

    pub(super) fn pipelines(&self) -> &Mutex<HashMap<Kernel, Arc<Pipeline>>> {
        &self.inner.pipelines
    }

    pub(super) fn pipeline_cache(&self) -> Option<&wgpu::PipelineCache> {
        self.inner.cache.as_ref().map(|cache| &cache.pipelines)
    }

    /// Stores the driver's compiled pipelines. Failures are only logged, since they cost nothing but compile time.
    pub(super) fn save_pipeline_cache(&self) {
        if let Some(Err(error)) = self.inner.cache.as_ref().map(PipelineCache::save) {
            tracing::debug!(%error, "pipeline cache not kept");
        }
    }

    /// Runs wgpu calls in error scopes and gives the first error. Where the device reports errors later (WebGPU in a
    /// browser), [`Context::settle`] gives it. Scopes belong to a thread. Within `work`, further calls on this thread open
    /// none; the outer call gives their errors.
    pub(crate) fn scoped<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        thread_local! {
            /// The context whose scopes are open on this thread.
            static OPEN: Cell<*const Inner> = const { Cell::new(std::ptr::null()) };
        }
        let own = Arc::as_ptr(&self.inner);
        if OPEN.get() == own {
            return Ok(work());
        }
        let device = &self.inner.device;
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let outer = OPEN.replace(own);
        let value = work();
        OPEN.set(outer);
        let scopes: [ScopeError; 3] = [Box::pin(memory.pop()), Box::pin(validation.pop()), Box::pin(internal.pop())];
        let mut first = None;
        for mut scope in scopes {
            match scope.as_mut().poll(&mut task::Context::from_waker(Waker::noop())) {
                Poll::Ready(error) => first = first.or(error),
                Poll::Pending => self.inner.unsettled.lock().unwrap_or_else(|e| e.into_inner()).push(scope),
            }
        }
        self.check_lost()?;
        first.map_or(Ok(value), |error| Err(device_error(error)))
    }

    /// Waits for the error scopes that have not reported yet, and gives their first error.
    pub(super) async fn settle(&self) -> Result<()> {
        let scopes = std::mem::take(&mut *self.inner.unsettled.lock().unwrap_or_else(|e| e.into_inner()));
        let mut first = None;
        for scope in scopes {
            first = first.or(scope.await);
        }
        self.check_lost()?;
        first.map_or(Ok(()), |error| Err(device_error(error)))
    }

    /// Runs a future of this context to its end, and waits for the device whenever the future does.
    ///
    /// # Errors
    /// Those of the future; a lost device, or one that does not finish within 600 s.
    #[cfg(feature = "blocking")]
    pub fn block_on<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let mut future = std::pin::pin!(future);
        loop {
            match future.as_mut().poll(&mut task::Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => return result,
                Poll::Pending => self.wait()?,
            }
        }
    }

    /// Creates a device object and counts it. All objects are created here.
    pub(super) fn make<T>(&self, object: impl FnOnce(&wgpu::Device) -> T) -> Result<T> {
        self.inner.made.fetch_add(1, Ordering::Relaxed);
        self.scoped(|| object(&self.inner.device))
    }

    pub(super) fn check_lost(&self) -> Result<()> {
        match self.inner.lost.lock().unwrap_or_else(|e| e.into_inner()).as_ref() {
            Some(message) => Err(Error::DeviceLost(message.clone().into())),
            None => Ok(()),
        }
    }

    /// Waits for all submissions, at most 600 s. A browser does not wait.
    pub(super) fn wait(&self) -> Result<()> {
        let timeout = Some(Duration::from_secs(600));
        let waited = self.inner.device.poll(wgpu::PollType::Wait { submission_index: None, timeout });
        self.check_lost()?;
        waited.map(|_| ()).map_err(|error| Error::DeviceLost(error.into()))
    }

    /// Waits until all submissions have finished.
    pub(crate) async fn idle(&self) -> Result<()> {
        let (done, finished) = Signal::new();
        self.scoped(|| self.inner.queue.on_submitted_work_done(move || done(())))?;
        finished.await;
        self.settle().await
    }
}

/// What an error scope reports.
type ScopeError = Pin<Box<dyn Future<Output = Option<wgpu::Error>> + Send>>;

fn device_error(error: wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { source } => Error::OutOfMemory(source),
        // A device of a host has no callback of ours. An object is made on a lost device without an error, but it is
        // invalid; every other failure is reported where the object is made, and the object is not used.
        wgpu::Error::Validation { source, description }
            if ["is lost", "is invalid"].iter().any(|words| description.contains(words)) =>
        {
            Error::DeviceLost(source)
        }
        error => Error::Device(error.into()),
    }
}
