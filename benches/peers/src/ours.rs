//! Impasto: each work is recorded once with the library's public functions and then replayed.

use anyhow::Result;
use impasto::gpu::{Context, DeviceTensor, Precision, Program, Recorder, Tensor};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::nets::vgg19::Vgg19Weights;
use impasto::nets::{AdainDecoder, Convention, ImageTransformNet, Tap, Vgg19};
use impasto::ops::norm::{Affine, Norm, Over};
use impasto::ops::pool::Pooling;
use impasto::ops::square_loss::Weight;
use impasto::ops::{gram, mean_std, vector};
use impasto::optim::{AdamOptions, ParameterAdam};
use impasto::{gpu, loss};

use crate::peer::{Outputs, Peer, Ready};
use crate::works::{CONTENT_TAP, CONTENT_WEIGHT, Kind, LEARNING_RATE, Material, STYLE_WEIGHT, Work};

pub struct Ours {
    context: Context,
    job: Option<Job>,
}

/// The recorded programs: the pass and, in training, the parameter update.
struct Job {
    pass: Program,
    step: Option<Step>,
}

struct Step {
    update: Program,
    adam: ParameterAdam,
    taken: u64,
}

impl Ours {
    pub fn new(context: Context) -> Self {
        Ours { context, job: None }
    }

    /// Floating-point operations of the prepared work, by the mathematical definition.
    pub fn flops(&self) -> u64 {
        let Some(Job { pass, step }) = &self.job else { return 0 };
        pass.flops() + step.as_ref().map_or(0, |step| step.update.flops())
    }

    fn pin(&self, rec: &mut Recorder, material: &Material, name: &str) -> Result<Tensor> {
        let tensor = material.get(name)?;
        let shape = gpu::Shape::new(&tensor.shape);
        Ok(rec.pin(&DeviceTensor::from_values(&self.context, name, shape, &tensor.data)?))
    }

    fn vgg(&self, material: &Material) -> Result<Vgg19> {
        let pair = |tap: Tap| {
            let conv = tap.to_string().replace("relu", "conv");
            let find = |kind: &str| material.get(&format!("vgg.{conv}.{kind}")).cloned();
            Ok::<_, anyhow::Error>([find("weight")?, find("bias")?])
        };
        let convolutions = Tap::all().take_while(|tap| *tap <= Tap::RELU4_1).map(pair).collect::<Result<_>>()?;
        let weights = Vgg19Weights { convention: Convention::Torchvision, input: None, convolutions };
        Ok(Vgg19::new(&self.context, &weights, Pooling::Max)?)
    }

    fn johnson(material: &Material) -> Result<ImageTransformNetWeights> {
        let mut weights = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 1.0, 0);
        for (name, tensor) in &mut weights.tensors {
            *tensor = material.get(&format!("net.{name}"))?.clone();
        }
        Ok(weights)
    }

    /// Keeps the recording's result in a tensor, and runs the recording once.
    fn once(&mut self, mut rec: Recorder, name: &str, result: Tensor) -> Result<Outputs> {
        let kept = DeviceTensor::new(&self.context, name, result.shape);
        let into = rec.pin(&kept);
        vector::copy(&mut rec, result, into)?;
        let pass = rec.finish()?;
        pass.run()?;
        self.job = Some(Job { pass, step: None });
        Ok(vec![(name.into(), kept.read()?)])
    }

    fn training(&mut self, material: &Material) -> Result<Outputs> {
        let context = self.context.clone();
        let vgg = self.vgg(material)?;
        let net = ImageTransformNet::trainable(&context, Self::johnson(material)?)?;
        let content_tap: Tap = CONTENT_TAP.parse()?;
        let style_taps: Vec<Tap> = Tap::style().collect();
        let style = material.get("style")?;
        let style = DeviceTensor::from_values(&context, "style", gpu::Shape::new(&style.shape), &style.data)?;
        let (targets, grams) = vgg.measure(&style, &style_taps, |rec, x| gram::forward(rec, x, gram::scale(x)))?;
        targets.finish()?.run()?;

        let losses = DeviceTensor::new(&context, "losses", [1 + style_taps.len()]);
        let mut rec = Recorder::new(&context);
        net.repack(&mut rec)?;
        let slots = rec.pin(&losses);
        let photo = self.pin(&mut rec, material, "photo")?;
        let painted = net.forward(&mut rec, photo)?;
        let target = vgg.forward(&mut rec, photo, content_tap)?.at(content_tap)?;
        let features = vgg.forward(&mut rec, painted.picture, Tap::RELU4_1)?;
        let x = features.at(content_tap)?;
        let weight = Weight::new(&mut rec, CONTENT_WEIGHT / x.shape.count() as f32);
        let mut gradients = vec![(content_tap, loss::content(&mut rec, x, target, weight, slots, 0)?)];
        for (index, (tap, gram)) in style_taps.iter().zip(&grams).enumerate() {
            let weight = Weight::new(&mut rec, STYLE_WEIGHT / gram.shape().count() as f32);
            let target = rec.pin(gram);
            let x = features.at(*tap)?;
            gradients.push((*tap, loss::gram_style(&mut rec, x, None, target, weight, slots, 1 + index)?));
        }
        let dpicture = vgg.backward(&mut rec, &features, gradients)?;
        net.backward_parameters(&mut rec, &painted, dpicture)?;
        let pass = rec.finish()?;

        let mut rec = Recorder::new(&context);
        let parameters = net.parameters();
        let mut adam = ParameterAdam::new(&context, &parameters, AdamOptions::default())?;
        adam.record(&mut rec)?;
        net.repack(&mut rec)?;
        let update = rec.finish()?;

        pass.run()?;
        let mut outputs = vec![("loss".to_string(), vec![losses.read()?.iter().sum()])];
        for parameter in &parameters {
            outputs.push((format!("gradient {}", parameter.name), parameter.gradient.read()?));
        }
        adam.set(&update, 1, LEARNING_RATE);
        update.run()?;
        self.job = Some(Job { pass, step: Some(Step { update, adam, taken: 1 }) });
        Ok(outputs)
    }
}

impl Peer for Ours {
    fn name(&self) -> String {
        match self.context.precision_name() {
            "f32" => "impasto".into(),
            other => format!("impasto-{other}"),
        }
    }

    fn is_half(&self) -> bool {
        self.context.precision() == Precision::F16
    }

    fn version(&self) -> String {
        format!("{} ({:?} kernels)", env!("IMPASTO_VERSION"), self.context.class())
    }

    fn prepare(&mut self, work: Work, material: &Material) -> Result<Ready> {
        self.job = None;
        if work.kind == Kind::JohnsonTraining && self.is_half() {
            return Ok(Ready::Skipped("it trains in f32".into()));
        }
        if work.kind == Kind::JohnsonTraining {
            return Ok(Ready::Outputs(self.training(material)?));
        }
        let context = self.context.clone();
        let mut rec = Recorder::new(&context);
        let x = self.pin(&mut rec, material, "photo")?;
        let outputs = match work.kind {
            Kind::Vgg => {
                let features = self.vgg(material)?.forward(&mut rec, x, Tap::RELU4_1)?.at(Tap::RELU4_1)?;
                self.once(rec, "relu4_1", features)?
            }
            Kind::VggGradient => {
                let vgg = self.vgg(material)?;
                let dy = self.pin(&mut rec, material, "dy")?;
                let activations = vgg.forward(&mut rec, x, Tap::RELU4_1)?;
                let dx = vgg.backward(&mut rec, &activations, vec![(Tap::RELU4_1, Box::new(move |_| Ok(dy)))])?;
                self.once(rec, "gradient", dx)?
            }
            Kind::Johnson => {
                let net = ImageTransformNet::new(&context, Self::johnson(material)?)?;
                let painted = net.forward(&mut rec, x)?.picture;
                self.once(rec, "picture", painted)?
            }
            Kind::Adain => {
                let vgg = self.vgg(material)?;
                let template = Vgg19Weights::random(1.0, 0);
                let mut weights = AdainDecoderWeights::random(&template, 0)?;
                let names = weights.tensors().into_iter().map(|(name, _)| name);
                let tensors = names.map(|name| material.get(&format!("decoder.{name}")).cloned());
                let tensors = tensors.collect::<Result<Vec<_>>>()?;
                weights.convolutions = tensors.chunks(2).map(|pair| [pair[0].clone(), pair[1].clone()]).collect();
                let decoder = AdainDecoder::new(&context, weights)?;
                let style = self.pin(&mut rec, material, "style")?;
                let features = vgg.forward(&mut rec, style, Tap::RELU4_1)?.at(Tap::RELU4_1)?;
                let (beta, gamma) = mean_std::forward(&mut rec, features, loss::EPSILON)?;
                let content = vgg.forward(&mut rec, x, Tap::RELU4_1)?.at(Tap::RELU4_1)?;
                let norm = Norm { over: Over::Instance, relu: false };
                let (target, _) = norm.forward(&mut rec, content, None, Affine { gamma, beta })?;
                let painted = decoder.forward(&mut rec, target, [work.size; 2])?.picture;
                self.once(rec, "picture", painted)?
            }
            Kind::JohnsonTraining => unreachable!("recorded above"),
        };
        Ok(Ready::Outputs(outputs))
    }

    fn run(&mut self) -> Result<()> {
        let Some(Job { pass, step }) = &mut self.job else { anyhow::bail!("nothing is ready") };
        let Some(Step { update, adam, taken }) = step else { return Ok(pass.run()?) };
        *taken += 1;
        adam.set(update, *taken, LEARNING_RATE);
        pass.submit()?;
        Ok(update.run()?)
    }

    fn clear(&mut self) {
        self.job = None;
    }
}
