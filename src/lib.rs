//! Neural style transfer on any GPU, with hand-written WGSL kernels.
//!
//! Impasto is a small tensor runtime on [wgpu](https://wgpu.rs) (Vulkan, Metal, DX12) and, on top of it, the methods of
//! the style-transfer literature. Kernels and backward passes are written by hand; there is no CUDA, no deep-learning
//! framework and no automatic differentiation. A software Vulkan driver is enough to run it. The `impasto` command
//! (README.md) uses the same library. ARCHITECTURE.md explains its structure.
//!
//! # Any style in one pass
//!
//! AdaIN (arXiv:1703.06868) repaints a photo in the style of any picture. The library embeds two pairs of encoder and
//! decoder, [`weights::PAIRS`].
//!
//! ```rust,no_run
//! use std::path::Path;
//!
//! use impasto::gpu::{Context, ContextOptions};
//! use impasto::io::Picture;
//! use impasto::methods::adain::{self, AdainSettings, Source};
//! use impasto::nets::adain_decoder::AdainDecoderWeights;
//! use impasto::nets::{AdainDecoder, AdainPainter, Vgg19};
//! use impasto::ops::pool::Pooling;
//! use impasto::weights::{self, PAIRS};
//!
//! fn main() -> impasto::Result<()> {
//!     let context = Context::new(&ContextOptions::default())?;
//!     let pair = &PAIRS[0];
//!     let encoder = Vgg19::load(&context, &weights::encoder(pair.encoder)?, Pooling::Max)?;
//!     let decoder = AdainDecoder::new(&context, AdainDecoderWeights::of(&pair.decoder()?)?)?;
//!     let mut painter = AdainPainter::new(&encoder, decoder)?;
//!
//!     let style = Source::Picture(Picture::load(Path::new("painting.jpg"))?);
//!     let photo = Picture::load(Path::new("photo.jpg"))?;
//!     adain::stylize(&mut painter, &photo, &[style.into()], &AdainSettings::default())?.save(Path::new("out.png"))
//! }
//! ```
//!
//! # A trained net on many pictures
//!
//! A feed-forward net (Johnson, arXiv:1603.08155; Ulyanov, arXiv:1607.08022) paints in the style for which it was
//! trained. A painter keeps the recorded programs of the last few picture sizes, so further pictures of a size compile
//! nothing.
//!
//! ```rust,no_run
//! use std::path::Path;
//!
//! use impasto::gpu::{Context, ContextOptions};
//! use impasto::io::{Picture, WeightFile};
//! use impasto::methods::feed_forward::{self, FeedForwardSettings};
//! use impasto::nets::ImageTransformNet;
//! use impasto::nets::image_transform_net::{ImageTransformNetWeights, Painter};
//!
//! fn main() -> impasto::Result<()> {
//!     let context = Context::new(&ContextOptions::default())?;
//!     // `impasto::weights::models` has the embedded nets.
//!     let file = WeightFile::load(Path::new("net.safetensors"))?;
//!     let mut painter = Painter::new(ImageTransformNet::new(&context, ImageTransformNetWeights::of(&file)?)?);
//!
//!     let settings = FeedForwardSettings { size: Some(1024), ..FeedForwardSettings::default() };
//!     for name in ["one.jpg", "two.jpg", "three.jpg"] {
//!         let photo = Picture::load(&Path::new("photos").join(name))?;
//!         let painted = feed_forward::stylize(&mut painter, &photo, &settings)?;
//!         painted.save(&Path::new("painted").join(name))?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # In the frames of a renderer
//!
//! [`embed::Stylizer`] paints a texture into another one, in a host's command encoder and on its wgpu device. Steady
//! frames create no object, submit nothing and wait for nothing. Other recorded programs run there too:
//! [`gpu::Context::from_host`] takes a host's device and queue, and [`gpu::Program::encode`] writes a program into its
//! encoder. The device must come from the same version of wgpu, which the library re-exports as [`wgpu`].
//!
//! ```rust,no_run
//! use impasto::embed::{Blend, Frame, Net, Options, Stylizer};
//! use impasto::nets::image_transform_net::ImageTransformNetWeights;
//! use impasto::wgpu::{self, TextureFormat};
//!
//! /// Compiles kernels on a thread of its own, until `ready`.
//! fn start(device: &wgpu::Device, queue: &wgpu::Queue, net: ImageTransformNetWeights) -> impasto::Result<Stylizer> {
//!     let options = Options::new([1280, 720], [TextureFormat::Rgba16Float, TextureFormat::Bgra8UnormSrgb]);
//!     Stylizer::new(device, queue, Net::feed_forward(net)?, &options)
//! }
//!
//! /// In every frame, after the scene has been drawn to `color`.
//! fn paint(
//!     stylizer: &mut Stylizer,
//!     encoder: &mut wgpu::CommandEncoder,
//!     [color, output]: [&wgpu::TextureView; 2],
//! ) -> impasto::Result<()> {
//!     let style = [Blend { weights: &[1.0], alpha: 1.0 }];
//!     stylizer.encode(encoder, &Frame::new(color, output, [1280, 720], &style))
//! }
//! ```
//!
//! # Modules
//!
//! - [`embed`]: a pass that paints textures inside a host's frames.
//! - [`gpu`]: device, tensors, recorded programs and their memory.
//! - [`ops`]: operations with forward and backward passes.
//! - [`nets`]: VGG-19, AdaIN's decoder, the feed-forward net and the super-resolution net.
//! - [`loss`]: losses on features.
//! - [`optim`]: Adam and L-BFGS.
//! - [`methods`]: Gatys' method, AdaIN and feed-forward nets, each with a `stylize` function, and `stylize_parts` for
//!   pictures too large for memory; enlargement; colour preservation.
//! - [`io`]: pictures and weight files.
//! - [`weights`]: the embedded nets.
//! - [`train`]: data loading, the training loop, checkpoints and the trainers (feature `train`; feed-forward nets with
//!   `train-styles` alone).
//! - [`eval`]: evaluation of trained nets (feature `train`).
//! - [`mod@bench`]: the adapter's limits, and workloads (feature `train`).
//! - [`sheet`]: contact sheets (feature `plot`).
//! - [`doctor`]: known-answer tests of an adapter (feature `doctor`).
//! - [`tune`]: search for the fastest convolution settings (feature `cache`).
//!
//! # Features
//!
//! By default, all of these are enabled except `webgpu`. Without default features the library keeps no files
//! between runs and waits for nothing.
//!
//! - `blocking`: a blocking variant of each `async` function, such as [`gpu::Context::new`] for [`gpu::Context::open`].
//! - `cli`: the `impasto` command; includes `cache`, `doctor` and `train`.
//! - `train`: training, evaluation and benchmarks; includes `blocking`, `plot` and `train-styles`.
//! - `train-styles`: training of feed-forward nets and styles from pictures in memory, without files and threads.
//! - `plot`: plots and contact sheets.
//! - `cache`: a cache of compiled pipelines in the user's cache directory ([`UserCache`]), and [`tune`]; includes
//!   `blocking`.
//! - `jxl`: pictures in JPEG XL.
//! - `avif`, `webp-lossy` (no defaults): pictures in AVIF; lossy WebP results, for which a C compiler builds libwebp.
//! - `doctor`: known-answer tests of an adapter. With `cache`, the result is kept.
//! - `vulkan`, `metal`, `dx12`, `gles`, `webgpu`: backends of wgpu.
//! - `embedded-weights`: all embedded nets. `weights-adain`, `weights-starry-night` and so on embed single nets.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod bench;
#[cfg(any(feature = "blocking", test))]
mod blocking;
#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "doctor")]
pub mod doctor;
pub mod embed;
mod error;
#[cfg(feature = "train")]
pub mod eval;
pub mod gpu;
pub mod internal;
pub mod io;
#[cfg(feature = "cache")]
mod kept;
pub mod loss;
pub mod methods;
pub mod nets;
pub mod ops;
pub mod optim;
#[cfg(feature = "plot")]
mod plot;
mod random;
#[cfg(feature = "doctor")]
mod reference;
#[cfg(feature = "plot")]
pub mod sheet;
#[cfg(feature = "train-styles")]
pub mod train;
#[cfg(feature = "cache")]
pub mod tune;
pub mod weights;

#[cfg(feature = "cache")]
pub use cache::UserCache;
pub use error::{Cause, Error, Result};
/// The wgpu version of the library. A host's device must come from the same version.
pub use wgpu;

/// Compiles the README's example as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
