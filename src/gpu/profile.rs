//! Time, work and traffic of every dispatch.

use std::time::Instant;

use super::Program;
use super::program::encode_step;
use crate::{Error, Result};

/// One dispatch as measured.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Timing {
    /// What it was recorded as.
    pub label: String,
    /// Shader, entry point and constants.
    pub kernel: String,
    /// Device time in seconds.
    pub seconds: f64,
    /// Floating-point operations that the mathematics needs.
    pub gflop: f64,
    /// Gigabytes of the tensors that it touches, each counted once.
    pub gigabytes: f64,
}

/// All dispatches of one run, in order.
#[derive(Clone, Debug, serde::Serialize)]
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

impl Program {
    /// Runs once with a timestamp before and after every dispatch (wall clock where the device has no timestamps).
    pub fn profile(&self) -> Result<Profile> {
        let has_timestamps = self.context.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let (clock, seconds) = match has_timestamps {
            true => ("timestamps", self.device_times()?),
            false => ("wall clock", self.wall_times()?),
        };
        let timing = |(step, seconds): (&super::program::Step, f64)| Timing {
            label: step.label.clone(),
            kernel: step.kernel.clone(),
            seconds,
            gflop: step.flops as f64 * 1e-9,
            gigabytes: step.bytes as f64 * 1e-9,
        };
        let dispatches = self.steps.iter().zip(seconds).map(timing).collect();
        Ok(Profile { device: self.context.name().into(), driver: self.context.driver(), clock, dispatches })
    }

    fn device_times(&self) -> Result<Vec<f64>> {
        let (device, queue) = (self.context.device(), self.context.queue());
        let mut seconds = Vec::with_capacity(self.steps.len());
        // A query set holds at most 4096 stamps.
        for steps in self.steps.chunks(1024) {
            let count = 2 * steps.len() as u32;
            let buffers = self.context.scoped(|| {
                let set = device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("profile"),
                    ty: wgpu::QueryType::Timestamp,
                    count,
                });
                let make = |usage| {
                    let size = u64::from(count) * 8;
                    device.create_buffer(&wgpu::BufferDescriptor {
                        label: Some("profile"),
                        size,
                        usage,
                        mapped_at_creation: false,
                    })
                };
                let resolved = make(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
                let staging = make(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
                for (index, step) in steps.iter().enumerate() {
                    let mut encoder = device.create_command_encoder(&Default::default());
                    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                        label: Some(&step.label),
                        timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                            query_set: &set,
                            beginning_of_pass_write_index: Some(2 * index as u32),
                            end_of_pass_write_index: Some(2 * index as u32 + 1),
                        }),
                    });
                    encode_step(&mut pass, step);
                    drop(pass);
                    queue.submit([encoder.finish()]);
                }
                let mut encoder = device.create_command_encoder(&Default::default());
                encoder.resolve_query_set(&set, 0..count, &resolved, 0);
                encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, None);
                queue.submit([encoder.finish()]);
                staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
                staging
            })?;
            self.context.wait(None)?;
            let view = buffers.slice(..).get_mapped_range().map_err(|e| Error::DeviceLost(e.to_string()))?;
            let mut stamps = vec![0u64; count as usize];
            bytemuck::cast_slice_mut::<u64, u8>(&mut stamps).copy_from_slice(&view);
            let period = f64::from(queue.get_timestamp_period()) * 1e-9;
            seconds.extend(stamps.chunks(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * period));
        }
        Ok(seconds)
    }

    fn wall_times(&self) -> Result<Vec<f64>> {
        let time = |step| {
            let start = Instant::now();
            self.context.scoped(|| {
                let mut encoder = self.context.device().create_command_encoder(&Default::default());
                encode_step(&mut encoder.begin_compute_pass(&Default::default()), step);
                self.context.queue().submit([encoder.finish()])
            })?;
            self.context.wait(None)?;
            Ok(start.elapsed().as_secs_f64())
        };
        self.steps.iter().map(time).collect()
    }
}
