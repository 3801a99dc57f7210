//! Sums for GPUs: an implicit matrix product in tiles, staged in workgroup memory. Maths: shaders/conv2d.wgsl.

use super::problem::{Packing, Phase, Problem, SumKernels};
use crate::gpu::Kernel;

/// The kernels of the tiled class.
pub(super) struct Tiled {
    /// Fewest workgroups for which a larger tile is taken.
    pub least: usize,
}

/// A tile: [M, N, K] of a workgroup and [M, N] of a thread. K = 0 selects `conv2d.wgsl:direct`, which does not stage.
struct Tile([u32; 3], [u32; 2]);

const TILES: [Tile; 7] = [
    Tile([128, 128, 8], [8, 8]),
    Tile([64, 128, 16], [8, 4]),
    Tile([64, 32, 32], [4, 4]),
    Tile([32, 256, 8], [8, 4]),
    Tile([16, 256, 0], [16, 4]),
    Tile([8, 256, 0], [8, 4]),
    Tile([4, 256, 0], [4, 4]),
];

/// Input channels from which `conv2d.wgsl:direct` is not used, because its threads load overlapping inputs repeatedly.
const STAGED_FROM: usize = 5;

impl Tile {
    /// Chooses the tile by the number of output channels, and for more than 32 the largest that gives `least`
    /// workgroups.
    fn choose([channels_in, channels]: [usize; 2], pixels: usize, least: usize) -> &'static Tile {
        let groups = |tile: &Tile| channels.div_ceil(tile.0[0] as usize) * pixels.div_ceil(tile.0[1] as usize);
        match channels {
            0..=4 => &TILES[6],
            5..=8 => &TILES[5],
            _ if channels_in < STAGED_FROM => &TILES[4],
            9..=32 => &TILES[3],
            _ if groups(&TILES[1]) < least => &TILES[2],
            33..=64 => &TILES[1],
            _ if groups(&TILES[0]) < least => &TILES[1],
            _ => &TILES[0],
        }
    }

    fn apply(&self, kernel: Kernel) -> Kernel {
        let Tile([m, n, k], [thread_m, thread_n]) = *self;
        let kernel = kernel.set("TILE_M", m).set("TILE_N", n).set("THREAD_M", thread_m).set("THREAD_N", thread_n);
        if k == 0 { kernel } else { kernel.set("TILE_K", k) }
    }
}

/// Layout of packed weights.
pub(super) fn packing(channels_out: usize, columns: usize) -> Packing {
    let width = match channels_out {
        0..=8 => 8,
        9..=32 => 32,
        _ => 64,
    };
    Packing { width, pitch: columns }
}

impl Tiled {
    fn tile(&self, problem: &Problem, [rows, columns]: &Phase) -> &'static Tile {
        Tile::choose(problem.channels, problem.images * rows.size * columns.size, self.least)
    }
}

impl SumKernels for Tiled {
    fn kernel(&self, problem: &Problem, phase: &Phase) -> Kernel {
        let tile = self.tile(problem, phase);
        let kernel = match tile.0[2] {
            0 => Kernel::new("conv2d.wgsl", "direct").set("FOURS", problem.by_row()),
            _ => Kernel::new("conv2d.wgsl", "forward"),
        };
        let kernel = tile.apply(problem.shape(kernel, phase));
        let pack = packing(problem.channels[1], 1).width;
        problem.ending(problem.loading(kernel.set("PACK", pack as u32)))
    }

    fn groups(&self, problem: &Problem, phase @ [rows, columns]: &Phase) -> [usize; 2] {
        let Tile([m, n, k], _) = *self.tile(problem, phase);
        // `direct` computes whole rows in fours.
        let across = if k == 0 { columns.size.next_multiple_of(4) } else { columns.size };
        [(rows.size * across).div_ceil(n as usize), problem.channels[1].div_ceil(m as usize)]
    }
}
