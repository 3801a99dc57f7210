//! The windows that fit into the device memory that is granted.

use super::{GatysSettings, Tiling};
use crate::nets::tiles::Reach;
use crate::nets::{Tap, Vgg19};
use crate::{Error, Result};

/// Device memory that is granted by default: 2 GiB.
const MEMORY: u64 = 2 << 30;

/// Windows, and the device memory that they take.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub tiling: Tiling,
    pub bytes: u64,
}

/// The bytes of device memory that may be used.
pub(super) fn budget(settings: &GatysSettings) -> u64 {
    settings.memory.unwrap_or(MEMORY)
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
    let tried = |most: usize| {
        let tiling = Tiling::new(size, most, reach)?;
        let bytes = bytes(&tiling)?;
        if bytes > budget {
            let [height, width] = tiling.window();
            return Err(Error::TooLarge {
                what: format!("a picture of {}x{} px in windows of {width}x{height} px", size[1], size[0]),
                needed: mebibytes(bytes, f64::ceil),
                allowed: format!("{} of memory", mebibytes(budget, f64::floor)),
                largest: None,
                help: "allow more memory, or work on a smaller picture".into(),
            });
        }
        Ok(Fit { tiling, bytes })
    };
    let longest = size[0].max(size[1]);
    let Search::Largest(least) = search else { return tried(reach.least_window()) };
    let least = least.max(reach.least_window());
    match tried(longest) {
        Err(Error::TooLarge { .. }) if longest > least => {}
        fit => return fit,
    }
    let mut fit = tried(least)?;
    let (mut fitting, mut too_large) = (least, longest);
    // A smaller difference changes little.
    while too_large - fitting > (fitting / 32).max(1) {
        let most = fitting.midpoint(too_large);
        match tried(most) {
            Ok(found) => (fit, fitting) = (found, most),
            Err(Error::TooLarge { .. }) => too_large = most,
            Err(error) => return Err(error),
        }
    }
    Ok(fit)
}

/// A number of bytes in MiB with one decimal, rounded by `round`.
pub(super) fn mebibytes(bytes: u64, round: fn(f64) -> f64) -> String {
    format!("{:.1} MiB", round(bytes as f64 * 10.0 / (1 << 20) as f64) / 10.0)
}
