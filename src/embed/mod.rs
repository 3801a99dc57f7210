//! A stylisation pass inside a host's frame: the host's device, encoder and textures, and nothing that stalls.
//!
//! A [`Stylizer`] reads a texture and writes another in the host's command encoder, as other passes of a renderer do. In
//! a steady frame it creates no object, submits nothing, waits for nothing and reads nothing back.
//!
//! ```rust,no_run
//! use impasto::embed::{Blend, Frame, Net, Options, Stylizer};
//! use impasto::nets::image_transform_net::ImageTransformNetWeights;
//! use impasto::wgpu::{self, TextureFormat};
//!
//! /// When the renderer starts. Kernels compile on a thread of their own.
//! fn start(device: &wgpu::Device, queue: &wgpu::Queue, body: ImageTransformNetWeights) -> impasto::Result<Stylizer> {
//!     let formats = [TextureFormat::Rgba16Float, TextureFormat::Bgra8UnormSrgb];
//!     let options = Options { scale: 0.5, ..Options::new([1920, 1080], formats) };
//!     Stylizer::new(device, queue, Net::feed_forward(body)?, &options)
//! }
//!
//! /// Every frame. `mix` has a weight for each style of the net. Gives whether the output was written.
//! fn frame(
//!     stylizer: &mut Stylizer,
//!     encoder: &mut wgpu::CommandEncoder,
//!     color: &wgpu::TextureView,
//!     output: &wgpu::TextureView,
//!     mix: &[f32],
//! ) -> impasto::Result<bool> {
//!     if !stylizer.ready()? {
//!         return Ok(false);
//!     }
//!     let styles = [Blend { weights: mix, alpha: 1.0 }];
//!     stylizer.encode(encoder, &Frame { exposure: 1.5, ..Frame::new(color, output, [1920, 1080], &styles) })?;
//!     Ok(true)
//! }
//! ```
//!
//! # Textures
//!
//! Frame and output are two textures of the same size in texels, two-dimensional and without multisampling. The frame
//! needs the usage `TEXTURE_BINDING`. The output needs `STORAGE_BINDING` or `RENDER_ATTACHMENT`; only the first is
//! restricted to `rgba8unorm` and `rgba16float`. With both usages the output is stored to. A window's surface texture can be
//! the output.
//!
//! | format | values |
//! | --- | --- |
//! | `rgba8unorm`, `bgra8unorm`, `rgb10a2unorm` | sRGB, as they are shown |
//! | `rgba8unorm-srgb`, `bgra8unorm-srgb` | sRGB, which the device converts |
//! | `rgba16float` | linear, with the primaries of sRGB; times [`Frame::exposure`], then clamped to 0..1; NaN counts as 0 |
//!
//! The nets see sRGB values, so the same picture in any of these formats is painted alike. Alpha is copied from frame to
//! output. It has no effect on the painting.
//!
//! # Steady in time
//!
//! A net that paints each frame alone flickers. With [`Options::steadiness`], statistics of the net's norms are averaged
//! over the frames. With [`Options::motion`], a part of the previous result follows the motion of the scene, too. Depths
//! ([`Options::depth`]) show which surfaces the previous frame did not show; there the painting is that of the frame alone.
//! Without depths, a moving object drags some of its colours along. [`Frame::reset`] begins a new video, as after a cut.
//!
//! A frame is encoded once and submitted, in order: its history is that of the frame encoded before. Motion leads from a
//! texel to where it was in the previous frame that was painted. A stylizer that paints every second frame needs the sum
//! of two motions.
//!
//! # In slices
//!
//! [`Stylizer::encode_slice`] encodes a part of the painting, of bounded cost. A host calls it once a frame until the
//! painting is complete and shows the last output meanwhile.
//!
//! # Memory and time
//!
//! Bind groups that hold the host's views are kept for 32 frames after their last use. A host that renders into a few
//! textures in turn therefore causes no object to be created. A frame's parameters are uploaded when it is encoded and
//! take effect at the next submission: submit a frame before the next one is encoded.

mod frame;
#[cfg(not(target_arch = "wasm32"))]
mod needs;
mod net;
mod options;
mod passes;
mod stylizer;

pub use crate::nets::steady::Steadiness;
pub use frame::{Blend, Frame};
#[cfg(not(target_arch = "wasm32"))]
pub use needs::Requirements;
pub use net::Net;
pub use options::{DepthKind, MaskKind, Options};
pub use stylizer::{Progress, Stylizer};
