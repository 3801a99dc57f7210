//! A recording made executable: buffers, bind groups and pipelines are created once, then the program is replayed.

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
    /// Name, buffer, byte offset and tensor of each output.
    pub outputs: Vec<(String, wgpu::Buffer, u64, Tensor)>,
}

impl Step {
    /// Cost in FLOP, see [`Slice::gflop`].
    fn cost(&self) -> f64 {
        self.flops as f64 + FLOP_PER_BYTE * self.bytes as f64
    }
}

/// What a byte of memory traffic costs: the ratio of arithmetic to bandwidth on slow devices.
const FLOP_PER_BYTE: f64 = 10.0;

/// Consecutive dispatches of a [`Program`], from [`Program::slices`].
#[derive(Clone, Debug)]
pub struct Slice {
    /// Number of the program's recorder.
    owner: u64,
    steps: Range<usize>,
    cost: f64,
}

impl Slice {
    /// Estimated cost in GFLOP: the operations of the mathematics, plus 10 FLOP for each byte of the tensors that the
    /// dispatches bind. Divided by the GFLOP/s that a device reaches, it is a time in seconds.
    pub fn gflop(&self) -> f64 {
        self.cost / 1e9
    }

    /// Number of dispatches, at least one.
    pub fn dispatches(&self) -> usize {
        self.steps.len()
    }
}

/// A sequence of dispatches with their pipelines, bind groups and memory. Replaying it neither allocates nor compiles.
pub struct Program {
    /// Number of its recorder.
    owner: u64,
    pub(super) context: Context,
    pub(super) steps: Vec<Step>,
    uniforms: Option<wgpu::Buffer>,
    offsets: Vec<u64>,
    transients: Vec<wgpu::Buffer>,
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
            Place::Pinned(tensor) => Ok((tensor.buffer()?, 0)),
            Place::Transient { name } => plan.spots[id as usize]
                .map(|spot| (&transients[spot.buffer], spot.offset))
                .ok_or_else(|| Error::argument(name.clone(), "tensor", "used by a dispatch", "an unused tensor")),
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
                context.write_buffer(buffer, offset, block)?;
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
                    // The range is exactly the tensor, so that `arrayLength` is its element count in a shared buffer,
                    // too. It is rounded up to whole array elements (a last `vec4` may include padding) and to whole
                    // words.
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
        let (submissions, sections) = in_sections(&steps, &recorder.sections, context.class());
        tracing::debug!("program of {} dispatches made in {:.1?}", steps.len(), began.elapsed());
        Ok(Program {
            owner: recorder.number,
            context,
            steps,
            uniforms,
            offsets,
            transients,
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
        if let Some(buffer) = &self.uniforms {
            // An error, such as a lost device, comes back from the run that would use the value.
            let _ = self.context.write_buffer(buffer, self.offsets[uniform.index], bytemuck::bytes_of(value));
        }
    }

    /// Encodes the whole program into a host's encoder, without allocating, submitting or waiting.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.encode_range(encoder, 0..self.steps.len());
    }

    /// Cuts the program into slices of at most `budget` GFLOP, by the estimate of [`Slice::gflop`]. All slices encoded in
    /// order, in one command encoder or in several, give the bits of [`encode`](Program::encode). A dispatch above the
    /// budget is a slice of its own, the only kind that costs more; a budget of 0 gives a slice for each dispatch.
    ///
    /// Between the first and the last slice, the intermediate results are in the program's own memory. So until the
    /// last slice is encoded, neither the program's inputs nor its parameters may change, and it may not run.
    pub fn slices(&self, budget: f64) -> Vec<Slice> {
        let costs: Vec<_> = self.steps.iter().map(Step::cost).collect();
        let slice = |steps: Range<usize>| Slice { owner: self.owner, cost: costs[steps.clone()].iter().sum(), steps };
        pieces(&costs, budget * 1e9).into_iter().map(slice).collect()
    }

    /// Encodes a slice into a host's encoder, without allocating, submitting or waiting.
    ///
    /// # Panics
    /// If the slice belongs to another program.
    pub fn encode_slice(&self, encoder: &mut wgpu::CommandEncoder, slice: &Slice) {
        assert_eq!(slice.owner, self.owner, "a slice of another program");
        self.encode_range(encoder, slice.steps.clone());
    }

    fn encode_range(&self, encoder: &mut wgpu::CommandEncoder, range: Range<usize>) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for step in &self.steps[range] {
            encode_step(&mut pass, step);
        }
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
            self.encode_range(&mut encoder, range);
            self.context.queue().submit([encoder.finish()]);
        })
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

pub(super) fn encode_step(pass: &mut wgpu::ComputePass<'_>, step: &Step) {
    let [x, y, z] = step.groups;
    pass.set_pipeline(&step.pipeline.pipeline);
    pass.set_bind_group(0, &step.bind_group, &[]);
    pass.dispatch_workgroups(x, y, z);
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
    pieces(&steps.iter().map(Step::cost).collect::<Vec<_>>(), budget)
}

/// Ranges of consecutive `costs` whose sums are within `budget`. A cost above the budget is a range of its own.
fn pieces(costs: &[f64], budget: f64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut sum) = (0, 0.0);
    for (index, cost) in costs.iter().enumerate() {
        if !(sum + cost <= budget) && index > start {
            ranges.push(start..index);
            (start, sum) = (index, 0.0);
        }
        sum += cost;
    }
    if start < costs.len() {
        ranges.push(start..costs.len());
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_stay_within_the_budget_unless_a_single_cost_does_not() {
        assert_eq!(pieces(&[1.0, 2.0, 3.0, 9.0, 1.0, 1.0], 4.0), [0..2, 2..3, 3..4, 4..6]);
        assert_eq!(pieces(&[1.0, 2.0], 0.0), [0..1, 1..2]);
        assert_eq!(pieces(&[1.0, 2.0], f64::NAN), [0..1, 1..2]);
        assert_eq!(pieces(&[0.0, 0.0], 0.0), [0..2]);
        assert_eq!(pieces(&[], 1.0), []);
    }
}
