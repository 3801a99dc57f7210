//! Time, floating-point operations and memory traffic of every dispatch.

use serde_json::{Value, json};
use web_time::Instant;

use super::Program;
use super::program::Step;
use super::signal::Signal;
use crate::{Error, Result};

/// Measurements of one dispatch.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Label of the dispatch.
    pub label: String,
    /// Shader, entry point and constants.
    pub kernel: String,
    /// Start in seconds, relative to the first dispatch.
    pub start: f64,
    /// Device time in seconds.
    pub seconds: f64,
    /// Floating-point operations that the mathematics needs, in units of 10⁹.
    pub gflop: f64,
    /// Size of the tensors it binds in gigabytes, each counted once.
    pub gigabytes: f64,
}

/// All dispatches of one run, in order.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Adapter name.
    pub device: String,
    /// Driver and version.
    pub driver: String,
    /// The clock: "timestamps" of the device, or "wall clock" around one submission per dispatch.
    pub clock: &'static str,
    /// The dispatches.
    pub dispatches: Vec<Timing>,
}

/// Totals of all dispatches of a kernel, whatever its constants.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTotals {
    /// Shader and entry point.
    pub name: String,
    /// Number of dispatches.
    pub count: usize,
    /// Device time in seconds.
    pub seconds: f64,
    /// Floating-point operations, in units of 10⁹.
    pub gflop: f64,
    /// Size of the bound tensors in gigabytes.
    pub gigabytes: f64,
}

impl Timing {
    /// Shader and entry point.
    pub fn entry_point(&self) -> &str {
        self.kernel.split(' ').next().unwrap_or_default()
    }
}

impl Profile {
    /// Device time of all dispatches in seconds, without the gaps between them.
    pub fn seconds(&self) -> f64 {
        self.dispatches.iter().map(|timing| timing.seconds).sum()
    }

    /// Seconds from the start of the first dispatch to the end of the last.
    pub fn span(&self) -> f64 {
        self.dispatches.iter().map(|timing| timing.start + timing.seconds).fold(0.0, f64::max)
    }

    /// Totals per kernel, the slowest first.
    pub fn kernel_totals(&self) -> Vec<KernelTotals> {
        let mut all: Vec<KernelTotals> = Vec::new();
        for timing in &self.dispatches {
            let position = all.iter().position(|totals| totals.name == timing.entry_point()).unwrap_or_else(|| {
                let name = timing.entry_point().to_string();
                all.push(KernelTotals { name, count: 0, seconds: 0.0, gflop: 0.0, gigabytes: 0.0 });
                all.len() - 1
            });
            let totals = &mut all[position];
            totals.count += 1;
            totals.seconds += timing.seconds;
            totals.gflop += timing.gflop;
            totals.gigabytes += timing.gigabytes;
        }
        all.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        all
    }

    /// Named profiles in the format of chrome://tracing and Perfetto: one process per profile, all starting at time 0.
    pub fn trace<'p>(profiles: impl IntoIterator<Item = (&'p str, &'p Profile)>) -> Value {
        let mut events = Vec::new();
        for (process, (name, profile)) in profiles.into_iter().enumerate() {
            let about = format!("{}, {}, by {}", profile.device, profile.driver, profile.clock);
            let known = [("process_name", json!({ "name": name })), ("process_labels", json!({ "labels": about }))];
            let describe = |(name, args)| json!({ "name": name, "ph": "M", "pid": process, "tid": 0, "args": args });
            events.extend(known.map(describe));
            events.extend(profile.dispatches.iter().map(|timing| {
                json!({
                    "name": timing.label, "cat": timing.entry_point(), "ph": "X", "pid": process, "tid": 0,
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
    /// Runs the program once with a timestamp before and after every dispatch, or with the wall clock if the device has
    /// no timestamps.
    pub async fn profile_async(&self) -> Result<Profile> {
        let has_timestamps = self.context.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let (clock, times) = match has_timestamps {
            true => ("timestamps", self.device_times().await?),
            false => ("wall clock", self.wall_times().await?),
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

    /// [`profile_async`](Program::profile_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn profile(&self) -> Result<Profile> {
        self.context.block_on(self.profile_async())
    }

    /// Start and end of every dispatch by the device's clock, with the submissions of [`submit`](Program::submit).
    async fn device_times(&self) -> Result<Vec<[f64; 2]>> {
        let mut stamped = Vec::new();
        for range in &self.submissions {
            // A query set holds at most 4096 timestamps.
            for steps in self.steps[range.clone()].chunks(2048) {
                stamped.push(self.context.make(|_| self.submit_stamped(steps))?);
            }
        }
        let mut ticks: Vec<u64> = Vec::with_capacity(2 * self.steps.len());
        for (mapped, buffer) in stamped {
            mapped.await.map_err(|error| Error::DeviceLost(error.into()))?;
            let view = buffer.slice(..).get_mapped_range().map_err(|error| Error::DeviceLost(error.into()))?;
            ticks.extend(view.chunks_exact(8).map(bytemuck::pod_read_unaligned::<u64>));
        }
        let (first, period) = (ticks.first().copied(), f64::from(self.context.queue().get_timestamp_period()) * 1e-9);
        // Relative to the first tick, in integers: an f64 has too few digits for the nanoseconds of a clock that ran
        // for days.
        let seconds = |tick: u64| tick.saturating_sub(first.unwrap_or(0)) as f64 * period;
        Ok(ticks.chunks_exact(2).map(|pair| [seconds(pair[0]), seconds(pair[1].max(pair[0]))]).collect())
    }

    /// Submits steps in one pass each. Gives a buffer with two timestamps per step, readable once they have run.
    fn submit_stamped(&self, steps: &[Step]) -> (Signal<Result<(), wgpu::BufferAsyncError>>, wgpu::Buffer) {
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
            step.encode(&mut pass);
        }
        encoder.resolve_query_set(&set, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, None);
        queue.submit([encoder.finish()]);
        let (done, mapped) = Signal::new();
        staging.slice(..).map_async(wgpu::MapMode::Read, done);
        (mapped, staging)
    }

    /// Start and end of every dispatch by the host's clock, with one submission per dispatch.
    async fn wall_times(&self) -> Result<Vec<[f64; 2]>> {
        let began = Instant::now();
        let mut times = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let start = began.elapsed().as_secs_f64();
            self.context.scoped(|| {
                let mut encoder = self.context.device().create_command_encoder(&Default::default());
                step.encode(&mut encoder.begin_compute_pass(&Default::default()));
                self.context.queue().submit([encoder.finish()]);
            })?;
            self.context.idle().await?;
            times.push([start, began.elapsed().as_secs_f64()]);
        }
        Ok(times)
    }
}
