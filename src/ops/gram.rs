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

/// Products of a workgroup along a side; channels are padded to a multiple of this in the partial sums.
fn tile(class: KernelClass, channels: usize) -> usize {
    match class {
        KernelClass::Tiled if channels > 32 => 64,
        _ => 32,
    }
}

/// Target number of workgroups when a sum is split: enough to fill a GPU, or whatever the processor.
fn workgroups(class: KernelClass) -> usize {
    match class {
        KernelClass::Tiled => 512,
        KernelClass::Broadcast => 256,
    }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let rest = ["finish", "symmetrize"].map(|entry| Kernel::new("gram.wgsl", entry));
    let products = [(KernelClass::Tiled, 64), (KernelClass::Tiled, 32), (KernelClass::Broadcast, 32)];
    let products = products.map(|(class, channels)| [1, 4].map(|pixels| products_kernel(class, channels, pixels)));
    [rest.to_vec(), products.concat()].concat()
}

fn products_kernel(class: KernelClass, channels: usize, pixels: usize) -> Kernel {
    let kernel = match class {
        KernelClass::Broadcast => Kernel::new("gram_broadcast.wgsl", "forward"),
        KernelClass::Tiled => {
            let tile = tile(class, channels) as u32;
            Kernel::new("gram.wgsl", "forward").set("TILE", tile).set("SIDE", tile / 8).set("DEPTH", 16u32)
        }
    };
    kernel.set("FOURS", pixels.is_multiple_of(4))
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
fn params(class: KernelClass, features: Tensor, scale: f32) -> Result<Params> {
    let [images, channels, height, width] = features.shape.nchw("gram", "features")?;
    let padded_channels = channels.next_multiple_of(tile(class, channels));
    let pixels = height * width;
    let tiles = (padded_channels / tile(class, channels)).pow(2);
    let splits = workgroups(class).div_ceil(tiles).min(pixels.div_ceil(256));
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
    let params = params(rec.class(), features, scale)?;
    let [n, c, p] = [params.images, params.channels, params.pixels].map(|v| v as usize);
    let padded = params.padded_channels as usize;
    let partial = rec.transient("gram parts", [params.splits as usize, n, padded, padded]);
    let gram = rec.transient("gram", [n, c, c]);
    let tiles = (padded / tile(rec.class(), c)) as u32;
    let flops = (n * c * (c + 1) * p) as u64;
    let kernel = products_kernel(rec.class(), c, p);
    rec.dispatch(
        Dispatch::new(kernel, "gram")
            .bind_any(&["features", "feature_rows"], features)
            .bind_any(&["partial", "partial_rows"], partial)
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
    let params = params(rec.class(), features, scale)?;
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
