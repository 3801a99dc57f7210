//! The pieces of work that `impasto bench` and the benches measure, ready to run.

mod roof;
pub mod roofline;

pub use roof::Roof;

use std::cell::{Ref, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::time::Instant;

use crate::gpu::{Context, DeviceTensor, Precision, Program, Recorder};
use crate::io::Picture;
use crate::methods::gatys::{PictureLoss, Settings};
use crate::nets::adain_painter::{adapt, deepest};
use crate::nets::image_transform_net::{self, Form};
use crate::nets::vgg19::Weights;
use crate::nets::{AdainDecoder, ImageTransformNet, Tap, Vgg19, adain_decoder};
use crate::ops::conv2d::{Conv2d, Padding};
use crate::ops::norm::{Affine, Norm, Over};
use crate::ops::pad::Border;
use crate::ops::pool::{Kind, Pool};
use crate::ops::square_loss::{self, Weight};
use crate::ops::{gram, mean_std, vector};
use crate::optim::{Lbfgs, LbfgsOptions, Objective};
use crate::random::Random;
use crate::train::encoder::{self, Encoder};
use crate::train::feed_forward::{self, FeedForward};
use crate::train::{self, Crops, Lesson, Training};
use crate::{Error, Result, loss};

/// Something that can be run again and again.
pub struct Workload {
    /// What it is, with its shape.
    pub name: String,
    /// Floating-point operations of one run, as the mathematics needs them.
    pub flops: u64,
    /// Operations that its kernels carry out, known of programs that have run.
    pub performed: Option<u64>,
    /// Bytes of the tensors that its dispatches touch, each counted once a dispatch.
    pub bytes: u64,
    work: Box<dyn Work>,
}

/// A program that belongs to a workload.
pub type Lent<'w> = Box<dyn Deref<Target = Program> + 'w>;

/// What a workload runs.
trait Work {
    /// One run, waited for.
    fn run(&mut self) -> Result<()>;

    /// The program that a run is, where it is one and has been recorded.
    fn program(&self) -> Option<Lent<'_>> {
        None
    }
}

impl<F: FnMut() -> Result<()>> Work for F {
    fn run(&mut self) -> Result<()> {
        self()
    }
}

impl Work for Program {
    fn run(&mut self) -> Result<()> {
        Program::run(self)
    }

    fn program(&self) -> Option<Lent<'_>> {
        Some(Box::new(self))
    }
}

/// A program that is recorded when it is its turn: large ones would not fit the device together.
struct Later<F> {
    record: F,
    program: Option<Program>,
}

impl<F: Fn() -> Result<Recorder>> Work for Later<F> {
    fn run(&mut self) -> Result<()> {
        match &self.program {
            Some(program) => program.run(),
            None => self.program.insert((self.record)()?.finish()?).run(),
        }
    }

    fn program(&self) -> Option<Lent<'_>> {
        self.program.as_ref().map(|program| Box::new(program) as _)
    }
}

/// Times of a workload.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Measured {
    /// Shortest run in seconds.
    pub best: f64,
    /// Median run in seconds.
    pub median: f64,
}

impl Workload {
    fn new(name: String, [flops, bytes]: [u64; 2], work: impl Work + 'static) -> Self {
        Workload { name, flops, performed: None, bytes, work: Box::new(work) }
    }

    fn of(name: String, program: Program) -> Self {
        Self::new(name, [program.flops(), program.bytes()], program)
    }

    /// A program of so many `flops`; its bytes are known when it has been recorded.
    fn later(name: String, flops: u64, record: impl Fn() -> Result<Recorder> + 'static) -> Self {
        Self::new(name, [flops, 0], Later { record, program: None })
    }

    /// The program that a run of it is, for looking at its dispatches; `None` if it is more than one program, or none, and
    /// before its first run.
    pub fn program(&self) -> Option<Lent<'_>> {
        self.work.program()
    }

    /// One run, waited for.
    pub fn run(&mut self) -> Result<()> {
        self.work.run()?;
        if let Some(program) = self.work.program() {
            (self.bytes, self.performed) = (program.bytes(), Some(program.performed()));
        }
        Ok(())
    }

    /// Runs once to warm up, then for at least `seconds` and three times.
    pub fn measure(&mut self, seconds: f64) -> Result<Measured> {
        self.run()?;
        let (began, mut times) = (Instant::now(), Vec::new());
        while times.len() < 3 || (began.elapsed().as_secs_f64() < seconds && times.len() < 1000) {
            let start = Instant::now();
            self.run()?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Ok(Measured { best: times[0], median: times[times.len() / 2] })
    }
}

fn random_tensor(context: &Context, name: &str, dims: &[usize]) -> Result<DeviceTensor> {
    random_stored(context, Precision::F32, name, dims)
}

/// An activation or a weight: stored as the context's nets store them.
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

/// VGG-19's convolutions to relu4_1, each shape once, on a picture of `size`²: channels in and out, and side.
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

/// "8 x " of a batch, nothing of a single picture.
fn times(batch: usize) -> String {
    if batch == 1 { String::new() } else { format!("{batch} x ") }
}

/// Forward pass and data gradient of every convolution shape of VGG-19 on `batch` pictures of `size`².
pub fn convolutions(context: &Context, size: usize, batch: usize) -> Result<Vec<Workload>> {
    let mut all = Vec::new();
    for (channels_in, channels_out, side) in shapes(size) {
        let padding = Padding::Same(Border::Zero);
        let conv = Conv2d { channels_in, channels_out, kernel: 3, stride: 1, padding, upsample: false, relu: true };
        let x = random_activation(context, "x", &[batch, channels_in, side, side])?;
        let dy = random_tensor(context, "dy", &[batch, channels_out, side, side])?;
        let y = random_activation(context, "y", &[batch, channels_out, side, side])?;
        let bias = random_tensor(context, "bias", &[channels_out])?;
        let [count, gradient_count] = conv.packed_count(context.class());

        let mut rec = Recorder::new(context);
        let packed = random_activation(context, "weights", &[count])?;
        let (x, packed, bias) = (rec.pin(&x), rec.pin(&packed), rec.pin(&bias));
        conv.forward(&mut rec, x, packed, Some(bias))?;
        all.push(Workload::of(format!("conv {channels_in}->{channels_out} at {}{side}²", times(batch)), rec.finish()?));

        let mut rec = Recorder::new(context);
        let packed = random_activation(context, "weights", &[gradient_count])?;
        let (dy, y, packed) = (rec.pin(&dy), rec.pin(&y), rec.pin(&packed));
        conv.backward(&mut rec, dy, Some(y), packed, [side, side])?;
        all.push(Workload::of(
            format!("conv gradient {channels_in}->{channels_out} at {}{side}²", times(batch)),
            rec.finish()?,
        ));
    }
    Ok(all)
}

/// Gradients of the weights and the bias of a 3x3 convolution of 64 channels, on two pictures of `size`².
pub fn parameter_gradients(context: &Context, size: usize) -> Result<Workload> {
    let padding = Padding::Same(Border::Reflect);
    let conv =
        Conv2d { channels_in: 64, channels_out: 64, kernel: 3, stride: 1, padding, upsample: false, relu: false };
    let mut rec = Recorder::new(context);
    let mut pinned = |name, dims: &[usize]| Ok::<_, Error>(rec.pin(&random_tensor(context, name, dims)?));
    let x = pinned("x", &[2, 64, size, size])?;
    let dy = pinned("dy", &[2, 64, size, size])?;
    let (dweights, dbias) = (pinned("dweights", &[64, 64, 3, 3])?, pinned("dbias", &[64])?);
    conv.backward_parameters(&mut rec, x, dy, None, dweights, Some(dbias))?;
    Ok(Workload::of(format!("conv parameter gradients 64->64 at 2 x {size}²"), rec.finish()?))
}

/// What only moves data, as far as arithmetic goes: norm, means and deviations, and pool with their gradients, on 64
/// channels of `batch` pictures of `size`².
pub fn planes(context: &Context, size: usize, batch: usize) -> Result<Vec<Workload>> {
    let dims = [batch, 64, size, size];
    let (x, dy) = (random_activation(context, "x", &dims)?, random_tensor(context, "dy", &dims)?);
    let pooled = random_tensor(context, "dy", &[batch, 64, size / 2, size / 2])?;
    let channels = |name| random_tensor(context, name, &[64]);
    let (affine, gradients) = ([channels("gamma")?, channels("beta")?], [channels("dgamma")?, channels("dbeta")?]);
    let norm = Norm { over: Over::Instance, relu: true };
    let pool = Pool { kind: Kind::Max, ceil: false };
    let forward = |rec: &mut Recorder| {
        let x = rec.pin(&x);
        let [gamma, beta] = affine.each_ref().map(|tensor| rec.pin(tensor));
        let affine = Affine { gamma, beta };
        Ok::<_, Error>((x, affine, norm.forward(rec, x, None, affine)?.1))
    };
    let name = |what: &str| format!("{what} 64 at {}{size}²", times(batch));
    let mut all = Vec::new();
    let mut rec = Recorder::new(context);
    forward(&mut rec)?;
    all.push(Workload::of(name("norm"), rec.finish()?));
    let mut rec = Recorder::new(context);
    let (x_of_norm, affine_of_norm, statistics) = forward(&mut rec)?;
    let [gamma, beta] = gradients.each_ref().map(|tensor| rec.pin(tensor));
    let dy = rec.pin(&dy);
    norm.backward(&mut rec, x_of_norm, statistics, affine_of_norm, dy, Affine { gamma, beta })?;
    all.push(Workload::of(name("norm and its gradient"), rec.finish()?));
    let mut rec = Recorder::new(context);
    let symbol = rec.pin(&x);
    let statistics = mean_std::forward(&mut rec, symbol, loss::EPSILON)?;
    mean_std::backward(&mut rec, symbol, statistics, statistics.0, statistics.1)?;
    all.push(Workload::of(name("means, deviations and their gradient"), rec.finish()?));
    let mut rec = Recorder::new(context);
    let x_of_pool = rec.pin(&x);
    pool.forward(&mut rec, x_of_pool)?;
    all.push(Workload::of(name("pool"), rec.finish()?));
    let mut rec = Recorder::new(context);
    let (x_of_pool, dy) = (rec.pin(&x), rec.pin(&pooled));
    pool.backward(&mut rec, x_of_pool, dy)?;
    all.push(Workload::of(name("pool gradient"), rec.finish()?));
    Ok(all)
}

/// Gram matrices, forward and gradient, of the four style taps' features for a picture of `size`².
pub fn grams(context: &Context, size: usize) -> Result<Vec<Workload>> {
    let mut all = Vec::new();
    for block in 0..4 {
        let (channels, side) = (64 << block, size >> block);
        let features = random_activation(context, "features", &[1, channels, side, side])?;
        let dgram = random_tensor(context, "dgram", &[1, channels, channels])?;
        let mut rec = Recorder::new(context);
        let symbol = rec.pin(&features);
        gram::forward(&mut rec, symbol, 1.0)?;
        all.push(Workload::of(format!("gram {channels} at {side}²"), rec.finish()?));
        let mut rec = Recorder::new(context);
        let (symbol, dgram) = (rec.pin(&features), rec.pin(&dgram));
        gram::backward(&mut rec, symbol, dgram, 1.0)?;
        all.push(Workload::of(format!("gram gradient {channels} at {side}²"), rec.finish()?));
    }
    Ok(all)
}

/// Σ(x−target)², as an objective whose own cost is small beside the optimiser's.
struct Distance {
    program: Program,
    value: DeviceTensor,
}

impl Objective for Distance {
    fn evaluate(&mut self) -> Result<f64> {
        self.program.submit()?;
        Ok(f64::from(self.value.read()?[0]))
    }
}

/// L-BFGS iterations on the pixels of a picture of `size`²: every row of the history is read, used or not; the line search's
/// trials of a cheap objective are included.
pub fn lbfgs(context: &Context, size: usize) -> Result<Workload> {
    let dims = [1, 3, size, size];
    let (x, target) = (random_tensor(context, "x", &dims)?, random_tensor(context, "target", &[1, 1, 3 * size, size])?);
    let (g, value) = (DeviceTensor::new(context, "g", dims), DeviceTensor::new(context, "value", [1]));
    let mut rec = Recorder::new(context);
    let weight = Weight::new(&mut rec, 0.5);
    let (point, goal, into, slot) = (rec.pin(&x), rec.pin(&target), rec.pin(&g), rec.pin(&value));
    square_loss::forward(&mut rec, point, goal, weight, slot, 0)?;
    let gradient = square_loss::backward(&mut rec, point, goal, weight)?;
    vector::copy(&mut rec, gradient, into)?;
    let mut objective = Distance { program: rec.finish()?, value };
    // Tolerances below 0: it must go on, however close it is.
    let options = LbfgsOptions { tolerance_gradient: -1.0, tolerance_change: -1.0, ..LbfgsOptions::default() };
    let mut optimizer = Lbfgs::new(context, &x, &g, options)?;
    let elements = 3 * size * size;
    // Three products with the history and one combination of it, 2·history rows each.
    let rows = 2 * options.history;
    let run = move || optimizer.iterate(&mut objective).map(|_| ());
    let work = [4 * 2 * rows * elements, 4 * 4 * rows * elements].map(|amount| amount as u64);
    Ok(Workload::new(format!("L-BFGS iteration at {size}²"), work, run))
}

/// An evaluation of Gatys' loss and its gradient.
struct Evaluation(Rc<RefCell<PictureLoss>>);

impl Work for Evaluation {
    fn run(&mut self) -> Result<()> {
        match self.0.borrow_mut().evaluate()? {
            value if value.is_finite() => Ok(()),
            value => Err(Error::argument("bench", "loss", "finite", value)),
        }
    }

    fn program(&self) -> Option<Lent<'_>> {
        Some(Box::new(Ref::map(self.0.borrow(), PictureLoss::program)))
    }
}

/// VGG-19 (random weights, full width) to relu4_1 on a picture of `size`², with the gradient to the picture too, one Gatys
/// iteration on it, and what it costs the processor to encode that.
pub fn gatys(context: &Context, size: usize) -> Result<Vec<Workload>> {
    let vgg = Vgg19::new(context, &Weights::random(1.0, 1), Kind::Max)?;
    let mut random = Random::new(3);
    let mut noise = || {
        let rgb = (0..3 * size * size).map(|_| random.uniform()).collect();
        Picture::from_rgb(size, size, rgb)
    };
    let (content, style) = (noise()?, noise()?);
    let mut rec = Recorder::new(context);
    let picture = DeviceTensor::from_values(context, "picture", [1, 3, size, size], &content.rgb)?;
    let x = rec.pin(&picture);
    let deepest: Tap = "relu4_1".parse()?;
    vgg.forward(&mut rec, x, deepest)?;
    let forward = Workload::of(format!("VGG-19 to relu4_1 at {size}²"), rec.finish()?);
    let mut rec = Recorder::new(context);
    let x = rec.pin(&picture);
    let activations = vgg.forward(&mut rec, x, deepest)?;
    let features = activations.at(deepest)?;
    let dy = rec.pin(&random_tensor(context, "dy", features.shape.dims())?);
    vgg.backward(&mut rec, &activations, vec![(deepest, Box::new(move |_| Ok(dy)))])?;
    let gradient = Workload::of(format!("VGG-19 and its gradient at {size}²"), rec.finish()?);
    let loss = PictureLoss::new(&vgg, &content, &[(style, 1.0)], &Settings::default())?;
    loss.picture().write(&noise()?.rgb)?;
    let loss = Rc::new(RefCell::new(loss));
    let work = [Program::flops, Program::bytes].map(|of| of(loss.borrow().program()));
    let iteration = Workload::new(format!("Gatys iteration at {size}²"), work, Evaluation(loss.clone()));
    let context = context.clone();
    let encode = move || {
        let mut encoder = context.device().create_command_encoder(&Default::default());
        loss.borrow().program().encode(&mut encoder);
        encoder.finish();
        Ok(())
    };
    let encoding = Workload::new(format!("encoding it ({size}²)"), [0, 0], encode);
    Ok(vec![forward, gradient, iteration, encoding])
}

/// The feed-forward net at full width, in both forms, on a picture of `size`².
pub fn feed_forward(context: &Context, size: usize) -> Result<Vec<Workload>> {
    let mut all = Vec::new();
    for form in [Form::Paper, Form::Resize] {
        let weights = image_transform_net::Weights::random(form, Over::Instance, 1.0, 1);
        let net = ImageTransformNet::new(context, weights)?;
        let flops = net.flops([size, size])?;
        let photo = random_tensor(context, "photo", &[1, 3, size, size])?;
        all.push(Workload::later(format!("{form:?} form at {size}²").to_lowercase(), flops, move || {
            let mut rec = Recorder::new(net.context());
            let x = rec.pin(&photo);
            net.forward(&mut rec, x)?;
            Ok(rec)
        }));
    }
    Ok(all)
}

/// AdaIN with an encoder of the compact one's shape (random weights) on a photo of `size`²: in a style whose means and
/// deviations are there already, and in one that is measured on a picture as large.
pub fn adain(context: &Context, size: usize) -> Result<Vec<Workload>> {
    let weights = Weights::random(0.25, 1);
    let encoder = Vgg19::new(context, &weights, Kind::Max)?;
    let decoder = AdainDecoder::new(context, adain_decoder::Weights::random(&weights, 1)?)?;
    let channels = decoder.channels();
    let encoding = encoder.flops(deepest(), [size, size])?;
    let decoding = decoder.flops([size.div_ceil(deepest().reduction()); 2])?;
    let nets = Rc::new((encoder, decoder));
    let mut all = Vec::new();
    for (name, is_new) in [("adain", false), ("adain, a new style", true)] {
        let random = |name, dims: &[usize]| random_tensor(context, name, dims);
        let (photo, painting) = (random("photo", &[1, 3, size, size])?, random("painting", &[1, 3, size, size])?);
        let (mean, deviation) = (random("mean", &[channels])?, random("deviation", &[channels])?);
        let nets = Rc::clone(&nets);
        let flops = encoding + decoding + if is_new { encoding } else { 0 };
        all.push(Workload::later(format!("{name} at {size}²"), flops, move || {
            let (encoder, decoder) = &*nets;
            let mut rec = Recorder::new(encoder.context());
            let style = if is_new {
                let x = rec.pin(&painting);
                let features = encoder.forward(&mut rec, x, deepest())?.at(deepest())?;
                mean_std::forward(&mut rec, features, loss::EPSILON)?.into()
            } else {
                [rec.pin(&mean), rec.pin(&deviation)]
            };
            let x = rec.pin(&photo);
            let content = encoder.forward(&mut rec, x, deepest())?.at(deepest())?;
            let target = adapt(&mut rec, content, style)?;
            decoder.forward(&mut rec, target, [size, size])?;
            Ok(rec)
        }));
    }
    Ok(all)
}

/// A step of a lesson on `batch` crops of `size`² of noise.
fn step(context: &Context, name: &str, lesson: &dyn Lesson, batch: usize, size: usize) -> Result<Workload> {
    let mut random = Random::new(5);
    let pictures: Vec<Vec<f32>> =
        (0..batch).map(|_| (0..3 * size * size).map(|_| random.uniform()).collect()).collect();
    let settings = train::Settings { batch, ..train::Settings::default() };
    let mut training = Training::new(context, lesson, settings, batch)?;
    let work = training.work();
    let mut at = 0;
    let run = move || {
        let next = |_| {
            at += 1;
            Ok(pictures[at % batch].clone())
        };
        training.step(u64::MAX, next).map(|_| ())
    };
    Ok(Workload::new(format!("{name} step, {batch} x {size}²"), work, run))
}

/// A step of training the compact encoder (random weights, batch 8 of crops of `size`²), and its passes on their own: the
/// teacher's forward pass, the student's forward and backward passes. The same of a feed-forward net as narrow, on one crop.
pub fn training(context: &Context, size: usize) -> Result<Vec<Workload>> {
    const BATCH: usize = 8;
    let crops = Crops { size, share: [1.0, 1.0], flip: false };
    let encoder = Encoder::random(context, encoder::Settings { crops: crops.clone(), ..Default::default() })?;
    let [teacher, student] = encoder.passes(BATCH)?;
    let net = FeedForward::random(context, 0.25, feed_forward::Settings { crops, ..Default::default() })?;
    Ok(vec![
        Workload::of(format!("encoder's teacher, {BATCH} x {size}²"), teacher),
        Workload::of(format!("encoder's passes, {BATCH} x {size}²"), student),
        step(context, "encoder", &encoder, BATCH, size)?,
        Workload::of(format!("narrow net's passes, 1 x {size}²"), train::passes(context, &net, 1)?),
        step(context, "narrow net", &net, 1, size)?,
    ])
}

/// Everything at `size`², single layers on `batch` pictures; the nets that paint in one pass at twice and four times that
/// too. What is trained is left out where nets are stored as f16.
pub fn all(context: &Context, size: usize, batch: usize) -> Result<Vec<Workload>> {
    let mut all = convolutions(context, size, batch)?;
    all.extend(planes(context, size, batch)?);
    all.push(parameter_gradients(context, size / 4)?);
    all.extend(grams(context, size)?);
    all.push(lbfgs(context, size)?);
    all.extend(gatys(context, size)?);
    for scale in [1, 2, 4] {
        all.extend(feed_forward(context, scale * size.max(64))?);
        all.extend(adain(context, scale * size.max(64))?);
    }
    if context.precision() == Precision::F32 {
        all.extend(training(context, (size / 2).max(32))?);
    }
    Ok(all)
}
