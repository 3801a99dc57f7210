//! Burn: the same nets with burn's layers and tensors, on the wgpu device that it shares with Impasto.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{InstanceNorm, InstanceNormConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::relu;
use burn::tensor::module::{conv2d, interpolate, max_pool2d};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Device, Tensor, TensorData};
use impasto::io::HostTensor;
use impasto::nets::Tap;

use crate::peer::{Outputs, Peer, Ready};
use crate::works::{CONTENT_TAP, CONTENT_WEIGHT, Kind, LEARNING_RATE, Material, STYLE_WEIGHT, Work};

/// Added to a variance before the square root.
const EPSILON: f32 = 1e-5;

pub struct Burn {
    device: Device,
    job: Option<Job>,
}

/// A work that is ready to run. It returns the outputs to compare.
type Job = Box<dyn FnMut() -> Result<Vec<(String, Values)>>>;

/// An output on the device.
enum Values {
    Plane(Tensor<4>),
    Line(Tensor<1>),
}

impl Values {
    fn read(self) -> Result<Vec<f32>> {
        let data = match self {
            Values::Plane(tensor) => tensor.into_data(),
            Values::Line(tensor) => tensor.into_data(),
        };
        data.try_to_vec().map_err(|error| anyhow!("{error:?}"))
    }
}

fn tensor<const D: usize>(host: &HostTensor, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(host.data.clone(), host.shape.clone()), device)
}

fn reflect(x: Tensor<4>, by: usize) -> Tensor<4> {
    x.pad([(by, by), (by, by)], PadMode::Reflect)
}

fn enlarge(x: Tensor<4>) -> Tensor<4> {
    interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]))
}

/// VGG-19 up to relu4_1 for pictures of RGB 0..1.
struct Vgg {
    mean: Tensor<4>,
    deviation: Tensor<4>,
    convolutions: Vec<(Tap, Tensor<4>, Tensor<1>)>,
}

impl Vgg {
    fn new(material: &Material, device: &Device) -> Result<Self> {
        let conv = |tap: Tap| {
            let name = tap.to_string().replace("relu", "conv");
            let find = |kind: &str| material.get(&format!("vgg.{name}.{kind}"));
            Ok((tap, tensor(find("weight")?, device), tensor(find("bias")?, device)))
        };
        let convolutions = Tap::all().take_while(|tap| *tap <= Tap::RELU4_1).map(conv).collect::<Result<_>>()?;
        let channel = |values: [f32; 3]| Tensor::<1>::from_floats(values, device).reshape([1, 3, 1, 1]);
        Ok(Vgg { mean: channel([0.485, 0.456, 0.406]), deviation: channel([0.229, 0.224, 0.225]), convolutions })
    }

    /// Features at each of `taps`, which must be in the net's order.
    fn forward(&self, picture: Tensor<4>, taps: &[Tap]) -> Vec<Tensor<4>> {
        let mut x = (picture - self.mean.clone()) / self.deviation.clone();
        let mut features = Vec::new();
        for (tap, weight, bias) in &self.convolutions {
            if tap.begins_block() {
                x = max_pool2d(x, MaxPoolOptions::new([2, 2]));
            }
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            x = relu(conv2d(x, weight.clone(), Some(bias.clone()), options));
            if taps.contains(tap) {
                features.push(x.clone());
            }
            if features.len() == taps.len() {
                break;
            }
        }
        features
    }

    fn deepest(&self, picture: Tensor<4>) -> Tensor<4> {
        self.forward(picture, &[Tap::RELU4_1]).remove(0)
    }
}

/// Johnson's net in its resize form.
#[derive(Module, Debug)]
struct Johnson {
    convolutions: Vec<Conv2d>,
    norms: Vec<InstanceNorm>,
}

/// Names of the convolutions and of the norms that follow them; the last convolution has no norm.
fn names() -> (Vec<String>, Vec<String>) {
    let blocks = |kind: &'static str| (1..=5).flat_map(move |b| [1, 2].map(|half| format!("res{b}.{kind}{half}")));
    let numbered = |stem: &'static str, numbers: [usize; 3]| numbers.map(|number| format!("{stem}{number}"));
    let convolutions =
        numbered("conv", [1, 2, 3]).into_iter().chain(blocks("conv")).chain(numbered("deconv", [1, 2, 3]));
    let norms = numbered("in", [1, 2, 3]).into_iter().chain(blocks("in")).chain(["in4".into(), "in5".into()]);
    (convolutions.collect(), norms.collect())
}

impl Johnson {
    fn new(material: &Material, device: &Device) -> Result<Self> {
        let (convolutions, norms) = names();
        let conv = |(index, name): (usize, &String)| {
            let weight = material.get(&format!("net.{name}.conv2d.weight"))?;
            let bias = material.get(&format!("net.{name}.conv2d.bias"))?;
            let [channels_out, channels_in, kernel, _] = weight.shape[..] else {
                return Err(anyhow!("{name} has the shape {:?}", weight.shape));
            };
            let stride = if matches!(index, 1 | 2) { 2 } else { 1 };
            let config = Conv2dConfig::new([channels_in, channels_out], [kernel; 2]).with_stride([stride; 2]);
            let mut layer = config.with_padding(PaddingConfig2d::Valid).init(device);
            layer.weight = Param::from_tensor(tensor(weight, device));
            // A norm removes the effect of the bias before it, so only the last bias is trained.
            let bias = Param::from_tensor(tensor(bias, device)).set_require_grad(index == convolutions.len() - 1);
            layer.bias = Some(bias);
            Ok(layer)
        };
        let norm = |name: &String| {
            let (gamma, beta) =
                (material.get(&format!("net.{name}.weight"))?, material.get(&format!("net.{name}.bias"))?);
            let mut layer = InstanceNormConfig::new(gamma.shape[0]).with_epsilon(f64::from(EPSILON)).init(device);
            layer.gamma = Some(Param::from_tensor(tensor(gamma, device)));
            layer.beta = Some(Param::from_tensor(tensor(beta, device)));
            Ok(layer)
        };
        Ok(Johnson {
            convolutions: convolutions.iter().enumerate().map(conv).collect::<Result<_>>()?,
            norms: norms.iter().map(norm).collect::<Result<_>>()?,
        })
    }

    fn unit(&self, index: usize, x: Tensor<4>) -> Tensor<4> {
        let conv = &self.convolutions[index];
        let z = conv.forward(reflect(x, conv.kernel_size[0] / 2));
        match self.norms.get(index) {
            Some(norm) => norm.forward(z),
            None => z,
        }
    }

    fn forward(&self, picture: Tensor<4>) -> Tensor<4> {
        let mut x = picture;
        for index in 0..3 {
            x = relu(self.unit(index, x));
        }
        for first in (3..13).step_by(2) {
            let inner = relu(self.unit(first, x.clone()));
            x = x + self.unit(first + 1, inner);
        }
        for index in [13, 14] {
            x = relu(self.unit(index, enlarge(x)));
        }
        self.unit(15, x)
    }

    /// Gradients by parameter name.
    fn gradients(&self, gradients: &burn::tensor::Gradients) -> Vec<(String, Values)> {
        let (convolutions, norms) = names();
        let mut all = Vec::new();
        let mut add =
            |name: String, values: Option<Values>| all.extend(values.map(|v| (format!("gradient {name}"), v)));
        for (name, conv) in convolutions.iter().zip(&self.convolutions) {
            add(format!("{name}.conv2d.weight"), conv.weight.val().grad(gradients).map(Values::Plane));
            let bias = conv.bias.as_ref().and_then(|bias| bias.val().grad(gradients));
            add(format!("{name}.conv2d.bias"), bias.map(Values::Line));
        }
        for (name, norm) in norms.iter().zip(&self.norms) {
            for (kind, param) in [("weight", &norm.gamma), ("bias", &norm.beta)] {
                let gradient = param.as_ref().and_then(|param| param.val().grad(gradients));
                add(format!("{name}.{kind}"), gradient.map(Values::Line));
            }
        }
        all
    }
}

/// Mean and variance of every channel, `[1, C, 1, 1]`.
fn statistics(x: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let [_, channels, height, width] = x.dims();
    let (variance, mean) = x.reshape([1, channels, height * width]).var_mean_bias(2);
    (mean.reshape([1, channels, 1, 1]), variance.reshape([1, channels, 1, 1]))
}

fn gram(features: Tensor<4>) -> Tensor<2> {
    let [_, channels, height, width] = features.dims();
    let rows: Tensor<2> = features.reshape([channels, height * width]);
    rows.clone().matmul(rows.transpose()) / (channels * height * width) as f32
}

/// Johnson's net, its optimiser, and the data for its loss.
struct Training {
    net: Option<Johnson>,
    optimizer: ModuleOptimizer,
    vgg: Vgg,
    photo: Tensor<4>,
    grams: Vec<Tensor<2>>,
}

impl Training {
    fn new(material: &Material, device: &Device) -> Result<Self> {
        let vgg = Vgg::new(material, device)?;
        let style = tensor(material.get("style")?, device);
        let grams = vgg.forward(style, &Tap::style().collect::<Vec<_>>()).into_iter().map(gram).collect();
        Ok(Training {
            net: Some(Johnson::new(material, device)?),
            optimizer: AdamConfig::new().with_epsilon(1e-8).init(),
            vgg,
            photo: tensor(material.get("photo")?, device),
            grams,
        })
    }

    /// Runs one step. Returns, if `wanted`, the loss before the step and the gradients.
    fn step(&mut self, wanted: bool) -> Result<Vec<(String, Values)>> {
        let net = self.net.take().ok_or_else(|| anyhow!("the net was lost in a step that failed"))?;
        let painted = net.forward(self.photo.clone());
        let content_tap: Tap = CONTENT_TAP.parse()?;
        let target = self.vgg.forward(self.photo.clone(), &[content_tap]).remove(0);
        let style_taps: Vec<Tap> = Tap::style().collect();
        let features = self.vgg.forward(painted, &style_taps);
        let mut loss = Tensor::<1>::zeros([1], &self.photo.device());
        for ((tap, x), goal) in style_taps.iter().zip(features).zip(&self.grams) {
            if *tap == content_tap {
                loss = loss + (x.clone() - target.clone()).square().mean() * CONTENT_WEIGHT;
            }
            loss = loss + (gram(x) - goal.clone()).square().mean() * STYLE_WEIGHT;
        }
        let gradients = loss.backward();
        let mut outputs = Vec::new();
        if wanted {
            outputs.push(("loss".to_string(), Values::Line(loss.inner())));
            outputs.extend(net.gradients(&gradients));
        }
        let gradients = GradientsParams::from_grads(gradients, &net);
        self.net = Some(self.optimizer.step(f64::from(LEARNING_RATE), net, gradients));
        Ok(outputs)
    }
}

/// Prepares `work` with burn's tensors.
fn job(work: Work, material: &Material, plain: &Device) -> Result<Job> {
    let one = |name: &str, value: Tensor<4>| Ok(vec![(name.to_string(), Values::Plane(value))]);
    let differentiated = plain.clone().autodiff();
    let photo = |device: &Device| Ok::<_, anyhow::Error>(tensor::<4>(material.get("photo")?, device));
    Ok(match work.kind {
        Kind::Vgg => {
            let (vgg, photo) = (Vgg::new(material, plain)?, photo(plain)?);
            Box::new(move || one("relu4_1", vgg.deepest(photo.clone())))
        }
        Kind::VggGradient => {
            let (vgg, photo) = (Vgg::new(material, &differentiated)?, photo(&differentiated)?);
            let dy: Tensor<4> = tensor(material.get("dy")?, &differentiated);
            Box::new(move || {
                let x = photo.clone().detach().require_grad();
                let gradients = (vgg.deepest(x.clone()) * dy.clone()).sum().backward();
                one("gradient", x.grad(&gradients).ok_or_else(|| anyhow!("burn gave no gradient"))?)
            })
        }
        Kind::Johnson => {
            let (net, photo) = (Johnson::new(material, plain)?, photo(plain)?);
            Box::new(move || one("picture", net.forward(photo.clone())))
        }
        Kind::Adain => {
            let (vgg, photo) = (Vgg::new(material, plain)?, photo(plain)?);
            let style: Tensor<4> = tensor(material.get("style")?, plain);
            let mut decoder: Vec<(bool, Tensor<4>, Tensor<1>)> = Vec::new();
            for name in ["d4_1", "d3_4", "d3_3", "d3_2", "d3_1", "d2_2", "d2_1", "d1_2", "d1_1"] {
                let find = |kind: &str| material.get(&format!("decoder.{name}.{kind}"));
                let enlarged = matches!(name, "d3_4" | "d2_2" | "d1_2");
                decoder.push((enlarged, tensor(find("weight")?, plain), tensor(find("bias")?, plain)));
            }
            Box::new(move || {
                let (style_mean, style_variance) = statistics(vgg.deepest(style.clone()));
                let content = vgg.deepest(photo.clone());
                let (mean, variance) = statistics(content.clone());
                let scale = ((style_variance + EPSILON) / (variance + EPSILON)).sqrt();
                let mut x = (content - mean) * scale + style_mean;
                for (index, (enlarged, weight, bias)) in decoder.iter().enumerate() {
                    let read = if *enlarged { enlarge(x) } else { x };
                    let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
                    x = conv2d(reflect(read, 1), weight.clone(), Some(bias.clone()), options);
                    if index + 1 < decoder.len() {
                        x = relu(x);
                    }
                }
                one("picture", x)
            })
        }
        Kind::JohnsonTraining => {
            let mut training = Training::new(material, &differentiated)?;
            let mut first = true;
            Box::new(move || training.step(std::mem::take(&mut first)))
        }
    })
}

/// Converts a panic of burn into an error.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        Err(anyhow!("it panicked: {}", text.unwrap_or_default()))
    })
}

impl Burn {
    pub fn new(device: Device) -> Self {
        Burn { device, job: None }
    }

    fn sync(&self) -> Result<()> {
        self.device.sync().map_err(|error| anyhow!("{error:?}"))
    }
}

impl Peer for Burn {
    fn name(&self) -> String {
        "burn".into()
    }

    fn version(&self) -> String {
        let tuned = if cfg!(feature = "tuned") { "autotune, fusion, SPIR-V" } else { "no autotune, no fusion" };
        format!("{} ({tuned})", env!("BURN_VERSION"))
    }

    fn prepare(&mut self, work: Work, material: &Material) -> Result<Ready> {
        self.clear();
        caught(|| {
            let mut job = job(work, material, &self.device)?;
            let outputs = job()?.into_iter().map(|(name, values)| Ok((name, values.read()?)));
            let outputs: Outputs = outputs.collect::<Result<_>>()?;
            self.job = Some(job);
            Ok(Ready::Outputs(outputs))
        })
    }

    fn run(&mut self) -> Result<()> {
        let mut job = self.job.take().ok_or_else(|| anyhow!("nothing is ready"))?;
        caught(|| {
            job()?;
            self.sync()
        })?;
        self.job = Some(job);
        Ok(())
    }

    fn clear(&mut self) {
        self.job = None;
        self.device.memory_cleanup();
    }
}
