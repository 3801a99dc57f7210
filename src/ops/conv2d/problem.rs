//! The sum that every convolution kernel computes. A convolution is one, its input gradient several.

use bytemuck::Zeroable;

use super::{Border, STEPS};
use crate::gpu::{Dispatch, Kernel, KernelClass, Matrices, Precision, Recorder, Tensor};
use crate::ops::load::{Input, Load};
use crate::ops::norm::Moments;
use crate::ops::pad::{self, Placement};
use crate::ops::vector;
use crate::{Error, Result};

crate::ops::params! {
    /// Sizes shared by all convolution kernels (shaders/lib/conv2d.wgsl).
    Params {
        channels_in: u32, channels_out: u32, height: u32, width: u32,
        input_height: u32, input_width: u32, before_row: i32, before_column: i32,
        output_height: u32, output_width: u32, first_row: u32, first_column: u32, step: u32,
        weights_first: u32, weights_stride: u32, images: u32, run: u32,
    }
}

impl Params {
    /// Sizes of input and output; all other fields are 0.
    pub fn new(channels: [usize; 2], size: [usize; 2], before: [i32; 2], x: Tensor) -> Result<Params> {
        let [_, _, input_height, input_width] = x.shape.nchw("conv2d", "x")?;
        Ok(Params {
            channels_in: channels[0] as u32,
            channels_out: channels[1] as u32,
            height: size[0] as u32,
            width: size[1] as u32,
            input_height: input_height as u32,
            input_width: input_width as u32,
            before_row: before[0],
            before_column: before[1],
            ..Params::zeroed()
        })
    }
}

/// All sums for one output tensor (maths: shaders/conv2d.wgsl).
pub(super) struct Problem {
    /// Channels of input and output.
    pub channels: [usize; 2],
    pub stride: usize,
    pub border: Border,
    pub scale: usize,
    /// Rows and columns of the output.
    pub output: [usize; 2],
    /// Distance of neighbouring output elements of a phase.
    pub step: usize,
    /// Rows and columns of each phase, in the order of the packed weights.
    pub phases: Vec<[Axis; 2]>,
    pub relu: bool,
    /// Whether a norm follows that needs the output's moments.
    pub measured: bool,
    /// Floating-point operations to report, if the sum replaces one that needs more.
    pub flops: Option<u64>,
}

/// One axis of a phase.
pub(super) struct Axis {
    pub taps: usize,
    /// Elements of padding before the input.
    pub before: usize,
    /// First output element of the phase.
    pub first: usize,
    /// Output elements of the phase.
    pub size: usize,
}

/// A tile of the tiled class: [M, N, K] of a workgroup and [M, N] of a thread. K = 0 selects the direct kernel.
struct Tile([u32; 3], [u32; 2]);

const TILES: [Tile; 7] = [
    Tile([128, 128, 8], [8, 8]),
    Tile([64, 128, 16], [8, 4]),
    Tile([64, 32, 32], [4, 4]),
    Tile([32, 256, 8], [8, 4]),
    Tile([16, 256, 0], [16, 4]),
    Tile([8, 256, 0], [8, 4]),
    Tile([4, 256, 0], [4, 4]),
];

/// The pack widths that each tile is used with.
const TILE_PACKS: [&[u32]; 7] = [&[64], &[64], &[64], &[32], &[32, 64], &[8], &[8]];

/// Input channels from which the direct kernel is not used, because its threads load overlapping inputs repeatedly.
const STAGED_FROM: usize = 5;

impl Tile {
    /// Chooses the tile by the number of output channels, and for more than 32 the largest that gives `least`
    /// workgroups.
    fn choose([channels_in, channels]: [usize; 2], pixels: usize, least: usize) -> &'static Tile {
        let groups = |tile: &Tile| channels.div_ceil(tile.0[0] as usize) * pixels.div_ceil(tile.0[1] as usize);
        match channels {
            0..=4 => &TILES[6],
            5..=8 => &TILES[5],
            _ if channels_in < STAGED_FROM => &TILES[4],
            9..=32 => &TILES[3],
            _ if groups(&TILES[1]) < least => &TILES[2],
            33..=64 => &TILES[1],
            _ if groups(&TILES[0]) < least => &TILES[1],
            _ => &TILES[0],
        }
    }

    fn apply(&self, kernel: Kernel) -> Kernel {
        let Tile([m, n, k], [thread_m, thread_n]) = *self;
        let kernel = kernel.set("TILE_M", m).set("TILE_N", n).set("THREAD_M", thread_m).set("THREAD_N", thread_n);
        if k == 0 { kernel } else { kernel.set("TILE_K", k) }
    }
}

/// Output channels of a workgroup on cooperative matrices: multiples of the pack width of more than 32 channels.
const MATRIX_TILES: [u32; 2] = [128, 64];

/// Pixels of a workgroup on cooperative matrices, divided by the matrix side.
const MATRIX_ACROSS: u32 = 8;

/// A kernel on cooperative matrices.
fn matrix_kernel(
    matrices: Matrices,
    channels: u32,
    taps: [u32; 2],
    [stride, scale]: [u32; 2],
    border: Border,
    ([bias, relu], load): ([bool; 2], Load),
) -> Kernel {
    let shader = if matrices.side == 8 { "conv2d_matrix_8.wgsl" } else { "conv2d_matrix_16.wgsl" };
    let kernel = border.apply(shaped(Kernel::new(shader, "forward"), taps, stride), scale);
    let down = channels / (2 * matrices.side);
    load.apply(kernel.set("DOWN", down).set("LANES", matrices.lanes).set("BIAS", bias).set("RELU", relu))
}

/// Output channels that are interleaved in packed weights. A new picture size needs no repacking.
pub(super) fn pack_width(class: KernelClass, channels_out: usize) -> usize {
    match (class, channels_out) {
        (KernelClass::Broadcast, ..=4) => 4,
        (_, ..=8) => 8,
        (KernelClass::Broadcast, ..=16) => 16,
        (KernelClass::Broadcast, _) => 32,
        (KernelClass::Tiled, ..=32) => 32,
        (KernelClass::Tiled, _) => 64,
    }
}

/// Input channels per iteration of a 1×1 kernel of the broadcast class, if it divides their number.
const DEPTH: u32 = 4;

/// Rows of pixels per lane of the broadcast class, for a tile of that many channels. More than 4 rows, or several under
/// one row of taps, gain little and compile slowly.
fn height(tile: usize, rows: usize) -> usize {
    if rows == 1 { 1 } else { (32 / tile).min(4) }
}

/// Precision of an output: f16 if input and weights are both f16. So activations are stored as f16, gradients as f32.
pub(super) fn precision(x: Tensor, packed: Tensor) -> Precision {
    x.precision.max(packed.precision)
}

/// Taps of a row in the packed weights, padded to the 32 weights that the broadcast class loads at once.
pub(super) fn pitch(class: KernelClass, channels_out: usize, columns: usize) -> usize {
    match class {
        KernelClass::Tiled => columns,
        KernelClass::Broadcast => columns.next_multiple_of(32 / pack_width(class, channels_out)),
    }
}

/// The cooperative matrices that kernels are compiled for.
const MATRICES: [Matrices; 4] = [
    Matrices { side: 8, lanes: 8 },
    Matrices { side: 8, lanes: 32 },
    Matrices { side: 16, lanes: 32 },
    Matrices { side: 16, lanes: 64 },
];

/// Every variant of these kernels.
pub(super) fn kernels() -> Vec<Kernel> {
    let every = [[false, false], [false, true], [true, false], [true, true]];
    let plain = [Load::AsItIs, Load::Normalised].map(|load| (load, &every[..]));
    let gradient = (Load::AsItIs, &every[..1]);
    let masked = (Load::Masked, &every[..1]);
    let mut all = Vec::new();
    let mut add =
        |taps: [u32; 2], [stride, scale]: [u32; 2], borders: &[Border], (load, options): (Load, &[[bool; 2]])| {
            for &[bias, relu] in options {
                if scale == 1 && load == Load::AsItIs {
                    // OFFSET 1 occurs only in phases of a stride-2 gradient, which differ in their padding.
                    let offsets = if stride == 1 && taps[1] < 9 { 0..2 } else { 0..1 };
                    let depths = if taps == [1, 1] { [1, DEPTH] } else { [1, 1] };
                    for (offset, depth) in offsets.flat_map(|offset| depths.map(|depth| (offset, depth))) {
                        let kernel = |tile| broadcast_kernel(taps, stride, tile, [depth, offset], [bias, relu]);
                        all.extend([4, 8, 16, 32].map(kernel));
                        all.extend([4, 8, 16, 32].map(|tile| by_rows(kernel(tile))));
                    }
                }
                for (tile, packs) in TILES.iter().zip(TILE_PACKS) {
                    for &pack in packs {
                        let options = ([bias, relu], load);
                        let tiled = |&border| tiled_kernel(tile, pack, taps, [stride, scale], border, options);
                        all.extend(borders.iter().map(tiled));
                    }
                }
                for matrices in MATRICES.into_iter().filter(|_| load != Load::Masked) {
                    for channels in MATRIX_TILES {
                        let options = ([bias, relu], load);
                        let on = |&border| matrix_kernel(matrices, channels, taps, [stride, scale], border, options);
                        all.extend(borders.iter().map(on));
                    }
                }
            }
        };
    for kernel in [1, 3, 9] {
        for steps in STEPS {
            plain.into_iter().for_each(|plain| add([kernel; 2], steps, &Border::ALL, plain));
        }
        add([kernel; 2], [1, 1], &[Border::Zero], masked);
    }
    // Phases of stride-2 gradients, of 3×3 and of 9×9 taps. Those of 3×3 also compute transposed convolutions, whose
    // gradient is a stride-2 convolution of a masked input.
    for (taps, options) in [([1, 2], &plain[..]), ([4, 5], &[gradient])] {
        for taps in [[taps[0]; 2], [taps[1]; 2], taps, [taps[1], taps[0]]] {
            options.iter().chain([&masked]).for_each(|options| add(taps, [1, 1], &[Border::Zero], *options));
        }
    }
    add([3, 3], [2, 1], &[Border::Zero], masked);
    all
}

/// Sets the constants of shaders/lib/conv2d.wgsl.
pub(super) fn shaped(kernel: Kernel, [rows, columns]: [u32; 2], stride: u32) -> Kernel {
    kernel.set("ROWS", rows).set("COLUMNS", columns).set("STRIDE", stride)
}

fn broadcast_kernel(
    taps: [u32; 2],
    stride: u32,
    tile: u32,
    [depth, offset]: [u32; 2],
    [bias, relu]: [bool; 2],
) -> Kernel {
    shaped(Kernel::new("conv2d_broadcast.wgsl", "forward"), taps, stride)
        .set("TILE", tile)
        .set("HEIGHT", height(tile as usize, taps[0] as usize) as u32)
        .set("DEPTH", depth)
        .set("OFFSET", offset)
        .set("BIAS", bias)
        .set("RELU", relu)
}

/// The entry point for outputs whose rows are whole vec4s.
fn by_rows(kernel: Kernel) -> Kernel {
    Kernel { entry: "forward_rows", ..kernel }
}

fn tiled_kernel(
    tile: &Tile,
    pack: u32,
    taps: [u32; 2],
    [stride, scale]: [u32; 2],
    border: Border,
    ([bias, relu], load): ([bool; 2], Load),
) -> Kernel {
    let entry = if tile.0[2] == 0 { "direct" } else { "forward" };
    let kernel = shaped(Kernel::new("conv2d.wgsl", entry), taps, stride);
    let kernel = tile.apply(border.apply(kernel, scale)).set("PACK", pack).set("BIAS", bias).set("RELU", relu);
    load.apply(kernel)
}

impl Problem {
    /// Records the output from `x`, packed weights and `bias`, and with it the moments if they are wanted and the
    /// kernel can measure them as it writes.
    pub fn record(
        &self,
        rec: &mut Recorder,
        label: &str,
        x: impl Into<Input>,
        packed: Tensor,
        bias: Option<Tensor>,
    ) -> Result<(Tensor, Option<Moments>)> {
        let x = x.into();
        x.check(label)?;
        let [_, m] = self.channels;
        let an_image = self.phases.iter().map(|phase| self.packed_count(rec.class(), phase)).sum::<usize>();
        let n = x.tensor.shape.nchw(label, "x")?[0];
        if packed.shape.count() != an_image && packed.shape.count() != n * an_image {
            return Err(Error::argument(label, "weights", format!("{an_image} packed elements"), packed.shape));
        }
        if let Some(bias) = bias.filter(|bias| bias.shape.count() != m) {
            return Err(Error::argument(label, "bias", format!("[{m}]"), bias.shape));
        }
        let own_weights = if packed.shape.count() == an_image { 0 } else { an_image };
        let tiles = match self.matrices(rec, x, packed) {
            Some(_) => None,
            None => self.winograd(rec.class(), rec.context().tuning(), n),
        };
        match tiles {
            Some(winograd) if own_weights == 0 => winograd.record(rec, label, x, packed, bias),
            _ => Ok((self.record_directly(rec, label, x, (packed, own_weights), bias)?, None)),
        }
    }

    /// The cooperative matrices to use, if the context has any: for f16 sums of many channels whose input is not
    /// masked.
    fn matrices(&self, rec: &Recorder, x: Input, packed: Tensor) -> Option<Matrices> {
        let [c, m] = self.channels;
        let matrices = rec.context().matrices()?;
        let is_half = precision(x.tensor, packed) == Precision::F16 && x.load != Load::Masked;
        (is_half && c >= matrices.side as usize && m > 32).then_some(matrices)
    }

    /// Floating-point operations of the sums for that many images.
    pub fn work(&self, images: usize) -> u64 {
        let [c, m] = self.channels;
        let products = |[rows, columns]: &[Axis; 2]| rows.taps * columns.taps * rows.size * columns.size;
        2 * (images * c * m * self.phases.iter().map(products).sum::<usize>()) as u64
    }

    /// Elements of a phase's packed weights.
    pub fn packed_count(&self, class: KernelClass, [rows, columns]: &[Axis; 2]) -> usize {
        let [c, m] = self.channels;
        m.next_multiple_of(pack_width(class, m)) * c * rows.taps * pitch(class, m, columns.taps)
    }

    /// Records the sums without Winograd tiles. `weights_stride` is the number of packed weights per image, 0 if they
    /// are shared.
    fn record_directly(
        &self,
        rec: &mut Recorder,
        label: &str,
        x: Input,
        (packed, weights_stride): (Tensor, usize),
        bias: Option<Tensor>,
    ) -> Result<Tensor> {
        let [c, m] = self.channels;
        let n = x.tensor.shape.nchw(label, "x")?[0];
        let pack = pack_width(rec.class(), m);
        let [output_height, output_width] = self.output;
        let y = rec.transient_stored(precision(x.tensor, packed), label, [n, m, output_height, output_width]);
        let made: usize = self.phases.iter().map(|[rows, columns]| rows.size * columns.size).sum();
        if made < output_height * output_width {
            vector::fill(rec, y, 0.0)?; // the stride skips elements that no tap reaches
        }
        let (x, laid) = self.input(rec, x)?;
        let mut weights_first = 0;
        for phase @ [rows, columns] in &self.phases {
            let taps = rows.taps * columns.taps;
            let pixels = rows.size * columns.size;
            let before = [rows, columns].map(|axis| axis.before as i32 - laid as i32);
            let params = Params {
                output_height: output_height as u32,
                output_width: output_width as u32,
                first_row: rows.first as u32,
                first_column: columns.first as u32,
                step: self.step as u32,
                weights_first: weights_first as u32,
                weights_stride: weights_stride as u32,
                ..Params::new(self.channels, [rows.size, columns.size], before, x.tensor)?
            };
            weights_first += self.packed_count(rec.class(), phase);
            if pixels == 0 {
                continue;
            }
            let [stride, scale] = [self.stride, self.scale].map(|step| step as u32);
            let shape = [rows.taps, columns.taps].map(|taps| taps as u32);
            let (kernel, across, down) = match (self.matrices(rec, x, packed), rec.class()) {
                (Some(matrices), _) => {
                    let across = pixels.div_ceil((MATRIX_ACROSS * matrices.side) as usize);
                    let groups = |channels: u32| m.div_ceil(channels as usize) * across * n;
                    let [large, small] = MATRIX_TILES;
                    let is_enough = m > small as usize && groups(large) >= rec.context().tuning().workgroups;
                    let channels = if is_enough { large } else { small };
                    let options = ([bias.is_some(), self.relu], x.load);
                    let kernel = matrix_kernel(matrices, channels, shape, [stride, scale], self.border, options);
                    (kernel, across, m.div_ceil(channels as usize))
                }
                (None, KernelClass::Tiled) => {
                    let tile = Tile::choose(self.channels, pixels * n, rec.context().tuning().workgroups);
                    let options = ([bias.is_some(), self.relu], x.load);
                    let kernel = tiled_kernel(tile, pack as u32, shape, [stride, scale], self.border, options);
                    let [tile_m, tile_n, _] = tile.0.map(|side| side as usize);
                    (kernel, pixels.div_ceil(tile_n), m.div_ceil(tile_m))
                }
                (None, KernelClass::Broadcast) => {
                    let depth = if shape == [1, 1] && c.is_multiple_of(DEPTH as usize) { DEPTH } else { 1 };
                    let offset = -before[1] as u32;
                    let options = [bias.is_some(), self.relu];
                    let kernel = broadcast_kernel(shape, stride, pack as u32, [depth, offset], options);
                    let by_row = self.step == 1 && output_width.is_multiple_of(4);
                    let kernel = if by_row { by_rows(kernel) } else { kernel };
                    (
                        kernel,
                        (rows.size.div_ceil(height(pack, rows.taps)) * columns.size.div_ceil(4)).div_ceil(8),
                        m.div_ceil(pack),
                    )
                }
            };
            let performed = 2 * (c * m * taps * n * pixels) as u64;
            let size = format!("{}x{} at {}x{}", rows.taps, columns.taps, columns.size, rows.size);
            rec.dispatch(
                x.bind(Dispatch::new(kernel, format!("{label} {c}->{m} {size}")), &["x"])
                    .bind("weights", packed)
                    .bind_optional("bias", bias)
                    .bind_any(&["y", "y_rows"], y)
                    .params(&params)
                    .groups([across as u32, down as u32, n as u32])
                    .flops(self.flops.unwrap_or(performed))
                    .performed(performed),
            )?;
        }
        Ok(y)
    }

    /// The widest padding before the input of any phase.
    fn before(&self) -> usize {
        self.phases.iter().flatten().map(|axis| axis.before).max().unwrap_or(0)
    }

    /// The input that the kernels read, and the width of the padding that it already has.
    pub fn input(&self, rec: &mut Recorder, x: Input) -> Result<(Input, usize)> {
        match rec.class() {
            KernelClass::Tiled => Ok((x, 0)),
            KernelClass::Broadcast => Ok((self.with_border(rec, x)?.into(), self.before())),
        }
    }

    /// `x` padded for all phases, with rows that cover the four pixels of the last lane.
    fn with_border(&self, rec: &mut Recorder, x: Input) -> Result<Tensor> {
        let [_, _, height, width] = x.tensor.shape.nchw("conv2d", "x")?;
        let before = self.before();
        let reach = |axis: &Axis, size: usize| before - axis.before + size.saturating_sub(1) * self.stride + axis.taps;
        let rows = self.phases.iter().map(|[rows, _]| reach(rows, rows.size)).max().unwrap_or(0);
        let columns = self.phases.iter().map(|[_, columns]| reach(columns, columns.size.next_multiple_of(4)));
        let size = [rows, columns.max().unwrap_or(0).next_multiple_of(4)];
        let fits = size[0] <= height && size[1] <= width && width.is_multiple_of(4);
        if let Some(x) = x.plain().filter(|_| before == 0 && self.scale == 1 && fits) {
            return Ok(x);
        }
        pad::forward(rec, x, self.border, Placement { before, size, scale: self.scale as u32 })
    }
}
