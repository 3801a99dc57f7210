//! The windows that fit into the device memory that is granted.

use super::{GatysSettings, Tiling};
use crate::Result;
use crate::nets::tiles::{Budget, Reach, largest};
use crate::nets::{Tap, Vgg19};

/// Windows, and the device memory that they take.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub tiling: Tiling,
    pub bytes: u64,
}

/// The bytes of device memory that may be used.
pub(super) fn budget(settings: &GatysSettings) -> u64 {
    settings.memory.unwrap_or(Budget::default().device)
}

/// Windows of what the net reads for `deepest`; without a tap, of single pixels.
pub(super) fn reach(deepest: Option<Tap>) -> Reach {
    deepest.map_or(Reach { halo: 0, alignment: 1 }, Vgg19::reach)
}

/// Which windows are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Search {
    /// The largest that fit, of at least that many pixels a side.
    Largest(usize),
    /// The smallest that are possible, to see whether any fit.
    Smallest,
}

/// The windows of a picture of `[height, width]` for which `bytes` gives at most `budget`.
///
/// # Errors
/// Those of `bytes`; [`Error::TooLarge`] if no windows fit.
pub(super) fn search(
    size: [usize; 2],
    reach: Reach,
    search: Search,
    budget: u64,
    bytes: impl Fn(&Tiling) -> Result<u64>,
) -> Result<Fit> {
    let least = reach.least_window();
    let sides = match search {
        Search::Largest(at_least) => [least.max(at_least), usize::MAX],
        Search::Smallest => [least, least],
    };
    let (tiling, bytes) = largest(size, reach, sides, budget, bytes)?;
    Ok(Fit { tiling, bytes })
}
