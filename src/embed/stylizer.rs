//! What a host calls.

use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Mutex, PoisonError};

use super::frame::Frame;
use super::net::Net;
use super::options::{MaskKind, Options, has_exposure};
use super::passes::{Passes, Recording, check};
use crate::gpu::{Context, ContextOptions, Tuning};
use crate::ops::texture::{MOST_REGIONS, Settings};
use crate::{Error, Result};

/// How far a frame in slices has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Number of slices that are encoded.
    pub encoded: usize,
    /// Number of slices of the frame.
    pub slices: usize,
}

impl Progress {
    /// Whether the last slice is encoded, which writes the output.
    pub fn is_complete(&self) -> bool {
        self.encoded == self.slices
    }
}

/// Paints frames in a host's command encoder: see [the module](super).
pub struct Stylizer {
    context: Context,
    options: Options,
    styles: usize,
    state: State,
}

enum State {
    /// In a mutex, so that hosts may keep a stylizer where types have to be `Sync`.
    Making(Mutex<Receiver<Result<Passes>>>),
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

    /// A stylizer on the device of `context`, with whose other programs it shares compiled kernels. The precision is that
    /// of the context, whatever the options say.
    ///
    /// # Errors
    /// Those of [`new`](Stylizer::new).
    pub fn in_context(context: &Context, net: Net, options: &Options) -> Result<Self> {
        Self::start(context.clone(), net, &Options { precision: context.precision(), ..options.clone() })
    }

    /// A further stylizer on the same device, such as one for another size or in other formats: after a resize, make one
    /// and replace this one when the new one is ready. It shares the kernels
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
        Ok(Stylizer { context, options: options.clone(), styles, state: State::Making(Mutex::new(receiver)) })
    }

    /// Whether frames can be encoded. Does not wait. Some drivers finish their work on a kernel when it first runs, so the
    /// first frame can take longer than the others.
    ///
    /// # Errors
    /// What went wrong while the kernels were compiled: a painting too small for the net or too large for the device,
    /// lack of memory, a lost device.
    pub fn ready(&mut self) -> Result<bool> {
        if let State::Making(receiver) = &mut self.state {
            match receiver.get_mut().unwrap_or_else(PoisonError::into_inner).try_recv() {
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
        if let State::Making(receiver) = &mut self.state {
            let receiver = receiver.get_mut().unwrap_or_else(PoisonError::into_inner);
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
    /// A stylizer that is not [ready](Stylizer::ready) or a frame that does not fit the options, by the name of the field:
    /// nothing has been encoded then. A lost device or lack of memory: a part may have been encoded, so drop the encoder.
    pub fn encode(&mut self, encoder: &mut wgpu::CommandEncoder, frame: &Frame) -> Result<()> {
        let settings = self.settings(frame)?;
        self.passes()?.encode(encoder, frame, settings)
    }

    /// Encodes a part of the painting of a frame that costs at most `budget` GFLOP by the estimate of
    /// [`Slice::gflop`](crate::gpu::Slice::gflop), or a single dispatch if that costs more. A frame is painted by calling
    /// this until the progress is complete; the result is that of [`encode`](Stylizer::encode).
    ///
    /// The first slice reads the textures `color`, `mask`, `motion` and `depth`, the styles and all other settings. The
    /// last one writes `output`, which keeps the previous result until then; it reads `color` and `mask` again, for alpha
    /// and for edges. The budget of the first slice is that of the frame. [`encode`](Stylizer::encode) in between gives
    /// the frame up.
    ///
    /// # Errors
    /// Those of [`encode`](Stylizer::encode).
    pub fn encode_slice(&mut self, encoder: &mut wgpu::CommandEncoder, frame: &Frame, budget: f64) -> Result<Progress> {
        let settings = self.settings(frame)?;
        let [encoded, slices] = self.passes()?.encode_slice(encoder, frame, settings, budget)?;
        Ok(Progress { encoded, slices })
    }

    /// What a frame sets, if it fits the options.
    fn settings(&mut self, frame: &Frame) -> Result<Settings> {
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
            images: 1,
        };
        Ok(settings)
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
        let Options { mask, motion, depth, .. } = self.options;
        let optional = [
            ("mask", frame.mask, mask.is_some()),
            ("motion", frame.motion, motion),
            ("depth", frame.depth, depth.is_some()),
        ];
        for (name, view, wanted) in optional {
            match (view, wanted) {
                (None, true) => return refuse(name, "a texture, as the options say".into(), "none".into()),
                (Some(_), false) => return refuse(name, "none, as the options say".into(), "a texture".into()),
                _ => {}
            }
        }
        if !frame.motion_scale.iter().all(|scale| scale.is_finite()) {
            return refuse("motion_scale", "finite".into(), format!("{:?}", frame.motion_scale));
        }
        use wgpu::TextureUsages as Usage;
        let (color, output) = (frame.color.texture(), frame.output.texture());
        let formats = [Some(self.options.color), Some(self.options.output), None, None, None];
        let writes = match is_storable(self.options.output) {
            true => Usage::STORAGE_BINDING | Usage::RENDER_ATTACHMENT,
            false => Usage::RENDER_ATTACHMENT,
        };
        let given = [("color", Some(frame.color)), ("output", Some(frame.output))];
        let textures = given.into_iter().chain(optional.map(|(name, view, _)| (name, view)));
        for ((name, view), format) in textures.zip(formats) {
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

    /// Floating-point operations of a frame in units of 10⁹, the unit of [`encode_slice`](Stylizer::encode_slice).
    ///
    /// # Errors
    /// A stylizer that is not [ready](Stylizer::ready).
    pub fn gflop(&mut self) -> Result<f64> {
        self.ready()?;
        Ok(self.passes()?.flops() as f64 * 1e-9)
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
