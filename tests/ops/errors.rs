//! Invalid recordings give errors that name the operation and the argument.

use impasto::gpu::{Context, ContextOptions, DeviceTensor, Recorder, Tensor};
use impasto::internal::{Block, Dispatch, Fields, Kernel};
use impasto::ops::clip;
use impasto::ops::conv2d::{Conv2d, ConvTranspose2d, Padding};
use impasto::ops::load::Input;
use impasto::ops::norm::{self, Affine, Norm, Over, Statistics};
use impasto::ops::pad::{self, Border, Placement};
use impasto::ops::pool::{Pool, Pooling};
use impasto::ops::square_loss::{self, Weight};
use impasto::ops::window::{self, Window};
use impasto::ops::{gram, lbfgs, mean_std, regions, relu, rows, tanh, total_variation, vector};
use impasto::{Error, Result};

use crate::harness::contexts;

/// A tensor that has been written.
pub fn filled<const R: usize>(rec: &mut Recorder, shape: [usize; R]) -> Tensor {
    let tensor = rec.transient("filled", shape);
    vector::fill(rec, tensor, 0.5).unwrap();
    tensor
}

/// Asserts that `record` fails with an error about this argument of this operation, in every kernel class.
pub fn refused<T>(op: &str, argument: &str, record: impl Fn(&mut Recorder) -> Result<T>) {
    for context in contexts() {
        match record(&mut Recorder::new(context)).err() {
            Some(Error::Argument { op: named, argument: blamed, expected, got }) => {
                assert_eq!((named.as_str(), blamed.as_str()), (op, argument));
                assert!(!expected.is_empty() && !got.is_empty() && expected != got, "{op}: {expected}, got {got}");
            }
            other => panic!("{op} does not refuse {argument}: {other:?}"),
        }
    }
}

const CONV: Conv2d = Conv2d {
    channels_in: 3,
    channels_out: 5,
    kernel: 3,
    stride: 1,
    padding: Padding::Same(Border::Reflect),
    upsample: false,
    relu: true,
};

/// A forward pass of `conv` on `x`, with packed weights and a bias that are too long by `more` elements.
fn forward<const R: usize>(rec: &mut Recorder, conv: Conv2d, x: [usize; R], more: [usize; 2]) -> Result<Tensor> {
    let count = conv.packed_count(rec.class())[0];
    let [packed, bias] = [count + more[0], conv.channels_out + more[1]].map(|length| filled(rec, [length]));
    let x = filled(rec, x);
    conv.forward(rec, x, packed, Some(bias))
}

#[test]
fn convolutions() {
    refused("conv2d", "x", |rec| forward(rec, CONV, [3, 7, 7], [0, 0]));
    refused("conv2d", "x", |rec| forward(rec, CONV, [1, 4, 7, 7], [0, 0]));
    refused("conv2d", "x", |rec| forward(rec, CONV, [1, 3, 1, 7], [0, 0]));
    refused("conv2d", "x", |rec| forward(rec, Conv2d { kernel: 9, ..CONV }, [1, 3, 4, 7], [0, 0]));
    refused("conv2d", "x", |rec| forward(rec, Conv2d { padding: Padding::None, ..CONV }, [1, 3, 2, 7], [0, 0]));
    refused("conv2d", "kernel and stride", |rec| forward(rec, Conv2d { kernel: 5, ..CONV }, [1, 3, 7, 7], [0, 0]));
    refused("conv2d", "kernel and stride", |rec| forward(rec, Conv2d { stride: 3, ..CONV }, [1, 3, 7, 7], [0, 0]));
    refused("conv2d", "stride", |rec| forward(rec, Conv2d { stride: 2, upsample: true, ..CONV }, [1, 3, 7, 7], [0, 0]));
    refused("conv2d", "weights", |rec| forward(rec, CONV, [1, 3, 7, 7], [1, 0]));
    refused("conv2d", "bias", |rec| forward(rec, CONV, [1, 3, 7, 7], [0, 1]));
    refused("conv2d pack", "weights", |rec| {
        let [weights, packed] = [filled(rec, [5, 3, 3, 2]), filled(rec, [CONV.packed_count(rec.class())[0]])];
        CONV.pack(rec, weights, false, packed)
    });

    let backward = |rec: &mut Recorder, dy: [usize; 4], y: Option<[usize; 4]>| {
        let packed = filled(rec, [CONV.packed_count(rec.class())[1]]);
        let [dy, y] = [Some(dy), y].map(|shape| shape.map(|shape| filled(rec, shape)));
        CONV.backward(rec, dy.unwrap(), y, packed, [7, 8])
    };
    refused("conv2d gradient", "dy", |rec| backward(rec, [1, 4, 7, 8], Some([1, 4, 7, 8])));
    refused("conv2d gradient", "dy", |rec| backward(rec, [1, 5, 8, 7], Some([1, 5, 8, 7])));
    refused("conv2d gradient", "y", |rec| backward(rec, [1, 5, 7, 8], None));
    refused("conv2d gradient", "y", |rec| backward(rec, [1, 5, 7, 8], Some([1, 5, 7, 7])));
    for context in contexts() {
        backward(&mut Recorder::new(context), [1, 5, 7, 8], Some([1, 5, 7, 8])).unwrap();
    }
}

#[test]
fn parameter_gradients() {
    type Shapes = ([usize; 4], [usize; 4], Option<[usize; 4]>, [usize; 4], usize);
    let right: Shapes = ([2, 3, 7, 8], [2, 5, 7, 8], Some([2, 5, 7, 8]), [5, 3, 3, 3], 5);
    let record = |rec: &mut Recorder, (x, dy, y, dweights, dbias): Shapes| {
        let [x, dy, dweights] = [x, dy, dweights].map(|shape| filled(rec, shape));
        let (y, dbias) = (y.map(|shape| filled(rec, shape)), filled(rec, [dbias]));
        CONV.backward_parameters(rec, x, dy, y, dweights, Some(dbias))
    };
    let op = "conv2d parameters";
    refused(op, "x", |rec| record(rec, ([2, 4, 7, 8], right.1, right.2, right.3, right.4)));
    refused(op, "dy", |rec| record(rec, (right.0, [1, 5, 7, 8], right.2, right.3, right.4)));
    refused(op, "dy", |rec| record(rec, (right.0, [2, 5, 8, 7], right.2, right.3, right.4)));
    refused(op, "y", |rec| record(rec, (right.0, right.1, None, right.3, right.4)));
    refused(op, "y", |rec| record(rec, (right.0, right.1, Some([2, 5, 8, 7]), right.3, right.4)));
    refused(op, "dweights", |rec| record(rec, (right.0, right.1, right.2, [3, 5, 3, 3], right.4)));
    refused(op, "dbias", |rec| record(rec, (right.0, right.1, right.2, right.3, 3)));
    for context in contexts() {
        record(&mut Recorder::new(context), right).unwrap();
    }
}

#[test]
fn transposed_convolutions() {
    let conv = ConvTranspose2d { channels_in: 3, channels_out: 5, output_padding: 1, relu: true };
    type Shapes = ([usize; 4], [usize; 4], Option<[usize; 4]>);
    let right: Shapes = ([2, 3, 4, 5], [2, 5, 8, 10], Some([2, 5, 8, 10]));
    let forward = |rec: &mut Recorder, conv: ConvTranspose2d, x: [usize; 4], more: [usize; 2]| {
        let count = conv.packed_count(rec.class())[0];
        let [packed, bias] = [count + more[0], conv.channels_out + more[1]].map(|length| filled(rec, [length]));
        let x = filled(rec, x);
        conv.forward(rec, x, packed, Some(bias))
    };
    let op = "transposed conv2d";
    refused(op, "x", |rec| forward(rec, conv, [2, 4, 4, 5], [0, 0]));
    refused(op, "output padding", |rec| forward(rec, ConvTranspose2d { output_padding: 2, ..conv }, right.0, [0, 0]));
    refused(op, "weights", |rec| forward(rec, conv, right.0, [1, 0]));
    refused(op, "bias", |rec| forward(rec, conv, right.0, [0, 1]));

    let backward = |rec: &mut Recorder, (_, dy, y): Shapes, size: [usize; 2]| {
        let packed = filled(rec, [conv.packed_count(rec.class())[1]]);
        let (dy, y) = (filled(rec, dy), y.map(|shape| filled(rec, shape)));
        conv.backward(rec, dy, y, packed, size)
    };
    let op = "transposed conv2d gradient";
    refused(op, "dy", |rec| backward(rec, (right.0, [2, 5, 7, 10], right.2), [4, 5]));
    refused(op, "dy", |rec| backward(rec, right, [5, 4]));
    refused(op, "y", |rec| backward(rec, (right.0, right.1, None), [4, 5]));
    refused("transposed conv2d", "x", |rec| backward(rec, right, [0, 5]));

    let parameters = |rec: &mut Recorder, (x, dy, y): Shapes, dweights: [usize; 4], dbias: usize| {
        let [x, dy, dweights] = [x, dy, dweights].map(|shape| filled(rec, shape));
        let (y, dbias) = (y.map(|shape| filled(rec, shape)), filled(rec, [dbias]));
        conv.backward_parameters(rec, x, dy, y, dweights, Some(dbias))
    };
    let op = "transposed conv2d parameters";
    refused(op, "x", |rec| parameters(rec, ([2, 4, 4, 5], right.1, right.2), [3, 5, 3, 3], 5));
    refused(op, "dy", |rec| parameters(rec, ([1, 3, 4, 5], right.1, right.2), [3, 5, 3, 3], 5));
    refused(op, "y", |rec| parameters(rec, (right.0, right.1, None), [3, 5, 3, 3], 5));
    refused("conv2d parameters", "dweights", |rec| parameters(rec, right, [5, 3, 3, 3], 5));
    refused(op, "dbias", |rec| parameters(rec, right, [3, 5, 3, 3], 3));
    for context in contexts() {
        let rec = &mut Recorder::new(context);
        forward(rec, conv, right.0, [0, 0]).unwrap();
        backward(rec, right, [4, 5]).unwrap();
        parameters(rec, right, [3, 5, 3, 3], 5).unwrap();
    }
}

#[test]
fn clipping() {
    let norm = |rec: &mut Recorder, gradients: usize, squares: usize, out: usize| {
        let gradients: Vec<_> = (0..gradients).map(|_| filled(rec, [3])).collect();
        let (squares, out) = (filled(rec, [squares]), filled(rec, [out]));
        clip::norm(rec, &gradients, 1.0, squares, out)
    };
    refused("clip", "gradients", |rec| norm(rec, 0, 1, 2));
    refused("clip", "squares", |rec| norm(rec, 2, 1, 2));
    refused("clip", "out", |rec| norm(rec, 1, 1, 3));
}

#[test]
fn borders_and_pools() {
    let at = Placement { before: 1, size: [5, 6], scale: 1 };
    refused("pad", "mask", |rec| {
        let [x, mask] = [filled(rec, [1, 2, 3, 4]), filled(rec, [1, 1, 3, 4])];
        pad::forward(rec, Input::masked(x, mask), Border::Zero, at)
    });
    refused("pad gradient", "dy", |rec| {
        let dy = filled(rec, [1, 2, 5, 5]);
        pad::backward(rec, dy, Border::Reflect, at, [3, 4])
    });
    refused("pad gradient", "dy", |rec| {
        let dy = filled(rec, [1, 2, 5, 6]);
        pad::backward(rec, dy, Border::Zero, at, [3, 6])
    });
    refused("cut", "x", |rec| {
        let x = filled(rec, [1, 2, 5, 6]);
        pad::cut(rec, x, 2, [3, 5])
    });
    let pool = Pool { kind: Pooling::Max, ceil: false };
    refused("pool", "x", |rec| {
        let x = filled(rec, [1, 2, 1, 4]);
        pool.forward(rec, x)
    });
    refused("pool gradient", "dy", |rec| {
        let [x, dy] = [filled(rec, [1, 2, 5, 4]), filled(rec, [1, 2, 3, 2])];
        pool.backward(rec, x, dy)
    });
    refused("relu gradient", "dy", |rec| {
        let [y, dy] = [filled(rec, [1, 2, 5, 4]), filled(rec, [1, 2, 4, 5])];
        relu::backward(rec, y, dy)
    });
    refused("tanh gradient", "dy", |rec| {
        let [y, dy] = [filled(rec, [1, 2, 5, 4]), filled(rec, [1, 2, 4, 5])];
        tanh::backward(rec, y, dy)
    });
}

#[test]
fn statistics_and_losses() {
    refused("gram", "features", |rec| {
        let features = filled(rec, [2, 9]);
        gram::forward(rec, features, 1.0)
    });
    refused("gram gradient", "dgram", |rec| {
        let [features, dgram] = [filled(rec, [1, 2, 3, 3]), filled(rec, [1, 3, 3, 1])];
        gram::backward(rec, features, dgram, 1.0)
    });
    refused("mean_std gradient", "dstd", |rec| {
        let x = filled(rec, [1, 2, 3, 3]);
        let statistics = mean_std::forward(rec, x, 1e-5)?;
        let [dmean, dstd] = [filled(rec, [1, 2]), filled(rec, [2, 1])];
        mean_std::backward(rec, x, statistics, dmean, dstd)
    });
    refused("norm", "weights", |rec| {
        let (x, weights) = (filled(rec, [1, 2, 3, 4]), filled(rec, [4, 3]));
        Norm::default().weighted_statistics(rec, x, weights)
    });
    let loss = |rec: &mut Recorder, target: usize, slot: usize| {
        let [x, target, losses] = [7, target, 2].map(|length| filled(rec, [length]));
        let weight = Weight::new(rec, 1.0);
        square_loss::forward(rec, x, target, weight, losses, slot)
    };
    refused("square_loss", "target", |rec| loss(rec, 8, 0));
    refused("sum", "slot", |rec| loss(rec, 7, 2));
    refused("total_variation", "x", |rec| {
        let [x, losses] = [filled(rec, [7, 7]), filled(rec, [1, 1])];
        total_variation::forward(rec, x, 1.0, losses, 0)
    });
}

#[test]
fn normalisations() {
    type Shapes = ([usize; 2], [usize; 4], [usize; 2]);
    let right: Shapes = ([3, 3], [2, 3, 4, 5], [3, 3]);
    let record = |rec: &mut Recorder, over: Over, (affine, dy, gradients): Shapes| {
        let pair = |rec: &mut Recorder, [gamma, beta]: [usize; 2]| Affine {
            gamma: filled(rec, [gamma]),
            beta: filled(rec, [beta]),
        };
        let (x, dy) = (filled(rec, [2, 3, 4, 5]), filled(rec, dy));
        let (affine, gradients) = (pair(rec, affine), pair(rec, gradients));
        let (_, statistics) = Norm { over: Over::Batch, relu: true }.forward(rec, x, None, affine)?;
        Norm { over, relu: true }.backward(rec, x, statistics, affine, dy, gradients)
    };
    refused("norm", "gamma", |rec| record(rec, Over::Batch, ([2, 3], right.1, right.2)));
    refused("norm", "beta", |rec| record(rec, Over::Batch, ([3, 4], right.1, right.2)));
    refused("norm gradient", "mean", |rec| record(rec, Over::Instance, right));
    refused("norm gradient", "dy", |rec| record(rec, Over::Batch, (right.0, [2, 3, 5, 4], right.2)));
    refused("norm gradient", "dgamma", |rec| record(rec, Over::Batch, (right.0, right.1, [2, 3])));
    refused("norm gradient", "dbeta", |rec| record(rec, Over::Batch, (right.0, right.1, [3, 4])));
    for context in contexts() {
        record(&mut Recorder::new(context), Over::Batch, right).unwrap();
    }

    refused("norm", "addend", |rec| {
        let [x, affine, addend] = [filled(rec, [2, 3, 4, 5]), filled(rec, [3]), filled(rec, [2, 3, 4, 4])];
        let norm = Norm { over: Over::Batch, relu: true };
        let statistics = norm.statistics(rec, x, None)?;
        norm.apply(rec, x, statistics, Affine { gamma: affine, beta: affine }, Some(addend))
    });

    // A deferred norm must have a ReLU.
    refused("deferred norm", "norm", |rec| {
        let (x, affine) = (filled(rec, [1, 2, 3, 4]), filled(rec, [2]));
        let norm = Norm { over: Over::Instance, relu: false };
        let statistics = norm.statistics(rec, x, None)?;
        norm.defer(rec, x, statistics, Affine { gamma: affine, beta: affine })
    });

    let track = |rec: &mut Recorder, [mean, variance, running_mean, running_variance]: [usize; 4], count: usize| {
        let pair = |rec: &mut Recorder, mean: usize, variance: usize| Statistics {
            mean: filled(rec, [mean]),
            variance: filled(rec, [variance]),
        };
        let (statistics, running) = (pair(rec, mean, variance), pair(rec, running_mean, running_variance));
        norm::track(rec, statistics, count, 0.1, running)
    };
    let op = "norm tracking";
    refused(op, "mean", |rec| track(rec, [4, 3, 3, 3], 2));
    refused(op, "variance", |rec| track(rec, [3, 4, 3, 3], 2));
    refused(op, "running variance", |rec| track(rec, [3, 3, 3, 4], 2));
    refused(op, "count", |rec| track(rec, [3, 3, 3, 3], 1));
    for context in contexts() {
        track(&mut Recorder::new(context), [3, 3, 3, 3], 2).unwrap();
    }
}

#[test]
fn vectors_and_histories() {
    let lengths = |rec: &mut Recorder, lengths: [usize; 3]| lengths.map(|length| filled(rec, [length]));
    refused("affine", "y", |rec| {
        let [x, y, z] = lengths(rec, [7, 8, 7]);
        vector::affine(rec, 1.0, x, 1.0, y, z)
    });
    refused("dot_parts", "y", |rec| {
        let [x, y, out] = lengths(rec, [7, 8, 1]);
        vector::dot(rec, x, y, out, 0)
    });
    refused("maximum", "slot", |rec| {
        let [x, _, out] = lengths(rec, [7, 7, 1]);
        vector::absolute_max(rec, x, out, 1)
    });
    let passes = |rec: &mut Recorder, x: usize, products: usize, coefficients: usize, direction: usize| {
        let history = filled(rec, [3, 7]);
        let x = filled(rec, [x]);
        let [products, coefficients, direction] = lengths(rec, [products, coefficients, direction]);
        lbfgs::inner(rec, history, x, products)?;
        lbfgs::combine(rec, history, x, coefficients, direction)
    };
    refused("lbfgs", "history", |rec| passes(rec, 8, 3, 4, 7));
    refused("lbfgs", "products", |rec| passes(rec, 7, 2, 4, 7));
    refused("lbfgs", "coefficients", |rec| passes(rec, 7, 3, 3, 7));
    refused("lbfgs", "direction", |rec| passes(rec, 7, 3, 4, 6));
    for context in contexts() {
        passes(&mut Recorder::new(context), 7, 3, 4, 7).unwrap();
    }
}

#[test]
fn tables() {
    let mix = |rec: &mut Recorder, table: [usize; 2], dy: [usize; 2], dtable: [usize; 2]| {
        let (weights, table) = (filled(rec, [2, 3]), filled(rec, table));
        let [dy, dtable] = [dy, dtable].map(|shape| filled(rec, shape));
        rows::mix(rec, weights, table)?;
        rows::mix_gradient(rec, weights, dy, dtable)
    };
    refused("mix", "table", |rec| mix(rec, [2, 5], [2, 5], [3, 5]));
    refused("mix gradient", "dtable", |rec| mix(rec, [3, 5], [2, 5], [2, 5]));
    refused("mix gradient", "dy", |rec| mix(rec, [3, 5], [2, 4], [3, 5]));
    refused("mix", "weights", |rec| {
        let [weights, table] = [filled(rec, [1, 2, 3]), filled(rec, [3, 5, 1])];
        rows::mix(rec, weights, table)
    });
    refused("scale", "factors", |rec| {
        let [x, factors] = [filled(rec, [2, 5]), filled(rec, [5, 1])];
        rows::scale(rec, x, factors)
    });
    for context in contexts() {
        mix(&mut Recorder::new(context), [3, 5], [2, 5], [3, 5]).unwrap();
    }
}

#[test]
fn masks() {
    let add = |rec: &mut Recorder, mask: [usize; 2], z: [usize; 4]| {
        let (x, mask, z) = (filled(rec, [2, 3, 4, 5]), filled(rec, mask), filled(rec, z));
        regions::add(rec, x, mask, z).map(|()| z)
    };
    refused("regions", "mask", |rec| add(rec, [5, 4], [2, 3, 4, 5]));
    refused("regions", "z", |rec| add(rec, [4, 5], [2, 3, 5, 4]));
    refused("regions", "mask", |rec| {
        let (x, mask) = (filled(rec, [2, 3, 4, 5]), filled(rec, [20]));
        regions::scale(rec, x, mask)
    });
}

#[test]
fn windows() {
    let window = |rec: &mut Recorder| Window::new(rec, [4, 5], [2, 3], [1, 1]);
    refused("window", "size", |rec| Window::new(rec, [4, 5], [5, 5], [0, 0]));
    refused("window", "size", |rec| Window::new(rec, [4, 5], [2, 0], [0, 0]));
    refused("window", "at", |rec| Window::new(rec, [4, 5], [2, 3], [0, 3]));
    refused("window", "x", |rec| {
        let (window, x) = (window(rec)?, filled(rec, [1, 2, 5, 4]));
        window::cut(rec, x, window)
    });
    let add = |rec: &mut Recorder, y: [usize; 4], z: [usize; 4]| {
        let (window, y, z) = (window(rec)?, filled(rec, y), filled(rec, z));
        window::add(rec, y, window, z).map(|()| z)
    };
    refused("window", "y", |rec| add(rec, [1, 2, 3, 2], [1, 2, 4, 5]));
    refused("window", "y", |rec| add(rec, [1, 1, 2, 3], [1, 2, 4, 5]));
    refused("window", "z", |rec| add(rec, [1, 2, 2, 3], [1, 2, 5, 4]));
}

/// Parameter blocks for the kernel `fill`, right and wrong ones.
macro_rules! blocks {
    ($($name:ident[$length:literal]: $fields:expr),*) => {$(
        #[repr(C)]
        #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
        struct $name([f32; $length]);

        impl Block for $name {
            const FIELDS: Fields = $fields;
        }
    )*};
}

blocks! {
    Right[3]: &[("a", 0), ("b", 4), ("slot", 8)],
    Short[2]: &[("a", 0), ("b", 4), ("slot", 8)],
    Misnamed[3]: &[("a", 0), ("c", 4), ("slot", 8)],
    Misplaced[3]: &[("a", 0), ("b", 8), ("slot", 8)],
    Partial[3]: &[("a", 0), ("b", 4)]
}

fn fill_with<T: Block>(rec: &mut Recorder, params: T) -> impasto::Result<()> {
    let z = filled(rec, [7]);
    rec.dispatch(Dispatch::new(Kernel::new("vector.wgsl", "fill"), "a fill").bind("z", z).params(&params))
}

#[test]
fn dispatches() {
    refused("relu", "x", |rec| {
        let unwritten = rec.transient("unwritten", [7]);
        relu::forward(rec, unwritten)
    });
    refused("affine", "bindings", |rec| {
        let [x, y] = [7, 7].map(|length| filled(rec, [length]));
        vector::affine(rec, 1.0, x, 1.0, y, y).map(|()| x)
    });
    refused("a relu", "y", |rec| {
        let x = filled(rec, [7]);
        rec.dispatch(Dispatch::new(Kernel::new("relu.wgsl", "forward"), "a relu").bind("x", x))
    });
    refused("a relu", "bindings", |rec| {
        let x = filled(rec, [7]);
        let y = rec.transient("y", [7]);
        let dispatch = Dispatch::new(Kernel::new("relu.wgsl", "forward"), "a relu").bind("x", x).bind("y", y);
        rec.dispatch(dispatch.bind("dy", x)) // a variable of the file, but not of this kernel
    });
    refused("a relu", "bindings", |rec| {
        let x = filled(rec, [7]);
        let y = rec.transient("y", [7]);
        let dispatch = Dispatch::new(Kernel::new("relu.wgsl", "forward"), "a relu").bind("x", x).bind("y", y);
        rec.dispatch(dispatch.bind_any(&["z", "z_rows"], x))
    });
    refused("a fill", "params", |rec| {
        let z = filled(rec, [7]);
        rec.dispatch(Dispatch::new(Kernel::new("vector.wgsl", "fill"), "a fill").bind("z", z))
    });
    refused("a fill", "params", |rec| fill_with(rec, Short([0.0; 2])));
    refused("a fill", "params", |rec| fill_with(rec, Misnamed([0.0; 3])));
    refused("a fill", "params", |rec| fill_with(rec, Misplaced([0.0; 3])));
    refused("a fill", "params", |rec| fill_with(rec, Partial([0.0; 3])));
    for context in contexts() {
        let mut rec = Recorder::new(context);
        fill_with(&mut rec, Right([0.0; 3])).unwrap();
        let [stranger, other] = [(); 2].map(|()| filled(&mut Recorder::new(context), [7]));
        let error = relu::forward(&mut rec, stranger).unwrap_err().to_string();
        assert!(error.contains("relu: x must be a tensor of this recorder"), "{error}");
        assert!(rec.output(other).unwrap_err().to_string().contains("a tensor of this recorder"));
    }
    let [one, two] = [(); 2].map(|()| Context::new(&ContextOptions::default()).unwrap());
    let mut rec = Recorder::new(&one);
    let x = rec.pin(&DeviceTensor::new(&two, "a stranger", [7]));
    let error = relu::forward(&mut rec, x).unwrap_err().to_string();
    assert!(error.contains("context") && error.contains("a stranger"), "{error}");
    for context in contexts() {
        let kernel = Kernel::new("relu.wgsl", "forward").set("TILE", 3u32);
        let error = Recorder::new(context).dispatch(Dispatch::new(kernel, "a relu")).unwrap_err();
        assert!(matches!(error, Error::Shader { .. }) && error.to_string().contains("TILE"), "{error}");
    }
}

/// The message names the tensor, and a failed dispatch leaves the recording unchanged.
#[test]
fn a_failed_dispatch_leaves_the_recording_unchanged() {
    for context in contexts() {
        let mut rec = Recorder::new(context);
        let unwritten = rec.transient("the unwritten one", [7]);
        let error = relu::forward(&mut rec, unwritten).unwrap_err().to_string();
        assert!(error.contains("relu") && error.contains("the unwritten one"), "{error}");
        let x = filled(&mut rec, [7]);
        relu::forward(&mut rec, x).unwrap();
        let program = rec.finish().unwrap();
        assert_eq!(program.dispatches(), 2);
        program.run().unwrap();
    }
}
