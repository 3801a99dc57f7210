//! Sums on cooperative matrices: f16 factors, f32 sums. Maths: shaders/conv2d_matrix.wgsl.

use super::problem::{Device, Phase, Problem, SumKernels};
use crate::gpu::matrices::{ACROSS, TILES};
use crate::gpu::{Kernel, Matrices, Precision};
use crate::ops::load::Load;

/// The kernels on cooperative matrices. They belong to the tiled class and read its packed weights.
pub(super) struct Matrix {
    matrices: Matrices,
    /// Fewest workgroups for which the larger tile is taken.
    least: usize,
}

impl Matrix {
    /// The matrices of the device, if it has any, for f16 sums of many channels whose input is not masked.
    pub fn choose(problem: &Problem, device: &Device) -> Option<Self> {
        let [c, m] = problem.channels;
        let matrices = device.matrices?;
        let is_half = problem.precision == Precision::F16 && problem.load != Load::Masked;
        let fits = is_half && c >= matrices.depth as usize && m > 32;
        fits.then_some(Matrix { matrices, least: device.tuning.workgroups })
    }

    /// Workgroups along the pixels.
    fn across(&self, [rows, columns]: &Phase) -> usize {
        (rows.size * columns.size).div_ceil((ACROSS * self.matrices.columns) as usize)
    }

    /// Output channels of a workgroup.
    fn tile(&self, problem: &Problem, phase: &Phase) -> usize {
        let ([large, small], m) = (TILES.map(|tile| tile as usize), problem.channels[1]);
        let groups = m.div_ceil(large) * self.across(phase) * problem.images;
        if m > small && groups >= self.least { large } else { small }
    }
}

impl SumKernels for Matrix {
    fn kernel(&self, problem: &Problem, phase: &Phase) -> Kernel {
        let kernel = problem.shape(Kernel::new("conv2d_matrix.wgsl", "forward"), phase);
        let down = self.tile(problem, phase) as u32 / (2 * self.matrices.rows);
        problem.ending(problem.loading(kernel.set("DOWN", down).on(self.matrices)))
    }

    fn groups(&self, problem: &Problem, phase: &Phase) -> [usize; 2] {
        [self.across(phase), problem.channels[1].div_ceil(self.tile(problem, phase))]
    }
}
