//! Chains of multiply-adds: `s = -0.75 s + 0.875` from `(chain + thread mod 256) / 256`, summed over a thread's chains.

use super::Array;

pub fn multiply_add(threads: usize, chains: usize, steps: usize) -> Array {
    let chain = |start: f64| (0..steps).fold(start, |s, _| -0.75 * s + 0.875);
    let sum = |thread: usize| (0..chains).map(|i| chain((i + thread % 256) as f64 / 256.0)).sum();
    Array::vector((0..threads).map(sum).collect())
}
