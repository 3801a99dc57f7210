//! AdaIN's decoder (arXiv:1703.06868): a net that paints any photo in any style, trained once on photos and paintings.
//!
//! With f the encoder to relu4_1, F_t its taps, g the decoder, c a photo, s a painting, t = AdaIN(f(c), f(s)) and y = g(t), the
//! loss is, means over elements throughout (equations 11 to 13 of the paper),
//!
//! ```text
//! L = a |f(y) − t|² + b Σ_t (|μ(F_t(y)) − μ(F_t(s))|² + |σ(F_t(y)) − σ(F_t(s))|²) + v TV(y)/(3HW) + i |g(f(c)) − c|²
//! ```
//! The last term is no part of the paper's: where content and style are the same, the picture is to come back.

mod start;

use serde::Serialize;

use crate::gpu::{Context, Recorder, Tensor};
use crate::io::Picture;
use crate::nets::adain_decoder::Weights;
use crate::nets::adain_painter::{adapt, deepest};
use crate::nets::{AdainDecoder, AdainPainter, Tap, Vgg19, vgg19};
use crate::ops::square_loss::{self, Weight};
use crate::ops::{mean_std, total_variation, vector};
use crate::optim::Parameter;
use crate::sheet::{self, Cell};
use crate::train::{Crops, Folder, Lesson, Loader};
use crate::{Error, Result, loss};

/// What can be chosen.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// How photos are cut out.
    pub crops: Crops,
    /// How paintings are cut out, of the same size; smaller shares give strokes of more sizes.
    pub style_crops: Crops,
    /// Weight a of the content loss.
    pub content_weight: f32,
    /// Weight b of the style loss.
    pub style_weight: f32,
    /// Weight v of the total variation.
    pub tv_weight: f32,
    /// Weight i of giving a photo back that is its own style.
    pub identity_weight: f32,
    /// Photos and paintings, half of each, from which the closed-form start is made.
    pub calibration: usize,
    /// Seed of those pictures, and of the ones that samples are painted of.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let crops = Crops { size: 256, share: [0.5, 1.0], flip: true };
        Settings {
            style_crops: Crops { share: [0.25, 1.0], ..crops.clone() },
            crops,
            content_weight: 1.0,
            style_weight: 10.0,
            tv_weight: 0.0,
            identity_weight: 0.0,
            calibration: 96,
            seed: 0,
        }
    }
}

/// The lesson: encoder and decoder on the device.
pub struct Adain {
    settings: Settings,
    photos: Folder,
    paintings: Folder,
    encoder: Vgg19,
    decoder: AdainDecoder,
    /// Photos and paintings that samples are painted of.
    samples: [Vec<Picture>; 2],
}

/// The first crops that a seed gives.
fn crops(folder: &Folder, crops: &Crops, seed: u64, count: usize) -> Result<Vec<Vec<f32>>> {
    let mut loader = Loader::start(folder.clone(), crops.clone(), seed ^ 0xca11, 0, 1)?;
    (0..count).map(|_| loader.next()).collect()
}

/// A decoder for `encoder` made in closed form from crops of photos and paintings; `on_layer` is told of each layer done.
///
/// # Errors
/// An encoder that does not reach relu4_1, crops too small for it, pictures without variance.
pub fn start(
    context: &Context,
    encoder: &vgg19::Weights,
    [photos, paintings]: [&Folder; 2],
    settings: &Settings,
    on_layer: impl FnMut(&str) -> Result<()>,
) -> Result<Weights> {
    // Where halving never rounds, what the decoder makes has the encoder's sizes.
    let size = settings.crops.size / LEAST * LEAST;
    if size < 2 * LEAST {
        let expected = format!("at least {} px", 2 * LEAST);
        return Err(Error::argument("train adain", "--crop", expected, settings.crops.size));
    }
    let half = settings.calibration.div_ceil(2).max(1);
    let cut = |folder, crops: &Crops| self::crops(folder, &Crops { size, ..crops.clone() }, settings.seed, half);
    let pictures = [cut(photos, &settings.crops)?, cut(paintings, &settings.style_crops)?].concat();
    start::start(context, encoder, &pictures, size, settings.seed, on_layer)
}

/// Pixels of a picture for one of its features.
const LEAST: usize = 8;

/// Rows and columns of a sample.
const SAMPLES: usize = 3;

impl Adain {
    /// A decoder that starts as `weights` and learns to paint `photos` like `paintings`, by the features of `encoder`.
    ///
    /// # Errors
    /// An encoder that does not reach relu4_1, or has not the decoder's channels there; crops too small for it.
    pub fn new(encoder: Vgg19, weights: Weights, [photos, paintings]: [Folder; 2], settings: Settings) -> Result<Self> {
        let channels = encoder.channels(deepest())?;
        if weights.channels() != channels {
            let expected = format!("a decoder of {channels} channels, as the encoder has them");
            return Err(Error::argument("train adain", "--init", expected, weights.channels()));
        }
        let least = encoder.least_side(deepest());
        if settings.crops.size < least {
            let expected = format!("at least {least} px");
            return Err(Error::argument("train adain", "--crop", expected, settings.crops.size));
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
        Ok(Adain { settings, photos, paintings, encoder, decoder, samples })
    }

    /// The decoder as it stands.
    pub fn weights(&self) -> Result<Weights> {
        self.decoder.weights()
    }
}

impl Lesson for Adain {
    fn streams(&self) -> Vec<(Folder, Crops)> {
        let Settings { crops, style_crops, .. } = &self.settings;
        vec![(self.photos.clone(), crops.clone()), (self.paintings.clone(), style_crops.clone())]
    }

    fn terms(&self) -> Vec<String> {
        let mut terms = vec!["content".to_string()];
        terms.extend(Tap::style().flat_map(|tap| ["means", "deviations"].map(|kind| format!("{kind} {tap}"))));
        let optional =
            [("total variation", self.settings.tv_weight), ("identity", self.settings.identity_weight)].into_iter();
        terms.extend(optional.filter(|(_, weight)| *weight > 0.0).map(|(name, _)| name.to_string()));
        terms
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.decoder.parameters()
    }

    fn record(&self, rec: &mut Recorder, pictures: &[Tensor], losses: Tensor, share: f32) -> Result<()> {
        let [photos, paintings] = [pictures[0], pictures[1]];
        let [_, _, height, width] = photos.shape.nchw("train adain", "photos")?;
        let mean = |tensor: Tensor, weight: f32| share * weight / tensor.shape.count() as f32;
        let content = self.encoder.forward(rec, photos, deepest())?.at(deepest())?;
        let style = self.encoder.forward(rec, paintings, deepest())?;
        let targets = Tap::style().map(|tap| {
            let features = style.at(tap)?;
            Ok((tap, mean_std::forward(rec, features, loss::EPSILON)?))
        });
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let (_, (style_mean, style_deviation)) = targets[targets.len() - 1];
        let target = adapt(rec, content, [style_mean, style_deviation])?;
        let painted = self.decoder.forward(rec, target, [height, width])?;
        let y = painted.picture;
        let activations = self.encoder.forward(rec, y, deepest())?;
        let features = activations.at(deepest())?;
        let weight = Weight::new(rec, mean(features, self.settings.content_weight));
        let mut gradients = vec![(deepest(), loss::content(rec, features, target, weight, losses, 0)?)];
        for (index, &(tap, target)) in targets.iter().enumerate() {
            let weight = Weight::new(rec, mean(target.0, self.settings.style_weight));
            let slots = [1 + 2 * index, 2 + 2 * index];
            let features = activations.at(tap)?;
            gradients.push((tap, loss::mean_std_style(rec, features, target, weight, losses, slots)?));
        }
        let mut dy = self.encoder.backward(rec, &activations, gradients)?;
        let mut slots = 1 + 2 * targets.len()..;
        if self.settings.tv_weight > 0.0 {
            let weight = mean(y, self.settings.tv_weight);
            total_variation::forward(rec, y, weight, losses, slots.next().expect("endless"))?;
            let smoothing = total_variation::backward(rec, y, weight)?;
            dy = vector::add(rec, dy, smoothing)?;
        }
        self.decoder.backward_parameters(rec, &painted, dy)?;
        if self.settings.identity_weight > 0.0 {
            let same = self.decoder.forward(rec, content, [height, width])?;
            let weight = Weight::new(rec, mean(photos, self.settings.identity_weight));
            square_loss::forward(rec, same.picture, photos, weight, losses, slots.next().expect("endless"))?;
            let dsame = square_loss::backward(rec, same.picture, photos, weight)?;
            self.decoder.backward_parameters(rec, &same, dsame)?;
        }
        Ok(())
    }

    fn refresh(&self, rec: &mut Recorder) -> Result<()> {
        self.decoder.repack(rec)
    }

    /// Photos down the left, paintings along the top, each photo in each painting's style.
    fn sample(&self) -> Result<Picture> {
        let decoder = AdainDecoder::new(self.encoder.context(), self.decoder.weights()?)?;
        let mut painter = AdainPainter::new(&self.encoder, decoder)?;
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
            "paintings": self.paintings.len(), "encoder": self.encoder.fingerprint(),
        })
    }
}
