//! What a picture takes: its dispatches, their times, and the text of their kernels.

use impasto::gpu::{Context, Recorder};
use impasto::internal::{self, Kernel, Listed};
use impasto::wgpu::naga::back::wgsl;
use impasto::wgpu::naga::valid::{ValidationFlags, Validator};

use crate::error::Failure;
use crate::model::{Model, adain_painter, painter};

/// The recording of a model for a picture of `[width, height]`.
pub fn recording(context: &Context, model: &Model, size: [usize; 2]) -> Result<Recorder, Failure> {
    Ok(match model {
        Model::Adain { painter: kept, files } => {
            let own = kept.take().map_or_else(|| adain_painter(context, files), Ok)?;
            let recorded = internal::adain_recording(&own, size);
            kept.replace(Some(own));
            recorded?
        }
        Model::Net { weights, .. } => {
            let mixture = vec![1.0; weights.styles.len()];
            internal::net_recording(&painter(context, weights, &mixture)?, size)?
        }
    })
}

/// The dispatches of a recording as JSON, with the seconds of each if `timed`.
pub async fn dispatches(rec: Recorder, listed: &[Listed], timed: bool) -> Result<String, Failure> {
    let mut seconds = Vec::new();
    let mut clock = None;
    if timed {
        let program = rec.finish()?;
        // The first run includes what a driver does once.
        program.run_async().await?;
        let profile = program.profile_async().await?;
        clock = Some(profile.clock);
        seconds = profile.dispatches.iter().map(|timing| timing.seconds).collect();
    }
    let rows = listed.iter().enumerate().map(|(index, listed)| {
        serde_json::json!({
            "index": index,
            "kernel": listed.kernel.to_string(),
            "entry": listed.kernel.entry,
            "label": listed.label,
            "workgroups": listed.groups,
            "flop": listed.flops,
            "performed": listed.performed,
            "bytes": listed.bytes,
            "seconds": seconds.get(index),
            "clock": clock,
        })
    });
    Ok(serde_json::Value::from(rows.collect::<Vec<_>>()).to_string())
}

/// The text of a kernel: what the browser gets, and the file as written, with its imports and its maths; as JSON.
pub fn shader(kernel: &Kernel) -> Result<String, Failure> {
    let source = internal::expand(kernel)?;
    let module = internal::module_of(kernel)?;
    let refused = |error: String| Failure::internal(format!("{kernel}: {error}"));
    let validated = Validator::new(ValidationFlags::all(), internal::CAPABILITIES).validate(module);
    let info = validated.map_err(|error| refused(error.to_string()))?;
    let text = wgsl::write_string(module, &info, wgsl::WriterFlags::empty());
    let text = text.map_err(|error| refused(error.to_string()))?;
    Ok(serde_json::json!({ "kernel": kernel.to_string(), "wgsl": text, "source": source }).to_string())
}
