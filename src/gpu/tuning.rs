//! Thresholds that choose the kernels of a convolution: rules for each kernel class, or a tuning that `tune` has
//! measured on an adapter.

use serde::{Deserialize, Serialize};

use super::{KernelClass, Variant};

/// Thresholds and sizes. ARCHITECTURE.md, "How a convolution is chosen", explains them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Fewest `[input, output]` channels for which 3×3 convolutions of stride 1 use Winograd tiles.
    pub tiles_from: [usize; 2],
    /// MiB that a band of tiles may take for transformed inputs and outputs.
    pub band_mib: usize,
    /// MiB that a slice of output channels may take for transformed weights.
    pub slice_mib: usize,
    /// Fewest workgroups for which the tiled class takes a larger tile.
    pub workgroups: usize,
}

impl Tuning {
    /// The default rules of a class.
    pub fn rules(class: KernelClass) -> Self {
        match class {
            KernelClass::Tiled => Tuning { tiles_from: [128, 128], band_mib: 64, slice_mib: 10, workgroups: 128 },
            KernelClass::Broadcast => Tuning { tiles_from: [16, 17], band_mib: 4, slice_mib: 10, workgroups: 128 },
        }
    }

    /// This tuning with thresholds that no convolution reaches for the variants in `avoid`.
    pub(super) fn avoiding(self, avoid: &[Variant]) -> Self {
        let mut tuning = self;
        if avoid.contains(&Variant::WinogradTiles) {
            tuning.tiles_from = [usize::MAX; 2];
        }
        if avoid.contains(&Variant::LargeTiles) {
            tuning.workgroups = usize::MAX;
        }
        tuning
    }

    /// Alternatives to the rules. Each has a name and a function that applies it to a tuning.
    pub fn choices(class: KernelClass) -> Vec<(String, impl Fn(Tuning) -> Tuning)> {
        let Tuning { tiles_from: from, band_mib: band, slice_mib: slice, workgroups } = Tuning::rules(class);
        let mut all = Vec::new();
        // Winograd transforms take 4 input channels at a time.
        let froms = [from.map(|c| c / 4), from.map(|c| c / 2), from.map(|c| c * 2), from.map(|c| c * 4)];
        for [c, m] in froms.into_iter().filter(|from| from[0] >= 4) {
            let changed = Tuning { tiles_from: [c, m], ..Tuning::rules(class) };
            all.push((format!("tiles from {c} and {m} channels"), changed));
        }
        for band_mib in [band / 2, band * 2, band * 4] {
            all.push((format!("bands of {band_mib} MiB"), Tuning { band_mib, ..Tuning::rules(class) }));
        }
        for slice_mib in [slice / 2, slice * 2] {
            all.push((format!("slices of {slice_mib} MiB"), Tuning { slice_mib, ..Tuning::rules(class) }));
        }
        // Only the tiled class has tiles of several sizes.
        for least in
            [workgroups / 2, workgroups * 2, workgroups * 4].into_iter().filter(|_| class == KernelClass::Tiled)
        {
            let changed = Tuning { workgroups: least, ..Tuning::rules(class) };
            all.push((format!("larger tiles from {least} workgroups"), changed));
        }
        let rules = Tuning::rules(class);
        let on_top = |changed: Tuning| {
            move |tuning: Tuning| Tuning {
                tiles_from: if changed.tiles_from == rules.tiles_from { tuning.tiles_from } else { changed.tiles_from },
                band_mib: if changed.band_mib == rules.band_mib { tuning.band_mib } else { changed.band_mib },
                slice_mib: if changed.slice_mib == rules.slice_mib { tuning.slice_mib } else { changed.slice_mib },
                workgroups: if changed.workgroups == rules.workgroups { tuning.workgroups } else { changed.workgroups },
            }
        };
        all.into_iter().map(|(name, changed)| (name, on_top(changed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_change_one_thing_each() {
        for class in [KernelClass::Tiled, KernelClass::Broadcast] {
            let fields = |tuning: Tuning| {
                let Tuning { tiles_from: [c, m], band_mib, slice_mib, workgroups } = tuning;
                [[c, m], [band_mib; 2], [slice_mib; 2], [workgroups; 2]]
            };
            let start = Tuning { tiles_from: [1000, 1001], band_mib: 1002, slice_mib: 1003, workgroups: 1004 };
            let choices = Tuning::choices(class);
            assert!(choices.len() > 6);
            let changed: Vec<_> = choices.iter().map(|(_, change)| change(start)).collect();
            for (index, ((name, _), one)) in choices.iter().zip(&changed).enumerate() {
                let differ = fields(*one).into_iter().zip(fields(start)).filter(|(a, b)| a != b).count();
                assert_eq!(differ, 1, "{name}");
                assert!(changed[..index].iter().all(|known| known != one) && *one != Tuning::rules(class), "{name}");
            }
        }
    }
}
