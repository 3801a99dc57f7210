//! Encoding of picture files.

use std::{fs::File, io, io::BufWriter, path::Path};

use image::{
    ExtendedColorType, ImageEncoder, ImageError,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
        tiff::TiffEncoder,
        webp::WebPEncoder,
    },
};

use super::{atomic, picture::Picture};
use crate::{Error, Result};

const JPEG_QUALITY: u8 = 95;

/// An output format.
#[derive(Clone, Copy, PartialEq)]
enum Output {
    Png,
    Jpeg,
    WebP,
    Tiff,
}

impl Output {
    fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "png" => Ok(Output::Png),
            "jpg" | "jpeg" => Ok(Output::Jpeg),
            "webp" => Ok(Output::WebP),
            "tif" | "tiff" => Ok(Output::Tiff),
            _ => {
                let expected = "a file name that ends in .png, .jpg, .jpeg, .webp, .tif or .tiff";
                Err(Error::argument("save", "output", expected, path.display()))
            }
        }
    }

    /// Maximum side of a picture in pixels.
    fn longest_side(self) -> usize {
        match self {
            Output::WebP => 16_383,
            Output::Jpeg => 65_535,
            Output::Png | Output::Tiff => i32::MAX as usize,
        }
    }
}

/// Whether the file name's extension selects an output format.
pub fn can_be_written(path: &Path) -> bool {
    Output::of(path).is_ok()
}

/// Checks whether a picture can be saved as `path`, without leaving a file behind: to be called before a long
/// computation.
///
/// # Errors
///
/// [`Error::Argument`] for an extension other than png, jpg, jpeg, webp, tif, tiff; [`Error::File`] if the directory is
/// missing or not writable, or `path` cannot be a file.
pub fn check_output(path: &Path) -> Result<()> {
    Output::of(path)?;
    atomic::check_writable(path)
}

impl Picture {
    /// Writes the picture with 8 bits per channel, in the format of the extension: png, jpg, jpeg, webp, tif, tiff.
    ///
    /// Values are clamped to 0..1. JPEG has quality 95 and no alpha: the picture is composited over white. WebP is
    /// lossless. The file is written whole or not at all, see [`atomic::write`](super::atomic::write()).
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for another extension or planes of the wrong length; [`Error::NonFinite`] with the position
    /// of the first NaN or infinite value; [`Error::Picture`] if the picture is too large for the format;
    /// [`Error::File`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        save(self, path)
    }
}

fn save(picture: &Picture, path: &Path) -> Result<()> {
    let output = Output::of(path)?;
    check(picture, path, output)?;
    let (bytes, color) = interleave(picture, output == Output::Jpeg);
    let (width, height) = (picture.width as u32, picture.height as u32);
    atomic::write(path, |file: &mut BufWriter<&File>| {
        match output {
            Output::Png => PngEncoder::new_with_quality(file, CompressionType::Default, FilterType::Adaptive)
                .write_image(&bytes, width, height, color),
            Output::WebP => WebPEncoder::new_lossless(file).write_image(&bytes, width, height, color),
            Output::Tiff => TiffEncoder::new(file).write_image(&bytes, width, height, color),
            Output::Jpeg => JpegEncoder::new_with_quality(file, JPEG_QUALITY).write_image(&bytes, width, height, color),
        }
        .map_err(|error| match error {
            ImageError::IoError(error) => error,
            error => io::Error::other(error),
        })
    })
}

fn check(picture: &Picture, path: &Path, output: Output) -> Result<()> {
    let Picture { width, height, rgb, alpha } = picture;
    let pixels = width.saturating_mul(*height);
    let lengths_agree = rgb.len() == pixels.saturating_mul(3) && alpha.as_ref().is_none_or(|a| a.len() == pixels);
    if pixels == 0 || !lengths_agree {
        let expected = format!("planes of {width}x{height}, at least one pixel");
        return Err(Error::argument("save", "picture", expected, format!("{} colour values", rgb.len())));
    }
    if *width.max(height) > output.longest_side() {
        let longest = output.longest_side();
        let reason =
            format!("{width}x{height} pixels are too many for this format, which has at most {longest} a side");
        return Err(Error::picture(path, reason).with_help("save it as .png"));
    }
    let planes = rgb.chunks_exact(pixels).chain(alpha.as_deref()).zip(["red", "green", "blue", "alpha"]);
    let first = planes
        .filter_map(|(plane, name)| Some((plane.iter().position(|value| !value.is_finite())?, name)))
        .min_by_key(|(index, _)| *index);
    if let Some((index, channel)) = first {
        return Err(Error::NonFinite {
            what: format!("the picture for {}", path.display()),
            place: format!("x {}, y {}, {channel}", index % width, index / width),
            help: "nothing was written".into(),
        });
    }
    Ok(())
}

/// The picture as interleaved bytes, with alpha if it has any and is not composited over white.
fn interleave(picture: &Picture, over_white: bool) -> (Vec<u8>, ExtendedColorType) {
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let pixels = picture.pixels();
    let colour = |index: usize| [0, 1, 2].map(|channel| picture.rgb[channel * pixels + index].clamp(0.0, 1.0));
    match &picture.alpha {
        None => ((0..pixels).flat_map(|index| colour(index).map(byte)).collect(), ExtendedColorType::Rgb8),
        Some(alpha) if over_white => {
            let over = |index: usize| {
                let alpha = alpha[index].clamp(0.0, 1.0);
                colour(index).map(|value| byte(value * alpha + 1.0 - alpha))
            };
            ((0..pixels).flat_map(over).collect(), ExtendedColorType::Rgb8)
        }
        Some(alpha) => {
            let pixel = |index: usize| {
                let [red, green, blue] = colour(index).map(byte);
                [red, green, blue, byte(alpha[index])]
            };
            ((0..pixels).flat_map(pixel).collect(), ExtendedColorType::Rgba8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let rgb = (0..3 * 24 * 16).map(|index| (index * 7 % 256) as f32 / 255.0).collect();
        Picture::from_rgb(24, 16, rgb).unwrap()
    }

    #[test]
    fn lossless_formats_give_back_what_was_saved() {
        let directory = tempfile::tempdir().unwrap();
        let mut picture = picture();
        for alpha in [None, Some((0..24 * 16).map(|index| (index % 256) as f32 / 255.0).collect())] {
            picture.alpha = alpha;
            for name in ["a.png", "b.webp", "c.tif", "d.TIFF"] {
                let path = directory.path().join(name);
                check_output(&path).unwrap();
                picture.save(&path).unwrap();
                assert_eq!(Picture::load(&path).unwrap(), picture, "{name}");
            }
        }
    }

    #[test]
    fn jpeg_is_close_and_lies_over_white() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jpg");
        let mut picture = Picture::new(32, 32);
        picture.rgb[..1024].fill(0.8);
        picture.alpha = Some((0..1024).map(|index| if index % 32 < 16 { 1.0 } else { 0.0 }).collect());
        picture.save(&path).unwrap();
        let loaded = Picture::load(&path).unwrap();
        assert_eq!(loaded.alpha, None);
        let pixel = |x: usize| [0, 1, 2].map(|channel| loaded.rgb[channel * 1024 + 16 * 32 + x]);
        assert!(pixel(4).iter().zip([0.8, 0.0, 0.0]).all(|(got, want)| (got - want).abs() < 0.03), "{:?}", pixel(4));
        assert!(pixel(28).iter().all(|value| *value > 0.97), "{:?}", pixel(28));
    }

    #[test]
    fn values_are_clamped_and_rounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.png");
        Picture::from_rgb(1, 1, vec![-3.0, 7.0, 0.5]).unwrap().save(&path).unwrap();
        assert_eq!(Picture::load(&path).unwrap().rgb, [0.0, 1.0, 128.0 / 255.0]);
    }

    #[test]
    fn a_value_that_is_no_number_is_named_and_never_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.png");
        let mut picture = picture();
        picture.rgb[2 * 24 * 16 + 24 + 5] = f32::NAN;
        picture.rgb[24 * 16 + 24 + 6] = f32::INFINITY;
        let message = picture.save(&path).unwrap_err().to_string();
        assert!(message.contains("x 5, y 1, blue") && message.contains("a.png"), "{message}");
        assert!(!path.exists());
    }

    #[test]
    fn what_cannot_be_saved_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a.gif", "a", ".png"] {
            let message = check_output(&directory.path().join(name)).unwrap_err().to_string();
            assert!(message.contains(".webp") && message.contains(name), "{message}");
        }
        let path = directory.path().join("a.webp");
        let message = Picture::new(16_384, 1).save(&path).unwrap_err().to_string();
        assert!(message.contains("16383"), "{message}");
        assert!(Picture::new(0, 3).save(&path).is_err());
        assert!(Picture { alpha: Some(vec![1.0]), ..picture() }.save(&path).is_err());
        assert!(check_output(&directory.path().join("none/a.png")).is_err());
    }
}
