//! What a bug report says about a device.

use std::collections::BTreeMap;

use super::{Context, KernelClass};

/// The major version of wgpu that the library is built with.
pub const WGPU_VERSION: &str = "30";

/// Adapter, driver, features and limits of an open device.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Details {
    /// The adapter's name.
    pub adapter: String,
    /// "vulkan", "metal", "dx12".
    pub backend: String,
    /// Driver and version.
    pub driver: String,
    /// PCI ids of vendor and device; 0 where there are none.
    pub ids: [u32; 2],
    /// Family of kernels: "tiled" or "broadcast".
    pub class: &'static str,
    /// The entry of [`PRECISIONS`](super::PRECISIONS) in use.
    pub precision: &'static str,
    /// Fewest and most lanes of a subgroup.
    pub subgroups: [u32; 2],
    /// Features in use, by wgpu's names.
    pub features: Vec<&'static str>,
    /// Limits that kernels and tensors depend on, by wgpu's names.
    pub limits: BTreeMap<&'static str, u64>,
    /// Versions of the library and of wgpu.
    pub versions: BTreeMap<&'static str, &'static str>,
}

impl Context {
    /// What a bug report says about the device.
    pub fn details(&self) -> Details {
        let (device, info) = (self.device(), self.info());
        let limits = device.limits();
        Details {
            adapter: info.name.clone(),
            backend: info.backend.to_string(),
            driver: self.driver(),
            ids: [info.vendor, info.device],
            class: match self.class() {
                KernelClass::Tiled => "tiled",
                KernelClass::Broadcast => "broadcast",
            },
            precision: self.precision_name(),
            subgroups: [info.subgroup_min_size, info.subgroup_max_size],
            features: device.features().iter_names().map(|(name, _)| name).collect(),
            limits: BTreeMap::from([
                ("max_buffer_size", limits.max_buffer_size),
                ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
                ("max_storage_buffers_per_shader_stage", limits.max_storage_buffers_per_shader_stage.into()),
                ("max_compute_workgroup_storage_size", limits.max_compute_workgroup_storage_size.into()),
                ("max_compute_invocations_per_workgroup", limits.max_compute_invocations_per_workgroup.into()),
                ("max_compute_workgroups_per_dimension", limits.max_compute_workgroups_per_dimension.into()),
            ]),
            versions: BTreeMap::from([("impasto", env!("CARGO_PKG_VERSION")), ("wgpu", WGPU_VERSION)]),
        }
    }
}
