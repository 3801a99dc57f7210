//! Gram matrices of feature maps and their gradient. Maths: shaders/gram.wgsl.

use super::conv2d::{Conv2d, Padding};
use crate::gpu::{Dispatch, Kernel, KernelClass, Recorder, Tensor};
use crate::{Error, Result};

super::params! {
    /// Sizes of a Gram matrix, and the split of its sum.
    Params {
        channels: u32, padded_channels: u32, pixels: u32, run: u32, splits: u32, images: u32, scale: f32,
    }
}

/// Channels are padded to a multiple of this in the partial sums of both kernel classes.
const TILE: usize = 32;

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let tiled = ["forward", "finish", "symmetrize"].map(|entry| Kernel::new("gram.wgsl", entry));
    let broadcast = [false, true].map(broadcast_kernel);
    [tiled.to_vec(), broadcast.to_vec()].concat()
}

fn broadcast_kernel(fours: bool) -> Kernel {
    Kernel::new("gram_broadcast.wgsl", "forward").set("FOURS", fours)
}

/// The usual scale, 1/(C·H·W), for features `[N, C, H, W]`.
pub fn scale(features: Tensor) -> f32 {
    scale_of(features.shape.dims()[1..].iter().product())
}

/// [`scale`] for that many features, C·H·W.
pub fn scale_of(count: usize) -> f32 {
    1.0 / count as f32
}

/// Splits the sum over pixels into runs for some hundred workgroups, whatever the shape.
fn params(features: Tensor, scale: f32) -> Result<Params> {
    let [images, channels, height, width] = features.shape.nchw("gram", "features")?;
    let padded_channels = channels.next_multiple_of(TILE);
    let pixels = height * width;
    let tiles = (padded_channels / TILE).pow(2);
    let splits = 256usize.div_ceil(tiles).min(pixels.div_ceil(256));
    let run = pixels.div_ceil(splits).next_multiple_of(4);
    Ok(Params {
        channels: channels as u32,
        padded_channels: padded_channels as u32,
        pixels: pixels as u32,
        run: run as u32,
        splits: pixels.div_ceil(run) as u32,
        images: images as u32,
        scale,
    })
}

/// Gram matrices `G` (`[N, C, C]`) of `features` (`[N, C, H, W]`), times `scale` (arXiv:1508.06576, equation 3).
pub fn forward(rec: &mut Recorder, features: Tensor, scale: f32) -> Result<Tensor> {
    let params = params(features, scale)?;
    let [n, c, p] = [params.images, params.channels, params.pixels].map(|v| v as usize);
    let padded = params.padded_channels as usize;
    let partial = rec.transient("gram parts", [params.splits as usize, n, padded, padded]);
    let gram = rec.transient("gram", [n, c, c]);
    let tiles = (padded / TILE) as u32;
    let flops = (n * c * (c + 1) * p) as u64;
    let kernel = match rec.class() {
        KernelClass::Tiled => Kernel::new("gram.wgsl", "forward"),
        KernelClass::Broadcast => broadcast_kernel(p.is_multiple_of(4)),
    };
    rec.dispatch(
        Dispatch::new(kernel, "gram")
            .bind_any(&["features", "feature_rows"], features)
            .bind("partial", partial)
            .params(&params)
            .groups([tiles * tiles, params.splits, n as u32])
            .flops(flops),
    )?;
    rec.dispatch(
        Dispatch::new(Kernel::new("gram.wgsl", "finish"), "gram finish")
            .bind("partial", partial)
            .bind("gram", gram)
            .params(&params)
            .groups([c.div_ceil(32) as u32, c as u32, n as u32]),
    )?;
    Ok(gram)
}

/// Gradient with respect to `features`, of their shape, from `dgram` (`[N, C, C]`, symmetric or not).
pub fn backward(rec: &mut Recorder, features: Tensor, dgram: Tensor, scale: f32) -> Result<Tensor> {
    let params = params(features, scale)?;
    let [n, c] = [params.images, params.channels].map(|v| v as usize);
    if dgram.shape != [n, c, c].into() {
        return Err(Error::argument("gram gradient", "dgram", format!("[{n}, {c}, {c}]"), dgram.shape));
    }
    let symmetrized = rec.transient("symmetrized", [n, c, c]);
    rec.dispatch(
        Dispatch::new(Kernel::new("gram.wgsl", "symmetrize"), "gram symmetrize")
            .bind("dgram", dgram)
            .bind("symmetrized", symmetrized)
            .params(&params)
            .groups([c.div_ceil(32) as u32, c as u32, n as u32]),
    )?;
    let product = Conv2d {
        channels_in: c,
        channels_out: c,
        kernel: 1,
        stride: 1,
        padding: Padding::None,
        upsample: false,
        relu: false,
    };
    let packed = rec.transient("symmetrized, packed", [n * product.packed_count(rec.class())[0]]);
    product.pack(rec, symmetrized, false, packed)?;
    product.forward(rec, features, packed, None)
}
