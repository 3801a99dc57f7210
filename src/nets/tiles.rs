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

use crate::gpu::{Context, Memory};
use crate::io::Picture;
use crate::{Error, Result};

/// A range of rows or columns that a layer reads or writes: its first relative to the first of a core, and its end
/// relative to the end of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reads(pub [isize; 2]);

impl Reads {
    /// The inputs of a window of `size` that moves by `stride`, with padding of `size / 2` if it is odd.
    pub fn windowed(self, size: usize, stride: usize) -> Self {
        let Reads([first, end]) = self;
        let (size, stride) = (size as isize, stride as isize);
        let before = (size - 1) / 2;
        Reads([first * stride - before, (end - 1) * stride - before + size])
    }

    /// The inputs of an enlargement by 2 that repeats them.
    pub fn repeated(self) -> Self {
        let Reads([first, end]) = self;
        Reads([first.div_euclid(2), (end - 1).div_euclid(2) + 1])
    }

    /// The inputs of a transposed convolution of 3×3 and stride 2: output `p` reads `(p − 1) / 2` to `(p + 1) / 2`.
    pub fn transposed(self) -> Self {
        let Reads([first, end]) = self;
        Reads([first.div_euclid(2), end.div_euclid(2) + 1])
    }
}

/// What a net needs of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Pixels beyond each side of an output pixel that can change it (the radius of the receptive field).
    pub halo: usize,
    /// Product of the strides.
    pub alignment: usize,
}

impl Reach {
    /// The reach of a net with that alignment, in pixels of its input: `reads` gives the inputs that a range of outputs
    /// depends on.
    pub(crate) fn of(alignment: usize, reads: impl FnOnce(Reads) -> Reads) -> Self {
        let [first, end] = reads(Reads([0, 0])).0;
        Reach { halo: (-first).max(end).max(0) as usize, alignment }
    }

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

/// Limits of painting in windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Most device memory in bytes, weights included.
    pub device: u64,
    /// Most host memory in bytes for features that are kept between passes. Features that need more are computed again.
    pub host: u64,
    /// Largest side of a window in pixels; `None`: as large as the memory allows.
    pub window: Option<usize>,
    /// Steps of the alignment by which halos are too small. For tests, which must notice.
    #[doc(hidden)]
    pub lack: usize,
}

impl Default for Budget {
    /// 2 GiB on the device, and 256 MiB on the host.
    fn default() -> Self {
        Budget { device: 2 << 30, host: 256 << 20, window: None, lack: 0 }
    }
}

impl Budget {
    /// The device memory in bytes that is left beside what `context` has allocated.
    pub(crate) fn left(&self, context: &Context) -> u64 {
        self.device.saturating_sub(context.allocated_bytes().unwrap_or_else(|| context.buffer_bytes()))
    }

    /// The device memory in bytes of painting a picture of `[height, width]` in one piece; `None` if that is too much.
    /// `ready` is the memory of a program that exists, which fits, and `plan` that of a new one.
    pub(crate) fn whole(
        &self,
        size: [usize; 2],
        context: &Context,
        ready: Option<u64>,
        plan: impl FnOnce() -> Result<Memory>,
    ) -> Result<Option<u64>> {
        if self.window.is_some_and(|side| side < size[0].max(size[1])) {
            return Ok(None);
        }
        if ready.is_some() {
            return Ok(ready);
        }
        match plan() {
            // The picture and the result are copied through staging buffers.
            Ok(memory) => {
                let staging = (2 * 3 * size[0] * size[1] * size_of::<f32>()) as u64;
                let fits = memory.missing_bytes() + staging <= self.left(context);
                Ok(fits.then(|| memory.peak_bytes()))
            }
            Err(Error::TooLarge { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The windows, as large as possible, for a picture of `[height, width]`, and the device memory in bytes that `plan`
    /// gives for their height and width.
    ///
    /// # Errors
    /// The smallest windows need more than `left` bytes.
    pub(crate) fn windows(
        &self,
        size: [usize; 2],
        reach: Reach,
        left: u64,
        plan: impl Fn([usize; 2]) -> Result<u64>,
    ) -> Result<(Tiling, u64)> {
        let reach = Reach { halo: reach.halo.saturating_sub(self.lack * reach.alignment), ..reach };
        let most = self.window.unwrap_or(usize::MAX);
        largest(size, reach, [reach.least_window(), most], left, |tiling| plan(tiling.window()))
    }
}

/// The largest windows of a picture of `[height, width]`, with sides within `sides`, for which `plan` gives at most `left`
/// bytes of device memory, and these bytes.
///
/// # Errors
/// Those of `plan`; [`Error::TooLarge`] if no windows fit.
pub(crate) fn largest(
    size: [usize; 2],
    reach: Reach,
    sides: [usize; 2],
    left: u64,
    plan: impl Fn(&Tiling) -> Result<u64>,
) -> Result<(Tiling, u64)> {
    let tried = |most: usize| {
        let tiling = Tiling::new(size, most, reach)?;
        let bytes = plan(&tiling)?;
        if bytes <= left {
            return Ok((tiling, bytes));
        }
        let [height, width] = tiling.window();
        Err(Error::TooLarge {
            what: format!("a picture of {}x{} px in windows of {width}x{height} px", size[1], size[0]),
            needed: mebibytes(bytes, f64::ceil),
            allowed: format!("{} of memory", mebibytes(left, f64::floor)),
            largest: None,
            help: "allow more memory, or work on a smaller picture".into(),
        })
    };
    let most = sides[1].min(size[0].max(size[1]));
    let least = sides[0].min(most);
    match tried(most) {
        Err(Error::TooLarge { .. }) if most > least => {}
        found => return found,
    }
    let mut found = tried(least)?;
    let (mut fitting, mut too_large) = (least, most);
    // A smaller difference changes little.
    while too_large - fitting > (fitting / 32).max(1) {
        let side = fitting.midpoint(too_large);
        match tried(side) {
            Ok(better) => (found, fitting) = (better, side),
            Err(Error::TooLarge { .. }) => too_large = side,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// A number of bytes in MiB with one decimal, rounded by `round`.
pub(crate) fn mebibytes(bytes: u64, round: fn(f64) -> f64) -> String {
    format!("{:.1} MiB", round(bytes as f64 * 10.0 / (1 << 20) as f64) / 10.0)
}

/// The window that is about to be painted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Height and width of the picture.
    pub size: [usize; 2],
    /// Height and width of the windows.
    pub window: [usize; 2],
    /// Number of the window, from 0, counted over all passes.
    pub at: usize,
    /// Number of windows of all passes.
    pub windows: usize,
    /// Passes over the picture.
    pub passes: usize,
    /// Device memory in bytes.
    pub bytes: u64,
}

/// Sees each window before it is painted. An error ends the work.
pub type Watch<'a> = dyn FnMut(&Progress) -> Result<()> + 'a;

/// Receives the colours of a part of the result (RGB 0..1) with its rows and columns, row of windows by row.
pub type Paint<'a> = dyn FnMut(Range<usize>, Range<usize>, Picture) -> Result<()> + 'a;

/// Mean and variance of each channel, merged from those of parts (Chan, Golub and LeVeque 1979).
#[derive(Clone, Debug, Default)]
pub(crate) struct Merged {
    /// Sum of the weights.
    weight: f64,
    /// Mean and sum of squared differences from it.
    channels: Vec<[f64; 2]>,
}

impl Merged {
    /// Adds a part of that weight. A part without weight is ignored.
    pub fn add(&mut self, weight: f64, mean: &[f32], variance: &[f32]) {
        if weight <= 0.0 {
            return;
        }
        self.channels.resize(mean.len(), [0.0; 2]);
        let total = self.weight + weight;
        for ([mean, squares], (part, variance)) in self.channels.iter_mut().zip(mean.iter().zip(variance)) {
            let difference = f64::from(*part) - *mean;
            *mean += difference * weight / total;
            *squares += f64::from(*variance) * weight + difference * difference * self.weight * weight / total;
        }
        self.weight = total;
    }

    /// Means and variances.
    pub fn statistics(&self) -> [Vec<f32>; 2] {
        let mean = self.channels.iter().map(|[mean, _]| *mean as f32).collect();
        [mean, self.channels.iter().map(|[_, squares]| (squares / self.weight) as f32).collect()]
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
    fn layers_read_what_they_need() {
        // conv4_1, pool, four convolutions, pool, two, pool, two: 30 px beyond a core.
        let block = |reads: Reads, count| (0..count).fold(reads, |reads, _| reads.windowed(3, 1));
        let pool = |reads: Reads| reads.windowed(2, 2);
        let encoder = |reads| block(pool(block(pool(block(pool(block(reads, 1)), 4)), 2)), 2);
        assert_eq!(Reach::of(8, encoder), Reach { halo: 30, alignment: 8 });
        // Pixel 0 reads pixel -1 of the enlarged plane, which is pixel -1 of the plane.
        assert_eq!(Reads([0, 0]).windowed(3, 1).repeated(), Reads([-1, 1]));
        assert_eq!(Reads([0, 0]).transposed(), Reads([0, 1]));
        assert_eq!(Reads([-1, 1]).transposed(), Reads([-1, 1]));
        assert_eq!(Reads([0, 0]).windowed(9, 1), Reads([-4, 4]));
        assert_eq!(Reads([0, 0]).windowed(3, 2), Reads([-1, 0]));
    }

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
    fn statistics_of_parts_are_those_of_the_whole() {
        let values: Vec<f64> = (0..97).map(|index| 1000.0 + f64::from(index * 37 % 41) / 7.0).collect();
        let of = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
            [[mean as f32], [variance as f32]]
        };
        let mut merged = Merged::default();
        for part in values.chunks(30) {
            let [mean, variance] = of(part);
            merged.add(part.len() as f64, &mean, &variance);
            merged.add(0.0, &[f32::NAN], &[f32::NAN]);
        }
        let ([mean, variance], [expected_mean, expected]) = (merged.statistics(), of(&values));
        assert!((mean[0] - expected_mean[0]).abs() < 1e-4, "{mean:?}");
        assert!((variance[0] / expected[0] - 1.0).abs() < 1e-4, "{variance:?} {expected:?}");
    }

    #[test]
    fn windows_are_as_large_as_the_memory_allows() {
        let reach = Reach { halo: 30, alignment: 8 };
        let plan = |[height, width]: [usize; 2]| Ok((height * width) as u64);
        let windows = |left, window| Budget { window, ..Budget::default() }.windows([1000, 700], reach, left, plan);
        assert_eq!(windows(700_000, None).unwrap().0.count(), 1);
        let (tiling, bytes) = windows(400_000, None).unwrap();
        assert!(tiling.count() == 2 && bytes <= 400_000, "{tiling:?}");
        let (tiling, bytes) = windows(40_000, None).unwrap();
        assert!((30_000..=40_000).contains(&bytes), "{:?} {bytes}", tiling.window());
        assert!(windows(700_000, Some(200)).unwrap().0.window().iter().all(|side| *side <= 200));
        let error = windows(100, None).err().unwrap().to_string();
        assert!(error.contains("of memory"), "{error}");
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
