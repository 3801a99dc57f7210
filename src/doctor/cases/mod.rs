//! Known answers: builders of cases for every operation, which the tests use with many shapes, and the list that the
//! doctor checks on an adapter.
#![allow(missing_docs)]

pub mod conv2d;
pub mod features;
pub mod norm;
pub mod resample;
pub mod steady;
pub mod vectors;

use super::case::{Case, SUM};
use crate::gpu::Precision;
use crate::ops::conv2d::{Conv2d, ConvTranspose2d, Padding};
use crate::ops::norm::{Norm, Over};
use crate::ops::pad::Border;
use crate::ops::pool::Pooling;
use crate::reference::Array;
use conv2d::Setting;

/// Number and size of pictures or feature maps: `24x16`, `2 of 24x16`.
pub fn pictures(images: usize, height: usize, width: usize) -> String {
    let size = format!("{width}x{height}");
    if images == 1 { size } else { format!("{images} of {size}") }
}

/// Makes a case. The right results are computed when it is called.
pub type Make = Box<dyn Fn() -> Case<'static> + Send + Sync>;

/// A feature map whose sides are multiples of four, and one whose sides are not.
const SIDES: [[usize; 2]; 2] = [[24, 24], [21, 27]];

fn make(case: impl Fn() -> Case<'static> + Send + Sync + 'static) -> Make {
    Box::new(case)
}

/// The cases of `f`, which gives `count` of them.
fn each(count: usize, f: impl Fn() -> Vec<Case<'static>> + Clone + Send + Sync + 'static) -> Vec<Make> {
    let one = |index: usize| {
        let f = f.clone();
        make(move || f().swap_remove(index))
    };
    (0..count).map(one).collect()
}

/// A 3×3 convolution of stride 1.
fn conv([channels_in, channels_out]: [usize; 2], padding: Padding, relu: bool) -> Conv2d {
    Conv2d { channels_in, channels_out, kernel: 3, stride: 1, padding, upsample: false, relu }
}

/// Cases of one kind.
pub struct Group {
    pub name: &'static str,
    pub cases: Vec<Make>,
}

/// Every case that the doctor checks with nets of that precision.
pub fn all(precision: Precision) -> Vec<Group> {
    let group = |name, cases| Group { name, cases };
    let mut all = vec![
        group("convolutions of VGG-19 and its students", encoder(precision)),
        group("convolutions of AdaIN's decoder", decoder(precision)),
        group("convolutions of feed-forward nets", transform_net(precision)),
        group("padding and cutting", padding(precision)),
        group("changes of size", resampling(precision)),
        group("pooling", pooling(precision)),
        group("norms, statistics and activations", activations(precision)),
        group("Gram matrices and losses", losses(precision)),
        group("vectors and optimisers", optimisation()),
    ];
    // Training requires f32.
    if precision == Precision::F32 {
        all.push(group("gradients of parameters", training()));
    }
    all
}

/// The setting of a net's convolution.
fn setting(size: [usize; 2], precision: Precision) -> Setting {
    Setting { images: 1, size, bias: true, own_weights: false, precision }
}

/// The convolutions of VGG-19 and of its narrower students, with their input gradients.
fn encoder(precision: Precision) -> Vec<Make> {
    let mut all = Vec::new();
    let mut add = |conv, size| all.push(make(move || conv2d::sums(conv, setting(size, precision))));
    for border in [Border::Zero, Border::Reflect] {
        let padding = Padding::Same(border);
        for size in SIDES {
            add(Conv2d { kernel: 1, padding: Padding::None, ..conv([3, 3], padding, false) }, size);
            for channels in [[3, 16], [3, 64], [16, 16], [16, 64], [32, 36]] {
                add(conv(channels, padding, true), size);
            }
        }
        // Small Winograd tiles, and maps that are too small for tiles.
        for size in [[16, 16], [15, 18], [4, 4], [5, 7]] {
            add(conv([64, 68], padding, true), size);
        }
    }
    // Sums as long as those of VGG-19, and several slices of output channels.
    let zero = Padding::Same(Border::Zero);
    add(conv([64, 64], zero, true), [24, 24]);
    add(conv([128, 256], zero, true), [16, 16]);
    add(conv([512, 512], zero, true), [2, 3]);
    all
}

/// The convolutions of AdaIN's decoder, with their input gradients.
fn decoder(precision: Precision) -> Vec<Make> {
    let mut all = Vec::new();
    let mut add = |conv, size| all.push(make(move || conv2d::sums(conv, setting(size, precision))));
    let padding = Padding::Same(Border::Reflect);
    for (channels, size) in
        [([128, 128], [8, 8]), ([16, 16], [12, 12]), ([16, 16], [9, 13]), ([64, 64], [12, 12]), ([32, 36], [9, 13])]
    {
        add(Conv2d { upsample: true, ..conv(channels, padding, true) }, size);
    }
    for size in SIDES {
        for channels in [[64, 3], [32, 3], [16, 3]] {
            add(conv(channels, padding, false), size);
        }
        add(conv([64, 32], padding, true), size);
    }
    add(conv([256, 128], padding, true), [8, 8]);
    all
}

/// The layers of the feed-forward nets: with instance norm, which loads fuse, and with batch norm, which the weights
/// contain.
fn transform_net(precision: Precision) -> Vec<Make> {
    let mut all = Vec::new();
    // The resize form reflects; the paper's form pads with zeros, and its residual blocks not at all.
    for (border, inner) in [(Border::Reflect, Padding::Same(Border::Reflect)), (Border::Zero, Padding::None)] {
        let padding = Padding::Same(border);
        for c in [8, 16, 32] {
            for size in SIDES {
                let first = Conv2d { kernel: 9, ..conv([3, c], padding, false) };
                let last = Conv2d { kernel: 9, ..conv([c, 3], padding, false) };
                let smaller = Conv2d { stride: 2, ..conv([c, 2 * c], padding, false) };
                let smallest = Conv2d { stride: 2, ..conv([2 * c, 4 * c], padding, false) };
                let relu = |conv| Conv2d { relu: true, ..conv };
                for conv in [first, relu(first), smaller, relu(smaller), smallest, relu(smallest), last] {
                    all.push(make(move || conv2d::sums(conv, setting(size, precision))));
                }
                for conv in [smaller, smallest, last] {
                    all.push(make(move || conv2d::of_norm(conv, 1, size, precision)));
                }
            }
            let half = SIDES.map(|size| size.map(|side| side / 2));
            for (channels, size) in [[4 * c, 2 * c], [2 * c, c]].into_iter().flat_map(|c| half.map(|size| (c, size))) {
                let enlarging = Conv2d { upsample: true, ..conv(channels, Padding::Same(Border::Reflect), false) };
                let [channels_in, channels_out] = channels;
                let transposed = ConvTranspose2d { channels_in, channels_out, output_padding: 1, relu: false };
                for relu in [false, true] {
                    let (enlarging, transposed) =
                        (Conv2d { relu, ..enlarging }, ConvTranspose2d { relu, ..transposed });
                    match border {
                        Border::Zero => all.push(make(move || conv2d::transposed_sum(transposed, 1, size, precision))),
                        _ => all.push(make(move || conv2d::sums(enlarging, setting(size, precision)))),
                    }
                }
                match border {
                    Border::Zero => {
                        all.push(make(move || conv2d::transposed_of_norm(transposed, 1, size, precision)));
                    }
                    _ => all.push(make(move || conv2d::before_norm(enlarging, Over::Instance, 1, size, precision))),
                }
            }
        }
        // Residual blocks, whose convolutions also measure their output for a norm.
        let narrow = [[16, 16], [15, 17], [6, 8], [24, 24], [23, 26]].map(|size| ([32, 32], size));
        for (channels, size) in narrow.into_iter().chain([([128, 128], [16, 16])]) {
            for relu in [false, true] {
                let block = conv(channels, inner, relu);
                all.push(make(move || conv2d::sums(block, setting(size, precision))));
            }
            let block = conv(channels, inner, false);
            all.push(make(move || conv2d::before_norm(block, Over::Instance, 1, size, precision)));
        }
    }
    all
}

/// Borders, enlargement and cropping.
fn padding(precision: Precision) -> Vec<Make> {
    let mut all = Vec::new();
    for size in SIDES {
        let shape = [1, 3, size[0], size[1]];
        for border in Border::ALL {
            for scale in [1, 2] {
                for (before, after) in [(1, 1), (1, 4)] {
                    let at = features::placement(shape, before, after, scale);
                    all.push(make(move || features::padding(border, shape, at, precision)));
                    all.push(make(move || features::padding_of_norm(border, shape, at, precision)));
                    all.push(make(move || features::padding_gradient(border, shape, at)));
                }
            }
        }
        for part in [[20, 20], [19, 18]] {
            all.push(make(move || features::cut(shape, 0, part, precision)));
            all.push(make(move || features::cut(shape, 1, part, precision)));
            all.push(make(move || features::window(shape, part, [1, 2], precision)));
        }
    }
    all
}

/// Changes of size, and the layers of the nets that enlarge.
fn resampling(precision: Precision) -> Vec<Make> {
    let mut all = Vec::new();
    for size in SIDES {
        for to in [[48, 48], [12, 9], [5, 70]] {
            all.push(make(move || resample::resampled([1, 3, size[0], size[1]], to, precision)));
        }
        let padding = Padding::Same(Border::Reflect);
        for c in [32, 64] {
            let inner = conv([c, c], padding, true);
            let first = Conv2d { kernel: 9, ..conv([3, c], padding, true) };
            let last = Conv2d { kernel: 9, ..conv([c, 3], padding, false) };
            for conv in [first, inner, Conv2d { relu: false, ..inner }, Conv2d { upsample: true, ..inner }, last] {
                all.push(make(move || conv2d::sums(conv, setting(size, precision))));
            }
        }
    }
    all
}

fn pooling(precision: Precision) -> Vec<Make> {
    let mut all = Vec::new();
    for [height, width] in SIDES {
        for kind in [Pooling::Max, Pooling::Average] {
            for ceil in [false, true] {
                let x = move || Array::distinct(&[1, 17, height, width], 21);
                all.push(make(move || features::pool(kind, ceil, &x(), precision)));
            }
        }
    }
    all
}

/// What the nets do with activations between convolutions.
fn activations(precision: Precision) -> Vec<Make> {
    let mut all = Vec::new();
    for size in SIDES {
        let shape = move |channels| [1, channels, size[0], size[1]];
        for relu in [false, true] {
            let layer = Norm { over: Over::Instance, relu };
            all.push(make(move || norm::applied(layer, shape(35), precision)));
        }
        all.push(make(move || features::statistics(&Array::random(&shape(33), 41), precision)));
        all.push(make(move || norm::weighted(shape(35), precision)));
        all.push(make(move || steady::smoothed(shape(5), precision)));
        all.extend([false, true].map(|has_depth| make(move || steady::blended(size, has_depth, precision))));
        all.push(make(move || features::masked_sum(shape(6), precision)));
        all.push(make(move || features::masked(shape(6), precision)));
        all.push(make(move || features::rectified(&shape(5), precision)));
        all.push(make(move || features::bent(&shape(3), 5.0, precision)));
        all.push(make(move || vectors::sums(size[0] * size[1], precision)));
        all.push(make(move || vectors::filled(size[0] * size[1], precision)));
    }
    all
}

fn losses(precision: Precision) -> Vec<Make> {
    let mut all = Vec::new();
    for shape in [[1, 64, 24, 24], [1, 16, 21, 27], [1, 3, 8, 8], [1, 36, 5, 7]] {
        all.push(make(move || features::gram_matrix(shape, precision)));
        all.push(make(move || features::square_loss(&shape, precision)));
    }
    all.push(make(|| features::square_loss(&[1, 64, 64], Precision::F32)));
    for size in SIDES {
        all.push(make(move || features::variation([1, 3, size[0], size[1]])));
    }
    all
}

/// What L-BFGS and Adam do with pictures.
fn optimisation() -> Vec<Make> {
    let mut all = Vec::new();
    for length in [64 * 64 * 3, 61 * 45 * 3] {
        all.extend(each(4, move || vectors::in_place(length)));
        all.extend(each(3, move || vectors::reductions(length)));
        all.push(make(move || vectors::sums(length, Precision::F32)));
        all.push(make(move || vectors::clamp_gradient(length)));
        all.push(make(move || vectors::history(5, length)));
        all.extend([false, true].map(|clipped| make(move || vectors::adam_step(length, clipped))));
    }
    all
}

/// Parameter gradients and trained norms.
fn training() -> Vec<Make> {
    let mut all = Vec::new();
    let reflect = Padding::Same(Border::Reflect);
    for size in SIDES {
        for padding in [Padding::None, Padding::Same(Border::Zero), reflect] {
            for (kernel, stride, upsample, channels) in [
                (1, 1, false, [17, 33]),
                (1, 1, false, [9, 17]),
                (3, 1, false, [16, 36]),
                (3, 1, true, [17, 9]),
                (3, 2, false, [17, 33]),
                (3, 2, false, [9, 17]),
                (9, 1, false, [3, 16]),
                (9, 1, false, [9, 3]),
            ] {
                let conv = Conv2d { kernel, stride, upsample, ..conv(channels, padding, kernel == 3) };
                all.push(make(move || conv2d::parameters(conv, 1, size)));
            }
        }
        for over in [Over::Instance, Over::Batch] {
            for relu in [false, true] {
                let x = move || Array::random(&[2, 16, size[0], size[1]], 136);
                all.push(make(move || norm::Problem::new(x()).case(Norm { over, relu })));
            }
        }
        all.push(make(move || norm::running(Norm { over: Over::Batch, relu: true }, [3, 16, size[0], size[1]])));
        let transposed = ConvTranspose2d { channels_in: 32, channels_out: 17, output_padding: 1, relu: false };
        all.push(make(move || conv2d::transposed(transposed, 2, size.map(|side| side / 2), true)));
    }
    all.push(make(|| vectors::mix(&Array::random(&[4, 6], 150), 128, SUM)));
    all.push(make(|| vectors::scaled_images(&[4, 2, 7, 9])));
    all.push(make(|| vectors::gradient_norm(&[&[5], &[3, 2, 3, 3], &[4097]], 0.7)));
    all
}
