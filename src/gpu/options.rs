//! What a context is opened with.

use std::sync::Arc;

use super::precision::PRECISIONS;
use super::variant::Variant;
use super::{Cache, Precision};
use crate::{Error, Result};

/// The family of kernels that a context uses. Convolutions and Gram matrices have kernels of both families; all other
/// operations share theirs, some with a workgroup size for each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KernelClass {
    /// Tiles in workgroup memory, for GPUs and for adapters without subgroup operations.
    Tiled,
    /// Register blocking without workgroup memory: lanes load different weights and share them by `subgroupBroadcast`.
    /// For software adapters, where every load is a gather and every barrier a context switch. Needs subgroups of at
    /// least 8 lanes.
    Broadcast,
}

/// Options for opening a device.
#[derive(Clone, Debug, Default)]
pub struct ContextOptions {
    /// Index in [`adapters`](super::adapters), or part of an adapter's name. Default: the environment variable
    /// `IMPASTO_DEVICE`, else the first adapter.
    pub device: Option<String>,
    /// Compile shaders with bounds checks and division guards, which makes them slower. Default: on a host's device
    /// only ([`Context::from_host`](super::Context::from_host)), whose memory the kernels share with others.
    pub checked: Option<bool>,
    /// The family of kernels. Default: [`KernelClass::Broadcast`] on software adapters that support it, else
    /// [`KernelClass::Tiled`].
    pub class: Option<KernelClass>,
    /// Storage of the nets' weights and activations; gradients, statistics, losses and pictures are always f32.
    /// [`Precision::F16`] takes half the memory and needs an adapter that supports it. Training requires f32.
    pub precision: Precision,
    /// Run f16 convolutions on the adapter's cooperative matrices, which accumulate in f32: see
    /// [`Context::matrices`](super::Context::matrices). Needs [`Precision::F16`], tiled kernels and a device that the
    /// context opens itself. Experimental in wgpu.
    pub matrices: bool,
    /// Variants of kernels that are replaced by others, because they fail on this adapter.
    pub avoid: Vec<Variant>,
    /// Keeps compiled pipelines between runs, where the driver has them to give; default: nowhere.
    pub cache: Option<Arc<dyn Cache>>,
}

impl ContextOptions {
    /// The same options with the precision `name`, one of [`PRECISIONS`].
    ///
    /// # Errors
    /// An unknown name.
    pub fn in_precision(self, name: &str) -> Result<Self> {
        match PRECISIONS.iter().position(|known| *known == name) {
            Some(0) => Ok(ContextOptions { precision: Precision::F32, matrices: false, ..self }),
            Some(which) => Ok(ContextOptions { precision: Precision::F16, matrices: which == 2, ..self }),
            None => Err(Error::argument("device", "precision", PRECISIONS.join(", "), name)),
        }
    }
}
