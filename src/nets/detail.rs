//! A check of painted pictures.

use crate::gpu::Context;
use crate::io::Picture;
use crate::{Error, Result};

/// Least difference of two values of a photo, in one channel, from which a result must not be uniform.
const DETAIL: f32 = 0.1;

/// Largest difference of two values of the same channel.
fn range(rgb: &[f32]) -> f32 {
    let of_plane = |plane: &[f32]| {
        let [low, high] = plane.iter().fold([f32::MAX, f32::MIN], |[low, high], &v| [low.min(v), high.max(v)]);
        high - low
    };
    rgb.chunks((rgb.len() / 3).max(1)).map(of_plane).fold(0.0, f32::max)
}

/// Refuses a result `rgb`, not yet clamped, whose pixels are all exactly alike, for a photo with visible detail. No net
/// gives one; a broken driver gives a black picture.
///
/// # Errors
/// [`Error::Adapter`].
pub(crate) fn check_detail(context: &Context, photo: &Picture, rgb: &[f32]) -> Result<()> {
    if range(rgb) > 0.0 || range(&photo.rgb) < DETAIL {
        return Ok(());
    }
    Err(Error::Adapter {
        adapter: context.name().into(),
        fault: "painted all pixels alike, although the photo has detail".into(),
        help: "test the adapter, update its driver, or use another adapter".into(),
    })
}
