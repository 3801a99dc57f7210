//! Single layers against PyTorch: convolutions, pooling, statistics.

use impasto::gpu::{DeviceTensor, Recorder, Shape};
use impasto::ops::conv2d::{Conv2d, Padding};
use impasto::ops::mean_std;
use impasto::ops::pad::Border;
use impasto::ops::pool::{Pool, Pooling};

use crate::reference::compare;
use crate::{array, contexts, device, fixture, kept};

#[test]
fn convolutions_agree_with_pytorch() {
    let file = fixture("layers.safetensors");
    let paddings = [
        ("none", Padding::None),
        ("zero", Padding::Same(Border::Zero)),
        ("reflect", Padding::Same(Border::Reflect)),
        ("replicate", Padding::Same(Border::Replicate)),
    ];
    let mut compared = 0;
    for context in contexts() {
        for kernel in [1, 3, 9] {
            for stride in [1, 2] {
                for (name, padding) in paddings {
                    let key = |tensor: &str| format!("conv.k{kernel}.s{stride}.{name}.{tensor}");
                    if file.get(&key("x")).is_none() {
                        continue;
                    }
                    let [x, w, b, y, dy] = ["x", "w", "b", "y", "dy"].map(|t| array(&file, &key(t)));
                    let [dx, dw, db] = ["dx", "dw", "db"].map(|t| array(&file, &key(t)));
                    let [channels_out, channels_in] = [w.shape[0], w.shape[1]];
                    let conv =
                        Conv2d { channels_in, channels_out, kernel, stride, padding, upsample: false, relu: true };
                    let mut rec = Recorder::new(context);
                    let [xs, ws, bs, dys] = [&x, &w, &b, &dy].map(|a| rec.pin(&device(context, a)));
                    let packed = conv.packed_count(context.class()).map(|count| rec.transient("packed", [count]));
                    conv.pack(&mut rec, ws, false, packed[0]).unwrap();
                    conv.pack(&mut rec, ws, true, packed[1]).unwrap();
                    let out = conv.forward(&mut rec, xs, packed[0], Some(bs)).unwrap();
                    let size = [x.shape[2], x.shape[3]];
                    let grad = conv.backward(&mut rec, dys, Some(out), packed[1], size).unwrap();
                    let [sum_w, sum_b] = [&w, &b].map(|a| DeviceTensor::new(context, "zeros", Shape::new(&a.shape)));
                    let (sum_ws, sum_bs) = (rec.pin(&sum_w), rec.pin(&sum_b));
                    conv.backward_parameters(&mut rec, xs, dys, Some(out), sum_ws, Some(sum_bs)).unwrap();
                    let (out, grad) = (kept(&mut rec, out), kept(&mut rec, grad));
                    rec.finish().unwrap().run().unwrap();
                    for (got, wanted, what) in
                        [(&out, &y, "y"), (&grad, &dx, "dx"), (&sum_w, &dw, "dw"), (&sum_b, &db, "db")]
                    {
                        let compared = compare(&got.read().unwrap(), wanted, 1e-5);
                        compared.unwrap_or_else(|e| panic!("{:?} {}: {e}", context.class(), key(what)));
                    }
                    compared += 1;
                }
            }
        }
    }
    assert!(compared >= 2 * 18, "only {compared} cases were found in the fixture");
}

#[test]
fn pools_agree_with_pytorch() {
    let file = fixture("layers.safetensors");
    let context = &contexts()[0];
    for (kind_name, kind) in [("max", Pooling::Max), ("avg", Pooling::Average)] {
        for (mode, ceil) in [("floor", false), ("ceil", true)] {
            let key = |tensor: &str| format!("pool.{kind_name}.{mode}.{tensor}");
            let [y, dy, dx] = ["y", "dy", "dx"].map(|t| array(&file, &key(t)));
            let x = array(&file, "pool.x");
            let pool = Pool { kind, ceil };
            let mut rec = Recorder::new(context);
            let [xs, dys] = [&x, &dy].map(|a| rec.pin(&device(context, a)));
            let out = pool.forward(&mut rec, xs).unwrap();
            let grad = pool.backward(&mut rec, xs, dys).unwrap();
            let (out, grad) = (kept(&mut rec, out), kept(&mut rec, grad));
            rec.finish().unwrap().run().unwrap();
            compare(&out.read().unwrap(), &y, 1e-6).unwrap_or_else(|e| panic!("{}: {e}", key("y")));
            compare(&grad.read().unwrap(), &dx, 1e-6).unwrap_or_else(|e| panic!("{}: {e}", key("dx")));
        }
    }
}

#[test]
fn mean_and_deviation_agree_with_pytorch() {
    let file = fixture("layers.safetensors");
    let context = &contexts()[0];
    let [x, dmean, dstd] = ["x", "dmean", "dstd"].map(|t| array(&file, &format!("mean_std.{t}")));
    let [mean, std, dx] = ["mean", "std", "dx"].map(|t| array(&file, &format!("mean_std.biased.{t}")));
    let mut rec = Recorder::new(context);
    let xs = rec.pin(&device(context, &x));
    let statistics = [mean.shape[0], mean.shape[1]];
    let [dms, dss] =
        [&dmean, &dstd].map(|a| rec.pin(&DeviceTensor::from_values(context, "d", statistics, &a.to_f32()).unwrap()));
    let (m, s) = mean_std::forward(&mut rec, xs, 1e-5).unwrap();
    let grad = mean_std::backward(&mut rec, xs, (m, s), dms, dss).unwrap();
    let [m, s, grad] = [m, s, grad].map(|symbol| kept(&mut rec, symbol));
    rec.finish().unwrap().run().unwrap();
    for (got, wanted, what) in [(m, mean, "mean"), (s, std, "std"), (grad, dx, "dx")] {
        compare(&got.read().unwrap(), &wanted, 1e-5).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
}
