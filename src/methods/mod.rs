//! The methods of the literature, one module each.

pub mod adain;
mod advice;
pub mod areas;
pub mod color;
pub mod feed_forward;
pub mod gatys;
pub mod super_resolution;

pub use areas::Area;
