//! What the adapter itself can reach, so that every other figure can be held against it.

use std::time::Instant;

use crate::Result;
use crate::gpu::{Context, DeviceTensor, Matrices, Program, Recorder};
use crate::ops::roof::{self, CHAINS, Precision, THREADS};

/// A run is long enough, in seconds, when a submission's own cost is little beside it. It should be no longer: the shortest of
/// many short runs is the least disturbed by whatever else the machine does.
const RUN: f64 = 0.005;

/// Runs follow on one another for so many seconds, so that clocks go up, and at least three times.
const MEASUREMENT: f64 = 0.1;

/// Workgroups of multiply-adds: enough for the largest devices; more would make threads begin and end more often.
const GROUPS: usize = 1024;

/// Most bytes of a tensor that is copied: more than caches hold, and with its copy an eighth of a small device's 4 GiB.
const MOST_COPIED: u64 = 256 << 20;

/// The ceilings of an adapter, as its own best kernels reach them through the same API as everything else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roof {
    /// Floating-point operations a second in f32 multiply-adds, two in each, with nothing read or written.
    pub fma_flops: f64,
    /// The same in f16, where kernels can have such numbers.
    pub half_fma_flops: Option<f64>,
    /// Those of cooperative matrices of f16 that add up in f32, where the context has any.
    pub matrix_fma_flops: Option<f64>,
    /// Bytes a second of a copy from one tensor to another, read and written ones together; tensors are larger than caches.
    pub copy_bytes: f64,
    /// Seconds that one more dispatch adds to a long program, however little it does.
    pub dispatch_seconds: f64,
    /// Seconds of a submission of a single dispatch, until it is known to be done.
    pub submission_seconds: f64,
}

impl Roof {
    /// Measures them, in about a second.
    pub fn measure(context: &Context) -> Result<Self> {
        let half = if context.has_half() { Some(fma_flops(context, Precision::Half)?) } else { None };
        Ok(Roof {
            fma_flops: fma_flops(context, Precision::Single)?,
            half_fma_flops: half,
            matrix_fma_flops: context.matrices().map(|matrices| matrix_fma_flops(context, matrices)).transpose()?,
            copy_bytes: copy_bytes(context)?,
            dispatch_seconds: dispatch_seconds(context)?,
            submission_seconds: submission_seconds(context)?,
        })
    }

    /// The most operations a second of work that does so many of them a byte.
    pub fn at(&self, intensity: f64) -> f64 {
        self.fma_flops.min(self.copy_bytes * intensity)
    }
}

/// Seconds of a program's shortest run of many.
fn shortest(program: &Program) -> Result<f64> {
    let (began, mut runs, mut best) = (Instant::now(), 0, f64::INFINITY);
    while runs < 3 || began.elapsed().as_secs_f64() < MEASUREMENT {
        best = best.min(time(program)?);
        runs += 1;
    }
    Ok(best)
}

fn time(program: &Program) -> Result<f64> {
    let start = Instant::now();
    program.run()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds for each of many: `record` takes down as many as it is told, and is told more until a run is long.
fn seconds_each(context: &Context, record: impl Fn(&mut Recorder, u32) -> Result<()>) -> Result<f64> {
    let mut count = 1;
    loop {
        let mut rec = Recorder::new(context);
        record(&mut rec, count)?;
        let program = rec.finish()?;
        // The first run of a program pays for what is made at its first use.
        program.run()?;
        let mut seconds = time(&program)?;
        // Something else may have made that one long.
        if seconds >= RUN {
            seconds = shortest(&program)?;
        }
        if seconds >= RUN {
            return Ok(seconds / f64::from(count));
        }
        // Ten times at most: what a few take is for the most part what a submission takes.
        count *= (1.2 * RUN / seconds).ceil().clamp(2.0, 10.0) as u32;
    }
}

/// The best of all counts of chains.
fn fma_flops(context: &Context, precision: Precision) -> Result<f64> {
    let out = DeviceTensor::new(context, "sums", [GROUPS * THREADS]);
    let mut best = 0.0f64;
    for chains in CHAINS {
        let seconds = seconds_each(context, |rec, rounds| {
            let out = rec.pin(&out);
            roof::multiply_add(rec, precision, chains, rounds, out)
        })?;
        best = best.max((2 * roof::ROUND * GROUPS * THREADS) as f64 * f64::from(chains) / seconds);
    }
    Ok(best)
}

fn matrix_fma_flops(context: &Context, matrices: Matrices) -> Result<f64> {
    let side = matrices.side as usize;
    // As many subgroups as have the threads of the others' groups, but no more than a small device writes quickly.
    let subgroups = (GROUPS * THREADS / matrices.lanes as usize).min(1 << 13);
    let out = DeviceTensor::new(context, "sums", [subgroups * 4 * side * side]);
    let seconds = seconds_each(context, |rec, rounds| {
        let out = rec.pin(&out);
        roof::multiply_add_matrices(rec, rounds, out)
    })?;
    Ok((2 * roof::ROUND * subgroups * 4 * side.pow(3)) as f64 / seconds)
}

fn copy_bytes(context: &Context) -> Result<f64> {
    let count = (context.max_tensor_bytes().min(MOST_COPIED) / 16 * 4) as usize;
    let [from, to] = ["from", "to"].map(|name| DeviceTensor::new(context, name, [count]));
    let seconds = seconds_each(context, |rec, times| {
        let (x, z) = (rec.pin(&from), rec.pin(&to));
        (0..times).try_for_each(|_| roof::copy(rec, x, z))
    })?;
    Ok((2 * 4 * count) as f64 / seconds)
}

fn dispatch_seconds(context: &Context) -> Result<f64> {
    let out = DeviceTensor::new(context, "out", [1]);
    seconds_each(context, |rec, times| {
        let out = rec.pin(&out);
        (0..times).try_for_each(|_| roof::nothing(rec, out))
    })
}

fn submission_seconds(context: &Context) -> Result<f64> {
    let out = DeviceTensor::new(context, "out", [1]);
    let mut rec = Recorder::new(context);
    let symbol = rec.pin(&out);
    roof::nothing(&mut rec, symbol)?;
    shortest(&rec.finish()?)
}
