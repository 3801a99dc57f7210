//! Packed weights, as the kernels read them. Layout: shaders/conv2d.wgsl:pack.

use super::problem::{Operands, Packing, Phase, Problem};
use super::{Conv2d, broadcast, tiled};
use crate::gpu::{Dispatch, Kernel, KernelClass, Recorder, Tensor, linear_groups};
use crate::{Error, Result};

crate::ops::params! {
    /// Layout of packed weights.
    PackParams {
        channels_in: u32, channels_out: u32, kernel: u32, rows: u32, columns: u32, pitch: u32,
        source_row: i32, source_column: i32, source_step: i32, first: u32, count: u32, stride: u32, images: u32,
    }
}

/// The layout of a class, for that many output channels and columns of taps.
pub(super) fn packing(class: KernelClass, channels_out: usize, columns: usize) -> Packing {
    match class {
        KernelClass::Tiled => tiled::packing(channels_out, columns),
        KernelClass::Broadcast => broadcast::packing(channels_out, columns),
    }
}

impl Problem {
    /// Sets the fields of the problem that the operands determine. Checks the shapes of the operands.
    pub fn of(self, class: KernelClass, label: &str, Operands { x, packed, bias }: Operands) -> Result<Problem> {
        x.check(label)?;
        let [images, _, height, width] = x.tensor.shape.nchw(label, "x")?;
        let [c, m] = self.channels;
        let count = packed.shape.count();
        let of_phase = |[rows, columns]: &Phase| packing(class, m, columns.taps).count([c, m], rows.taps);
        let an_image = self.phases.iter().map(of_phase).sum::<usize>();
        if count != an_image && count != images * an_image {
            return Err(Error::argument(label, "weights", format!("{an_image} packed elements"), packed.shape));
        }
        if let Some(bias) = bias.filter(|bias| bias.shape.count() != m) {
            return Err(Error::argument(label, "bias", format!("[{m}]"), bias.shape));
        }
        let (load, bias, own_weights) = (x.load, bias.is_some(), count != an_image);
        let precision = x.tensor.precision.max(packed.precision);
        Ok(Problem { images, input: [height, width], load, bias, own_weights, precision, ..self })
    }
}

impl Conv2d {
    pub(super) fn pack_kernel(&self, class: KernelClass, gradient: bool) -> Kernel {
        let [_, channels_out] = self.channels(gradient);
        let width = packing(class, channels_out, 1).width as u32;
        Kernel::new("conv2d.wgsl", "pack").set("PACK", width).set("GRADIENT", gradient)
    }

    /// Channels of input and output of the sum, or of its gradient.
    fn channels(&self, gradient: bool) -> [usize; 2] {
        let [c, m] = [self.channels_in, self.channels_out];
        if gradient { [m, c] } else { [c, m] }
    }

    /// Elements of the packed weights, `[for forward, for the input gradient]`.
    pub fn packed_count(&self, class: KernelClass) -> [usize; 2] {
        let count = |gradient: bool, [rows, columns]: [usize; 2]| {
            let channels = self.channels(gradient);
            packing(class, channels[1], columns).count(channels, rows)
        };
        let phases = self.phases().map(|phase| count(true, phase.map(|p| self.taps(p))));
        [count(false, [self.kernel; 2]), phases.sum()]
    }

    /// Packs `weights` into `packed`, which has `packed_count` elements. Weights are `[M, C, K, K]`; if each of N
    /// images has its own, `[N·M, C, K, K]` and N times as many packed elements. `gradient` packs for
    /// [`Conv2d::backward`].
    pub fn pack(&self, rec: &mut Recorder, weights: Tensor, gradient: bool, packed: Tensor) -> Result<()> {
        let count = self.packed_count(rec.class())[usize::from(gradient)];
        let an_image = self.channels_in * self.channels_out * self.kernel * self.kernel;
        let images = weights.shape.count() / an_image;
        if images == 0 || !weights.shape.count().is_multiple_of(an_image) || packed.shape.count() != count * images {
            let expected = format!("[{}, {}, {k}, {k}]", self.channels_out, self.channels_in, k = self.kernel);
            return Err(Error::argument("conv2d pack", "weights", expected, weights.shape));
        }
        let channels = self.channels(gradient);
        let kernel = self.kernel;
        // Per phase: taps, the source position of the first tap, and the source step from one tap to the next.
        let phases: Vec<_> = match gradient {
            false => vec![([kernel; 2], [0; 2], 1)],
            true => {
                let source = |phase: usize| self.stride * (self.taps(phase) - 1) + phase;
                let step = -(self.stride as i32);
                self.phases().map(|phase| (phase.map(|p| self.taps(p)), phase.map(source), step)).collect()
            }
        };
        let mut first = 0;
        for ([rows, columns], [source_row, source_column], source_step) in phases {
            let packing = packing(rec.class(), channels[1], columns);
            let of_phase = packing.count(channels, rows);
            rec.dispatch(
                Dispatch::new(self.pack_kernel(rec.class(), gradient), "pack weights")
                    .bind("source", weights)
                    .bind("packed", packed)
                    .params(&PackParams {
                        channels_in: channels[0] as u32,
                        channels_out: channels[1] as u32,
                        kernel: kernel as u32,
                        rows: rows as u32,
                        columns: columns as u32,
                        pitch: packing.pitch as u32,
                        source_row: source_row as i32,
                        source_column: source_column as i32,
                        source_step,
                        first: first as u32,
                        count: of_phase as u32,
                        stride: count as u32,
                        images: images as u32,
                    })
                    .groups(linear_groups(of_phase * images, 64)),
            )?;
            first += of_phase;
        }
        Ok(())
    }
}
