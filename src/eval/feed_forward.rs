//! How far a net that paints in one pass gets with the loss it learned by, beside Gatys' method on the same photo and loss.

use std::ops::ControlFlow;

use crate::io::{Picture, WeightFile};
use crate::methods::gatys::{self, Init, Normalization, Optimizer, PictureLoss, Preset, Settings};
use crate::nets::image_transform_net::{Painter, Weights};
use crate::nets::{ImageTransformNet, Vgg19};
use crate::optim::Objective as _;
use crate::train::feed_forward::Loss;
use crate::{Error, Result};

/// What a trained net's file says of how it was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// The loss it learned by.
    pub loss: Loss,
    /// File name of the style picture; empty if the file does not say.
    pub style: String,
    /// Long side of the style picture, as it was learned from.
    pub style_size: usize,
    /// The net that measured: `compact` or a file's name; empty if the file does not say.
    pub measured_by: String,
}

impl Learned {
    /// Reads it from the file's metadata; `None` if the file names no loss, as public ones do not.
    ///
    /// # Errors
    /// A loss that cannot be read, or no size of the style picture beside it.
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

    /// Gatys' method with the same loss, on pictures whose long side is `size`: from the photo, at one scale.
    pub fn settings(&self, size: usize, steps: usize) -> Settings {
        Settings {
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

/// The loss of `picture`, and its terms by name; values beyond 0..1 are clamped.
pub fn judge(loss: &mut PictureLoss, picture: &Picture) -> Result<(f64, Vec<(String, f64)>)> {
    loss.picture().write(&picture.rgb)?;
    loss.clamp()?;
    Ok((loss.evaluate()?, loss.terms().to_vec()))
}

/// The losses of one photo, and of what is made of it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Of the photo as it is.
    pub photo: f64,
    /// Of an untrained net's picture.
    pub untrained: f64,
    /// Of the trained net's.
    pub net: f64,
    /// Of Gatys'.
    pub gatys: f64,
    /// Evaluations after which Gatys' method was at the net's loss, if it got there.
    pub caught_up: Option<usize>,
    /// The trained net's picture and Gatys'.
    pub pictures: [Picture; 2],
}

/// Measures a net, photo by photo.
pub struct Judge<'a> {
    vgg: &'a Vgg19,
    trained: Painter,
    untrained: Painter,
    style: (Picture, f32),
    learned: Learned,
}

impl<'a> Judge<'a> {
    /// A judge of the net `weights`, which learned to paint like `style`; `vgg` measures.
    pub fn new(vgg: &'a Vgg19, weights: Weights, learned: Learned, style: &Picture) -> Result<Self> {
        let width = weights.channels as f32 / 32.0;
        let untrained = Weights::random(weights.form, weights.norm, width, 0);
        let painter = |weights| Result::Ok(Painter::new(ImageTransformNet::new(vgg.context(), weights)?));
        Ok(Judge {
            vgg,
            trained: painter(weights)?,
            untrained: painter(untrained)?,
            style: (style.fit(learned.style_size), 1.0),
            learned,
        })
    }

    /// The shortest side that a photo may have.
    pub fn least_side(&self) -> usize {
        let taps = self.learned.loss.content.iter().chain(&self.learned.loss.style);
        let least = taps.map(|(tap, _)| self.vgg.least_side(*tap)).max().unwrap_or(1);
        // Gatys' style picture is at most 8 times as large as its result.
        least.max(self.trained.net().least_side()).max(self.learned.style_size.div_ceil(8))
    }

    /// The net and `steps` evaluations of Gatys' method, which starts from `init`, on `photo`; `on_step` hears how many of
    /// them are done.
    pub fn measure(
        &mut self,
        photo: &Picture,
        init: Init,
        steps: usize,
        mut on_step: impl FnMut(usize),
    ) -> Result<Standing> {
        let settings = Settings { init, ..self.learned.settings(photo.width.max(photo.height), steps) };
        let styles = [self.style.clone()];
        let painted = self.trained.paint(photo)?;
        let untrained = self.untrained.paint(photo)?;
        let mut loss = PictureLoss::new(self.vgg, photo, &styles, &settings)?;
        let mut of = |picture| Result::Ok(judge(&mut loss, picture)?.0);
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
        // The first evaluation is that of what it starts from, before any step.
        let caught_up = if gatys.loss[0] <= at_painted { Some(1) } else { caught_up };
        Ok(Standing {
            photo: at_photo,
            untrained: at_untrained,
            net: at_painted,
            gatys: gatys.loss[1],
            caught_up,
            pictures: [painted, gatys.picture],
        })
    }
}
