//! The pass inside a host's frame against the painters of the library, on a device such as a host opens: without
//! features, with WebGPU's default limits. Every uncaptured error of wgpu fails the test.

#[path = "embed/host.rs"]
mod host;

#[path = "embed/frames.rs"]
mod frames;
#[path = "embed/paintings.rs"]
mod paintings;
#[path = "embed/steady.rs"]
mod steady;
