//! Separable resampling of feature maps by tables of weights, such as a blur or a change of size. Maths:
//! shaders/resample.wgsl.

use crate::gpu::{Context, DeviceTensor, Dispatch, Kernel, Recorder, Tensor};
use crate::{Error, Result};

const SHADER: &str = "resample.wgsl";
const OP: &str = "resample";

super::params! {
    /// Sizes of x and of the table.
    Params { height: u32, width: u32, length: u32, taps: u32 }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    ["mix_rows", "mix_columns"].map(|entry| Kernel::new(SHADER, entry)).to_vec()
}

/// A row or column of the result: the first row or column of the source that it consists of, and the weights of that
/// one and of those that follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Taps {
    /// Index of the first.
    pub first: usize,
    /// The weights, at least one.
    pub weights: Vec<f32>,
}

/// Weights of the rows or the columns of a source in those of a result, on a device.
#[derive(Clone, Debug)]
pub struct Table {
    /// Rows or columns of the source.
    from: usize,
    /// `[L, 1 + K]`.
    values: DeviceTensor,
}

impl Table {
    /// A table for a source of `from` rows or columns, with an element of `taps` for each of the result.
    ///
    /// # Errors
    /// No taps; taps without weights, or beyond the source.
    pub fn new(context: &Context, from: usize, taps: &[Taps]) -> Result<Self> {
        let most = taps.iter().map(|taps| taps.weights.len()).max().unwrap_or(0);
        let fits = |taps: &Taps| !taps.weights.is_empty() && taps.first + taps.weights.len() <= from;
        if taps.is_empty() || !taps.iter().all(fits) {
            let expected = format!("at least one, each with weights for some of {from} rows or columns");
            return Err(Error::argument(OP, "taps", expected, format!("{} that are not", taps.len())));
        }
        let mut values = Vec::with_capacity(taps.len() * (1 + most));
        for Taps { first, weights } in taps {
            // All rows of the table are equally long. Those of fewer weights have zeros, also within the source.
            let start = (*first).min(from - most);
            values.push(start as f32);
            values.extend(std::iter::repeat_n(0.0, first - start));
            values.extend(weights);
            values.extend(std::iter::repeat_n(0.0, start + most - first - weights.len()));
        }
        let values = DeviceTensor::from_values(context, "table of weights", [taps.len(), 1 + most], &values)?;
        Ok(Table { from, values })
    }

    /// Rows or columns of the source and of the result.
    pub fn lengths(&self) -> [usize; 2] {
        [self.from, self.values.shape().dims()[0]]
    }
}

/// The taps of the gradient: what each of the `from` rows or columns of the source contributes to those of the result.
pub fn transposed(from: usize, taps: &[Taps]) -> Vec<Taps> {
    let of = |source: usize| {
        let weight = |taps: &Taps| source.checked_sub(taps.first).and_then(|k| taps.weights.get(k)).copied();
        let first = taps.iter().position(|taps| weight(taps).is_some()).unwrap_or(0);
        let end = taps.iter().rposition(|taps| weight(taps).is_some()).map_or(first + 1, |last| last + 1);
        Taps { first, weights: taps[first..end].iter().map(|taps| weight(taps).unwrap_or(0.0)).collect() }
    };
    (0..from).map(of).collect()
}

/// `x` (`[N, C, H, W]`) with its rows mixed by one table and then its columns by another, `[N, C, H', W']`, stored as
/// f32. The gradient is the same operation on the gradient of the result with tables of [`transposed`] taps.
///
/// # Errors
/// Tables for other sizes than that of `x`.
pub fn forward(rec: &mut Recorder, x: Tensor, [rows, columns]: [&Table; 2]) -> Result<Tensor> {
    let x = mix(rec, x, rows, true)?;
    mix(rec, x, columns, false)
}

/// Mixes the rows, or else the columns.
fn mix(rec: &mut Recorder, x: Tensor, table: &Table, is_rows: bool) -> Result<Tensor> {
    let [n, c, height, width] = x.shape.nchw(OP, "x")?;
    let [from, length] = table.lengths();
    let (side, what) = if is_rows { (height, "rows") } else { (width, "columns") };
    if side != from {
        return Err(Error::argument(OP, "x", format!("{from} {what}, as the table says"), x.shape));
    }
    let size = if is_rows { [length, width] } else { [height, length] };
    let y = rec.transient(OP, [n, c, size[0], size[1]]);
    let taps = table.values.shape().dims()[1] - 1;
    let [height, width, length] = [height, width, length].map(|side| side as u32);
    let entry = if is_rows { "mix_rows" } else { "mix_columns" };
    let values = rec.pin(&table.values);
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, entry), OP)
            .bind("x", x)
            .bind("table", values)
            .bind("y", y)
            .params(&Params { height, width, length, taps: taps as u32 })
            .groups([size[1].div_ceil(64), size[0], n * c].map(|count| count as u32))
            .flops(2 * (y.shape.count() * taps) as u64),
    )?;
    Ok(y)
}
