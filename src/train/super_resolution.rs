//! Training of super-resolution nets (arXiv:1603.08155, section 4.2).
//!
//! Let y be the net's output for a photo c that was blurred, reduced and rounded
//! ([`Reduction`]), clamped to 0..1, and F the features `[C, h, w]` of the loss net at a tap. The
//! loss is the mean over the photos of
//!
//! ```text
//! L = p |y − c|²/(3HW) + f |F(y) − F(c)|²/(Chw)/u
//! ```
//! where u is the mean square of the features of some photos, so that f means the same for every loss net. With p alone, the net learns what has the least mean square error (the highest PSNR), which is blurred where the
//! photo does not tell the detail. With f, it learns detail that the loss net takes for real.

use serde::Serialize;

use crate::gpu::{Context, DeviceTensor, Recorder, Tensor};
use crate::io::{Interpolation, Picture};
use crate::nets::super_resolution_net::{Reduction, SuperResolutionWeights};
use crate::nets::{SuperResolutionNet, Tap, Vgg19};
use crate::ops::square_loss::{self, Weight};
use crate::ops::vector;
use crate::optim::Parameter;
use crate::sheet::{self, Cell};
use crate::train::feed_forward::mean_squares;
use crate::train::{Crops, Folder, Loader, Trainer};
use crate::{Error, Result, loss};

/// Settings of [`SuperResolution`], besides those of the training loop.
#[derive(Clone, Debug, Serialize)]
pub struct SuperResolutionTrainerSettings {
    /// How photos are cropped. The side of a crop is a multiple of the net's scale.
    pub crops: Crops,
    /// Weight p of the mean square error of the pixels.
    pub pixel_weight: f32,
    /// Weight f of the mean square error of the features at `tap`.
    pub feature_weight: f32,
    /// The tap of the loss net.
    pub tap: Tap,
}

impl SuperResolutionTrainerSettings {
    /// The tap of the paper, relu2_2.
    pub fn default_tap() -> Tap {
        Tap::all().nth(3).expect("relu2_2")
    }
}

impl Default for SuperResolutionTrainerSettings {
    /// Crops of 96 px of a photo's own pixels, and the loss of the pixels alone.
    fn default() -> Self {
        SuperResolutionTrainerSettings {
            crops: Crops { size: 96, share: None, flip: true },
            pixel_weight: 1.0,
            feature_weight: 0.0,
            tap: Self::default_tap(),
        }
    }
}

/// Photos in a sample picture.
const SAMPLES: usize = 3;

/// Crops that give the unit of the features.
const CALIBRATION: usize = 16;

/// The training of a [`SuperResolutionNet`].
pub struct SuperResolution {
    settings: SuperResolutionTrainerSettings,
    folder: Folder,
    /// The loss net; `None` without a loss of features.
    vgg: Option<Vgg19>,
    net: SuperResolutionNet,
    reduction: Reduction,
    /// Weight of the features' mean square error in their own units, f/u.
    feature_weight: f32,
    /// Crops, of which the first are those of the sample picture.
    previews: Vec<Picture>,
}

impl SuperResolution {
    /// Trains a net that starts from `weights` on the photos of `folder`. `vgg` is the loss net, which is needed if
    /// there is a weight of features.
    ///
    /// # Errors
    /// Crops whose side is not a multiple of the net's scale, or too small; weights that are negative or all 0; a missing
    /// loss net, or one without the tap; a folder without readable pictures.
    pub fn new(
        context: &Context,
        vgg: Option<Vgg19>,
        weights: SuperResolutionWeights,
        folder: Folder,
        settings: SuperResolutionTrainerSettings,
    ) -> Result<Self> {
        let refuse = |argument, expected: &str, got: String| Err(Error::argument("train", argument, expected, got));
        let losses = [("pixel-weight", settings.pixel_weight), ("feature-weight", settings.feature_weight)];
        for (name, weight) in losses {
            if !(weight >= 0.0 && weight.is_finite()) {
                return refuse(name, "a number from 0 up", weight.to_string());
            }
        }
        if losses.iter().all(|(_, weight)| *weight == 0.0) {
            return refuse("pixel-weight", "above 0 if that of the features is 0", "0".into());
        }
        match &vgg {
            Some(vgg) => drop(vgg.channels(settings.tap)?),
            None if settings.feature_weight > 0.0 => {
                return refuse("vgg", "a loss net for the features", "none".into());
            }
            None => {}
        }
        let (size, scale) = (settings.crops.size, weights.scale);
        let net = SuperResolutionNet::trainable(context, weights)?;
        let least = net.least_side() * scale;
        if size < least || !size.is_multiple_of(scale) {
            let expected = format!("a multiple of {scale}, the net's scale, from {least} px up");
            return refuse("crop", &expected, size.to_string());
        }
        let reduction = Reduction::new(context, [size; 2], scale)?;
        let mut loader = Loader::start(folder.clone(), settings.crops.clone(), 0, 0, 1)?;
        let crops = (0..CALIBRATION).map(|_| Picture::from_rgb(size, size, loader.next()?));
        let previews: Vec<_> = crops.collect::<Result<_>>()?;
        let measured = |vgg: &Vgg19| context.block_on(mean_squares(vgg, &previews, &[settings.tap]));
        let unit = vgg.as_ref().map(measured).transpose()?;
        let unit = unit.and_then(|units| units.first().copied()).unwrap_or(1.0);
        let feature_weight = (f64::from(settings.feature_weight) / unit.max(1e-12)) as f32;
        Ok(SuperResolution { settings, folder, vgg, net, reduction, feature_weight, previews })
    }

    /// The weights of the current net.
    ///
    /// # Errors
    /// Those of the device.
    pub fn weights(&self) -> Result<SuperResolutionWeights> {
        self.net.weights()
    }

    /// Whether a loss with this weight is measured.
    fn slots(&self) -> [Option<usize>; 2] {
        let SuperResolutionTrainerSettings { pixel_weight, feature_weight, .. } = self.settings;
        let pixels = (pixel_weight > 0.0).then_some(0);
        [pixels, (feature_weight > 0.0).then_some(usize::from(pixels.is_some()))]
    }
}

impl Trainer for SuperResolution {
    fn streams(&self) -> Vec<(Folder, Crops)> {
        vec![(self.folder.clone(), self.settings.crops.clone())]
    }

    fn terms(&self) -> Vec<String> {
        let [pixels, features] = self.slots();
        let pixels = pixels.map(|_| "pixels".to_string());
        pixels.into_iter().chain(features.map(|_| format!("features {}", self.settings.tap))).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.net.parameters()
    }

    fn record(&self, rec: &mut Recorder, inputs: &[Tensor], losses: Tensor, share: f32) -> Result<()> {
        let photos = inputs[0];
        let small = self.reduction.forward(rec, photos)?;
        let enlarged = self.net.forward(rec, small)?;
        // Displayed pictures are clamped to 0..1, so the loss is computed on the clamped output.
        let y = rec.transient("enlarged", enlarged.picture.shape);
        vector::copy(rec, enlarged.picture, y)?;
        vector::clamp(rec, y, 0.0, 1.0)?;
        let [pixels, features] = self.slots();
        let mut dy = None;
        if let Some(slot) = pixels {
            let weight = Weight::new(rec, share * self.settings.pixel_weight / mean_of(y));
            square_loss::forward(rec, y, photos, weight, losses, slot)?;
            dy = Some(square_loss::backward(rec, y, photos, weight)?);
        }
        if let (Some(slot), Some(vgg)) = (features, &self.vgg) {
            let tap = self.settings.tap;
            let target = vgg.forward(rec, photos, tap)?.at(tap)?;
            let activations = vgg.forward(rec, y, tap)?;
            let seen = activations.at(tap)?;
            let weight = Weight::new(rec, share * self.feature_weight / mean_of(seen));
            let gradient = loss::content(rec, seen, target, weight, losses, slot)?;
            let of_features = vgg.backward(rec, &activations, vec![(tap, gradient)])?;
            dy = Some(match dy {
                Some(of_pixels) => vector::add(rec, of_pixels, of_features)?,
                None => of_features,
            });
        }
        let dy = dy.ok_or_else(|| Error::argument("train", "weights", "a loss", "none"))?;
        let dy = vector::clamp_gradient(rec, enlarged.picture, dy, 0.0, 1.0)?;
        self.net.backward_parameters(rec, &enlarged, dy)
    }

    fn refresh(&self, rec: &mut Recorder) -> Result<()> {
        self.net.repack(rec)
    }

    /// A row for each photo: what the net sees, enlarged by bicubic interpolation; the net's result; the photo.
    fn sample(&self) -> Result<Picture> {
        let size = self.settings.crops.size;
        let context = self.net.context();
        let mut rec = Recorder::new(context);
        let previews = &self.previews[..SAMPLES];
        let pixels: Vec<_> = previews.iter().flat_map(|photo| photo.rgb.iter().copied()).collect();
        let photos = DeviceTensor::from_values(context, "photos", [SAMPLES, 3, size, size], &pixels)?;
        let photos = rec.pin(&photos);
        let small = self.reduction.forward(&mut rec, photos)?;
        let enlarged = self.net.forward(&mut rec, small)?.picture;
        let [small, enlarged] = [rec.output(small)?, rec.output(enlarged)?];
        rec.finish()?.run()?;
        let clamped = |values: &[f32]| values.iter().map(|value| value.clamp(0.0, 1.0)).collect::<Vec<_>>();
        let (small, enlarged) = (small.read()?, clamped(&enlarged.read()?));
        let side = size / self.net.scale();
        let mut rows = Vec::new();
        for (index, photo) in previews.iter().enumerate() {
            let part = |values: &[f32], side: usize| {
                let count = 3 * side * side;
                Picture::from_rgb(side, side, values[index * count..][..count].to_vec())
            };
            let bicubic = part(&small, side)?.resize_with(Interpolation::Bicubic, size, size);
            let cells = [(&bicubic, "bicubic"), (&part(&enlarged, size)?, "enlarged"), (photo, "photo")];
            rows.push(cells.map(|(picture, name)| Cell::picture(picture, size, name)).to_vec());
        }
        sheet::sheet(&rows)
    }

    fn settings(&self) -> serde_json::Value {
        let weights = self.net.shape();
        serde_json::json!({
            "super-resolution": &self.settings, "scale": weights.scale, "channels": weights.channels,
            "pictures": self.folder.len(), "unit": self.feature_weight, "measured_by": self.vgg.as_ref().map(|vgg| vgg.fingerprint()),
        })
    }
}

/// The divisor that makes the sum of a tensor's values a mean.
fn mean_of(values: Tensor) -> f32 {
    values.shape.count() as f32
}
