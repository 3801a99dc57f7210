//! Limits that a device must have.

use crate::{Error, Result};

/// Refuses a device with limits below those that the kernels were written for, the defaults of WebGPU.
pub(super) fn check_limits(device: &wgpu::Device) -> Result<()> {
    let (limits, least) = (device.limits(), wgpu::Limits::default());
    let needed = wgpu::Limits {
        max_storage_buffers_per_shader_stage: least.max_storage_buffers_per_shader_stage,
        max_bindings_per_bind_group: least.max_bindings_per_bind_group,
        max_compute_workgroup_storage_size: least.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: least.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: least.max_compute_workgroup_size_x,
        max_compute_workgroup_size_y: least.max_compute_workgroup_size_y,
        max_compute_workgroup_size_z: least.max_compute_workgroup_size_z,
        max_compute_workgroups_per_dimension: least.max_compute_workgroups_per_dimension,
        ..limits.clone()
    };
    let mut missing = None;
    needed.check_limits_with_fail_fn(&limits, true, |name, needed, found| {
        missing.get_or_insert((name, needed, found));
    });
    match missing {
        None => Ok(()),
        Some((name, needed, found)) => Err(Error::argument("context", name, format!("at least {needed}"), found)),
    }
}
