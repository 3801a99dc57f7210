//! Neural style transfer on any GPU, from hand-written WGSL kernels up.
//!
//! `impasto` is a small tensor runtime on wgpu with hand-written kernels and hand-written backward passes, and on it the
//! methods of the style-transfer literature. See ARCHITECTURE.md for the map of the house.

#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "train")]
pub mod bench;
#[cfg(feature = "cache")]
mod cache;
mod error;
#[cfg(feature = "train")]
pub mod eval;
pub mod gpu;
pub mod io;
pub mod loss;
pub mod methods;
pub mod nets;
pub mod ops;
pub mod optim;
#[cfg(feature = "plot")]
mod plot;
pub mod random;
#[cfg(feature = "plot")]
pub mod sheet;
#[cfg(feature = "train")]
pub mod train;
#[cfg(feature = "cache")]
pub mod tune;
pub mod weights;

#[cfg(feature = "cache")]
pub use cache::UserCache;
pub use error::{Error, Result};
/// The wgpu that the library was built with: a host's device must be of the same version.
pub use wgpu;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
