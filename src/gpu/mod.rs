//! The only module that uses wgpu: device, tensors, kernels, recorded programs and their memory.

mod adapter;
mod buffers;
mod cache;
mod context;
mod details;
mod fold;
pub(crate) mod kernel;
mod limits;
pub(crate) mod listing;
pub(crate) mod matrices;
pub(crate) mod matrix_test;
mod memory;
mod open;
mod operands;
mod options;
#[cfg(not(target_arch = "wasm32"))]
mod planning;
mod precision;
mod profile;
mod program;
pub(crate) mod recorder;
pub(crate) mod shaders;
mod signal;
mod slice;
mod specialise;
mod split_arrays;
mod tensor;
mod texture;
mod tuning;
mod unroll;
mod variant;

#[cfg(feature = "blocking")]
pub use adapter::adapters;
pub use adapter::{Adapter, list_adapters};
pub use cache::Cache;
pub use context::Context;
pub use details::{Details, WGPU_VERSION};
pub(crate) use kernel::{Kernel, SCREEN};
pub use matrices::Matrices;
pub use memory::Memory;
pub use options::{ContextOptions, KernelClass};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use planning::Largest;
pub use precision::{PRECISIONS, Precision};
pub use profile::{KernelTotals, Profile, Timing};
pub use program::Program;
pub(crate) use recorder::{Block, Dispatch, Fields, linear_groups, map_groups};
pub use recorder::{Later, Recorder, Uniform};
pub use slice::Slice;
pub use tensor::{DeviceTensor, Shape, Tensor};
pub(crate) use texture::{Texture, TextureKind};
pub use tuning::Tuning;
pub use variant::Variant;
