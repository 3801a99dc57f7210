//! The net at work: a program for each size of picture.

use super::ImageTransformNet;
use crate::gpu::{DeviceTensor, Memory, Program, Recorder};
use crate::io::Picture;
use crate::ops::vector;
use crate::{Error, Result};

/// The net recorded for one size.
struct Recorded {
    program: Program,
    photo: DeviceTensor,
    painted: DeviceTensor,
}

/// Repaints pictures; the programs of the last few sizes are kept.
pub struct Painter {
    net: ImageTransformNet,
    /// The one used last comes first.
    recorded: Vec<Recorded>,
}

/// Sizes whose programs are kept.
const KEPT: usize = 4;

fn record(net: &ImageTransformNet, shape: [usize; 4]) -> Result<(Recorder, DeviceTensor, DeviceTensor)> {
    let [photo, painted] = ["photo", "painted"].map(|name| DeviceTensor::new(net.context(), name, shape));
    let mut rec = Recorder::new(net.context());
    let x = rec.pin(&photo);
    let y = net.forward(&mut rec, x)?.picture;
    let into = rec.pin(&painted);
    vector::copy(&mut rec, y, into)?;
    Ok((rec, photo, painted))
}

impl Painter {
    /// Repaints with `net`.
    pub fn new(net: ImageTransformNet) -> Self {
        Painter { net, recorded: Vec::new() }
    }

    /// The net.
    pub fn net(&self) -> &ImageTransformNet {
        &self.net
    }

    /// What a picture of that size will take on the device; an error if it cannot be done. Allocates nothing.
    pub fn plan(&self, width: usize, height: usize) -> Result<Memory> {
        record(&self.net, [1, 3, height, width])?.0.memory()
    }

    /// `picture` (RGB 0..1) repainted, of the same size, 0..1; its alpha is kept.
    ///
    /// # Errors
    /// A picture too small for the net or too large for the device; values that are not finite, named with the first
    /// dispatch that made them.
    pub fn paint(&mut self, picture: &Picture) -> Result<Picture> {
        let shape = [1, 3, picture.height, picture.width];
        let known = self.recorded.iter().position(|recorded| recorded.photo.shape() == shape.into());
        let recorded = match known {
            Some(index) => self.recorded.remove(index),
            None => {
                let (rec, photo, painted) = record(&self.net, shape)?;
                self.recorded.truncate(KEPT - 1);
                Recorded { program: rec.finish()?, photo, painted }
            }
        };
        recorded.photo.write(&picture.rgb)?;
        recorded.program.submit()?;
        let mut rgb = recorded.painted.read()?;
        if !rgb.iter().all(|value| value.is_finite()) {
            let place = recorded.program.find_non_finite()?.unwrap_or_else(|| "the picture".into());
            let help = "check the weight file (`impasto weights inspect`)".into();
            return Err(Error::NonFinite { what: "the repainted picture".into(), place, help });
        }
        rgb.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
        let mut painted = Picture::from_rgb(picture.width, picture.height, rgb)?;
        painted.alpha = picture.alpha.clone();
        self.recorded.insert(0, recorded);
        Ok(painted)
    }
}
