//! Cuts a picture into overlapping windows, so that a net can paint it in pieces.
//!
//! ```text
//! window   |<- halo ->|<----- core ----->|<- halo ->|
//! next                         |<- halo ->|<----- core ----->|<- halo ->|
//! ```
//! Every window of a picture has the same size, so all run in one program. Windows begin at multiples of the net's
//! alignment (the product of its strides), and window and picture have the same remainder by it. The first and the last
//! window end where the picture ends, so the net pads there as it pads the whole picture. Elsewhere the halo, which
//! covers the receptive field, keeps the padding of the window out of its core. Cores do not overlap and cover the
//! picture; they begin at multiples of the alignment.

use std::ops::Range;

use crate::{Error, Result};

/// What a net needs of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Pixels beyond each side of an output pixel that can change it (the radius of the receptive field).
    pub halo: usize,
    /// Product of the strides.
    pub alignment: usize,
}

impl Reach {
    /// The halo, rounded up to whole steps of the alignment.
    fn aligned_halo(self) -> usize {
        self.halo.next_multiple_of(self.alignment)
    }

    /// The smallest side of a window that has neighbours on both sides.
    pub fn least_window(self) -> usize {
        2 * self.aligned_halo() + 2 * self.alignment
    }
}

/// Rows or columns of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What the net reads.
    pub outer: Range<usize>,
    /// What is kept of the result, a part of `outer`.
    pub core: Range<usize>,
}

impl Span {
    /// The core, counted from the beginning of the window.
    pub fn inner(&self) -> Range<usize> {
        self.core.start - self.outer.start..self.core.end - self.outer.start
    }
}

/// A window of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows.
    pub rows: Span,
    /// Columns.
    pub columns: Span,
}

/// The windows of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiling {
    rows: Vec<Span>,
    columns: Vec<Span>,
}

impl Tiling {
    /// Windows of at most `most` pixels a side for a picture of `[height, width]`. Among the sizes that give the fewest
    /// windows, the smallest is chosen.
    ///
    /// # Errors
    /// Windows too small for the halo.
    pub fn new(size: [usize; 2], most: usize, reach: Reach) -> Result<Self> {
        let [rows, columns] = size.map(|side| spans(side, most, reach));
        Ok(Tiling { rows: rows?, columns: columns? })
    }

    /// Number of windows.
    pub fn count(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// Height and width of every window.
    pub fn window(&self) -> [usize; 2] {
        [&self.rows, &self.columns].map(|spans| spans[0].outer.len())
    }

    /// The windows, row by row.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> + '_ {
        let row = |rows: &Span| {
            let rows = rows.clone();
            self.columns.iter().map(move |columns| Tile { rows: rows.clone(), columns: columns.clone() })
        };
        self.rows.iter().flat_map(row)
    }

    /// Pixels that the net reads, relative to those of the picture.
    pub fn overhead(&self) -> f64 {
        let ratio = |spans: &[Span]| {
            let read: usize = spans.iter().map(|span| span.outer.len()).sum();
            read as f64 / spans.last().map_or(1, |span| span.core.end) as f64
        };
        ratio(&self.rows) * ratio(&self.columns)
    }
}

/// The windows along a side.
fn spans(side: usize, most: usize, reach: Reach) -> Result<Vec<Span>> {
    if side <= most {
        return Ok(vec![Span { outer: 0..side, core: 0..side }]);
    }
    let least = reach.least_window();
    if most < least {
        return Err(Error::argument("tiles", "window", format!("at least {least} px a side"), most));
    }
    let alignment = reach.alignment;
    // The largest window with the remainder of the side. `least` leaves a core of at least one step of it.
    let mut window = most - (most + alignment - side % alignment) % alignment;
    let mut found = along(side, window, reach);
    while window >= least + alignment {
        window -= alignment;
        let smaller = along(side, window, reach);
        if smaller.len() > found.len() {
            break;
        }
        found = smaller;
    }
    Ok(found)
}

/// Windows of that size along a side.
fn along(side: usize, window: usize, reach: Reach) -> Vec<Span> {
    let halo = reach.aligned_halo();
    let (mut spans, mut start, mut core) = (Vec::new(), 0, 0);
    while start + window < side {
        let end = (start + window - halo) / reach.alignment * reach.alignment;
        spans.push(Span { outer: start..start + window, core: core..end });
        (start, core) = ((end - halo).min(side - window), end);
    }
    spans.push(Span { outer: start..side, core: core..side });
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_cover_the_picture_and_keep_their_distance_from_inner_edges() {
        for reach in
            [Reach { halo: 60, alignment: 8 }, Reach { halo: 13, alignment: 4 }, Reach { halo: 1, alignment: 1 }]
        {
            let least = reach.least_window();
            for side in [1, 7, least, least + 1, 3 * least + 5, 997, 5000] {
                for most in [least, least + 3, 2 * least + 1, 700] {
                    let tiling = Tiling::new([side, 90], most.max(90), reach).unwrap();
                    let spans = &tiling.rows;
                    let window = tiling.window()[0];
                    assert!(window <= most.max(90) && window % reach.alignment == side % reach.alignment);
                    let mut at = 0;
                    for span in spans {
                        assert_eq!((span.core.start, span.outer.len()), (at, window));
                        assert!(!span.core.is_empty() && span.outer.start % reach.alignment == 0);
                        assert!(span.core.start % reach.alignment == 0);
                        assert!(span.outer.start == 0 || span.core.start - span.outer.start >= reach.halo);
                        assert!(span.outer.end == side || span.outer.end - span.core.end >= reach.halo);
                        at = span.core.end;
                    }
                    assert_eq!((at, spans.last().unwrap().outer.end), (side, side));
                }
            }
        }
    }

    #[test]
    fn a_picture_that_fits_is_one_window() {
        let tiling = Tiling::new([500, 700], 700, Reach { halo: 60, alignment: 8 }).unwrap();
        assert_eq!((tiling.count(), tiling.window(), tiling.overhead()), (1, [500, 700], 1.0));
        let whole = Span { outer: 0..500, core: 0..500 };
        assert_eq!(tiling.tiles().next().unwrap().rows, whole);
        assert_eq!(whole.inner(), 0..500);
    }

    #[test]
    fn windows_are_no_larger_than_their_number_requires() {
        // Two windows of 700 would cover 1280 of 1000 pixels; two of 564 do.
        let tiling = Tiling::new([1000, 8], 700, Reach { halo: 60, alignment: 8 }).unwrap();
        assert_eq!((tiling.count(), tiling.window()), (2, [568, 8]));
        assert!(Tiling::new([1000, 8], 100, Reach { halo: 60, alignment: 8 }).is_err());
    }
}
