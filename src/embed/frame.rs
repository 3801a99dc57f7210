//! What a host gives for each frame.

/// A style: one of the net's, or a mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blend<'a> {
    /// A weight from 0 up for each style of the net, not all 0. They are divided by their sum.
    pub weights: &'a [f32],
    /// Strength of the style, 0..1. AdaIN mixes features (the paper's α), so at 0 the decoder reproduces the frame;
    /// feed-forward nets mix colours with those of the frame.
    pub alpha: f32,
}

/// A frame to be painted.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The frame, of the format [`Options::color`](super::Options::color).
    pub color: &'a wgpu::TextureView,
    /// Where the painting goes, of the format [`Options::output`](super::Options::output). Another texture than
    /// `color`.
    pub output: &'a wgpu::TextureView,
    /// Size of the frame, `[width, height]` in texels, from 1 to [`Options::max_size`](super::Options::max_size). The
    /// frame is at the top left of its texture; the rest of `output` is left as it is. The size may change from frame to
    /// frame. Whatever it is, the frame is painted at the one painting size and enlarged or reduced to it.
    pub size: [u32; 2],
    /// The style of each region: as many as [`Options::regions`](super::Options::regions).
    pub styles: &'a [Blend<'a>],
    /// The regions, if [`Options::mask`](super::Options::mask) has a kind: a texture with a texel for each of the frame.
    pub mask: Option<&'a wgpu::TextureView>,
    /// What linear values (`rgba16float`) are multiplied by before they are painted, above 0. Those of the output are
    /// divided by it. 1 where frame and output have no linear values.
    pub exposure: f32,
    /// Where each texel was in the previous frame that was painted, relative to where it is, if
    /// [`Options::motion`](super::Options::motion) says so: red to the right, green down, in units of `motion_scale`
    /// (`rg16float` or `rg32float`, with a texel for each of the frame).
    pub motion: Option<&'a wgpu::TextureView>,
    /// Texels of the frame for a unit of `motion`, to the right and down: `[1.0, 1.0]` for texels; half the frame's size
    /// (vertically negative) for normalised device coordinates. Motion that leads to where a texel will be, or away from
    /// where it was, needs the other sign.
    pub motion_scale: [f32; 2],
    /// The depths of the frame, if [`Options::depth`](super::Options::depth) has a kind.
    pub depth: Option<&'a wgpu::TextureView>,
    /// Whether the frame begins a new video, as after a cut: nothing of earlier frames has an effect. The first frame
    /// begins one in any case.
    pub reset: bool,
}

impl<'a> Frame<'a> {
    /// A frame without a mask, motion and depth, with an exposure of 1.
    pub fn new(
        color: &'a wgpu::TextureView,
        output: &'a wgpu::TextureView,
        size: [u32; 2],
        styles: &'a [Blend<'a>],
    ) -> Self {
        Frame {
            color,
            output,
            size,
            styles,
            mask: None,
            exposure: 1.0,
            motion: None,
            motion_scale: [1.0; 2],
            depth: None,
            reset: false,
        }
    }
}
