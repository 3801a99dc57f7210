//! What the tests, the benchmarks and the command of this package use besides the public API. It can change at any time.
#![doc(hidden)]

pub use crate::gpu::kernel::{
    Access, Binding, CAPABILITIES, Interface, Kernel, Value, expand, interface_of, leave_loops, module_of,
};
pub use crate::gpu::listing::Listed;
pub use crate::gpu::recorder::{Block, Dispatch, Fields, linear_groups, map_groups};
pub use crate::gpu::shaders::{alter as alter_kernel, names as shader_names, source as shader_source};
pub use crate::io::decode::is_decoding;
pub use crate::random::Random;

use crate::gpu::{Context, Program, Recorder};
use crate::nets::{AdainPainter, image_transform_net};

#[cfg(feature = "cache")]
pub use crate::kept::folder as data_folder;

#[cfg(feature = "doctor")]
pub use crate::doctor::{case, cases, pictures};

/// Textbook formulas in f64.
#[cfg(feature = "doctor")]
pub mod reference {
    pub use crate::reference::*;
}

/// Atomic writes of files.
pub mod atomic {
    pub use crate::io::atomic::{check_writable, write};
}

/// Every kernel in every variant that an operation can use.
pub fn kernels() -> Vec<Kernel> {
    crate::ops::kernels()
}

/// Every kernel that the doctor checks in a context, as text.
#[cfg(feature = "doctor")]
pub fn examined_kernels(context: &Context) -> crate::Result<std::collections::BTreeSet<String>> {
    crate::doctor::examined(context)
}

/// Fills all transient buffers of a program with NaN, to expose kernels that read values which were never written.
pub fn poison(program: &Program) {
    program.poison();
}

/// The kernels that a context has compiled so far.
pub fn compiled(context: &Context) -> Vec<Kernel> {
    context.kernels()
}

/// Number of buffers, bind groups and pipelines that the device has created so far. Replaying a program creates none.
pub fn objects_made(context: &Context) -> u64 {
    context.objects_made()
}

/// The dispatches of a recording, in the order in which they run.
pub fn listing(rec: &Recorder) -> Vec<Listed> {
    rec.listing()
}

/// The recording of a feed-forward net for a picture of `[width, height]`.
pub fn net_recording(painter: &image_transform_net::Painter, size: [usize; 2]) -> crate::Result<Recorder> {
    painter.recorded(size)
}

/// The recording of AdaIN for a picture of `[width, height]` in one style.
pub fn adain_recording(painter: &AdainPainter, size: [usize; 2]) -> crate::Result<Recorder> {
    painter.recorded(size, 1)
}
