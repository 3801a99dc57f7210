//! Evaluation of a feed-forward net: its training loss on a photo, compared with Gatys' method for the same loss.

use std::ops::ControlFlow;

use crate::io::{Picture, WeightFile};
use crate::methods::gatys::{self, GatysSettings, Init, Normalization, Optimizer, PictureLoss, Preset};
use crate::nets::image_transform_net::{ImageTransformNetWeights, Painter};
use crate::nets::{ImageTransformNet, Vgg19};
use crate::train::feed_forward::Loss;
use crate::{Error, Result};

/// Training metadata in a weight file.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// The training loss.
    pub loss: Loss,
    /// File name of the style picture; empty if unknown.
    pub style: String,
    /// Long side of the style picture during training, in pixels.
    pub style_size: usize,
    /// The loss net: `compact` or a file name; empty if unknown.
    pub measured_by: String,
}

impl Learned {
    /// Reads the metadata; `None` if the file contains no loss, as public nets do not.
    ///
    /// # Errors
    /// A loss that cannot be parsed, or a missing size of the style picture.
    pub fn of(file: &WeightFile) -> Result<Option<Self>> {
        let entry = |key: &str| file.metadata.get(key).map(String::as_str);
        let Some(text) = entry("loss") else { return Ok(None) };
        let wrong = |key: &str, reason: String| Error::weights(&file.path, format!("`{key}` in its metadata {reason}"));
        let loss = serde_json::from_str(text).map_err(|error| wrong("loss", format!("cannot be read: {error}")))?;
        let style_size = entry("style_size").and_then(|text| text.parse().ok()).filter(|size| *size > 0);
        let style_size = style_size.ok_or_else(|| wrong("style_size", "must be a number of pixels".into()))?;
        let [style, measured_by] = ["style", "measured_by"].map(|key| entry(key).unwrap_or_default().to_string());
        Ok(Some(Learned { loss, style, style_size, measured_by }))
    }

    /// Settings of Gatys' method for the same loss, at one scale with a long side of `size` pixels, starting from the
    /// photo.
    pub fn settings(&self, size: usize, steps: usize) -> GatysSettings {
        GatysSettings {
            content_taps: self.loss.content.clone(),
            style_taps: self.loss.style.clone(),
            content_weight: 1.0,
            style_weight: 1.0,
            tv_weight: self.loss.tv,
            normalization: Normalization::Plain,
            init: Init::Content,
            optimizer: Optimizer::Lbfgs,
            steps,
            size,
            scales: Some(1),
            style_scale: self.style_size as f32 / size as f32,
            ..Preset::Default.settings()
        }
    }
}

/// The loss of `picture` and its terms by name. Values outside 0..1 are clamped first.
pub fn evaluate(loss: &mut PictureLoss, picture: &Picture) -> Result<(f64, Vec<(String, f64)>)> {
    loss.picture().write(&picture.rgb)?;
    loss.clamp()?;
    Ok((loss.evaluate()?, loss.terms().to_vec()))
}

/// Losses for one photo.
#[derive(Clone, Debug)]
pub struct PhotoLosses {
    /// Loss of the photo itself.
    pub photo: f64,
    /// Loss of an untrained net's result.
    pub untrained: f64,
    /// Loss of the trained net's result.
    pub net: f64,
    /// Loss of Gatys' result.
    pub gatys: f64,
    /// Evaluations after which Gatys' method reached the net's loss; `None` if it did not.
    pub caught_up: Option<usize>,
    /// Results of the trained net and of Gatys' method.
    pub pictures: [Picture; 2],
}

/// Evaluates a net, photo by photo.
pub struct Evaluator<'a> {
    vgg: &'a Vgg19,
    trained: Painter,
    untrained: Painter,
    style: Picture,
    learned: Learned,
}

impl<'a> Evaluator<'a> {
    /// An evaluator for the net `weights`, which was trained for `style`; `vgg` is the loss net.
    pub fn new(vgg: &'a Vgg19, weights: ImageTransformNetWeights, learned: Learned, style: &Picture) -> Result<Self> {
        let width = weights.channels as f32 / 32.0;
        let untrained = ImageTransformNetWeights::random(weights.form, weights.norm, width, 0);
        let painter = |weights| Result::Ok(Painter::new(ImageTransformNet::new(vgg.context(), weights)?));
        Ok(Evaluator {
            vgg,
            trained: painter(weights)?,
            untrained: painter(untrained)?,
            style: style.fit(learned.style_size),
            learned,
        })
    }

    /// Minimum short side of a photo in pixels.
    pub fn least_side(&self) -> usize {
        let taps = self.learned.loss.content.iter().chain(&self.learned.loss.style);
        let least = taps.map(|(tap, _)| self.vgg.least_side(*tap)).max().unwrap_or(1);
        // Gatys' method limits the style picture to 8 times the size of the result.
        least.max(self.trained.net().least_side()).max(self.learned.style_size.div_ceil(8))
    }

    /// Evaluates the net, and `steps` evaluations of Gatys' method starting from `init`, on `photo`. `on_step` is
    /// called with the number of evaluations completed.
    pub fn measure(
        &mut self,
        photo: &Picture,
        init: Init,
        steps: usize,
        mut on_step: impl FnMut(usize),
    ) -> Result<PhotoLosses> {
        let settings = GatysSettings { init, ..self.learned.settings(photo.width.max(photo.height), steps) };
        let styles = [self.style.clone().into()];
        let painted = self.trained.paint(photo)?;
        let untrained = self.untrained.paint(photo)?;
        let mut loss = PictureLoss::new(self.vgg, photo, &styles, &settings)?;
        let mut of = |picture| Result::Ok(evaluate(&mut loss, picture)?.0);
        let (at_photo, at_untrained, at_painted) = (of(photo)?, of(&untrained)?, of(&painted)?);
        let mut caught_up = None;
        let gatys = gatys::stylize(self.vgg, photo, &styles, &settings, |progress| {
            let [done, _] = progress.evaluations;
            if progress.loss <= at_painted {
                caught_up.get_or_insert(done);
            }
            on_step(done);
            Ok(ControlFlow::Continue(()))
        })?;
        // The first evaluation is that of the initial picture.
        let caught_up = if gatys.loss[0] <= at_painted { Some(1) } else { caught_up };
        Ok(PhotoLosses {
            photo: at_photo,
            untrained: at_untrained,
            net: at_painted,
            gatys: gatys.loss[1],
            caught_up,
            pictures: [painted, gatys.picture],
        })
    }
}
