//! Programs in slices of bounded cost, so that a host can spread one over several frames.

use std::ops::Range;

use super::Program;
use super::program::Step;
use crate::Result;

/// What a byte of memory traffic costs: the ratio of arithmetic to bandwidth on slow devices.
const FLOP_PER_BYTE: f64 = 10.0;

/// Cost of a step in FLOP, see [`Slice::gflop`].
pub(super) fn cost_of(step: &Step) -> f64 {
    step.flops as f64 + FLOP_PER_BYTE * step.bytes as f64
}

/// Ranges of consecutive `costs` whose sums are within `budget`. A cost above the budget is a range of its own.
pub(super) fn pieces(costs: &[f64], budget: f64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut sum) = (0, 0.0);
    for (index, cost) in costs.iter().enumerate() {
        if !(sum + cost <= budget) && index > start {
            ranges.push(start..index);
            (start, sum) = (index, 0.0);
        }
        sum += cost;
    }
    if start < costs.len() {
        ranges.push(start..costs.len());
    }
    ranges
}

/// Consecutive dispatches of a [`Program`], from [`Program::slices`].
#[derive(Clone, Debug)]
pub struct Slice {
    /// Number of the program's recorder.
    owner: u64,
    steps: Range<usize>,
    cost: f64,
}

impl Slice {
    /// Estimated cost in GFLOP: the operations of the mathematics, plus 10 FLOP for each byte of the tensors that the
    /// dispatches bind. Divided by the GFLOP/s that a device reaches, it is a time in seconds.
    pub fn gflop(&self) -> f64 {
        self.cost / 1e9
    }

    /// Number of dispatches, at least one.
    pub fn dispatches(&self) -> usize {
        self.steps.len()
    }
}

impl Program {
    /// Cuts the program into slices of at most `budget` GFLOP, by the estimate of [`Slice::gflop`]. All slices encoded in
    /// order, in one command encoder or in several, give the bits of [`encode`](Program::encode). A dispatch above the
    /// budget is a slice of its own, the only kind that costs more; a budget of 0 gives a slice for each dispatch.
    ///
    /// Between the first and the last slice, the intermediate results are in the program's own memory. So until the
    /// last slice is encoded, neither the program's inputs nor its parameters may change, and it may not run.
    pub fn slices(&self, budget: f64) -> Vec<Slice> {
        let costs: Vec<_> = self.steps.iter().map(cost_of).collect();
        let slice = |steps: Range<usize>| Slice { owner: self.owner, cost: costs[steps.clone()].iter().sum(), steps };
        pieces(&costs, budget * 1e9).into_iter().map(slice).collect()
    }

    /// Encodes a slice into a host's encoder, without allocating, submitting or waiting.
    ///
    /// # Errors
    /// A lost device.
    ///
    /// # Panics
    /// If the slice belongs to another program.
    pub fn encode_slice(&self, encoder: &mut wgpu::CommandEncoder, slice: &Slice) -> Result<()> {
        assert_eq!(slice.owner, self.owner, "a slice of another program");
        self.encode_steps(encoder, slice.steps.clone(), &[])
    }
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_stay_within_the_budget_unless_a_single_cost_does_not() {
        assert_eq!(pieces(&[1.0, 2.0, 3.0, 9.0, 1.0, 1.0], 4.0), [0..2, 2..3, 3..4, 4..6]);
        assert_eq!(pieces(&[1.0, 2.0], 0.0), [0..1, 1..2]);
        assert_eq!(pieces(&[1.0, 2.0], f64::NAN), [0..1, 1..2]);
        assert_eq!(pieces(&[0.0, 0.0, 1.0], 0.0), [0..2, 2..3]);
        assert_eq!(pieces(&[], 1.0), []);
    }
}
