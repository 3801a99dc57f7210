//! The memory plan: transient tensors with disjoint lifetimes alias each other; all other tensors have their own
//! memory.

use std::collections::{HashMap, HashSet};

/// Lifetime of a transient tensor, from its first to its last dispatch, and its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub first: usize,
    pub last: usize,
    pub bytes: u64,
}

impl Life {
    fn meets(&self, other: &Life) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Placement of a transient tensor: buffer, and byte offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub buffer: usize,
    pub offset: u64,
}

/// Placement of each transient tensor, and size of each buffer.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryPlan {
    pub spots: Vec<Option<Spot>>,
    pub sizes: Vec<u64>,
}

/// Pairs of tensors (in both orders) that one dispatch binds while it writes one of them. WebGPU requires them to be in
/// different buffers, even at disjoint ranges.
pub(super) type Apart = HashSet<(usize, usize)>;

/// The smaller of two greedy plans (Pisarchyk & Lee 2020, arXiv:2001.03288, with offsets in several buffers): by size,
/// with the largest tensors first, and by breadth, with the tensors of the dispatches that need most memory first.
/// Offsets are sums of sizes, so they keep the alignment of the sizes.
pub(super) fn plan(lives: &[Option<Life>], apart: &Apart) -> MemoryPlan {
    let mut by_size: Vec<(usize, Life)> =
        lives.iter().enumerate().filter_map(|(tensor, life)| Some((tensor, (*life)?))).collect();
    by_size.sort_by_key(|(_, life)| (std::cmp::Reverse(life.bytes), life.first));
    let plans = [by_breadth(&by_size), by_size].map(|order| share(lives.len(), &order, apart));
    plans.into_iter().min_by_key(|plan| plan.sizes.iter().sum::<u64>()).unwrap_or_default()
}

/// Orders tensors by a dispatch in which they are alive, dispatches with most live memory first. Within a dispatch, the
/// given order is kept.
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

/// Places each tensor where a buffer has to grow least, up to the size of the largest tensor. Among places that need no
/// growth, it takes the tightest gap.
fn share(count: usize, order: &[(usize, Life)], apart: &Apart) -> MemoryPlan {
    let largest = order.iter().map(|(_, life)| life.bytes).max().unwrap_or(0);
    let mut plan = MemoryPlan { spots: vec![None; count], sizes: Vec::new() };
    let mut tenants: Vec<Vec<(usize, Life, u64)>> = Vec::new();
    for &(tensor, life) in order {
        let mut best = None;
        for (buffer, (tenants, &size)) in tenants.iter().zip(&plan.sizes).enumerate() {
            let neighbours: Vec<_> = tenants.iter().filter(|(_, other, _)| other.meets(&life)).collect();
            if neighbours.iter().any(|(other, ..)| apart.contains(&(tensor, *other))) {
                continue;
            }
            let taken = || neighbours.iter().map(|(_, other, start)| (*start, start + other.bytes));
            for offset in std::iter::once(0).chain(taken().map(|(_, end)| end)) {
                let end = offset + life.bytes;
                if end > largest || taken().any(|(from, to)| from < end && offset < to) {
                    continue;
                }
                let next = taken().map(|(from, _)| from).filter(|from| *from >= end).min().unwrap_or(size.max(end));
                let cost = (end.saturating_sub(size), next - end, size);
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, Spot { buffer, offset }));
                }
            }
        }
        let spot = best.map_or(Spot { buffer: tenants.len(), offset: 0 }, |(_, spot)| spot);
        if spot.buffer == tenants.len() {
            tenants.push(Vec::new());
            plan.sizes.push(0);
        }
        tenants[spot.buffer].push((tensor, life, spot.offset));
        plan.sizes[spot.buffer] = plan.sizes[spot.buffer].max(spot.offset + life.bytes);
        plan.spots[tensor] = Some(spot);
    }
    plan
}

/// Memory that one program, or several together, will allocate.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub(super) transient: u64,
    /// Bytes of each pinned tensor, and whether it has a buffer already.
    pub(super) pinned: HashMap<u64, (u64, bool)>,
}

impl Memory {
    /// Peak device memory in bytes: the transient buffers of every program, and each pinned tensor once.
    pub fn peak_bytes(&self) -> u64 {
        self.transient + self.pinned.values().map(|(bytes, _)| bytes).sum::<u64>()
    }

    /// What is still to be allocated, in bytes: the peak without the pinned tensors that had buffers when it was planned.
    pub fn missing_bytes(&self) -> u64 {
        self.transient + self.pinned.values().filter(|(_, exists)| !exists).map(|(bytes, _)| bytes).sum::<u64>()
    }

    /// Adds the memory of another program. Tensors that both pin count once.
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

    fn apart(pairs: &[(usize, usize)]) -> Apart {
        pairs.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect()
    }

    fn total(plan: &MemoryPlan) -> u64 {
        plan.sizes.iter().sum()
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let lives = [life(0, 1, 8), life(1, 2, 8), life(2, 3, 8), life(3, 4, 8)];
        let plan = plan(&lives, &apart(&[(0, 1), (1, 2), (2, 3)]));
        assert_eq!(plan.sizes, [8, 8]);
        assert_eq!(plan.spots[0], plan.spots[2]);
        assert_ne!(plan.spots[0], plan.spots[1]);
    }

    /// Two halves take the place of a whole, unless a dispatch reads one and writes the other.
    #[test]
    fn tensors_alive_together_share_a_buffer_that_no_dispatch_reads_and_writes() {
        let lives = [life(0, 1, 8), life(2, 5, 4), life(3, 4, 4)];
        assert_eq!(plan(&lives, &apart(&[])).sizes, [8]);
        assert_eq!(total(&plan(&lives, &apart(&[(1, 2)]))), 12);
    }

    /// By size, 6 reuses the place of 7, and 5 and 2 need 7 more; by breadth, 5 and 2 share the place of 7.
    #[test]
    fn the_smaller_of_two_plans_is_taken() {
        let lives = [life(1, 1, 2), life(1, 3, 5), life(0, 0, 7), life(1, 3, 6)];
        let mut by_size: Vec<_> = lives.iter().enumerate().filter_map(|(t, life)| Some((t, (*life)?))).collect();
        by_size.sort_by_key(|(_, life)| (std::cmp::Reverse(life.bytes), life.first));
        let none = Apart::new();
        assert_eq!(total(&share(lives.len(), &by_size, &none)), 14);
        assert_eq!(total(&share(lives.len(), &by_breadth(&by_size), &none)), 13);
        assert_eq!(total(&plan(&lives, &none)), 13);
    }

    #[test]
    fn no_two_tensors_alive_together_overlap() {
        let lives: Vec<_> = (0..60).map(|i| life(i * 7 % 23, i * 7 % 23 + i % 5, 1 + (i * 37 % 11) as u64)).collect();
        let pairs: Vec<_> =
            (0..60).flat_map(|a| (0..a).map(move |b| (a, b))).filter(|(a, b)| (a + b) % 3 == 0).collect();
        let apart = apart(&pairs);
        let plan = plan(&lives, &apart);
        let spot = |tensor: usize| plan.spots[tensor].unwrap();
        for a in 0..lives.len() {
            let x = lives[a].unwrap();
            assert!(plan.sizes[spot(a).buffer] >= spot(a).offset + x.bytes);
            for b in 0..a {
                let y = lives[b].unwrap();
                if !x.meets(&y) || spot(a).buffer != spot(b).buffer {
                    continue;
                }
                let disjoint = spot(a).offset + x.bytes <= spot(b).offset || spot(b).offset + y.bytes <= spot(a).offset;
                assert!(disjoint && !apart.contains(&(a, b)), "{a} and {b} collide");
            }
        }
    }
}
