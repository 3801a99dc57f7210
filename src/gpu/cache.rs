//! Where a context keeps compiled pipelines between runs.

use std::fmt::Debug;
use std::sync::Arc;

use crate::Result;

/// A store of byte strings by name, for [`ContextOptions::cache`](super::ContextOptions::cache). An entry that it loses
/// only costs the time to compile pipelines again.
///
/// `impasto::UserCache` (feature `cache`) keeps files in the user's cache directory.
pub trait Cache: Debug + Send + Sync {
    /// The bytes last stored as `name`; `None` where there are none or they cannot be read.
    fn load(&self, name: &str) -> Option<Vec<u8>>;

    /// Stores `bytes` as `name`, in place of what was stored before.
    ///
    /// # Errors
    /// The store's own, such as a full disk. A context logs them and goes on.
    fn store(&self, name: &str, bytes: &[u8]) -> Result<()>;
}

/// The driver's compiled pipelines, and where they are kept.
pub(super) struct PipelineCache {
    pub pipelines: wgpu::PipelineCache,
    store: Arc<dyn Cache>,
    name: String,
}

impl PipelineCache {
    /// Filled from `store`, where the backend has such a cache.
    pub fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, store: Arc<dyn Cache>) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let name = wgpu::util::pipeline_cache_key(info)?;
        let data = store.load(&name);
        let descriptor =
            wgpu::PipelineCacheDescriptor { label: Some("impasto"), data: data.as_deref(), fallback: true };
        // SAFETY: the data was stored by `save` from `PipelineCache::get_data`; wgpu checks its header (adapter, driver
        // version, length) and starts empty where they differ.
        #[allow(unsafe_code)]
        let pipelines = unsafe { device.create_pipeline_cache(&descriptor) };
        Some(PipelineCache { pipelines, store, name })
    }

    pub fn save(&self) -> Result<()> {
        let Some(data) = self.pipelines.get_data() else { return Ok(()) };
        // Some drivers always return the same bytes, and a write waits for the disk.
        if self.store.load(&self.name).is_some_and(|known| known == data) {
            return Ok(());
        }
        self.store.store(&self.name, &data)
    }
}
