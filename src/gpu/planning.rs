//! Plans before there is a device: a recording in a context that has an adapter's limits and computes nothing.

use std::pin::pin;
use std::task::{self, Poll, Waker};

use super::recorder::Place;
use super::{Context, ContextOptions, Recorder};
use crate::{Error, Result};

/// The largest buffers of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Largest {
    /// Bytes of the largest buffer.
    pub buffer: u64,
    /// Bytes of the largest tensor, which a kernel binds as one storage buffer.
    pub binding: u64,
}

impl Largest {
    /// The larger of each.
    pub fn join(self, other: Largest) -> Largest {
        Largest { buffer: self.buffer.max(other.buffer), binding: self.binding.max(other.binding) }
    }
}

impl Context {
    /// A context for plans: of a device with these features and limits on that kind of adapter. Its buffers are in the
    /// memory of the host, and its programs do nothing.
    ///
    /// # Errors
    /// Those of [`Context::from_host`].
    pub(crate) fn planning(
        adapter: &wgpu::AdapterInfo,
        features: wgpu::Features,
        limits: &wgpu::Limits,
        options: &ContextOptions,
    ) -> Result<Self> {
        let noop = wgpu::NoopBackendOptions {
            enable: true,
            limits: Some(limits.clone()),
            features: Some(features),
            device_type: Some(adapter.device_type),
            subgroup_min_size: Some(adapter.subgroup_min_size),
            subgroup_max_size: Some(adapter.subgroup_max_size),
        };
        let descriptor = wgpu::InstanceDescriptor {
            backends: wgpu::Backends::NOOP,
            flags: wgpu::InstanceFlags::empty(),
            backend_options: wgpu::BackendOptions { noop, ..Default::default() },
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        };
        let refused = |error: crate::Cause| Error::Device(error);
        let planned = at_once(wgpu::Instance::new(descriptor).request_adapter(&Default::default()))
            .map_err(|error| refused(error.into()))?;
        let descriptor = wgpu::DeviceDescriptor {
            required_features: features,
            required_limits: limits.clone(),
            ..Default::default()
        };
        let (device, queue) = at_once(planned.request_device(&descriptor)).map_err(|error| refused(error.into()))?;
        Context::from_host(device, queue, options)
    }
}

/// The result of a future that never waits, as those of wgpu's own backends.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut task::Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

impl Recorder {
    /// Floating-point operations per run that the mathematics needs.
    pub(crate) fn flops(&self) -> u64 {
        self.dispatches.iter().map(|dispatch| dispatch.flops).sum()
    }

    /// The largest buffers of its program.
    ///
    /// # Errors
    /// A tensor that is too large for the device.
    pub(crate) fn largest(&self) -> Result<Largest> {
        let transients = self.plan()?.sizes.into_iter().max().unwrap_or(0);
        let pinned = self.places.iter().map(|place| match place {
            Place::Pinned(tensor) => tensor.shape().buffer_bytes(tensor.precision()),
            Place::Transient { .. } => 0,
        });
        let bound = self.dispatches.iter().flat_map(|dispatch| &dispatch.tensors);
        let binding = bound.map(|(_, tensor)| tensor.buffer_bytes()).max().unwrap_or(0);
        Ok(Largest { buffer: pinned.max().unwrap_or(0).max(transients), binding })
    }
}
