//! The workloads: layers, the optimiser, a pass of each net, a step of each kind of training.

use super::workload::{PlannedWorkload, Work, Workload};
use crate::gpu::{Context, DeviceTensor, Precision, Program, Recorder, Tensor};
use crate::io::Picture;
use crate::methods::gatys::{GatysSettings, PictureLoss};
use crate::nets::adain_decoder::AdainDecoderWeights;
use crate::nets::adain_painter::adapt;
use crate::nets::image_transform_net::{Form, ImageTransformNetWeights};
use crate::nets::vgg19::Vgg19Weights;
use crate::nets::{AdainDecoder, ImageTransformNet, Tap, Vgg19};
use crate::ops::conv2d::{Conv2d, Padding};
use crate::ops::norm::{Affine, Norm, Over};
use crate::ops::pad::Border;
use crate::ops::pool::{Pool, Pooling};
use crate::ops::square_loss::{self, Weight};
use crate::ops::{gram, mean_std};
use crate::optim::{Lbfgs, LbfgsOptions, Objective};
use crate::random::Random;
use crate::train::encoder::{Encoder, EncoderTrainerSettings};
use crate::train::feed_forward::{FeedForward, FeedForwardTrainerSettings};
use crate::train::{self, Crops, Trainer, Training, TrainingSettings};
use crate::{Error, Result, loss};

fn random_tensor(context: &Context, name: &str, dims: &[usize]) -> Result<DeviceTensor> {
    random_stored(context, Precision::F32, name, dims)
}

/// A random activation or weight, stored in the precision of the context's nets.
fn random_activation(context: &Context, name: &str, dims: &[usize]) -> Result<DeviceTensor> {
    random_stored(context, context.precision(), name, dims)
}

fn random_stored(context: &Context, precision: Precision, name: &str, dims: &[usize]) -> Result<DeviceTensor> {
    let mut random = Random::new(dims.iter().product::<usize>() as u64);
    let shape = crate::gpu::Shape::new(dims);
    let values: Vec<f32> = (0..shape.count()).map(|_| 2.0 * random.uniform() - 1.0).collect();
    let tensor = DeviceTensor::stored(context, precision, name, shape);
    tensor.write(&values)?;
    Ok(tensor)
}

/// A random f32 tensor, pinned in a recording.
fn given(rec: &mut Recorder, name: &str, dims: &[usize]) -> Result<Tensor> {
    let tensor = random_tensor(rec.context(), name, dims)?;
    Ok(rec.pin(&tensor))
}

/// A random tensor in the precision of activations and weights, pinned in a recording.
fn given_activation(rec: &mut Recorder, name: &str, dims: &[usize]) -> Result<Tensor> {
    let tensor = random_activation(rec.context(), name, dims)?;
    Ok(rec.pin(&tensor))
}

/// VGG-19's convolutions up to relu4_1 for a picture of `size`², each shape once: channels in, channels out, side.
fn shapes(size: usize) -> [(usize, usize, usize); 8] {
    [
        (3, 64, size),
        (64, 64, size),
        (64, 128, size / 2),
        (128, 128, size / 2),
        (128, 256, size / 4),
        (256, 256, size / 4),
        (256, 512, size / 8),
        (512, 512, size / 8),
    ]
}

/// A name's prefix for a batch, such as "8 x "; empty for a single picture.
fn times(batch: usize) -> String {
    if batch == 1 { String::new() } else { format!("{batch} x ") }
}

/// Forward pass and input gradient of every convolution shape of VGG-19, for `batch` pictures of `size`².
fn convolutions(size: usize, batch: usize) -> Vec<PlannedWorkload> {
    let mut all = Vec::new();
    for (channels_in, channels_out, side) in shapes(size) {
        let padding = Padding::Same(Border::Zero);
        let conv = Conv2d { channels_in, channels_out, kernel: 3, stride: 1, padding, upsample: false, relu: true };
        let of = format!("{channels_in}->{channels_out} at {}{side}²", times(batch));
        all.push(PlannedWorkload::recorded(format!("conv {of}"), move |rec| {
            let [count, _] = conv.packed_count(rec.context().class());
            let x = given_activation(rec, "x", &[batch, channels_in, side, side])?;
            let packed = given_activation(rec, "weights", &[count])?;
            let bias = given(rec, "bias", &[channels_out])?;
            conv.forward(rec, x, packed, Some(bias)).map(|_| ())
        }));
        all.push(PlannedWorkload::recorded(format!("conv gradient {of}"), move |rec| {
            let [_, count] = conv.packed_count(rec.context().class());
            let dy = given(rec, "dy", &[batch, channels_out, side, side])?;
            let y = given_activation(rec, "y", &[batch, channels_out, side, side])?;
            let packed = given_activation(rec, "weights", &[count])?;
            conv.backward(rec, dy, Some(y), packed, [side, side]).map(|_| ())
        }));
    }
    all
}

/// Gradients of the weights and the bias of a 3×3 convolution with 64 channels, for two pictures of `size`².
fn parameter_gradients(size: usize) -> PlannedWorkload {
    let padding = Padding::Same(Border::Reflect);
    let conv =
        Conv2d { channels_in: 64, channels_out: 64, kernel: 3, stride: 1, padding, upsample: false, relu: false };
    PlannedWorkload::recorded(format!("conv parameter gradients 64->64 at 2 x {size}²"), move |rec| {
        let x = given(rec, "x", &[2, 64, size, size])?;
        let dy = given(rec, "dy", &[2, 64, size, size])?;
        let (dweights, dbias) = (given(rec, "dweights", &[64, 64, 3, 3])?, given(rec, "dbias", &[64])?);
        conv.backward_parameters(rec, x, dy, None, dweights, Some(dbias))
    })
}

/// Layers limited by memory bandwidth: norm, channel means and standard deviations, and pooling, with their gradients,
/// on 64 channels of `batch` pictures of `size`².
fn planes(size: usize, batch: usize) -> Vec<PlannedWorkload> {
    let dims = [batch, 64, size, size];
    let norm = Norm { over: Over::Instance, relu: true };
    let pool = Pool { kind: Pooling::Max, ceil: false };
    let x = move |rec: &mut Recorder| given_activation(rec, "x", &dims);
    let affine = |rec: &mut Recorder| {
        Ok::<_, Error>(Affine { gamma: given(rec, "gamma", &[64])?, beta: given(rec, "beta", &[64])? })
    };
    let name = |what: &str| format!("{what} 64 at {}{size}²", times(batch));
    vec![
        PlannedWorkload::recorded(name("norm"), move |rec| {
            let (x, affine) = (x(rec)?, affine(rec)?);
            norm.forward(rec, x, None, affine).map(|_| ())
        }),
        PlannedWorkload::recorded(name("norm and its gradient"), move |rec| {
            let (x, parameters, gradients) = (x(rec)?, affine(rec)?, affine(rec)?);
            let (_, statistics) = norm.forward(rec, x, None, parameters)?;
            let dy = given(rec, "dy", &dims)?;
            norm.backward(rec, x, statistics, parameters, dy, gradients).map(|_| ())
        }),
        PlannedWorkload::recorded(name("means, deviations and their gradient"), move |rec| {
            let x = x(rec)?;
            let statistics = mean_std::forward(rec, x, loss::EPSILON)?;
            mean_std::backward(rec, x, statistics, statistics.0, statistics.1).map(|_| ())
        }),
        PlannedWorkload::recorded(name("pool"), move |rec| {
            let x = x(rec)?;
            pool.forward(rec, x).map(|_| ())
        }),
        PlannedWorkload::recorded(name("pool gradient"), move |rec| {
            let x = x(rec)?;
            let dy = given(rec, "dy", &[batch, 64, size / 2, size / 2])?;
            pool.backward(rec, x, dy).map(|_| ())
        }),
    ]
}

/// Gram matrices and their gradients for the features at the four style taps of a picture of `size`².
fn grams(size: usize) -> Vec<PlannedWorkload> {
    let mut all = Vec::new();
    for block in 0..4 {
        let (channels, side) = (64 << block, size >> block);
        let features = move |rec: &mut Recorder| given_activation(rec, "features", &[1, channels, side, side]);
        all.push(PlannedWorkload::recorded(format!("gram {channels} at {side}²"), move |rec| {
            let features = features(rec)?;
            gram::forward(rec, features, 1.0).map(|_| ())
        }));
        all.push(PlannedWorkload::recorded(format!("gram gradient {channels} at {side}²"), move |rec| {
            let (features, dgram) = (features(rec)?, given(rec, "dgram", &[1, channels, channels])?);
            gram::backward(rec, features, dgram, 1.0).map(|_| ())
        }));
    }
    all
}

/// ½ Σ(x − target)², an objective that is cheap compared with the optimiser.
struct Distance {
    program: Program,
    value: DeviceTensor,
}

impl Objective for Distance {
    async fn evaluate_async(&mut self) -> Result<f64> {
        self.program.submit()?;
        Ok(f64::from(self.value.read_async().await?[0]))
    }
}

/// An L-BFGS iteration on the pixels of a picture of `size`². It reads every row of the history, even rows not yet
/// filled, and includes the line search on a cheap objective.
fn lbfgs(size: usize) -> PlannedWorkload {
    PlannedWorkload::new(format!("L-BFGS iteration at {size}²"), move |context| {
        let dims = [1, 3, size, size];
        let x = random_tensor(context, "x", &dims)?;
        let target = random_tensor(context, "target", &[1, 1, 3 * size, size])?;
        let value = DeviceTensor::new(context, "value", [1]);
        let mut rec = Recorder::new(context);
        let weight = Weight::new(&mut rec, 0.5);
        let (point, goal, slot) = (rec.pin(&x), rec.pin(&target), rec.pin(&value));
        square_loss::forward(&mut rec, point, goal, weight, slot, 0)?;
        let gradient = square_loss::backward(&mut rec, point, goal, weight)?;
        let g = rec.output(gradient)?;
        let mut objective = Distance { program: rec.finish()?, value };
        // Negative tolerances keep the optimiser from stopping.
        let options = LbfgsOptions { tolerance_gradient: -1.0, tolerance_change: -1.0, ..LbfgsOptions::default() };
        let mut optimizer = Lbfgs::new(context, &x, &g, options)?;
        let elements = 3 * size * size;
        // Three products with the history and one linear combination of it, over 2 · history rows each.
        let rows = 2 * options.history;
        let run = move || optimizer.iterate(&mut objective).map(|_| ());
        let work = [4 * 2 * rows * elements, 4 * 4 * rows * elements].map(|amount| amount as u64);
        Ok(Workload::new(work, run))
    })
}

/// One evaluation of Gatys' loss and its gradient.
struct Evaluation(PictureLoss);

impl Evaluation {
    /// An evaluation for noise pictures of `size`².
    fn new(context: &Context, size: usize) -> Result<Self> {
        let mut random = Random::new(3);
        let mut noise = || {
            let rgb = (0..3 * size * size).map(|_| random.uniform()).collect();
            Picture::from_rgb(size, size, rgb)
        };
        let (content, style) = (noise()?, noise()?);
        let loss = PictureLoss::new(&full_vgg(context)?, &content, &[style.into()], &GatysSettings::default())?;
        loss.picture().write(&noise()?.rgb)?;
        Ok(Evaluation(loss))
    }
}

impl Work for Evaluation {
    fn run(&mut self) -> Result<()> {
        match self.0.evaluate()? {
            value if value.is_finite() => Ok(()),
            value => Err(Error::argument("bench", "loss", "finite", value)),
        }
    }

    fn program(&self) -> Option<&Program> {
        Some(self.0.program())
    }
}

/// A full-width VGG-19 with random weights.
fn full_vgg(context: &Context) -> Result<Vgg19> {
    Vgg19::new(context, &Vgg19Weights::random(1.0, 1), Pooling::Max)
}

/// A full-width VGG-19 with random weights up to relu4_1 on a picture of `size`²: its forward pass, the forward pass
/// with the gradient with respect to the picture, one evaluation of Gatys' loss, and the host time to encode that
/// evaluation.
fn gatys(size: usize) -> Vec<PlannedWorkload> {
    let forward = move |rec: &mut Recorder, vgg: &Vgg19| {
        let x = given(rec, "picture", &[1, 3, size, size])?;
        vgg.forward(rec, x, Tap::RELU4_1)
    };
    vec![
        PlannedWorkload::recorded(format!("VGG-19 to relu4_1 at {size}²"), move |rec| {
            let vgg = full_vgg(rec.context())?;
            forward(rec, &vgg).map(|_| ())
        }),
        PlannedWorkload::recorded(format!("VGG-19 and its gradient at {size}²"), move |rec| {
            let vgg = full_vgg(rec.context())?;
            let activations = forward(rec, &vgg)?;
            let dy = given(rec, "dy", activations.at(Tap::RELU4_1)?.shape.dims())?;
            vgg.backward(rec, &activations, vec![(Tap::RELU4_1, Box::new(move |_| Ok(dy)))]).map(|_| ())
        }),
        PlannedWorkload::new(format!("Gatys iteration at {size}²"), move |context| {
            Ok(Workload::of(Evaluation::new(context, size)?))
        }),
        PlannedWorkload::new(format!("encoding it ({size}²)"), move |context| {
            let (context, evaluation) = (context.clone(), Evaluation::new(context, size)?);
            let encode = move || {
                let mut encoder = context.device().create_command_encoder(&Default::default());
                evaluation.0.program().encode(&mut encoder);
                encoder.finish();
                Ok(())
            };
            Ok(Workload::new([0, 0], encode))
        }),
    ]
}

/// The full-width feed-forward net, in both forms, on a picture of `size`².
fn feed_forward(size: usize) -> Vec<PlannedWorkload> {
    let plan = |form: Form| {
        PlannedWorkload::new(format!("{form:?} form at {size}²").to_lowercase(), move |context| {
            let weights = ImageTransformNetWeights::random(form, Over::Instance, 1.0, 1);
            let net = ImageTransformNet::new(context, weights)?;
            let mut rec = Recorder::new(context);
            let x = given(&mut rec, "photo", &[1, 3, size, size])?;
            net.forward(&mut rec, x)?;
            Ok(Workload { flops: net.flops([size, size])?, ..Workload::of(rec.finish()?) })
        })
    };
    [Form::Paper, Form::Resize].map(plan).into()
}

/// AdaIN with random weights in the shape of the encoder `compact`, on a photo of `size`²: with known style statistics,
/// and with a style that is measured on a picture of the same size.
fn adain(size: usize) -> Vec<PlannedWorkload> {
    let plan = |(name, is_new): (&str, bool)| {
        PlannedWorkload::new(format!("{name} at {size}²"), move |context| {
            let weights = Vgg19Weights::random(0.25, 1);
            let encoder = Vgg19::new(context, &weights, Pooling::Max)?;
            let decoder = AdainDecoder::new(context, AdainDecoderWeights::random(&weights, 1)?)?;
            let mut rec = Recorder::new(context);
            let features = |rec: &mut Recorder, name: &str| {
                let x = given(rec, name, &[1, 3, size, size])?;
                encoder.forward(rec, x, Tap::RELU4_1)?.at(Tap::RELU4_1)
            };
            let style = if is_new {
                let painting = features(&mut rec, "painting")?;
                mean_std::forward(&mut rec, painting, loss::EPSILON)?.into()
            } else {
                let channels = decoder.channels();
                [given(&mut rec, "mean", &[channels])?, given(&mut rec, "deviation", &[channels])?]
            };
            let content = features(&mut rec, "photo")?;
            let target = adapt(&mut rec, content, style)?;
            decoder.forward(&mut rec, target, [size, size])?;
            let encoding = encoder.flops(Tap::RELU4_1, [size, size])?;
            let decoding = decoder.flops([size.div_ceil(Tap::RELU4_1.reduction()); 2])?;
            let flops = encoding + decoding + if is_new { encoding } else { 0 };
            Ok(Workload { flops, ..Workload::of(rec.finish()?) })
        })
    };
    [("adain", false), ("adain, a new style", true)].map(plan).into()
}

/// A training step on `batch` noise crops of `size`².
fn step(context: &Context, trainer: &dyn Trainer, batch: usize, size: usize) -> Result<Workload> {
    let mut random = Random::new(5);
    let pictures: Vec<Vec<f32>> =
        (0..batch).map(|_| (0..3 * size * size).map(|_| random.uniform()).collect()).collect();
    let settings = TrainingSettings { batch, ..TrainingSettings::default() };
    let context = context.clone();
    let mut training = context.block_on(Training::new(&context, trainer, settings, batch))?;
    let work = training.work();
    let (streams, labels) = (trainer.streams().len(), trainer.labels(0));
    let run = move || {
        let next = |input, number: u64| match input < streams {
            true => Ok(pictures[number as usize % batch].clone()),
            false => Ok(labels.clone()),
        };
        context.block_on(training.step(u64::MAX, next)).map(|_| ())
    };
    Ok(Workload::new(work, run))
}

/// A training step of the encoder `compact` (random weights, a batch of 8 crops of `size`²) and its parts: the
/// teacher's forward pass, and the student's forward and backward pass. The passes and a training step of a
/// quarter-width feed-forward net on one crop.
pub fn training(size: usize) -> Vec<PlannedWorkload> {
    const BATCH: usize = 8;
    let crops = move || Crops { size, share: Some([1.0, 1.0]), flip: false };
    let encoder = move |context: &Context| {
        Encoder::random(context, EncoderTrainerSettings { crops: crops(), ..Default::default() })
    };
    let net = move |context: &Context| {
        FeedForward::random(context, 0.25, FeedForwardTrainerSettings { crops: crops(), ..Default::default() })
    };
    vec![
        PlannedWorkload::new(format!("encoder's teacher, {BATCH} x {size}²"), move |context| {
            Ok(Workload::of(encoder(context)?.teacher_pass(BATCH)?))
        }),
        PlannedWorkload::new(format!("encoder's passes, {BATCH} x {size}²"), move |context| {
            Ok(Workload::of(encoder(context)?.student_passes(BATCH)?))
        }),
        PlannedWorkload::new(format!("encoder step, {BATCH} x {size}²"), move |context| {
            step(context, &encoder(context)?, BATCH, size)
        }),
        PlannedWorkload::new(format!("narrow net's passes, 1 x {size}²"), move |context| {
            Ok(Workload::of(train::passes(context, &net(context)?, 1)?))
        }),
        PlannedWorkload::new(format!("narrow net step, 1 x {size}²"), move |context| {
            step(context, &net(context)?, 1, size)
        }),
    ]
}

/// All workloads at `size`², with single layers on `batch` pictures. Nets that paint in one pass also run at two and
/// four times the size. Training is included only for [`Precision::F32`].
pub fn all(precision: Precision, size: usize, batch: usize) -> Vec<PlannedWorkload> {
    let mut all = convolutions(size, batch);
    all.extend(planes(size, batch));
    all.push(parameter_gradients(size / 4));
    all.extend(grams(size));
    all.push(lbfgs(size));
    all.extend(gatys(size));
    for scale in [1, 2, 4] {
        all.extend(feed_forward(scale * size.max(64)));
        all.extend(adain(scale * size.max(64)));
    }
    if precision == Precision::F32 {
        all.extend(training((size / 2).max(32)));
    }
    all
}
