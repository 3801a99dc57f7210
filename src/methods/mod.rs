//! The methods of the literature, one file each: what a user asks for.

pub mod adain;
mod advice;
pub mod color;
pub mod feed_forward;
pub mod gatys;
