//! One file per operation, mirroring shaders/, with forward and gradients side by side.
//!
//! Every function records dispatches on a [`Recorder`](crate::gpu::Recorder) and gives symbolic tensors; nothing runs
//! yet. Arguments of the wrong shape or value are errors at recording. Gradients of activations are assigned, not
//! accumulated; [`vector::add`] sums them where an activation has several readers.

pub mod adam;
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
pub mod resample;
pub mod roof;
pub mod rows;
pub mod square_loss;
pub mod steady;
pub mod tanh;
pub(crate) mod texture;
pub mod total_variation;
pub mod vector;
pub mod window;

use crate::gpu::{Kernel, KernelClass};

/// Every kernel in every variant that an operation can use. The tests validate and translate them all.
pub(crate) fn kernels() -> Vec<Kernel> {
    let lists = [
        adam::kernels(),
        clip::kernels(),
        conv2d::kernels(),
        gram::kernels(),
        lbfgs::kernels(),
        crate::gpu::matrix_test::kernels(),
        mean_std::kernels(),
        norm::kernels(),
        pad::kernels(),
        pool::kernels(),
        regions::kernels(),
        relu::kernels(),
        resample::kernels(),
        roof::kernels(),
        rows::kernels(),
        square_loss::kernels(),
        steady::kernels(),
        tanh::kernels(),
        texture::kernels(),
        total_variation::kernels(),
        vector::kernels(),
        window::kernels(),
    ];
    lists.concat()
}

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

/// Declares a parameter block: the `#[repr(C)]` struct that is uploaded. Recording a dispatch compares its layout with
/// that of the WGSL struct.
macro_rules! params {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub(crate) struct $name {
            $(pub $field: $kind),*
        }

        impl crate::gpu::Block for $name {
            const FIELDS: crate::gpu::Fields = &[$((stringify!($field), std::mem::offset_of!($name, $field))),*];
        }
    };
}
pub(crate) use params;
