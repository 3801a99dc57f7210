//! VGG-19 as a measuring instrument (arXiv:1409.1556): features of a picture, and their gradient to its pixels.

use std::fmt;
use std::str::FromStr;

use crate::gpu::{Context, DeviceTensor, Recorder, Tensor};
use crate::io::{HostTensor, WeightFile};
use crate::ops::conv2d::{Conv2d, Padding};
use crate::ops::pad::Border;
use crate::ops::pool::{Kind, Pool};
use crate::ops::vector;
use crate::random::Random;
use crate::{Error, Result};

/// Convolutions of each block; a pool stands between blocks.
const BLOCKS: [usize; 5] = [2, 2, 4, 4, 4];

/// The output of a convolution and its ReLU, by block and place in it, both from 1: `relu3_1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tap {
    block: usize,
    index: usize,
}

impl Tap {
    /// The 16 taps, shallow to deep.
    pub fn all() -> impl Iterator<Item = Tap> {
        (1..).zip(BLOCKS).flat_map(|(block, count)| (1..=count).map(move |index| Tap { block, index }))
    }

    /// Number of the convolution it follows, from 0.
    fn position(self) -> usize {
        BLOCKS[..self.block - 1].iter().sum::<usize>() + self.index - 1
    }

    /// The pictures' sides are divided by this at the tap.
    pub fn reduction(self) -> usize {
        1 << (self.block - 1)
    }

    /// Its convolution's number in torchvision's `features`, which counts convolutions, ReLUs and pools.
    fn number(self) -> usize {
        2 * self.position() + self.block - 1
    }

    fn conv_name(self) -> String {
        format!("conv{}_{}", self.block, self.index)
    }
}

impl fmt::Display for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "relu{}_{}", self.block, self.index)
    }
}

impl FromStr for Tap {
    type Err = Error;

    fn from_str(name: &str) -> Result<Tap> {
        Tap::all().find(|tap| tap.to_string() == name).ok_or_else(|| {
            Error::argument("vgg19", "tap", "one of relu1_1 relu1_2 relu2_1 relu2_2 relu3_1 ... relu5_4", name)
        })
    }
}

/// What a file's weights expect of a picture, and how they treat its edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// RGB 0..1 less ImageNet's mean, over its deviation; zero padding.
    Torchvision,
    /// BGR 0..255 less ImageNet's mean; zero padding. What Gatys and Johnson used.
    Caffe,
    /// A 1×1 convolution of RGB 0..1 first; reflection padding; weights scaled so that a channel's mean activation is 1.
    Normalised,
}

impl Convention {
    /// By its name on the command line and in metadata.
    pub fn from_name(name: &str) -> Result<Self> {
        [Convention::Torchvision, Convention::Caffe, Convention::Normalised]
            .into_iter()
            .find(|convention| convention.to_string() == name)
            .ok_or_else(|| Error::argument("vgg19", "convention", "torchvision, caffe or normalised", name))
    }

    /// Weights `[3, 3, 1, 1]` and bias that take RGB 0..1 to the net's input; the normalised convention brings its own.
    fn input(self) -> (Vec<f32>, Vec<f32>) {
        match self {
            Convention::Torchvision => {
                let (mean, std) = ([0.485, 0.456, 0.406], [0.229f32, 0.224, 0.225]);
                let weights = (0..9).map(|i| if i % 4 == 0 { 1.0 / std[i / 4] } else { 0.0 });
                (weights.collect(), (0..3).map(|c| -mean[c] / std[c]).collect())
            }
            _ => {
                let weights = vec![0.0, 0.0, 255.0, 0.0, 255.0, 0.0, 255.0, 0.0, 0.0];
                (weights, vec![-103.939, -116.779, -123.68])
            }
        }
    }

    fn border(self) -> Border {
        if self == Convention::Normalised { Border::Reflect } else { Border::Zero }
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Convention::Torchvision => "torchvision",
            Convention::Caffe => "caffe",
            Convention::Normalised => "normalised",
        })
    }
}

/// The convolutions found in a file, in the order of the net, with what they expect of a picture.
pub struct Layout<'f> {
    /// What the file expects of a picture.
    pub convention: Convention,
    /// The 1×1 convolution in front, of the normalised convention.
    pub input: Option<[&'f HostTensor; 2]>,
    /// Weights and bias of conv1_1, conv1_2 and so on, as far as the file goes.
    pub convolutions: Vec<[&'f HostTensor; 2]>,
}

/// The last number in front of `.weight`, where everything else is `features.` or nothing: torchvision's names.
fn numbered(name: &str) -> Option<usize> {
    let stem = name.strip_suffix(".weight")?;
    let number = stem.strip_prefix("features.").unwrap_or(stem);
    number.parse().ok()
}

impl<'f> Layout<'f> {
    /// Finds the convolutions by name and shape: `conv1_1.weight` (Caffe; normalised if there is a `conv0`) or
    /// `features.0.weight` (torchvision) or `0.weight` (normalised if the first is 1×1, else torchvision). A `convention` in
    /// the file's metadata has the last word.
    pub fn of(file: &'f WeightFile) -> Result<Self> {
        let wrong = |reason: String| {
            let way_out = "use another file (`impasto weights inspect` lists what is in this one)";
            Error::weights(&file.path, format!("{reason}; {way_out}"))
        };
        let refuse = |reason| Err(wrong(reason));
        let pair = |stem: &str| -> Result<[&'f HostTensor; 2]> {
            let find = |kind: &str| {
                let name = format!("{stem}.{kind}");
                file.get(&name).ok_or_else(|| wrong(format!("lacks the tensor {name}")))
            };
            Ok([find("weight")?, find("bias")?])
        };
        let mut stems: Vec<String> = Tap::all().map(Tap::conv_name).collect();
        stems.retain(|stem| file.get(&format!("{stem}.weight")).is_some());
        let mut named_input = file.get("conv0.weight").map(|_| "conv0".to_string());
        let mut numbers: Vec<(usize, String)> = Vec::new();
        if stems.is_empty() {
            for (name, tensor) in &file.tensors {
                if let Some(number) = numbered(name).filter(|_| tensor.shape.len() == 4) {
                    numbers.push((number, name.trim_end_matches(".weight").to_string()));
                }
            }
            numbers.sort();
            stems = numbers.into_iter().map(|(_, stem)| stem).collect();
            if let Some(first) =
                stems.first().cloned().filter(|stem| pair(stem).is_ok_and(|[w, _]| w.shape == [3, 3, 1, 1]))
            {
                stems.remove(0);
                named_input = Some(first);
            }
        }
        if stems.is_empty() {
            let names = "conv1_1.weight, features.0.weight or 0.weight";
            return refuse(format!("has no convolution called {names}: it is not VGG-19"));
        }
        let convention = match (file.metadata.get("convention"), &named_input) {
            (Some(name), _) => Convention::from_name(name).map_err(|error| Error::weights(&file.path, error))?,
            (None, Some(_)) => Convention::Normalised,
            (None, None) if stems[0].starts_with("conv") => Convention::Caffe,
            (None, None) => Convention::Torchvision,
        };
        if (convention == Convention::Normalised) != named_input.is_some() {
            let has = if named_input.is_some() { "begins" } else { "does not begin" };
            let reason = format!(
                "{has} with a 1x1 convolution, as the normalised convention alone does, and is said to be {convention}: \
                 give another --convention when it is imported"
            );
            return Err(Error::weights(&file.path, reason));
        }
        let mut channels = 3;
        let mut convolutions = Vec::new();
        for (tap, stem) in Tap::all().zip(&stems) {
            if stem.starts_with("conv") && *stem != tap.conv_name() {
                return refuse(format!("has {stem} but lacks {}", tap.conv_name()));
            }
            if named_input.is_none() && numbered(&format!("{stem}.weight")).is_some_and(|number| number != tap.number())
            {
                return refuse(format!(
                    "has {stem}.weight where VGG-19 has number {}, as VGG-16 and nets with batch norm do",
                    tap.number()
                ));
            }
            let [weight, bias] = pair(stem)?;
            let expected = [weight.shape.first().copied().unwrap_or(0), channels, 3, 3];
            if weight.shape != expected || expected[0] == 0 {
                let name = format!("{stem}.weight ({})", tap.conv_name());
                return refuse(format!("{name} must have shape [any, {channels}, 3, 3], got {:?}", weight.shape));
            }
            channels = expected[0];
            if bias.shape != [channels] {
                return refuse(format!("{stem}.bias must have shape [{channels}], got {:?}", bias.shape));
            }
            convolutions.push([weight, bias]);
        }
        let input = named_input.map(|stem| pair(&stem)).transpose()?;
        if let Some([weight, bias]) = input
            && (weight.shape != [3, 3, 1, 1] || bias.shape != [3])
        {
            let got = format!("{:?} and {:?}", weight.shape, bias.shape);
            return refuse(format!("conv0 must have shapes [3, 3, 1, 1] and [3], got {got}"));
        }
        Ok(Layout { convention, input, convolutions })
    }
}

struct Layer {
    conv: Conv2d,
    /// Packed for forward, packed for the gradient, bias.
    weights: [DeviceTensor; 3],
}

/// The net on a device, as deep as its file goes. Channels come from the weights, so narrow nets of its shape load too.
pub struct Vgg19 {
    context: Context,
    convention: Convention,
    pool: Pool,
    /// Takes RGB 0..1 to what the convention expects.
    input: Layer,
    layers: Vec<Layer>,
}

/// What a forward pass leaves for the backward pass.
pub struct Activations {
    size: [usize; 2],
    /// Output of each layer's ReLU.
    outputs: Vec<Tensor>,
    /// What each layer read: the output before it, or that output's pool.
    inputs: Vec<Tensor>,
}

impl Vgg19 {
    /// The net of a weight file, with pools of the given kind.
    pub fn load(context: &Context, file: &WeightFile, pool: Kind) -> Result<Self> {
        let layout = Layout::of(file)?;
        let (weight, bias) = layout.convention.input();
        let input = match layout.input {
            Some([weight, bias]) => (weight.data.clone(), bias.data.clone()),
            None => (weight, bias),
        };
        let shape = |[weight, bias]: &[&HostTensor; 2]| {
            (weight.shape[0], weight.shape[1], weight.data.clone(), bias.data.clone())
        };
        Self::build(context, layout.convention, pool, input, layout.convolutions.iter().map(shape))
    }

    /// A net of seeded random weights (He initialisation, no bias), `width` times VGG-19's channels, to relu4_1. Random
    /// filters already carry style (He, Wang & Hopcroft 2016), though less of it than trained ones.
    pub fn random(context: &Context, width: f32, seed: u64, pool: Kind) -> Result<Self> {
        let mut random = Random::new(seed);
        let mut channels = 3;
        let mut convolutions = Vec::new();
        for tap in Tap::all().take_while(|tap| tap.block < 4 || tap.index == 1) {
            let full = 64 << (tap.block - 1);
            let out = ((full as f32 * width).round() as usize).max(1);
            let deviation = (2.0 / (channels * 9) as f32).sqrt();
            let weights = (0..out * channels * 9).map(|_| random.normal() * deviation).collect();
            convolutions.push((out, channels, weights, vec![0.0; out]));
            channels = out;
        }
        let input = Convention::Torchvision.input();
        Self::build(context, Convention::Torchvision, pool, input, convolutions.into_iter())
    }

    fn build(
        context: &Context,
        convention: Convention,
        kind: Kind,
        input: (Vec<f32>, Vec<f32>),
        convolutions: impl Iterator<Item = (usize, usize, Vec<f32>, Vec<f32>)>,
    ) -> Result<Self> {
        let conv =
            Conv2d { channels_in: 3, channels_out: 3, kernel: 1, stride: 1, padding: Padding::None, relu: false };
        let input = Layer::new(context, "input", conv, &input.0, &input.1)?;
        let padding = Padding::Same(convention.border());
        let layers = Tap::all().zip(convolutions).map(|(tap, (channels_out, channels_in, weights, bias))| {
            let conv = Conv2d { channels_in, channels_out, kernel: 3, stride: 1, padding, relu: true };
            Layer::new(context, &tap.conv_name(), conv, &weights, &bias)
        });
        // AdaIN's encoder, from which the normalised weights come, pools in ceil mode.
        let pool = Pool { kind, ceil: convention == Convention::Normalised };
        Ok(Vgg19 { context: context.clone(), convention, pool, input, layers: layers.collect::<Result<_>>()? })
    }

    /// The context it lives in.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What it expects of a picture (given to [`Vgg19::forward`] as RGB 0..1 whatever it is).
    pub fn convention(&self) -> Convention {
        self.convention
    }

    /// The deepest tap that its weights reach.
    pub fn deepest(&self) -> Option<Tap> {
        Tap::all().take(self.layers.len()).last()
    }

    /// Channels at a tap; an error if the weights do not reach it.
    pub fn channels(&self, tap: Tap) -> Result<usize> {
        match self.layers.get(tap.position()) {
            Some(layer) => Ok(layer.conv.channels_out),
            None => {
                let deepest = self.deepest().map_or("nothing".into(), |tap| tap.to_string());
                let expected = format!("at most {deepest}, where this weight file ends");
                Err(Error::argument("vgg19", "tap", expected, tap))
            }
        }
    }

    /// Floating-point operations of the convolutions down to `tap` for one picture of `size` `[height, width]`.
    pub fn flops(&self, tap: Tap, size: [usize; 2]) -> Result<u64> {
        let mut at = size;
        let mut total = self.input.conv.flops(1, size);
        for (tap, layer) in Tap::all().zip(&self.layers).take(tap.position() + 1) {
            if tap.index == 1 && tap.block > 1 {
                at = self.pool.output_size(at)?;
            }
            total += layer.conv.flops(1, at);
        }
        Ok(total)
    }

    /// The shortest side of a picture, in pixels, from which `tap` can be computed.
    pub fn least_side(&self, tap: Tap) -> usize {
        // A reflection needs a neighbour of the edge.
        tap.reduction() * if self.convention.border() == Border::Reflect { 2 } else { 1 }
    }

    /// Records the net on `picture` (`[N, 3, H, W]`, RGB 0..1) down to `deepest`.
    pub fn forward(&self, rec: &mut Recorder, picture: Tensor, deepest: Tap) -> Result<Activations> {
        self.channels(deepest)?;
        let [_, _, height, width] = picture.shape.nchw("vgg19", "picture")?;
        let least = self.least_side(deepest);
        if height < least || width < least {
            let expected = format!("at least {least} x {least} px for {deepest}");
            return Err(Error::argument("vgg19", "picture", expected, format!("{width} x {height}")));
        }
        let mut acts = Activations { size: [height, width], outputs: Vec::new(), inputs: Vec::new() };
        let mut x = self.input.forward(rec, picture)?;
        for (tap, layer) in Tap::all().zip(&self.layers).take(deepest.position() + 1) {
            if tap.index == 1 && tap.block > 1 {
                x = self.pool.forward(rec, x)?;
            }
            acts.inputs.push(x);
            x = layer.forward(rec, x)?;
            acts.outputs.push(x);
        }
        Ok(acts)
    }

    /// Records the gradient to the picture, from gradients at some of the taps that `activations` hold.
    pub fn backward(&self, rec: &mut Recorder, acts: &Activations, gradients: &[(Tap, Tensor)]) -> Result<Tensor> {
        let mut running: Option<Tensor> = None;
        for (position, tap) in Tap::all().enumerate().take(acts.outputs.len()).collect::<Vec<_>>().into_iter().rev() {
            for &(_, gradient) in gradients.iter().filter(|(at, _)| *at == tap) {
                running = Some(match running {
                    None => gradient,
                    Some(sum) => vector::add(rec, sum, gradient)?,
                });
            }
            let Some(dy) = running else { continue };
            let (layer, input) = (&self.layers[position], acts.inputs[position]);
            let mut dx = layer.backward(rec, dy, Some(acts.outputs[position]), input)?;
            if tap.index == 1 && tap.block > 1 {
                dx = self.pool.backward(rec, acts.outputs[position - 1], dx)?;
            }
            running = Some(dx);
        }
        let Some(dx) = running else {
            return Err(Error::argument("vgg19 gradient", "gradients", "at least one tap of the forward pass", "none"));
        };
        let packed = rec.pin(&self.input.weights[1]);
        self.input.conv.backward(rec, dx, None, packed, acts.size)
    }
}

impl Activations {
    /// Features at a tap that the forward pass reached, `[N, C, h, w]`.
    pub fn at(&self, tap: Tap) -> Result<Tensor> {
        self.outputs
            .get(tap.position())
            .copied()
            .ok_or_else(|| Error::argument("vgg19", "tap", "one that the forward pass reached", tap))
    }
}

impl Layer {
    /// Packs weights `[M, C, K, K]` once, for both directions.
    fn new(context: &Context, name: &str, conv: Conv2d, weights: &[f32], bias: &[f32]) -> Result<Self> {
        let shape = [conv.channels_out, conv.channels_in, conv.kernel, conv.kernel];
        let plain = DeviceTensor::from_values(context, name, shape, weights)?;
        let [forward, backward] = conv.packed_count(context.class());
        let packed = [
            DeviceTensor::new(context, format!("{name} weights"), [forward]),
            DeviceTensor::new(context, format!("{name} weights, flipped"), [backward]),
        ];
        let mut rec = Recorder::new(context);
        let source = rec.pin(&plain);
        for (packed, gradient) in packed.iter().zip([false, true]) {
            let packed = rec.pin(packed);
            conv.pack(&mut rec, source, gradient, packed)?;
        }
        rec.finish()?.run()?;
        let [forward, backward] = packed;
        let bias = DeviceTensor::from_values(context, format!("{name} bias"), [bias.len()], bias)?;
        Ok(Layer { conv, weights: [forward, backward, bias] })
    }

    fn forward(&self, rec: &mut Recorder, x: Tensor) -> Result<Tensor> {
        let (packed, bias) = (rec.pin(&self.weights[0]), rec.pin(&self.weights[2]));
        self.conv.forward(rec, x, packed, Some(bias))
    }

    fn backward(&self, rec: &mut Recorder, dy: Tensor, y: Option<Tensor>, x: Tensor) -> Result<Tensor> {
        let packed = rec.pin(&self.weights[1]);
        let [_, _, height, width] = x.shape.nchw("vgg19", "x")?;
        self.conv.backward(rec, dy, y, packed, [height, width])
    }
}
