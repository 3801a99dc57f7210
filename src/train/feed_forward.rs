//! Training of feed-forward nets: for one style (Johnson, arXiv:1603.08155; Ulyanov, arXiv:1607.08022), or for many
//! styles at once, with one style for each photo of a batch (Dumoulin, arXiv:1610.07629).
//!
//! Let y be the net's output for a photo c, clamped to 0..1, s the style picture, F_t the features `[C, H, W]` at a tap
//! t of the loss net, and G_t their Gram matrix divided by C·H·W. The loss is the mean over the photos of
//!
//! ```text
//! L = Σ_content a_t |F_t(y) − F_t(c)|²/(CHW) + Σ_style b_t |G_t(y) − G_t(s)|²/C² + v TV(y)/(3HW)
//! ```
//! The factors a_t and b_t are normalised: if the features of y are zero, each tap's term equals the product of its two
//! weights in [`FeedForwardTrainerSettings`] (for content, on average over the calibration photos). Weights therefore
//! mean the same for every loss net and every style. All runs on a folder of photos have the same a_t. [`Loss`] has the
//! factors themselves; Gatys' method takes them as unnormalised weights. With many styles, each style has its own b_t.
//! The recorded program uses their mean b̄_t and multiplies G_t(y) and G_t(s) by √(b_t / b̄_t).

use serde::{Deserialize, Serialize};

use crate::gpu::{Context, DeviceTensor, Recorder, Tensor};
use crate::io::Picture;
use crate::nets::image_transform_net::ImageTransformNetWeights;
#[cfg(feature = "train")]
use crate::nets::image_transform_net::{Form, Painter};
#[cfg(feature = "train")]
use crate::nets::vgg19::Vgg19Weights;
use crate::nets::{ImageTransformNet, Tap, Vgg19, visible};
#[cfg(feature = "train")]
use crate::ops::norm::Over;
#[cfg(feature = "train")]
use crate::ops::pool::Pooling;
use crate::ops::square_loss::Weight;
use crate::ops::{rows, total_variation, vector};
use crate::optim::Parameter;
use crate::random::Random;
#[cfg(feature = "train")]
use crate::sheet::{self, Cell};
use crate::train::{Crops, Folder, Loader, Trainer};
use crate::{Error, Result, loss};

/// Settings of [`FeedForward`], besides those of the training loop.
#[derive(Clone, Debug, Serialize)]
pub struct FeedForwardTrainerSettings {
    /// How photos are cropped.
    pub crops: Crops,
    /// Content taps with a weight each.
    pub content_taps: Vec<(Tap, f32)>,
    /// Style taps with a weight each.
    pub style_taps: Vec<(Tap, f32)>,
    /// Weight of the content loss.
    pub content_weight: f32,
    /// Weight of the style loss.
    pub style_weight: f32,
    /// Weight of the total variation, which is divided by the number of the picture's values.
    pub tv_weight: f32,
    /// Long side of the style picture in pixels.
    pub style_size: usize,
    /// Number of photos for the normalisation of the content loss, at least 3 and at most the folder's. They are
    /// squares over the whole short side, resized to 256 px, and the same in every run on a folder, so that runs with
    /// other crops and seeds have the same loss.
    pub calibration: usize,
    /// Whether only the scales and shifts of the norms are trained and the convolutions stay frozen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub norms_alone: bool,
}

/// Default content taps.
const CONTENT: [&str; 2] = ["relu2_2", "relu3_1"];

impl Default for FeedForwardTrainerSettings {
    fn default() -> Self {
        FeedForwardTrainerSettings {
            crops: Crops { size: 256, share: Some([0.5, 1.0]), flip: true },
            // With relu2_2 alone, the net keeps the layout but copies the photo; with relu3_1 alone, it learns the
            // layout slowly.
            content_taps: Tap::all()
                .filter(|tap| CONTENT.contains(&tap.to_string().as_str()))
                .map(|tap| (tap, 1.0))
                .collect(),
            style_taps: Tap::style().map(|tap| (tap, 1.0)).collect(),
            content_weight: 1.0,
            style_weight: 2.0,
            tv_weight: 0.5,
            style_size: 256,
            calibration: 32,
            norms_alone: false,
        }
    }
}

impl FeedForwardTrainerSettings {
    /// The loss of a body and of its further styles.
    pub fn of_body() -> Self {
        FeedForwardTrainerSettings {
            content_taps: Tap::all().filter(|tap| tap.to_string() == "relu3_1").map(|tap| (tap, 1.0)).collect(),
            content_weight: 1.0,
            tv_weight: 10.0,
            style_size: 448,
            ..FeedForwardTrainerSettings::default()
        }
    }
}

/// The loss with unnormalised weights, which multiply mean squares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Content taps with their weights a_t.
    pub content: Vec<(Tap, f32)>,
    /// Style taps with their weights b_t.
    pub style: Vec<(Tap, f32)>,
    /// Weight v of the total variation.
    pub tv: f32,
}

impl Loss {
    fn deepest(&self) -> Result<Tap> {
        let taps = self.content.iter().chain(&self.style).map(|(tap, _)| *tap);
        taps.max().ok_or_else(|| Error::argument("train", "taps", "at least one for content or style", "none"))
    }
}

/// The training of an [`ImageTransformNet`]: the net and the loss net.
pub struct FeedForward {
    settings: FeedForwardTrainerSettings,
    folder: Folder,
    vgg: Vgg19,
    net: ImageTransformNet,
    /// The loss with the mean of the styles' weights.
    loss: Loss,
    /// The styles' weights b_t at each style tap.
    units: Vec<Vec<f32>>,
    /// The styles' targets at each style tap.
    targets: Vec<Target>,
    /// Photos of the sample picture.
    previews: Vec<Picture>,
}

/// Targets of all S styles at a tap, scaled so that one weight applies to all styles.
struct Target {
    /// Gram matrices `[S, C·C]`, multiplied by `factors`.
    grams: DeviceTensor,
    /// √(weight of the style / common weight), `[S, 1]`.
    factors: DeviceTensor,
}

impl Target {
    /// Targets from the styles' Gram matrices and weights `units`, for the common `weight`.
    fn new(context: &Context, grams: &[Vec<f32>], units: &[f32], weight: f32) -> Result<Self> {
        let factors: Vec<f32> = units.iter().map(|unit| (unit / weight).sqrt()).collect();
        let scaled = |(gram, factor): (&Vec<f32>, &f32)| gram.iter().map(|g| g * factor).collect::<Vec<_>>();
        let scaled = grams.iter().zip(&factors).map(scaled).collect::<Vec<_>>().concat();
        let (styles, length) = (grams.len(), scaled.len() / grams.len());
        Ok(Target {
            grams: DeviceTensor::from_values(context, "style targets", [styles, length], &scaled)?,
            factors: DeviceTensor::from_values(context, "factors of styles", [styles, 1], &factors)?,
        })
    }
}

/// Photos in a sample picture, unless one is given.
const SAMPLES: usize = 3;

/// Side of the photos for the normalisation of the content loss, in pixels.
const UNIT_SIDE: usize = 256;

fn mean_square(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64
}

impl FeedForward {
    /// Trains a net that starts from `weights` on the photos of `folder`. `styles` is one picture, or one for each of
    /// the net's styles, in their order. `vgg` is the loss net. Sample pictures show `preview`, or some photos of the
    /// folder.
    ///
    /// # Errors
    /// A tap that `vgg` does not have; crops too small for the nets; a style picture too small for its taps; a number
    /// of styles that differs from the net's.
    pub async fn new_async(
        vgg: Vgg19,
        weights: ImageTransformNetWeights,
        styles: &[Picture],
        folder: Folder,
        settings: FeedForwardTrainerSettings,
        preview: Option<Picture>,
    ) -> Result<Self> {
        let context = vgg.context();
        if styles.len() != weights.styles.len().max(1) {
            let expected = format!("{} pictures, one for each style of the net", weights.styles.len().max(1));
            return Err(Error::argument("train", "styles", expected, styles.len()));
        }
        let trainable =
            if settings.norms_alone { ImageTransformNet::trainable_norms } else { ImageTransformNet::trainable };
        let net = trainable(context, weights)?;
        let mut loss = Loss { content: Vec::new(), style: Vec::new(), tv: settings.tv_weight };
        let style_taps: Vec<_> = settings.style_taps.iter().map(|(tap, _)| *tap).collect();
        // One list for each tap, with the Gram matrix of each style.
        let mut grams = vec![Vec::new(); style_taps.len()];
        for style in styles {
            let style = style.fit(settings.style_size);
            let of_taps = measure(&vgg, &style, &style_taps, |rec, features| {
                let [_, _, height, width] = features.shape.nchw("train", "features")?;
                let mask = visible_mask(context, &style, [height, width])?.map(|mask| rec.pin(&mask));
                loss::masked_gram(rec, features, mask)
            })
            .await?;
            grams.iter_mut().zip(of_taps).for_each(|(grams, gram)| grams.push(gram));
        }
        let (mut units, mut targets) = (Vec::new(), Vec::new());
        for ((tap, weight), grams) in settings.style_taps.iter().zip(&grams) {
            // The bound avoids a division by zero for a black style picture.
            let unit = |gram: &Vec<f32>| f64::from(settings.style_weight * weight) / mean_square(gram).max(1e-12);
            let own: Vec<f64> = grams.iter().map(unit).collect();
            let mean = (own.iter().sum::<f64>() / own.len() as f64) as f32;
            let own: Vec<f32> = own.into_iter().map(|unit| unit as f32).collect();
            loss.style.push((*tap, mean));
            // A weight of 0 would give factors of 0/0.
            let shares = if mean > 0.0 { own.clone() } else { vec![1.0; own.len()] };
            targets.push(Target::new(context, grams, &shares, if mean > 0.0 { mean } else { 1.0 })?);
            units.push(own);
        }
        let squares = Crops { size: UNIT_SIDE, share: Some([1.0, 1.0]), flip: false };
        // No thread is worth it for a few photos.
        let mut loader = Loader::start(folder.clone(), squares, 0, 0, 0)?;
        let count = settings.calibration.min(folder.len()).max(SAMPLES);
        let photos = (0..count).map(|_| Picture::from_rgb(UNIT_SIDE, UNIT_SIDE, loader.next()?));
        let photos: Vec<_> = photos.collect::<Result<_>>()?;
        let content_taps: Vec<_> = settings.content_taps.iter().map(|(tap, _)| *tap).collect();
        let content_units = mean_squares(&vgg, &photos, &content_taps).await?;
        for ((tap, weight), unit) in settings.content_taps.iter().zip(content_units) {
            loss.content.push((*tap, (f64::from(settings.content_weight * weight) / unit.max(1e-12)) as f32));
        }
        loss.deepest()?;
        let previews = preview.map_or_else(|| photos[..SAMPLES].to_vec(), |photo| vec![photo]);
        Ok(FeedForward { settings, folder, vgg, net, loss, units, targets, previews })
    }

    /// [`new_async`](FeedForward::new_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn new(
        vgg: Vgg19,
        weights: ImageTransformNetWeights,
        styles: &[Picture],
        folder: Folder,
        settings: FeedForwardTrainerSettings,
        preview: Option<Picture>,
    ) -> Result<Self> {
        let context = vgg.context().clone();
        context.block_on(Self::new_async(vgg, weights, styles, folder, settings, preview))
    }

    /// A net and a VGG-19 loss net, both with random weights and `width` times the published width, without pictures:
    /// for benchmarks.
    #[cfg(feature = "train")]
    pub(crate) fn random(context: &Context, width: f32, settings: FeedForwardTrainerSettings) -> Result<Self> {
        let vgg = Vgg19::new(context, &Vgg19Weights::random(width, 1), Pooling::Max)?;
        let net = ImageTransformNetWeights::random(Form::Resize, Over::Instance, width, 2);
        let (content, style) = (settings.content_taps.clone(), settings.style_taps.clone());
        let target =
            |(tap, _): &(Tap, f32)| Target::new(context, &[vec![1.0; vgg.channels(*tap)?.pow(2)]], &[1.0], 1.0);
        Ok(FeedForward {
            loss: Loss { content, tv: settings.tv_weight, style: style.clone() },
            units: style.iter().map(|(_, weight)| vec![*weight]).collect(),
            targets: style.iter().map(target).collect::<Result<_>>()?,
            net: ImageTransformNet::trainable(context, net)?,
            vgg,
            settings,
            folder: Folder::default(),
            previews: Vec::new(),
        })
    }

    /// The loss of each style.
    pub fn losses(&self) -> Vec<Loss> {
        let of = |style: usize| {
            let own = self.loss.style.iter().zip(&self.units).map(|((tap, _), units)| (*tap, units[style]));
            Loss { style: own.collect(), ..self.loss.clone() }
        };
        (0..self.styles()).map(of).collect()
    }

    fn styles(&self) -> usize {
        self.net.shape().styles.len().max(1)
    }

    /// The current net, as a single-style net for each style.
    #[cfg(feature = "train")]
    fn nets(&self) -> Result<Vec<ImageTransformNetWeights>> {
        let weights = self.net.weights()?;
        if weights.styles.is_empty() {
            return Ok(vec![weights]);
        }
        (0..self.styles()).map(|style| weights.blend(&one_hot(style, self.styles()))).collect()
    }

    /// The weights of the current net.
    pub async fn weights_async(&self) -> Result<ImageTransformNetWeights> {
        self.net.weights_async().await
    }

    /// [`weights_async`](FeedForward::weights_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn weights(&self) -> Result<ImageTransformNetWeights> {
        self.net.weights()
    }
}

fn one_hot(at: usize, count: usize) -> Vec<f32> {
    (0..count).map(|index| if index == at { 1.0 } else { 0.0 }).collect()
}

/// Runs the loss net on `picture` and returns the results of `of` on the features at each tap.
pub(crate) async fn measure(
    vgg: &Vgg19,
    picture: &Picture,
    taps: &[Tap],
    of: impl Fn(&mut Recorder, Tensor) -> Result<Tensor>,
) -> Result<Vec<Vec<f32>>> {
    let shape = [1, 3, picture.height, picture.width];
    let pixels = DeviceTensor::from_values(vgg.context(), "picture", shape, &picture.rgb)?;
    let (rec, results) = vgg.measure(&pixels, taps, of)?;
    if !results.is_empty() {
        rec.finish()?.submit()?;
    }
    let mut values = Vec::new();
    for result in &results {
        values.push(result.read_async().await?);
    }
    Ok(values)
}

/// The mean square of the features at each tap, over all photos.
pub(super) async fn mean_squares(vgg: &Vgg19, photos: &[Picture], taps: &[Tap]) -> Result<Vec<f64>> {
    let mut units = vec![0.0; taps.len()];
    for photo in photos {
        let features = measure(vgg, photo, taps, |_, features| Ok(features)).await?;
        units.iter_mut().zip(features).for_each(|(unit, f)| *unit += mean_square(&f) / photos.len() as f64);
    }
    Ok(units)
}

impl Trainer for FeedForward {
    fn streams(&self) -> Vec<(Folder, Crops)> {
        vec![(self.folder.clone(), self.settings.crops.clone())]
    }

    fn terms(&self) -> Vec<String> {
        let content = self.loss.content.iter().map(|(tap, _)| format!("content {tap}"));
        let style = self.loss.style.iter().map(|(tap, _)| format!("style {tap}"));
        content.chain(style).chain(["total variation".into()]).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.net.parameters()
    }

    fn state(&self) -> Vec<(String, DeviceTensor)> {
        self.net.state()
    }

    /// Style weights of a photo: a one-hot vector. Each group of as many consecutive photos as there are styles has
    /// every style once, in an order of its own.
    fn labels(&self, number: u64) -> Vec<f32> {
        let count = self.styles();
        let mut random = Random::new(number / count as u64);
        let mut order: Vec<usize> = (0..count).collect();
        (1..count).rev().for_each(|last| order.swap(last, (random.bits() % (last as u64 + 1)) as usize));
        one_hot(order[(number % count as u64) as usize], count)
    }

    fn record(&self, rec: &mut Recorder, inputs: &[Tensor], losses: Tensor, share: f32) -> Result<()> {
        let (photos, styles) = (inputs[0], inputs[1]);
        let painted = self.net.forward_in(rec, photos, Some(styles))?;
        // Displayed pictures are clamped to 0..1, so the loss is computed on the clamped output.
        let y = rec.transient("painted", painted.picture.shape);
        vector::copy(rec, painted.picture, y)?;
        vector::clamp(rec, y, 0.0, 1.0)?;
        let roughness = share * self.loss.tv / y.shape.count() as f32;
        let slot = self.loss.content.len() + self.loss.style.len();
        total_variation::forward(rec, y, roughness, losses, slot)?;
        let targets = match self.loss.content.iter().map(|(tap, _)| *tap).max() {
            Some(deepest) => Some(self.vgg.forward(rec, photos, deepest)?),
            None => None,
        };
        let activations = self.vgg.forward(rec, y, self.loss.deepest()?)?;
        let mut gradients = Vec::new();
        for (slot, (tap, weight)) in self.loss.content.iter().enumerate() {
            let features = activations.at(*tap)?;
            let Some(target) = targets.as_ref() else { continue };
            let weight = Weight::new(rec, share * weight / features.shape.count() as f32);
            gradients.push((*tap, loss::content(rec, features, target.at(*tap)?, weight, losses, slot)?));
        }
        for (index, ((tap, weight), Target { grams, factors })) in self.loss.style.iter().zip(&self.targets).enumerate()
        {
            let features = activations.at(*tap)?;
            let [grams, factors] = [grams, factors].map(|tensor| rec.pin(tensor));
            let (target, factors) = (rows::mix(rec, styles, grams)?, rows::mix(rec, styles, factors)?);
            let weight = Weight::new(rec, share * weight / target.shape.count() as f32);
            let slot = self.loss.content.len() + index;
            gradients.push((*tap, loss::gram_styles(rec, features, factors, target, weight, losses, slot)?));
        }
        let dy = self.vgg.backward(rec, &activations, gradients)?;
        let smoothing = total_variation::backward(rec, y, roughness)?;
        let dy = vector::add(rec, dy, smoothing)?;
        let dy = vector::clamp_gradient(rec, painted.picture, dy, 0.0, 1.0)?;
        self.net.backward_parameters(rec, &painted, dy)
    }

    fn refresh(&self, rec: &mut Recorder) -> Result<()> {
        self.net.repack(rec)
    }

    /// A row for each photo: the photo, then its repainting in each style.
    #[cfg(feature = "train")]
    fn sample(&self) -> Result<Picture> {
        let mut painters: Vec<(String, Painter)> = Vec::new();
        for (index, weights) in self.nets()?.into_iter().enumerate() {
            let name = self.net.shape().styles.get(index).cloned().unwrap_or_else(|| "repainted".into());
            painters.push((name, Painter::new(ImageTransformNet::new(self.net.context(), weights)?)));
        }
        let mut rows = Vec::new();
        for (number, photo) in (1..).zip(&self.previews) {
            let side = photo.width.max(photo.height);
            let mut row = vec![Cell::picture(photo, side, format!("photo {number}"))];
            for (name, painter) in &mut painters {
                row.push(Cell::picture(&painter.paint(photo)?, side, name.clone()));
            }
            rows.push(row);
        }
        sheet::sheet(&rows)
    }

    fn settings(&self) -> serde_json::Value {
        let weights = self.net.shape();
        let (form, norm) = (weights.form, format!("{:?}", weights.norm));
        // Omitted for single-style nets.
        let styles = (!weights.styles.is_empty()).then_some(&weights.styles);
        // Checkpoints contain only trained parameters, so a frozen body is identified by its fingerprint.
        let body = self.settings.norms_alone.then(|| weights.fingerprint());
        serde_json::json!({
            "feed-forward": &self.settings, "form": form, "norm": norm, "channels": weights.channels,
            "styles": styles, "body": body, "pictures": self.folder.len(), "loss": &self.loss, "measured_by": self.vgg.fingerprint(),
        })
    }
}

/// The square roots of [`visible`], for the features of a Gram matrix.
///
/// # Errors
/// A picture without a visible pixel.
fn visible_mask(context: &Context, picture: &Picture, size: [usize; 2]) -> Result<Option<DeviceTensor>> {
    let roots = |weights: Vec<f32>| weights.into_iter().map(f32::sqrt).collect::<Vec<_>>();
    let mask = visible(picture, size)?.map(roots);
    mask.map(|mask| DeviceTensor::from_values(context, "visible pixels", size, &mask)).transpose()
}
