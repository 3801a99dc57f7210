//! The recorded programs of a stylizer: one paints the frame as planes, another writes them to the output.

use super::frame::{Blend, Frame};
use super::net::{Kind, Net};
use super::options::{DepthKind, MaskKind, Options, values};
#[cfg(not(target_arch = "wasm32"))]
use crate::gpu::Largest;
use crate::gpu::{Context, DeviceTensor, Memory, Program, Recorder, Slice, TextureKind, Uniform};
use crate::nets::adain_painter::{AdainStyle, INSTANCE, Styling};
use crate::nets::image_transform_net::ImageTransformNetWeights;
use crate::nets::steady::Steady;
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
    read: Recorder,
    paint: Recorder,
    steady: Option<Steady>,
    params: Vec<Uniform<Params>>,
    store: Option<Writer<Recorder>>,
    draw: Writer<Recorder>,
    styles: Styles,
    size: [usize; 2],
}

/// Everything that a frame needs, on the device.
pub(super) struct Passes {
    /// From the textures of the frame to planes.
    read: Program,
    /// From those to the painting.
    paint: Program,
    steady: Option<Steady>,
    /// The parts of `paint` for a frame in slices.
    slicing: Slicing,
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

/// A frame in slices.
#[derive(Default)]
struct Slicing {
    budget: f64,
    slices: Vec<Slice>,
    /// The slice that comes next.
    next: usize,
    /// Whether the frame begins a new video.
    reset: bool,
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
        let images = match &net.0 {
            Kind::Adain { .. } => 1,
            Kind::FeedForward(_) => options.regions,
        };
        let mut read = Recorder::new(context);
        let color = read.texture(TextureKind::Float);
        let mask = mask(&mut read, options.mask);
        let photo = DeviceTensor::new(context, "photo", [images, 3, height, width]);
        let planes = read.pin(&photo);
        let mut params = vec![read.uniform(&placeholder(size, 0))];
        texture::to_planes(&mut read, color, values(options.color), planes, params[0])?;
        let motion = DeviceTensor::new(context, "motion", [1, 2, height, width]);
        if options.motion {
            let (texture, planes) = (read.texture(TextureKind::Float), read.pin(&motion));
            texture::to_motion(&mut read, texture, planes, params[0])?;
        }
        let depth = options.depth.map(|kind| (kind, DeviceTensor::new(context, "depth", [1, 1, height, width])));
        if let Some((kind, depth)) = &depth {
            let kind = match kind {
                DepthKind::Float => TextureKind::Float,
                DepthKind::Depth => TextureKind::Depth,
            };
            let (texture, plane) = (read.texture(kind), read.pin(depth));
            texture::to_depth(&mut read, texture, plane, params[0])?;
        }
        let mut rec = Recorder::new(context);
        let x = rec.pin(&photo);
        let mut steady = options.steadiness.map(|steadiness| Steady::new(&mut rec, steadiness)).transpose()?;
        let smoothing = steady.as_ref().map(Steady::smoothing);
        let (y, styles) = match net.0 {
            Kind::Adain { encoder, decoder, styles } => {
                let encoder = Vgg19::new(context, &encoder, Pooling::Max)?;
                let decoder = AdainDecoder::new(context, decoder)?;
                let content = encoder.forward(&mut rec, x, Tap::RELU4_1)?.at(Tap::RELU4_1)?;
                let [_, channels, height, width] = content.shape.nchw("AdaIN", "content")?;
                let mut statistics = INSTANCE.statistics(&mut rec, content, None)?;
                if let Some(smoothing) = smoothing {
                    statistics = smoothing.average(&mut rec, statistics)?;
                }
                let styling = Styling::new(context, options.regions, [channels, height, width]);
                let shares = styling.regions.iter().map(|[.., share]| share).chain([&styling.rest]);
                for (region, share) in shares.enumerate() {
                    let share = read.pin(share);
                    params.push(read.uniform(&placeholder([height, width], region)));
                    texture::to_share(&mut read, mask, share, params[region + 1])?;
                }
                let target = styling.record(&mut rec, content, statistics)?;
                let y = decoder.forward(&mut rec, target, size)?.picture;
                (y, Styles::Adain { styles, styling, feature_size: [height, width] })
            }
            Kind::FeedForward(body) => {
                let first: Vec<_> = (0..body.styles.len()).map(|row| f32::from(row == 0)).collect();
                let one = if first.is_empty() { body.clone() } else { body.blend(&first)? };
                let net = ImageTransformNet::for_images(context, one, images)?;
                let y = match smoothing {
                    Some(smoothing) => net.forward_smoothed(&mut rec, x, None, smoothing)?.picture,
                    None => net.forward(&mut rec, x)?.picture,
                };
                (y, Styles::FeedForward { net, body })
            }
        };
        let y = match &mut steady {
            Some(steady) if options.motion => {
                let motion = rec.pin(&motion);
                let depth = depth.map(|(_, depth)| rec.pin(&depth));
                steady.follow(&mut rec, y, motion, depth)?
            }
            _ => y,
        };
        let painted = rec.output(y)?;
        let writer = |kind| Writer::new(context, [&photo, &painted], options, size, kind);
        let store = TextureKind::storage(options.output).map(writer).transpose()?;
        let draw = writer(TextureKind::Target(options.output))?;
        Ok(Recording { read, paint: rec, steady, params, store, draw, styles, size })
    }

    /// All recordings.
    fn all(&self) -> impl Iterator<Item = &Recorder> {
        let store = self.store.iter().map(|writer| &writer.program);
        [&self.paint, &self.read, &self.draw.program].into_iter().chain(store)
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
            read: self.read.finish()?,
            paint: self.paint.finish()?,
            steady: self.steady,
            slicing: Slicing::default(),
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
    fn set_styles(&mut self, blends: &[Blend]) -> Result<()> {
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

    /// Uploads the settings for reading.
    fn set(&mut self, settings: Settings) -> Result<()> {
        if self.settings == Some(settings) {
            return Ok(());
        }
        self.read.update(self.params[0], &settings.params(self.size, 0))?;
        if let Styles::Adain { feature_size, .. } = &self.styles {
            for (region, params) in self.params[1..].iter().enumerate() {
                self.read.update(*params, &settings.params(*feature_size, region))?;
            }
        }
        self.settings = Some(settings);
        Ok(())
    }

    /// Encodes a frame.
    pub fn encode(&mut self, encoder: &mut wgpu::CommandEncoder, frame: &Frame, settings: Settings) -> Result<()> {
        self.begin(encoder, frame, settings)?;
        self.slicing.next = 0;
        self.paint.encode_views(encoder, &[])?;
        self.write(encoder, frame)
    }

    /// Encodes the next slice of a frame, or the first one of a new frame. Gives the number of slices that are encoded,
    /// and of all.
    pub fn encode_slice(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        frame: &Frame,
        settings: Settings,
        budget: f64,
    ) -> Result<[usize; 2]> {
        if self.slicing.next == 0 {
            if self.slicing.slices.is_empty() || self.slicing.budget != budget {
                self.slicing = Slicing { budget, slices: self.paint.slices(budget), ..Slicing::default() };
            }
            self.begin(encoder, frame, settings)?;
        }
        let Slicing { slices, next, .. } = &mut self.slicing;
        self.paint.encode_slice(encoder, &slices[*next])?;
        *next += 1;
        let progress = [*next, slices.len()];
        if progress[0] == progress[1] {
            *next = 0;
            // The frame is finished as it was begun, except for its output.
            self.set_output(frame, self.settings.unwrap_or(settings))?;
            self.write(encoder, frame)?;
        }
        Ok(progress)
    }

    /// Uploads what a frame sets, and encodes the reading of its textures.
    fn begin(&mut self, encoder: &mut wgpu::CommandEncoder, frame: &Frame, settings: Settings) -> Result<()> {
        // A lost device is found here, before anything is encoded: these parameters are written for every frame.
        self.set_output(frame, settings)?;
        self.set_styles(frame.styles)?;
        self.set(settings)?;
        if let Some(steady) = &mut self.steady {
            // A frame whose slices were given up may have been the first of its video.
            let reset = frame.reset || (self.slicing.next > 0 && self.slicing.reset);
            let [height, width] = self.size;
            let ratio = [frame.size[0] as f32 / width as f32, frame.size[1] as f32 / height as f32];
            self.slicing.reset =
                steady.begin(&self.paint, [0, 1].map(|axis| frame.motion_scale[axis] / ratio[axis]), reset)?;
        }
        let views = [Some(frame.color), frame.mask, frame.motion, frame.depth];
        self.read.encode_views(encoder, &views.into_iter().flatten().collect::<Vec<_>>())
    }

    /// The program that writes the output.
    fn writer(&self, frame: &Frame) -> &Writer<Program> {
        let can_be_stored = frame.output.texture().usage().contains(wgpu::TextureUsages::STORAGE_BINDING);
        self.store.as_ref().filter(|_| can_be_stored).unwrap_or(&self.draw)
    }

    /// Uploads the settings for writing the output.
    fn set_output(&self, frame: &Frame, mut settings: Settings) -> Result<()> {
        match self.styles {
            // The strengths have had their effect on the features.
            Styles::Adain { .. } => settings.strength = [1.0; texture::MOST_REGIONS],
            Styles::FeedForward { .. } => settings.images = settings.count,
        }
        let writer = self.writer(frame);
        writer.program.update(writer.params, &settings.params(self.size, 0))
    }

    /// Encodes the writing of the output.
    fn write(&self, encoder: &mut wgpu::CommandEncoder, frame: &Frame) -> Result<()> {
        let views = [Some(frame.color), frame.mask, Some(frame.output)];
        self.writer(frame).program.encode_views(encoder, &views.into_iter().flatten().collect::<Vec<_>>())
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
