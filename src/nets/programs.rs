//! Cached inference programs, one per picture size.

use super::check_detail;
use crate::gpu::{DeviceTensor, Program, Recorder};
use crate::io::Picture;
use crate::{Error, Result};

/// A recorded program with its inputs and outputs.
pub(super) struct Painting<I> {
    pub program: Program,
    /// `[1, 3, H, W]`.
    pub photo: DeviceTensor,
    /// `[1, 3, H, W]`.
    pub painted: DeviceTensor,
    /// Further inputs.
    pub inputs: I,
}

impl<I> Painting<I> {
    /// Paints `photo` (RGB 0..1), [filled](Picture::filled). The result is clamped to 0..1 and has the photo's alpha.
    ///
    /// # Errors
    /// Values that are not finite, with the first dispatch that wrote them.
    pub async fn run(&self, photo: &Picture) -> Result<Picture> {
        self.photo.write(&photo.filled().rgb)?;
        self.program.submit()?;
        let mut rgb = read_finite(&self.program, &self.painted).await?;
        check_detail(self.program.context(), photo, &rgb);
        rgb.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
        let mut painted = Picture::from_rgb(photo.width, photo.height, rgb)?;
        painted.alpha = photo.alpha.clone();
        Ok(painted)
    }
}

/// A recorded program and what it exchanges with the host.
pub(super) struct Recorded<T> {
    rec: Recorder,
    tensors: T,
    /// Bytes of staging buffers for what is written and read.
    staging: u64,
}

impl<T> Recorded<T> {
    pub fn new(rec: Recorder, tensors: T, exchanged: &[DeviceTensor]) -> Self {
        let staging = exchanged.iter().map(|tensor| tensor.shape().bytes(tensor.precision())).sum();
        Recorded { rec, tensors, staging }
    }

    /// Device memory that is still to be allocated.
    pub fn bytes(&self) -> Result<u64> {
        Ok(self.rec.memory()?.missing_bytes() + self.staging)
    }

    pub fn finish(self) -> Result<(Program, T)> {
        Ok((self.rec.finish()?, self.tensors))
    }
}

/// The result of a program for a window of `[height, width]`, clamped to 0..1.
///
/// # Errors
/// Values that are not finite, with the first dispatch that wrote them.
pub(super) async fn read_window(program: &Program, painted: &DeviceTensor, window: [usize; 2]) -> Result<Picture> {
    let mut rgb = read_finite(program, painted).await?;
    rgb.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
    Picture::from_rgb(window[1], window[0], rgb)
}

/// The values of a result.
async fn read_finite(program: &Program, painted: &DeviceTensor) -> Result<Vec<f32>> {
    let rgb = painted.read_async().await?;
    if rgb.iter().all(|value| value.is_finite()) {
        return Ok(rgb);
    }
    let place = program.find_non_finite_async().await?.unwrap_or_else(|| "the picture".into());
    let help = "check the weight file".into();
    Err(Error::NonFinite { what: "the repainted picture".into(), place, help })
}

/// A cache of programs by key, most recently used first.
pub(super) struct Programs<K, I>(Vec<(K, Painting<I>)>);

/// Capacity of the cache.
const KEPT: usize = 4;

impl<K: PartialEq, I> Programs<K, I> {
    pub fn new() -> Self {
        Programs(Vec::new())
    }

    /// Drops all programs and their memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether there is a program for `key`.
    pub fn has(&self, key: K) -> bool {
        self.0.iter().any(|(known, _)| *known == key)
    }

    /// Device memory in bytes of the program for `key`, if there is one.
    pub fn bytes(&self, key: K) -> Option<u64> {
        let found = self.0.iter().find(|(known, _)| *known == key);
        found.map(|(_, painting)| painting.program.memory().peak_bytes())
    }

    /// The program for `key`, recorded if there is none.
    pub fn get(&mut self, key: K, record: impl FnOnce() -> Result<Painting<I>>) -> Result<&Painting<I>> {
        match self.0.iter().position(|(known, _)| *known == key) {
            Some(index) => self.0[..=index].rotate_right(1),
            None => {
                let painting = record()?;
                self.0.truncate(KEPT - 1);
                self.0.insert(0, (key, painting));
            }
        }
        Ok(&self.0[0].1)
    }
}
