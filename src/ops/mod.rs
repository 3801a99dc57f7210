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

/// Every kernel in every variant that an operation can use. The tests validate and translate them all.
pub fn kernels() -> Vec<Kernel> {
    let lists = [
        adam::kernels(),
        clip::kernels(),
        conv2d::kernels(),
        gram::kernels(),
        lbfgs::kernels(),
        mean_std::kernels(),
        norm::kernels(),
        pad::kernels(),
        pool::kernels(),
        regions::kernels(),
        relu::kernels(),
        roof::kernels(),
        rows::kernels(),
        square_loss::kernels(),
        tanh::kernels(),
        total_variation::kernels(),
        vector::kernels(),
    ];
    lists.concat()
}

/// The Rust layout of all parameter blocks: kernel, WGSL variable, size, and name and byte offset of each field.
#[doc(hidden)]
pub fn layouts() -> Vec<Layout> {
    vec![
        adam::Params::layout(),
        clip::Params::layout(),
        conv2d::Params::layout(),
        conv2d::Params::layout_of(Kernel::new("conv2d_broadcast.wgsl", "forward")),
        conv2d::Params::layout_of(Kernel::new("conv2d_matrix_8.wgsl", "forward")),
        conv2d::Params::layout_of(Kernel::new("conv2d_matrix_16.wgsl", "forward")),
        conv2d::PackParams::layout(),
        conv2d::WinogradParams::layout(),
        conv2d::WinogradParams::layout_of(Kernel::new("winograd_2.wgsl", "output")),
        conv2d::WinogradWeights::layout(),
        conv2d::WinogradWeights::layout_of(Kernel::new("winograd_2.wgsl", "weights")),
        conv2d::Params::layout_of(Kernel::new("conv2d_weights.wgsl", "products")),
        conv2d::Params::layout_of(Kernel::new("conv2d_weights_broadcast.wgsl", "products")),
        gram::Params::layout(),
        gram::Params::layout_of(Kernel::new("gram_broadcast.wgsl", "forward")),
        lbfgs::Params::layout(),
        lbfgs::StoreParams::layout(),
        mean_std::Params::layout(),
        mean_std::Params::layout_of(Kernel::new("mean_std_four.wgsl", "forward")),
        norm::Params::layout(),
        norm::Params::layout_of(Kernel::new("norm_four.wgsl", "measure")),
        norm::TrackParams::layout(),
        pad::Params::layout(),
        pool::Params::layout(),
        roof::Params::layout(),
        roof::Params::layout_of(Kernel::new("roof_half.wgsl", "multiply_add")),
        roof::MatrixParams::layout(),
        roof::MatrixParams::layout_of(Kernel::new("roof_matrix_16.wgsl", "multiply_add")),
        rows::Params::layout(),
        square_loss::Params::layout(),
        total_variation::Params::layout(),
        vector::Params::layout(),
    ]
}

/// The Rust layout of a parameter block.
#[doc(hidden)]
pub struct Layout {
    pub kernel: Kernel,
    pub variable: &'static str,
    pub size: usize,
    pub fields: Vec<(&'static str, usize)>,
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
            pub(crate) fn layout() -> crate::ops::Layout {
                Self::layout_of(crate::gpu::Kernel::new($shader, $entry))
            }

            pub(crate) fn layout_of(kernel: crate::gpu::Kernel) -> crate::ops::Layout {
                crate::ops::Layout {
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
