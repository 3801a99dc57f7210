//! Passes over the history of L-BFGS. Maths: shaders/lbfgs.wgsl.

use super::vector::PART;
use super::{reducing, reducing_all};
use crate::gpu::{Dispatch, Kernel, Recorder, Tensor, Uniform, linear_groups};
use crate::{Error, Result};

const SHADER: &str = "lbfgs.wgsl";

super::params! {
    /// Sizes of the history.
    Params { rows: u32, elements: u32, parts: u32 }
}

super::params! {
    /// The row to store, and the two factors.
    StoreParams { row: u32, a: f32, b: f32 }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let sums = ["inner", "finish"].map(|entry| reducing_all(Kernel::new(SHADER, entry))).concat();
    sums.into_iter().chain(["combine", "store"].map(|entry| Kernel::new(SHADER, entry))).collect()
}

fn params(history: Tensor, x: Tensor) -> Result<Params> {
    let elements = x.shape.count();
    match *history.shape.dims() {
        [rows, length] if length == elements => {
            Ok(Params { rows: rows as u32, elements: elements as u32, parts: elements.div_ceil(PART) as u32 })
        }
        _ => Err(Error::argument("lbfgs", "history", format!("[rows, {elements}]"), history.shape)),
    }
}

/// Inner products of `x` (E elements) with every row of `history` (`[rows, E]`), into `products` (`[rows]`).
pub fn inner(rec: &mut Recorder, history: Tensor, x: Tensor, products: Tensor) -> Result<()> {
    let params = params(history, x)?;
    if products.shape.count() != params.rows as usize {
        return Err(Error::argument("lbfgs", "products", format!("[{}]", params.rows), products.shape));
    }
    let partial = rec.transient("inner product parts", [params.rows as usize, params.parts as usize]);
    rec.dispatch(
        Dispatch::new(reducing(Kernel::new(SHADER, "inner"), rec.class()), "lbfgs inner")
            .bind("history", history)
            .bind("x", x)
            .bind("partial", partial)
            .params(&params)
            .groups([params.parts, params.rows, 1])
            .flops(2 * history.shape.count() as u64),
    )?;
    rec.dispatch(
        Dispatch::new(reducing(Kernel::new(SHADER, "finish"), rec.class()), "lbfgs inner finish")
            .bind("partial", partial)
            .bind("products", products)
            .params(&params)
            .groups([params.rows, 1, 1]),
    )
}

/// Writes to `direction` the sum of the rows of `history` (`[rows, E]`) and of `x` (E elements), weighted by
/// `coefficients` (`[rows + 1]`, that of `x` last).
pub fn combine(rec: &mut Recorder, history: Tensor, x: Tensor, coefficients: Tensor, direction: Tensor) -> Result<()> {
    let params = params(history, x)?;
    if coefficients.shape.count() != params.rows as usize + 1 {
        return Err(Error::argument("lbfgs", "coefficients", format!("[{}]", params.rows + 1), coefficients.shape));
    }
    if direction.shape.count() != x.shape.count() {
        return Err(Error::argument("lbfgs", "direction", format!("as long as x, {}", x.shape), direction.shape));
    }
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "combine"), "lbfgs combine")
            .bind("history", history)
            .bind("x", x)
            .bind("coefficients", coefficients)
            .bind("direction", direction)
            .params(&params)
            .groups(linear_groups(x.shape.count(), 64))
            .flops(2 * history.shape.count() as u64),
    )
}

/// Stores `a·x + b·y` as a row of `history`; the row, a and b come from `params`.
pub(crate) fn store(
    rec: &mut Recorder,
    x: Tensor,
    y: Tensor,
    history: Tensor,
    params: Uniform<StoreParams>,
) -> Result<()> {
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "store"), "lbfgs store")
            .bind("x", x)
            .bind("y", y)
            .bind("history", history)
            .uniform(params)
            .groups(linear_groups(x.shape.count(), 64)),
    )
}
