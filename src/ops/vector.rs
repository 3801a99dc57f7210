//! Long vectors: linear combinations, inner products, norms and clamping. Maths: shaders/vector.wgsl.

use super::{reducing, reducing_all};
use crate::gpu::{Dispatch, Kernel, KernelClass, Precision, Recorder, Tensor, Uniform, linear_groups, map_groups};
use crate::{Error, Result};

const SHADER: &str = "vector.wgsl";

/// Elements per partial result of a reduction.
pub(crate) const PART: usize = 4096;

super::params! {
    /// Two factors, and the slot that a reduction writes.
    Params { a: f32, b: f32, slot: u32 }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let entries =
        ["affine", "axpy", "clamp_range", "clamp_gradient", "fill", "quantise", "absolute_max_parts", "maximum"];
    let sums = ["dot_parts", "absolute_sum_parts", "sum"];
    let sums = sums.into_iter().flat_map(|entry| reducing_all(Kernel::new(SHADER, entry)));
    entries.map(|entry| Kernel::new(SHADER, entry)).into_iter().chain(sums).collect()
}

fn same_count(op: &str, x: Tensor, y: Tensor) -> Result<()> {
    if x.shape.count() != y.shape.count() {
        return Err(Error::argument(op, "y", format!("as long as x, {}", x.shape), y.shape));
    }
    Ok(())
}

fn affine_dispatch(x: Tensor, y: Tensor, z: Tensor) -> Result<Dispatch> {
    same_count("affine", x, y)?;
    same_count("affine", x, z)?;
    let count = x.shape.count();
    let dispatch = Dispatch::new(Kernel::new(SHADER, "affine"), "affine").bind("x", x).bind("y", y).bind("z", z);
    Ok(dispatch.groups(map_groups(count)).flops(3 * count as u64))
}

/// `z = a·x + b·y`. All three have the same number of elements; `z` must not alias `x` or `y`.
pub fn affine(rec: &mut Recorder, a: f32, x: Tensor, b: f32, y: Tensor, z: Tensor) -> Result<()> {
    rec.dispatch(affine_dispatch(x, y, z)?.params(&Params { a, b, slot: 0 }))
}

/// [`affine`] with factors that can change between runs.
pub(crate) fn affine_with(rec: &mut Recorder, factors: Uniform<Params>, x: Tensor, y: Tensor, z: Tensor) -> Result<()> {
    rec.dispatch(affine_dispatch(x, y, z)?.uniform(factors))
}

/// `x + y` as a new tensor, for instance to sum two gradients. It is f32 unless both are f16.
pub fn add(rec: &mut Recorder, x: Tensor, y: Tensor) -> Result<Tensor> {
    let z = rec.transient_stored(x.precision.max(y.precision), "sum", x.shape);
    affine(rec, 1.0, x, 1.0, y, z)?;
    Ok(z)
}

/// Copies `x` to `z`.
pub fn copy(rec: &mut Recorder, x: Tensor, z: Tensor) -> Result<()> {
    affine(rec, 1.0, x, 0.0, x, z)
}

/// `x` converted to `precision`; `x` itself if nothing changes.
pub fn stored(rec: &mut Recorder, x: Tensor, precision: Precision) -> Result<Tensor> {
    if x.precision == precision {
        return Ok(x);
    }
    let z = rec.transient_stored(precision, "stored anew", x.shape);
    copy(rec, x, z)?;
    Ok(z)
}

fn in_place(rec: &mut Recorder, entry: &'static str, z: Tensor, x: Option<Tensor>, params: Params) -> Result<()> {
    let mut dispatch = Dispatch::new(Kernel::new(SHADER, entry), entry).bind("z", z).params(&params);
    if let Some(x) = x {
        same_count(entry, z, x)?;
        dispatch = dispatch.bind("x", x);
    }
    rec.dispatch(dispatch.groups(map_groups(z.shape.count())))
}

/// `z += a·x`, in place.
pub fn axpy(rec: &mut Recorder, a: f32, x: Tensor, z: Tensor) -> Result<()> {
    in_place(rec, "axpy", z, Some(x), Params { a, b: 0.0, slot: 0 })
}

/// Clamps every element of `z` to `[low, high]`, in place.
pub fn clamp(rec: &mut Recorder, z: Tensor, low: f32, high: f32) -> Result<()> {
    in_place(rec, "clamp_range", z, None, Params { a: low, b: high, slot: 0 })
}

/// Gradient of clamping `x` to `[low, high]`, from `dy`: `dy`, but 0 where `x` is outside and a descent step would move
/// it further out. The exact derivative is 0 wherever `x` is outside, and would never bring it back.
pub fn clamp_gradient(rec: &mut Recorder, x: Tensor, dy: Tensor, low: f32, high: f32) -> Result<Tensor> {
    const NAME: &str = "clamp gradient";
    same_count(NAME, x, dy)?;
    let dx = rec.transient_stored(dy.precision, NAME, x.shape);
    let dispatch = Dispatch::new(Kernel::new(SHADER, "clamp_gradient"), NAME).bind("x", x).bind("y", dy).bind("z", dx);
    rec.dispatch(dispatch.groups(map_groups(x.shape.count())).params(&Params { a: low, b: high, slot: 0 }))?;
    Ok(dx)
}

/// Sets every element of `z` to `value`.
pub fn fill(rec: &mut Recorder, z: Tensor, value: f32) -> Result<()> {
    in_place(rec, "fill", z, None, Params { a: value, b: 0.0, slot: 0 })
}

/// Clamps every element of `z` to 0..1 and rounds it to a multiple of `1 / steps`, in place: with 255 steps, what a
/// picture of 8 bits stores.
pub fn quantise(rec: &mut Recorder, z: Tensor, steps: f32) -> Result<()> {
    in_place(rec, "quantise", z, None, Params { a: steps, b: 0.0, slot: 0 })
}

/// Sums `partial` in a fixed order into `out[slot]`.
pub(crate) fn sum(rec: &mut Recorder, partial: Tensor, out: Tensor, slot: usize) -> Result<()> {
    finish(rec, "sum", partial, out, slot)
}

/// Sums need the tree of [`reducing`]; a maximum is the same in any order.
fn reduction(entry: &'static str, class: KernelClass) -> Kernel {
    let kernel = Kernel::new(SHADER, entry);
    if matches!(entry, "absolute_max_parts" | "maximum") { kernel } else { reducing(kernel, class) }
}

fn finish(rec: &mut Recorder, entry: &'static str, partial: Tensor, out: Tensor, slot: usize) -> Result<()> {
    if slot >= out.shape.count() {
        return Err(Error::argument(entry, "slot", format!("below {}", out.shape.count()), slot));
    }
    rec.dispatch(
        Dispatch::new(reduction(entry, rec.class()), entry).bind("partial", partial).bind("out", out).params(&Params {
            a: 0.0,
            b: 0.0,
            slot: slot as u32,
        }),
    )
}

fn reduce(
    rec: &mut Recorder,
    [parts, end]: [&'static str; 2],
    x: Tensor,
    y: Option<Tensor>,
    out: Tensor,
    slot: usize,
) -> Result<()> {
    let count = x.shape.count();
    let partial = rec.transient("partial", [count.div_ceil(PART)]);
    let mut dispatch =
        Dispatch::new(reduction(parts, rec.class()), parts).bind("x_elements", x).bind("partial", partial);
    if let Some(y) = y {
        same_count(parts, x, y)?;
        dispatch = dispatch.bind("y_elements", y);
    }
    // For a maximum, every thread reduces a part of its own.
    let threads = if parts == "absolute_max_parts" { 64 * PART } else { PART };
    rec.dispatch(dispatch.groups(linear_groups(count, threads)).flops(2 * count as u64))?;
    finish(rec, end, partial, out, slot)
}

/// `out[slot] = Σ x·y`.
pub fn dot(rec: &mut Recorder, x: Tensor, y: Tensor, out: Tensor, slot: usize) -> Result<()> {
    reduce(rec, ["dot_parts", "sum"], x, Some(y), out, slot)
}

/// `out[slot] = Σ |x|`, the l1 norm. For the l2 norm, take the root of [`dot`] of a vector with itself.
pub fn absolute_sum(rec: &mut Recorder, x: Tensor, out: Tensor, slot: usize) -> Result<()> {
    reduce(rec, ["absolute_sum_parts", "sum"], x, None, out, slot)
}

/// `out[slot] = max |x|`, NaN if any element is.
pub fn absolute_max(rec: &mut Recorder, x: Tensor, out: Tensor, slot: usize) -> Result<()> {
    reduce(rec, ["absolute_max_parts", "maximum"], x, None, out, slot)
}
