//! Per-image vectors from tables with one row per style. Maths: shaders/rows.wgsl.

use crate::gpu::{Dispatch, Kernel, Recorder, Tensor, linear_groups};
use crate::{Error, Result};

const SHADER: &str = "rows.wgsl";

/// Elements that one workgroup writes.
const PART: usize = 1024;

super::params! {
    /// Images, rows of the table, and elements of a row.
    Params { images: u32, rows: u32, length: u32 }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    ["mix_rows", "mix_gradient", "scale"].map(|entry| Kernel::new(SHADER, entry)).to_vec()
}

/// Checks `weights` (`[N, S]`) against the `table` (`[S, L]`) called `name`.
fn sides(op: &str, weights: Tensor, name: &str, table: Tensor) -> Result<Params> {
    let &[images, rows] = weights.shape.dims() else {
        return Err(Error::argument(op, "weights", "[N, S]", weights.shape));
    };
    match *table.shape.dims() {
        [found, length] if found == rows => {
            Ok(Params { images: images as u32, rows: rows as u32, length: length as u32 })
        }
        _ => Err(Error::argument(op, name, format!("[{rows}, L]"), table.shape)),
    }
}

/// `y` (`[N, L]`): for each image, the rows of `table` (`[S, L]`) summed by its `weights` (`[N, S]`). A single weight
/// of 1 among zeros gives that row exactly.
pub fn mix(rec: &mut Recorder, weights: Tensor, table: Tensor) -> Result<Tensor> {
    let params = sides("mix", weights, "table", table)?;
    let y = rec.transient("mixed rows", [params.images as usize, params.length as usize]);
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "mix_rows"), "mix")
            .bind("weights", weights)
            .bind("table", table)
            .bind("y", y)
            .params(&params)
            .groups(linear_groups(y.shape.count(), PART))
            .flops(2 * y.shape.count() as u64 * u64::from(params.rows)),
    )?;
    Ok(y)
}

/// Accumulates into `dtable` (`[S, L]`) the gradient of [`mix`] with respect to its table, from `dy` (`[N, L]`).
pub fn mix_gradient(rec: &mut Recorder, weights: Tensor, dy: Tensor, dtable: Tensor) -> Result<()> {
    const OP: &str = "mix gradient";
    let params = sides(OP, weights, "dtable", dtable)?;
    let shape = [params.images as usize, params.length as usize];
    if dy.shape != shape.into() {
        return Err(Error::argument(OP, "dy", format!("{shape:?}"), dy.shape));
    }
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "mix_gradient"), OP)
            .bind("weights", weights)
            .bind("dy", dy)
            .bind("dtable", dtable)
            .params(&params)
            .groups(linear_groups(dtable.shape.count(), PART))
            .flops(2 * dy.shape.count() as u64 * u64::from(params.rows)),
    )
}

/// `x` (`[N, ...]`) with each image multiplied by its factor (`factors`: `[N]` or `[N, 1]`). Applied to `dy`, it is the
/// gradient.
pub fn scale(rec: &mut Recorder, x: Tensor, factors: Tensor) -> Result<Tensor> {
    let images = x.shape.dims()[0];
    if factors.shape.count() != images {
        return Err(Error::argument("scale", "factors", format!("{images}, one for each image"), factors.shape));
    }
    let y = rec.transient("scaled", x.shape);
    let params = Params { images: images as u32, rows: 1, length: (x.shape.count() / images) as u32 };
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "scale"), "scale")
            .bind("x", x)
            .bind("factors", factors)
            .bind("y", y)
            .params(&params)
            .groups(linear_groups(x.shape.count(), PART))
            .flops(x.shape.count() as u64),
    )?;
    Ok(y)
}
