//! A small net trained on the device against PyTorch: losses, gradients, and weights after ten Adam steps.

use impasto::gpu::{Context, DeviceTensor, Recorder, Shape, Tensor};
use impasto::io::WeightFile;
use impasto::ops::conv2d::{Conv2d, Padding};
use impasto::ops::pad::Border;
use impasto::ops::pool::{Pool, Pooling};
use impasto::ops::square_loss::{self, Weight};
use impasto::optim::{AdamOptions, Parameter, ParameterAdam};

use crate::reference::{Array, compare};
use crate::{array, contexts, device, fixture};

/// 3×3 with reflection and ReLU, 2×2 max pooling, 3×3 with zero padding, stride 2 and ReLU, 1×1.
const CONVS: [Conv2d; 3] = [
    Conv2d {
        channels_in: 3,
        channels_out: 8,
        kernel: 3,
        stride: 1,
        padding: Padding::Same(Border::Reflect),
        upsample: false,
        relu: true,
    },
    Conv2d {
        channels_in: 8,
        channels_out: 12,
        kernel: 3,
        stride: 2,
        padding: Padding::Same(Border::Zero),
        upsample: false,
        relu: true,
    },
    Conv2d {
        channels_in: 12,
        channels_out: 4,
        kernel: 1,
        stride: 1,
        padding: Padding::None,
        upsample: false,
        relu: false,
    },
];

const POOL: Pool = Pool { kind: Pooling::Max, ceil: false };

/// The initial parameters: weight and bias of each convolution.
fn parameters(context: &Context, file: &WeightFile) -> Vec<Parameter> {
    let names = (1..=3).flat_map(|layer| ["weight", "bias"].map(|kind| format!("conv{layer}.{kind}")));
    let parameter = |name: String| {
        let value = device(context, &array(file, &name));
        Parameter { gradient: DeviceTensor::new(context, "gradient", value.shape()), value, name }
    };
    names.map(parameter).collect()
}

/// Records a forward and backward pass: writes the loss of `x` to `loss` and accumulates the parameters' gradients.
fn record(rec: &mut Recorder, parameters: &[Parameter], x: Tensor, target: Tensor, weight: f32, loss: Tensor) {
    let mut packed = Vec::new();
    for (conv, pair) in CONVS.iter().zip(parameters.chunks(2)) {
        let weights = rec.pin(&pair[0].value);
        let both = conv.packed_count(rec.class()).map(|count| rec.transient("packed", [count]));
        conv.pack(rec, weights, false, both[0]).unwrap();
        conv.pack(rec, weights, true, both[1]).unwrap();
        packed.push(both);
    }
    let forward = |rec: &mut Recorder, layer: usize, x: Tensor| {
        let bias = rec.pin(&parameters[2 * layer + 1].value);
        CONVS[layer].forward(rec, x, packed[layer][0], Some(bias)).unwrap()
    };
    let first = forward(rec, 0, x);
    let pooled = POOL.forward(rec, first).unwrap();
    let second = forward(rec, 1, pooled);
    let out = forward(rec, 2, second);
    let weight = Weight::new(rec, weight);
    square_loss::forward(rec, out, target, weight, loss, 0).unwrap();

    let add = |rec: &mut Recorder, layer: usize, x: Tensor, dy: Tensor, y: Option<Tensor>| {
        let [dw, db] = [0, 1].map(|kind| rec.pin(&parameters[2 * layer + kind].gradient));
        CONVS[layer].backward_parameters(rec, x, dy, y, dw, Some(db)).unwrap();
    };
    let size = |x: Tensor| [x.shape.dims()[2], x.shape.dims()[3]];
    let dout = square_loss::backward(rec, out, target, weight).unwrap();
    add(rec, 2, second, dout, None);
    let dsecond = CONVS[2].backward(rec, dout, None, packed[2][1], size(second)).unwrap();
    add(rec, 1, pooled, dsecond, Some(second));
    let dpooled = CONVS[1].backward(rec, dsecond, Some(second), packed[1][1], size(pooled)).unwrap();
    let dfirst = POOL.backward(rec, first, dpooled).unwrap();
    add(rec, 0, x, dfirst, Some(first));
}

#[test]
fn ten_steps_of_training_agree_with_pytorch() {
    let file = fixture("training.safetensors");
    for context in contexts() {
        for (run, weight_decay, clip) in [("adam", 0.0, None), ("clipped", 0.1, Some(5.0))] {
            let expected = |name: &str| array(&file, &format!("{run}.{name}"));
            let parameters = parameters(context, &file);
            let [x, target] = ["x", "target"].map(|name| device(context, &array(&file, name)));
            let loss = DeviceTensor::new(context, "loss", [1]);
            let options = AdamOptions { weight_decay, clip, ..AdamOptions::default() };
            let mut adam = ParameterAdam::new(context, &parameters, options).unwrap();
            let mut rec = Recorder::new(context);
            let (xs, targets, losses) = (rec.pin(&x), rec.pin(&target), rec.pin(&loss));
            let weight = 1.0 / target.shape().count() as f32;
            record(&mut rec, &parameters, xs, targets, weight, losses);
            adam.record(&mut rec).unwrap();
            let program = rec.finish().unwrap();

            let (mut got_losses, mut got_norms) = (Vec::new(), Vec::new());
            for step in 1..=10 {
                adam.set(&program, step, 1e-2);
                program.run().unwrap();
                got_losses.push(loss.read().unwrap()[0]);
                got_norms.push(adam.norm().unwrap());
            }
            let what = format!("{:?}, {run}", context.class());
            for (name, got) in [("losses", got_losses), ("norms", got_norms)] {
                compare(&got, &expected(name), 1e-3).unwrap_or_else(|e| panic!("{what}, {name}: {e}"));
            }
            for Parameter { name, value, .. } in &parameters {
                let got = value.read().unwrap();
                compare(&got, &expected(name), 1e-3).unwrap_or_else(|e| panic!("{what}, {name}: {e}"));
            }
        }
    }
}

/// Gradients after passes over `batches` micro-batches.
fn gradients(context: &Context, file: &WeightFile, batches: usize) -> Vec<(String, Vec<f32>)> {
    let parameters = parameters(context, file);
    let [x, target] = ["x", "target"].map(|name| array(file, name));
    let part = |array: &Array| {
        let shape = [&[array.shape[0] / batches], &array.shape[1..]].concat();
        DeviceTensor::new(context, "part", Shape::new(&shape))
    };
    let (x_part, target_part, loss) = (part(&x), part(&target), DeviceTensor::new(context, "loss", [1]));
    let mut rec = Recorder::new(context);
    let (xs, targets, losses) = (rec.pin(&x_part), rec.pin(&target_part), rec.pin(&loss));
    record(&mut rec, &parameters, xs, targets, 1.0 / target.data.len() as f32, losses);
    let program = rec.finish().unwrap();
    for batch in 0..batches {
        for (whole, part) in [(&x, &x_part), (&target, &target_part)] {
            let length = part.shape().count();
            part.write(&whole.to_f32()[batch * length..][..length]).unwrap();
        }
        program.run().unwrap();
    }
    parameters.into_iter().map(|parameter| (parameter.name, parameter.gradient.read().unwrap())).collect()
}

#[test]
fn gradients_of_micro_batches_add_up_to_pytorchs() {
    let file = fixture("training.safetensors");
    for context in contexts() {
        let whole = gradients(context, &file, 1);
        for batches in [2, 4] {
            for ((name, parts), (_, whole)) in gradients(context, &file, batches).iter().zip(&whole) {
                let what = format!("{:?}, {batches} parts, {name}", context.class());
                let whole = Array::from_f32(&[whole.len()], whole);
                compare(parts, &whole, 1e-5).unwrap_or_else(|e| panic!("{what}: {e}"));
            }
        }
        for (name, gradient) in &whole {
            let expected = array(&file, &format!("gradient.{name}"));
            compare(gradient, &expected, 1e-5).unwrap_or_else(|e| panic!("{:?}, {name}: {e}", context.class()));
        }
    }
}
