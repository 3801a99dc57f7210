//! The memory plan: transient tensors whose lives do not overlap share a buffer; everything else has its own.

use std::collections::HashMap;

/// First and last dispatch that touch a transient tensor, and its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub first: usize,
    pub last: usize,
    pub bytes: u64,
}

/// Which buffer each transient tensor lives in, and how large the buffers are.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub slot: Vec<Option<usize>>,
    pub sizes: Vec<u64>,
}

/// Greedy by size (Pisarchyk & Lee 2020, arXiv:2001.03288, "shared objects"): the largest tensor first, each into the
/// tightest buffer that no tensor living at the same time uses. Whole buffers are handed out, since one buffer cannot be
/// bound for reading and for writing in one dispatch, even at disjoint ranges.
pub(super) fn plan(lives: &[Option<Life>]) -> Plan {
    let mut order: Vec<_> = (0..lives.len()).filter(|&t| lives[t].is_some()).collect();
    order.sort_by_key(|&t| lives[t].map(|life| (std::cmp::Reverse(life.bytes), life.first)));
    let mut plan = Plan { slot: vec![None; lives.len()], sizes: Vec::new() };
    let mut tenants: Vec<Vec<Life>> = Vec::new();
    for tensor in order {
        let Some(life) = lives[tensor] else { continue };
        let free = |slot: &usize| tenants[*slot].iter().all(|t| t.last < life.first || life.last < t.first);
        // Sizes fall along the list, so the last free slot is the tightest.
        let slot = (0..tenants.len()).rev().find(free).unwrap_or_else(|| {
            tenants.push(Vec::new());
            plan.sizes.push(life.bytes);
            tenants.len() - 1
        });
        tenants[slot].push(life);
        plan.slot[tensor] = Some(slot);
    }
    plan
}

/// What one program, or several together, will allocate.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub(super) transient: u64,
    pub(super) pinned: HashMap<u64, u64>,
}

impl Memory {
    /// Peak device memory in bytes: shared buffers of every program, and each pinned tensor once.
    pub fn peak_bytes(&self) -> u64 {
        self.transient + self.pinned.values().sum::<u64>()
    }

    /// Adds another program's needs; tensors pinned by both count once.
    pub fn join(mut self, other: Memory) -> Memory {
        self.transient += other.transient;
        self.pinned.extend(other.pinned);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(first: usize, last: usize, bytes: u64) -> Option<Life> {
        Some(Life { first, last, bytes })
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let plan = plan(&[life(0, 1, 8), life(1, 2, 8), life(2, 3, 8), life(3, 4, 8)]);
        assert_eq!(plan.sizes, [8, 8]);
        assert_eq!(plan.slot[0], plan.slot[2]);
        assert_ne!(plan.slot[0], plan.slot[1]);
    }

    #[test]
    fn no_two_tensors_alive_together_share() {
        let lives: Vec<_> = (0..40).map(|i| life(i * 7 % 23, i * 7 % 23 + i % 5, 1 + (i * 37 % 11) as u64)).collect();
        let plan = plan(&lives);
        for a in 0..lives.len() {
            let (Some(x), Some(slot)) = (lives[a], plan.slot[a]) else { unreachable!() };
            assert!(plan.sizes[slot] >= x.bytes);
            for b in 0..a {
                let Some(y) = lives[b] else { unreachable!() };
                assert!(plan.slot[a] != plan.slot[b] || x.last < y.first || y.last < x.first, "{a} and {b} collide");
            }
        }
    }
}
