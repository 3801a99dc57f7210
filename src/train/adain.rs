//! Training of AdaIN's decoder (arXiv:1703.06868), which paints any photo in any style, on photos and paintings.
//!
//! Let e be the encoder up to relu4_1, g the decoder, f the loss net (e itself, unless another is chosen), F_t its
//! taps, c a photo, s a painting, t = AdaIN(f(c), f(s)) and y = g(AdaIN(e(c), e(s))). Squared norms are means over
//! elements. The loss is (equations 11 to 13 of the paper, extended)
//!
//! ```text
//! L = a |f(y) − t|² + b Σ_t (|μ(F_t(y)) − μ(F_t(s))|² + |σ(F_t(y)) − σ(F_t(s))|²) + v TV(y)/(3HW) + i |g(e(c)) − c|²
//!   + p |y − h(t)|² + q Σ_t |F_t(y) − F_t(h(t))|²
//! ```
//! The last four terms are not in the paper: total variation (weight v), reconstruction of the photo when content and
//! style are the same (weight i), and distillation of another decoder h, the teacher, which reads the features of f
//! (weights p and q).

mod start;
mod transfer;

use serde::Serialize;

use crate::gpu::{Context, Recorder, Tensor};
use crate::io::Picture;
use crate::nets::adain_decoder::AdainDecoderWeights;
use crate::nets::adain_painter::adapt;
use crate::nets::vgg19::Vgg19Weights;
use crate::nets::{AdainDecoder, AdainPainter, Tap, Vgg19};
use crate::ops::square_loss::{self, Weight};
use crate::ops::{mean_std, total_variation, vector};
use crate::optim::Parameter;
use crate::sheet::{self, Cell};
use crate::train::closed_form::POSITIONS;
use crate::train::{Crops, Folder, Loader, Trainer};
use crate::{Error, Result, loss};

use transfer::Samples;

pub use transfer::Pair;

/// Settings of [`Adain`], besides those of the training loop.
#[derive(Clone, Debug, Serialize)]
pub struct AdainTrainerSettings {
    /// How photos are cropped.
    pub crops: Crops,
    /// How paintings are cropped, to the same size; smaller shares give brush strokes of more sizes.
    pub style_crops: Crops,
    /// Weight a of the content loss.
    pub content_weight: f32,
    /// Weight b of the style loss.
    pub style_weight: f32,
    /// Weight v of the total variation.
    pub tv_weight: f32,
    /// Weight i of the reconstruction of a photo from its own features.
    pub identity_weight: f32,
    /// Weight p of the squared distance from the teacher's picture, in pixel values 0..1.
    pub pixel_weight: f32,
    /// Weight q of the squared distance from the teacher's picture, in features at the four style taps.
    pub feature_weight: f32,
    /// Number of photos and paintings for the closed-form initialisation: [`start()`] uses half as many of each,
    /// [`transfer()`] this many pairs.
    pub calibration: usize,
    /// Number of pixels, over all of those pictures, that each layer of the closed-form initialisation is fitted to.
    #[serde(skip)]
    pub positions: usize,
    /// Seed of the pictures for the closed-form initialisation and the sample pictures.
    pub seed: u64,
}

impl Default for AdainTrainerSettings {
    fn default() -> Self {
        let crops = Crops { size: 256, share: Some([0.5, 1.0]), flip: true };
        AdainTrainerSettings {
            style_crops: Crops { share: Some([0.25, 1.0]), ..crops.clone() },
            crops,
            content_weight: 1.0,
            style_weight: 10.0,
            tv_weight: 0.0,
            identity_weight: 0.0,
            pixel_weight: 0.0,
            feature_weight: 0.0,
            calibration: 96,
            positions: POSITIONS,
            seed: 0,
        }
    }
}

/// The frozen nets of the training.
pub struct Nets {
    /// The encoder whose features the decoder reads.
    pub encoder: Vgg19,
    /// The loss net; `None`: the encoder.
    pub loss: Option<Vgg19>,
    /// A trained decoder for the loss net's features, for distillation.
    pub teacher: Option<AdainDecoder>,
}

impl Nets {
    /// The loss net.
    fn loss_net(&self) -> &Vgg19 {
        self.loss.as_ref().unwrap_or(&self.encoder)
    }
}

impl From<Vgg19> for Nets {
    fn from(encoder: Vgg19) -> Self {
        Nets { encoder, loss: None, teacher: None }
    }
}

/// The training of an [`AdainDecoder`]: all nets on the device.
pub struct Adain {
    settings: AdainTrainerSettings,
    photos: Folder,
    paintings: Folder,
    nets: Nets,
    decoder: AdainDecoder,
    /// Photos and paintings of the sample picture.
    samples: [Vec<Picture>; 2],
}

/// The first `count` crops of `folder` for a seed.
fn crops(folder: &Folder, crops: &Crops, seed: u64, count: usize) -> Result<Vec<Vec<f32>>> {
    let mut loader = Loader::start(folder.clone(), crops.clone(), seed ^ 0xca11, 0, 1)?;
    (0..count).map(|_| loader.next()).collect()
}

/// Initialises a decoder for `encoder` in closed form from crops of photos and paintings. `on_layer` is called after
/// each layer.
///
/// # Errors
/// An encoder that does not reach relu4_1, crops too small for it, pictures without variance, errors of `on_layer`.
pub fn start(
    context: &Context,
    encoder: &Vgg19Weights,
    [photos, paintings]: [&Folder; 2],
    settings: &AdainTrainerSettings,
    on_layer: impl FnMut(&str) -> Result<()>,
) -> Result<AdainDecoderWeights> {
    let (size, [photos, paintings]) = calibration([photos, paintings], settings, settings.calibration.div_ceil(2))?;
    start::start(context, encoder, &[photos, paintings].concat(), size, settings, on_layer)
}

/// Initialises a decoder for `encoder` in closed form from a trained one, `teacher`, which may be wider or belong to
/// another encoder. `channels` are the output channels of each layer but the last, from deep to shallow. `on_layer` is
/// called after each layer.
///
/// # Errors
/// Nets whose channels do not match, crops too small, more channels than the teacher has, pictures without variance,
/// errors of `on_layer`.
pub fn transfer(
    context: &Context,
    encoder: &Vgg19Weights,
    teacher: &Pair,
    channels: &[usize; 8],
    [photos, paintings]: [&Folder; 2],
    settings: &AdainTrainerSettings,
    on_layer: impl FnMut(&str) -> Result<()>,
) -> Result<AdainDecoderWeights> {
    let (size, [photos, paintings]) = calibration([photos, paintings], settings, settings.calibration)?;
    let pairs = photos.into_iter().zip(paintings).map(|(photo, painting)| [photo, painting]).collect();
    transfer::transfer(context, encoder, teacher, channels, &Samples { pairs, size }, settings, on_layer)
}

/// `count` crops of photos and as many of paintings, and their side in pixels.
fn calibration(
    [photos, paintings]: [&Folder; 2],
    settings: &AdainTrainerSettings,
    count: usize,
) -> Result<(usize, [Vec<Vec<f32>>; 2])> {
    // At a multiple of 8, the pooling layers do not round, and the decoder's maps have the sizes of the encoder's.
    let size = settings.crops.size / LEAST * LEAST;
    if size < 2 * LEAST {
        let expected = format!("at least {} px", 2 * LEAST);
        return Err(Error::argument("train adain", "crop", expected, settings.crops.size));
    }
    let cut =
        |folder, crops: &Crops| self::crops(folder, &Crops { size, ..crops.clone() }, settings.seed, count.max(1));
    Ok((size, [cut(photos, &settings.crops)?, cut(paintings, &settings.style_crops)?]))
}

/// Pixels per feature at relu4_1, in each direction.
const LEAST: usize = 8;

/// Rows and columns of a sample picture.
const SAMPLES: usize = 3;

impl Adain {
    /// Trains a decoder that starts from `weights` to paint `photos` in the styles of `paintings`.
    ///
    /// # Errors
    /// An encoder that does not reach relu4_1 or whose channels there differ from the decoder's; a teacher whose
    /// channels differ from the loss net's; a weight of the distance from the teacher's picture without a teacher;
    /// crops too small.
    pub fn new(
        nets: impl Into<Nets>,
        weights: AdainDecoderWeights,
        [photos, paintings]: [Folder; 2],
        settings: AdainTrainerSettings,
    ) -> Result<Self> {
        let nets = nets.into();
        let encoder = &nets.encoder;
        let channels = encoder.channels(Tap::RELU4_1)?;
        if weights.channels() != channels {
            let expected = format!("a decoder for {channels} channels, as many as the encoder has");
            return Err(Error::argument("train adain", "init", expected, weights.channels()));
        }
        let loss_net = nets.loss_net();
        let measured = loss_net.channels(Tap::RELU4_1)?;
        match &nets.teacher {
            Some(teacher) if teacher.channels() != measured => {
                let expected = format!("a decoder for {measured} channels, as many as the net of the loss has");
                return Err(Error::argument("train adain", "teacher-decoder", expected, teacher.channels()));
            }
            None if settings.pixel_weight.max(settings.feature_weight) > 0.0 => {
                let expected = "given if the distance from its picture has a weight above 0";
                return Err(Error::argument("train adain", "teacher-decoder", expected, "none"));
            }
            _ => {}
        }
        let least = encoder.least_side(Tap::RELU4_1).max(loss_net.least_side(Tap::RELU4_1));
        if settings.crops.size < least {
            let expected = format!("at least {least} px");
            return Err(Error::argument("train adain", "crop", expected, settings.crops.size));
        }
        let samples = [
            crops(&photos, &settings.crops, settings.seed, SAMPLES)?,
            crops(&paintings, &settings.style_crops, settings.seed, SAMPLES)?,
        ];
        let size = settings.crops.size;
        let picture = |rgb| Picture::from_rgb(size, size, rgb);
        let samples = samples.map(|crops| crops.into_iter().map(picture).collect::<Result<Vec<_>>>());
        let [photo_samples, painting_samples] = samples;
        let samples = [photo_samples?, painting_samples?];
        let decoder = AdainDecoder::trainable(encoder.context(), weights)?;
        Ok(Adain { settings, photos, paintings, nets, decoder, samples })
    }

    /// The weights of the current decoder.
    pub fn weights(&self) -> Result<AdainDecoderWeights> {
        self.decoder.weights()
    }
}

impl Trainer for Adain {
    fn streams(&self) -> Vec<(Folder, Crops)> {
        let AdainTrainerSettings { crops, style_crops, .. } = &self.settings;
        vec![(self.photos.clone(), crops.clone()), (self.paintings.clone(), style_crops.clone())]
    }

    fn terms(&self) -> Vec<String> {
        let mut terms = vec!["content".to_string()];
        terms.extend(Tap::style().flat_map(|tap| ["means", "deviations"].map(|kind| format!("{kind} {tap}"))));
        let AdainTrainerSettings { tv_weight, identity_weight, pixel_weight, feature_weight, .. } = self.settings;
        let optional = [
            ("total variation", tv_weight),
            ("identity", identity_weight),
            ("teacher's pixels", pixel_weight),
            ("teacher's features", feature_weight),
        ];
        for (name, _) in optional.into_iter().filter(|(_, weight)| *weight > 0.0) {
            match name {
                "teacher's features" => terms.extend(Tap::style().map(|tap| format!("{name} {tap}"))),
                name => terms.push(name.to_string()),
            }
        }
        terms
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.decoder.parameters()
    }

    fn record(&self, rec: &mut Recorder, pictures: &[Tensor], losses: Tensor, share: f32) -> Result<()> {
        let [photos, paintings] = [pictures[0], pictures[1]];
        let [_, _, height, width] = photos.shape.nchw("train adain", "photos")?;
        let mean = |tensor: Tensor, weight: f32| share * weight / tensor.shape.count() as f32;
        let loss_net = self.nets.loss_net();
        let style = loss_net.forward(rec, paintings, Tap::RELU4_1)?;
        let goals = Tap::style().map(|tap| {
            let features = style.at(tap)?;
            Ok((tap, mean_std::forward(rec, features, loss::EPSILON)?))
        });
        let goals = goals.collect::<Result<Vec<_>>>()?;
        let (_, (style_mean, style_deviation)) = goals[goals.len() - 1];
        let content = loss_net.forward(rec, photos, Tap::RELU4_1)?.at(Tap::RELU4_1)?;
        let target = adapt(rec, content, [style_mean, style_deviation])?;
        let [own, read] = match &self.nets.loss {
            None => [content, target],
            Some(_) => {
                let [own, style] = [photos, paintings]
                    .map(|pictures| self.nets.encoder.forward(rec, pictures, Tap::RELU4_1)?.at(Tap::RELU4_1));
                let (own, style) = (own?, style?);
                let (mean, deviation) = mean_std::forward(rec, style, loss::EPSILON)?;
                [own, adapt(rec, own, [mean, deviation])?]
            }
        };
        let painted = self.decoder.forward(rec, read, [height, width])?;
        let y = painted.picture;
        let activations = loss_net.forward(rec, y, Tap::RELU4_1)?;
        let features = activations.at(Tap::RELU4_1)?;
        let weight = Weight::new(rec, mean(features, self.settings.content_weight));
        let mut gradients = vec![(Tap::RELU4_1, loss::content(rec, features, target, weight, losses, 0)?)];
        for (index, &(tap, goal)) in goals.iter().enumerate() {
            let weight = Weight::new(rec, mean(goal.0, self.settings.style_weight));
            let slots = [1 + 2 * index, 2 + 2 * index];
            let features = activations.at(tap)?;
            gradients.push((tap, loss::mean_std_style(rec, features, goal, weight, losses, slots)?));
        }
        let mut slots = 1 + 2 * goals.len()..;
        let mut slot = || slots.next().expect("endless");
        let mut pixels = Vec::new();
        if self.settings.tv_weight > 0.0 {
            let weight = mean(y, self.settings.tv_weight);
            total_variation::forward(rec, y, weight, losses, slot())?;
            pixels.push(total_variation::backward(rec, y, weight)?);
        }
        if self.settings.identity_weight > 0.0 {
            let same = self.decoder.forward(rec, own, [height, width])?;
            let weight = Weight::new(rec, mean(photos, self.settings.identity_weight));
            square_loss::forward(rec, same.picture, photos, weight, losses, slot())?;
            let dsame = square_loss::backward(rec, same.picture, photos, weight)?;
            self.decoder.backward_parameters(rec, &same, dsame)?;
        }
        if let Some(teacher) = &self.nets.teacher {
            let AdainTrainerSettings { pixel_weight, feature_weight, .. } = self.settings;
            let shown = teacher.forward(rec, target, [height, width])?.picture;
            if pixel_weight > 0.0 {
                let weight = Weight::new(rec, mean(y, pixel_weight));
                square_loss::forward(rec, y, shown, weight, losses, slot())?;
                pixels.push(square_loss::backward(rec, y, shown, weight)?);
            }
            if feature_weight > 0.0 {
                let shown = loss_net.forward(rec, shown, Tap::RELU4_1)?;
                for tap in Tap::style() {
                    let (features, goal) = (activations.at(tap)?, shown.at(tap)?);
                    let weight = Weight::new(rec, mean(features, feature_weight));
                    gradients.push((tap, loss::content(rec, features, goal, weight, losses, slot())?));
                }
            }
        }
        let mut dy = loss_net.backward(rec, &activations, gradients)?;
        for gradient in pixels {
            dy = vector::add(rec, dy, gradient)?;
        }
        self.decoder.backward_parameters(rec, &painted, dy).map(drop)
    }

    fn refresh(&self, rec: &mut Recorder) -> Result<()> {
        self.decoder.repack(rec)
    }

    /// A table: photos in the first column, paintings in the first row, and each photo in the style of each painting.
    fn sample(&self) -> Result<Picture> {
        let encoder = &self.nets.encoder;
        let decoder = AdainDecoder::new(encoder.context(), self.decoder.weights()?)?;
        let mut painter = AdainPainter::new(encoder, decoder)?;
        let size = self.settings.crops.size;
        let [photos, paintings] = &self.samples;
        let mut rows = vec![vec![Cell::words(["AdaIN", "paintings across", "photos down"])]];
        let photo = |(number, photo)| vec![Cell::picture(photo, size, format!("photo {number}"))];
        rows.extend((1..).zip(photos).map(photo));
        for (number, painting) in (1..).zip(paintings) {
            rows[0].push(Cell::head(painting, size, format!("painting {number}")));
            let style = painter.style(painting)?;
            for (row, photo) in rows[1..].iter_mut().zip(photos) {
                row.push(Cell::picture(&painter.paint(photo, &[style.clone().into()])?, size, ""));
            }
        }
        sheet::sheet(&rows)
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "adain": &self.settings, "channels": self.decoder.channels(), "pictures": self.photos.len(),
            "paintings": self.paintings.len(), "encoder": self.nets.encoder.fingerprint(),
            "loss": self.nets.loss_net().fingerprint(),
        })
    }
}
