//! Sums for software adapters: register blocking without workgroup memory. Rationale: shaders/conv2d_broadcast.wgsl.

use super::problem::{Axis, Packing, Phase, Problem, SumKernels};
use crate::Result;
use crate::gpu::{Kernel, Recorder, Tensor};
use crate::ops::load::Input;
use crate::ops::pad::{self, Placement};

/// Input channels per iteration of a 1×1 kernel, if it divides their number.
const DEPTH: usize = 4;

/// The kernels of the broadcast class.
pub(super) struct Broadcast;

/// Output channels per lane.
fn tile(channels_out: usize) -> usize {
    match channels_out {
        0..=4 => 4,
        5..=8 => 8,
        9..=16 => 16,
        _ => 32,
    }
}

/// Rows of pixels per lane, for a tile of that many channels and a convolution kernel of that many rows. More than 4
/// rows of pixels gain little and compile slowly; so do several if the convolution kernel has a single row.
fn height(tile: usize, rows: usize) -> usize {
    if rows == 1 { 1 } else { (32 / tile).min(4) }
}

/// Layout of packed weights: a lane loads 32 at once.
pub(super) fn packing(channels_out: usize, columns: usize) -> Packing {
    let width = tile(channels_out);
    Packing { width, pitch: columns.next_multiple_of(32 / width) }
}

/// `x` padded for all phases, and the width of the padding. The rows are long enough for the four pixels of the last
/// lane.
pub(super) fn padded(problem: &Problem, rec: &mut Recorder, x: Input) -> Result<(Tensor, usize)> {
    let [_, _, height, width] = x.tensor.shape.nchw("conv2d", "x")?;
    let before = problem.before();
    let reach = |axis: &Axis, size: usize| before - axis.before + size.saturating_sub(1) * problem.stride + axis.taps;
    let rows = problem.phases.iter().map(|[rows, _]| reach(rows, rows.size)).max().unwrap_or(0);
    let columns = problem.phases.iter().map(|[_, columns]| reach(columns, columns.size.next_multiple_of(4)));
    let size = [rows, columns.max().unwrap_or(0).next_multiple_of(4)];
    let fits = size[0] <= height && size[1] <= width && width.is_multiple_of(4);
    if let Some(x) = x.plain().filter(|_| before == 0 && problem.scale == 1 && fits) {
        return Ok((x, before));
    }
    let at = Placement { before, size, scale: problem.scale as u32 };
    Ok((pad::forward(rec, x, problem.border, at)?, before))
}

impl SumKernels for Broadcast {
    fn kernel(&self, problem: &Problem, phase: &Phase) -> Kernel {
        let ([rows, columns], [c, m]) = (phase, problem.channels);
        let entry = if problem.by_row() { "forward_rows" } else { "forward" };
        let by_depth = [rows.taps, columns.taps] == [1, 1] && c.is_multiple_of(DEPTH);
        let kernel = problem
            .shape(Kernel::new("conv2d_broadcast.wgsl", entry), phase)
            .set("TILE", tile(m) as u32)
            .set("HEIGHT", height(tile(m), rows.taps) as u32)
            .set("DEPTH", if by_depth { DEPTH as u32 } else { 1 })
            .set("OFFSET", (problem.before() - columns.before) as u32);
        problem.ending(kernel)
    }

    fn groups(&self, problem: &Problem, [rows, columns]: &Phase) -> [usize; 2] {
        let tile = tile(problem.channels[1]);
        let quads = rows.size.div_ceil(height(tile, rows.taps)) * columns.size.div_ceil(4);
        [quads.div_ceil(8), problem.channels[1].div_ceil(tile)]
    }

    fn input(&self, problem: &Problem, rec: &mut Recorder, x: Input) -> Result<(Input, usize)> {
        let (x, before) = padded(problem, rec, x)?;
        Ok((x.into(), before))
    }
}
