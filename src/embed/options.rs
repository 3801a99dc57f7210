//! What does not change from frame to frame.

use super::net::Net;
use crate::gpu::{Precision, Tuning};
use crate::nets::steady::Steadiness;
use crate::ops::texture::{MOST_REGIONS, Values};
use crate::{Error, Result};

/// The kind of texture that tells the regions of a frame apart. Up to four regions have a style each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskKind {
    /// Soft weights: the channels red, green, blue and alpha of a float or unorm texture are the weights of the regions
    /// 0 to 3, 0..1. Where they sum to more than 1, they are scaled down to 1. Of channels that the format lacks, alpha
    /// is 1 and the others are 0.
    Weights,
    /// Object numbers: the red channel of a texture of unsigned integers, such as `r8uint` or `r32uint`, is the number of
    /// the region.
    Ids,
}

/// The kind of texture that has the depths of a frame: distances from the camera or values that are inversely
/// proportional to them (reversed Z with an infinite far plane). Other depths, such as those of standard Z, differ too
/// little between surfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthKind {
    /// The red channel of a colour texture, such as `r32float`.
    Float,
    /// A depth texture, such as `depth32float`; of a format with stencil, a view of the depth aspect.
    Depth,
}

/// What does not change from frame to frame.
#[derive(Clone, Debug)]
pub struct Options {
    /// The largest frame, `[width, height]` in texels. Every painting has this size times `scale`, so it determines time
    /// and memory even where frames are smaller.
    pub max_size: [u32; 2],
    /// Side of the painting relative to `max_size`, above 0 and up to 1. Time and memory grow with its square. The
    /// painting is enlarged to the frame's size along the frame's edges. Strokes have a size in pixels of the painting,
    /// so a smaller scale makes them larger in the frame and the style stronger.
    pub scale: f32,
    /// Format of the frame: see [the table](super#textures). It is that of the view.
    pub color: wgpu::TextureFormat,
    /// Format of the output: see [the table](super#textures). It is that of the view.
    pub output: wgpu::TextureFormat,
    /// The kind of mask that every frame has; `None`: frames have no mask, and one region.
    pub mask: Option<MaskKind>,
    /// What keeps frames steady in time; `None`: each frame is painted alone.
    pub steadiness: Option<Steadiness>,
    /// Whether every frame has a texture of motion, along which a part of the previous result is moved. Needs
    /// `steadiness`; without motion only statistics are smoothed.
    pub motion: bool,
    /// The kind of depths that every frame has, which show what was hidden in the previous frame. Needs `motion`.
    pub depth: Option<DepthKind>,
    /// Number of regions, 1 to 4; above 1 with AdaIN and bodies of several styles. A body paints the frame once for each
    /// region, which multiplies time and memory; AdaIN paints all regions at once. Where no region applies, the output
    /// is the frame.
    pub regions: usize,
    /// Storage of weights and activations. `F16` needs `Features::SHADER_F16` and takes half the memory.
    pub precision: Precision,
    /// Thresholds that choose the kernels of convolutions; `None`: the rules of the kernel class.
    pub tuning: Option<Tuning>,
}

impl Options {
    /// Frames of up to `max_size` `[width, height]` texels, in the formats of frame and output: painted at full size, in
    /// f32, with one style.
    pub fn new(max_size: [u32; 2], [color, output]: [wgpu::TextureFormat; 2]) -> Self {
        let (precision, tuning) = (Precision::F32, None);
        Options {
            max_size,
            scale: 1.0,
            color,
            output,
            mask: None,
            steadiness: None,
            motion: false,
            depth: None,
            regions: 1,
            precision,
            tuning,
        }
    }

    /// Size of the painting, `[height, width]`.
    pub(super) fn painting_size(&self) -> [usize; 2] {
        let [width, height] = self.max_size.map(|side| ((side as f32 * self.scale).round() as usize).max(1));
        [height, width]
    }

    pub(super) fn check(&self, net: &Net) -> Result<()> {
        let refuse = |argument, expected: &str, got: String| Err(Error::argument("embed", argument, expected, got));
        if self.max_size.contains(&0) {
            return refuse("max_size", "at least 1x1", format!("{}x{}", self.max_size[0], self.max_size[1]));
        }
        if !(self.scale > 0.0 && self.scale <= 1.0) {
            return refuse("scale", "above 0, up to 1", self.scale.to_string());
        }
        for (name, format) in [("color", self.color), ("output", self.output)] {
            if !FORMATS.contains(&format) {
                let known: Vec<_> = FORMATS.iter().map(|format| format!("{format:?}")).collect();
                return refuse(name, &format!("one of {}", known.join(", ")), format!("{format:?}"));
            }
        }
        if self.motion && self.steadiness.is_none() {
            return refuse("motion", "false without steadiness", "true".into());
        }
        if let (false, Some(depth)) = (self.motion, self.depth) {
            return refuse("depth", "none without motion", format!("{depth:?}"));
        }
        if let Some(steadiness) = self.steadiness {
            steadiness.check()?;
        }
        let most = match (self.mask, net.has_regions()) {
            (None, _) | (_, false) => 1,
            _ => MOST_REGIONS,
        };
        if !(1..=most).contains(&self.regions) {
            let expected = match most {
                1 => "1 without a mask, and with a net of one style",
                _ => "1 to 4",
            };
            return refuse("regions", expected, self.regions.to_string());
        }
        Ok(())
    }
}

/// Formats of frame and output.
pub(super) const FORMATS: [wgpu::TextureFormat; 6] = [
    wgpu::TextureFormat::Rgba8Unorm,
    wgpu::TextureFormat::Rgba8UnormSrgb,
    wgpu::TextureFormat::Bgra8Unorm,
    wgpu::TextureFormat::Bgra8UnormSrgb,
    wgpu::TextureFormat::Rgb10a2Unorm,
    wgpu::TextureFormat::Rgba16Float,
];

/// How a shader finds the values of a texture of that format.
pub(super) fn values(format: wgpu::TextureFormat) -> Values {
    match format {
        _ if has_exposure(format) => Values::Linear,
        _ if format.is_srgb() => Values::LinearBytes,
        _ => Values::Shown,
    }
}

/// Whether the texture has linear values of any size.
pub(super) fn has_exposure(format: wgpu::TextureFormat) -> bool {
    format == wgpu::TextureFormat::Rgba16Float
}
