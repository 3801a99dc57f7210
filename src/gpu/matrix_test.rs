//! Known answers of an adapter's cooperative matrices, before any kernel uses them. Maths: shaders/matrix_test.wgsl.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::recorder::{Block, Dispatch, Fields};
use super::{Cache, Context, DeviceTensor, Kernel, Matrices, Recorder};
use crate::Result;
use crate::random::Random;

/// Subgroups along the rows and columns of a workgroup's tile, and matrices of each.
const DOWN: usize = 2 * 2;
const ACROSS: usize = 2 * 4;

/// Rows of the factors.
const DEPTH: usize = 128;

/// Workgroups: several for each core of a software adapter, and several at once on a core of a GPU.
const GROUPS: usize = 32;

/// Products of the whole factors that are added up.
const REPEATS: u32 = 5;

/// The smallest and the largest element. Sums are integers of at most 5 · 128 · 6² = 23,040, which f32 represents; most
/// are above 2048, from which on f16 does not.
const RANGE: [i32; 2] = [-2, 6];

/// Uploaded parameters of the kernel.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    repeats: u32,
}

impl Block for Params {
    const FIELDS: Fields = &[("repeats", 0)];
}

fn kernel(matrices: Matrices) -> Kernel {
    Kernel::new("matrix_test.wgsl", "multiply").on(matrices)
}

/// The kernels of the test.
pub(crate) fn kernels() -> Vec<Kernel> {
    Matrices::SAMPLES.map(kernel).into()
}

/// The factors, both with `DEPTH` rows.
fn factors(matrices: Matrices) -> [Vec<i32>; 2] {
    let mut random = Random::new(7);
    [DOWN * matrices.rows as usize, ACROSS * matrices.columns as usize].map(|row| {
        let [least, most] = RANGE;
        let count = (most - least + 1) as u64;
        (0..DEPTH * row).map(|_| (random.bits() % count) as i32 + least).collect()
    })
}

/// The right results of all workgroups, by textbook.
fn answers([left, right]: &[Vec<i32>; 2]) -> Vec<f32> {
    let [rows, columns] = [left, right].map(|factor| factor.len() / DEPTH);
    let mut answers = Vec::with_capacity(GROUPS * rows * columns);
    for group in 0..GROUPS {
        let mut sums = vec![0; rows * columns];
        for k in 0..DEPTH {
            let [l, r] = [&left[(k + group) % DEPTH * rows..][..rows], &right[k * columns..][..columns]];
            for (sums, l) in sums.chunks_mut(columns).zip(l) {
                sums.iter_mut().zip(r).for_each(|(sum, r)| *sum += l * r);
            }
        }
        answers.extend(sums.into_iter().map(|sum| (REPEATS as i32 * sum) as f32));
    }
    answers
}

/// A future of a device that nobody else can poll yet. A browser polls its devices itself.
async fn polled<T>(context: &Context, future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut future = pin!(future);
    poll_fn(|task| {
        loop {
            match future.as_mut().poll(task) {
                Poll::Ready(result) => return Poll::Ready(result),
                Poll::Pending if cfg!(target_arch = "wasm32") => return Poll::Pending,
                Poll::Pending => context.wait()?,
            }
        }
    })
    .await
}

/// What is wrong with the first of two runs that is not exactly right; `None` if both are.
///
/// # Errors
/// A device that is lost, or a driver that does not accept the kernel.
async fn run(context: &Context, matrices: Matrices) -> Result<Option<String>> {
    let factors = factors(matrices);
    let tensor = |name, factor: &Vec<i32>| {
        let tensor = DeviceTensor::new(context, name, [DEPTH, factor.len() / DEPTH]);
        tensor.write(&factor.iter().map(|&value| value as f32).collect::<Vec<_>>()).map(|()| tensor)
    };
    let (left, right) = (tensor("left", &factors[0])?, tensor("right", &factors[1])?);
    let answers = answers(&factors);
    let y = DeviceTensor::new(context, "products", [answers.len()]);
    let mut rec = Recorder::new(context);
    let symbols = [&left, &right, &y].map(|tensor| rec.pin(tensor));
    let dispatch = Dispatch::new(kernel(matrices), "known answers of matrices").params(&Params { repeats: REPEATS });
    let dispatch = dispatch.bind("left", symbols[0]).bind("right", symbols[1]).bind("y", symbols[2]);
    rec.dispatch(dispatch.groups([GROUPS as u32, 1, 1]))?;
    let program = rec.finish()?;
    for _ in 0..2 {
        y.write(&vec![f32::NAN; answers.len()])?;
        program.submit()?;
        let results = polled(context, y.read_async()).await?;
        let wrong = results.iter().zip(&answers).filter(|(result, answer)| result != answer).count();
        if let Some((result, answer)) = results.iter().zip(&answers).find(|(result, answer)| result != answer) {
            let all = answers.len();
            return Ok(Some(format!("{wrong} of {all} sums are wrong, the first is {result} instead of {answer}")));
        }
    }
    Ok(None)
}

/// What is kept for an adapter, its driver and this set of kernels: right matrices, or wrong ones with their fault.
const RIGHT: &[u8] = b"right";

fn entry(context: &Context, matrices: Matrices) -> String {
    format!("matrices-{}-{matrices}", context.adapter_key())
}

/// Tests the matrices on the device of a context that has them, and keeps the verdict. Gives what is wrong with them.
pub(super) async fn examine(context: &Context, matrices: Matrices, cache: Option<&dyn Cache>) -> Option<String> {
    let fault = run(context, matrices).await.unwrap_or_else(|error| Some(error.to_string()));
    let verdict = fault.as_ref().map_or(RIGHT, |fault| fault.as_bytes());
    if let Some(Err(error)) = cache.map(|cache| cache.store(&entry(context, matrices), verdict)) {
        tracing::debug!(%error, "the test of {matrices} matrices is not kept");
    }
    fault
}

/// As [`examine`], but tests only if there is no verdict yet.
pub(super) async fn known(context: &Context, matrices: Matrices, cache: Option<&dyn Cache>) -> Option<String> {
    match cache.and_then(|cache| cache.load(&entry(context, matrices))) {
        Some(verdict) if verdict == RIGHT => None,
        Some(fault) if !fault.is_empty() => Some(String::from_utf8_lossy(&fault).into_owned()),
        _ => examine(context, matrices, cache).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers against another way to compute them: element by element, with both factors of the shape's sizes.
    #[test]
    fn answers_are_products_of_the_rotated_factor() {
        let matrices = Matrices { rows: 8, columns: 16, depth: 16, lanes: 32 };
        let both = factors(matrices);
        let (rows, columns) = (8 * DOWN, 16 * ACROSS);
        let answers = answers(&both);
        assert_eq!(answers.len(), GROUPS * rows * columns);
        assert!(both.iter().all(|factor| RANGE.iter().all(|value| factor.contains(value))));
        for (group, m, n) in [(0, 0, 0), (1, 3, 5), (31, rows - 1, columns - 1)] {
            let product = |k: usize| both[0][(k + group) % DEPTH * rows + m] * both[1][k * columns + n];
            let expected = REPEATS as i32 * (0..DEPTH).map(product).sum::<i32>();
            assert_eq!(answers[(group * rows + m) * columns + n], expected as f32);
        }
        // f16 sums would not be exact.
        let large = answers.iter().filter(|value| value.abs() > 2048.0).count();
        assert!(2 * large > answers.len(), "{large}");
    }
}
