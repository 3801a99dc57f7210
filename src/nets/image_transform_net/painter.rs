//! Inference with the net, with one program per picture size.

use super::ImageTransformNet;
use crate::Result;
use crate::gpu::{DeviceTensor, Memory, Recorder};
use crate::io::Picture;
use crate::nets::programs::{Painting, Programs};

/// Repaints pictures. The programs of the most recently used sizes are kept.
pub struct Painter {
    pub(super) net: ImageTransformNet,
    pub(super) programs: Programs<[usize; 4], ()>,
}

fn record(net: &ImageTransformNet, shape: [usize; 4]) -> Result<(Recorder, DeviceTensor, DeviceTensor)> {
    let photo = DeviceTensor::new(net.context(), "photo", shape);
    let mut rec = Recorder::new(net.context());
    let x = rec.pin(&photo);
    let y = net.forward(&mut rec, x)?.picture;
    let painted = rec.output(y)?;
    Ok((rec, photo, painted))
}

impl Painter {
    /// A painter with `net`.
    pub fn new(net: ImageTransformNet) -> Self {
        Painter { net, programs: Programs::new() }
    }

    /// The net.
    pub fn net(&self) -> &ImageTransformNet {
        &self.net
    }

    /// Whether a program for that size is already compiled.
    pub fn is_ready(&self, width: usize, height: usize) -> bool {
        self.programs.has([1, 3, height, width])
    }

    /// Device memory for a picture of that size. Allocates nothing.
    ///
    /// # Errors
    /// A size that cannot be painted.
    pub fn plan(&self, width: usize, height: usize) -> Result<Memory> {
        self.recorded([width, height])?.memory()
    }

    /// The recording for a picture of `[width, height]`.
    pub(crate) fn recorded(&self, [width, height]: [usize; 2]) -> Result<Recorder> {
        Ok(record(&self.net, [1, 3, height, width])?.0)
    }

    /// Repaints `picture` (RGB 0..1). The result has the same size, values 0..1 and the picture's alpha.
    ///
    /// # Errors
    /// A picture too small for the net or too large for the device; values that are not finite, with the first dispatch
    /// that wrote them.
    pub async fn paint_async(&mut self, picture: &Picture) -> Result<Picture> {
        let shape = [1, 3, picture.height, picture.width];
        let Painter { net, programs } = self;
        let painting = programs.get(shape, || {
            let (rec, photo, painted) = record(net, shape)?;
            Ok(Painting { program: rec.finish()?, photo, painted, inputs: () })
        })?;
        painting.run(picture).await
    }

    /// [`paint_async`](Painter::paint_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn paint(&mut self, picture: &Picture) -> Result<Picture> {
        let context = self.net.context().clone();
        context.block_on(self.paint_async(picture))
    }
}
