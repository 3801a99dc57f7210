//! Training of a further style of a body: the scales and shifts of its norms.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use impasto::io::{DType, WeightFile};
use impasto::nets::Vgg19;
use impasto::nets::image_transform_net::ImageTransformNetWeights;
use impasto::train::feed_forward::{FeedForward, FeedForwardTrainerSettings};
use impasto::train::{Crops, Folder, Schedule, Step, TrainingSettings, train_in_memory_async};
use js_sys::Function;
use serde::Deserialize;
use wasm_bindgen::JsValue;

use crate::error::{Failure, stopped};
use crate::gatys::sum_of;
use crate::pixels::Pixels;

/// What is to be trained.
#[derive(Deserialize)]
pub struct Order {
    /// The body's name.
    body: String,
    /// The style's name.
    name: String,
    steps: Option<u64>,
    /// Side of the crops in pixels.
    size: Option<usize>,
    /// Photos of a step.
    batch: Option<usize>,
}

/// Photos that give the unit of the content loss.
const CALIBRATION: usize = 8;

/// Device memory in bytes that a micro-batch may take.
const MEMORY: u64 = 1 << 30;

/// Trains a style from the mean of the body's styles, with the settings of `impasto train style`. Gives the bytes of a
/// `.style` file.
pub async fn style(
    vgg: &Vgg19,
    body: &ImageTransformNetWeights,
    painting: &Pixels,
    photos: &[Pixels],
    order: &Order,
    on_step: &Function,
) -> Result<Vec<u8>, Failure> {
    if photos.is_empty() {
        return Err(Failure::argument("training needs at least one photo"));
    }
    let (context, steps) = (vgg.context(), order.steps.unwrap_or(150));
    let (painting, default) = (painting.picture(), FeedForwardTrainerSettings::of_body());
    let settings = FeedForwardTrainerSettings {
        crops: Crops { size: order.size.unwrap_or(96), share: Some([0.5, 1.0]), flip: true },
        // A small painting is not enlarged.
        style_size: default.style_size.min(painting.width.max(painting.height)),
        calibration: CALIBRATION,
        norms_alone: true,
        ..default
    };
    let start = body.blend(&vec![1.0; body.styles.len()])?;
    let folder = Folder::of_pictures(photos.iter().map(Pixels::picture).collect())?;
    let trainer = FeedForward::new_async(vgg.clone(), start, &[painting], folder, settings, None).await?;
    let training = TrainingSettings {
        batch: order.batch.unwrap_or(4),
        learning_rate: 4e-2,
        schedule: Schedule::Cosine { warmup: 20.min(steps / 4) },
        clip: Some(10.0),
        ..TrainingSettings::default()
    };
    let mut is_stopped = false;
    let observer = |step: &Step| {
        let of = |kind| sum_of(&step.terms, kind);
        let text = serde_json::json!({
            "step": step.step, "steps": steps, "loss": step.loss, "content": of("content"), "style": of("style"),
            "variation": of("total variation"),
        });
        let stop = on_step.call1(&JsValue::NULL, &text.to_string().into());
        is_stopped = stop.is_ok_and(|stop| stop.is_truthy());
        Ok(if is_stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    train_in_memory_async(context, &trainer, &training, steps, MEMORY, observer).await?;
    if is_stopped {
        return Err(stopped().into());
    }
    let style = trainer.weights_async().await?.style(&order.body)?;
    let mut metadata: BTreeMap<String, String> =
        style.metadata().into_iter().map(|(key, value)| (key.to_string(), value)).collect();
    metadata.extend([
        ("style".to_string(), order.name.clone()),
        ("steps".to_string(), steps.to_string()),
        ("trained_on".to_string(), format!("{} photos", photos.len())),
    ]);
    Ok(WeightFile::to_bytes(&order.name, DType::F32, &style.tensors, &metadata)?)
}
