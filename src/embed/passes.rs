//! The recorded programs of a stylizer: one paints the frame as planes, another writes them to the output.

use super::frame::Blend;
use super::net::{Kind, Net};
use super::options::{MaskKind, Options, values};
#[cfg(not(target_arch = "wasm32"))]
use crate::gpu::Largest;
use crate::gpu::{Context, DeviceTensor, Memory, Program, Recorder, TextureKind, Uniform};
use crate::nets::adain_painter::{AdainStyle, INSTANCE, Styling};
use crate::nets::image_transform_net::ImageTransformNetWeights;
use crate::nets::{AdainDecoder, ImageTransformNet, Tap, Vgg19};
use crate::ops::pool::Pooling;
use crate::ops::texture::{self, Mask, Painted, Params, Settings};
use crate::{Error, Result};

/// The net on the device, with what changes its styles.
enum Styles {
    Adain { styles: Vec<AdainStyle>, styling: Styling, feature_size: [usize; 2] },
    FeedForward { net: ImageTransformNet, body: ImageTransformNetWeights },
}

/// Writes the painting to a texture; `P` is the recording or the program.
struct Writer<P> {
    program: P,
    params: Uniform<Params>,
}

/// Everything that a frame needs, recorded but not yet on the device, apart from the weights.
pub(super) struct Recording {
    paint: Recorder,
    params: Vec<Uniform<Params>>,
    store: Option<Writer<Recorder>>,
    draw: Writer<Recorder>,
    styles: Styles,
    size: [usize; 2],
}

/// Everything that a frame needs, on the device.
pub(super) struct Passes {
    /// From the frame to planes, and from those to the painting.
    paint: Program,
    /// The parameters of `to_planes`, then those of each region's share and of what they leave.
    params: Vec<Uniform<Params>>,
    /// For outputs that can be stored to.
    store: Option<Writer<Program>>,
    draw: Writer<Program>,
    styles: Styles,
    /// `[height, width]` of the planes.
    size: [usize; 2],
    bytes: u64,
    /// What was uploaded last.
    settings: Option<Settings>,
    blends: Vec<Vec<f32>>,
}

/// The mask of a recording.
fn mask(rec: &mut Recorder, kind: Option<MaskKind>) -> Option<Mask> {
    kind.map(|kind| match kind {
        MaskKind::Weights => Mask::Weights(rec.texture(TextureKind::Float)),
        MaskKind::Ids => Mask::Ids(rec.texture(TextureKind::Uint)),
    })
}

/// Parameters that are replaced before the first run.
fn placeholder(size: [usize; 2], region: usize) -> Params {
    let strength = [0.0; texture::MOST_REGIONS];
    Settings { frame: size, exposure: 1.0, output_exposure: 1.0, count: 1, strength, images: 1 }.params(size, region)
}

impl Writer<Recorder> {
    fn new(
        context: &Context,
        [photo, painted]: [&DeviceTensor; 2],
        options: &Options,
        size: [usize; 2],
        kind: TextureKind,
    ) -> Result<Self> {
        let mut rec = Recorder::new(context);
        let color = rec.texture(TextureKind::Float);
        let mask = mask(&mut rec, options.mask);
        let output = rec.texture(kind);
        let [photo, painted] = [photo, painted].map(|tensor| rec.pin(tensor));
        let params = rec.uniform(&placeholder(size, 0));
        let painted = Painted { color, values: values(options.color), mask, photo, painted };
        let most = [options.max_size[1] as usize, options.max_size[0] as usize];
        texture::to_texture(&mut rec, painted, (output, values(options.output)), most, params)?;
        Ok(Writer { program: rec, params })
    }

    fn finish(self) -> Result<Writer<Program>> {
        Ok(Writer { program: self.program.finish()?, params: self.params })
    }
}

impl Recording {
    /// Puts the net's weights on the device and records the programs.
    pub fn new(context: &Context, net: Net, options: &Options) -> Result<Self> {
        let size @ [height, width] = options.painting_size();
        let mut rec = Recorder::new(context);
        let color = rec.texture(TextureKind::Float);
        let mask = mask(&mut rec, options.mask);
        let images = match &net.0 {
            Kind::Adain { .. } => 1,
            Kind::FeedForward(_) => options.regions,
        };
        let photo = DeviceTensor::new(context, "photo", [images, 3, height, width]);
        let x = rec.pin(&photo);
        let mut params = vec![rec.uniform(&placeholder(size, 0))];
        texture::to_planes(&mut rec, color, values(options.color), x, params[0])?;
        let (y, styles) = match net.0 {
            Kind::Adain { encoder, decoder, styles } => {
                let encoder = Vgg19::new(context, &encoder, Pooling::Max)?;
                let decoder = AdainDecoder::new(context, decoder)?;
                let content = encoder.forward(&mut rec, x, Tap::RELU4_1)?.at(Tap::RELU4_1)?;
                let [_, channels, height, width] = content.shape.nchw("AdaIN", "content")?;
                let statistics = INSTANCE.statistics(&mut rec, content, None)?;
                let styling = Styling::new(context, options.regions, [channels, height, width]);
                let shares = styling.regions.iter().map(|[.., share]| share).chain([&styling.rest]);
                for (region, share) in shares.enumerate() {
                    let share = rec.pin(share);
                    params.push(rec.uniform(&placeholder([height, width], region)));
                    texture::to_share(&mut rec, mask, share, params[region + 1])?;
                }
                let target = styling.record(&mut rec, content, statistics)?;
                let y = decoder.forward(&mut rec, target, size)?.picture;
                (y, Styles::Adain { styles, styling, feature_size: [height, width] })
            }
            Kind::FeedForward(body) => {
                let first: Vec<_> = (0..body.styles.len()).map(|row| f32::from(row == 0)).collect();
                let one = if first.is_empty() { body.clone() } else { body.blend(&first)? };
                let net = ImageTransformNet::for_images(context, one, images)?;
                let y = net.forward(&mut rec, x)?.picture;
                (y, Styles::FeedForward { net, body })
            }
        };
        let painted = rec.output(y)?;
        let writer = |kind| Writer::new(context, [&photo, &painted], options, size, kind);
        let store = TextureKind::storage(options.output).map(writer).transpose()?;
        let draw = writer(TextureKind::Target(options.output))?;
        Ok(Recording { paint: rec, params, store, draw, styles, size })
    }

    /// All recordings.
    fn all(&self) -> impl Iterator<Item = &Recorder> {
        let store = self.store.iter().map(|writer| &writer.program);
        [&self.paint, &self.draw.program].into_iter().chain(store)
    }

    /// Device memory of all programs, weights included.
    pub fn memory(&self) -> Result<Memory> {
        let mut memory = self.paint.memory()?;
        for rec in self.all().skip(1) {
            memory = memory.join(rec.memory()?);
        }
        Ok(memory)
    }

    /// The largest buffers of all programs.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn largest(&self) -> Result<Largest> {
        let mut all = self.all().map(Recorder::largest);
        all.try_fold(Largest::default(), |largest, one| Ok(largest.join(one?)))
    }

    /// Floating-point operations of a frame.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn flops(&self) -> u64 {
        self.paint.flops() + self.draw.program.flops()
    }

    /// Compiles the kernels and allocates memory.
    pub fn finish(self) -> Result<Passes> {
        let bytes = self.memory()?.peak_bytes();
        Ok(Passes {
            paint: self.paint.finish()?,
            params: self.params,
            store: self.store.map(Writer::finish).transpose()?,
            draw: self.draw.finish()?,
            styles: self.styles,
            size: self.size,
            bytes,
            settings: None,
            blends: Vec::new(),
        })
    }
}

impl Passes {
    /// Uploads the styles that have changed.
    pub fn set_styles(&mut self, blends: &[Blend]) -> Result<()> {
        if self.blends.iter().map(Vec::as_slice).eq(blends.iter().map(|blend| blend.weights)) {
            return Ok(());
        }
        match &self.styles {
            Styles::Adain { styles, styling, .. } => {
                for (blend, [mean, deviation, _]) in blends.iter().zip(&styling.regions) {
                    let chosen = styles.iter().zip(blend.weights).filter(|(_, weight)| **weight != 0.0);
                    let chosen: Vec<_> = chosen.map(|(style, weight)| (style.clone(), *weight)).collect();
                    let mixed = AdainStyle::mix(&chosen)?;
                    mean.write(&mixed.mean)?;
                    deviation.write(&mixed.deviation)?;
                }
            }
            Styles::FeedForward { net, body } if !body.styles.is_empty() => {
                let mut all: Vec<(&str, Vec<f32>)> = body.blended(blends[0].weights)?.collect();
                for blend in &blends[1..] {
                    all.iter_mut().zip(body.blended(blend.weights)?).for_each(|((_, all), (_, one))| all.extend(one));
                }
                net.set_norms(all.into_iter())?;
            }
            Styles::FeedForward { .. } => {}
        }
        self.blends = blends.iter().map(|blend| blend.weights.to_vec()).collect();
        Ok(())
    }

    /// Uploads the settings. A lost device is found here, so the output's parameters are written for every frame.
    pub fn set(&mut self, settings: Settings, stores: bool) -> Result<()> {
        let mut output = settings;
        match self.styles {
            // The strengths have had their effect on the features.
            Styles::Adain { .. } => output.strength = [1.0; texture::MOST_REGIONS],
            Styles::FeedForward { .. } => output.images = settings.count,
        }
        let writer = self.writer(stores);
        writer.program.update(writer.params, &output.params(self.size, 0))?;
        if self.settings == Some(settings) {
            return Ok(());
        }
        self.paint.update(self.params[0], &settings.params(self.size, 0))?;
        if let Styles::Adain { feature_size, .. } = &self.styles {
            for (region, params) in self.params[1..].iter().enumerate() {
                self.paint.update(*params, &settings.params(*feature_size, region))?;
            }
        }
        self.settings = Some(settings);
        Ok(())
    }

    /// Whether the output can be stored to.
    pub fn can_store(&self) -> bool {
        self.store.is_some()
    }

    fn writer(&self, stores: bool) -> &Writer<Program> {
        self.store.as_ref().filter(|_| stores).unwrap_or(&self.draw)
    }

    /// Encodes a frame.
    pub fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        color: &wgpu::TextureView,
        mask: Option<&wgpu::TextureView>,
        output: &wgpu::TextureView,
        stores: bool,
    ) -> Result<()> {
        let writer = &self.writer(stores).program;
        match mask {
            None => {
                self.paint.encode_views(encoder, &[color])?;
                writer.encode_views(encoder, &[color, output])
            }
            Some(mask) => {
                self.paint.encode_views(encoder, &[color, mask])?;
                writer.encode_views(encoder, &[color, mask, output])
            }
        }
    }

    /// Device memory in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Floating-point operations of a frame.
    pub fn flops(&self) -> u64 {
        self.paint.flops() + self.draw.program.flops()
    }
}

/// Refuses a blend that no net can mix.
pub(super) fn check(blend: &Blend, styles: usize) -> Result<()> {
    let refuse = |argument, expected: String, got: String| Err(Error::argument("embed", argument, expected, got));
    let sum: f32 = blend.weights.iter().sum();
    if blend.weights.len() != styles
        || !blend.weights.iter().all(|weight| *weight >= 0.0)
        || !(sum > 0.0 && sum.is_finite())
    {
        let expected = format!("{styles} numbers from 0 up, one for each style, not all 0");
        return refuse("weights", expected, format!("{:?}", blend.weights));
    }
    if !(0.0..=1.0).contains(&blend.alpha) {
        return refuse("alpha", "0 to 1".into(), blend.alpha.to_string());
    }
    Ok(())
}
