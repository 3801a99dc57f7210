//! What a recording dispatches, as a list.

use super::Kernel;
use super::recorder::{Dispatch, Recorder};

/// A dispatch of a recording, for listings.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The kernel.
    pub kernel: Kernel,
    /// What it computes.
    pub label: String,
    /// Number of workgroups.
    pub groups: [u32; 3],
    /// Floating-point operations that the mathematics needs.
    pub flops: u64,
    /// Floating-point operations that the kernel performs.
    pub performed: u64,
    /// Bytes of the tensors that it binds.
    pub bytes: u64,
}

impl Recorder {
    /// Its dispatches, in the order in which they run.
    pub(crate) fn listing(&self) -> Vec<Listed> {
        let listed = |dispatch: &Dispatch| Listed {
            kernel: dispatch.kernel.clone(),
            label: dispatch.label.clone(),
            groups: dispatch.groups,
            flops: dispatch.flops,
            performed: dispatch.performed.unwrap_or(dispatch.flops),
            bytes: dispatch.bytes,
        };
        self.dispatches.iter().map(listed).collect()
    }
}
