//! Time, work and traffic of every dispatch.

use web_time::Instant;

use serde_json::{Value, json};

use super::Program;
use super::program::{Step, encode_step};
use crate::{Error, Result};

/// One dispatch as measured.
#[derive(Clone, Debug)]
pub struct Timing {
    /// What it was recorded as.
    pub label: String,
    /// Shader, entry point and constants.
    pub kernel: String,
    /// When it began, in seconds from the beginning of the first.
    pub start: f64,
    /// Device time in seconds.
    pub seconds: f64,
    /// Floating-point operations that the mathematics needs.
    pub gflop: f64,
    /// Gigabytes of the tensors that it touches, each counted once.
    pub gigabytes: f64,
}

/// All dispatches of one run, in order.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Adapter name.
    pub device: String,
    /// Driver and version.
    pub driver: String,
    /// How time was taken: "timestamps" on the device, or "wall clock" round a submission each.
    pub clock: &'static str,
    /// The dispatches.
    pub dispatches: Vec<Timing>,
}

/// All dispatches of a kernel, whatever its constants.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// Shader and entry point.
    pub name: String,
    /// How many there are.
    pub count: usize,
    /// Their device time in seconds.
    pub seconds: f64,
    /// Their floating-point operations.
    pub gflop: f64,
    /// Gigabytes of the tensors that they touch.
    pub gigabytes: f64,
}

impl Timing {
    /// Shader and entry point.
    pub fn kind(&self) -> &str {
        self.kernel.split(' ').next().unwrap_or_default()
    }
}

impl Profile {
    /// Device time of all dispatches in seconds, without the gaps between them.
    pub fn seconds(&self) -> f64 {
        self.dispatches.iter().map(|timing| timing.seconds).sum()
    }

    /// Seconds from the beginning of the first dispatch to the end of the last.
    pub fn span(&self) -> f64 {
        self.dispatches.iter().map(|timing| timing.start + timing.seconds).fold(0.0, f64::max)
    }

    /// The dispatches summed by kernel, the slowest kind first.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = Vec::new();
        for timing in &self.dispatches {
            let position = kinds.iter().position(|kind| kind.name == timing.kind()).unwrap_or_else(|| {
                let name = timing.kind().to_string();
                kinds.push(Kind { name, count: 0, seconds: 0.0, gflop: 0.0, gigabytes: 0.0 });
                kinds.len() - 1
            });
            let kind = &mut kinds[position];
            kind.count += 1;
            kind.seconds += timing.seconds;
            kind.gflop += timing.gflop;
            kind.gigabytes += timing.gigabytes;
        }
        kinds.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        kinds
    }

    /// Profiles, each under a name, in the form that chrome://tracing and Perfetto open: a process each, all from time 0.
    pub fn trace<'p>(profiles: impl IntoIterator<Item = (&'p str, &'p Profile)>) -> Value {
        let mut events = Vec::new();
        for (process, (name, profile)) in profiles.into_iter().enumerate() {
            let about = format!("{}, {}, by {}", profile.device, profile.driver, profile.clock);
            let known = [("process_name", json!({ "name": name })), ("process_labels", json!({ "labels": about }))];
            let describe = |(name, args)| json!({ "name": name, "ph": "M", "pid": process, "tid": 0, "args": args });
            events.extend(known.map(describe));
            events.extend(profile.dispatches.iter().map(|timing| {
                json!({
                    "name": timing.label, "cat": timing.kind(), "ph": "X", "pid": process, "tid": 0,
                    "ts": timing.start * 1e6, "dur": timing.seconds * 1e6,
                    "args": {
                        "kernel": timing.kernel, "gflop": timing.gflop, "gigabytes": timing.gigabytes,
                        "gflop_per_second": timing.gflop / timing.seconds,
                        "gigabyte_per_second": timing.gigabytes / timing.seconds,
                    },
                })
            }));
        }
        json!({ "traceEvents": events, "displayTimeUnit": "ms" })
    }
}

impl Program {
    /// Runs once with a timestamp before and after every dispatch (wall clock where the device has no timestamps).
    pub fn profile(&self) -> Result<Profile> {
        let has_timestamps = self.context.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let (clock, times) = match has_timestamps {
            true => ("timestamps", self.device_times()?),
            false => ("wall clock", self.wall_times()?),
        };
        let first = times.first().map_or(0.0, |[start, _]| *start);
        let timing = |(step, [start, end]): (&Step, [f64; 2])| Timing {
            label: step.label.clone(),
            kernel: step.kernel.clone(),
            start: start - first,
            seconds: end - start,
            gflop: step.flops as f64 * 1e-9,
            gigabytes: step.bytes as f64 * 1e-9,
        };
        let dispatches = self.steps.iter().zip(times).map(timing).collect();
        Ok(Profile { device: self.context.name().into(), driver: self.context.driver(), clock, dispatches })
    }

    /// Beginning and end of every dispatch by the device's clock, submitted as [`submit`](Program::submit) does it.
    fn device_times(&self) -> Result<Vec<[f64; 2]>> {
        let mut stamped = Vec::new();
        let mut running: Option<wgpu::SubmissionIndex> = None;
        for range in &self.submissions {
            // A query set holds at most 4096 stamps.
            for steps in self.steps[range.clone()].chunks(2048) {
                let (submitted, stamps) = self.context.make(|_| self.submit_stamped(steps))?;
                stamped.push(stamps);
                if let Some(previous) = running.replace(submitted) {
                    self.context.wait(Some(previous))?;
                }
            }
        }
        self.context.wait(None)?;
        let mut ticks: Vec<u64> = Vec::with_capacity(2 * self.steps.len());
        for buffer in stamped {
            let view = buffer.slice(..).get_mapped_range().map_err(|e| Error::DeviceLost(e.to_string()))?;
            ticks.extend(view.chunks_exact(8).map(bytemuck::pod_read_unaligned::<u64>));
        }
        let (first, period) = (ticks.first().copied(), f64::from(self.context.queue().get_timestamp_period()) * 1e-9);
        // From the first on, in integers: clocks that have run for days have no digits left for nanoseconds in an f64.
        let seconds = |tick: u64| tick.saturating_sub(first.unwrap_or(0)) as f64 * period;
        Ok(ticks.chunks_exact(2).map(|pair| [seconds(pair[0]), seconds(pair[1].max(pair[0]))]).collect())
    }

    /// Submits steps, a pass each; gives a buffer of two stamps for each, which can be read when they have run.
    fn submit_stamped(&self, steps: &[Step]) -> (wgpu::SubmissionIndex, wgpu::Buffer) {
        let (device, queue) = (self.context.device(), self.context.queue());
        let (label, count) = (Some("profile"), 2 * steps.len() as u32);
        let set = device.create_query_set(&wgpu::QuerySetDescriptor { label, ty: wgpu::QueryType::Timestamp, count });
        let make = |usage| {
            let size = u64::from(count) * 8;
            device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false })
        };
        let resolved = make(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let staging = make(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = device.create_command_encoder(&Default::default());
        for (index, step) in (0..).zip(steps) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(&step.label),
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &set,
                    beginning_of_pass_write_index: Some(2 * index),
                    end_of_pass_write_index: Some(2 * index + 1),
                }),
            });
            encode_step(&mut pass, step);
        }
        encoder.resolve_query_set(&set, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, None);
        let submitted = queue.submit([encoder.finish()]);
        staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
        (submitted, staging)
    }

    /// Beginning and end of every dispatch by the host's clock, each in a submission of its own.
    fn wall_times(&self) -> Result<Vec<[f64; 2]>> {
        let began = Instant::now();
        let time = |step| {
            let start = began.elapsed().as_secs_f64();
            self.context.scoped(|| {
                let mut encoder = self.context.device().create_command_encoder(&Default::default());
                encode_step(&mut encoder.begin_compute_pass(&Default::default()), step);
                self.context.queue().submit([encoder.finish()])
            })?;
            self.context.wait(None)?;
            Ok([start, began.elapsed().as_secs_f64()])
        };
        self.steps.iter().map(time).collect()
    }
}
