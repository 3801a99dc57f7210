//! Every kernel and parameter block of the operations, for the tests.

use super::{
    adam, clip, conv2d, gram, lbfgs, mean_std, norm, pad, pool, regions, relu, roof, rows, square_loss, tanh,
    total_variation, vector,
};
use crate::gpu::Kernel;

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
pub struct Layout {
    /// A kernel that binds it.
    pub kernel: Kernel,
    /// The WGSL variable.
    pub variable: &'static str,
    /// Bytes.
    pub size: usize,
    /// Name and byte offset of each field.
    pub fields: Vec<(&'static str, usize)>,
}
