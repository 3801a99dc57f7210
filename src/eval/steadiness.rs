//! How steady the frames of a video are: the warping error (Lai et al., arXiv:1808.00449, §4).

use crate::io::Picture;
use crate::{Error, Result};

/// The warping error of a frame `now` after the frame `before`: the mean square difference, over channels and visible
/// pixels, between the frame and the previous one moved by `motion` (bilinear). `motion` (`[2, H, W]`, to the right, then
/// down, in pixels) leads from each pixel to where it was; `visible` says which pixels show a surface that both frames
/// show. Pixels that were outside the previous frame do not count.
///
/// # Errors
/// Frames of different sizes; a motion or visibility of another size; no pixel that counts.
pub fn warping_error(now: &Picture, before: &Picture, motion: &[f32], visible: &[bool]) -> Result<f64> {
    const OP: &str = "warping error";
    let (width, height, pixels) = (now.width, now.height, now.pixels());
    if (before.width, before.height) != (width, height) {
        let got = format!("{}x{}", before.width, before.height);
        return Err(Error::argument(OP, "before", format!("{width}x{height}"), got));
    }
    if motion.len() != 2 * pixels || visible.len() != pixels {
        let got = format!("{} and {}", motion.len(), visible.len());
        return Err(Error::argument(OP, "motion and visible", format!("{} and {pixels} values", 2 * pixels), got));
    }
    let (mut sum, mut count) = (0.0, 0);
    for at in (0..pixels).filter(|at| visible[*at]) {
        let place = [(at % width) as f64 + f64::from(motion[at]), (at / width) as f64 + f64::from(motion[at + pixels])];
        let most = [width - 1, height - 1].map(|last| last as f64);
        if !(place[0] >= 0.0 && place[0] <= most[0] && place[1] >= 0.0 && place[1] <= most[1]) {
            continue;
        }
        let [left, top] = place.map(|place| place.floor() as usize);
        let [part_x, part_y] = place.map(f64::fract);
        for channel in 0..3 {
            let before_at = |x: usize, y: usize| {
                f64::from(before.rgb[channel * pixels + y.min(height - 1) * width + x.min(width - 1)])
            };
            let row = |y: usize| (1.0 - part_x) * before_at(left, y) + part_x * before_at(left + 1, y);
            let earlier = (1.0 - part_y) * row(top) + part_y * row(top + 1);
            sum += (f64::from(now.rgb[channel * pixels + at]) - earlier).powi(2);
        }
        count += 3;
    }
    match count {
        0 => Err(Error::argument(OP, "visible", "at least one pixel that both frames show", "none")),
        count => Ok(sum / f64::from(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose brightness is `slope` times the distance from the left edge plus `offset`.
    fn ramp(slope: f32, offset: f32) -> Picture {
        let mut picture = Picture::new(8, 4);
        picture.rgb.iter_mut().enumerate().for_each(|(at, value)| *value = slope * (at % 8) as f32 + offset);
        picture
    }

    #[test]
    fn a_moved_ramp_has_no_error_and_other_brightness_has_its_square() {
        let moved = |pixels: f32| [vec![pixels; 32], vec![0.0; 32]].concat();
        let visible = vec![true; 32];
        let before = ramp(0.1, 0.0);
        let error = |now: &Picture, pixels| warping_error(now, &before, &moved(pixels), &visible).unwrap();
        assert!(error(&ramp(0.1, 0.05), 0.5) < 1e-12, "half a pixel to the right is 0.05 brighter");
        assert!((error(&before, 1.0) - 0.01).abs() < 1e-7);
        let mut hidden = visible.clone();
        hidden[..31].fill(false);
        assert!(warping_error(&before, &before, &moved(1.0), &hidden).is_err(), "the last pixel left the frame");
        assert!(warping_error(&before, &Picture::new(4, 8), &moved(0.0), &visible).is_err());
    }
}
