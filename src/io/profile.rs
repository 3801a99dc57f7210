//! Conversion from embedded ICC colour profiles to sRGB.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformF32Executor, TransformOptions};

/// A conversion from a picture's colour space to sRGB.
pub(super) struct Converter {
    transform: Arc<TransformF32Executor>,
    /// Whether the profile expects one grey sample per pixel instead of three.
    pub(super) grey: bool,
}

impl Converter {
    /// The conversion for an ICC profile, for grey or colour samples; `None` if the profile is sRGB. An error says why
    /// the profile cannot be used.
    pub(super) fn new(icc: &[u8], samples_are_grey: bool) -> Result<Option<Self>, String> {
        let profile = ColorProfile::new_from_slice(icc).map_err(|error| error.to_string())?;
        let grey = match profile.color_space {
            DataColorSpace::Rgb => false,
            DataColorSpace::Gray if samples_are_grey => true,
            other => return Err(format!("it is for {other:?} colours, but the pixels have others")),
        };
        let layout = if grey { Layout::Gray } else { Layout::Rgb };
        let transform = profile
            .create_transform_f32(layout, &ColorProfile::new_srgb(), Layout::Rgb, TransformOptions::default())
            .map_err(|error| error.to_string())?;
        let converter = Converter { transform, grey };
        Ok(if converter.is_identity()? { None } else { Some(converter) })
    }

    /// Converts pixels (1 or 3 samples each, 0..1) to interleaved sRGB. Colours outside the gamut are clamped to 0..1.
    pub(super) fn convert(&self, samples: &[f32]) -> Result<Vec<f32>, String> {
        let mut converted = vec![0.0; if self.grey { 3 * samples.len() } else { samples.len() }];
        self.transform.transform(samples, &mut converted).map_err(|error| error.to_string())?;
        converted.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
        Ok(converted)
    }

    /// Whether the profile maps a grid of colours to itself within half an 8-bit step. Most embedded profiles are sRGB
    /// under some name, and the pixels then stay exact.
    fn is_identity(&self) -> Result<bool, String> {
        let level = |index: usize| index as f32 / 8.0;
        let colours: Vec<f32> = if self.grey {
            (0..9).map(level).collect()
        } else {
            (0..729).flat_map(|index| [index % 9, index / 9 % 9, index / 81]).map(level).collect()
        };
        let repeat = if self.grey { 3 } else { 1 };
        let expected = colours.iter().flat_map(|&value| std::iter::repeat_n(value, repeat));
        Ok(self.convert(&colours)?.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 0.5 / 255.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srgb_is_left_alone_and_others_are_not() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        assert!(Converter::new(&srgb, false).unwrap().is_none());
        let wide = Converter::new(&ColorProfile::new_display_p3().encode().unwrap(), false).unwrap().unwrap();
        // Full red of Display P3 lies outside sRGB; its mid grey is sRGB's mid grey.
        let got = wide.convert(&[0.5, 0.5, 0.5, 1.0, 0.0, 0.0, 0.8, 0.4, 0.3]).unwrap();
        assert!(got[..3].iter().all(|value| (value - 0.5).abs() < 0.003), "{got:?}");
        assert_eq!(got[3], 1.0);
        assert!(got[6] > 0.83 && got[7] < 0.4, "{got:?}");
    }

    #[test]
    fn grey_profiles_are_for_grey_pixels() {
        let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let got = Converter::new(&linear, true).unwrap().unwrap().convert(&[0.5]).unwrap();
        assert!(got.iter().all(|value| (value - 0.7354).abs() < 0.01), "{got:?}");
        assert!(Converter::new(&linear, false).is_err());
        assert!(Converter::new(b"not a profile at all", false).is_err());
    }
}
