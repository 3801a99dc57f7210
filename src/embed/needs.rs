//! What a device must have, before there is one.

use super::net::Net;
use super::options::{FORMATS, Options};
use super::passes::Recording;
use super::stylizer::Stylizer;
use crate::gpu::{Context, ContextOptions, Precision, Tuning};
use crate::{Error, Result};

/// What a [`Stylizer`] needs of a device, and what it costs.
#[derive(Clone, Debug)]
pub struct Requirements {
    /// Features that the device must be opened with: `SHADER_F16` for [`Precision::F16`], else none.
    pub features: wgpu::Features,
    /// Limits that the device must be opened with: WebGPU's defaults, raised for textures and buffers if necessary.
    pub limits: wgpu::Limits,
    /// Device memory in bytes: weights, tensors and parameters. While weights are prepared, each is there twice for a
    /// short time. The host's textures are not included.
    pub bytes: u64,
    /// Floating-point operations of a frame in units of 10⁹, a multiply-add counting as two.
    pub gflop: f64,
    /// Size of the painting, `[width, height]`.
    pub painting: [u32; 2],
}

impl Stylizer {
    /// What a stylizer with that net and these options needs of a device on `adapter`. The programs are recorded and
    /// their memory is planned for a device with exactly these features and limits, without opening one.
    ///
    /// # Errors
    /// Options that the net does not support; an adapter that lacks a feature, a limit or a use of a format, by its name.
    pub fn requirements(adapter: &wgpu::Adapter, net: &Net, options: &Options) -> Result<Requirements> {
        options.check(net)?;
        let info = adapter.get_info();
        let lacks = |what: String, help: &str| {
            Err(Error::Adapter { adapter: info.name.clone(), fault: format!("lacks {what}"), help: help.into() })
        };
        let other = "use another adapter";
        if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
            return lacks("compute shaders".into(), other);
        }
        let features = match options.precision {
            Precision::F16 => wgpu::Features::SHADER_F16,
            Precision::F32 => wgpu::Features::empty(),
        };
        if let Some((name, _)) = (features - adapter.features()).iter_names().next() {
            return lacks(format!("the feature {name}"), "choose the precision f32");
        }
        for (format, usage) in [
            (options.color, wgpu::TextureUsages::TEXTURE_BINDING),
            (options.output, wgpu::TextureUsages::RENDER_ATTACHMENT),
        ] {
            if !adapter.get_texture_format_features(format).allowed_usages.contains(usage) {
                let known = FORMATS.map(|format| format!("{format:?}")).join(", ");
                return lacks(format!("{usage:?} of {format:?} textures"), &format!("use another of {known}"));
            }
        }
        // Offsets depend on the alignments, which are those of the defaults; the sizes are found with the adapter's.
        let found = adapter.limits();
        let mut limits = wgpu::Limits {
            max_buffer_size: found.max_buffer_size,
            max_storage_buffer_binding_size: found.max_storage_buffer_binding_size,
            ..wgpu::Limits::default()
        };
        let settings = ContextOptions { precision: options.precision, ..ContextOptions::default() };
        let context = Context::planning(&info, features, &limits, &settings)?;
        let context = context.with_tuning(options.tuning.unwrap_or_else(|| Tuning::rules(context.class())));
        let recording = Recording::new(&context, net.clone(), options)?;
        let (least, largest) = (wgpu::Limits::default(), recording.largest()?);
        limits.max_buffer_size = largest.buffer.max(least.max_buffer_size);
        limits.max_storage_buffer_binding_size = largest.binding.max(least.max_storage_buffer_binding_size);
        let side = options.max_size[0].max(options.max_size[1]);
        limits.max_texture_dimension_2d = side.max(least.max_texture_dimension_2d);
        let mut missing = None;
        limits.check_limits_with_fail_fn(&found, true, |name, needed, found| {
            missing.get_or_insert(format!("{name} of {needed} (it has {found})"));
        });
        if let Some(missing) = missing {
            return lacks(missing, "paint smaller frames, or choose a lower scale");
        }
        let [height, width] = options.painting_size().map(|side| side as u32);
        let (bytes, gflop) = (recording.memory()?.peak_bytes(), recording.flops() as f64 * 1e-9);
        Ok(Requirements { features, limits, bytes, gflop, painting: [width, height] })
    }
}
