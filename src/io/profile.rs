//! Conversion between embedded ICC colour profiles and sRGB.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Lab, Layout, TransformF32Executor, TransformOptions, Vector3d};

/// A colour space of stored samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Space {
    Grey,
    Rgb,
    /// 0: no ink.
    Cmyk,
}

impl Space {
    pub fn channels(self) -> usize {
        match self {
            Space::Grey => 1,
            Space::Rgb => 3,
            Space::Cmyk => 4,
        }
    }
}

/// A conversion between a picture's colour space and sRGB.
pub(super) struct Converter {
    transform: Arc<TransformF32Executor>,
    /// The colour space of the input.
    pub(super) space: Space,
}

impl Converter {
    /// The conversion to sRGB by an ICC profile for samples of `space`; `None` if the profile is sRGB. Grey samples can
    /// have a profile for RGB. An error says why the profile cannot be used.
    pub(super) fn new(icc: &[u8], space: Space) -> Result<Option<Self>, String> {
        let profile = ColorProfile::new_from_slice(icc).map_err(|error| error.to_string())?;
        let (found, layout) = match profile.color_space {
            DataColorSpace::Rgb if space != Space::Cmyk => (Space::Rgb, Layout::Rgb),
            DataColorSpace::Gray if space == Space::Grey => (Space::Grey, Layout::Gray),
            DataColorSpace::Cmyk if space == Space::Cmyk => (Space::Cmyk, Layout::Rgba),
            other => return Err(format!("it is for {other:?} colours, but the pixels have others")),
        };
        let transform = profile
            .create_transform_f32(layout, &ColorProfile::new_srgb(), Layout::Rgb, TransformOptions::default())
            .map_err(|error| error.to_string())?;
        let converter = Converter { transform, space: found };
        Ok(if converter.is_identity()? { None } else { Some(converter) })
    }

    /// The conversion from sRGB to an RGB profile that consists of a matrix and curves; `None` if the profile is sRGB.
    /// An error says why the profile cannot be used.
    pub(super) fn from_srgb(icc: &[u8]) -> Result<Option<Self>, String> {
        let profile = ColorProfile::new_from_slice(icc).map_err(|error| error.to_string())?;
        if profile.color_space != DataColorSpace::Rgb || !profile.is_matrix_shaper() {
            return Err("it is no RGB profile of a matrix and curves".into());
        }
        let transform = ColorProfile::new_srgb()
            .create_transform_f32(Layout::Rgb, &profile, Layout::Rgb, TransformOptions::default())
            .map_err(|error| error.to_string())?;
        let converter = Converter { transform, space: Space::Rgb };
        Ok(if converter.is_identity()? { None } else { Some(converter) })
    }

    /// Converts pixels (samples of `space`, 0..1) to interleaved RGB. Colours outside the gamut are clamped to 0..1.
    pub(super) fn convert(&self, samples: &[f32]) -> Result<Vec<f32>, String> {
        let mut converted = vec![0.0; samples.len() / self.space.channels() * 3];
        self.transform.transform(samples, &mut converted).map_err(|error| error.to_string())?;
        converted.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
        Ok(converted)
    }

    /// Whether the profile maps a grid of colours to itself within half an 8-bit step. Most embedded profiles are sRGB
    /// under some name, and the pixels then stay exact.
    fn is_identity(&self) -> Result<bool, String> {
        let level = |index: usize| index as f32 / 8.0;
        let colours: Vec<f32> = match self.space {
            Space::Grey => (0..9).map(level).collect(),
            Space::Rgb => (0..729).flat_map(|index| [index % 9, index / 9 % 9, index / 81]).map(level).collect(),
            Space::Cmyk => return Ok(false),
        };
        let repeat = 3 / self.space.channels();
        let expected = colours.iter().flat_map(|&value| std::iter::repeat_n(value, repeat));
        Ok(self.convert(&colours)?.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 0.5 / 255.0))
    }
}

/// The ICC profile of sRGB. Its date is that of the standard, not the present: equal pictures make equal files.
pub(super) fn srgb() -> Result<Vec<u8>, String> {
    let mut profile = ColorProfile::new_srgb();
    let date = &mut profile.creation_date_time;
    (date.year, date.month, date.day_of_the_month) = (1999, 10, 18);
    (date.hours, date.minutes, date.seconds) = (0, 0, 0);
    profile.encode().map_err(|error| error.to_string())
}

/// Converts CIE L\*a\*b\* (D50; L 0..100) to sRGB.
pub(super) fn lab_to_srgb(lab: [f32; 3]) -> [f32; 3] {
    // `Xyz` is in the encoding of ICC, in which 1 is 1 + 32767/32768; the matrix expects plain values.
    const ENCODED: f64 = 1.0 + 32767.0 / 32768.0;
    let xyz = Lab::new(lab[0], lab[1], lab[2]).to_xyz();
    let xyz = Vector3d { v: [xyz.x, xyz.y, xyz.z].map(|value| f64::from(value) * ENCODED) };
    let linear = ColorProfile::new_srgb().rgb_to_xyz_matrix().inverse().mul_vector(xyz);
    linear.v.map(|value| {
        let value = value.clamp(0.0, 1.0);
        (if value <= 0.003_130_8 { 12.92 * value } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srgb_is_left_alone_and_others_are_not() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        assert!(Converter::new(&srgb, Space::Rgb).unwrap().is_none());
        let wide = Converter::new(&ColorProfile::new_display_p3().encode().unwrap(), Space::Rgb).unwrap().unwrap();
        // Full red of Display P3 lies outside sRGB; its mid grey is sRGB's mid grey.
        let got = wide.convert(&[0.5, 0.5, 0.5, 1.0, 0.0, 0.0, 0.8, 0.4, 0.3]).unwrap();
        assert!(got[..3].iter().all(|value| (value - 0.5).abs() < 0.003), "{got:?}");
        assert_eq!(got[3], 1.0);
        assert!(got[6] > 0.83 && got[7] < 0.4, "{got:?}");
    }

    #[test]
    fn the_profile_of_srgb_does_not_depend_on_the_time() {
        // The date and time of an ICC header: six numbers of 16 bits.
        assert_eq!(super::srgb().unwrap()[24..36], [0x07, 0xcf, 0, 10, 0, 18, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn grey_profiles_are_for_grey_pixels() {
        let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let got = Converter::new(&linear, Space::Grey).unwrap().unwrap().convert(&[0.5]).unwrap();
        assert!(got.iter().all(|value| (value - 0.7354).abs() < 0.01), "{got:?}");
        assert!(Converter::new(&linear, Space::Rgb).is_err());
        assert!(Converter::new(b"not a profile at all", Space::Rgb).is_err());
    }
}
