//! Variants of kernels that a context can do without.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kernels that [`ContextOptions::avoid`](super::ContextOptions::avoid) can replace by others with the same results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Convolutions in Winograd tiles. Direct sums replace them.
    WinogradTiles,
    /// The larger tiles of the tiled class. Smaller ones replace them.
    LargeTiles,
    /// Convolutions on cooperative matrices. The tiled class replaces them, with f16 storage.
    CooperativeMatrices,
    /// The broadcast class, which software adapters use. The tiled class replaces it.
    BroadcastKernels,
}

impl Variant {
    /// All variants, those whose replacement costs the least time first.
    pub const ALL: [Variant; 4] =
        [Variant::LargeTiles, Variant::WinogradTiles, Variant::CooperativeMatrices, Variant::BroadcastKernels];
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Variant::WinogradTiles => "Winograd tiles",
            Variant::LargeTiles => "large tiles",
            Variant::CooperativeMatrices => "cooperative matrices",
            Variant::BroadcastKernels => "broadcast kernels",
        })
    }
}
