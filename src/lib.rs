//! Neural style transfer on any GPU, from hand-written WGSL kernels up.
//!
//! `impasto` is a small tensor runtime on wgpu with hand-written kernels and hand-written backward passes, and on it the
//! methods of the style-transfer literature. See ARCHITECTURE.md for the map of the house.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod bench;
mod error;
pub mod eval;
pub mod gpu;
pub mod io;
pub mod loss;
pub mod methods;
pub mod nets;
pub mod ops;
pub mod optim;
mod plot;
pub mod random;
pub mod sheet;
pub mod train;
pub mod tune;
pub mod weights;

pub use error::{Error, Result};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
