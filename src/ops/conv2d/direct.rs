//! Direct sums, computed without a transform: one dispatch per phase.

use super::broadcast::Broadcast;
use super::matrix::Matrix;
use super::packing::packing;
use super::problem::{Device, Operands, Params, Problem, Strategy, SumKernels};
use super::tiled::Tiled;
use crate::Result;
use crate::gpu::{Dispatch, Kernel, KernelClass, Recorder, Tensor};
use crate::ops::norm::Moments;
use crate::ops::vector;

/// A problem and the kernels for its sums.
struct Direct<'p, K> {
    problem: &'p Problem,
    by: K,
}

/// The direct sums of `problem`: on cooperative matrices, or with the kernels of the device's class.
pub(super) fn choose<'p>(problem: &'p Problem, device: &Device) -> Box<dyn Strategy + 'p> {
    match (Matrix::choose(problem, device), device.class) {
        (Some(matrix), _) => Box::new(Direct { problem, by: matrix }),
        (None, KernelClass::Tiled) => Box::new(Direct { problem, by: Tiled { least: device.tuning.workgroups } }),
        (None, KernelClass::Broadcast) => Box::new(Direct { problem, by: Broadcast }),
    }
}

impl<K: SumKernels> Strategy for Direct<'_, K> {
    fn kernels(&self) -> Vec<Kernel> {
        let phases = self.problem.phases.iter().filter(|[rows, columns]| rows.size * columns.size > 0);
        phases.map(|phase| self.by.kernel(self.problem, phase)).collect()
    }

    fn record(
        &self,
        rec: &mut Recorder,
        label: &str,
        Operands { x, packed, bias }: Operands,
    ) -> Result<(Tensor, Option<Moments>)> {
        let &Problem { channels: [c, m], images: n, output: [output_height, output_width], .. } = self.problem;
        let y = rec.transient_stored(self.problem.precision, label, [n, m, output_height, output_width]);
        let made: usize = self.problem.phases.iter().map(|[rows, columns]| rows.size * columns.size).sum();
        if made < output_height * output_width {
            vector::fill(rec, y, 0.0)?; // elements that no tap reaches, because of the stride, are 0
        }
        let (x, laid) = self.by.input(self.problem, rec, x)?;
        let weights_stride = if self.problem.own_weights { packed.shape.count() / n } else { 0 };
        let mut weights_first = 0;
        for phase @ [rows, columns] in &self.problem.phases {
            let taps = rows.taps * columns.taps;
            let pixels = rows.size * columns.size;
            let before = [rows, columns].map(|axis| axis.before as i32 - laid as i32);
            let params = Params {
                output_height: output_height as u32,
                output_width: output_width as u32,
                first_row: rows.first as u32,
                first_column: columns.first as u32,
                step: self.problem.step as u32,
                weights_first: weights_first as u32,
                weights_stride: weights_stride as u32,
                ..Params::new([c, m], [rows.size, columns.size], before, x.tensor)?
            };
            weights_first += packing(rec.class(), m, columns.taps).count([c, m], rows.taps);
            if pixels == 0 {
                continue;
            }
            let [across, down] = self.by.groups(self.problem, phase);
            let performed = 2 * (c * m * taps * n * pixels) as u64;
            let size = format!("{}x{} at {}x{}", rows.taps, columns.taps, columns.size, rows.size);
            let kernel = self.by.kernel(self.problem, phase);
            rec.dispatch(
                x.bind(Dispatch::new(kernel, format!("{label} {c}->{m} {size}")), &["x"])
                    .bind("weights", packed)
                    .bind_optional("bias", bias)
                    .bind_any(&["y", "y_rows"], y)
                    .params(&params)
                    .groups([across as u32, down as u32, n as u32])
                    .flops(self.problem.flops.unwrap_or(performed))
                    .performed(performed),
            )?;
        }
        Ok((y, None))
    }
}
