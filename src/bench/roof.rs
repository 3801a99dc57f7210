//! Measured limits of the adapter, as a reference for all other figures.

use web_time::Instant;

use crate::Result;
use crate::gpu::{Context, DeviceTensor, Matrices, Program, Recorder};
use crate::ops::roof::{self, Arithmetic, CHAINS, THREADS};

/// Target duration of a run in seconds. It is long compared with the cost of a submission, but short enough that the
/// shortest of many runs is hardly disturbed by other processes.
const RUN: f64 = 0.005;

/// Minimum duration of a measurement in seconds, so that clocks reach their full rate; at least three runs.
const MEASUREMENT: f64 = 0.1;

/// Workgroups of the multiply-add kernel: enough for the largest devices. More would add overhead for starting
/// workgroups.
const GROUPS: usize = 1024;

/// Maximum size in bytes of a tensor to be copied: larger than caches; with its copy, an eighth of a 4 GiB device.
const MOST_COPIED: u64 = 256 << 20;

/// The adapter's limits, measured with dedicated kernels through the same API as all other work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roof {
    /// Floating-point operations per second in f32 fused multiply-adds (two operations each), without memory traffic.
    pub fma_flops: f64,
    /// The same in f16; `None` if kernels cannot use f16.
    pub half_fma_flops: Option<f64>,
    /// The same for cooperative matrices of f16 with f32 accumulation; `None` if the context does not use them.
    pub matrix_fma_flops: Option<f64>,
    /// Bytes per second of a copy between tensors larger than caches, reads and writes added.
    pub copy_bytes: f64,
    /// Seconds that each further dispatch adds to a program, however little work it does.
    pub dispatch_seconds: f64,
    /// Seconds from the submission of a single dispatch to its known completion.
    pub submission_seconds: f64,
}

impl Roof {
    /// Measures all limits, in about a second.
    pub async fn measure_async(context: &Context) -> Result<Self> {
        let mut roof = Roof {
            fma_flops: fma_flops(context, Arithmetic::Single).await?,
            half_fma_flops: None,
            matrix_fma_flops: None,
            copy_bytes: copy_bytes(context).await?,
            dispatch_seconds: dispatch_seconds(context).await?,
            submission_seconds: submission_seconds(context).await?,
        };
        if context.has_half() {
            roof.half_fma_flops = Some(fma_flops(context, Arithmetic::Half).await?);
        }
        if let Some(matrices) = context.matrices() {
            roof.matrix_fma_flops = Some(matrix_fma_flops(context, matrices).await?);
        }
        Ok(roof)
    }

    /// [`measure_async`](Roof::measure_async), waited for.
    #[cfg(feature = "blocking")]
    pub fn measure(context: &Context) -> Result<Self> {
        context.block_on(Self::measure_async(context))
    }

    /// Attainable operations per second at `intensity` operations per byte (the roofline model).
    pub fn at(&self, intensity: f64) -> f64 {
        self.fma_flops.min(self.copy_bytes * intensity)
    }
}

/// Shortest of many run times of a program, in seconds.
async fn shortest(program: &Program) -> Result<f64> {
    let (began, mut runs, mut best) = (Instant::now(), 0, f64::INFINITY);
    while runs < 3 || began.elapsed().as_secs_f64() < MEASUREMENT {
        best = best.min(time(program).await?);
        runs += 1;
    }
    Ok(best)
}

async fn time(program: &Program) -> Result<f64> {
    let start = Instant::now();
    program.run_async().await?;
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds per operation: `record` records the given number of operations, which is increased until a run is long
/// enough.
async fn seconds_each(context: &Context, record: impl Fn(&mut Recorder, u32) -> Result<()>) -> Result<f64> {
    let mut count = 1;
    loop {
        let mut rec = Recorder::new(context);
        record(&mut rec, count)?;
        let program = rec.finish()?;
        // The first run of a program includes one-time initialisation.
        program.run_async().await?;
        let mut seconds = time(&program).await?;
        // This run may have been delayed by another process.
        if seconds >= RUN {
            seconds = shortest(&program).await?;
        }
        if seconds >= RUN {
            return Ok(seconds / f64::from(count));
        }
        // At most a factor of ten: the time of a few operations is mostly the cost of the submission.
        count *= (1.2 * RUN / seconds).ceil().clamp(2.0, 10.0) as u32;
    }
}

/// The best rate over all numbers of independent chains.
async fn fma_flops(context: &Context, precision: Arithmetic) -> Result<f64> {
    let out = DeviceTensor::new(context, "sums", [GROUPS * THREADS]);
    let mut best = 0.0f64;
    for chains in CHAINS {
        let seconds = seconds_each(context, |rec, rounds| {
            let out = rec.pin(&out);
            roof::multiply_add(rec, precision, chains, rounds, out)
        })
        .await?;
        best = best.max((2 * roof::ROUND * GROUPS * THREADS) as f64 * f64::from(chains) / seconds);
    }
    Ok(best)
}

async fn matrix_fma_flops(context: &Context, matrices: Matrices) -> Result<f64> {
    let [rows, columns, depth] = [matrices.rows, matrices.columns, matrices.depth].map(|size| size as usize);
    // As many threads as in the other measurements, but a limited number of results, so that writing them is fast on a
    // small device.
    let subgroups = (GROUPS * THREADS / matrices.lanes as usize).min(1 << 13);
    let out = DeviceTensor::new(context, "sums", [subgroups * 4 * rows * columns]);
    let seconds = seconds_each(context, |rec, rounds| {
        let out = rec.pin(&out);
        roof::multiply_add_matrices(rec, rounds, out)
    })
    .await?;
    Ok((2 * roof::ROUND * subgroups * 4 * rows * columns * depth) as f64 / seconds)
}

async fn copy_bytes(context: &Context) -> Result<f64> {
    let count = (context.max_tensor_bytes().min(MOST_COPIED) / 16 * 4) as usize;
    let [from, to] = ["from", "to"].map(|name| DeviceTensor::new(context, name, [count]));
    let seconds = seconds_each(context, |rec, times| {
        let (x, z) = (rec.pin(&from), rec.pin(&to));
        (0..times).try_for_each(|_| roof::copy(rec, x, z))
    })
    .await?;
    Ok((2 * 4 * count) as f64 / seconds)
}

async fn dispatch_seconds(context: &Context) -> Result<f64> {
    let out = DeviceTensor::new(context, "out", [1]);
    seconds_each(context, |rec, times| {
        let out = rec.pin(&out);
        (0..times).try_for_each(|_| roof::nothing(rec, out))
    })
    .await
}

async fn submission_seconds(context: &Context) -> Result<f64> {
    let out = DeviceTensor::new(context, "out", [1]);
    let mut rec = Recorder::new(context);
    let symbol = rec.pin(&out);
    roof::nothing(&mut rec, symbol)?;
    shortest(&rec.finish()?).await
}
