//! What a kernel's machine code consists of.
//!
//! A loop is what lies between a label and a later branch to it. The main loop is the innermost loop with the most
//! multiply-adds; the tile is the loop around it, which stages what the main loop reads.

use std::collections::HashMap;
use std::ops::Range;

/// Instructions by the unit that executes them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mix {
    /// Floating-point multiply-adds of one lane; a dual instruction of RDNA3 may hold two.
    pub fma: f64,
    /// Issue slots of the vector unit, multiply-adds included. Integer products take four.
    pub vector: f64,
    pub scalar: f64,
    /// Accesses to workgroup memory.
    pub shared: f64,
    /// Accesses to device memory.
    pub memory: f64,
    /// Bytes that a lane loads from device memory.
    pub loaded: f64,
}

impl Mix {
    fn of(line: &str) -> Mix {
        let name = line.split_whitespace().next().unwrap_or_default();
        let halves = line.matches("v_dual_").count().max(1);
        let mut mix = Mix::default();
        if name.starts_with("v_") {
            mix.vector = if is_slow(name) { 4.0 } else { 1.0 };
            let is_fma = |op: &str| ["fma", "mac", "mad_f"].iter().any(|part| op.contains(part)) && !op.contains("_u");
            mix.fma = match halves {
                1 if name.starts_with("v_pk_fma") => 2.0,
                1 => f64::from(is_fma(name)),
                _ => line.split("::").filter(|half| is_fma(half.split_whitespace().next().unwrap_or_default())).count()
                    as f64,
            };
        } else if name.starts_with("ds_") {
            mix.shared = 1.0;
        } else if name.starts_with("buffer_") || name.starts_with("global_") || name.starts_with("flat_") {
            mix.memory = 1.0;
            if name.contains("load") {
                mix.loaded = bytes(name);
            }
        } else if name.starts_with("s_")
            && !["s_waitcnt", "s_nop", "s_clause", "s_delay_alu"].iter().any(|n| name.starts_with(n))
        {
            mix.scalar = 1.0;
        }
        mix
    }

    fn sum(lines: &[&str]) -> Mix {
        lines.iter().map(|line| Mix::of(line)).fold(Mix::default(), Mix::plus)
    }

    pub fn plus(self, other: Mix) -> Mix {
        Mix {
            fma: self.fma + other.fma,
            vector: self.vector + other.vector,
            scalar: self.scalar + other.scalar,
            shared: self.shared + other.shared,
            memory: self.memory + other.memory,
            loaded: self.loaded + other.loaded,
        }
    }

    pub fn times(self, factor: f64) -> Mix {
        Mix {
            fma: self.fma * factor,
            vector: self.vector * factor,
            scalar: self.scalar * factor,
            shared: self.shared * factor,
            memory: self.memory * factor,
            loaded: self.loaded * factor,
        }
    }

    /// Multiply-adds per issue slot of the vector unit.
    pub fn share(&self) -> f64 {
        if self.vector > 0.0 { self.fma / self.vector } else { 0.0 }
    }
}

/// Instructions at a quarter of the rate: 32-bit integer products and transcendental functions.
fn is_slow(name: &str) -> bool {
    ["v_mul_lo_u32", "v_mul_hi_u32", "v_mul_lo_i32", "v_mad_u64_u32", "v_rcp", "v_rsq", "v_sqrt", "v_exp", "v_log"]
        .iter()
        .any(|slow| name.starts_with(slow))
}

fn bytes(name: &str) -> f64 {
    let sizes = [("x4", 16.0), ("b128", 16.0), ("x3", 12.0), ("b96", 12.0), ("x2", 8.0), ("b64", 8.0), ("short", 2.0)];
    sizes.iter().find(|(part, _)| name.contains(part)).map_or(4.0, |(_, bytes)| *bytes)
}

/// The parts of a kernel: what runs once, once for each tile, and in each turn of the main loop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    pub once: Mix,
    pub tile: Mix,
    pub main: Mix,
    /// Further loops. Their turns are unknown, so they are counted once.
    pub others: usize,
}

impl Parts {
    /// The parts of machine code as text.
    pub fn of(assembly: &str) -> Parts {
        let mut lines = Vec::new();
        let mut labels = HashMap::new();
        for line in assembly.lines() {
            let line = line.split(';').next().unwrap_or_default().trim();
            match line.strip_suffix(':') {
                Some(label) => drop(labels.insert(label, lines.len())),
                None if !line.is_empty() => lines.push(line),
                None => {}
            }
        }
        let mut loops: Vec<Range<usize>> = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let mut words = line.split_whitespace();
            let is_branch =
                words.next().is_some_and(|name| name.starts_with("s_branch") || name.starts_with("s_cbranch"));
            if let (true, Some(&start)) = (is_branch, words.next().and_then(|label| labels.get(label)))
                && start <= at
            {
                loops.push(start..at + 1);
            }
        }
        let within = |inner: &Range<usize>, outer: &Range<usize>| {
            inner != outer && outer.start <= inner.start && inner.end <= outer.end
        };
        let innermost = loops.iter().filter(|outer| !loops.iter().any(|inner| within(inner, outer)));
        let fma = |range: &Range<usize>| Mix::sum(&lines[range.clone()]).fma;
        let Some(main) = innermost.max_by(|a, b| fma(a).total_cmp(&fma(b))) else {
            return Parts { once: Mix::sum(&lines), ..Parts::default() };
        };
        let around = loops.iter().filter(|outer| within(main, outer)).min_by_key(|outer| outer.len());
        let main_mix = Mix::sum(&lines[main.clone()]);
        let without = |whole: Mix, part: Mix| whole.plus(part.times(-1.0));
        let tile = around.map(|outer| without(Mix::sum(&lines[outer.clone()]), main_mix)).unwrap_or_default();
        let once = without(without(Mix::sum(&lines), main_mix), tile);
        let others = loops.len() - 1 - usize::from(around.is_some());
        Parts { once, tile, main: main_mix, others }
    }

    /// The share of the vector unit's issue slots that are multiply-adds when a lane performs `fma` of them, with `turns`
    /// turns of the main loop for each tile.
    pub fn share(&self, fma: f64, turns: f64) -> f64 {
        let tile = self.tile.plus(self.main.times(turns));
        if tile.fma <= 0.0 {
            return 0.0;
        }
        let tiles = fma / tile.fma;
        (fma / (self.once.vector + tiles * tile.vector)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "BB0:\n\ts_mov_b32 s0, 1 ; be80\nBB1:\n\tbuffer_load_dwordx4 v[0:3], v4 ; e0\n\tv_mul_lo_u32 v1, v2, v3 ; d5\nBB2:\n\tds_read_b32 v5, v6 ; d8\n\tv_fmac_f32_e32 v7, v8, v9 ; 56\n\tv_fmac_f32_e32 v7, v8, v9 ; 56\n\tv_add_nc_u32_e32 v1, v1, v1 ; 4a\n\ts_cbranch_scc0 BB2 ; bf\n\ts_cbranch_scc1 BB1 ; bf\nBB3:\n\tv_mov_b32_e32 v0, 0 ; 7e\n\ts_endpgm ; bf\n";

    #[test]
    fn loops_are_found_and_counted() {
        let Parts { once, tile, main, others } = Parts::of(CODE);
        assert_eq!(others, 0);
        assert_eq!((main.fma, main.vector, main.shared, main.scalar), (2.0, 3.0, 1.0, 1.0));
        assert_eq!((tile.fma, tile.vector, tile.memory, tile.loaded), (0.0, 4.0, 1.0, 16.0));
        assert_eq!((once.fma, once.vector), (0.0, 1.0));
    }

    #[test]
    fn the_share_counts_what_runs_once_and_once_for_each_tile() {
        // Two tiles of four turns: 16 multiply-adds in 1 + 2·(4 + 4·3) slots.
        assert!((Parts::of(CODE).share(16.0, 4.0) - 16.0 / 33.0).abs() < 1e-12);
    }

    #[test]
    fn both_halves_of_a_dual_instruction_count() {
        let mix = Mix::of("v_dual_fmac_f32 v0, v1, v2 :: v_dual_fmac_f32 v3, v4, v5");
        assert_eq!((mix.fma, mix.vector), (2.0, 1.0));
        let mix = Mix::of("v_dual_fmac_f32 v0, v1, v2 :: v_dual_mov_b32 v3, 0");
        assert_eq!((mix.fma, mix.vector), (1.0, 1.0));
    }
}
