//! The only module that uses wgpu: device, tensors, kernels, recorded programs and their memory.

mod adapter;
mod cache;
mod context;
mod kernel;
mod memory;
mod precision;
mod profile;
mod program;
mod recorder;
mod shaders;
mod signal;
mod tensor;
mod tuning;

#[cfg(feature = "blocking")]
pub use adapter::adapters;
pub use adapter::{Adapter, Matrices, list_adapters};
pub use cache::Cache;
pub use context::{Context, ContextOptions, KernelClass};
pub use kernel::{Access, Binding, CAPABILITIES, Interface, Kernel, Value, expand, interface_of, module_of};
pub use memory::Memory;
pub use precision::{PRECISIONS, Precision};
pub use profile::{Kind, Profile, Timing};
pub use program::Program;
pub use recorder::{Dispatch, Later, Recorder, Uniform, linear_groups, map_groups};
pub use shaders::{names as shader_names, source as shader_source};
pub use tensor::{DeviceTensor, Shape, Tensor};
pub use tuning::Tuning;
