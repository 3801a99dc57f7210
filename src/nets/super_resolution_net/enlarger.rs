//! Inference with the net, in windows if a photo does not fit into memory.

use super::{SuperResolutionNet, cubic};
use crate::gpu::{DeviceTensor, Program, Recorder};
use crate::io::PixelSource;
use crate::nets::check_detail;
use crate::nets::programs::{Recorded, read_window};
use crate::nets::tiles::{Budget, Paint, Progress, Tile, Tiling, Watch};
use crate::ops::resample;
use crate::{Error, Result};

/// Factors by which photos can be enlarged: those of the nets, and the half and the quarter of them.
pub const FACTORS: [usize; 3] = [2, 4, 8];

/// What a program exchanges with the host.
struct Exchanged {
    photo: DeviceTensor,
    enlarged: DeviceTensor,
}

/// A program for the windows of photos of one size.
struct Ready {
    size: [usize; 2],
    factor: usize,
    budget: Budget,
    tiling: Tiling,
    bytes: u64,
    program: Program,
    tensors: Exchanged,
}

/// Enlarges photos with a net. The program for the last size of photo is kept.
pub struct Enlarger {
    net: SuperResolutionNet,
    ready: Option<Ready>,
}

impl Enlarger {
    /// An enlarger with `net`.
    pub fn new(net: SuperResolutionNet) -> Self {
        Enlarger { net, ready: None }
    }

    /// The net.
    pub fn net(&self) -> &SuperResolutionNet {
        &self.net
    }

    /// By how much the net's result is reduced to enlarge by `factor`.
    fn reduction(&self, factor: usize) -> Result<usize> {
        let scale = self.net.scale();
        if FACTORS.contains(&factor) && factor <= scale {
            return Ok(scale / factor);
        }
        let allowed: Vec<_> = FACTORS.iter().filter(|factor| **factor <= scale).map(usize::to_string).collect();
        Err(Error::argument("enlarge", "scale", format!("{} with this net", allowed.join(" or ")), factor))
    }

    fn record(&self, [height, width]: [usize; 2], reduction: usize) -> Result<Recorded<Exchanged>> {
        let context = self.net.context();
        let photo = DeviceTensor::new(context, "photo", [1, 3, height, width]);
        let mut rec = Recorder::new(context);
        let x = rec.pin(&photo);
        let mut picture = self.net.forward(&mut rec, x)?.picture;
        if reduction > 1 {
            let table = |side: usize| {
                let enlarged = side * self.net.scale();
                cubic(context, enlarged, enlarged / reduction)
            };
            picture = resample::forward(&mut rec, picture, [&table(height)?, &table(width)?])?;
        }
        let enlarged = rec.output(picture)?;
        let exchanged = [photo.clone(), enlarged.clone()];
        Ok(Recorded::new(rec, Exchanged { photo, enlarged }, &exchanged))
    }

    /// Makes the program for photos of that size.
    fn prepare(&mut self, size: [usize; 2], factor: usize, budget: &Budget) -> Result<&Ready> {
        let kept = self.ready.take_if(|ready| (ready.size, ready.factor, ready.budget) == (size, factor, *budget));
        // The memory of a program for another size is free before the new one is planned.
        self.ready = None;
        let ready = match kept {
            Some(ready) => ready,
            None => {
                let reduction = self.reduction(factor)?;
                let left = budget.left(self.net.context());
                let plan = |window: [usize; 2]| self.record(window, reduction)?.bytes();
                let (tiling, bytes) = budget.windows(size, self.net.reach(reduction), left, plan)?;
                let bytes = budget.device - left + bytes;
                let (program, tensors) = self.record(tiling.window(), reduction)?.finish()?;
                Ready { size, factor, budget: *budget, tiling, bytes, program, tensors }
            }
        };
        Ok(self.ready.insert(ready))
    }

    /// Enlarges `photo` (RGB 0..1) by `factor` within `budget`, and hands the parts of the result to `paint`, with their
    /// rows and columns in the result. Alpha is left out. `watch` sees each window before it is enlarged.
    ///
    /// # Errors
    /// A factor that is not 2, 4 or 8, or above that of the net; a photo too small for the net; a budget too small for
    /// the smallest window; values that are not finite; those of `photo`, `watch` and `paint`.
    pub async fn enlarge_parts_async(
        &mut self,
        photo: &dyn PixelSource,
        factor: usize,
        budget: &Budget,
        watch: &mut Watch<'_>,
        paint: &mut Paint<'_>,
    ) -> Result<()> {
        let size = [photo.height(), photo.width()];
        let Ready { tiling, bytes, program, tensors, .. } = self.prepare(size, factor, budget)?;
        let window = tiling.window();
        let mut is_checked = false;
        for (at, Tile { rows, columns }) in tiling.tiles().enumerate() {
            watch(&Progress { size, window, at, windows: tiling.count(), passes: 1, bytes: *bytes })?;
            let read = photo.read(rows.outer.clone(), columns.outer.clone())?;
            tensors.photo.write(&read.rgb)?;
            program.submit()?;
            let enlarged = read_window(program, &tensors.enlarged, window.map(|side| side * factor)).await?;
            let scaled = |range: std::ops::Range<usize>| range.start * factor..range.end * factor;
            let part = enlarged.cut(scaled(rows.inner()), scaled(columns.inner()));
            if !is_checked {
                let core = read.cut(rows.inner(), columns.inner());
                is_checked = check_detail(program.context(), &core, &part.rgb);
            }
            paint(scaled(rows.core), scaled(columns.core), part)?;
        }
        Ok(())
    }
}
