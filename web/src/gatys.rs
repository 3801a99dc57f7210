//! Gatys' method, step by step.

use std::ops::ControlFlow;

use impasto::methods::Area;
use impasto::methods::gatys::{self, GatysSettings, Init, Optimizer, Progress};
use impasto::nets::Vgg19;
use js_sys::Function;
use serde::Deserialize;
use wasm_bindgen::JsValue;

use crate::error::{Failure, stopped};
use crate::pixels::Pixels;

/// What is to be painted.
#[derive(Deserialize)]
pub struct Order {
    size: Option<usize>,
    /// Evaluations at each scale.
    steps: Option<usize>,
    initial: Option<String>,
    style_weight: Option<f32>,
    optimizer: Option<String>,
    /// Device memory in bytes.
    memory: Option<f64>,
    /// The weight of each style picture.
    weights: Vec<f32>,
    /// Evaluations between two pictures.
    every: Option<usize>,
}

impl Order {
    fn settings(&self, size: usize) -> Result<GatysSettings, Failure> {
        let default = GatysSettings::default();
        let init = match self.initial.as_deref() {
            None | Some("photo") => Init::Content,
            Some("noise") => Init::Noise,
            Some(other) => return Err(Failure::argument(format!("initial must be photo or noise, got {other}"))),
        };
        let optimizer = match self.optimizer.as_deref() {
            None | Some("lbfgs") => Optimizer::Lbfgs,
            Some("adam") => Optimizer::Adam,
            Some(other) => return Err(Failure::argument(format!("optimizer must be adam or lbfgs, got {other}"))),
        };
        Ok(GatysSettings {
            size: self.size.unwrap_or(size),
            steps: self.steps.unwrap_or(default.steps),
            style_weight: self.style_weight.unwrap_or(default.style_weight),
            memory: self.memory.map(|bytes| bytes as u64),
            init,
            optimizer,
            ..default
        })
    }
}

/// The sum of the terms whose names begin with that word, such as "content".
pub fn sum_of(terms: &[(String, f64)], kind: &str) -> f64 {
    terms.iter().filter(|(name, _)| name.starts_with(kind)).map(|(_, value)| value).sum()
}

/// Step and losses as JSON.
fn described(progress: &Progress<'_>) -> String {
    let [step, steps] = progress.evaluations;
    let of = |kind| sum_of(progress.terms, kind);
    serde_json::json!({
        "step": step, "steps": steps, "loss": progress.loss,
        "content": of("content"), "style": of("style"), "variation": of("total variation"),
    })
    .to_string()
}

/// Optimises the pixels of a photo. `on_step` gets each step as JSON, and some with their picture; with `undefined` for
/// both it is only asked whether to stop.
pub async fn stylize(
    vgg: &Vgg19,
    photo: &Pixels,
    styles: &[Pixels],
    order: &Order,
    on_step: &Function,
) -> Result<Pixels, Failure> {
    let photo = photo.picture();
    let settings = order.settings(photo.width.max(photo.height).min(GatysSettings::default().size))?;
    let styles = styles.iter().map(Pixels::picture).zip(order.weights.iter().copied()).collect();
    let every = order.every.unwrap_or(5).max(1);
    let mut shown = 0;
    let observer = async |progress: &Progress<'_>| {
        let (mut text, mut picture) = (JsValue::UNDEFINED, JsValue::UNDEFINED);
        if progress.windows.is_none() {
            text = described(progress).into();
            if progress.evaluations[0] >= shown + every {
                shown = progress.evaluations[0];
                let pixels = Pixels::of(&progress.picture_async().await?)?;
                picture = pixels.into();
            }
        }
        let stop = on_step.call2(&JsValue::NULL, &text, &picture).is_ok_and(|stop| stop.is_truthy());
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    let outcome = gatys::stylize_async(vgg, &photo, &[Area::everywhere(styles)], &settings, observer).await?;
    if outcome.interrupted {
        return Err(stopped().into());
    }
    Ok(Pixels::of(&outcome.picture)?)
}
