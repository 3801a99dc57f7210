//! The net's weights on the host, their two forms, and their names in files.

use std::collections::BTreeMap;
use std::path::Path;

use super::styles;
use crate::io::{Format, HostTensor, WeightFile};
use crate::nets::conv_layer::Convolution;
use crate::nets::named::Named;
use crate::ops::conv2d::{Conv2d, ConvTranspose2d, Padding};
use crate::ops::norm::{EPSILON, Over};
use crate::ops::pad::Border;
use crate::random::Random;
use crate::{Error, Result};

/// Architecture of a net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The paper's: 40 px of reflection padding, residual blocks without padding, transposed convolutions, tanh.
    Paper,
    /// Reflection padding of every convolution, nearest-neighbour ×2 before convolutions, no tanh. Avoids checkerboard
    /// artefacts.
    Resize,
}

/// Number of residual blocks.
pub(super) const BLOCKS: usize = 5;

/// A convolution and its norm, by name and shape.
pub(super) struct Layer {
    /// Name of the convolution, without `.conv2d`.
    pub name: String,
    /// Name of the norm before and after `in` or `bn`; `None` for the last convolution.
    pub norm: Option<[String; 2]>,
    pub conv: Convolution,
    /// Whether a ReLU follows the norm.
    pub relu: bool,
}

impl Layer {
    pub fn norm_name(&self, norm: Over) -> Option<String> {
        let kind = if norm == Over::Batch { "bn" } else { "in" };
        self.norm.as_ref().map(|[before, after]| format!("{before}{kind}{after}"))
    }
}

/// The layers in order, with `c` channels at full size (32 in the paper).
pub(super) fn layers(form: Form, c: usize) -> Vec<Layer> {
    let paper = form == Form::Paper;
    let around = Padding::Same(if paper { Border::Zero } else { Border::Reflect });
    let conv = |[channels_in, channels_out]: [usize; 2], kernel: usize, stride: usize, padding: Padding| Conv2d {
        channels_in,
        channels_out,
        kernel,
        stride,
        padding,
        upsample: false,
        relu: false,
    };
    let layer = |name: &str, norm: (&str, usize), conv: Convolution| {
        let norm = Some([norm.0.to_string(), norm.1.to_string()]);
        Layer { name: name.into(), norm, conv, relu: true }
    };
    let up = |name: &str, norm: usize, channels: [usize; 2]| {
        let [channels_in, channels_out] = channels;
        let convolution = match form {
            Form::Paper => ConvTranspose2d { channels_in, channels_out, output_padding: 1, relu: false }.into(),
            Form::Resize => Conv2d { upsample: true, ..conv(channels, 3, 1, around) }.into(),
        };
        layer(name, ("", norm), convolution)
    };
    let mut all = vec![
        layer("conv1", ("", 1), conv([3, c], 9, 1, around).into()),
        layer("conv2", ("", 2), conv([c, 2 * c], 3, 2, around).into()),
        layer("conv3", ("", 3), conv([2 * c, 4 * c], 3, 2, around).into()),
    ];
    for block in 1..=BLOCKS {
        for half in [1, 2] {
            let inside = conv([4 * c, 4 * c], 3, 1, if paper { Padding::None } else { around });
            let layer = layer(&format!("res{block}.conv{half}"), (&format!("res{block}."), half), inside.into());
            all.push(Layer { relu: half == 1, ..layer });
        }
    }
    all.extend([up("deconv1", 4, [4 * c, 2 * c]), up("deconv2", 5, [2 * c, c])]);
    all.push(Layer { name: "deconv3".into(), norm: None, conv: conv([c, 3], 9, 1, around).into(), relu: false });
    all
}

/// The net's weights on the host, for pictures in RGB 0..1.
#[derive(Clone, Debug)]
pub struct ImageTransformNetWeights {
    /// Architecture.
    pub form: Form,
    /// Kind of norm.
    pub norm: Over,
    /// Channels of the first convolution, 32 in the paper.
    pub channels: usize,
    /// Names of the styles of a body, in the order of the rows of its tables (arXiv:1610.07629). Empty for a net of one
    /// style, whose norms have no rows.
    pub styles: Vec<String>,
    /// Tensors in the order of the net, named as in pytorch/examples (with batch norm, `bn` instead of `in`).
    pub tensors: Vec<(String, HostTensor)>,
}

/// Metadata key and value for pictures of 0..1. Without it, as in public files, pictures are 0..255.
const RANGE: (&str, &str) = ("range", "0..1");

impl ImageTransformNetWeights {
    /// Finds the net in a file: the form by the shape of `deconv1`, the norm by `in1` or `bn1`, and the styles by the
    /// metadata. Running statistics of instance norms, as in old files of pytorch/examples, and counters are ignored.
    ///
    /// # Errors
    /// A file that is not such a net, or has further tensors; the message names the tensor.
    pub fn of(file: &WeightFile) -> Result<Self> {
        let named = Named::new(file, "use a net of Johnson's or Ulyanov's form");
        let wrong = |reason: String| named.wrong(reason);
        let side = |name: &str, side: usize| Result::Ok(named.read(name)?.shape.get(side).copied().unwrap_or(0));
        let channels = side("conv1.conv2d.weight", 0)?;
        let deep = side("conv3.conv2d.weight", 0)?;
        let form = if side("deconv1.conv2d.weight", 0)? == deep { Form::Paper } else { Form::Resize };
        let norm = if named.peek("bn1.weight").is_some() { Over::Batch } else { Over::Instance };
        let styles = styles::names(file).map_err(wrong)?;
        let mut weights = ImageTransformNetWeights { form, norm, channels, styles, tensors: Vec::new() };
        for (name, shape) in weights.shapes() {
            let tensor = named.read(&name)?;
            if tensor.shape != shape || tensor.data.is_empty() {
                return Err(wrong(format!("tensor {name} must have shape {shape:?}, got {:?}", tensor.shape)));
            }
            weights.tensors.push((name, tensor.clone()));
        }
        let statistics = |name: &str| name.ends_with(".running_mean") || name.ends_with(".running_var");
        named.check_all_read("an image transform net of five residual blocks", |name| {
            norm == Over::Instance && statistics(name)
        })?;
        if file.metadata.get(RANGE.0).map(String::as_str) != Some(RANGE.1) {
            let mut scale = |name: &str, factor: f32| {
                let tensors = weights.tensors.iter_mut().filter(|(known, _)| known == name);
                tensors.for_each(|(_, tensor)| tensor.data.iter_mut().for_each(|value| *value *= factor));
            };
            scale("conv1.conv2d.weight", 255.0);
            if form == Form::Resize {
                scale("deconv3.conv2d.weight", 1.0 / 255.0);
                scale("deconv3.conv2d.bias", 1.0 / 255.0);
            }
        }
        Ok(weights)
    }

    /// Seeded random weights of a net to be trained, `width` times as wide as the paper's. It starts with a nearly
    /// uniform grey picture.
    pub fn random(form: Form, norm: Over, width: f32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let channels = ((32.0 * width).round() as usize).max(1);
        let mut weights = ImageTransformNetWeights { form, norm, channels, styles: Vec::new(), tensors: Vec::new() };
        for (name, shape) in weights.shapes() {
            let count: usize = shape.iter().product();
            let data = match name.rsplit_once('.') {
                _ if shape.len() == 4 => {
                    // No norm follows the last convolution, so its output must start within the range of a picture.
                    let gain = if name.starts_with("deconv3") { 0.1 } else { 1.0 };
                    let deviation = gain * (3.0 * (shape[1] * shape[2] * shape[3]) as f32).sqrt().recip();
                    (0..count).map(|_| deviation * random.normal()).collect()
                }
                Some((_, "weight" | "running_var")) => vec![1.0; count],
                _ if name == "deconv3.conv2d.bias" && form == Form::Resize => vec![0.5; count],
                _ => vec![0.0; count],
            };
            weights.tensors.push((name, HostTensor { shape, dtype: crate::io::DType::F32, data }));
        }
        weights
    }

    /// The net, widened to `width` times the paper's channels. New channels start as in
    /// [`ImageTransformNetWeights::random`]. No old channel reads them, so the net still paints the same, in every
    /// style.
    ///
    /// # Errors
    /// A net that is already wider.
    pub fn widened(&self, width: f32, seed: u64) -> Result<Self> {
        let mut wide = Self::random(self.form, self.norm, width, seed);
        if !self.styles.is_empty() {
            wide = wide.with_styles(&self.styles)?;
        }
        if self.channels > wide.channels {
            let expected = format!("a net of at most {} channels", wide.channels);
            return Err(Error::argument("widened", "net", expected, self.channels));
        }
        let layers = self.layers();
        let transposed = layers.iter().filter(|layer| matches!(layer.conv, Convolution::Transposed(_)));
        let transposed: Vec<_> = transposed.map(|layer| format!("{}.conv2d.weight", layer.name)).collect();
        let is_table = |tensor: &HostTensor| tensor.shape.len() == 2;
        let sides = |tensor: &HostTensor| [tensor.shape[0], tensor.shape.get(1).copied().unwrap_or(1)];
        for ((name, added), (_, had)) in wide.tensors.iter_mut().zip(&self.tensors) {
            let ([_, columns], [had_rows, had_columns]) = (sides(added), sides(had));
            let filter: usize = added.shape.iter().skip(2).product();
            // Weights of a transposed convolution are [C_in, C_out, K, K], of others [C_out, C_in, K, K]; tables are [S, C].
            let inputs_first = transposed.contains(name) || is_table(added);
            for (index, values) in added.data.chunks_exact_mut(filter).enumerate() {
                let (row, column) = (index / columns, index % columns);
                let (reads_new, writes_new) = match inputs_first {
                    true => (row >= had_rows, column >= had_columns),
                    false => (column >= had_columns, row >= had_rows),
                };
                match (reads_new, writes_new) {
                    (false, false) => {
                        let at = (row * had_columns + column) * filter;
                        values.copy_from_slice(&had.data[at..at + filter]);
                    }
                    (true, false) => values.fill(0.0),
                    (_, true) => {}
                }
            }
        }
        Ok(wide)
    }

    pub(super) fn layers(&self) -> Vec<Layer> {
        layers(self.form, self.channels)
    }

    /// Names and shapes of all tensors, in the order of the net.
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut all = Vec::new();
        for layer in self.layers() {
            let channels = layer.conv.channels_out();
            all.push((format!("{}.conv2d.weight", layer.name), layer.conv.weight_shape().to_vec()));
            all.push((format!("{}.conv2d.bias", layer.name), vec![channels]));
            let Some(norm) = layer.norm_name(self.norm) else { continue };
            let kinds: &[_] = match self.norm {
                Over::Instance => &["weight", "bias"],
                Over::Batch => &["weight", "bias", "running_mean", "running_var"],
            };
            let shape = if self.styles.is_empty() { vec![channels] } else { vec![self.styles.len(), channels] };
            all.extend(kinds.iter().map(|kind| (format!("{norm}.{kind}"), shape.clone())));
        }
        all
    }

    /// The tensor called `name`.
    ///
    /// # Panics
    /// If there is no such tensor.
    pub(super) fn tensor(&self, name: &str) -> &HostTensor {
        &self.tensors.iter().find(|(known, _)| known == name).expect("a tensor of the net").1
    }

    /// The values of the tensor called `name`; empty if there is no such tensor.
    pub(super) fn values(&self, name: &str) -> &[f32] {
        self.tensors.iter().find(|(known, _)| known == name).map_or(&[], |(_, tensor)| &tensor.data)
    }

    /// Metadata for a file of these weights.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        let form = if self.form == Form::Paper { "paper" } else { "resize" };
        let norm = if self.norm == Over::Batch { "batch" } else { "instance" };
        let mut all = vec![
            ("architecture", "image_transform_net".into()),
            ("form", form.into()),
            ("norm", norm.into()),
            (RANGE.0, RANGE.1.into()),
        ];
        all.extend(styles::metadata(&self.styles));
        all
    }

    /// The weights as a file, with additional metadata.
    pub fn into_file(self, path: &Path, mut metadata: BTreeMap<String, String>) -> WeightFile {
        metadata.extend(self.metadata().into_iter().map(|(key, value)| (key.to_string(), value)));
        WeightFile { path: path.into(), format: Format::Safetensors, tensors: self.tensors, metadata }
    }

    /// Weights and bias of a layer's convolution, with the running statistics of batch norm folded in:
    /// `w' = w·γ/√(σ²+ε)`, `b' = (b − μ)·γ/√(σ²+ε) + β` (arXiv:1502.03167, algorithm 2, line 11).
    pub(super) fn folded(&self, layer: &Layer) -> [Vec<f32>; 2] {
        let [mut weight, mut bias] =
            ["weight", "bias"].map(|kind| self.values(&format!("{}.conv2d.{kind}", layer.name)).to_vec());
        let Some(norm) = layer.norm_name(Over::Batch).filter(|_| self.norm == Over::Batch) else {
            return [weight, bias];
        };
        let [gamma, beta, mean, variance] =
            ["weight", "bias", "running_mean", "running_var"].map(|kind| self.values(&format!("{norm}.{kind}")));
        // Weights of a transposed convolution are [C_in, C_out, K, K], of others [C_out, C_in, K, K].
        let [_, second, kernel, _] = layer.conv.weight_shape();
        let filter = kernel * kernel * if matches!(layer.conv, Convolution::Transposed(_)) { 1 } else { second };
        let factors: Vec<f32> = gamma.iter().zip(variance).map(|(g, v)| g / (v + EPSILON).sqrt()).collect();
        for (index, part) in weight.chunks_mut(filter).enumerate() {
            let factor = factors[index % factors.len()];
            part.iter_mut().for_each(|w| *w *= factor);
        }
        for (channel, b) in bias.iter_mut().enumerate() {
            *b = (*b - mean[channel]) * factors[channel] + beta[channel];
        }
        [weight, bias]
    }
}
