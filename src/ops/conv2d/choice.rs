//! The choice among the strategies for a problem.

use super::problem::{Device, Operands, Problem, Strategy};
use super::{direct, matrix::Matrix, winograd::Winograd};
use crate::Result;
use crate::gpu::{Kernel, Recorder, Tensor};
use crate::ops::load::Input;
use crate::ops::norm::Moments;

/// Direct sums on cooperative matrices if they are possible; otherwise Winograd tiles where they are faster; otherwise
/// direct sums.
fn choose<'p>(problem: &'p Problem, device: &'p Device) -> Box<dyn Strategy + 'p> {
    match (Matrix::choose(problem, device), Winograd::choose(problem, device)) {
        (None, Some(winograd)) => Box::new(winograd),
        _ => direct::choose(problem, device),
    }
}

impl Problem {
    /// The kernels that [`record`](Problem::record) dispatches on `device`.
    pub fn kernels(&self, device: &Device) -> Vec<Kernel> {
        choose(self, device).kernels()
    }

    /// Records the output from `x`, packed weights and `bias`. Also gives the moments of the output if they are wanted
    /// and the kernels can compute them as they write it.
    pub fn record(
        self,
        rec: &mut Recorder,
        label: &str,
        x: Input,
        packed: Tensor,
        bias: Option<Tensor>,
    ) -> Result<(Tensor, Option<Moments>)> {
        let operands = Operands { x, packed, bias };
        let problem = self.of(rec.class(), label, operands)?;
        choose(&problem, &Device::of(rec)).record(rec, label, operands)
    }
}
