//! Frames of a video, from texture to texture.

use impasto::embed::{Blend, Frame, Net, Options, Steadiness, Stylizer};
use impasto::gpu::Context;
use impasto::io::WeightFile;
use impasto::methods::adain::{AdainSettings, Source};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::tiles::Budget;
use impasto::nets::vgg19::Vgg19Weights;
use impasto::wgpu::webgpu::GpuTexture;
use impasto::wgpu::{Extent3d, Texture, TextureDescriptor, TextureDimension, TextureFormat, TextureUsages};
use serde::Deserialize;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use crate::error::Failure;
use crate::model::Model;
use crate::pixels::Pixels;

/// What does not change from frame to frame.
#[derive(Deserialize)]
pub struct Order {
    width: u32,
    height: u32,
    steady: Option<Steady>,
}

#[derive(Deserialize)]
struct Steady {
    statistics: Option<f32>,
    history: Option<f32>,
}

/// A stylisation of frames of one size.
#[wasm_bindgen]
pub struct Live {
    context: Context,
    stylizer: Stylizer,
    size: [u32; 2],
    /// Motion of nothing, if a part of the previous result is kept.
    still: Option<Texture>,
    weights: Vec<f32>,
    alpha: f32,
}

/// Format of frames and results.
const FORMAT: TextureFormat = TextureFormat::Rgba8Unorm;

impl Live {
    /// Compiles what paints frames. `pictures` are AdaIN's styles.
    pub async fn new(context: &Context, model: &Model, pictures: &[Pixels], order: &Order) -> Result<Self, Failure> {
        let net = match model {
            Model::Adain { painter, files: [encoder, decoder] } => {
                let own = painter.take().ok_or_else(|| Failure::argument("the model is painting"))?;
                let (mut styles, size) = (Vec::new(), AdainSettings::default().style_size);
                let mut failed = None;
                for picture in pictures {
                    let source = Source::Picture(picture.picture());
                    match source.measured_async(own.encoder(), size, &Budget::default()).await {
                        Ok(style) => styles.push(style),
                        Err(error) => failed = Some(error),
                    }
                }
                painter.replace(Some(own));
                if let Some(error) = failed {
                    return Err(error.into());
                }
                let encoder = Vgg19Weights::of(&WeightFile::from_bytes("encoder", encoder)?)?;
                let decoder = AdainDecoderWeights::of(&WeightFile::from_bytes("decoder", decoder)?)?;
                Net::adain(encoder, decoder, styles)?
            }
            Model::Net { weights, .. } => Net::feed_forward(weights.clone())?,
        };
        let styles = net.styles();
        let size = [order.width, order.height];
        let default = Steadiness::default();
        let steadiness = order.steady.as_ref().map(|steady| Steadiness {
            statistics: steady.statistics.unwrap_or(default.statistics),
            history: steady.history.unwrap_or(0.0),
            ..default
        });
        let motion = steadiness.is_some_and(|steadiness| steadiness.history > 0.0);
        let options = Options { steadiness, motion, ..Options::new(size, [FORMAT, FORMAT]) };
        let mut stylizer = Stylizer::in_context(context, net, &options)?;
        stylizer.wait()?;
        let descriptor = described(size, TextureFormat::Rg16Float, TextureUsages::TEXTURE_BINDING);
        let still = motion.then(|| context.device().create_texture(&descriptor));
        Ok(Live { context: context.clone(), stylizer, size, still, weights: vec![1.0; styles], alpha: 1.0 })
    }
}

fn described<'a>([width, height]: [u32; 2], format: TextureFormat, usage: TextureUsages) -> TextureDescriptor<'a> {
    TextureDescriptor {
        label: None,
        size: Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: TextureDimension::D2,
        format,
        usage,
        view_formats: &[],
    }
}

#[wasm_bindgen]
impl Live {
    /// Sets the weights of the styles and their strength.
    pub fn set(&mut self, weights: Vec<f32>, alpha: f32) -> Result<(), Failure> {
        if weights.len() != self.weights.len() {
            let message = format!("this net needs {} weights of styles, got {}", self.weights.len(), weights.len());
            return Err(Failure::argument(message));
        }
        (self.weights, self.alpha) = (weights, alpha);
        Ok(())
    }

    /// Paints a frame. Both are `GPUTexture`s of the engine's device, of the format rgba8unorm and the size of the
    /// painting: the frame with the usage TEXTURE_BINDING, the result with STORAGE_BINDING. `reset` begins a new video.
    pub fn paint(&mut self, frame: JsValue, result: JsValue, reset: bool) -> Result<(), Failure> {
        let device = self.context.device().clone();
        let texture = |handle: JsValue, usage| {
            let handle: GpuTexture = handle.unchecked_into();
            let texture = device.create_texture_from_webgpu_handle(handle, &described(self.size, FORMAT, usage), None);
            texture.create_view(&Default::default())
        };
        let color = texture(frame, TextureUsages::TEXTURE_BINDING);
        let output = texture(result, TextureUsages::STORAGE_BINDING);
        let still = self.still.as_ref().map(|still| still.create_view(&Default::default()));
        let styles = [Blend { weights: &self.weights, alpha: self.alpha }];
        let frame = Frame { motion: still.as_ref(), reset, ..Frame::new(&color, &output, self.size, &styles) };
        let mut encoder = device.create_command_encoder(&Default::default());
        self.stylizer.encode(&mut encoder, &frame)?;
        self.context.queue().submit([encoder.finish()]);
        Ok(())
    }
}
