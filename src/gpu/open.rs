//! Opens a device, with cooperative matrices where they are wanted and right.

use std::sync::{Arc, Mutex};

use super::matrices::Matrices;
use super::matrix_test;
use super::{Cache, Context, ContextOptions, KernelClass, Precision, Variant, adapter, shaders};
use crate::{Error, Result};

/// The matrices that the adapter offers, of which there are some.
///
/// # Errors
/// Options or an adapter that do not allow them.
fn wanted_matrices(adapter: &wgpu::Adapter, options: &ContextOptions) -> Result<Vec<Matrices>> {
    if options.precision != Precision::F16 || options.class == Some(KernelClass::Broadcast) {
        let got = format!("{}, {:?}", options.precision, options.class);
        return Err(Error::argument("context", "matrices", "used with precision f16 and tiled kernels", got));
    }
    let offered = Matrices::offered(adapter);
    if offered.is_empty() {
        let name = adapter.get_info().name;
        let got = format!("f16-matrix, but {name} has no cooperative matrices with f16 factors and f32 sums");
        return Err(Error::argument("device", "precision", "f32 or f16", got));
    }
    Ok(offered)
}

/// The adapter that `options` or the environment name.
async fn chosen(options: &ContextOptions) -> Result<wgpu::Adapter> {
    let from_environment = std::env::var("IMPASTO_DEVICE").ok().filter(|name| !name.is_empty());
    adapter::choose(adapter::found().await, options.device.as_deref().or(from_environment.as_deref()))
}

/// Where verdicts about matrices are kept. Those about an altered kernel are not.
fn verdicts(options: &ContextOptions) -> Option<&dyn Cache> {
    options.cache.as_deref().filter(|_| !shaders::is_altered())
}

/// A device that a context opens for itself.
struct Opened {
    device: wgpu::Device,
    queue: wgpu::Queue,
    lost: Arc<Mutex<Option<String>>>,
}

impl Opened {
    /// With the features and limits that the adapter has; cooperative matrices only on request.
    async fn new(adapter: &wgpu::Adapter, with_matrices: bool) -> Result<Self> {
        let wanted = wgpu::Features::SUBGROUP
            | wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS
            | wgpu::Features::SHADER_F16
            | wgpu::Features::PIPELINE_CACHE;
        let mut required_features = adapter.features() & wanted;
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if with_matrices {
            required_features |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            // SAFETY: `ContextOptions::matrices` asks for an experimental feature of wgpu. The kernels follow its
            // documentation: matrices that the adapter lists, in uniform control flow and within their buffers.
            #[allow(unsafe_code)]
            {
                experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
            }
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("impasto"),
            required_features,
            experimental_features,
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| Error::NoAdapter {
            wanted: format!("could be opened: {} failed ({error})", adapter.get_info().name),
            help: "update its driver, or choose another adapter".into(),
            source: Some(error.into()),
        })?;
        let lost = Arc::new(Mutex::new(None));
        let seen = lost.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                *seen.lock().unwrap_or_else(|e| e.into_inner()) = Some(message);
            }
        });
        Ok(Opened { device, queue, lost })
    }

    fn context(
        &self,
        adapter: &wgpu::Adapter,
        options: &ContextOptions,
        matrices: Option<Matrices>,
    ) -> Result<Context> {
        let (device, queue, lost) = (self.device.clone(), self.queue.clone(), self.lost.clone());
        let checked = options.checked.unwrap_or(false);
        Context::assemble(adapter.get_info(), device, queue, options, checked, matrices, lost)
    }
}

impl Context {
    /// Opens an adapter without a window. Only features that it supports are requested; limits are those of the
    /// adapter.
    ///
    /// With [`ContextOptions::matrices`], the adapter's cooperative matrices must give known answers first; the verdict is
    /// kept in [`ContextOptions::cache`]. Without right ones, the context has none and uses the tiled kernels.
    ///
    /// # Errors
    /// No adapter that matches; options that it does not support; a failure of the driver.
    pub async fn open(options: &ContextOptions) -> Result<Self> {
        Self::open_adapter(&chosen(options).await?, options).await
    }

    /// [`Context::open`] for an adapter that the caller has found. [`ContextOptions::device`] has no effect.
    ///
    /// # Errors
    /// Options that the adapter does not support; a failure of the driver.
    pub async fn open_adapter(adapter: &wgpu::Adapter, options: &ContextOptions) -> Result<Self> {
        if options.matrices && !options.avoid.contains(&Variant::CooperativeMatrices) {
            let offered = wanted_matrices(adapter, options)?;
            let opened = Opened::new(adapter, true).await?;
            for matrices in offered {
                let trial = opened.context(adapter, options, Some(matrices))?;
                match matrix_test::known(&trial, matrices, verdicts(options)).await {
                    // The trial has compiled a kernel that is no longer needed.
                    None => return opened.context(adapter, options, Some(matrices)),
                    Some(fault) => tracing::warn!("{} runs without {matrices} matrices: {fault}", trial.name()),
                }
            }
        }
        // A device that wrong matrices may have harmed is not used further.
        Opened::new(adapter, false).await?.context(adapter, options, None)
    }

    /// Tests every kind of cooperative matrices that the adapter of `options` offers, whatever is known about them, and
    /// keeps the verdicts for [`Context::open`]. Gives each with what is wrong with it, if anything is. Without
    /// [`ContextOptions::matrices`] there are none to test.
    ///
    /// # Errors
    /// Those of [`Context::open`].
    #[cfg(all(feature = "doctor", feature = "cache"))]
    pub(crate) async fn examine_matrices(options: &ContextOptions) -> Result<Vec<(Matrices, Option<String>)>> {
        let mut examined = Vec::new();
        if options.matrices {
            let adapter = chosen(options).await?;
            for matrices in wanted_matrices(&adapter, options)? {
                let trial = Opened::new(&adapter, true).await?.context(&adapter, options, Some(matrices))?;
                examined.push((matrices, matrix_test::examine(&trial, matrices, verdicts(options)).await));
            }
        }
        Ok(examined)
    }

    /// [`Context::open`], waited for.
    #[cfg(feature = "blocking")]
    pub fn new(options: &ContextOptions) -> Result<Self> {
        crate::blocking::block_on(Self::open(options))
    }
}
