//! Every variant of the convolution kernels, for the tests. The lists come from the functions that choose what is
//! recorded, asked about convolutions on both sides of each of their thresholds.

use std::collections::HashSet;

use super::problem::{Device, Problem};
use super::{Border, Conv2d, ConvTranspose2d, Padding, weights};
use crate::Result;
use crate::gpu::{Kernel, KernelClass, Matrices, Precision, Tuning};
use crate::ops::load::Load;

/// Input channels: few; many, a multiple of four; and many, not a multiple of four.
const CHANNELS_IN: [usize; 3] = [3, 16, 18];

/// Rows and columns of inputs. They give large and small Winograd tiles, with and without enlargement, and widths that
/// are and are not multiples of four.
const SIZES: [[usize; 2]; 8] = [[8, 8], [8, 9], [16, 16], [16, 17], [16, 18], [64, 16], [64, 17], [64, 18]];

/// Kernel classes and cooperative matrices, with thresholds that select smaller and larger tiles. Each comes with the
/// largest numbers of output channels for every pack width and tile.
fn devices() -> Vec<(Device, &'static [usize])> {
    let device = |class, matrices, workgroups| Device {
        class,
        tuning: Tuning { tiles_from: [4, 4], workgroups, ..Tuning::rules(class) },
        matrices,
    };
    let mut all: Vec<(_, &[usize])> = vec![(device(KernelClass::Broadcast, None, 0), &[4, 8, 16, 32])];
    all.extend([0, usize::MAX].map(|least| (device(KernelClass::Tiled, None, least), &[4, 8, 32, 64, 128][..])));
    let on = |matrices| (device(KernelClass::Tiled, Some(matrices), 0), &[64, 128][..]);
    all.extend(Matrices::SAMPLES.map(on));
    all
}

/// Every variant of this operation's kernels.
pub fn kernels() -> Vec<Kernel> {
    let mut all = weights::common_kernels();
    let mut known = HashSet::new();
    for (device, channels_out) in devices() {
        let pairs = CHANNELS_IN.into_iter().flat_map(|c| channels_out.iter().flat_map(move |&m| [[c, m], [m, c]]));
        for (channels, size) in pairs.flat_map(|channels| SIZES.map(|size| (channels, size))) {
            all.extend(kernels_of(channels, size, &device).filter(|kernel| known.insert(kernel.clone())));
        }
    }
    all
}

/// The kernels of all convolutions of those channels for inputs of `size`.
fn kernels_of(channels: [usize; 2], size: [usize; 2], device: &Device) -> impl Iterator<Item = Kernel> {
    let plain = convolutions(channels).filter_map(move |conv| conv.kernels(size, device).ok());
    plain.chain(transposed(channels).filter_map(move |conv| conv.kernels(size, device).ok())).flatten()
}

/// Every convolution of those channels, valid or not.
fn convolutions([channels_in, channels_out]: [usize; 2]) -> impl Iterator<Item = Conv2d> {
    let paddings = [Padding::None].into_iter().chain(Border::ALL.map(Padding::Same));
    let shapes =
        [1, 3, 9].into_iter().flat_map(|kernel| [(1, false), (2, false), (1, true)].map(|step| (kernel, step)));
    let padded = paddings.flat_map(move |padding| shapes.clone().map(move |shape| (padding, shape)));
    padded.flat_map(move |(padding, (kernel, (stride, upsample)))| {
        [false, true].map(|relu| Conv2d { channels_in, channels_out, kernel, stride, padding, upsample, relu })
    })
}

/// Both transposed convolutions of those channels.
fn transposed([channels_in, channels_out]: [usize; 2]) -> impl Iterator<Item = ConvTranspose2d> {
    let of = move |relu| ConvTranspose2d { channels_in, channels_out, output_padding: 1, relu };
    [false, true].into_iter().map(of)
}

/// The kernels of a forward sum of an input of that size.
fn forward(problem: &Problem, input: [usize; 2], device: &Device) -> Vec<Kernel> {
    let precision = if device.matrices.is_some() { Precision::F16 } else { Precision::F32 };
    let mut all = Vec::new();
    for load in [Load::AsItIs, Load::Normalised] {
        for [bias, measured] in [[false, false], [false, true], [true, false], [true, true]] {
            let problem = Problem { images: 1, input, load, bias, measured, precision, ..problem.clone() };
            all.extend(problem.kernels(device));
        }
    }
    all
}

/// The kernels of the gradient of such a sum, from an output of that size.
fn gradient(problem: Problem, input: [usize; 2], relu: bool, device: &Device) -> Vec<Kernel> {
    let load = if relu { Load::Masked } else { Load::AsItIs };
    Problem { images: 1, input, load, ..problem }.kernels(device)
}

impl Conv2d {
    /// The kernels for an input of `size`: forward, gradients and packing.
    fn kernels(&self, size: [usize; 2], device: &Device) -> Result<Vec<Kernel>> {
        let output = self.output_size(size)?;
        let sums = forward(&self.problem(output), size, device);
        let gradient = gradient(self.input_gradient(size).0, output, self.relu, device);
        let packs = [false, true].map(|gradient| self.pack_kernel(device.class, gradient));
        let parameters = self.products_kernel(device.class, output[1]);
        Ok([sums, gradient, packs.to_vec(), vec![parameters]].concat())
    }
}

impl ConvTranspose2d {
    /// The kernels for an input of `size`: forward and the input gradient. All others are the convolution's.
    fn kernels(&self, size: [usize; 2], device: &Device) -> Result<Vec<Kernel>> {
        let output = self.output_size(size)?;
        let sums = forward(&self.problem(output), size, device);
        let gradient = gradient(self.convolution().problem(size), output, self.relu, device);
        Ok([sums, gradient].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// What any convolution records on any device is in the list.
    #[test]
    fn the_list_is_complete() {
        let known: HashSet<_> = kernels().into_iter().collect();
        let mut random = Random::new(1);
        for (mut device, _) in devices() {
            for _ in 0..100 {
                let mut below = |limit: usize| 1 + (random.bits() % limit as u64) as usize;
                let channels = [0; 2].map(|_| below(160).min(below(160))).map(&mut below);
                let size = [below(90), below(90)];
                let choices = Tuning::choices(device.class);
                device.tuning = choices[below(choices.len()) - 1].1(Tuning::rules(device.class));
                let unknown = kernels_of(channels, size, &device).find(|kernel| !known.contains(kernel));
                assert_eq!(unknown, None, "{channels:?} {size:?} on {:?}", device.class);
            }
        }
    }
}
