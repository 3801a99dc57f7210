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

/// The smaller of two greedy plans (Pisarchyk & Lee 2020, arXiv:2001.03288, "shared objects"): by size, the largest tensor
/// first, and by breadth, the tensors first that live where most is alive. Whole buffers are handed out, since one buffer
/// cannot be bound for reading and for writing in one dispatch, even at disjoint ranges.
pub(super) fn plan(lives: &[Option<Life>]) -> Plan {
    let known: Vec<(usize, Life)> =
        lives.iter().enumerate().filter_map(|(tensor, life)| Some((tensor, (*life)?))).collect();
    let mut by_size = known.clone();
    by_size.sort_by_key(|(_, life)| (std::cmp::Reverse(life.bytes), life.first));
    let plans = [by_breadth(&by_size), by_size].map(|order| share(lives.len(), &order));
    plans.into_iter().min_by_key(|plan| plan.sizes.iter().sum::<u64>()).unwrap_or_default()
}

/// The same tensors: dispatch by dispatch, those where most is alive first, and in each in the order they come in.
fn by_breadth(tensors: &[(usize, Life)]) -> Vec<(usize, Life)> {
    let end = tensors.iter().map(|(_, life)| life.last + 1).max().unwrap_or(0);
    let mut alive = vec![0u64; end];
    for (_, life) in tensors {
        alive[life.first..=life.last].iter_mut().for_each(|sum| *sum += life.bytes);
    }
    let mut dispatches: Vec<usize> = (0..end).collect();
    dispatches.sort_by_key(|&dispatch| std::cmp::Reverse(alive[dispatch]));
    let mut left = tensors.to_vec();
    let mut order = Vec::with_capacity(left.len());
    for dispatch in dispatches {
        let lives_then = |life: &Life| (life.first..=life.last).contains(&dispatch);
        order.extend(left.extract_if(.., |(_, life)| lives_then(life)));
        if left.is_empty() {
            break;
        }
    }
    order
}

/// Each tensor in turn goes into the buffer that has to grow least for it, of those that no tensor living at the same time
/// uses: the tightest, if several need not.
fn share(count: usize, order: &[(usize, Life)]) -> Plan {
    let mut plan = Plan { slot: vec![None; count], sizes: Vec::new() };
    let mut tenants: Vec<Vec<Life>> = Vec::new();
    for &(tensor, life) in order {
        let free = |slot: &usize| tenants[*slot].iter().all(|t| t.last < life.first || life.last < t.first);
        let cost = |&slot: &usize| (life.bytes.saturating_sub(plan.sizes[slot]), plan.sizes[slot]);
        let slot = (0..tenants.len()).filter(free).min_by_key(cost).unwrap_or_else(|| {
            tenants.push(Vec::new());
            plan.sizes.push(0);
            tenants.len() - 1
        });
        tenants[slot].push(life);
        plan.sizes[slot] = plan.sizes[slot].max(life.bytes);
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

    /// By size, the first two go where the last would leave room for the third, and it needs a buffer of its own.
    #[test]
    fn the_smaller_of_two_plans_is_taken() {
        let lives = [life(2, 5, 3), life(0, 1, 4), life(4, 5, 4), life(0, 3, 8)];
        let mut by_size: Vec<_> = lives.iter().enumerate().filter_map(|(t, life)| Some((t, (*life)?))).collect();
        by_size.sort_by_key(|(_, life)| (std::cmp::Reverse(life.bytes), life.first));
        let total = |plan: &Plan| plan.sizes.iter().sum::<u64>();
        assert_eq!(total(&share(lives.len(), &by_size)), 15);
        assert_eq!(total(&share(lives.len(), &by_breadth(&by_size))), 12);
        assert_eq!(total(&plan(&lives)), 12);
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
