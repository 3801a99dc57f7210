//! A recording made executable: buffers, bind groups and pipelines are created once, then the program is replayed.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;
use web_time::Instant;

use super::buffers::Buffer;
use super::kernel::{self, Access, Pipeline, Stage};
use super::recorder::Place;
use super::slice::{cost_of, pieces};
use super::texture::{Bound, Resource, Texture, check_views};
use super::{Context, KernelClass, Memory, Precision, Recorder, Tensor, Uniform};
use crate::{Error, Result};

pub(super) struct Step {
    pub pipeline: Arc<Pipeline>,
    pub bound: Bound,
    /// The texture that it draws to.
    pub target: Option<Texture>,
    pub groups: [u32; 3],
    pub label: String,
    pub kernel: String,
    pub flops: u64,
    pub performed: u64,
    pub bytes: u64,
    /// Name, buffer, byte offset and tensor of each output.
    pub outputs: Vec<(String, Buffer, u64, Tensor)>,
}

impl Step {
    /// Encodes a dispatch that uses no texture.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        if let Bound::Fixed(group) = &self.bound {
            self.encode_with(pass, group);
        }
    }

    fn encode_with(&self, pass: &mut wgpu::ComputePass<'_>, group: &wgpu::BindGroup) {
        let (Stage::Compute(pipeline), [x, y, z]) = (&self.pipeline.stage, self.groups) else { return };
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// A sequence of dispatches with their pipelines, bind groups and memory. Replaying it neither allocates nor compiles.
pub struct Program {
    /// Number of its recorder.
    pub(super) owner: u64,
    pub(super) context: Context,
    pub(super) steps: Vec<Step>,
    textures: Vec<Texture>,
    uniforms: Option<Buffer>,
    offsets: Vec<u64>,
    transients: Vec<Buffer>,
    /// Those of tensors that outlive it, which its bind groups refer to.
    #[allow(dead_code, reason = "kept for as long as the bind groups")]
    pinned: Vec<Buffer>,
    pub(super) submissions: Vec<Range<usize>>,
    /// Range of `submissions` of each section.
    sections: Vec<Range<usize>>,
    memory: Memory,
}

impl Program {
    pub(super) fn build(recorder: Recorder) -> Result<Self> {
        let context = recorder.context.clone();
        context.scoped(|| Program::build_unscoped(recorder))?
    }

    fn build_unscoped(recorder: Recorder) -> Result<Self> {
        let began = Instant::now();
        let context = recorder.context.clone();
        let plan = recorder.plan()?;
        let memory = recorder.memory_of(&plan);
        let pipelines = kernel::pipelines(&context, recorder.dispatches.iter().map(|d| &d.kernel))?;
        let transients: Vec<_> =
            plan.sizes.iter().map(|&bytes| context.create_buffer("transient", bytes)).collect::<Result<_>>()?;
        let spot_of = |id: u32| match &recorder.places[id as usize] {
            Place::Pinned(tensor) => Ok((tensor.counted()?, 0)),
            Place::Transient { name } => plan.spots[id as usize]
                .map(|spot| (&transients[spot.buffer], spot.offset))
                .ok_or_else(|| Error::argument(name.clone(), "tensor", "used by a dispatch", "an unused tensor")),
        };
        let (offsets, size) = recorder.block_offsets();
        let uniforms = (size > 0)
            .then(|| {
                let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
                context.make_buffer("params", size, usage)
            })
            .transpose()?;
        if let Some(buffer) = &uniforms {
            for (block, &offset) in recorder.blocks.iter().zip(&offsets) {
                context.write_buffer(buffer, offset, block)?;
            }
        }
        let mut steps = Vec::with_capacity(recorder.dispatches.len());
        for (dispatch, pipeline) in recorder.dispatches.iter().zip(pipelines) {
            let mut resources = Vec::new();
            let mut outputs = Vec::new();
            for binding in &pipeline.interface.bindings {
                let resource = if binding.access == Access::Uniform {
                    let (Some(buffer), Some(index)) = (&uniforms, dispatch.params) else { continue };
                    let size = wgpu::BufferSize::new(u64::from(binding.size));
                    Resource::Buffer(buffer.clone(), offsets[index], size)
                } else if let Some((_, texture)) = dispatch.textures.iter().find(|(name, _)| *name == binding.name) {
                    Resource::Texture(texture.id)
                } else {
                    let Some((_, tensor)) = dispatch.tensors.iter().find(|(name, _)| *name == binding.name) else {
                        continue;
                    };
                    let (buffer, offset) = spot_of(tensor.id)?;
                    if binding.access != Access::Read {
                        outputs.push((recorder.name(*tensor), buffer.clone(), offset, *tensor));
                    }
                    // The range is exactly the tensor, so that `arrayLength` is its element count in a shared buffer,
                    // too. It is rounded up to whole array elements (a last `vec4` may include padding) and to whole
                    // words.
                    let bytes = tensor.bytes().next_multiple_of(u64::from(binding.size).max(4));
                    let size = wgpu::BufferSize::new(bytes);
                    Resource::Buffer(buffer.clone(), offset, size)
                };
                resources.push((binding.index, resource));
            }
            steps.push(Step {
                bound: Bound::new(&context, &dispatch.label, &pipeline.layout, resources)?,
                pipeline,
                target: dispatch.target,
                groups: dispatch.groups,
                label: dispatch.label.clone(),
                kernel: dispatch.kernel.to_string(),
                flops: dispatch.flops,
                performed: dispatch.performed.unwrap_or(dispatch.flops),
                bytes: dispatch.bytes,
                outputs,
            });
        }
        let pinned = recorder.places.iter().filter_map(|place| match place {
            Place::Pinned(tensor) => tensor.made().cloned(),
            Place::Transient { .. } => None,
        });
        let pinned = pinned.collect();
        let (submissions, sections) = in_sections(&steps, &recorder.sections, context.class());
        tracing::debug!("program of {} dispatches made in {:.1?}", steps.len(), began.elapsed());
        Ok(Program {
            owner: recorder.number,
            context,
            steps,
            textures: recorder.textures,
            uniforms,
            offsets,
            transients,
            pinned,
            submissions,
            sections,
            memory,
        })
    }

    /// The context that it was recorded in.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The memory that it holds on the device.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Floating-point operations per run that the mathematics needs.
    pub fn flops(&self) -> u64 {
        self.steps.iter().map(|step| step.flops).sum()
    }

    /// Floating-point operations per run that the kernels perform. Winograd tiles need fewer than the mathematics.
    pub fn performed(&self) -> u64 {
        self.steps.iter().map(|step| step.performed).sum()
    }

    /// Bytes of the tensors bound by a run, each counted once per dispatch.
    pub fn bytes(&self) -> u64 {
        self.steps.iter().map(|step| step.bytes).sum()
    }

    /// Number of dispatches per run.
    pub fn dispatches(&self) -> usize {
        self.steps.len()
    }

    /// Rewrites a parameter block for all following runs.
    ///
    /// # Panics
    /// If the uniform belongs to another program.
    pub fn set<T: Pod>(&self, uniform: Uniform<T>, value: &T) {
        assert_eq!(uniform.owner, self.owner, "a uniform of another program");
        // An error, such as a lost device, comes back from the run that would use the value.
        let _ = self.update(uniform, value);
    }

    /// [`set`](Program::set), whose errors are reported at once: for programs that a host submits.
    ///
    /// # Errors
    /// A lost device.
    pub(crate) fn update<T: Pod>(&self, uniform: Uniform<T>, value: &T) -> Result<()> {
        assert_eq!(uniform.owner, self.owner, "a uniform of another program");
        let Some(buffer) = &self.uniforms else { return Ok(()) };
        self.context.overwrite(buffer, self.offsets[uniform.index], bytemuck::bytes_of(value))
    }

    /// Encodes the whole program into a host's encoder, without allocating, submitting or waiting.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let encoded = self.encode_views(encoder, &[]);
        encoded.expect("a program with textures of a host is encoded with their views");
    }

    /// [`encode`](Program::encode) with a view for each texture of the recorder. A bind group is made for views that
    /// were not in use lately, and kept.
    ///
    /// # Errors
    /// Another number of views; a lost device; views that cannot be bound.
    #[doc(hidden)]
    pub fn encode_views(&self, encoder: &mut wgpu::CommandEncoder, views: &[&wgpu::TextureView]) -> Result<()> {
        self.encode_steps(encoder, 0..self.steps.len(), views)
    }

    pub(super) fn encode_steps(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        range: Range<usize>,
        views: &[&wgpu::TextureView],
    ) -> Result<()> {
        check_views(&self.textures, views)?;
        let mut pass = None;
        for step in &self.steps[range] {
            let group = step.bound.group(&self.context, views)?;
            match (&step.pipeline.stage, step.target) {
                (Stage::Draw(pipeline), Some(target)) => {
                    pass = None;
                    draw(encoder, pipeline, &group, views[target.id as usize]);
                }
                _ => {
                    let pass =
                        pass.get_or_insert_with(|| encoder.begin_compute_pass(&Default::default()).forget_lifetime());
                    step.encode_with(pass, &group);
                }
            }
        }
        Ok(())
    }

    /// Encodes and submits the program, in submissions short enough for a watchdog. Does not wait for the device.
    ///
    /// # Errors
    /// Device loss, lack of memory, or an error of the driver.
    pub fn submit(&self) -> Result<()> {
        self.submissions.iter().try_for_each(|range| self.submit_range(range.clone()))
    }

    /// [`submit`](Program::submit) for the section of that index alone: see [`Recorder::section`].
    ///
    /// # Errors
    /// Those of [`submit`](Program::submit).
    ///
    /// # Panics
    /// If there is no such section.
    pub fn submit_section(&self, index: usize) -> Result<()> {
        self.submissions[self.sections[index].clone()].iter().try_for_each(|range| self.submit_range(range.clone()))
    }

    fn submit_range(&self, range: Range<usize>) -> Result<()> {
        self.context.scoped(|| {
            let mut encoder = self.context.device().create_command_encoder(&Default::default());
            self.encode_steps(&mut encoder, range, &[])?;
            self.context.queue().submit([encoder.finish()]);
            Ok(())
        })?
    }

    /// [`submit`](Program::submit), then waits for the results.
    ///
    /// # Errors
    /// Those of [`submit`](Program::submit).
    pub async fn run_async(&self) -> Result<()> {
        self.submit()?;
        self.context.idle().await
    }

    /// [`run_async`](Program::run_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn run(&self) -> Result<()> {
        self.context.block_on(self.run_async())
    }

    /// Fills all transient buffers with NaN, to expose kernels that read values which were never written.
    pub(crate) fn poison(&self) {
        for buffer in &self.transients {
            let values = vec![0x7fff_7fff_u32; buffer.size() as usize / 4]; // NaN as f32 and as two f16
            let _ = self.context.write_buffer(buffer, 0, bytemuck::cast_slice(&values));
        }
    }

    /// Runs the dispatches one by one and describes the first NaN or infinity written: dispatch, tensor and element.
    /// `None` if all values are finite.
    pub async fn find_non_finite_async(&self) -> Result<Option<String>> {
        for (index, step) in self.steps.iter().enumerate() {
            self.submit_range(index..index + 1)?;
            for (name, buffer, offset, Tensor { shape, precision, .. }) in &step.outputs {
                let staging = self.context.create_staging(*shape, *precision)?;
                let values = self.context.read_buffer((buffer, *offset), &staging, *shape, *precision).await?;
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

    /// [`find_non_finite_async`](Program::find_non_finite_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn find_non_finite(&self) -> Result<Option<String>> {
        self.context.block_on(self.find_non_finite_async())
    }
}

fn draw(
    encoder: &mut wgpu::CommandEncoder,
    pipeline: &wgpu::RenderPipeline,
    group: &wgpu::BindGroup,
    view: &wgpu::TextureView,
) {
    let ops = wgpu::Operations { load: wgpu::LoadOp::Load, store: wgpu::StoreOp::Store };
    let target = wgpu::RenderPassColorAttachment { view, depth_slice: None, resolve_target: None, ops };
    let attachments = [Some(target)];
    let mut pass = encoder
        .begin_render_pass(&wgpu::RenderPassDescriptor { color_attachments: &attachments, ..Default::default() });
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, group, &[]);
    pass.draw(0..3, 0..1);
}

/// The submissions of a program whose sections begin at the dispatches `starts`, and the range of them that belongs to
/// each section.
fn in_sections(steps: &[Step], starts: &[usize], class: KernelClass) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut all, mut sections) = (Vec::new(), Vec::new());
    let bounds: Vec<_> = std::iter::once(0).chain(starts.iter().copied()).chain([steps.len()]).collect();
    for bound in bounds.windows(2) {
        let first = all.len();
        all.extend(submissions(&steps[bound[0]..bound[1]], class).into_iter().map(|range| {
            let Range { start, end } = range;
            start + bound[0]..end + bound[0]
        }));
        sections.push(first..all.len());
    }
    // What precedes the first section belongs to none.
    sections.remove(0);
    (all, sections)
}

/// Splits dispatches into submissions of about 0.1 s on the slowest useful device of the class: 200 GFLOP/s and 20 GB/s
/// for a GPU, 20 GFLOP/s and 2 GB/s for a processor. Watchdogs kill longer submissions.
fn submissions(steps: &[Step], class: KernelClass) -> Vec<Range<usize>> {
    let budget = match class {
        KernelClass::Tiled => 20e9,
        KernelClass::Broadcast => 2e9,
    };
    pieces(&steps.iter().map(cost_of).collect::<Vec<_>>(), budget)
}
