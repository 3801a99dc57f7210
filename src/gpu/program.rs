//! A recording made runnable: buffers, bind groups and pipelines once, then only replayed.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;
use web_time::Instant;

use super::kernel::{self, Access, Pipeline};
use super::recorder::Place;
use super::{Context, KernelClass, Memory, Precision, Recorder, Tensor, Uniform};
use crate::{Error, Result};

pub(super) struct Step {
    pub pipeline: Arc<Pipeline>,
    pub bind_group: wgpu::BindGroup,
    pub groups: [u32; 3],
    pub label: String,
    pub kernel: String,
    pub flops: u64,
    pub performed: u64,
    pub bytes: u64,
    /// Name, buffer, first byte there and shape of each tensor that the step writes.
    pub outputs: Vec<(String, wgpu::Buffer, u64, Tensor)>,
}

/// A list of dispatches with all they need. Replaying allocates nothing, compiles nothing and waits for nothing.
pub struct Program {
    /// The recorder it was made by.
    owner: u64,
    pub(super) context: Context,
    pub(super) steps: Vec<Step>,
    uniforms: Option<wgpu::Buffer>,
    offsets: Vec<u64>,
    transients: Vec<wgpu::Buffer>,
    pub(super) submissions: Vec<Range<usize>>,
    memory: Memory,
}

impl Program {
    pub(super) fn build(recorder: Recorder) -> Result<Self> {
        let began = Instant::now();
        let context = recorder.context.clone();
        let plan = recorder.plan()?;
        let memory = recorder.memory_of(&plan);
        let pipelines = kernel::pipelines(&context, recorder.dispatches.iter().map(|d| &d.kernel))?;
        let transients: Vec<_> =
            plan.sizes.iter().map(|&bytes| context.create_buffer("transient", bytes)).collect::<Result<_>>()?;
        let spot_of = |id: u32| match &recorder.places[id as usize] {
            Place::Pinned(tensor) => Ok((tensor.buffer()?, 0)),
            Place::Transient { name } => plan.spots[id as usize]
                .map(|spot| (&transients[spot.buffer], spot.offset))
                .ok_or_else(|| Error::argument(name.clone(), "tensor", "part of a dispatch", "one that is not")),
        };
        let (offsets, size) = recorder.block_offsets();
        let uniforms = (size > 0)
            .then(|| {
                let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
                let descriptor =
                    wgpu::BufferDescriptor { label: Some("params"), size, usage, mapped_at_creation: false };
                context.make(|device| device.create_buffer(&descriptor))
            })
            .transpose()?;
        if let Some(buffer) = &uniforms {
            for (block, &offset) in recorder.blocks.iter().zip(&offsets) {
                context.queue().write_buffer(buffer, offset, block);
            }
        }
        let mut steps = Vec::with_capacity(recorder.dispatches.len());
        for (dispatch, pipeline) in recorder.dispatches.iter().zip(pipelines) {
            let mut entries = Vec::new();
            let mut outputs = Vec::new();
            for binding in &pipeline.interface.bindings {
                let resource = if binding.access == Access::Uniform {
                    let (Some(buffer), Some(index)) = (&uniforms, dispatch.params) else { continue };
                    let size = wgpu::BufferSize::new(u64::from(binding.size));
                    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: offsets[index], size })
                } else {
                    let Some((_, tensor)) = dispatch.tensors.iter().find(|(name, _)| *name == binding.name) else {
                        continue;
                    };
                    let (buffer, offset) = spot_of(tensor.id)?;
                    if binding.access != Access::Read {
                        outputs.push((recorder.name(*tensor), buffer.clone(), offset, *tensor));
                    }
                    // Exactly the tensor's bytes, so that `arrayLength` is its element count in a shared buffer too; of
                    // `vec4`s as many as hold them, the last with padding that is nobody's.
                    // A binding is whole words, too.
                    let bytes = tensor.bytes().next_multiple_of(u64::from(binding.size).max(4));
                    let size = wgpu::BufferSize::new(bytes);
                    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
                };
                entries.push(wgpu::BindGroupEntry { binding: binding.index, resource });
            }
            let descriptor =
                wgpu::BindGroupDescriptor { label: Some(&dispatch.label), layout: &pipeline.layout, entries: &entries };
            let bind_group = context.make(|device| device.create_bind_group(&descriptor))?;
            steps.push(Step {
                pipeline,
                bind_group,
                groups: dispatch.groups,
                label: dispatch.label.clone(),
                kernel: dispatch.kernel.to_string(),
                flops: dispatch.flops,
                performed: dispatch.performed.unwrap_or(dispatch.flops),
                bytes: dispatch.bytes,
                outputs,
            });
        }
        let submissions = submissions(&steps, context.class());
        tracing::debug!("program of {} dispatches made in {:.1?}", steps.len(), began.elapsed());
        Ok(Program { owner: recorder.number, context, steps, uniforms, offsets, transients, submissions, memory })
    }

    /// What it holds on the device.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Floating-point operations that the mathematics of one run needs.
    pub fn flops(&self) -> u64 {
        self.steps.iter().map(|step| step.flops).sum()
    }

    /// Floating-point operations that the kernels of one run carry out: fewer where a convolution is cut into tiles.
    pub fn performed(&self) -> u64 {
        self.steps.iter().map(|step| step.performed).sum()
    }

    /// Bytes of the tensors that one run touches, each counted once a dispatch.
    pub fn bytes(&self) -> u64 {
        self.steps.iter().map(|step| step.bytes).sum()
    }

    /// Number of dispatches of one run.
    pub fn dispatches(&self) -> usize {
        self.steps.len()
    }

    /// Rewrites a parameter block; the next run sees it.
    ///
    /// # Panics
    /// With a uniform of another program.
    pub fn set<T: Pod>(&self, uniform: Uniform<T>, value: &T) {
        assert_eq!(uniform.owner, self.owner, "a uniform of another program");
        if let Some(buffer) = &self.uniforms {
            self.context.queue().write_buffer(buffer, self.offsets[uniform.index], bytemuck::bytes_of(value));
        }
    }

    /// Writes the whole program into a host's encoder: no allocation, no submission, no wait.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.encode_range(encoder, 0..self.steps.len());
    }

    fn encode_range(&self, encoder: &mut wgpu::CommandEncoder, range: Range<usize>) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for step in &self.steps[range] {
            encode_step(&mut pass, step);
        }
    }

    /// Encodes and submits everything, in submissions short enough for a watchdog, without waiting for the last.
    pub fn submit(&self) -> Result<()> {
        let mut running: Option<wgpu::SubmissionIndex> = None;
        for range in &self.submissions {
            let submitted = self.context.scoped(|| {
                let mut encoder = self.context.device().create_command_encoder(&Default::default());
                self.encode_range(&mut encoder, range.clone());
                self.context.queue().submit([encoder.finish()])
            })?;
            // One runs while the next is queued; more would only pile up.
            if let Some(previous) = running.replace(submitted) {
                self.context.wait(Some(previous))?;
            }
        }
        Ok(())
    }

    /// [`submit`](Program::submit), then wait for the result.
    pub fn run(&self) -> Result<()> {
        self.submit()?;
        self.context.wait(None)
    }

    /// Fills every shared buffer with NaN, so that a kernel that reads what nobody wrote shows.
    pub fn poison(&self) {
        for buffer in &self.transients {
            let values = vec![0x7fff_7fff_u32; buffer.size() as usize / 4]; // as one number or as two
            self.context.queue().write_buffer(buffer, 0, bytemuck::cast_slice(&values));
        }
    }

    /// Runs dispatch by dispatch and names the first that writes a NaN or an infinity, and where.
    pub fn find_non_finite(&self) -> Result<Option<String>> {
        for (index, step) in self.steps.iter().enumerate() {
            self.context.scoped(|| {
                let mut encoder = self.context.device().create_command_encoder(&Default::default());
                self.encode_range(&mut encoder, index..index + 1);
                self.context.queue().submit([encoder.finish()])
            })?;
            for (name, buffer, offset, Tensor { shape, precision, .. }) in &step.outputs {
                let staging = self.context.create_staging(*shape, *precision)?;
                let values = self.context.read_buffer((buffer, *offset), &staging, *shape, *precision)?;
                if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                    let end = match precision {
                        Precision::F16 => ", as f16, which ends at 65504 (f32 does not)",
                        Precision::F32 => "",
                    };
                    let place = format!("{} ({}), output {name}[{at}]", step.label, step.kernel);
                    return Ok(Some(format!("{place} = {}{end}", values[at])));
                }
            }
        }
        Ok(None)
    }
}

pub(super) fn encode_step(pass: &mut wgpu::ComputePass<'_>, step: &Step) {
    let [x, y, z] = step.groups;
    pass.set_pipeline(&step.pipeline.pipeline);
    pass.set_bind_group(0, &step.bind_group, &[]);
    pass.dispatch_workgroups(x, y, z);
}

/// Cuts a program into submissions of about 0.1 s on the slowest device of the class that is worth using: 200 GFLOP/s and
/// 20 GB/s for a GPU, 20 GFLOP/s and 2 GB/s for a processor. Watchdogs kill longer ones.
fn submissions(steps: &[Step], class: KernelClass) -> Vec<Range<usize>> {
    let (flops, bytes) = match class {
        KernelClass::Tiled => (200e9, 20e9),
        KernelClass::Broadcast => (20e9, 2e9),
    };
    let mut ranges = Vec::new();
    let (mut start, mut seconds) = (0, 0.0);
    for (index, step) in steps.iter().enumerate() {
        let cost = step.flops as f64 / flops + step.bytes as f64 / bytes;
        if seconds + cost > 0.1 && index > start {
            ranges.push(start..index);
            (start, seconds) = (index, 0.0);
        }
        seconds += cost;
    }
    if start < steps.len() {
        ranges.push(start..steps.len());
    }
    ranges
}
