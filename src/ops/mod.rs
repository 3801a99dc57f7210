//! One file per operation, mirroring shaders/, with forward and gradients side by side.
//!
//! Every function records dispatches on a [`Recorder`](crate::gpu::Recorder) and gives symbolic tensors; nothing runs
//! yet. Arguments of the wrong shape or value are errors at recording. Gradients of activations are assigned, not
//! accumulated; [`vector::add`] sums them where an activation has several readers.

pub mod adam;
pub(crate) mod catalog;
pub mod clip;
pub mod conv2d;
pub mod gram;
pub mod lbfgs;
pub mod load;
pub mod mean_std;
pub mod norm;
pub mod pad;
pub mod pool;
pub mod regions;
pub mod relu;
pub mod roof;
pub mod rows;
pub mod square_loss;
pub mod tanh;
pub mod total_variation;
pub mod vector;

use crate::gpu::{Kernel, KernelClass};

/// Sets the workgroup size of shaders/lib/reduce.wgsl. A software adapter switches between the subgroups of a workgroup
/// at every barrier, which costs more than the sums; a workgroup of a single subgroup avoids that.
pub(crate) fn reducing(kernel: Kernel, class: KernelClass) -> Kernel {
    kernel.set(
        "REDUCE_SIZE",
        match class {
            KernelClass::Tiled => 64u32,
            KernelClass::Broadcast => 8,
        },
    )
}

/// Both variants of a kernel that [`reducing`] makes.
pub(crate) fn reducing_all(kernel: Kernel) -> [Kernel; 2] {
    [KernelClass::Tiled, KernelClass::Broadcast].map(|class| reducing(kernel.clone(), class))
}

/// Declares a parameter block: the `#[repr(C)]` struct that is uploaded, and its layout, which a test compares with the
/// WGSL struct.
macro_rules! params {
    ($(#[$doc:meta])* $name:ident for $shader:literal : $entry:literal, $variable:literal {
        $($field:ident: $kind:ty),* $(,)?
    }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub(crate) struct $name {
            $(pub $field: $kind),*
        }

        impl $name {
            pub(crate) fn layout() -> crate::ops::catalog::Layout {
                Self::layout_of(crate::gpu::Kernel::new($shader, $entry))
            }

            pub(crate) fn layout_of(kernel: crate::gpu::Kernel) -> crate::ops::catalog::Layout {
                crate::ops::catalog::Layout {
                    kernel,
                    variable: $variable,
                    size: size_of::<$name>(),
                    fields: vec![$((stringify!($field), std::mem::offset_of!($name, $field))),*],
                }
            }
        }
    };
}
pub(crate) use params;
