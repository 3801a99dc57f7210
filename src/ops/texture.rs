//! Between the textures of a host and planes of sRGB values 0..1. Maths: shaders/texture.wgsl.

use crate::gpu::{Dispatch, Kernel, Recorder, Tensor, Texture, TextureKind, Uniform};
use crate::{Error, Result};

const SHADER: &str = "texture.wgsl";
const OP: &str = "texture";

/// Most regions of a mask.
pub const MOST_REGIONS: usize = 4;

super::params! {
    /// Sizes, exposures, the strengths of the regions, and the number of paintings; `region` is that of a share.
    Params {
        strength: [f32; 4],
        height: u32, width: u32, frame_height: u32, frame_width: u32,
        ratio_y: f32, ratio_x: f32, exposure: f32, output_exposure: f32,
        count: u32, region: u32, images: u32, tolerance: f32,
    }
}

/// Twice the variance of the colours that the enlargement takes for alike.
const TOLERANCE: f32 = 0.02;

/// What may change from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Size of the frame, `[height, width]`, in texels.
    pub frame: [usize; 2],
    /// What linear values of the frame are multiplied by before they are encoded.
    pub exposure: f32,
    /// What linear values of the output are divided by.
    pub output_exposure: f32,
    /// Number of regions, 1 to [`MOST_REGIONS`], and the strength of each, 0..1.
    pub count: usize,
    /// See `count`.
    pub strength: [f32; MOST_REGIONS],
    /// Number of paintings: one of all regions, or one for each.
    pub images: usize,
}

impl Settings {
    /// The parameters for planes of `[height, width]`.
    pub(crate) fn params(&self, [height, width]: [usize; 2], region: usize) -> Params {
        Params {
            strength: self.strength,
            height: height as u32,
            width: width as u32,
            frame_height: self.frame[0] as u32,
            frame_width: self.frame[1] as u32,
            ratio_y: self.frame[0] as f32 / height as f32,
            ratio_x: self.frame[1] as f32 / width as f32,
            exposure: self.exposure,
            output_exposure: self.output_exposure,
            count: self.count as u32,
            region: region as u32,
            images: self.images as u32,
            tolerance: TOLERANCE,
        }
    }
}

/// The texture that says which region a texel belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Mask {
    /// The channels are the weights of the regions, 0..1. Sums above 1 are scaled down to 1.
    Weights(Texture),
    /// The first channel is the number of the region. A number without a region has weight 0 for all of them.
    Ids(Texture),
}

impl Mask {
    fn constants(mask: Option<Mask>) -> [bool; 2] {
        [matches!(mask, Some(Mask::Weights(_))), matches!(mask, Some(Mask::Ids(_)))]
    }

    fn bind(mask: Option<Mask>, dispatch: Dispatch) -> Dispatch {
        match mask {
            None => dispatch,
            Some(Mask::Weights(texture)) => dispatch.bind_texture("weights", texture),
            Some(Mask::Ids(texture)) => dispatch.bind_texture("ids", texture),
        }
    }
}

/// What a shader loads from a texture, or stores to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// sRGB values.
    Shown,
    /// Linear values.
    Linear,
    /// Linear values, which the device converts from and to sRGB values of 8 bits.
    LinearBytes,
}

impl Values {
    const ALL: [Values; 3] = [Values::Shown, Values::Linear, Values::LinearBytes];

    /// The kernel for a frame with these values.
    fn of_frame(self, kernel: Kernel) -> Kernel {
        kernel.set("LINEAR", self != Values::Shown).set("BYTES", self == Values::LinearBytes)
    }
}

/// The kernel `entry` for the kinds of mask `[weights, ids]`.
fn masked(entry: &'static str, [weights, ids]: [bool; 2]) -> Kernel {
    Kernel::new(SHADER, entry).set("WEIGHTS", weights).set("IDS", ids)
}

/// The kernel `entry` for the kinds of mask and the values of frame and output.
fn output_kernel(entry: &'static str, mask: [bool; 2], values: Values, is_linear: bool) -> Kernel {
    values.of_frame(masked(entry, mask)).set("OUTPUT_LINEAR", is_linear)
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let masks = [[false, false], [true, false], [false, true]];
    let mut all = vec![Kernel::new(SHADER, crate::gpu::SCREEN)];
    all.extend(Values::ALL.map(|values| values.of_frame(Kernel::new(SHADER, "to_planes"))));
    all.push(Kernel::new(SHADER, "to_motion"));
    all.extend([false, true].map(|is_stored| Kernel::new(SHADER, "to_depth").set("STORED", is_stored)));
    all.extend(masks.map(|mask| masked("to_share", mask)));
    for mask in masks {
        for values in Values::ALL {
            for entry in ["to_storage", "to_target"] {
                all.extend([false, true].map(|is_linear| output_kernel(entry, mask, values, is_linear)));
            }
        }
    }
    all
}

/// Workgroups for that many pixels.
fn groups([height, width]: [usize; 2]) -> [u32; 3] {
    [width.div_ceil(8) as u32, height.div_ceil(8) as u32, 1]
}

/// The texture `color`, reduced to each image of `planes` (`[N, 3, H, W]`) by the mean over each pixel's area. The uniform gets
/// [`Settings::params`] for `[H, W]`.
pub(crate) fn to_planes(
    rec: &mut Recorder,
    color: Texture,
    values: Values,
    planes: Tensor,
    params: Uniform<Params>,
) -> Result<()> {
    let [images, height, width] = pictures(planes, "planes")?;
    let [x, y, _] = groups([height, width]);
    rec.dispatch(
        Dispatch::new(values.of_frame(Kernel::new(SHADER, "to_planes")), "read texture")
            .bind_texture("color", color)
            .bind("planes", planes)
            .uniform(params)
            .groups([x, y, images as u32])
            .flops(3 * planes.shape.count() as u64),
    )
}

/// The motion of a frame (red: to the right, green: down), as planes (`[1, 2, H, W]`) of the values under the centres of
/// the pixels, in the texture's unit. The uniform gets [`Settings::params`] for `[H, W]`.
pub(crate) fn to_motion(rec: &mut Recorder, motion: Texture, planes: Tensor, params: Uniform<Params>) -> Result<()> {
    guide(rec, Kernel::new(SHADER, "to_motion"), ("motion", motion), (planes, 2), params)
}

/// The depths of a frame, of a texture of kind [`TextureKind::Depth`] or the red channel of [`TextureKind::Float`], as a
/// plane (`[1, 1, H, W]`), as [`to_motion`].
pub(crate) fn to_depth(rec: &mut Recorder, depth: Texture, plane: Tensor, params: Uniform<Params>) -> Result<()> {
    let is_stored = depth.kind() == TextureKind::Float;
    let kernel = Kernel::new(SHADER, "to_depth").set("STORED", is_stored);
    guide(rec, kernel, (if is_stored { "distances" } else { "depth" }, depth), (plane, 1), params)
}

fn guide(
    rec: &mut Recorder,
    kernel: Kernel,
    (name, texture): (&'static str, Texture),
    (planes, channels): (Tensor, usize),
    params: Uniform<Params>,
) -> Result<()> {
    let [n, c, height, width] = planes.shape.nchw(OP, "planes")?;
    if [n, c] != [1, channels] {
        return Err(Error::argument(OP, "planes", format!("[1, {channels}, H, W]"), planes.shape));
    }
    rec.dispatch(
        Dispatch::new(kernel, format!("read {name}"))
            .bind_texture(name, texture)
            .bind("planes", planes)
            .uniform(params)
            .groups(groups([height, width])),
    )
}

/// The weight of a region for each feature, `share` (`[H, W]`), or of what all regions leave. The uniform gets
/// [`Settings::params`] for `[H, W]` and the region.
pub(crate) fn to_share(rec: &mut Recorder, mask: Option<Mask>, share: Tensor, params: Uniform<Params>) -> Result<()> {
    let &[height, width] = share.shape.dims() else {
        return Err(Error::argument(OP, "share", "[H, W]", share.shape));
    };
    let dispatch = Dispatch::new(masked("to_share", Mask::constants(mask)), "read mask")
        .bind("share", share)
        .uniform(params)
        .groups(groups([height, width]))
        .flops(8 * share.shape.count() as u64);
    rec.dispatch(Mask::bind(mask, dispatch))
}

/// What the output is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Painted {
    /// The frame, and its values.
    pub color: Texture,
    pub values: Values,
    pub mask: Option<Mask>,
    /// The frame as planes, `[N, 3, H, W]`; the first image is the guide.
    pub photo: Tensor,
    /// The paintings, of the same shape.
    pub painted: Tensor,
}

/// Writes the texture `output`, of kind [`TextureKind::Storage`] or [`TextureKind::Target`], for frames of up to `most`
/// `[height, width]` texels. The uniform gets [`Settings::params`] for `[H, W]`.
pub(crate) fn to_texture(
    rec: &mut Recorder,
    Painted { color, values, mask, photo, painted }: Painted,
    (output, output_values): (Texture, Values),
    most: [usize; 2],
    params: Uniform<Params>,
) -> Result<()> {
    pictures(photo, "photo")?;
    if photo.shape != painted.shape {
        return Err(Error::argument(OP, "painted", format!("shaped as photo, {}", photo.shape), painted.shape));
    }
    let draws = matches!(output.kind(), TextureKind::Target(_));
    let entry = if draws { "to_target" } else { "to_storage" };
    let kernel = output_kernel(entry, Mask::constants(mask), values, output_values != Values::Shown);
    let dispatch = Dispatch::new(kernel, "write texture")
        .bind_texture("color", color)
        .bind("photo", photo)
        .bind("painted", painted)
        .uniform(params)
        .groups(groups(most))
        .flops(100 * (most[0] * most[1]) as u64);
    let dispatch = Mask::bind(mask, dispatch);
    rec.dispatch(match draws {
        true => dispatch.draws_to(output),
        false => dispatch.bind_texture("output", output),
    })
}

/// `[N, H, W]` of a tensor `[N, 3, H, W]`.
fn pictures(tensor: Tensor, name: &str) -> Result<[usize; 3]> {
    match tensor.shape.nchw(OP, name)? {
        [images, 3, height, width] => Ok([images, height, width]),
        _ => Err(Error::argument(OP, name, "[N, 3, H, W]", tensor.shape)),
    }
}
