//! 3×3 convolutions of stride 1 by Winograd's minimal filtering. Maths: shaders/lib/winograd.wgsl.

use super::problem::{Axis, Problem, pack_width, pitch, precision};
use crate::Result;
use crate::gpu::{Dispatch, Kernel, KernelClass, Recorder, Tensor, Tuning, linear_groups};
use crate::ops::load::{Input, Load};
use crate::ops::norm::Moments;
use crate::ops::pad::Border;

crate::ops::params! {
    /// Sizes of the tensors, and the band and slice of a dispatch.
    Params {
        channels_in: u32, channels_out: u32, height: u32, width: u32, input_height: u32, input_width: u32, before: i32,
        tiles_down: u32, quads_across: u32, quads: u32, first: u32, band: u32, first_channel: u32, slice: u32,
    }
}

crate::ops::params! {
    /// Layout of packed weights.
    WeightsParams {
        first: u32, pitch: u32, pairs: u32,
    }
}

/// A square output tile.
struct Tile {
    side: usize,
    shader: &'static str,
    /// Floating-point operations of the input and of the output transform, per tile and channel.
    transform: [usize; 2],
}

/// Larger tiles need fewer products; smaller ones waste fewer at the edges of a picture.
const TILES: [Tile; 2] = [
    Tile { side: 4, shader: "winograd_4.wgsl", transform: [12 * 20, 10 * 17] },
    Tile { side: 2, shader: "winograd_2.wgsl", transform: [8 * 4, 6 * 4] },
];

/// Products per output above which the nine of a direct sum are faster, as transforms cost time, too.
const WORTH: f64 = 5.5;

/// KiB that a single band may take for transformed inputs and outputs, and for transformed weights. Larger values would
/// dominate the memory of training on small pictures.
const SINGLE_KIB: [usize; 2] = [6144, 2048];

/// Every variant of these kernels.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut all = Vec::new();
    for tile in &TILES {
        for class in [KernelClass::Tiled, KernelClass::Broadcast] {
            for border in Border::ALL {
                for load in [Load::AsItIs, Load::Normalised] {
                    all.extend([1, 2].map(|scale| tile.input_kernel(class, "input", border, scale, load)));
                }
            }
            all.push(tile.input_kernel(class, "input", Border::Zero, 1, Load::Masked));
            for entry in ["output", "output_rows", "output_measured", "output_rows_measured"] {
                let options = [[false, false], [false, true], [true, false], [true, true]];
                all.extend(options.map(|options| tile.output_kernel(class, entry, options)));
            }
        }
        all.extend([32, 64].map(|pack| tile.weights_kernel(pack)));
    }
    let [four, _] = &TILES;
    for class in [KernelClass::Tiled, KernelClass::Broadcast] {
        for load in [Load::AsItIs, Load::Normalised] {
            all.extend(Border::ALL.map(|border| four.input_kernel(class, "input_rows", border, 1, load)));
        }
        all.push(four.input_kernel(class, "input_rows", Border::Zero, 1, Load::Masked));
    }
    all
}

/// Threads of a workgroup.
fn lanes(class: KernelClass) -> usize {
    match class {
        KernelClass::Tiled => 64,
        KernelClass::Broadcast => 8,
    }
}

impl Tile {
    /// Elements of an input tile.
    const fn elements(&self) -> usize {
        (self.side + 2) * (self.side + 2)
    }

    fn input_kernel(&self, class: KernelClass, entry: &'static str, border: Border, scale: u32, load: Load) -> Kernel {
        let kernel = border.apply(Kernel::new(self.shader, entry), scale);
        load.apply(kernel.set("LANES", lanes(class) as u32))
    }

    fn output_kernel(&self, class: KernelClass, entry: &'static str, [bias, relu]: [bool; 2]) -> Kernel {
        Kernel::new(self.shader, entry).set("LANES", lanes(class) as u32).set("BIAS", bias).set("RELU", relu)
    }

    fn weights_kernel(&self, pack: u32) -> Kernel {
        Kernel::new(self.shader, "weights").set("PACK", pack)
    }
}

/// A convolution in Winograd tiles.
pub(super) struct Winograd<'p> {
    problem: &'p Problem,
    tile: &'static Tile,
    rows: &'p Axis,
    /// Rows of tiles per image, and quads of tiles per row.
    tiles: [usize; 2],
    images: usize,
}

impl Problem {
    /// The same sum in tiles, if that is faster for that many images.
    ///
    /// A transform costs as much per channel as the products with some 20 other channels, and quads are wasted beyond
    /// the edge of the picture. So both channel counts must be large and the picture not too small. Smaller tiles waste
    /// less on smaller pictures.
    pub fn winograd(&self, class: KernelClass, tuning: Tuning, images: usize) -> Option<Winograd<'_>> {
        let [[rows, columns]] = &self.phases[..] else { return None };
        if [rows.taps, columns.taps, self.stride] != [3, 3, 1] || rows.before != columns.before {
            return None;
        }
        let [c, m] = self.channels;
        // Transforms take 4 input channels at a time and whole packs of 32 or 64 output channels.
        let whole = c.is_multiple_of(4) && pack_width(class, m) >= 32;
        if c < tuning.tiles_from[0] || m < tuning.tiles_from[1] || !whole {
            return None;
        }
        let outputs = (images * self.output[0] * self.output[1]) as f64;
        let cut = |tile: &'static Tile| {
            let tiles = [self.output[0].div_ceil(tile.side), self.output[1].div_ceil(4 * tile.side)];
            let quads = (images * tiles[0] * tiles[1]).next_multiple_of(lanes(class).min(8));
            let products = (4 * quads * tile.elements()) as f64 / outputs;
            (products, Winograd { problem: self, tile, rows, tiles, images })
        };
        let least = TILES.iter().map(cut).min_by(|(a, _), (b, _)| a.total_cmp(b));
        least.filter(|(products, _)| *products <= WORTH).map(|(_, winograd)| winograd)
    }
}

impl Winograd<'_> {
    /// Quads of a band and output channels of a slice.
    ///
    /// A small picture is a single band whose transformed inputs serve every slice, so slices are thin to save memory.
    /// Otherwise every slice transforms the inputs again, so slices are thick.
    fn cut(&self, tuning: Tuning, pack: usize) -> [usize; 2] {
        let [c, m] = self.problem.channels;
        let all = (self.images * self.tiles[0] * self.tiles[1]).next_multiple_of(8);
        // At most C channels, so that products take no more memory than transformed inputs.
        let thin = self.slice(c.min(self.channels_within(SINGLE_KIB[1])), pack);
        if self.tile.elements() * (c + thin) * all * 16 <= SINGLE_KIB[0] << 10 {
            return [all, thin];
        }
        // As many quads as the budget for both transforms allows, in whole workgroups of the product, in bands of equal
        // size.
        let most = ((tuning.band_mib << 20) / (self.tile.elements() * (c + m) * 16) / 8).max(1) * 8;
        let thick = self.slice(self.channels_within(tuning.slice_mib << 10), pack);
        [all.div_ceil(all.div_ceil(most)).next_multiple_of(8), thick]
    }

    /// The most output channels whose transformed weights fit in `kib` KiB.
    fn channels_within(&self, kib: usize) -> usize {
        ((kib << 10) / (self.tile.elements() * self.problem.channels[0] * 4)).max(1)
    }

    /// Output channels per slice: about `most`, in whole packs and slices of about equal size.
    fn slice(&self, most: usize, pack: usize) -> usize {
        let [_, m] = self.problem.channels;
        let even = m.div_ceil(m.div_ceil(most));
        // The last slice must not be so narrow that its pack width differs.
        let fits = |slice: &usize| *slice >= m || (*slice >= even && !(1..=pack / 2).contains(&(m % slice)));
        let whole = (1..).map(|packs| packs * pack).find(fits);
        whole.unwrap_or(m)
    }

    /// Records the convolution for [`Problem::record`].
    pub fn record(
        &self,
        rec: &mut Recorder,
        label: &str,
        x: Input,
        packed: Tensor,
        bias: Option<Tensor>,
    ) -> Result<(Tensor, Option<Moments>)> {
        let (class, tuning) = (rec.class(), rec.context().tuning());
        let Problem { channels: [c, m], border, scale, output: [height, width], relu, measured, .. } = *self.problem;
        let [_, _, input_height, input_width] = x.tensor.shape.nchw(label, "x")?;
        let name = format!("{label} {c}->{m} 3x3 at {width}x{height}");
        let y = rec.transient_stored(precision(x.tensor, packed), label, [self.images, m, height, width]);
        let [input, output] = [
            if self.tile.side == 4 && input_width % 4 == 0 && self.rows.before == 1 && scale == 1 {
                "input_rows"
            } else {
                "input"
            },
            match (width % 4, measured) {
                (0, false) => "output_rows",
                (0, true) => "output_rows_measured",
                (_, false) => "output",
                (_, true) => "output_measured",
            },
        ];
        let [band, slice] = self.cut(tuning, pack_width(class, m));
        let an_image = self.tiles[0] * self.tiles[1];
        let quads = self.images * an_image;
        let moments = measured.then(|| Moments(rec.transient("moments of quads", [self.images, m, an_image, 4])));
        let mut single = None;
        for first_channel in (0..m).step_by(slice) {
            let slice = slice.min(m - first_channel);
            let u = self.weights(rec, packed, first_channel, slice)?;
            for first in (0..quads).step_by(band) {
                let params = Params {
                    channels_in: c as u32,
                    channels_out: m as u32,
                    height: height as u32,
                    width: width as u32,
                    input_height: input_height as u32,
                    input_width: input_width as u32,
                    before: self.rows.before as i32,
                    tiles_down: self.tiles[0] as u32,
                    quads_across: self.tiles[1] as u32,
                    quads: quads as u32,
                    first: first as u32,
                    band: band as u32,
                    first_channel: first_channel as u32,
                    slice: slice as u32,
                };
                let groups = |channels: usize| [band.div_ceil(lanes(class)) as u32, channels as u32, 1];
                let v = match single {
                    Some(v) => v,
                    None => {
                        let v = rec.transient("transformed inputs", [self.tile.elements(), c, 1, 4 * band]);
                        let kernel = self.tile.input_kernel(class, input, border, scale as u32, x.load);
                        rec.dispatch(
                            x.bind(Dispatch::new(kernel, format!("{name}, inputs")), &["x", "x_rows"])
                                .bind("v", v)
                                .params(&params)
                                .groups(groups(c))
                                .performed((self.tile.transform[0] * 4 * band * c) as u64),
                        )?;
                        v
                    }
                };
                single = (quads <= band).then_some(v);
                let made = band.min(quads - first) * slice;
                let flops = self.problem.work(self.images) * made as u64 / (quads * m) as u64;
                let p = self.products(rec, &name, v, u, slice, flops)?;
                rec.dispatch(
                    Dispatch::new(
                        self.tile.output_kernel(class, output, [bias.is_some(), relu]),
                        format!("{name}, outputs"),
                    )
                    .bind("p", p)
                    .bind_optional("bias", bias)
                    .bind_any(&["y", "y_rows"], y)
                    .bind_optional("moments", moments.map(|moments| moments.0))
                    .params(&params)
                    .groups(groups(slice))
                    .performed((self.tile.transform[1] * 4 * band * slice) as u64),
                )?;
            }
        }
        Ok((y, moments))
    }

    /// The products of transformed inputs and weights: a 1×1 convolution with the tile elements as images.
    fn products(
        &self,
        rec: &mut Recorder,
        name: &str,
        v: Tensor,
        u: Tensor,
        slice: usize,
        flops: u64,
    ) -> Result<Tensor> {
        let [_, _, height, width] = v.shape.nchw(name, "v")?;
        let axis = |size| Axis { taps: 1, before: 0, first: 0, size };
        let product = Problem {
            channels: [self.problem.channels[0], slice],
            stride: 1,
            border: Border::Zero,
            scale: 1,
            output: [height, width],
            step: 1,
            phases: vec![[axis(height), axis(width)]],
            relu: false,
            measured: false,
            flops: Some(flops),
        };
        Ok(product.record(rec, &format!("{name}, products"), v, u, None)?.0)
    }

    /// Transforms the weights of a slice. They are transformed in every run, because they take four times the memory of
    /// the weights.
    fn weights(&self, rec: &mut Recorder, packed: Tensor, first_channel: usize, slice: usize) -> Result<Tensor> {
        let [c, m] = self.problem.channels;
        let pack = pack_width(rec.class(), m);
        let pairs = slice.next_multiple_of(pack) * c / 4;
        let u = rec.transient("transformed weights", [self.tile.elements(), 4 * pairs]);
        let pitch = pitch(rec.class(), m, 3);
        rec.dispatch(
            Dispatch::new(self.tile.weights_kernel(pack as u32), format!("weights of 3x3 {c}->{m}"))
                .bind("packed", packed)
                .bind("u", u)
                .params(&WeightsParams {
                    first: (first_channel * c * 3 * pitch) as u32,
                    pitch: pitch as u32,
                    pairs: pairs as u32,
                })
                .groups(linear_groups(pairs, 64)),
        )?;
        Ok(u)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::{Conv2d, Padding};

    /// The side of the chosen tiles.
    fn tile(class: KernelClass, channels: [usize; 2], size: [usize; 2], images: usize) -> Option<usize> {
        let conv = Conv2d {
            channels_in: channels[0],
            channels_out: channels[1],
            kernel: 3,
            stride: 1,
            padding: Padding::Same(Border::Zero),
            upsample: false,
            relu: true,
        };
        let tile = |problem: Problem| Some(problem.winograd(class, Tuning::rules(class), images)?.tile.side);
        let forward = tile(conv.problem(size));
        assert!(tile(conv.gradient(size, 1)) == forward || channels[0] != channels[1]);
        assert_eq!(tile(Conv2d { stride: 2, ..conv }.problem(size)), None);
        assert_eq!(tile(Conv2d { kernel: 9, ..conv }.problem(size)), None);
        forward
    }

    #[test]
    fn many_channels_and_pixels_are_cut_into_tiles() {
        use KernelClass::{Broadcast, Tiled};
        for (class, channels) in [(Tiled, [128, 128]), (Broadcast, [64, 64]), (Broadcast, [16, 32])] {
            assert_eq!(tile(class, channels, [64, 64], 1), Some(4));
            assert_eq!(tile(class, channels, [16, 16], 2), Some(4));
            assert_eq!(tile(class, channels, [16, 16], 1), Some(2));
            assert_eq!(tile(class, channels, [8, 8], 8), Some(2));
            assert_eq!(tile(class, channels, [8, 8], 1), None);
        }
        for (class, channels) in [(Tiled, [64, 64]), (Broadcast, [3, 64]), (Broadcast, [64, 3]), (Broadcast, [66, 64])]
        {
            assert_eq!(tile(class, channels, [64, 64], 1), None);
        }
    }
}
