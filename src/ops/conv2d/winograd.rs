//! 3×3 convolutions of stride 1 by Winograd's minimal filtering. Maths: shaders/lib/winograd.wgsl.

use super::direct;
use super::packing::packing;
use super::problem::{Axis, Device, Operands, Problem, Strategy};
use crate::Result;
use crate::gpu::{Dispatch, Kernel, KernelClass, Recorder, Tensor, linear_groups};
use crate::ops::norm::Moments;

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
        first: u32, pitch: u32, count: u32,
    }
}

/// A square output tile.
struct Tile {
    side: usize,
    /// With a tile per thread, and with four.
    shaders: [&'static str; 2],
    /// Floating-point operations of the input and of the output transform, per tile and channel.
    transform: [usize; 2],
}

/// Larger tiles need fewer products; smaller ones waste fewer at the edges of a picture.
const TILES: [Tile; 2] = [
    Tile { side: 4, shaders: ["winograd_4.wgsl", "winograd_4_four.wgsl"], transform: [12 * 20, 10 * 17] },
    Tile { side: 2, shaders: ["winograd_2.wgsl", "winograd_2_four.wgsl"], transform: [8 * 4, 6 * 4] },
];

/// Products per output above which the nine of a direct sum are faster, because transforms take time, too.
const WORTH: f64 = 5.5;

/// KiB that a single band may take for transformed inputs and outputs, and for transformed weights. Larger values would
/// dominate the memory of training on small pictures.
const SINGLE_KIB: [usize; 2] = [6144, 2048];

/// Threads of a workgroup.
fn lanes(class: KernelClass) -> usize {
    match class {
        KernelClass::Tiled => 64,
        KernelClass::Broadcast => 8,
    }
}

/// Tiles that a thread transforms. On a software adapter, a `vec4` costs hardly more than a float.
fn width(class: KernelClass) -> usize {
    match class {
        KernelClass::Tiled => 1,
        KernelClass::Broadcast => 4,
    }
}

impl Tile {
    /// Elements of an input tile.
    const fn elements(&self) -> usize {
        (self.side + 2) * (self.side + 2)
    }
}

/// A problem in Winograd tiles.
pub(super) struct Winograd<'p> {
    problem: &'p Problem,
    device: &'p Device,
    tile: &'static Tile,
    rows: &'p Axis,
    /// Rows of tiles per image, and quads of tiles per row.
    tiles: [usize; 2],
}

impl<'p> Winograd<'p> {
    /// The tiles for `problem`, if they are faster than direct sums.
    ///
    /// A transform costs as much per channel as the products with some 20 other channels, and the part of a quad (four
    /// tiles side by side) beyond the edge of the picture is wasted. So both channel counts must be large and the
    /// picture not too small. Smaller tiles waste less on smaller pictures.
    pub fn choose(problem: &'p Problem, device: &'p Device) -> Option<Self> {
        let [[rows, columns]] = &problem.phases[..] else { return None };
        if [rows.taps, columns.taps, problem.stride] != [3, 3, 1] || rows.before != columns.before {
            return None;
        }
        let ([c, m], least) = (problem.channels, device.tuning.tiles_from);
        // Transforms take 4 input channels at a time and whole packs of 32 or 64 output channels.
        let whole = c.is_multiple_of(4) && packing(device.class, m, 3).width >= 32;
        if c < least[0] || m < least[1] || !whole || problem.own_weights {
            return None;
        }
        let images = problem.images;
        let outputs = (images * problem.output[0] * problem.output[1]) as f64;
        let cut = |tile: &'static Tile| {
            let tiles = [problem.output[0].div_ceil(tile.side), problem.output[1].div_ceil(4 * tile.side)];
            let quads = (images * tiles[0] * tiles[1]).next_multiple_of(lanes(device.class).min(8));
            let products = (4 * quads * tile.elements()) as f64 / outputs;
            (products, Winograd { problem, device, tile, rows, tiles })
        };
        let least = TILES.iter().map(cut).min_by(|(a, _), (b, _)| a.total_cmp(b));
        least.filter(|(products, _)| *products <= WORTH).map(|(_, winograd)| winograd)
    }

    /// Output channels that are interleaved in the packed weights.
    fn pack(&self) -> usize {
        packing(self.device.class, self.problem.channels[1], 3).width
    }

    /// Quads per band, and output channels per slice (shaders/lib/winograd.wgsl).
    ///
    /// A small picture is a single band whose transformed inputs serve every slice, so slices are thin to save memory.
    /// Otherwise every slice transforms the inputs again, so slices are thick.
    fn cut(&self) -> [usize; 2] {
        let ([c, m], tuning) = (self.problem.channels, self.device.tuning);
        let all = (self.problem.images * self.tiles[0] * self.tiles[1]).next_multiple_of(8);
        // At most C channels, so that products take no more memory than transformed inputs.
        let thin = self.slice(c.min(self.channels_within(SINGLE_KIB[1])));
        if self.tile.elements() * (c + thin) * all * 16 <= SINGLE_KIB[0] << 10 {
            return [all, thin];
        }
        // As many quads as the budget for both transforms allows, in whole workgroups of the product, in bands of equal
        // size.
        let most = ((tuning.band_mib << 20) / (self.tile.elements() * (c + m) * 16) / 8).max(1) * 8;
        let thick = self.slice(self.channels_within(tuning.slice_mib << 10));
        [all.div_ceil(all.div_ceil(most)).next_multiple_of(8), thick]
    }

    /// The most output channels whose transformed weights fit in `kib` KiB.
    fn channels_within(&self, kib: usize) -> usize {
        ((kib << 10) / (self.tile.elements() * self.problem.channels[0] * 4)).max(1)
    }

    /// Output channels per slice: about `most`, in whole packs and slices of about equal size.
    fn slice(&self, most: usize) -> usize {
        let ([_, m], pack) = (self.problem.channels, self.pack());
        let even = m.div_ceil(m.div_ceil(most));
        // The last slice must not be so narrow that its pack width differs.
        let fits = |slice: &usize| *slice >= m || (*slice >= even && !(1..=pack / 2).contains(&(m % slice)));
        let whole = (1..).map(|packs| packs * pack).find(fits);
        whole.unwrap_or(m)
    }

    /// The first channel and the number of channels of every slice.
    fn slices(&self, slice: usize) -> impl Iterator<Item = [usize; 2]> + use<> {
        let [_, m] = self.problem.channels;
        (0..m).step_by(slice).map(move |first| [first, slice.min(m - first)])
    }

    fn shader(&self) -> &'static str {
        self.tile.shaders[usize::from(width(self.device.class) == 4)]
    }

    fn kernel(&self, entry: &'static str) -> Kernel {
        Kernel::new(self.shader(), entry).set("LANES", lanes(self.device.class) as u32)
    }

    fn input_kernel(&self) -> Kernel {
        let whole = self.problem.input[1].is_multiple_of(4);
        let by_row = self.tile.side == 4 && whole && self.rows.before == 1 && self.problem.scale == 1;
        self.problem.loading(self.kernel(if by_row { "input_rows" } else { "input" }))
    }

    fn output_kernel(&self) -> Kernel {
        // Whole vec4s of a row of y.
        let by_row =
            self.problem.output[1].is_multiple_of(4) && (self.tile.side * width(self.device.class)).is_multiple_of(4);
        self.problem.ending(self.kernel(match (by_row, self.problem.measured) {
            (true, false) => "output_rows",
            (true, true) => "output_rows_measured",
            (false, false) => "output",
            (false, true) => "output_measured",
        }))
    }

    fn weights_kernel(&self) -> Kernel {
        Kernel::new(self.shader(), "weights").set("PACK", self.pack() as u32)
    }

    /// The products of transformed inputs and weights: a 1×1 convolution with the tile elements as images.
    fn product(&self, band: usize, slice: usize) -> Problem {
        let axis = |size| Axis { taps: 1, before: 0, first: 0, size };
        let size = [1, 4 * band];
        Problem {
            channels: [self.problem.channels[0], slice],
            stride: 1,
            scale: 1,
            output: size,
            step: 1,
            phases: vec![size.map(axis)],
            images: self.tile.elements(),
            input: size,
            own_weights: true,
            ..Problem::default()
        }
    }

    /// Transforms the weights of a slice. They are transformed in every run, because they take four times the memory of
    /// the weights.
    fn weights(&self, rec: &mut Recorder, packed: Tensor, first_channel: usize, slice: usize) -> Result<Tensor> {
        let [c, m] = self.problem.channels;
        let pairs = slice.next_multiple_of(self.pack()) * c;
        let count = pairs / width(self.device.class);
        let u = rec.transient("transformed weights", [self.tile.elements(), pairs]);
        let pitch = packing(self.device.class, m, 3).pitch;
        rec.dispatch(
            Dispatch::new(self.weights_kernel(), format!("weights of 3x3 {c}->{m}"))
                .bind("packed", packed)
                .bind("u", u)
                .params(&WeightsParams {
                    first: (first_channel * c * 3 * pitch) as u32,
                    pitch: pitch as u32,
                    count: count as u32,
                })
                .groups(linear_groups(count, 64)),
        )?;
        Ok(u)
    }
}

impl Strategy for Winograd<'_> {
    fn kernels(&self) -> Vec<Kernel> {
        let [band, slice] = self.cut();
        let products = |[_, slice]: [usize; 2]| direct::choose(&self.product(band, slice), self.device).kernels();
        let transforms = [self.input_kernel(), self.weights_kernel(), self.output_kernel()];
        transforms.into_iter().chain(self.slices(slice).flat_map(products)).collect()
    }

    fn record(
        &self,
        rec: &mut Recorder,
        label: &str,
        Operands { x, packed, bias }: Operands,
    ) -> Result<(Tensor, Option<Moments>)> {
        let &Problem { channels: [c, m], images, input: [input_height, input_width], output: [height, width], .. } =
            self.problem;
        let class = self.device.class;
        let name = format!("{label} {c}->{m} 3x3 at {width}x{height}");
        let y = rec.transient_stored(self.problem.precision, label, [images, m, height, width]);
        let [band, slice] = self.cut();
        let an_image = self.tiles[0] * self.tiles[1];
        let quads = images * an_image;
        let moments =
            self.problem.measured.then(|| Moments(rec.transient("moments of quads", [images, m, an_image, 4])));
        let mut single = None;
        for [first_channel, slice] in self.slices(slice) {
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
                let across = (4 * band / self::width(class)).div_ceil(lanes(class)) as u32;
                let groups = |channels: usize| [across, channels as u32, 1];
                let v = match single {
                    Some(v) => v,
                    None => {
                        let v = rec.transient("transformed inputs", [self.tile.elements(), c, 1, 4 * band]);
                        rec.dispatch(
                            x.bind(Dispatch::new(self.input_kernel(), format!("{name}, inputs")), &["x", "x_rows"])
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
                let flops = self.problem.work() * made as u64 / (quads * m) as u64;
                let (label, operands) = (format!("{name}, products"), Operands { x: v.into(), packed: u, bias: None });
                let product = Problem { flops: Some(flops), ..self.product(band, slice) };
                let product = product.of(class, &label, operands)?;
                let (p, _) = direct::choose(&product, self.device).record(rec, &label, operands)?;
                rec.dispatch(
                    Dispatch::new(self.output_kernel(), format!("{name}, outputs"))
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Tuning;
    use crate::ops::conv2d::{Border, Conv2d, Padding};

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
        let device = Device { class, tuning: Tuning::rules(class), matrices: None };
        let tile = |problem| Some(Winograd::choose(&Problem { images, ..problem }, &device)?.tile.side);
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
