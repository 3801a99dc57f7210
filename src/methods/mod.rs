//! The methods of the literature, one file each: what a user asks for.

pub mod color;
pub mod gatys;
