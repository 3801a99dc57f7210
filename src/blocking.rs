//! Waits for futures that need no help from a device (feature `blocking`). `gpu::Context::block_on` waits for the others.

pub(crate) use pollster::block_on;
