//! Lists the adapters of a machine and chooses one.

use super::matrices::Matrices;
use super::precision::PRECISIONS;
use crate::{Error, Result};

/// An adapter, as listed by `impasto devices`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Adapter {
    /// Position in the list; also accepted as a device name.
    pub index: usize,
    /// The adapter's name.
    pub name: String,
    /// "discrete GPU", "integrated GPU", "software" ...
    pub kind: &'static str,
    /// "vulkan", "metal", "dx12", "gl", "webgpu".
    pub backend: String,
    /// Driver and version.
    pub driver: String,
    /// The entries of [`PRECISIONS`] that it supports.
    pub precisions: Vec<&'static str>,
}

fn kind(info: &wgpu::AdapterInfo) -> (usize, &'static str) {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => (0, "discrete GPU"),
        wgpu::DeviceType::IntegratedGpu => (1, "integrated GPU"),
        wgpu::DeviceType::VirtualGpu => (2, "virtual GPU"),
        wgpu::DeviceType::Other => (3, "other"),
        wgpu::DeviceType::Cpu => (4, "software"),
    }
}

/// Adapters that support compute shaders, best kind first. OpenGL is a fallback: it is only asked where no GPU has
/// another driver.
pub(super) async fn found() -> Vec<wgpu::Adapter> {
    let is_gpu = |adapter: &wgpu::Adapter| adapter.get_info().device_type != wgpu::DeviceType::Cpu;
    // Those that the features of the build enable.
    let mut found = enumerated(wgpu::Backends::all() - wgpu::Backends::GL).await;
    if !found.iter().any(is_gpu) {
        found.extend(enumerated(wgpu::Backends::GL).await);
    }
    found.sort_by_key(|a| kind(&a.get_info()).0);
    found
}

async fn enumerated(backends: wgpu::Backends) -> Vec<wgpu::Adapter> {
    let descriptor = wgpu::InstanceDescriptor {
        backends,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    let mut found = wgpu::Instance::new(descriptor).enumerate_adapters(backends).await;
    found.retain(|a| a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS));
    found
}

/// All adapters that support compute shaders, ordered by kind: discrete, integrated, virtual, other, software.
pub async fn list_adapters() -> Vec<Adapter> {
    let describe = |(index, adapter): (usize, &wgpu::Adapter)| {
        let info = adapter.get_info();
        Adapter {
            index,
            kind: kind(&info).1,
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            name: info.name,
            precisions: {
                let has = [
                    true,
                    adapter.features().contains(wgpu::Features::SHADER_F16),
                    !Matrices::offered(adapter).is_empty(),
                ];
                PRECISIONS.into_iter().zip(has).filter_map(|(name, has)| has.then_some(name)).collect()
            },
        }
    };
    found().await.iter().enumerate().map(describe).collect()
}

/// [`list_adapters`], waited for.
#[cfg(feature = "blocking")]
pub fn adapters() -> Vec<Adapter> {
    crate::blocking::block_on(list_adapters())
}

/// Chooses an adapter by index or by part of its name (ignoring case); the first one if `wanted` is `None`.
pub(super) fn choose(mut found: Vec<wgpu::Adapter>, wanted: Option<&str>) -> Result<wgpu::Adapter> {
    if found.is_empty() {
        let help = "install a Vulkan driver (on Debian or Ubuntu `apt-get install mesa-vulkan-drivers libvulkan1`, for \
                    AMD, Intel and in software, or `make setup` in the source folder)";
        return Err(Error::NoAdapter { wanted: "was found".into(), help: help.into(), source: None });
    }
    let Some(wanted) = wanted else { return Ok(found.swap_remove(0)) };
    let position = match wanted.parse::<usize>() {
        Ok(index) => (index < found.len()).then_some(index),
        Err(_) => {
            let wanted = wanted.to_lowercase();
            found.iter().position(|a| a.get_info().name.to_lowercase().contains(&wanted))
        }
    };
    match position {
        Some(index) => Ok(found.swap_remove(index)),
        None => {
            let names: Vec<_> = found.iter().enumerate().map(|(i, a)| format!("{i}: {}", a.get_info().name)).collect();
            let help = format!("choose one of {}", names.join(", "));
            Err(Error::NoAdapter { wanted: format!("matches `{wanted}`"), help, source: None })
        }
    }
}
