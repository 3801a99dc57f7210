//! What a host calls.

use std::sync::mpsc::{self, Receiver, TryRecvError};

use super::frame::Frame;
use super::net::Net;
use super::passes::{Passes, Recording, check};
use crate::gpu::{Context, ContextOptions, Precision, Tuning};
use crate::ops::texture::{MOST_REGIONS, Settings};
use crate::{Error, Result};

/// The kind of texture that tells the regions of a frame apart. Up to four regions have a style each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskKind {
    /// Soft weights: the channels red, green, blue and alpha of a float or unorm texture are the weights of the regions
    /// 0 to 3, 0..1. Where they sum to more than 1, they are scaled down to 1. Of channels that the format lacks, alpha
    /// is 1 and the others are 0.
    Weights,
    /// Object numbers: the red channel of a texture of unsigned integers, such as `r8uint` or `r32uint`, is the number of
    /// the region.
    Ids,
}

/// What does not change from frame to frame.
#[derive(Clone, Debug)]
pub struct Options {
    /// The largest frame, `[width, height]` in texels.
    pub max_size: [u32; 2],
    /// Side of the painting relative to `max_size`, above 0 and up to 1. Time and memory grow with its square. The
    /// painting is enlarged to the frame's size along the frame's edges.
    pub scale: f32,
    /// Format of the frame: see [the table](super#textures). It is that of the view.
    pub color: wgpu::TextureFormat,
    /// Format of the output: see [the table](super#textures). It is that of the view.
    pub output: wgpu::TextureFormat,
    /// The kind of mask that every frame has; `None`: frames have no mask, and one region.
    pub mask: Option<MaskKind>,
    /// Number of regions, 1 to 4; above 1 with AdaIN alone. A feed-forward net paints the region 0 of a mask. Where no
    /// region applies, the output is the frame.
    pub regions: usize,
    /// Storage of weights and activations. `F16` needs `Features::SHADER_F16` and takes half the memory.
    pub precision: Precision,
    /// Thresholds that choose the kernels of convolutions; `None`: the rules of the kernel class.
    pub tuning: Option<Tuning>,
}

impl Options {
    /// Frames of up to `max_size` `[width, height]` texels, in the formats of frame and output: painted at full size, in
    /// f32, with one style.
    pub fn new(max_size: [u32; 2], [color, output]: [wgpu::TextureFormat; 2]) -> Self {
        let (precision, tuning) = (Precision::F32, None);
        Options { max_size, scale: 1.0, color, output, mask: None, regions: 1, precision, tuning }
    }

    /// Size of the painting, `[height, width]`.
    pub(super) fn painting_size(&self) -> [usize; 2] {
        let [width, height] = self.max_size.map(|side| ((side as f32 * self.scale).round() as usize).max(1));
        [height, width]
    }

    pub(super) fn check(&self, net: &Net) -> Result<()> {
        let refuse = |argument, expected: &str, got: String| Err(Error::argument("embed", argument, expected, got));
        if self.max_size.contains(&0) {
            return refuse("max_size", "at least 1x1", format!("{}x{}", self.max_size[0], self.max_size[1]));
        }
        if !(self.scale > 0.0 && self.scale <= 1.0) {
            return refuse("scale", "above 0, up to 1", self.scale.to_string());
        }
        for (name, format) in [("color", self.color), ("output", self.output)] {
            if !FORMATS.contains(&format) {
                let known: Vec<_> = FORMATS.iter().map(|format| format!("{format:?}")).collect();
                return refuse(name, &format!("one of {}", known.join(", ")), format!("{format:?}"));
            }
        }
        let most = match (self.mask, net.has_regions()) {
            (None, _) | (_, false) => 1,
            _ => MOST_REGIONS,
        };
        if !(1..=most).contains(&self.regions) {
            let expected = match most {
                1 => "1 without a mask, and with a feed-forward net",
                _ => "1 to 4",
            };
            return refuse("regions", expected, self.regions.to_string());
        }
        Ok(())
    }
}

/// Formats of frame and output.
pub(super) const FORMATS: [wgpu::TextureFormat; 6] = [
    wgpu::TextureFormat::Rgba8Unorm,
    wgpu::TextureFormat::Rgba8UnormSrgb,
    wgpu::TextureFormat::Bgra8Unorm,
    wgpu::TextureFormat::Bgra8UnormSrgb,
    wgpu::TextureFormat::Rgb10a2Unorm,
    wgpu::TextureFormat::Rgba16Float,
];

/// Whether a shader loads and draws linear values.
pub(super) fn is_linear(format: wgpu::TextureFormat) -> bool {
    format.is_srgb() || has_exposure(format)
}

/// Whether the texture has linear values of any size.
fn has_exposure(format: wgpu::TextureFormat) -> bool {
    format == wgpu::TextureFormat::Rgba16Float
}

/// Paints frames in a host's command encoder: see [the module](super).
pub struct Stylizer {
    context: Context,
    options: Options,
    styles: usize,
    state: State,
}

enum State {
    Making(Receiver<Result<Passes>>),
    Ready(Box<Passes>),
    /// With the message of the error that was returned.
    Failed(String),
}

impl Stylizer {
    /// Checks everything that can be checked at once and begins to compile kernels, to upload weights and to allocate
    /// memory, on a thread of its own (in a browser, before it returns). The thread submits to `queue`.
    ///
    /// # Errors
    /// Options that the net or the device does not support; a limit of the device below what the kernels need, by its
    /// name.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, net: Net, options: &Options) -> Result<Self> {
        let settings = ContextOptions { precision: options.precision, ..ContextOptions::default() };
        Self::start(Context::from_host(device.clone(), queue.clone(), &settings)?, net, options)
    }

    /// A further stylizer on the same device, such as one for another size or in other formats. It shares the kernels
    /// that are compiled already, so it is ready sooner than one that is made by [`new`](Stylizer::new).
    ///
    /// # Errors
    /// Those of [`new`](Stylizer::new); another precision.
    pub fn another(&self, net: Net, options: &Options) -> Result<Self> {
        if options.precision != self.options.precision {
            let expected = format!("{}, that of the first", self.options.precision);
            return Err(Error::argument("embed", "precision", expected, options.precision));
        }
        Self::start(self.context.clone(), net, options)
    }

    fn start(context: Context, net: Net, options: &Options) -> Result<Self> {
        options.check(&net)?;
        let context = context.with_tuning(options.tuning.unwrap_or_else(|| Tuning::rules(context.class())));
        let own_context = context.clone();
        let styles = net.styles();
        let (sender, receiver) = mpsc::channel();
        let own = options.clone();
        let make = move || {
            // If the receiver is gone, so is the stylizer.
            let _ = sender.send(Recording::new(&own_context, net, &own).and_then(Recording::finish));
        };
        #[cfg(not(target_arch = "wasm32"))]
        {
            let thread = std::thread::Builder::new().name("impasto".into());
            thread.spawn(make).map_err(|error| Error::Device(error.into()))?;
        }
        #[cfg(target_arch = "wasm32")]
        make();
        Ok(Stylizer { context, options: options.clone(), styles, state: State::Making(receiver) })
    }

    /// Whether frames can be encoded. Does not wait.
    ///
    /// # Errors
    /// What went wrong while the kernels were compiled: a painting too small for the net or too large for the device,
    /// lack of memory, a lost device.
    pub fn ready(&mut self) -> Result<bool> {
        if let State::Making(receiver) = &self.state {
            match receiver.try_recv() {
                Ok(made) => self.settle(made)?,
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => self.settle(Err(stopped()))?,
            }
        }
        self.passes().map(|_| true)
    }

    /// Waits until frames can be encoded.
    ///
    /// # Errors
    /// Those of [`ready`](Stylizer::ready).
    pub fn wait(&mut self) -> Result<()> {
        if let State::Making(receiver) = &self.state {
            let made = receiver.recv().unwrap_or_else(|_| Err(stopped()));
            self.settle(made)?;
        }
        self.passes().map(drop)
    }

    fn settle(&mut self, made: Result<Passes>) -> Result<()> {
        match made {
            Ok(passes) => {
                self.state = State::Ready(Box::new(passes));
                Ok(())
            }
            Err(error) => {
                self.state = State::Failed(error.to_string());
                Err(error)
            }
        }
    }

    fn passes(&mut self) -> Result<&mut Passes> {
        let refuse = |got: String| Err(Error::argument("embed", "stylizer", "ready", got));
        match &mut self.state {
            State::Ready(passes) => Ok(passes),
            State::Making(_) => refuse("one whose kernels are still being compiled".into()),
            State::Failed(reason) => refuse(format!("one that failed: {reason}")),
        }
    }

    /// Encodes the painting of a frame. Submits nothing, waits for nothing, and creates no object if the textures were
    /// in use before.
    ///
    /// # Errors
    /// A stylizer that is not [ready](Stylizer::ready); a frame that does not fit the options, by the name of the field;
    /// a lost device. Nothing has been encoded then.
    pub fn encode(&mut self, encoder: &mut wgpu::CommandEncoder, frame: &Frame) -> Result<()> {
        self.ready()?;
        self.check(frame)?;
        let (color, output) = (self.options.color, self.options.output);
        let exposure = |format| if has_exposure(format) { frame.exposure } else { 1.0 };
        let mut strength = [0.0; MOST_REGIONS];
        strength.iter_mut().zip(frame.styles).for_each(|(strength, blend)| *strength = blend.alpha);
        let settings = Settings {
            frame: [frame.size[1] as usize, frame.size[0] as usize],
            exposure: exposure(color),
            output_exposure: exposure(output),
            count: frame.styles.len(),
            strength,
        };
        let passes = self.passes()?;
        let can_be_stored = frame.output.texture().usage().contains(wgpu::TextureUsages::STORAGE_BINDING);
        let stores = passes.can_store() && can_be_stored;
        passes.set_styles(frame.styles)?;
        passes.set(settings, stores)?;
        passes.encode(encoder, frame.color, frame.mask, frame.output, stores)
    }

    /// Refuses a frame that cannot be encoded.
    fn check(&self, frame: &Frame) -> Result<()> {
        let refuse = |argument, expected: String, got: String| Err(Error::argument("embed", argument, expected, got));
        let Options { max_size, regions, .. } = self.options;
        let shown = |[width, height]: [u32; 2]| format!("{width}x{height}");
        if frame.size.contains(&0) || frame.size[0] > max_size[0] || frame.size[1] > max_size[1] {
            return refuse("size", format!("1x1 to {}", shown(max_size)), shown(frame.size));
        }
        if !(frame.exposure > 0.0 && frame.exposure.is_finite()) {
            return refuse("exposure", "above 0".into(), frame.exposure.to_string());
        }
        if frame.styles.len() != regions {
            return refuse("styles", format!("{regions}, one for each region"), frame.styles.len().to_string());
        }
        frame.styles.iter().try_for_each(|blend| check(blend, self.styles))?;
        if frame.mask.is_some() != self.options.mask.is_some() {
            let [expected, got] = match self.options.mask {
                Some(_) => ["a texture, as the options say", "none"],
                None => ["none, as the options say", "a texture"],
            };
            return refuse("mask", expected.into(), got.into());
        }
        use wgpu::TextureUsages as Usage;
        let (color, output) = (frame.color.texture(), frame.output.texture());
        let formats = [Some(self.options.color), Some(self.options.output), None];
        let writes = match is_storable(self.options.output) {
            true => Usage::STORAGE_BINDING | Usage::RENDER_ATTACHMENT,
            false => Usage::RENDER_ATTACHMENT,
        };
        let textures = [("color", Some(frame.color)), ("output", Some(frame.output)), ("mask", frame.mask)];
        for ((name, view), format) in textures.into_iter().zip(formats) {
            let Some(texture) = view.map(wgpu::TextureView::texture) else { continue };
            let size = [texture.width(), texture.height()];
            if size[0] < frame.size[0] || size[1] < frame.size[1] {
                return refuse(name, format!("at least {}, the frame's size", shown(frame.size)), shown(size));
            }
            let wanted = if name == "output" { writes } else { Usage::TEXTURE_BINDING };
            if !texture.usage().intersects(wanted) {
                return refuse(name, format!("a texture with the usage {wanted:?}"), format!("{:?}", texture.usage()));
            }
            if texture.sample_count() != 1 {
                return refuse(name, "without multisampling".into(), format!("{} samples", texture.sample_count()));
            }
            let plain = texture.format().remove_srgb_suffix();
            if let Some(format) = format.filter(|format| format.remove_srgb_suffix() != plain) {
                return refuse(name, format!("of the format {format:?}"), format!("{:?}", texture.format()));
            }
        }
        if let (Some(mask), Some(kind)) = (frame.mask.map(wgpu::TextureView::texture), self.options.mask) {
            let (fits, expected) = match (kind, mask.format().sample_type(None, None)) {
                (MaskKind::Weights, kind) => {
                    (matches!(kind, Some(wgpu::TextureSampleType::Float { .. })), "float or unorm")
                }
                (MaskKind::Ids, kind) => (kind == Some(wgpu::TextureSampleType::Uint), "unsigned integer"),
            };
            if !fits {
                return refuse("mask", format!("of a format with {expected} values"), format!("{:?}", mask.format()));
            }
        }
        if color == output {
            return refuse("output", "another texture than color".into(), "the same".into());
        }
        Ok(())
    }

    /// The library's context on the host's device: for painters, and to measure styles.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The options that it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Device memory in bytes, weights included.
    ///
    /// # Errors
    /// A stylizer that is not [ready](Stylizer::ready).
    pub fn bytes(&mut self) -> Result<u64> {
        self.ready()?;
        Ok(self.passes()?.bytes())
    }

    /// Floating-point operations of a frame.
    ///
    /// # Errors
    /// A stylizer that is not [ready](Stylizer::ready).
    pub fn flops(&mut self) -> Result<u64> {
        self.ready()?;
        Ok(self.passes()?.flops())
    }
}

/// Whether WebGPU guarantees that the format can be stored to.
fn is_storable(format: wgpu::TextureFormat) -> bool {
    crate::gpu::TextureKind::storage(format).is_some()
}

/// The error of a thread that ended without a result.
fn stopped() -> Error {
    Error::Device("the thread that compiles kernels has stopped".into())
}
