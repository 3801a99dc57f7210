//! The options of painting, a struct that can grow.

use std::mem::{offset_of, size_of};

use impasto::methods::adain::AdainSettings;
use impasto::methods::color::KeepColor;
use impasto::methods::feed_forward::FeedForwardSettings;
use impasto::nets::tiles::Budget;

use crate::status::{Failure, ImpastoStatus, guard};

/// How a picture is painted. Fill it with `impasto_options_default`, then change what you want. Later versions may add
/// fields at the end; `struct_size` tells the library which of them the program knows.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImpastoOptions {
    /// The size of this struct in bytes, as the program was compiled. `impasto_options_default` sets it.
    pub struct_size: usize,
    /// Long side of the result in pixels, or 0 for the size of the input. See `impasto_result_size`. Default: 0.
    pub size: u32,
    /// Strength of the style for AdaIN, 0 to 1. At 0 the result is the photo as the decoder reproduces it. Other nets
    /// have no strength; for them it must be 1. Default: 1.
    pub alpha: f32,
    /// 1: keep the colours of the photo and take only the brightness from the result. 0: do not. Default: 0.
    pub keep_luminance: u32,
    /// Approximate long side in pixels of the coarsest pass of AdaIN. Larger results are painted coarse to fine, so
    /// that brush strokes keep their share of the picture. 0: one pass. Other nets ignore it. Default: 512.
    pub coarse_size: u32,
    /// Most device memory in MiB, at least 1. A picture that needs more is painted in windows, without seams.
    /// Default: 2048.
    pub memory: u32,
    /// 1: a net with instance norm that paints in windows gives exactly the result of one piece, in 16 passes. 0: it
    /// takes one pass, with the statistics of a reduced photo. AdaIN and nets with batch norm are always exact.
    /// Default: 0.
    pub exact: u32,
}

impl Default for ImpastoOptions {
    fn default() -> Self {
        let adain = AdainSettings::default();
        ImpastoOptions {
            struct_size: size_of::<ImpastoOptions>(),
            size: 0,
            alpha: adain.alpha,
            keep_luminance: 0,
            coarse_size: adain.coarse_size.map_or(0, |size| size as u32),
            memory: (adain.budget.device >> 20) as u32,
            exact: 0,
        }
    }
}

/// Fills `options` with the defaults. `struct_size` is `sizeof(ImpastoOptions)`.
///
/// # Safety
/// `options` is NULL, or points to `struct_size` bytes that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_options_default(options: *mut ImpastoOptions, struct_size: usize) -> ImpastoStatus {
    guard(|| {
        if options.is_null() {
            return Err(Failure::null("options"));
        }
        check_struct_size(struct_size)?;
        let defaults = ImpastoOptions { struct_size, ..ImpastoOptions::default() };
        let known = struct_size.min(size_of::<ImpastoOptions>());
        // SAFETY: `options` is not NULL and has `struct_size` bytes, as the caller has promised; `defaults` has
        // `known`.
        unsafe {
            options.cast::<u8>().write_bytes(0, struct_size);
            options.cast::<u8>().copy_from_nonoverlapping((&raw const defaults).cast(), known);
        }
        Ok(())
    })
}

/// A program of any version knows the first field. No version will have a kilobyte.
fn check_struct_size(size: usize) -> Result<(), Failure> {
    if !(size_of::<usize>()..=1024).contains(&size) {
        let message =
            format!("struct_size must be sizeof(ImpastoOptions), got {size}; call impasto_options_default first");
        return Err(Failure::argument(message));
    }
    Ok(())
}

impl ImpastoOptions {
    /// The options of a caller, who may know fewer fields, or more of which those unknown here must be 0.
    ///
    /// # Safety
    /// `options` is NULL, or points to as many bytes as its first field says.
    pub unsafe fn read(options: *const ImpastoOptions) -> Result<Self, Failure> {
        let mut read = ImpastoOptions::default();
        if options.is_null() {
            return Ok(read);
        }
        // SAFETY: not NULL, and the first field is there in every version.
        let size = unsafe { (&raw const (*options).struct_size).read() };
        check_struct_size(size)?;
        let known = size.min(size_of::<ImpastoOptions>());
        // SAFETY: the caller has `size` bytes and `read` has `known`. Any bytes are valid numbers.
        let further = unsafe {
            (&raw mut read).cast::<u8>().copy_from_nonoverlapping(options.cast(), known);
            std::slice::from_raw_parts(options.cast::<u8>().add(known), size - known)
        };
        if further.iter().any(|byte| *byte != 0) {
            let message = "the options have fields that this version of the library does not know; use a newer one";
            return Err(Failure::argument(message));
        }
        read.check()?;
        Ok(read)
    }

    fn check(&self) -> Result<(), Failure> {
        let refuse = |field: &str, expected: &str, got: String| {
            Err(Failure::argument(format!("the option {field} must be {expected}, got {got}")))
        };
        if !(0.0..=1.0).contains(&self.alpha) {
            return refuse("alpha", "0 to 1", self.alpha.to_string());
        }
        for (field, value) in [("keep_luminance", self.keep_luminance), ("exact", self.exact)] {
            if value > 1 {
                return refuse(field, "0 or 1", value.to_string());
            }
        }
        if self.memory == 0 {
            return refuse("memory", "at least 1 (MiB)", "0".into());
        }
        Ok(())
    }

    fn keep_color(&self) -> KeepColor {
        if self.keep_luminance == 1 { KeepColor::Luminance } else { KeepColor::No }
    }

    /// The memory for painting.
    fn budget(&self) -> Budget {
        Budget { device: u64::from(self.memory) << 20, ..Budget::default() }
    }

    /// The settings of AdaIN. The size of the result is set elsewhere.
    pub fn adain(&self) -> AdainSettings {
        AdainSettings {
            size: self.result_size(),
            keep_color: self.keep_color(),
            alpha: self.alpha,
            coarse_size: Some(self.coarse_size as usize).filter(|size| *size > 0),
            budget: self.budget(),
            ..AdainSettings::default()
        }
    }

    /// The settings of a net of one style.
    pub fn feed_forward(&self) -> Result<FeedForwardSettings, Failure> {
        if self.alpha != 1.0 {
            let message = format!("the option alpha must be 1 for a net of one style, got {}", self.alpha);
            return Err(Failure::argument(message));
        }
        Ok(FeedForwardSettings {
            size: self.result_size(),
            keep_color: self.keep_color(),
            exact: self.exact == 1,
            budget: self.budget(),
            ..FeedForwardSettings::default()
        })
    }

    /// Long side of the result, if it is not that of the input.
    pub fn result_size(&self) -> Option<usize> {
        Some(self.size as usize).filter(|size| *size > 0)
    }
}

// A field between others would be at another place than in the programs of earlier versions.
const _: () = assert!(offset_of!(ImpastoOptions, struct_size) == 0);

#[cfg(test)]
mod tests {
    use super::*;

    /// A struct of a later version.
    #[repr(C)]
    struct Later {
        known: ImpastoOptions,
        further: u64,
    }

    fn read(options: &ImpastoOptions) -> Result<ImpastoOptions, Failure> {
        // SAFETY: the tests set `struct_size` to what there is.
        unsafe { ImpastoOptions::read(options) }
    }

    #[test]
    fn programs_of_other_versions_are_understood() {
        // An earlier one knows the first fields only; what lies behind them is not read.
        let mut options = ImpastoOptions { size: 64, alpha: f32::NAN, memory: 0, ..ImpastoOptions::default() };
        options.struct_size = offset_of!(ImpastoOptions, alpha);
        let read = read(&options).unwrap();
        assert_eq!((read.size, read.alpha, read.memory), (64, 1.0, 2048));
        // A later one knows more.
        let mut later = Later { known: ImpastoOptions::default(), further: 5 };
        let struct_size = size_of::<Later>();
        // SAFETY: `later` has as many bytes.
        let status = unsafe { impasto_options_default((&raw mut later).cast(), struct_size) };
        assert_eq!((status, later.further, later.known.struct_size), (ImpastoStatus::Ok, 0, struct_size));
        later.known.size = 32;
        // SAFETY: as above.
        assert_eq!(unsafe { ImpastoOptions::read((&raw const later).cast()) }.unwrap().size, 32);
        later.further = 1;
        let message = unsafe { ImpastoOptions::read((&raw const later).cast()) }.unwrap_err().message;
        assert!(message.contains("does not know"), "{message}");
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let defaults = ImpastoOptions::default();
        assert_eq!(read(&defaults).unwrap(), defaults);
        for (options, words) in [
            (ImpastoOptions { struct_size: 0, ..defaults }, "impasto_options_default"),
            (ImpastoOptions { struct_size: usize::MAX, ..defaults }, "impasto_options_default"),
            (ImpastoOptions { alpha: 1.5, ..defaults }, "alpha"),
            (ImpastoOptions { alpha: f32::NAN, ..defaults }, "alpha"),
            (ImpastoOptions { keep_luminance: 2, ..defaults }, "keep_luminance"),
            (ImpastoOptions { exact: 7, ..defaults }, "exact"),
            (ImpastoOptions { memory: 0, ..defaults }, "memory"),
        ] {
            let message = read(&options).unwrap_err().message;
            assert!(message.contains(words), "{message}");
        }
        assert!(ImpastoOptions { alpha: 0.5, ..defaults }.feed_forward().unwrap_err().message.contains("alpha"));
    }
}
