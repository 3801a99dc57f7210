//! A check of painted pictures.

use crate::gpu::Context;
use crate::io::Picture;

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

/// Warns of a result `rgb`, not yet clamped, whose pixels are all exactly alike, for a photo with visible detail. A broken
/// driver gives a black picture; so can a net that has hardly been trained, so the result is kept. Gives whether it warned.
pub(crate) fn check_detail(context: &Context, photo: &Picture, rgb: &[f32]) -> bool {
    let is_uniform = range(rgb) == 0.0 && range(&photo.rgb) >= DETAIL;
    if is_uniform {
        let adapter = context.name();
        tracing::warn!(
            "{adapter} painted all pixels alike, although the photo has detail; test the adapter and its driver"
        );
    }
    is_uniform
}
